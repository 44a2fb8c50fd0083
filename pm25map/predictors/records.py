"""What the days of a store were computed from: a fingerprint for every variable, and numbers that sources state."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.zarr_metadata import seal
from pm25map.predictors.layout import FACTS, FINGERPRINT, INPUTS, Group, add_table

_FILLED = "filled"
"""Attribute: numbers of the chunks of days of a table that hold something."""


def add_records(group: Group) -> None:
    """Make room for what the days were computed from, in a store that has none yet."""
    length, columns = group[FINGERPRINT].shape
    if INPUTS not in group:
        about = {"long_name": "0 where unknown, else a part of the checksum of what a day was computed from"}
        add_table(group, INPUTS, (length, columns), "int64", ("time", "daily_variable"), about)
    if FACTS not in group:
        stated = {"long_name": "What the sources state of a day", "facts": []}
        add_table(group, FACTS, (length, 0), "float32", ("time", "fact"), stated)


def write_records(
    group: Group, slots: slice, columns: list[int], prints: list[int], facts: list[dict[str, float]]
) -> None:
    """Write down what some days were computed from.

    Args:
        group: of the store.
        slots: of the days on the time axis.
        columns: of the daily variables.
        prints: of each day, what its values were computed from.
        facts: of each day, numbers by name.
    """
    add_records(group)
    marks, table = group[INPUTS], group[FACTS]
    for column in columns:
        marks[slots, column] = np.array(prints, dtype=np.int64)
    names = list(table.attrs["facts"])
    new = [name for name in dict.fromkeys(name for day in facts for name in day) if name not in names]
    if new:
        names += new
        table.resize((table.shape[0], len(names)))
        seal(table, {**table.attrs, "facts": names})
    for name in dict.fromkeys(name for day in facts for name in day):
        values = [day.get(name, np.nan) for day in facts]
        table[slots, names.index(name)] = np.array(values, dtype=np.float32)
    if any(prints):
        _mark_filled(marks, slots)
    if any(facts):
        _mark_filled(table, slots)


def _mark_filled(table: Any, slots: slice) -> None:
    """Write down which chunks of days of a table hold something: a chunk whose file is gone reads as empty."""
    side = table.chunks[0]
    known = set(table.attrs.get(_FILLED, ()))
    filled = known | set(range(slots.start // side, (slots.stop - 1) // side + 1))
    if filled != known:
        seal(table, {**table.attrs, _FILLED: sorted(filled)})


def is_emptied(table: Any, days: npt.NDArray[Any]) -> bool:
    """Return whether a table (day, column), read from its start, lost a chunk that had values."""
    side, nothing = table.chunks[0], table.fill_value
    lost = np.isnan(days) if np.isnan(nothing) else days == nothing
    return any(
        lost[side * n : side * (n + 1)].all() for n in table.attrs.get(_FILLED, ()) if side * n < len(days)
    )
