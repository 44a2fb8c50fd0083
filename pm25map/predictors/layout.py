"""How a predictor store is laid out on disk: names, axes, chunks, shards, codecs and CF attributes."""

import datetime as dt
import hashlib
import json
import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from pyproj import CRS
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

import pm25map
from pm25map.base.files import sha256_of_bytes
from pm25map.base.storage import Location, Remote
from pm25map.base.zarr_metadata import seal
from pm25map.grid import Grid
from pm25map.predictors.variables import MISSING_PACKED, Variable, packing

Group = Any
"""A zarr.Group. Zarr types whatever a group holds as array or group or number, which helps no reader."""

CONVENTIONS = "CF-1.11"
EPOCH = dt.date(1970, 1, 1)
FINGERPRINT = "fingerprint"
"""Of every day and daily variable: 0 until the day is whole, then a part of the SHA-256 of its values."""

INPUTS = "inputs"
"""Of every day and daily variable: a part of the SHA-256 of what its values were computed from, 0 where unknown."""

FACTS = "day_facts"
"""Of every day: numbers that its source states, such as how many monitors it had; NaN where unknown."""

LENGTHS = "lengths"
"""Attribute of the time axis: days before it grew, and after; it grows in a step of its own."""

CHUNK_DAYS = 8
"""Days that are decoded together: a window of 21 days touches three or four such chunks."""
SHARD_DAYS = 32
"""Days in one file: a year of a block is twelve files, and one day of CONUS is a few."""
SHARD_BLOCKS = 4
"""Blocks along the side of a shard."""
WIDE_GRID_CELLS = 2_000_000
"""Above this a shard holds one chunk of days, so that filling a store needs little memory."""

_MONTHS = 12
_AXIS_CHUNK = 4096


def open_group(path: Location, mode: Literal["r", "r+", "w"]) -> Group:
    """Open the group of a store: a folder; or a zip file or an object store, which are read only."""
    if isinstance(path, Remote):
        return zarr.open_group(zarr.storage.ObjectStore(path.open(), read_only=True), mode="r", zarr_format=3)
    if path.suffix == ".zip":
        return zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r", zarr_format=3)
    return zarr.open_group(path, mode=mode, zarr_format=3)


def shard_days(grid: Grid) -> int:
    """Return the number of days in a shard on a grid."""
    return SHARD_DAYS if math.prod(grid.shape) <= WIDE_GRID_CELLS else CHUNK_DAYS


def add_frame(group: Group, grid: Grid, start: dt.date, end: dt.date, history: str) -> None:
    """Write what frames the variables: attributes, axes, land mask, CRS and the marker of whole days."""
    seal(
        group,
        {
            "Conventions": CONVENTIONS,
            "title": "Daily predictors of surface PM2.5",
            "history": f"pm25map {pm25map.__version__}: {history}",
            "grid": grid.name,
            "grid_checksum": grid.checksum,
            "grid_definition": json.dumps(grid.definition()),
            # How xarray marks a coordinate that is no axis: rioxarray then finds the CRS by itself.
            "coordinates": "spatial_ref land",
        },
    )
    x, y = grid.xy()
    units = str(CRS.from_user_input(grid.crs).axis_info[0].unit_name).replace("metre", "m")
    for name, values in (("x", x), ("y", y)):
        about = {"standard_name": f"projection_{name}_coordinate", "units": units, "axis": name.upper()}
        _axis(group, name, values, about)
    _axis(group, "month", np.arange(1, _MONTHS + 1, dtype=np.int32), {"long_name": "Month of the year"})
    length = (end - start).days + 1
    first = (start - EPOCH).days
    axis: dict[str, Any] = {"standard_name": "time", "axis": "T", "calendar": "proleptic_gregorian"}
    days = np.arange(first, first + length, dtype=np.int32)
    _axis(group, "time", days, {**axis, "units": f"days since {EPOCH}", LENGTHS: [length, length]})
    crs = CRS.from_user_input(grid.crs)
    a, b, c, d, e, f = grid.transform
    mapping = {**crs.to_cf(), "GeoTransform": f"{c} {a} {b} {f} {d} {e}"}
    seal(group.create_array("spatial_ref", shape=(), dtype="int32", attributes=mapping))
    land = {"long_name": "Land cells of the grid", "grid_mapping": "spatial_ref", "units": "1"}
    array = group.create_array(
        "land",
        shape=grid.shape,
        chunks=grid.shape,
        dtype="int8",
        compressors=_checked(),
        dimension_names=("y", "x"),
        attributes=land,
    )
    array[:] = grid.land.astype(np.int8)
    seal(array)
    marks: dict[str, Any] = {
        "long_name": "0 until a day is whole, then a part of its checksum",
        "variables": [],
    }
    add_table(group, FINGERPRINT, (length, 0), "int64", ("time", "daily_variable"), marks)


def add_daily(group: Group, grid: Grid, row: Variable, length: int, precision: float | None) -> None:
    """Make the array (time, y, x) of a daily variable, empty.

    Args:
        group: of the store.
        grid: that it lies on.
        row: the variable.
        length: days of the time axis.
        precision: step of int16 values, in units; None keeps float32.
    """
    chunk, shard = _space(grid)
    marker = group[FINGERPRINT]
    names = [*marker.attrs["variables"], row.name]
    array = group.create_array(
        row.name,
        shape=(length, *grid.shape),
        chunks=(CHUNK_DAYS, *chunk),
        shards=(shard_days(grid), *shard),
        dimension_names=("time", "y", "x"),
        overwrite=True,
        **_stored_as(row, precision),
    )
    seal(array)
    marker.resize((marker.shape[0], len(names)))
    if INPUTS in group:
        group[INPUTS].resize((marker.shape[0], len(names)))
        seal(group[INPUTS])
    seal(marker, {**marker.attrs, "variables": names})


def chunk_days(number: int, length: int) -> range:
    """Return the slots of the time axis in a chunk of days; the last may be cut."""
    return range(number * CHUNK_DAYS, min((number + 1) * CHUNK_DAYS, length))


def lengthen(group: Group, daily: Iterable[str], length: int) -> None:
    """Extend the time axis at its end. The axis is written last: until then the store reads as before."""
    for name in (*daily, *(name for name in (FINGERPRINT, INPUTS, FACTS) if name in group)):
        array = group[name]
        array.resize((length, *array.shape[1:]))
        seal(array)
    time = group["time"]
    first = int(time[0])
    seal(time, {**time.attrs, LENGTHS: [int(time.shape[0]), length]})
    time.resize((length,))
    time[:] = np.arange(first, first + length, dtype=np.int32)
    seal(time)


def add_layer(
    group: Group,
    grid: Grid,
    row: Variable,
    values: npt.NDArray[np.float32],
    precision: float | None = None,
) -> None:
    """Write a static variable (y, x) or a climatology (month, y, x); its fingerprint comes last."""
    chunk, shard = _space(grid)
    monthly = row.kind == "climatology"
    lead = (_MONTHS,) if monthly else ()
    array = group.create_array(
        row.name,
        shape=(*lead, *grid.shape),
        chunks=(*lead, *chunk),
        shards=(*lead, *shard),
        dimension_names=(("month",) if monthly else ()) + ("y", "x"),
        overwrite=True,
        **_stored_as(row, precision),
    )
    encoded = encode(values, dict(array.attrs))
    array[...] = encoded
    # Without a copy: twelve months of a grid of 1 km are 650 MB.
    seal(array, {**array.attrs, FINGERPRINT: sha256_of_bytes(np.ascontiguousarray(encoded).data)})


def _stored_as(row: Variable, precision: float | None) -> dict[str, Any]:
    """Return how values are stored: float32, or int16 in steps and compressed harder, for a store to be shipped."""
    attributes = {**row.attributes(), "grid_mapping": "spatial_ref"}
    if precision is None:
        return {
            "dtype": "float32",
            "fill_value": np.nan,
            "compressors": _squeezed(3),
            "attributes": attributes,
        }
    scale, offset = packing(row, precision)
    packed = {"scale_factor": scale, "add_offset": offset, "_FillValue": MISSING_PACKED}
    return {
        "dtype": "int16",
        "fill_value": MISSING_PACKED,
        "compressors": _squeezed(9),
        "attributes": {**attributes, **packed},
    }


def _squeezed(level: int) -> tuple[BloscCodec, Crc32cCodec]:
    """Return the codecs of a chunk. Only the checksum detects a damaged chunk: Blosc may decode one in silence."""
    return BloscCodec(cname="zstd", clevel=level, shuffle="bitshuffle"), Crc32cCodec()


def _checked() -> tuple[ZstdCodec, Crc32cCodec]:
    """Return the codecs of what frames the variables."""
    return ZstdCodec(), Crc32cCodec()


def encode(values: npt.NDArray[np.float32], attributes: dict[str, Any]) -> npt.NDArray[Any]:
    """Turn physical values into those of an array: themselves, or int16 where its attributes say so."""
    if "scale_factor" not in attributes:
        return values
    scale, offset = float(attributes["scale_factor"]), float(attributes["add_offset"])
    steps = np.rint((values.astype(np.float64) - offset) / scale)
    return np.where(np.isnan(values), MISSING_PACKED, steps).astype(np.int16)


def decode(stored: npt.NDArray[Any], attributes: dict[str, Any]) -> npt.NDArray[np.float32]:
    """Turn the values of an array into physical ones, NaN where missing; undoes `encode` to the precision."""
    if "scale_factor" not in attributes:
        return np.asarray(stored, dtype=np.float32)
    scale, offset = float(attributes["scale_factor"]), float(attributes["add_offset"])
    # The offset is a multiple of the step: whole numbers below 2**24 add up exactly in float32.
    values: npt.NDArray[np.float32] = (stored.astype(np.float32) + np.float32(offset / scale)) * np.float32(
        scale
    )
    values[stored == int(attributes["_FillValue"])] = np.nan
    return values


def fingerprint(encoded: npt.NDArray[Any]) -> int:
    """Return eight bytes of the SHA-256 of a day's values as they are stored, never 0."""
    return _part_of(sha256_of_bytes(np.ascontiguousarray(encoded).data))


def fingerprints(array: Any, days: range) -> npt.NDArray[np.int64]:
    """Return the fingerprint of each of some days of an array (time, y, x), read by bands of rows."""
    digests = [hashlib.sha256() for _ in days]
    band = (array.shards or array.chunks)[1]
    for row in range(0, array.shape[1], band):
        for digest, values in zip(digests, array[days.start : days.stop, row : row + band], strict=True):
            digest.update(np.ascontiguousarray(values).data)
    return np.array([_part_of(digest.hexdigest()) for digest in digests], dtype=np.int64)


def _part_of(digest: str) -> int:
    return int(digest[:16], 16) >> 1 or 1


def _axis(group: Group, name: str, values: npt.NDArray[Any], attributes: dict[str, Any]) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=(max(len(values), _AXIS_CHUNK),),
        dtype=values.dtype,
        compressors=_checked(),
        dimension_names=(name,),
        attributes=attributes,
    )
    array[:] = values
    seal(array)


def add_table(
    group: Group,
    name: str,
    shape: tuple[int, int],
    dtype: str,
    dimensions: tuple[str, str],
    attributes: dict[str, Any],
) -> None:
    """Make an array of numbers a day, empty: 0, or NaN where they are no whole numbers."""
    array = group.create_array(
        name,
        shape=shape,
        chunks=(_AXIS_CHUNK, 64),
        dtype=dtype,
        compressors=_checked(),
        fill_value=0 if dtype == "int64" else np.nan,
        dimension_names=dimensions,
        attributes=attributes,
    )
    seal(array)


def _space(grid: Grid) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the rows and columns of a chunk, which is a block, and of a shard, which is a number of whole chunks."""
    chunk = min(grid.block_size, grid.shape[0]), min(grid.block_size, grid.shape[1])
    sides = [
        step * min(SHARD_BLOCKS, math.ceil(size / step)) for step, size in zip(chunk, grid.shape, strict=True)
    ]
    return chunk, (sides[0], sides[1])
