"""The sources of predictors: one file each."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pm25map.grid import Grid


class DailySource(Protocol):
    """A source of daily variables on a grid."""

    @property
    def name(self) -> str:
        """Return the name of the source, as for --source."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the names of its daily variables, as in the variable table."""
        ...

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Return the days for which it has no values, each with the reason in words for a user.

        An ingest leaves such days out and reports them; they stay missing in the store.
        """
        ...

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Return float32 (day, y, x) by name, in the table's units, NaN where missing.

        Args:
            grid: of the fields.
            days: without gaps, oldest first; none of them is lacking.
        """
        ...


@dataclass(frozen=True)
class DayInputs:
    """What the values of one day are computed from.

    Attributes:
        fingerprint: a part of the SHA-256 of all that decides the values, never 0: where it differs from that of a
            day in a store, the day is computed again.
        facts: numbers by name, for display, such as the monitors of a network.
    """

    fingerprint: int
    facts: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class TracedSource(Protocol):
    """A daily source with a fingerprint of the inputs of each day, so that revised input reaches a store."""

    def inputs_of(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, DayInputs]:
        """Return the fingerprints of some days; none of them is lacking."""
        ...


class LayerSource(Protocol):
    """A source of static variables on a grid."""

    @property
    def name(self) -> str:
        """Return the name of the source, as for --source."""
        ...

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Return the names of its static variables, as in the variable table."""
        ...

    def layers(self, grid: Grid) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield name and (y, x), or (month, y, x), one after another: finite on land, NaN off it."""
        ...


@runtime_checkable
class HasVersions(Protocol):
    """A source that chooses between versions of a provider's files."""

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Return a line for every file that another version replaces, naming both."""
        ...
