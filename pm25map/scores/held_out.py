"""The stations that judge a model, gathered in one way for every score, comparison and calibration."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.errors import BadMonitors, BadPredictors
from pm25map.model.card import ModelCard
from pm25map.model.splits import hold_out_stations
from pm25map.monitors import Monitors
from pm25map.predictors.neighbours import Stations
from pm25map.predictors.reader import Predictors
from pm25map.windows.samples import Progress, StationSamples, gather_samples

BASELINES = {"interpolation": "neighbours_idw9", "kriging": "neighbours_kriging"}
"""Estimates from the neighbours alone, by feature: inverse distance (9 nearest, power 2) and kriging."""

DISTANCE = "neighbours_distance"
"""The feature that holds the distance to the nearest station with a value that day, km."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Samples of all stations, and which of them judge the model.

    Attributes:
        samples: left-one-out; stations held out feed no estimate.
        judged: bool (station,).
        start, end: days of the targets.
        window_days: that a target needs.
    """

    samples: StationSamples
    judged: npt.NDArray[np.bool_]
    start: dt.date
    end: dt.date
    window_days: int

    def targets(self) -> npt.NDArray[np.int64]:
        """List the targets of the stations that judge: (target, 2) of station and day numbers.

        Raises:
            BadMonitors: there is none.
        """
        targets = self.samples.targets(self.judged, self.start, self.end, self.window_days)
        if not len(targets):
            raise BadMonitors(
                f"no station that is held out measured anything between {self.start} and {self.end}: choose other "
                "days or monitors"
            )
        return targets


def gather_held_out(
    card: ModelCard,
    monitors: Monitors,
    predictors: Predictors,
    days: tuple[dt.date, dt.date],
    *,
    features: tuple[str, ...] | None = None,
    targets: Monitors | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> HeldOut:
    """Gather the samples by which the stations that training held out judge a model.

    Args:
        card: of the model.
        monitors: that feed the neighbours; those held out in training feed nothing here either.
        predictors: a store with the static layers of the features, on the model's grid.
        days: first and last day of the targets.
        features: of the samples; the model's where None.
        targets: stations that judge instead of those held out.
        cache: folder for the stations' neighbours; days inside of the training's are taken from those of its run.
        progress: called with the work done and the work in all.

    Raises:
        BadPredictors: the store lies on another grid than the model's.
        BadMonitors: no station lies in the grid; or, without targets, the monitors are not those of the training.
    """
    check_grid(predictors, card)
    if targets is None:
        check_trained_on(monitors, card)
        held_out = held_out_in_training(card, monitors)
    else:
        monitors, held_out = join_targets(monitors, targets)
    start, end = days
    training = card.training
    first, last = start, end
    if cache is not None and training.start <= start and end <= training.end:
        # The days of the training run: the samples that it gathered are used again.
        first, last = training.start, training.end
    first -= dt.timedelta(days=card.window_days - 1)
    samples = gather_samples(
        monitors, predictors, features or card.scaler.features, first, last, held_out, cache, progress
    )
    names = monitors.sites["site_id"].to_numpy(dtype=str)[held_out]
    judged = np.isin(samples.site_ids, [n for n in names if targets is None or n.startswith(_TARGET)])
    return HeldOut(samples, judged, start, end, card.window_days)


def check_grid(predictors: Predictors, card: ModelCard) -> None:
    """Refuse a store on another grid than the model's.

    Raises:
        BadPredictors: it is.
    """
    if predictors.grid.checksum != card.grid_checksum:
        raise BadPredictors(
            f"{predictors.path} does not lie on grid {card.grid} of model {card.name}: make a store for it with "
            f"pm25map data ingest --source static --grid {card.grid} --store static.zarr"
        )


def check_trained_on(monitors: Monitors, card: ModelCard) -> None:
    """Refuse monitors for which it is unknown which stations a model's training held out.

    Held-out places are drawn from all places of a table. Another table gives another draw, and stations that trained
    the model would be scored as held out.

    Raises:
        BadMonitors: they are not the table of the training.
    """
    if not monitors.matches(card.training.monitors_checksum):
        raise BadMonitors(
            f"model {card.name} was trained on other monitors (checksum {card.training.monitors_checksum[:12]}) than "
            f"these ({monitors.checksum[:12]}), so it is unknown which stations it held out: name its own"
        )


def held_out_in_training(card: ModelCard, monitors: Monitors) -> npt.NDArray[np.bool_]:
    """Return which stations the training of a model held out, if these are its monitors: bool (site,)."""
    lat, lon = (monitors.sites[name].to_numpy() for name in ("latitude", "longitude"))
    return hold_out_stations(lat, lon, card.training.holdout_fraction, card.training.holdout_seed)


def places_of(samples: StationSamples) -> npt.NDArray[np.integer]:
    """Number the places of stations (station,): monitors within 100 m of each other share a number."""
    return Stations(samples.lat, samples.lon, np.zeros(len(samples.lat))).places()


def with_baselines(features: tuple[str, ...], predictors: Predictors) -> tuple[str, ...]:
    """Add the features of interpolation, kriging and the distance, where the store has what they need.

    They are computed from the monitors and the elevation of the stations, so a store without elevation gives none.
    """
    more = (*BASELINES.values(), DISTANCE) if "elevation" in predictors.variables else ()
    return tuple(dict.fromkeys((*features, *more)))


def at_targets(
    samples: StationSamples, targets: npt.NDArray[np.int64], names: dict[str, str]
) -> dict[str, npt.NDArray[np.float32] | None]:
    """Read features of the estimated day at targets: (target,) by key of `names`; None where it is missing."""
    station, day = targets[:, 0], targets[:, 1]
    return {
        key: samples.values[station, day, samples.features.index(name)] if name in samples.features else None
        for key, name in names.items()
    }


_TARGET = "target "


def join_targets(monitors: Monitors, targets: Monitors) -> tuple[Monitors, npt.NDArray[np.bool_]]:
    """Join stations to be judged with those that feed the neighbours.

    Args:
        monitors: that feed the neighbours.
        targets: other stations with their observations.

    Returns:
        Both in one table, and bool (station,) of it: True for the targets, and for stations of `monitors` at
        the same place as a target, which must not feed it.
    """
    mine = targets.sites.assign(site_id=_TARGET + targets.sites["site_id"].astype(str))
    observations = targets.observations.assign(site_id=_TARGET + targets.observations["site_id"].astype(str))
    both = Monitors(
        sites=pd.concat([monitors.sites, mine], ignore_index=True),
        observations=pd.concat([monitors.observations, observations], ignore_index=True),
    )
    sites = both.sites
    lat, lon = sites["latitude"].to_numpy(), sites["longitude"].to_numpy()
    place = Stations(lat, lon, np.zeros(len(sites))).places()
    is_target = sites["site_id"].str.startswith(_TARGET).to_numpy()
    return both, np.isin(place, place[is_target])
