"""Intervals of scores over stations: stations are drawn again with replacement, each with all of its targets.

A score is a function of sums over stations, so that a draw is a weight for each station's sums and a thousand draws
are one matrix product. In place of stations there may be other units, such as blocks of the globe.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

COVERAGE = 0.95
RESAMPLES = 1000
LEAST_STATIONS = 5
"""The least number of stations for an interval over stations."""


@dataclass(frozen=True)
class Resampled:
    """A score with its 95 % interval; NaN where undefined."""

    value: float
    low: float
    high: float


@functools.lru_cache(maxsize=16)
def resamples(stations: int, draws: int = RESAMPLES, seed: int | tuple[int, ...] = 0) -> Floats:
    """Draw stations with replacement: how often each is drawn, float64 (draw, station).

    The same stations and seed give the same draws, so differences between variants are paired. Treat them as
    read-only: the last ones are kept.
    """
    rng = np.random.default_rng(seed)
    drawn: Floats = rng.multinomial(stations, np.full(stations, 1 / stations), size=draws).astype(np.float64)
    return drawn


def interval(value: float, drawn: Floats) -> Resampled:
    """Join a value with the percentile interval of its resamples."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Resampled(value, np.nan, np.nan)
    low, high = np.quantile(known, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Resampled(value, float(low), float(high))


def bootstrap(
    sums: Floats,
    scores: Callable[[Floats], Mapping[str, Floats]],
    draws: int = RESAMPLES,
    seed: int | tuple[int, ...] = 0,
    least: int = LEAST_STATIONS,
) -> dict[str, Resampled]:
    """Score sums over stations, with intervals.

    Args:
        sums: what adds up over stations (station, column), of at least one station.
        scores: turns sums (..., column) into scores (...,) by name.
        draws: resamples of the stations.
        seed: of the draws.
        least: stations below which there are no intervals.
    """
    whole = scores(sums.sum(axis=0))
    if len(sums) < least:
        return {name: Resampled(float(value), np.nan, np.nan) for name, value in whole.items()}
    drawn = scores(resamples(len(sums), draws, seed) @ sums)
    return {name: interval(float(value), drawn[name]) for name, value in whole.items()}
