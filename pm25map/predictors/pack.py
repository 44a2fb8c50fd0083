"""Copies of a store: of some of its days, packed to int16, in a folder or in one read-only zip file."""

import datetime as dt
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from pm25map.base.days import days_between
from pm25map.base.errors import BadOutput, BadPredictors
from pm25map.base.files import check_outputs, replacing
from pm25map.base.zarr_metadata import seal
from pm25map.grid import Block
from pm25map.predictors import layout
from pm25map.predictors.checks import check_days, check_features
from pm25map.predictors.reader import Predictors
from pm25map.predictors.records import write_records, write_rows
from pm25map.predictors.variables import stored_only, variable

Precision = Callable[[str], float | None]
"""Returns the step of a variable's int16 values, in its units; None keeps float32."""

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack_sample(
    store: Predictors,
    out: Path,
    start: dt.date,
    end: dt.date,
    *,
    variables: Iterable[str] | None = None,
    precision: Mapping[str, float] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write some days of a store, packed to int16, to one read-only zip file; same days, same bytes.

    Args:
        store: to copy from; all the days must be whole.
        out: file to write, named *.zarr.zip.
        start: first day.
        end: last day, included.
        variables: to keep; what the store holds where None. Computed ones need not be named.
        precision: step of a variable's values in its units, where it is not the table's.
        overwrite: replace a file that is there.

    Raises:
        BadOutput: the file cannot be written, exists, or is the store itself.
        DayOutsideStore, MissingDays: the store lacks days.
        BadPredictors: the store lacks a variable, or a step is too fine for its valid range.
    """
    out = Path(out)
    if not out.name.endswith(".zarr.zip"):
        raise BadOutput(f"cannot pack to {out}: name it *.zarr.zip")
    check_outputs([out], [store.path] if isinstance(store.path, Path) else [], overwrite=overwrite)
    names = store.variables if variables is None else stored_only(variables)
    check_features(store.path, store.variables, names)
    whole = {name: store.days_of((name,)) for name in names if name in store.daily}
    check_days(store.path, whole, days_between(start, end))
    steps = precision or {}
    unknown = sorted(set(steps) - set(names))
    if unknown:
        raise BadPredictors(
            f"a precision is given for {', '.join(unknown)}, which are not packed: leave them out"
        )
    with replacing(out) as part, tempfile.TemporaryDirectory(dir=part.parent) as folder:
        copy = Path(folder) / "store.zarr"
        history = f"packed from {start} to {end} of a store with the checksum {store.checksum}"
        copy_store(
            store,
            copy,
            start,
            end,
            variables=names,
            precision=lambda name: steps.get(name, variable(name).precision),
            history=history,
        )
        _zip(copy, part)
    return out


def copy_store(
    store: Predictors,
    path: Path,
    start: dt.date,
    end: dt.date,
    *,
    variables: Iterable[str] | None = None,
    precision: Precision | None = None,
    history: str | None = None,
) -> None:
    """Write a copy of a store whose time axis goes from start to end; days that are not whole stay so.

    Args:
        store: to copy from.
        path: folder to write; whoever calls renames it into place.
        start: first day of the copy, in the store or not.
        end: last day of the copy, in the store or not.
        variables: to keep; all where None.
        precision: how to pack; as in the store where None.
        history: what the copy is for; that of the store where None.
    """
    names = tuple(store.variables if variables is None else variables)
    step = store.precision if precision is None else precision
    group = layout.open_group(path, "w")
    layout.add_frame(group, store.grid, start, end, history or "")
    if history is None:
        seal(group, {**group.attrs, "history": store.history})
    length = (end - start).days + 1
    for name in names:
        if name in store.daily:
            layout.add_daily(group, store.grid, variable(name), length, step(name))
            _copy_days(store, group, name, start, end)
        else:
            layout.add_layer(group, store.grid, variable(name), store.layer(name), step(name))


def _copy_days(store: Predictors, group: layout.Group, name: str, start: dt.date, end: dt.date) -> None:
    """Copy the whole days of one variable, a shard of days at a time."""
    array, marker = group[name], group[layout.FINGERPRINT]
    column = marker.attrs["variables"].index(name)
    whole = set(store.days_of((name,)))
    attributes = dict(array.attrs)
    every = Block(0, 0, *store.grid.shape)
    days = days_between(start, end)
    prints = [0] * len(days)
    size = layout.shard_days(store.grid)
    for first in range(0, len(days), size):
        part = [day for day in days[first : first + size] if day in whole]
        if not part:
            continue
        slots = [(day - start).days - first for day in part]
        values = np.full((len(days[first : first + size]), *store.grid.shape), np.nan, dtype=np.float32)
        values[slots] = store.read((name,), part, every)[:, 0]
        encoded = layout.encode(values, attributes)
        array[first : first + len(encoded)] = encoded
        for slot in slots:
            prints[first + slot] = layout.fingerprint(encoded[slot])
    inputs = [store.inputs_of(name, day) if day in whole else 0 for day in days]
    facts = [store.facts_of(day) if day in whole else {} for day in days]
    if any(inputs):
        write_records(group, slice(0, len(days)), [column], inputs, facts)
    write_rows(marker, slice(0, len(days)), column, prints)


def _zip(folder: Path, path: Path) -> None:
    """Put a folder into a zip file without compressing it again; sorted names and a fixed date."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, file.read_bytes())
