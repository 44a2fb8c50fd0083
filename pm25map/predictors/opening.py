"""A predictor store, opened: its arrays, grid, days and tables, each checked against its own metadata."""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from pm25map.base.errors import BadGrid, BadPredictors
from pm25map.base.object_store import first_line, remote_errors, unreachable
from pm25map.base.storage import Location, Remote
from pm25map.base.zarr_metadata import Files, damage, open_files, read_metadata, refuse_shortage
from pm25map.grid import Grid
from pm25map.predictors import layout
from pm25map.predictors.checks import store_to_write
from pm25map.predictors.records import files_of_empty_chunks
from pm25map.predictors.variables import VARIABLES, Variable

FRAME = ("time", "y", "x", "land", "spatial_ref", layout.FINGERPRINT)
"""Arrays that every store has."""

_AGAIN = "Make the store again with pm25map data ingest"

_LONGEST = 1 << 20
"""Days: a longer time axis is damaged."""

Arrays = Mapping[str, Any]
"""Open arrays of a store by name."""


def open_checked(path: Location) -> tuple[layout.Group, Arrays]:
    """Open the group of a store for reading, and those of its arrays that this package knows.

    Raises:
        BadPredictors: there is nothing, or no Zarr store, or none that this package made; or what says how the values
            of an array are read is damaged.
    """
    make = f"Make one: pm25map data ingest --source all --start DAY --end DAY --store {store_to_write(path)}"
    if isinstance(path, Path) and not path.exists():
        raise BadPredictors(f"there is no predictor store {path}. {make}")
    try:
        group = layout.open_group(path, "r")
        attributes = dict(group.attrs)
    except damage() as error:
        refuse_shortage(error)
        if isinstance(path, Remote):
            path.check()
        raise BadPredictors(
            f"{path} is not a Zarr store of predictors, or is damaged ({first_line(error)}). {make}"
        ) from error
    known = (*FRAME, layout.INPUTS, layout.FACTS, *(name for name, row in VARIABLES.items() if row.stored))
    # In an object store every question takes its time.
    with refusing_damage(path, "the group"), open_files(path) as files, ThreadPoolExecutor(16) as pool:
        read_metadata(files)
        opened = list(pool.map(lambda name: _open_array(path, group, name, files), known))
    arrays = {name: array for name, array in zip(known, opened, strict=True) if array is not None}
    lacking = [name for name in FRAME if name not in arrays]
    if lacking or "grid_definition" not in attributes:
        raise BadPredictors(
            f"{path} is a Zarr group but not a store of predictors: it lacks {', '.join(lacking) or 'its grid'}. {make}"
        )
    return group, arrays


def _open_array(path: Location, group: layout.Group, name: str, files: Files) -> Any:
    """Open an array of a store; None where it has no such array."""
    with refusing_damage(path, name):
        return None if read_metadata(files, name) is None else group[name]


@contextlib.contextmanager
def refusing_damage(path: Location, name: str) -> Iterator[None]:
    """Turn a failure to read an array of a store into one line that says that it is damaged.

    Raises:
        BadPredictors: the array is damaged.
        StoreUnreachable: the object store does not answer.
    """
    try:
        yield
    except remote_errors() as error:
        raise unreachable(str(path), error) from error
    except damage() as error:
        refuse_shortage(error)
        raise BadPredictors(
            f"{name} of {path} is damaged or was changed ({first_line(error)}). {_AGAIN}"
        ) from error


def read_grid(path: Location, group: layout.Group, arrays: Arrays) -> Grid:
    """Rebuild the grid of a store from its definition, land mask and CRS, which must agree.

    Raises:
        BadPredictors: they do not; the store was damaged or changed by hand.
    """
    attributes = group.attrs
    contradictory: tuple[type[Exception], ...] = (BadGrid, CRSError, *damage())
    try:
        definition = json.loads(str(attributes["grid_definition"]))
        a, b, c, d, e, f = map(float, definition["transform"])
        rows, cols = map(int, definition["shape"])
        if arrays["land"].shape != (rows, cols):
            raise ValueError(f"land has the shape {arrays['land'].shape}")
        land = np.asarray(arrays["land"][:]) == 1
        grid = Grid(
            str(definition["name"]),
            str(definition["crs"]),
            (a, b, c, d, e, f),
            (rows, cols),
            int(definition["block_size"]),
            land,
        )
        crs = CRS.from_wkt(str(arrays["spatial_ref"].attrs["crs_wkt"]))
    except contradictory as error:
        raise BadPredictors(
            f"{path} does not say its grid, land or spatial_ref as it must ({first_line(error)}). {_AGAIN}"
        ) from error
    if crs != CRS.from_user_input(grid.crs):
        raise BadPredictors(
            f"{path} has the CRS {crs.name!r}, and its grid {grid.name} is on {grid.crs}. {_AGAIN}"
        )
    x, y = grid.xy()
    for name, values in (("x", x), ("y", y)):
        with refusing_damage(path, name):
            same = arrays[name].shape == values.shape and np.allclose(np.asarray(arrays[name][:]), values)
        if not same:
            raise BadPredictors(
                f"{path}: its {name} axis is not that of grid {grid.name} {grid.shape}. {_AGAIN}"
            )
    if attributes.get("grid_checksum") != grid.checksum:
        raise BadPredictors(
            f"{path}: its land or grid {grid.name} does not have the checksum it states. {_AGAIN}"
        )
    return grid


def read_days(path: Location, arrays: Arrays) -> tuple[dt.date, int]:
    """Read the time axis of a store: its first day, and the number of days.

    Raises:
        BadPredictors: it is damaged: days do not follow each other, or their number is not that of its metadata.
    """
    array = arrays["time"]
    with refusing_damage(path, "time"):
        length = int(array.shape[0])
        if (
            array.ndim != 1
            or not 0 < length <= _LONGEST
            or length not in array.attrs.get(layout.LENGTHS, [length])
        ):
            raise ValueError(f"its shape is {array.shape}")
        times = np.asarray(array[:])
        if times.dtype.kind != "i" or np.any(np.diff(times.astype(np.int64)) != 1):
            raise ValueError("its days do not follow each other")
        return layout.EPOCH + dt.timedelta(days=int(times[0])), length


def read_table(path: Location, arrays: Arrays, name: str, columns: list[str], length: int) -> dict[str, Any]:
    """Read a table of numbers a day: (day,) by name of the column; empty where the store has no such table.

    Raises:
        BadPredictors: it is damaged, or has fewer days than the time axis.
    """
    if name not in arrays:
        return {}
    with refusing_damage(path, name):
        array = arrays[name]
        # A store that was cut off while it grew has days beyond its time axis, and a column without a name.
        if array.ndim != 2 or not length <= array.shape[0] <= _LONGEST or array.shape[1] < len(columns):
            raise ValueError(f"its shape is {array.shape}")
        table = np.asarray(array[:length, : len(columns)])
        if empty := files_of_empty_chunks(array, table):
            with open_files(path) as files:
                lost = next((file for file in empty if files.read(file) is None), None)
            if lost is not None:
                raise ValueError(f"its file {lost} is gone")
    return {column: table[:, i] for i, column in enumerate(columns)}


def read_rows(path: Location, arrays: Arrays, grid: Grid) -> dict[str, Variable]:
    """List the variables that a store holds and the table knows; layers that are half written are left out.

    Raises:
        BadPredictors: one has a wrong unit, shape or dimensions.
    """
    length = arrays["time"].shape[0]
    axes = {"daily": ("time", "y", "x"), "climatology": ("month", "y", "x"), "static": ("y", "x")}
    marked = column_names(path, arrays, layout.FINGERPRINT, "variables")
    rows = {}
    for name, row in VARIABLES.items():
        if name not in arrays:
            continue
        array = arrays[name]
        units = array.attrs.get("units")
        if units != row.units:
            raise BadPredictors(
                f"{path}: {name} is in {units!r}, and must be in {row.units!r}. Convert it first"
            )
        dims = tuple(array.metadata.dimension_names or ())
        # A store that was cut off while it grew has days beyond its time axis: they do not count.
        days = array.shape[0] if row.kind == "daily" and array.ndim else length
        sides = {"time": days, "month": 12, "y": grid.shape[0], "x": grid.shape[1]}
        wanted = axes[row.kind]
        if dims != wanted or days < length or array.shape != tuple(sides[d] for d in wanted):
            actual = ", ".join(f"{d} {n}" for d, n in zip(dims, array.shape, strict=False))
            expected = ", ".join(f"{d} {sides[d] if d != 'time' else length}" for d in wanted)
            raise BadPredictors(f"{path}: {name} has the shape ({actual}), and must have ({expected})")
        if (name in marked) if row.kind == "daily" else (layout.FINGERPRINT in array.attrs):
            rows[name] = row
    return rows


def column_names(path: Location, arrays: Arrays, name: str, attribute: str) -> list[str]:
    """Read the names of the columns of a table of a store; empty where it has no such table.

    Raises:
        BadPredictors: the attribute is absent.
    """
    if name not in arrays:
        return []
    with refusing_damage(path, name):
        return [str(column) for column in arrays[name].attrs[attribute]]
