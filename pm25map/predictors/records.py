"""What the days of a store were computed from: a fingerprint for every variable, and numbers that sources state."""

from collections.abc import Sequence
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
        write_rows(marks, slots, column, prints)
    names = list(table.attrs["facts"])
    new = [name for name in dict.fromkeys(name for day in facts for name in day) if name not in names]
    if new:
        names += new
        table.resize((table.shape[0], len(names)))
        seal(table, {**table.attrs, "facts": names})
    for name in dict.fromkeys(name for day in facts for name in day):
        values = [day.get(name, np.nan) for day in facts]
        write_rows(table, slots, names.index(name), values)


def write_rows(table: Any, slots: slice, column: int, values: Sequence[float]) -> None:
    """Write a column of some days of a table, and that the chunks of these days have a file from then on.

    Zarr takes the file away of a chunk that holds nothing; then it could not be told from one that was lost.
    """
    rows = np.array(values, dtype=table.dtype)
    if not rows.size:
        return
    table.with_config({"write_empty_chunks": True})[slots, column] = rows
    side = table.chunks[0]
    known = set(table.attrs.get(_FILLED, ()))
    filled = known | set(range(slots.start // side, (slots.stop - 1) // side + 1))
    if filled != known:
        seal(table, {**table.attrs, _FILLED: sorted(filled)})


def files_of_empty_chunks(table: Any, days: npt.NDArray[Any]) -> list[str]:
    """Name the files of the chunks of a table (day, column) that were written and read as empty.

    A file that is not there was lost. The table was read from its begin.
    """
    side, nothing = table.chunks[0], table.fill_value
    empty = np.isnan(days) if np.isnan(nothing) else days == nothing
    chunks = [number for number in table.attrs.get(_FILLED, ()) if side * number < len(days)]
    return [f"{table.basename}/c/{n}/0" for n in chunks if empty[side * n : side * (n + 1)].all()]
