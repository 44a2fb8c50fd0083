"""What monitors a map stands on: how many of which network, how far away, and how many days of its windows it had."""

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pm25map.grid import Block
from pm25map.predictors.reader import Predictors

FEW_MONITORS = 300
"""Fewer monitors than this carry no map of CONUS: EPA's network has had about 1,000 a day since 2009."""

FAR_KM = 300.0
"""Beyond this distance, the range of the kriging for smoke, a monitor says next to nothing of a place."""

DISTANCE = "neighbours_distance"

_PRELIMINARY = "preliminary"
_COUNT = "monitors "

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
        """Say which monitors: 812 of AQS 88101 and 310 of AQS 88502, final; empty where nothing is known."""
        if not self.counts:
            return ""
        text = " and ".join(f"{number:,} of {name}" for name, number in self.counts.items())
        if self.preliminary is None:
            return text
        if self.preliminary == 0:
            return f"{text}, final"
        part = "" if self.preliminary == self.count else f"{self.preliminary:,} "
        return f"{text}, {part}preliminary"

    @property
    def window_text(self) -> str:
        """Say how many days of the window were there: 15 of 21."""
        return f"{self.days_present} of {self.window_days}"

    def warnings(self) -> list[str]:
        """List what a reader of the map must know before the map is believed."""
        texts = []
        if self.count is not None and self.count < FEW_MONITORS:
            texts.append(f"only {self.count} monitors measured on this day")
        if self.far_share is not None and self.far_share > 0.5:
            texts.append(f"{self.far_share:.0%} of the land is over {FAR_KM:.0f} km from a monitor")
        if self.days_present < self.window_days:
            texts.append(f"its window has {self.window_text} days")
        return texts


def support_of(
    predictors: Predictors, day: dt.date, window: list[dt.date], asked: npt.NDArray[np.bool_]
) -> Support:
    """Say what the map of a day stands on.

    Args:
        predictors: that the map is made of.
        day: that is estimated.
        window: its days.
        asked: bool (y, x) of the grid, the cells that are estimated.
    """
    facts = predictors.facts_of(day)
    counts = {name.removeprefix(_COUNT): int(n) for name, n in facts.items() if name.startswith(_COUNT)}
    preliminary = int(facts[_PRELIMINARY]) if _PRELIMINARY in facts else None
    median_km = far_share = None
    if DISTANCE in predictors.daily:
        away = _distances(predictors, day, asked)
        median_km, far_share = float(np.median(away)), float(np.mean(away > FAR_KM))
    return Support(counts, preliminary, median_km, far_share, predictors.days_present(window), len(window))


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
