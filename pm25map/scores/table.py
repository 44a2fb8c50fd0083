"""Scores of several estimates on the same match-ups, all together and in parts, with intervals over stations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.scores.resampling import RESAMPLES, Resampled
from pm25map.scores.strata import LEVEL, StratumKey
from pm25map.scores.sums import scores_with_intervals, station_sums

_DIGITS = 4


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % interval over stations; None where undefined, such as over few stations."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Errors:
    """The scores of one estimate.

    Attributes:
        rmse, mae, mbe: ug m-3; mbe is estimate minus observation.
        r2: against the mean of these observations; None inside a class of the observation, where it would compare
            with the mean of what the class itself has chosen.
    """

    rmse: Interval
    mae: Interval
    mbe: Interval
    r2: Interval | None


@dataclass(frozen=True)
class StratumErrors:
    """The scores of several estimates on the same match-ups.

    Attributes:
        kind, stratum: which match-ups, such as "season" and "winter".
        n, stations: how many, of how many stations.
        errors: by estimate; None of one that is not known at all of these match-ups.
    """

    kind: str
    stratum: str
    n: int
    stations: int
    errors: dict[str, Errors | None]


def score_by_stratum(
    truth: npt.NDArray[np.floating],
    estimated: Mapping[str, npt.NDArray[np.floating] | None],
    station: npt.NDArray[np.integer],
    strata: Mapping[StratumKey, npt.NDArray[np.bool_]],
    draws: int = RESAMPLES,
) -> tuple[StratumErrors, ...]:
    """Score estimates in all strata that have a match-up.

    Args:
        truth: as observed, ug m-3 (match-up,).
        estimated: by name, ug m-3: (match-up,), or (model, match-up), of which the errors are averaged and not the
            estimates; None where there is no such estimate.
        station: number of each match-up's station; stations are drawn whole.
        strata: bool (match-up,), by kind and name.
        draws: of the stations.
    """
    return tuple(
        StratumErrors(
            kind,
            name,
            int(chosen.sum()),
            len(np.unique(station[chosen])),
            {
                key: _errors(truth[chosen], values[..., chosen], station[chosen], draws, kind)
                if values is not None
                else None
                for key, values in estimated.items()
            },
        )
        for (kind, name), chosen in strata.items()
        if chosen.any()
    )


def sums_of_models(
    truth: npt.NDArray[np.floating], estimated: npt.NDArray[np.floating], station: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Sum what the scores of one or several models need, station by station, as `sums.station_sums`.

    Args:
        truth: ug m-3 (match-up,).
        estimated: ug m-3, (match-up,) or (model, match-up).
        station: number of each match-up's station.
    """
    models = np.atleast_2d(estimated)
    names, number = np.unique(station, return_inverse=True)
    return station_sums(
        site=np.tile(number, len(models)),
        seed=np.repeat(np.arange(len(models)), len(number)),
        truth=np.tile(truth, len(models)),
        prediction=models.ravel(),
        stations=len(names),
        centre=float(np.mean(truth, dtype=np.float64)),
    )


def _errors(
    truth: npt.NDArray[np.floating],
    estimated: npt.NDArray[np.floating],
    station: npt.NDArray[np.integer],
    draws: int,
    kind: str,
) -> Errors | None:
    # A mean over fewer match-ups than the others have would not be comparable.
    if not np.isfinite(estimated).all():
        return None
    resampled = scores_with_intervals(sums_of_models(truth, estimated, station), draws)
    rmse, mae, mbe, r2 = (_rounded(resampled[name]) for name in ("rmse", "mae", "mbe", "r2"))
    return Errors(rmse, mae, mbe, None if kind == LEVEL else r2)


def _rounded(resampled: Resampled) -> Interval:
    values = (resampled.value, resampled.low, resampled.high)
    return Interval(*(round(value, _DIGITS) if math.isfinite(value) else None for value in values))
