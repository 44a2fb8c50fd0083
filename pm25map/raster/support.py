"""What monitors a map stands on: how many of which network, how far away, and how many days of its windows it had."""

import datetime as dt
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pm25map.grid import Block
from pm25map.monitors.facts import counts_in, preliminary_in, status_text
from pm25map.predictors.reader import Predictors

FEW_MONITORS = 300
"""Fewer monitors than this carry no map of CONUS: EPA's network has had about 1,000 a day since 2009."""

FAR_KM = 300.0
"""Beyond this distance, the range of the kriging for smoke, a monitor says next to nothing of a place."""

DISTANCE = "neighbours_distance"

_WHOLE_GRID_CELLS = 2_000_000
"""Up to this size the distances of a day are read at once."""


@dataclass(frozen=True)
class Support:
    """What one map stands on.

    Attributes:
        counts: monitors that measured on the day, by network and parameter; empty where the store says nothing.
        preliminary: how many of these values are preliminary; None where the store says nothing.
        median_km: median distance of the estimated cells to the nearest monitor; None where the store has none.
        far_share: share of the estimated cells farther than FAR_KM from every monitor; None likewise.
        days_present, window_days: days of the window that the store had, and days that a window has.
    """

    counts: dict[str, int] = field(default_factory=dict)
    preliminary: int | None = None
    median_km: float | None = None
    far_share: float | None = None
    days_present: int = 0
    window_days: int = 0

    @property
    def count(self) -> int | None:
        """Count the monitors of the day; None where the store does not say."""
        return sum(self.counts.values()) if self.counts else None

    @property
    def monitors_text(self) -> str:
        """Return which monitors: 812 of AQS 88101 and 310 of AQS 88502, final; empty where nothing is known."""
        if not self.counts:
            return ""
        text = " and ".join(f"{number:,} of {name}" for name, number in self.counts.items())
        return ", ".join(filter(None, (text, status_text(self.count, self.preliminary))))

    @property
    def window_text(self) -> str:
        """Return how many days of the window were there: 15 of 21."""
        return f"{self.days_present} of {self.window_days}"

    def tags(self) -> dict[str, str]:
        """Write what a map says of it: fields of Provenance by name, empty where nothing is known."""
        return {
            "monitors": self.monitors_text,
            "monitor_distance_km": "" if self.median_km is None else f"{self.median_km:.1f}",
            "window": self.window_text,
            "warnings": "; ".join(
                warnings_of(self.count, self.far_share, self.days_present, self.window_days)
            ),
        }


def warnings_of(count: int | None, far_share: float | None, present: int, window_days: int) -> list[str]:
    """List what a reader of a map must know before the map is believed; arguments as in Support."""
    texts = []
    if count is not None and count < FEW_MONITORS:
        texts.append(f"only {count} monitor{'' if count == 1 else 's'} measured on this day")
    if far_share is not None and far_share > 0.5:
        texts.append(f"{far_share:.0%} of the land is over {FAR_KM:.0f} km from a monitor")
    if present < window_days:
        texts.append(f"its window has {present} of {window_days} days")
    return texts


def support_of(
    predictors: Predictors, day: dt.date, window: list[dt.date], asked: npt.NDArray[np.bool_]
) -> Support:
    """Return what the map of a day stands on.

    Args:
        predictors: that the map is made of.
        day: that is estimated.
        window: its days.
        asked: bool (y, x) of the grid, the cells that are estimated.
    """
    known = support_without_distances(predictors, day, window)
    median_km, far_share = distances_of(predictors, day, asked)
    if np.isnan(median_km):
        return known
    return replace(known, median_km=median_km, far_share=far_share)


def support_without_distances(predictors: Predictors, day: dt.date, window: list[dt.date]) -> Support:
    """Return what needs no field to be read; else as `support_of`."""
    facts = predictors.facts_of(day)
    return Support(
        counts_in(facts),
        preliminary_in(facts),
        days_present=predictors.days_present(window),
        window_days=len(window),
    )


def distances_of(predictors: Predictors, day: dt.date, asked: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the median distance of the estimated cells to a monitor, km, and the share farther than FAR_KM.

    Both are NaN where the predictors do not hold the distance.
    """
    if DISTANCE not in predictors.daily:
        return float("nan"), float("nan")
    away = _distances(predictors, day, asked)
    return float(np.median(away)), float(np.mean(away > FAR_KM))


def _distances(predictors: Predictors, day: dt.date, asked: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Read the distance to the nearest monitor of the estimated cells, km (cell,)."""
    grid = predictors.grid
    small = grid.land.size <= _WHOLE_GRID_CELLS
    blocks = [Block(0, 0, *grid.shape)] if small else grid.blocks()
    parts = [
        predictors.read((DISTANCE,), [day], block)[0, 0][asked[block.slices]]
        for block in blocks
        if asked[block.slices].any()
    ]
    return np.concatenate(parts)
