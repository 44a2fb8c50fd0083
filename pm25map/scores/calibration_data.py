"""The data of a calibration: a model, and the samples of its training stations and of those held out."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadMonitors
from pm25map.model.places import place_vectors
from pm25map.model.runtime import Session
from pm25map.monitors import Monitors
from pm25map.predictors.reader import Predictors
from pm25map.scores.held_out import gather_held_out, places_of
from pm25map.windows.samples import Progress, StationSamples


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """The data of a calibration.

    Attributes:
        session: the model.
        samples: left-one-out; stations held out feed no estimate.
        place: (station, d), or None.
        held_out: bool (station,).
        start, end: days of the targets.
        seed: of all draws.
    """

    session: Session
    samples: StationSamples
    place: npt.NDArray[np.float32] | None
    held_out: npt.NDArray[np.bool_]
    start: dt.date
    end: dt.date
    seed: int

    def targets(self, stations: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """List the targets of some stations: (target, 2) of station and day numbers.

        Raises:
            BadMonitors: there is none.
        """
        targets = self.samples.targets(stations, self.start, self.end, self.session.card.window_days)
        if not len(targets):
            which = "held out" if (stations & self.held_out).any() else "training"
            raise BadMonitors(
                f"no {which} station measured anything between {self.start} and {self.end}: "
                "choose other days or monitors"
            )
        return targets

    def fold_of_places(self, folds: int) -> npt.NDArray[np.int64]:
        """Assign whole places to folds at random, held-out ones separately from the others: (station,) from 0."""
        places = places_of(self.samples)
        fold = np.empty(len(places), dtype=np.int64)
        rng = np.random.default_rng(self.seed)
        for part in (self.held_out, ~self.held_out):
            mine = np.unique(places[part])
            dealt = rng.permutation(np.arange(len(mine)) % folds)
            fold[part] = dealt[np.searchsorted(mine, places[part])]
        return fold


def gather_calibration_data(
    session: Session,
    monitors: Monitors,
    predictors: Predictors,
    start: dt.date | None,
    end: dt.date | None,
    cache: Path | None,
    seed: int,
    progress: Progress | None = None,
) -> CalibrationData:
    """Gather the samples of a model's training and of the stations that it held out.

    Args:
        session: the model.
        monitors: as the model was trained on.
        predictors: a store with the static layers of the model's features, on the model's grid.
        start, end: days of the targets; of the training where None.
        cache: folder for the stations' neighbours.
        seed: of all draws of the calibration.
        progress: called with what is done and what is to do.

    Raises:
        BadPredictors: the store lies on another grid than the model's.
        BadMonitors: no monitor lies in the grid.
    """
    card = session.card
    days = start or card.training.start, end or card.training.end
    held_out = gather_held_out(card, monitors, predictors, days, cache=cache, progress=progress)
    samples = held_out.samples
    place, _ = place_vectors(card.place.encoder, samples.lat, samples.lon)
    return CalibrationData(session, samples, place, held_out.judged, *days, seed)
