"""Scores of a model on held-out stations, beside interpolation and kriging of the same targets."""

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.metrics import scores
from pm25map.model.card import ScoreRow
from pm25map.model.places import place_vectors
from pm25map.model.runtime import Session
from pm25map.monitors import Monitors
from pm25map.predictors.reader import Predictors
from pm25map.scores.held_out import (
    BASELINES,
    DISTANCE,
    at_targets,
    gather_held_out,
    places_of,
    with_baselines,
)
from pm25map.scores.strata import StratumKey, distance_class, distance_names, parts_of, region_of
from pm25map.scores.table import StratumErrors, score_by_stratum
from pm25map.windows.gaps import fill_missing_days
from pm25map.windows.samples import Progress, StationSamples
from pm25map.windows.short import kept_by_day

HIGH_UGM3 = 35.0
TARGETS_AT_ONCE = 4096

ESTIMATE = "estimate"
"""Name of the model's estimates beside those of the baselines."""

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Matches:
    """Targets with their observations and the estimates of the baselines; all (target,), ug m-3 and km.

    Attributes:
        station, day: numbers in the samples.
        truth: as measured, negatives kept.
        distance: to the nearest station with a value that day; NaN where the samples do not hold it.
        baselines: interpolation and kriging, by name; None where the samples do not hold it.
    """

    station: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    truth: Values
    distance: Values
    baselines: dict[str, Values | None]


def match(samples: StationSamples, targets: npt.NDArray[np.int64]) -> Matches:
    """Read the observations and the baselines of targets, (target, 2) of station and day numbers."""
    station, day = targets[:, 0], targets[:, 1]
    distance = at_targets(samples, targets, {DISTANCE: DISTANCE})[DISTANCE]
    return Matches(
        station,
        day,
        samples.truth[station, day],
        np.full(len(targets), np.nan, dtype=np.float32) if distance is None else distance,
        at_targets(samples, targets, BASELINES),
    )


def strata_of(samples: StationSamples, matches: Matches) -> dict[StratumKey, npt.NDArray[np.bool_]]:
    """Divide targets by distance, level, season and region, as `strata.parts_of`."""
    month = np.array([day.month for day in samples.days])[matches.day]
    region = region_of(samples.lat, samples.lon)[matches.station]
    return parts_of(matches.truth, matches.distance, month, region)


def score_table(matches: Matches, model: Values) -> tuple[ScoreRow, ...]:
    """Score all targets, then by distance to the nearest station and by concentration, as a model's card holds it."""
    far = distance_class(matches.distance)
    strata = {"all": np.ones(len(matches.truth), dtype=np.bool_)}
    strata |= {f"nearest station {name}": far == i for i, name in enumerate(distance_names())}
    strata[f"above {HIGH_UGM3:g} ug/m3"] = matches.truth > HIGH_UGM3
    strata[f"up to {HIGH_UGM3:g} ug/m3"] = matches.truth <= HIGH_UGM3
    return tuple(_row(name, matches, model, chosen) for name, chosen in strata.items())


def _row(name: str, matches: Matches, model: Values, chosen: npt.NDArray[np.bool_]) -> ScoreRow:
    ours = scores(matches.truth[chosen], model[chosen])
    numbers = {key: ours[key] for key in ("r2", "rmse", "mae", "mbe")}
    idw = matches.baselines["interpolation"]
    plain = scores(matches.truth[chosen], idw[chosen]) if idw is not None else {}
    for key in ("rmse", "mae"):
        numbers[f"idw_{key}"] = plain.get(key, np.nan)
        numbers[f"{key}_ratio"] = ours[key] / plain[key] if plain else np.nan
    rounded = {key: round(float(v), 4) if np.isfinite(v) else None for key, v in numbers.items()}
    return ScoreRow(stratum=name, n=int(ours["n"]), **rounded)


@dataclass(frozen=True)
class Judgement:
    """Scores of a model on held-out stations.

    Attributes:
        rows: as its card holds them.
        stations: how many were judged.
        strata: of the model, interpolation and kriging, with intervals over stations (within 100 m they are one).
    """

    rows: tuple[ScoreRow, ...]
    stations: int
    strata: tuple[StratumErrors, ...]


def judge(
    session: Session,
    monitors: Monitors,
    predictors: Predictors,
    start: dt.date,
    end: dt.date,
    targets: Monitors | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Judgement:
    """Score a model on the stations that its training held out, or on others.

    Args:
        session: the model.
        monitors: that feed the neighbours; those held out in training feed nothing here either.
        predictors: a store with the static layers of the model's features.
        start, end: days of the targets.
        targets: stations to judge instead of those held out.
        cache: folder for the stations' neighbours.
        progress: called with the work done and the work in all.

    Raises:
        BadMonitors: there is nothing to judge.
        BadPredictors: the store lies on another grid than the model's.
    """
    card = session.card
    held_out = gather_held_out(
        card,
        monitors,
        predictors,
        (start, end),
        features=with_baselines(card.scaler.features, predictors),
        targets=targets,
        cache=cache,
        progress=progress,
    )
    samples, chosen = held_out.samples, held_out.targets()
    model = estimates(session, samples, chosen, progress)
    matches = match(samples, chosen)
    return Judgement(
        score_table(matches, model),
        len(np.unique(matches.station)),
        score_by_stratum(
            matches.truth,
            {ESTIMATE: model, **matches.baselines},
            places_of(samples)[matches.station],
            strata_of(samples, matches),
        ),
    )


def of_model(session: Session, samples: StationSamples) -> StationSamples:
    """Select the features that a model reads, in its order."""
    features = session.card.scaler.features
    if features == samples.features:
        return samples
    read = [samples.features.index(name) for name in features]
    return replace(samples, features=features, values=samples.values[:, :, read])


def estimates(
    session: Session,
    samples: StationSamples,
    targets: npt.NDArray[np.int64],
    progress: Progress | None = None,
    present: npt.NDArray[np.bool_] | None = None,
    *,
    place: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Predict targets at stations.

    Args:
        session: the model.
        samples: with the features that the model reads, and maybe more.
        targets: (target, 2) of station and day numbers, as `StationSamples.targets` lists them.
        progress: called with the targets done and in all.
        present: bool (day,): the days of every window that are there; the others are filled as they are on a map.
        place: vectors of the stations (station, d); those that the model's encoder gives where None.

    Returns:
        Estimates, ug m-3 (target,).
    """
    card, samples = session.card, of_model(session, samples)
    if place is None:
        place, _ = place_vectors(card.place.encoder, samples.lat, samples.lon)
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
