"""Where predictors come from: one file a source."""

import datetime as dt
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pm25map.grid import Grid


class DailySource(Protocol):
    """Gives daily variables of a grid; holds what it computes them from."""

    @property
    def name(self) -> str:
        """Name the source as --source does."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """Name what it gives, as the variable table does."""
        ...

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Give float32 (day, y, x) by name, in the table's units, NaN where missing.

        Args:
            grid: to give them on.
            days: without gaps, oldest first.
        """
        ...
