"""Where predictors come from: one file a source."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

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
        """Name the daily variables it gives, as the variable table does."""
        ...

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Say on which days it cannot give its variables, and why: what is absent, in words for a user.

        An ingest leaves such days out and says so; they stay missing in the store.
        """
        ...

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Give float32 (day, y, x) by name, in the table's units, NaN where missing.

        Args:
            grid: to give them on.
            days: without gaps, oldest first; none of them is lacking.
        """
        ...


@dataclass(frozen=True)
class DayInputs:
    """What the values of one day are computed from.

    Attributes:
        fingerprint: a part of the SHA-256 of all that decides the values, never 0: where it differs from that of a
            day in a store, the day is computed again.
        facts: numbers for people by name, such as the monitors of a network.
    """

    fingerprint: int
    facts: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class TracedSource(Protocol):
    """A daily source that says what each of its days is computed from, so that revised input reaches a store."""

    def inputs_of(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, DayInputs]:
        """Say what some days are computed from; none of them is lacking."""
        ...


class LayerSource(Protocol):
    """Gives static variables of a grid."""

    @property
    def name(self) -> str:
        """Name the source as --source does."""
        ...

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Name the static variables it gives, as the variable table does."""
        ...

    def layers(self, grid: Grid) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Give name and (y, x), or (month, y, x), one after another: finite on land, NaN off it."""
        ...


@runtime_checkable
class HasVersions(Protocol):
    """Chooses between versions of a provider's files."""

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Return a line for every file that another version replaces, naming both."""
        ...
