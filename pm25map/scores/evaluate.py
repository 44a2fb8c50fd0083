"""Scores of a model on stations that it never saw, beside plain interpolation on the same targets."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.errors import BadMonitors, BadPredictors
from pm25map.base.metrics import scores
from pm25map.model.card import ScoreRow
from pm25map.model.places import place_vectors
from pm25map.model.runtime import Session
from pm25map.model.splits import hold_out_stations
from pm25map.monitors import Monitors
from pm25map.predictors.neighbours import Stations
from pm25map.predictors.reader import Predictors
from pm25map.windows.gaps import fill_missing_days
from pm25map.windows.samples import Progress, StationSamples, gather_samples
from pm25map.windows.short import kept_by_day

DISTANCE_CLASSES_KM = ((0, 10), (10, 50), (50, 100), (100, np.inf))
HIGH_UGM3 = 35.0
TARGETS_AT_ONCE = 4096


@dataclass(frozen=True)
class Matches:
    """Targets with what the model and interpolation say of them; all (target,), ug m-3 and km.

    Attributes:
        station, day: numbers in the samples.
        truth: as measured, negatives kept.
        model: the model's estimate.
        idw: inverse distance, 9 nearest, power 2.
        distance: to the nearest station with a value that day.
    """

    station: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    truth: npt.NDArray[np.float32]
    model: npt.NDArray[np.float32]
    idw: npt.NDArray[np.float32]
    distance: npt.NDArray[np.float32]


def match(
    session: Session,
    samples: StationSamples,
    place: npt.NDArray[np.float32] | None,
    judged: npt.NDArray[np.bool_],
    start: dt.date,
    end: dt.date,
    progress: Progress | None = None,
) -> Matches:
    """Predict every target of the judged stations.

    Args:
        session: the model.
        samples: with the model's features; the judged stations were held out when they were gathered.
        place: (station, d), None for a model without a place.
        judged: bool (station,).
        start, end: days of the targets.
        progress: called with the targets done and the targets in all.

    Raises:
        BadMonitors: there is no target.
    """
    card = session.card
    targets = samples.targets(judged, start, end, card.window_days)
    if len(targets) == 0:
        raise BadMonitors(f"no station that is held out measured anything between {start} and {end}")
    model = estimates(session, samples, place, targets, progress)
    station, day = targets[:, 0], targets[:, 1]

    def field(name: str) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32] = samples.values[station, day, samples.features.index(name)]
        return values

    return Matches(
        station,
        day,
        samples.truth[station, day],
        model,
        field("neighbours_idw9"),
        field("neighbours_distance"),
    )


def estimates(
    session: Session,
    samples: StationSamples,
    place: npt.NDArray[np.float32] | None,
    targets: npt.NDArray[np.int64],
    progress: Progress | None = None,
    present: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float32]:
    """Predict targets (target, 2) of station and day numbers, as `StationSamples.targets` lists them: ug m-3.

    Where only some days of every window are present, bool (day,), the others are filled as they are on a map.
    """
    card = session.card
    daily = kept_by_day(samples.features)
    model = np.empty(len(targets), dtype=np.float32)
    for first in range(0, len(targets), TARGETS_AT_ONCE):
        part = targets[first : first + TARGETS_AT_ONCE]
        window = samples.windows(part, card.window_days)
        if present is not None:
            window = fill_missing_days(window, present, daily)
        window = card.scaler.apply(window)
        spots = None if place is None else place[part[:, 0]]
        model[first : first + len(part)] = session.run(window, spots)
        if progress is not None:
            progress(first + len(part), len(targets))
    return model


def score_table(matches: Matches) -> tuple[ScoreRow, ...]:
    """Score all targets, then by distance to the nearest station and by concentration."""
    strata = {"all": np.ones(len(matches.truth), dtype=np.bool_)}
    for low, high in DISTANCE_CLASSES_KM:
        name = f"nearest station {low}-{high} km" if np.isfinite(high) else f"nearest station over {low} km"
        strata[name] = (matches.distance >= low) & (matches.distance < high)
    strata[f"above {HIGH_UGM3:g} ug/m3"] = matches.truth > HIGH_UGM3
    strata[f"up to {HIGH_UGM3:g} ug/m3"] = matches.truth <= HIGH_UGM3
    return tuple(_row(name, matches, chosen) for name, chosen in strata.items())


def _row(name: str, matches: Matches, chosen: npt.NDArray[np.bool_]) -> ScoreRow:
    ours = scores(matches.truth[chosen], matches.model[chosen])
    plain = scores(matches.truth[chosen], matches.idw[chosen])
    if not ours["n"]:
        nothing = dict.fromkeys(
            ("r2", "rmse", "mae", "mbe", "idw_rmse", "idw_mae", "rmse_ratio", "mae_ratio"), None
        )
        return ScoreRow(stratum=name, n=0, **nothing)
    numbers = {
        "r2": ours["r2"] if np.isfinite(ours["r2"]) else None,
        "rmse": ours["rmse"],
        "mae": ours["mae"],
        "mbe": ours["mbe"],
        "idw_rmse": plain["rmse"],
        "idw_mae": plain["mae"],
        "rmse_ratio": ours["rmse"] / plain["rmse"],
        "mae_ratio": ours["mae"] / plain["mae"],
    }
    rounded = {key: None if value is None else round(float(value), 4) for key, value in numbers.items()}
    return ScoreRow(stratum=name, n=int(ours["n"]), **rounded)


def join_targets(monitors: Monitors, targets: Monitors) -> tuple[Monitors, npt.NDArray[np.bool_]]:
    """Put stations to be judged beside those that feed the neighbours.

    Args:
        monitors: that feed the neighbours.
        targets: other stations with their observations.

    Returns:
        Both in one table, and bool (station,) of it: True for the targets, and for stations of `monitors` at
        the same place as a target, which must not feed it.
    """
    mine = targets.sites.assign(site_id="target " + targets.sites["site_id"].astype(str))
    seen = targets.observations.assign(site_id="target " + targets.observations["site_id"].astype(str))
    both = Monitors(
        sites=pd.concat([monitors.sites, mine], ignore_index=True),
        observations=pd.concat([monitors.observations, seen], ignore_index=True),
    )
    sites = both.sites
    lat, lon = sites["latitude"].to_numpy(), sites["longitude"].to_numpy()
    place = Stations(lat, lon, np.zeros(len(sites))).places()
    is_target = sites["site_id"].str.startswith("target ").to_numpy()
    return both, np.isin(place, place[is_target])


def judge(
    session: Session,
    monitors: Monitors,
    predictors: Predictors,
    start: dt.date,
    end: dt.date,
    targets: Monitors | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[ScoreRow, ...], int]:
    """Score a model on the stations that its training held out, or on others.

    Args:
        session: the model.
        monitors: that feed the neighbours; those held out in training feed nothing here either.
        predictors: a store with the static layers of the model's features.
        start, end: days of the targets.
        targets: stations to judge instead of those held out.
        cache: folder for the stations' neighbours.
        progress: called with what is done and what is to do.

    Returns:
        The score table, and how many stations were judged.

    Raises:
        BadMonitors: there is nothing to judge.
        BadPredictors: the store lies on another grid than the model's.
    """
    samples, judged, place = gather_judged(
        session, monitors, predictors, start, end, targets, cache, progress
    )
    matches = match(session, samples, place, judged, start, end, progress)
    return score_table(matches), len(np.unique(matches.station))


def gather_judged(
    session: Session,
    monitors: Monitors,
    predictors: Predictors,
    start: dt.date,
    end: dt.date,
    targets: Monitors | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> tuple[StationSamples, npt.NDArray[np.bool_], npt.NDArray[np.float32] | None]:
    """Gather what a model needs for the stations by which it is judged; arguments and errors as of `judge`.

    Returns:
        Samples of all stations, bool (station,) of those that are judged, and the places (station, d) or None.
    """
    card, training = session.card, session.card.training
    if predictors.grid.checksum != card.grid_checksum:
        raise BadPredictors(
            f"{predictors.path} does not lie on grid {card.grid} of model {card.name}: make a store for it with "
            f"pm25map data ingest --source static --grid {card.grid} --store static.zarr"
        )
    if targets is None:
        sites = monitors.sites
        lat, lon = sites["latitude"].to_numpy(), sites["longitude"].to_numpy()
        held_out = hold_out_stations(lat, lon, training.holdout_fraction, training.holdout_seed)
    else:
        monitors, held_out = join_targets(monitors, targets)
    first, last = start, end
    if cache is not None and training.start <= start and end <= training.end:
        # The days of the training run: what it gathered serves again.
        first, last = training.start, training.end
    first -= dt.timedelta(days=card.window_days - 1)
    samples = gather_samples(
        monitors, predictors, card.scaler.features, first, last, held_out, cache, progress
    )
    names = monitors.sites["site_id"].to_numpy(dtype=str)[held_out]
    judged = np.isin(samples.site_ids, [n for n in names if targets is None or n.startswith("target ")])
    place, _ = place_vectors(card.place.encoder, samples.lat, samples.lon)
    return samples, judged, place
