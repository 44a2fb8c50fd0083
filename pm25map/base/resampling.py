"""Intervals of scores over stations: stations are drawn again with replacement, each with all of its targets."""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

COVERAGE = 0.95
RESAMPLES = 1000
LEAST_STATIONS = 5
"""Stations from which an interval over stations says something."""


@dataclass(frozen=True)
class Estimate:
    """A score with its 95 % interval; NaN where nothing can be said."""

    value: float
    low: float
    high: float


@functools.lru_cache(maxsize=16)
def resamples(stations: int, draws: int = RESAMPLES, seed: int = 0) -> Floats:
    """Draw stations with replacement: how often each is drawn, float64 (draw, station).

    The same stations and seed give the same draws, so differences between variants are paired. Treat them as
    read-only: the last ones are kept.
    """
    rng = np.random.default_rng(seed)
    drawn: Floats = rng.multinomial(stations, np.full(stations, 1 / stations), size=draws).astype(np.float64)
    return drawn


def interval(value: float, drawn: Floats) -> Estimate:
    """Join a value with the percentile interval of its resamples."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(known, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Estimate(value, float(low), float(high))


def rmse_over_stations(
    observed: npt.NDArray[np.floating], predicted: npt.NDArray[np.floating], station: npt.NDArray[np.integer]
) -> Estimate:
    """Score predictions by their RMSE, with its interval over the stations.

    Args:
        observed, predicted: (target,), one unit.
        station: number of each target's station, from 0 without gaps.

    Returns:
        in that unit; all NaN where a value is, or where there is no target; no interval of few stations.
    """
    error = np.asarray(predicted, np.float64) - np.asarray(observed, np.float64)
    if not error.size or not np.isfinite(error).all():
        return Estimate(np.nan, np.nan, np.nan)
    sums = np.stack([np.bincount(station), np.bincount(station, error**2)], axis=1)  # (station, 2)
    whole = float(np.sqrt(np.mean(error**2)))
    if len(sums) < LEAST_STATIONS:
        return Estimate(whole, np.nan, np.nan)
    drawn = resamples(len(sums)) @ sums
    return interval(whole, np.sqrt(drawn[:, 1] / drawn[:, 0]))
