"""Writing the predictor store: it is created empty, extended, and filled a whole day or a whole layer at a time.

A store is a Zarr v3 group: daily variables (time, y, x), climatologies (month, y, x), static layers (y, x),
NaN where missing and off land. A day of a variable counts only once its fingerprint is written, which happens
after its values: an ingest that stops half-way leaves no half day. Processes that write one store take turns, and
each look at the store again when their turn comes.
"""

import contextlib
import datetime as dt
import errno
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.days import days_between
from pm25map.base.errors import BadOutput, BadPredictors, DiskFull
from pm25map.base.files import check_output, replacing
from pm25map.base.zarr_metadata import seal
from pm25map.grid import Grid
from pm25map.predictors import layout
from pm25map.predictors.lock import only_writer
from pm25map.predictors.reader import Predictors, open_predictors
from pm25map.predictors.records import write_records, write_rows
from pm25map.predictors.sources import DayInputs
from pm25map.predictors.variables import Variable, check_range, variable

__all__ = [
    "Predictors",
    "add_variables",
    "create_store",
    "extend_store",
    "forget",
    "open_predictors",
    "write_day",
    "write_days",
    "write_layer",
]


def create_store(
    path: Path,
    grid: Grid,
    variables: Iterable[str],
    start: dt.date,
    end: dt.date,
    *,
    precision: Mapping[str, float] | None = None,
    history: str = "created",
    overwrite: bool = False,
) -> Path:
    """Make a store with room for some daily variables and days, and with none of their values.

    Static layers and climatologies come in with `write_layer`; calendar variables are never stored.

    Args:
        path: folder to write, named *.zarr. Written beside and renamed.
        grid: that the variables lie on.
        variables: names from the table.
        start: first day.
        end: last day, included; a store can grow later.
        precision: step of the daily variables that shall be packed to int16, in their units.
        history: the command that creates the store, for its attribute.
        overwrite: replace a store that is there.

    Raises:
        BadOutput: the store cannot be written, or exists.
        UnknownName: the table lacks a variable.
    """
    path = Path(path)
    rows = [variable(name) for name in variables]
    if path.suffix != ".zarr":
        raise BadOutput(f"cannot make a store at {path}: name it *.zarr")
    if path.exists() and not overwrite:
        raise BadOutput(f"{path} exists already. Ingest into it, or choose another name")
    if not path.exists():
        check_output(path, overwrite=overwrite)
    length = len(days_between(start, end))
    with only_writer(path), replacing(path) as part:
        group = layout.open_group(part, "w")
        layout.add_frame(group, grid, start, end, history)
        for row in rows:
            if row.kind == "daily":
                layout.add_daily(group, grid, row, length, (precision or {}).get(row.name))
    return path


def add_variables(path: Path, variables: Iterable[str]) -> None:
    """Make room in a store for daily variables that it does not hold yet.

    Raises:
        BadPredictors: there is no such store.
        UnknownName: the table lacks a variable.
    """
    wanted = [row for row in map(variable, variables) if row.kind == "daily"]
    with only_writer(path):
        store = open_predictors(path)
        lacking = [row for row in wanted if row.name not in store.daily]
        if not lacking:
            return
        with _writing(path) as group:
            for row in lacking:
                layout.add_daily(group, store.grid, row, group["time"].shape[0], None)


def extend_store(path: Path, start: dt.date, end: dt.date) -> None:
    """Let a store reach from start to end at least; what it holds stays.

    At its end a store grows in place. At its start it is copied to a longer one beside and renamed.

    Raises:
        BadPredictors: there is no such store.
        BadOutput: the store cannot be written.
    """
    from pm25map.predictors.pack import copy_store  # noqa: PLC0415 - pack writes stores and so imports this file

    with only_writer(path):
        store = open_predictors(path)
        first, last = store.span
        if start < first:
            with replacing(path) as part:
                copy_store(store, part, start, max(last, end))
        elif end > last:
            with _writing(path) as group:
                layout.lengthen(group, store.daily, (end - first).days + 1)


def write_day(path: Path, day: dt.date, values: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Write one day of some daily variables: arrays (y, x). As `write_days`."""
    write_days(path, [day], {name: array[np.newaxis] for name, array in values.items()})


def write_days(
    path: Path,
    days: list[dt.date],
    values: Mapping[str, npt.NDArray[np.float32]],
    inputs: Mapping[dt.date, DayInputs] | None = None,
) -> None:
    """Write some days of some daily variables, all checked before the first is written.

    Args:
        path: of the store, which grows where a day lies outside of it.
        days: without gaps, oldest first. Days that fill whole shards (see layout) are written fastest.
        values: arrays (day, y, x) by name, in the table's units; off land they are ignored.
        inputs: what each day was computed from, where its source says so.

    Raises:
        BadPredictors: a wrong shape, a value outside of the valid range, a gap where the table allows none,
            or a variable that the store does not hold.
        BadOutput: the store cannot be written.
    """
    if days != days_between(days[0], days[-1]):
        raise BadPredictors(f"days to write must follow each other: {days[0]} to {days[-1]} has gaps")
    store = open_predictors(path)
    checked = {name: _checked_days(store, variable(name), days, array) for name, array in values.items()}
    with only_writer(path):
        extend_store(path, days[0], days[-1])
        # Another writer may have moved the first day while this one waited.
        first = open_predictors(path).span[0]
        with _writing(path) as group:
            _write_days(group, (days[0] - first).days, checked, [(inputs or {}).get(day) for day in days])


def _write_days(
    group: layout.Group,
    first: int,
    checked: Mapping[str, npt.NDArray[np.float32]],
    inputs: list[DayInputs | None],
) -> None:
    """Write values, then the fingerprints that make their days whole; until then the days are missing."""
    slots = slice(first, first + len(next(iter(checked.values()))))
    marker = group[layout.FINGERPRINT]
    columns = [marker.attrs["variables"].index(name) for name in checked]
    for column in columns:
        write_rows(marker, slots, column, [0] * (slots.stop - slots.start))
    prints = []
    for name, array in checked.items():
        encoded = layout.encode(array, dict(group[name].attrs))
        try:
            group[name][slots] = encoded
        except (ValueError, RuntimeError) as error:
            raise BadPredictors(
                f"cannot write {name} into the store: what stands beside these days is damaged "
                f"({str(error).splitlines()[0]}). Run: pm25map data verify --store STORE --forget"
            ) from error
        prints.append([layout.fingerprint(day) for day in encoded])
    if any(inputs) or layout.INPUTS in group:
        write_records(
            group,
            slots,
            columns,
            [one.fingerprint if one else 0 for one in inputs],
            [dict(one.facts) if one else {} for one in inputs],
        )
    for column, numbers in zip(columns, prints, strict=True):
        write_rows(marker, slots, column, numbers)


def write_layer(path: Path, name: str, values: npt.NDArray[np.float32]) -> None:
    """Write a static variable (y, x) or a climatology (month, y, x), or replace it.

    Raises:
        BadPredictors: a wrong shape or kind, a value outside of the valid range, or a gap on land.
        BadOutput: the store cannot be written.
    """
    store = open_predictors(path)
    row = variable(name)
    if row.kind not in ("static", "climatology"):
        raise BadPredictors(f"{name} is {row.kind}, not a layer: a source of days writes it, or none")
    lead = (12,) if row.kind == "climatology" else ()
    shape = (*lead, *store.grid.shape)
    if lead and values.shape == shape:
        # Month by month: of a grid of 1 km, all twelve are 650 MB, and checking takes several times as much.
        layer = np.empty(shape, dtype=np.float32)
        for month in range(12):
            layer[month] = _checked(
                store, row, values[month : month + 1], (1, *shape[1:]), [f"month {month + 1}"]
            )
    else:
        layer = _checked(store, row, values, shape, [])
    with only_writer(path), _writing(path) as group:
        layout.add_layer(group, store.grid, row, layer)


def forget(path: Path, name: str, days: list[dt.date]) -> None:
    """Mark a layer, or some days of a daily variable, as missing, so that an ingest writes them again.

    Args:
        path: of the store.
        name: of the variable.
        days: of a daily variable; none for a layer.

    Raises:
        BadPredictors: there is no such store or variable.
        BadOutput: the store cannot be written.
    """
    with only_writer(path):
        store = open_predictors(path)
        if name not in store.variables:
            raise BadPredictors(f"{path} holds no {name} to forget: it has {', '.join(store.variables)}")
        with _writing(path) as group:
            if name in store.layers:
                attributes = dict(group[name].attrs)
                del attributes[layout.FINGERPRINT]
                seal(group[name], attributes)
                return
            marker = group[layout.FINGERPRINT]
            column = marker.attrs["variables"].index(name)
            slots = [(day - store.span[0]).days for day in days]
            for slot in slots:
                write_rows(marker, slice(slot, slot + 1), column, [0])
            for number in {slot // layout.CHUNK_DAYS for slot in slots}:
                span = layout.chunk_days(number, group[name].shape[0])
                if not np.any(marker[span.start : span.stop, column]):
                    _empty(group[name], span, path)


def _empty(array: layout.Group, span: range, path: Path) -> None:
    """Empty a chunk of days: one that cannot be read could not be written day by day either."""
    try:
        array[span.start : span.stop] = array.fill_value
    except (ValueError, RuntimeError) as error:
        raise BadPredictors(
            f"a whole file of {array.basename} in {path} is damaged ({str(error).splitlines()[0]}). Make the store "
            f"again with pm25map data ingest"
        ) from error


def _checked_days(
    store: Predictors, row: Variable, days: list[dt.date], values: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    if row.name not in store.daily:
        raise BadPredictors(f"{store.path} has no daily variable {row.name}: add it with add_variables")
    return _checked(store, row, values, (len(days), *store.grid.shape), days)


def _checked(
    store: Predictors,
    row: Variable,
    values: npt.NDArray[np.float32],
    shape: tuple[int, ...],
    labels: list[Any],
) -> npt.NDArray[np.float32]:
    """Refuse what must not enter a store; give the values with NaN off land."""
    if values.shape != shape:
        raise BadPredictors(
            f"{row.name} has shape {values.shape}, and grid {store.grid.name} needs {shape}: "
            f"bring it to the grid first"
        )
    on_land = np.where(store.grid.land, values, np.float32(np.nan)).astype(np.float32, copy=False)
    if np.isinf(on_land).any():
        raise BadPredictors(f"{row.name} is infinite at places: write a missing value as NaN")
    check_range(row, on_land, f"the values for {store.path.name}", labels)
    if row.filling in ("stop", "nearest"):
        gaps = np.isnan(on_land[..., store.grid.land])
        if gaps.any():
            where = f" on {labels[int(np.argwhere(gaps)[0][0])]}" if labels else ""
            raise BadPredictors(
                f"{row.name} is missing at {int(gaps.sum())} land cells{where}, and may not be: "
                f"check its source"
            )
    return on_land


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[layout.Group]:
    """Open the group of a store for writing; say it in one line where the disk does not let us.

    Raises:
        BadOutput: the store is a zip file, the disk is full, or the store may not be written.
    """
    if Path(path).suffix == ".zip":
        raise BadOutput(f"cannot write into {path}: a zipped store is read only. Ingest into a folder *.zarr")
    try:
        yield layout.open_group(Path(path), "r+")
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else error.strerror or str(error)
        kind = DiskFull if full else BadOutput
        raise kind(f"cannot write into {path}: {why}. Mend it and run the same command again") from error
