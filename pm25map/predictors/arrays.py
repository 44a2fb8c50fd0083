"""The arrays of an open store: chunks of days and layers of a block, decoded, checked and kept for the next read."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadPredictors, Pm25mapError
from pm25map.base.files import sha256_of_bytes
from pm25map.base.object_store import first_line, remote_errors, unreachable
from pm25map.base.storage import Location
from pm25map.base.zarr_metadata import damage, refuse_shortage
from pm25map.grid import Block, Grid
from pm25map.predictors import layout
from pm25map.predictors.cache import ArrayCache, ReadCount
from pm25map.predictors.checks import store_to_write
from pm25map.predictors.variables import check_range, variable

_WHOLE_LAYER_CELLS = 500_000
"""On grids up to this size a layer is read once and whole: opening it takes longer than decoding it."""


class Arrays:
    """Reads parts of a store's variables in physical values. Any number of threads may share it.

    Args:
        path: of the store, for errors.
        grid: that the store lies on.
        arrays: of the store, by name.
        prints: fingerprints of the days of a daily variable (day,), by name; 0 where a day is not whole.
        reach: the first day that the store has room for, and the number of days.
        cache_bytes: of decoded values to keep.
    """

    def __init__(
        self,
        path: Location,
        grid: Grid,
        arrays: Mapping[str, Any],
        prints: Mapping[str, npt.NDArray[np.int64]],
        reach: tuple[dt.date, int],
        cache_bytes: int,
    ) -> None:
        self._path, self._grid, self._arrays, self._prints = path, grid, arrays, prints
        self._first, self._length = reach
        self._attributes: dict[str, dict[str, Any]] = {name: dict(a.attrs) for name, a in arrays.items()}
        self._cache = ArrayCache(cache_bytes)
        self._verified: set[tuple[str, int]] = set()

    def attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes of a variable in the store."""
        return self._attributes[name]

    def itemsize(self, name: str) -> int:
        """Return the bytes of a stored value."""
        return int(self._arrays[name].dtype.itemsize)

    def whole(self, name: str) -> npt.NDArray[np.float32]:
        """Read all of a layer.

        Raises:
            BadPredictors: it is damaged.
        """
        return self.layer(name, Block(0, 0, *self._grid.shape))

    def daily(
        self, name: str, days: list[dt.date], block: Block, count: ReadCount | None
    ) -> npt.NDArray[np.float32]:
        """Read a daily variable by whole chunks of days, each decoded and checked once: (day, y, x).

        Args:
            name: of the variable.
            days: whole ones of the store.
            block: of the grid.
            count: counts what is decoded; the cache is then passed by.

        Raises:
            BadPredictors: a chunk is damaged (says of which days), or a value is out of range.
        """
        index = np.array([(day - self._first).days for day in days])
        chunks = np.unique(index // layout.CHUNK_DAYS)
        known = {int(c): self._cache.get((name, int(c), block)) if count is None else None for c in chunks}
        absent = [c for c, values in known.items() if values is None]
        if absent:
            begin = layout.chunk_days(absent[0], self._length).start
            end = layout.chunk_days(absent[-1], self._length).stop
            try:
                values = self._decoded(name, (slice(begin, end), *block.slices))
            except damage() as error:
                refuse_shortage(error)
                raise self._damaged(name, error, self._place_of_damage(name, absent, block)) from error
            if count is not None:
                count.add(len(absent), values.size * self.itemsize(name))
            self._check_whole(name, values, range(begin, end), block)
            for c in absent:
                part = values[c * layout.CHUNK_DAYS - begin :][: layout.CHUNK_DAYS].copy()
                known[c] = part
                if count is None:
                    self._cache.put((name, c, block), part)
        out = np.empty((len(days), block.height, block.width), dtype=np.float32)
        for i, number in enumerate(index):
            chunk = known[int(number) // layout.CHUNK_DAYS]
            assert chunk is not None  # noqa: S101 - every chunk was cached or read above
            out[i] = chunk[number % layout.CHUNK_DAYS]
        return out

    def layer(self, name: str, block: Block) -> npt.NDArray[np.float32]:
        """Read a layer (y, x) or (month, y, x) over a block, checked once.

        Raises:
            BadPredictors: it is damaged, or a value is out of range.
        """
        small = self._grid.land.size <= _WHOLE_LAYER_CELLS
        part = Block(0, 0, *self._grid.shape) if small else block
        known = self._cache.get((name, 0, part))
        if known is None:
            try:
                stored = np.asarray(self._arrays[name][..., *part.slices])
            except damage() as error:
                refuse_shortage(error)
                raise self._damaged(name, error, "" if small else f" in block {block.id}") from error
            known = layout.decode(stored, self._attributes[name])
            self._check_layer(name, stored, known, part)
            self._cache.put((name, 0, part), known)
        return known[..., *block.slices] if small else known

    def latitude(self, block: Block) -> npt.NDArray[np.float64]:
        """Return the latitude of the land cells of a block, NaN off land: (y, x)."""
        known = self._cache.get(("latitude", 0, block))
        if known is None:
            known = np.full((block.height, block.width), np.nan)
            known[self._grid.land[block.slices]] = self._grid.lonlat(block)[1]
            self._cache.put(("latitude", 0, block), known)
        return known

    def _check_layer(
        self, name: str, stored: npt.NDArray[Any], values: npt.NDArray[np.float32], part: Block
    ) -> None:
        """Refuse a layer that is not the one that was written: a file that is gone reads as missing values."""
        row, land = variable(name), self._grid.land[part.slices]
        lost = np.isnan(values).reshape(-1, *land.shape).any(axis=0) & land
        if row.filling in ("stop", "nearest") and lost.any():
            at = np.argwhere(lost)[0]
            raise self._lost(name, self._file_at(name, 0, int(at[0]) + part.row, int(at[1]) + part.col))
        if land.size == self._grid.land.size:
            checksum = sha256_of_bytes(np.ascontiguousarray(stored).data)
            if checksum != self._attributes[name][layout.FINGERPRINT]:
                raise self._lost(name)
        check_range(row, values, str(self._path))

    def _check_whole(self, name: str, values: npt.NDArray[np.float32], slots: range, block: Block) -> None:
        """Refuse values out of range, and gaps that the store cannot have had when it was written."""
        row = variable(name)
        labels = [self._day(slot) for slot in slots]
        check_range(row, values, str(self._path), labels)
        land = self._grid.land[block.slices]
        if not land.any():
            return
        cells = np.argwhere(land) + np.array([block.row, block.col])
        for slot, missing in zip(slots, np.isnan(values[:, land]), strict=True):
            gone = missing.any() if row.filling == "stop" else missing.all()
            if (
                gone
                and self._prints[name][slot]
                and (row.filling == "stop" or not self._is_as_written(name, slot))
            ):
                at = cells[int(np.argmax(missing))]
                raise self._lost(
                    name, self._file_at(name, slot, int(at[0]), int(at[1])), self._day(slot), block
                )

    def _is_as_written(self, name: str, slot: int) -> bool:
        """Compare the days of a chunk with their fingerprints, once: a block may have been written without values."""
        number = slot // layout.CHUNK_DAYS
        if (name, number) not in self._verified:
            days = layout.chunk_days(number, self._length)
            try:
                actual = layout.fingerprints(self._arrays[name], days)
            except damage() as error:
                refuse_shortage(error)
                raise self._damaged(name, error) from error
            expected = self._prints[name][days.start : days.stop]
            if np.any(expected[expected != 0] != actual[expected != 0]):
                return False
            self._verified.add((name, number))
        return True

    def _file_at(self, name: str, slot: int, row: int, col: int) -> str:
        """Name the file of the store that holds a cell, and a day of a daily variable."""
        array = self._arrays[name]
        at = (slot, row, col)[-array.ndim :]
        sides = array.shards or array.chunks
        number = tuple(index // side for index, side in zip(at, sides, strict=True))
        return f"{name}/{array.metadata.encode_chunk_key(number)}"

    def _lost(
        self, name: str, file: str = "", day: dt.date | None = None, block: Block | None = None
    ) -> BadPredictors:
        """Return the error of values that are not those that were written, with the command that writes them again."""
        why = f"its file {file} is gone or damaged" if file else "they are not those that were written"
        store, source = store_to_write(self._path), variable(name).source
        place = f" of {day} in {block.id}" if day and block else ""
        span = f" --start {day} --end {day}" if day else ""
        return BadPredictors(
            f"{name} of {self._path} has lost values{place}: {why}. Run: pm25map data verify --store {store} "
            f"--forget; pm25map data ingest --source {source}{span} --store {store}"
        )

    def _day(self, slot: int) -> dt.date:
        return self._first + dt.timedelta(days=slot)

    def _decoded(self, name: str, where: Any) -> npt.NDArray[np.float32]:
        """Read a part of an array in physical values."""
        return layout.decode(self._arrays[name][where], self._attributes[name])

    def _place_of_damage(self, name: str, chunks: list[int], block: Block) -> str:
        """Find the first of some chunks of days that cannot be read; nothing where all can at a second try."""
        for number in chunks:
            days = layout.chunk_days(number, self._length)
            try:
                self._decoded(name, (slice(days.start, days.stop), *block.slices))
            except damage() as error:
                refuse_shortage(error)
                first, last = (self._day(slot) for slot in (days.start, days.stop - 1))
                return f" on {first} to {last} in block {block.id}"
        return ""

    def _damaged(self, name: str, error: Exception, place: str = "") -> Pm25mapError:
        if isinstance(error, remote_errors()):
            return unreachable(str(self._path), error)
        return BadPredictors(
            f"cannot read {name} of {self._path}, which is damaged{place} ({first_line(error)}). "
            f"Make the store again with pm25map data ingest"
        )
