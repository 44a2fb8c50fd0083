"""Two models on the same stations and days: what one gains over the other, and how sure that is."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel
from pm25map.model.card import ModelCard
from pm25map.model.runtime import Session
from pm25map.monitors import Monitors
from pm25map.predictors.reader import Predictors
from pm25map.scores.evaluate import HIGH_UGM3, Matches, estimates, match, strata_of
from pm25map.scores.held_out import (
    BASELINES,
    at_targets,
    gather_held_out,
    places_of,
    with_baselines,
)
from pm25map.scores.resampling import bootstrap
from pm25map.scores.strata import ALL, LEVEL, StratumKey
from pm25map.scores.sums import scores_of_sums
from pm25map.scores.table import StratumErrors, score_by_stratum, sums_of_models
from pm25map.windows.samples import Progress, StationSamples

INTERPOLATION = "interpolation"
"""What a model is compared with where there is no other model."""

MODEL, AGAINST = "model", "against"
"""Names of the two sides in the table with the baselines."""

DRAWS = 2_000
"""Bootstrap draws of the stations; the intervals hold 95 % of them."""


@dataclass(frozen=True)
class Gain:
    """A score of both sides, and the first less the second with its 95 % interval over stations.

    Attributes:
        first, second: the score itself; None where undefined, such as the R2 of equal observations.
        difference, low, high: first less second; below zero is a gain for errors, above zero for R2. There is no
            interval over few stations.
    """

    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """Both sides on some of the targets.

    Attributes:
        stratum: which targets.
        n, stations: how many station days, of how many stations (monitors within 100 m are one).
        rmse, mae, mbe: ug m-3.
        r2: against the mean of these observations; None inside a class of the observation.
    """

    stratum: str
    n: int
    stations: int
    rmse: Gain
    mae: Gain
    mbe: Gain
    r2: Gain | None


@dataclass(frozen=True)
class Compared:
    """Two sides, stratum by stratum.

    Attributes:
        rows: what the first gains over the second.
        strata: of the same strata in the same order, what each side, interpolation and kriging score.
    """

    rows: tuple[Comparison, ...]
    strata: tuple[StratumErrors, ...]


def compare(
    first: Sequence[Session],
    second: Sequence[Session],
    monitors: Monitors,
    predictors: Predictors,
    days: tuple[dt.date, dt.date],
    above: Sequence[tuple[str, float]] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Score two sides on the stations that the training of both held out.

    Args:
        first, second: a model each, or the same model trained from several seeds: the squared and absolute
            errors of a side are the means over its models, not the errors of their mean. With no second
            model interpolation stands there: inverse distance, 9 nearest stations, power 2.
        monitors: that feed the neighbours; those held out feed nothing.
        predictors: a store with every feature but the neighbours.
        days: first and last day of the targets.
        above: variables and levels that the targets are divided by, as (name, level).
        cache: folder for the stations' neighbours; that of a training run will do.
        progress: called with the work done and the work in all.

    Raises:
        BadModel: the models were not made with the same held-out stations, window and grid.
        BadPredictors: the store lies on another grid than the models'.
        BadMonitors: they are not those of the training, or there is nothing to judge.
    """
    card = _agree([*first, *second])
    wanted = [name for name, _ in above] + ([] if second else [BASELINES[INTERPOLATION]])
    features = _union([*(s.card.scaler.features for s in (*first, *second)), wanted])
    held_out = gather_held_out(
        card,
        monitors,
        predictors,
        days,
        features=with_baselines(features, predictors),
        cache=cache,
        progress=progress,
    )
    samples, targets = held_out.samples, held_out.targets()
    matches = match(samples, targets)
    ours = np.stack([estimates(session, samples, targets, progress) for session in first])
    baseline = matches.baselines[INTERPOLATION]
    if second:
        theirs = np.stack([estimates(session, samples, targets, progress) for session in second])
    else:
        assert baseline is not None  # noqa: S101 - it was requested
        theirs = baseline[None]
    place = places_of(samples)[matches.station]
    masks = _strata(samples, matches, above) | strata_of(samples, matches)
    kinds = list(dict.fromkeys(kind for kind, _ in masks))
    parts = {
        key: masks[key] for key in sorted(masks, key=lambda key: kinds.index(key[0])) if masks[key].any()
    }
    sides = {MODEL: ours} | ({AGAINST: theirs} if second else {}) | matches.baselines
    return Compared(
        tuple(
            _without_r2(kind, gains(name, matches.truth[part], ours[:, part], theirs[:, part], place[part]))
            for (kind, name), part in parts.items()
        ),
        score_by_stratum(matches.truth, sides, place, parts, DRAWS),
    )


def _without_r2(kind: str, comparison: Comparison) -> Comparison:
    """Remove the R2 of a class of the observation: its mean would be that of a selection by the observation itself."""
    return replace(comparison, r2=None) if kind == LEVEL else comparison


def gains(
    stratum: str,
    truth: npt.NDArray[np.floating],
    first: npt.NDArray[np.floating],
    second: npt.NDArray[np.floating],
    station: npt.NDArray[np.integer],
    draws: int = DRAWS,
) -> Comparison:
    """Compare two sides on the same targets.

    Args:
        stratum: what the targets are called.
        truth: ug m-3 (target,).
        first, second: estimates, ug m-3 (model, target).
        station: number of the station of each target; whole stations are drawn, both sides together.
        draws: of the bootstrap, seed 0.
    """
    sums = np.concatenate([sums_of_models(truth, side, station) for side in (first, second)], axis=1)
    resampled = bootstrap(sums, _both, draws)

    def gain(score: str) -> Gain:
        a, b, apart = (resampled[f"{score} {what}"] for what in ("first", "second", "apart"))
        numbers = (a.value, b.value, apart.value, apart.low, apart.high)
        return Gain(*(round(value, 4) if np.isfinite(value) else None for value in numbers))

    return Comparison(stratum, len(truth), len(sums), gain("rmse"), gain("mae"), gain("mbe"), gain("r2"))


def _both(sums: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Score both sides of sums (..., 16), and the first less the second."""
    first, second = (scores_of_sums(part) for part in np.split(sums, 2, axis=-1))
    return (
        {f"{name} first": value for name, value in first.items()}
        | {f"{name} second": value for name, value in second.items()}
        | {f"{name} apart": value - second[name] for name, value in first.items()}
    )


def _strata(
    samples: StationSamples, matches: Matches, above: Sequence[tuple[str, float]]
) -> dict[StratumKey, npt.NDArray[np.bool_]]:
    """Divide the targets: all of them, above and below each level of a variable, and by the observation."""
    targets = np.stack([matches.station, matches.day], axis=1)
    masks: dict[StratumKey, npt.NDArray[np.bool_]] = {(ALL, ALL): np.ones(len(targets), dtype=np.bool_)}
    for name, level in above:
        values = at_targets(samples, targets, {name: name})[name]
        assert values is not None  # noqa: S101 - its feature was requested
        masks["above", f"{name} above {level:g}"] = values.astype(np.float64) > level
        masks["above", f"{name} up to {level:g}"] = values.astype(np.float64) <= level
    masks[LEVEL, f"above {HIGH_UGM3:g} ug/m3"] = matches.truth > HIGH_UGM3
    masks[LEVEL, f"up to {HIGH_UGM3:g} ug/m3"] = matches.truth <= HIGH_UGM3
    return masks


def _agree(sessions: Sequence[Session]) -> ModelCard:
    """Refuse models whose scores are not comparable."""
    card = sessions[0].card
    for session in sessions[1:]:
        other = session.card
        for what, mine, theirs in (
            ("monitors", card.training.monitors_checksum[:12], other.training.monitors_checksum[:12]),
            ("held-out stations (seed)", card.training.holdout_seed, other.training.holdout_seed),
            ("held-out stations (share)", card.training.holdout_fraction, other.training.holdout_fraction),
            ("window (days)", card.window_days, other.window_days),
            ("grid", card.grid_checksum[:12], other.grid_checksum[:12]),
        ):
            if mine != theirs:
                raise BadModel(
                    f"models {card.name} and {other.name} cannot be compared: {what} {mine} and {theirs}. "
                    f"Train both with the same"
                )
    return card


def _union(parts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Join names, each once, in the order they come in."""
    return tuple(dict.fromkeys(name for part in parts for name in part))
