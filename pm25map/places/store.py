"""The place store: the vector of every land cell of a grid, computed once and read by every prediction."""

import contextlib
import errno
import hashlib
import logging
import math
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import Crc32cCodec

from pm25map.base.cache import cache_folder
from pm25map.base.errors import BadGrid, BadModel, BadOutput
from pm25map.base.files import check_output, replacing
from pm25map.base.object_store import first_line
from pm25map.base.zarr_metadata import damage, open_files, read_metadata, refuse_shortage, seal
from pm25map.grid import Grid
from pm25map.places.location_encoder import LocationEncoder, Vectors, stored_vectors

Progress = Callable[[int, int], None]
"""Called with the cells done and the cells there are."""

SHARD = 4096
"""Cells a file."""

CHUNK = 128
"""Cells read together: the cells of a block are many short runs of the land cells of a grid."""

HELD_BYTES = 128 * 2**20
"""A store up to this size stays in memory, file by file as its cells are asked for: a block asks for hundreds of short
runs of cells, and opening a chunk for each takes longer than decoding it."""

_ARRAY = "vector"
_ATTRIBUTES = ("encoder", "encoder_checksum", "grid", "grid_checksum", "dimension", "checksum")
_log = logging.getLogger(__name__)


class PlaceStore:
    """The vectors of the land cells of one grid by one encoder; opened by `open_store`.

    Attributes:
        path: folder of the store.
        encoder: name of the encoder.
        encoder_checksum: of what decides the vectors.
        grid_checksum: of the grid.
        checksum: SHA-256 of the vectors as stored.
        dimension: length of a vector.
        cell_count: land cells of the grid.
    """

    def __init__(self, path: Path, array: Any, attributes: dict[str, Any]) -> None:
        self.path = path
        self.encoder = str(attributes["encoder"])
        self.encoder_checksum = str(attributes["encoder_checksum"])
        self.grid_checksum = str(attributes["grid_checksum"])
        self.checksum = str(attributes["checksum"])
        self.cell_count, self.dimension = map(int, array.shape)
        self._array = array
        self._held: npt.NDArray[Any] | None = None
        if array.nbytes <= HELD_BYTES:
            self._held = np.empty(array.shape, array.dtype)
        self._files: set[int] = set()
        self._lock = threading.Lock()

    def read(self, cells: slice | npt.NDArray[np.integer[Any]]) -> Vectors:
        """Return the vectors of some cells.

        Args:
            cells: numbers of land cells, counted row by row as in Grid.land_index.

        Returns:
            float32 (cell, dimension).

        Raises:
            BadModel: the store is damaged there.
            IndexError: a number is not that of a land cell.
        """
        if not isinstance(cells, slice):
            cells = np.asarray(cells)
            if cells.size == 0:
                return np.empty((0, self.dimension), np.float32)
            if cells.min() < 0 or cells.max() >= self.cell_count:
                raise IndexError(
                    f"cells {cells.min()} to {cells.max()} are not all among {self.cell_count} land cells"
                )
        return np.asarray(self._read(cells), np.float32)

    def verify(self) -> None:
        """Read the whole store from its files and compare it with its checksum.

        Raises:
            BadModel: the store is damaged.
        """
        with self._lock:
            self._files.clear()
        digest = hashlib.sha256()
        for start in range(0, self.cell_count, SHARD):
            digest.update(self._read(slice(start, start + SHARD)).tobytes())
        if digest.hexdigest() != self.checksum:
            raise BadModel(_damaged(self.path, "its vectors do not match its checksum"))

    def _read(self, cells: slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        try:
            vectors: npt.NDArray[Any] = (
                self._array.oindex[cells] if self._held is None else self._kept(self._held, cells)
            )
        except damage() as error:
            refuse_shortage(error)
            raise BadModel(_damaged(self.path, first_line(error))) from error
        good = np.isfinite(vectors)
        if not good.all():
            # A file that is gone reads as the fill value, NaN, in whole rows.
            row, column = (int(index) for index in np.argwhere(~good)[0])
            cell = (cells.start or 0) + row if isinstance(cells, slice) else int(cells[row])
            if np.isnan(vectors[row]).all():
                raise BadModel(_damaged(self.path, f"the vector of cell {cell} is absent"))
            why = f"number {column + 1} of the vector of cell {cell}, by {self.encoder}, is {vectors[row, column]}"
            raise BadModel(_damaged(self.path, why))
        return vectors

    def _kept(self, held: npt.NDArray[Any], cells: slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
        """Return the vectors of some cells, whose files are read whole where they are not held yet."""
        asked = np.arange(*cells.indices(self.cell_count)) if isinstance(cells, slice) else cells
        with self._lock:
            for number in set(np.unique(asked // SHARD).tolist()) - self._files:
                part = slice(number * SHARD, (number + 1) * SHARD)
                held[part] = self._array[part]
                self._files.add(number)
        vectors: npt.NDArray[Any] = held[cells]
        return vectors


def embed_grid(grid: Grid, encoder: LocationEncoder, path: Path, progress: Progress | None = None) -> Path:
    """Write the place store of a grid: Zarr v3, vector (cell, feature) float16.

    Args:
        grid: whose land cells shall have vectors.
        encoder: that makes them.
        path: folder to write. A place store that is there is replaced; anything else is not.
        progress: called as the work goes on.

    Raises:
        BadOutput: the store cannot be written.
        BadModel: the encoder gives what is no number, or more than float16 holds.
    """
    path = Path(path)
    if not path.exists():
        check_output(path, overwrite=False)
    elif not (path.is_dir() and ((path / _ARRAY / "zarr.json").is_file() or not any(path.iterdir()))):
        raise BadOutput(f"{path} exists and is no place store. Choose another name")
    with replacing(path) as part:
        _write(grid, encoder, part, progress)
    return path


def open_store(path: Path, grid: Grid | None = None, encoder: LocationEncoder | None = None) -> PlaceStore:
    """Open a place store.

    Args:
        path: folder of the store.
        grid: that it must be of; any where None.
        encoder: that must have computed it; any where None.

    Raises:
        BadModel: there is no place store, it is damaged, or another encoder computed it.
        BadGrid: it is of another grid.
    """
    path = Path(path)
    try:
        with open_files(path) as files:
            for name, place in (("", "the group"), (_ARRAY, _ARRAY)):
                if read_metadata(files, name) is None:
                    raise ValueError(f"{place} has no zarr.json")
        group = zarr.open_group(path, mode="r", zarr_format=3)
        attributes = {name: group.attrs[name] for name in _ATTRIBUTES}
        array: Any = group[_ARRAY]
        if array.ndim != 2 or array.shape != (
            group.attrs.get("cells", array.shape[0]),
            attributes["dimension"],
        ):
            raise ValueError(f"an array of shape {array.shape}")
        store = PlaceStore(path, array, attributes)
    except damage() as error:
        refuse_shortage(error)
        raise BadModel(_damaged(path, f"{type(error).__name__}: {first_line(error)}")) from error
    if grid is not None and (store.grid_checksum, store.cell_count) != (grid.checksum, grid.cell_count):
        raise BadGrid(
            f"the place store {path} is of another grid ({attributes['grid']}) than {grid.name}. "
            f"Make its own: pm25map grid embed --grid {grid.name} --encoder {store.encoder}"
        )
    if encoder is not None and store.encoder_checksum != encoder.checksum:
        raise BadModel(
            f"the place store {path} is by another encoder ({store.encoder}) than this {encoder.name}. "
            f"Make its own: pm25map grid embed --grid {attributes['grid']} --encoder {encoder.name}"
        )
    return store


def default_store(grid: Grid, encoder: LocationEncoder, progress: Progress | None = None) -> PlaceStore:
    """Return the place store of a grid from the user's cache; compute it if it is absent or damaged.

    The cache is a folder of the system's choice, or the one that PM25MAP_CACHE names. Every call reads the
    store through to verify it (GeoCLIP: six seconds for a million cells): call it once a run, and let
    worker processes open the path that it returned.

    Args:
        grid: that the store is of.
        encoder: that makes it.
        progress: called as the work goes on, if there is any.

    Raises:
        BadOutput: the cache cannot be written.
        BadModel: the encoder gives what is no number, or more than float16 holds.
    """
    folder = cache_folder() / "places"
    name = re.sub(r"[^A-Za-z0-9._-]", "_", grid.name)
    path = folder / f"{name}-{encoder.name}-{grid.checksum[:12]}-{encoder.checksum[:12]}.zarr"
    if path.exists() and (store := _whole(path, grid, encoder)):
        return store
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadOutput(
            f"cannot make the cache {folder}: {error.strerror}. Name another folder in PM25MAP_CACHE"
        ) from error
    with _alone(path.with_suffix(".lock")):
        # Another process may have written it in the meantime.
        if path.exists():
            if store := _whole(path, grid, encoder):
                return store
            _log.warning("the place store %s is damaged: computing it again", path)
            if not path.is_dir():
                path.unlink()
        with replacing(path) as part:
            _write(grid, encoder, part, progress)
    return open_store(path, grid, encoder)


def _write(grid: Grid, encoder: LocationEncoder, path: Path, progress: Progress | None) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=3)
    count = grid.cell_count
    # A whole number of chunks a shard, and no chunk larger than a small grid needs.
    chunk = min(CHUNK, 1 << max(count - 1, 0).bit_length())
    array = group.create_array(
        _ARRAY,
        shape=(count, encoder.dimension),
        chunks=(chunk, encoder.dimension),
        shards=(min(SHARD, chunk * math.ceil(count / chunk)), encoder.dimension),
        dtype="float16",
        compressors=Crc32cCodec(),
        fill_value=math.nan,
        dimension_names=("cell", "feature"),
        attributes={"long_name": f"place vector of the land cell by {encoder.name}", "units": "1"},
    )
    lon, lat = grid.lonlat()
    digest = hashlib.sha256()
    for start in range(0, count, SHARD):
        part = slice(start, min(start + SHARD, count))
        vectors = stored_vectors(encoder, lat[part], lon[part], first=start)
        array[part] = vectors
        digest.update(vectors.tobytes())
        if progress:
            progress(part.stop, count)
    seal(array)
    seal(
        group,
        {
            "encoder": encoder.name,
            "encoder_checksum": encoder.checksum,
            "grid": grid.name,
            "grid_checksum": grid.checksum,
            "dimension": encoder.dimension,
            "cells": count,
            "checksum": digest.hexdigest(),
        },
    )


def _whole(path: Path, grid: Grid, encoder: LocationEncoder) -> PlaceStore | None:
    """Open a store and verify it; None where it is damaged."""
    try:
        store = open_store(path, grid, encoder)
        store.verify()
    except (BadModel, BadGrid):
        return None
    return store


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that the system releases when the process ends, however it ends."""
    try:
        with filelock.FileLock(path):
            yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadOutput(
            f"cannot write in the cache {path.parent}: {error.strerror}. Name another folder in PM25MAP_CACHE"
        ) from error


def _damaged(path: Path, reason: str) -> str:
    if not path.exists():
        return f"there is no place store at {path}. Make it: pm25map grid embed --out {path}"
    return (
        f"the place store {path} is damaged or none ({reason[:120]}). "
        "Remove it, and run pm25map grid embed again"
    )
