"""What calibration works on: a model, and the samples of the stations that it learned from and of those held out."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadMonitors, BadPredictors
from pm25map.model.places import place_vectors
from pm25map.model.runtime import Session
from pm25map.model.splits import hold_out_stations
from pm25map.monitors import Monitors
from pm25map.predictors.neighbours import Stations
from pm25map.predictors.reader import Predictors
from pm25map.windows.samples import Progress, StationSamples, gather_samples


@dataclass(frozen=True, eq=False)
class Material:
    """What calibration works on.

    Attributes:
        session: the model.
        samples: left-one-out; stations held out feed nobody.
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
        found = self.samples.targets(stations, self.start, self.end, self.session.card.window_days)
        if not len(found):
            which = "held out" if (stations & self.held_out).any() else "training"
            raise BadMonitors(
                f"no {which} station measured anything between {self.start} and {self.end}: "
                "choose other days or monitors"
            )
        return found

    def fold_of_places(self, folds: int) -> npt.NDArray[np.int64]:
        """Deal whole places to folds at random, those held out and the others apart: (station,) from 0."""
        places = Stations(self.samples.lat, self.samples.lon, np.zeros(len(self.samples.lat))).places()
        fold = np.empty(len(places), dtype=np.int64)
        rng = np.random.default_rng(self.seed)
        for part in (self.held_out, ~self.held_out):
            mine = np.unique(places[part])
            dealt = rng.permutation(np.arange(len(mine)) % folds)
            fold[part] = dealt[np.searchsorted(mine, places[part])]
        return fold


def gather_material(
    session: Session,
    monitors: Monitors,
    predictors: Predictors,
    start: dt.date | None,
    end: dt.date | None,
    cache: Path | None,
    seed: int,
    progress: Progress | None = None,
) -> Material:
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
    card, training = session.card, session.card.training
    if predictors.grid.checksum != card.grid_checksum:
        raise BadPredictors(
            f"{predictors.path} does not lie on grid {card.grid} of model {card.name}: make a store for it with "
            f"pm25map data ingest --source static --grid {card.grid} --store static.zarr"
        )
    start, end = start or training.start, end or training.end
    sites = monitors.sites
    lat, lon = sites["latitude"].to_numpy(), sites["longitude"].to_numpy()
    held_out = hold_out_stations(lat, lon, training.holdout_fraction, training.holdout_seed)
    whole = training.start <= start and end <= training.end
    first, last = (training.start, training.end) if whole and cache is not None else (start, end)
    first -= dt.timedelta(days=card.window_days - 1)
    samples = gather_samples(
        monitors, predictors, card.scaler.features, first, last, held_out, cache, progress
    )
    held = np.isin(samples.site_ids, sites["site_id"].to_numpy(dtype=str)[held_out])
    place, _ = place_vectors(card.place.encoder, samples.lat, samples.lon)
    return Material(session, samples, place, held, start, end, seed)
