"""The arrays of an open store: chunks of days and layers of a block, decoded, checked and kept for the next read."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadPredictors, Pm25mapError
from pm25map.base.object_store import remote_errors, unreachable
from pm25map.base.storage import Location
from pm25map.grid import Block, Grid
from pm25map.predictors import layout
from pm25map.predictors.cache import ArrayCache, ReadCount
from pm25map.predictors.checks import damage, store_to_write
from pm25map.predictors.variables import check_range, variable

_WHOLE_LAYER_CELLS = 500_000
"""On grids up to this size a layer is read once and whole: opening it takes longer than decoding it."""


class Arrays:
    """Reads parts of a store's variables in physical values. Any number of threads may share it.

    Args:
        path: of the store, for what errors say.
        grid: that the store lies on.
        arrays: of the store, by name.
        whole: days on which a daily variable was written whole, by name.
        reach: the first day that the store has room for, and the number of days.
        cache_bytes: of decoded values to keep.
    """

    def __init__(
        self,
        path: Location,
        grid: Grid,
        arrays: Mapping[str, Any],
        whole: Mapping[str, Collection[dt.date]],
        reach: tuple[dt.date, int],
        cache_bytes: int,
    ) -> None:
        self._path, self._grid, self._arrays, self._whole = path, grid, arrays, whole
        self._first, self._length = reach
        self._attributes: dict[str, dict[str, Any]] = {name: dict(a.attrs) for name, a in arrays.items()}
        self._cache = ArrayCache(cache_bytes)

    def attributes(self, name: str) -> dict[str, Any]:
        """Give what the store says of a variable."""
        return self._attributes[name]

    def itemsize(self, name: str) -> int:
        """Tell the bytes of a stored value."""
        return int(self._arrays[name].dtype.itemsize)

    def whole(self, name: str) -> npt.NDArray[np.float32]:
        """Read all of a variable.

        Raises:
            BadPredictors: it is damaged.
        """
        try:
            return self._decoded(name, ...)
        except damage() as error:
            raise self._damaged(name, error) from error

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
            BadPredictors: a chunk is damaged, says of which days; or a value is out of range.
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
                raise self._damaged(name, error, self._place_of_damage(name, absent, block)) from error
            if count is not None:
                count.add(len(absent), values.size * self.itemsize(name))
            labels = [self._first + dt.timedelta(days=i) for i in range(begin, end)]
            self._check_whole(name, values, labels, block)
            for c in absent:
                part = values[c * layout.CHUNK_DAYS - begin :][: layout.CHUNK_DAYS].copy()
                known[c] = part
                if count is None:
                    self._cache.put((name, c, block), part)
        out = np.empty((len(days), block.height, block.width), dtype=np.float32)
        for i, number in enumerate(index):
            chunk = known[int(number) // layout.CHUNK_DAYS]
            assert chunk is not None  # noqa: S101 - every chunk was found or read above
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
                known = self._decoded(name, (..., *part.slices))
            except damage() as error:
                raise self._damaged(name, error, "" if small else f" in block {block.id}") from error
            check_range(variable(name), known, str(self._path))
            self._cache.put((name, 0, part), known)
        return known[..., *block.slices] if small else known

    def latitude(self, block: Block) -> npt.NDArray[np.float64]:
        """Give the latitude of the land cells of a block, NaN off land: (y, x)."""
        known = self._cache.get(("latitude", 0, block))
        if known is None:
            known = np.full((block.height, block.width), np.nan)
            known[self._grid.land[block.slices]] = self._grid.lonlat(block)[1]
            self._cache.put(("latitude", 0, block), known)
        return known

    def _check_whole(
        self, name: str, values: npt.NDArray[np.float32], labels: list[dt.date], block: Block
    ) -> None:
        """Refuse values out of range, and gaps that the store cannot have had when it was written."""
        row = variable(name)
        check_range(row, values, str(self._path), labels)
        if row.filling == "stop":
            land = self._grid.land[block.slices]
            for day, value in zip(labels, values, strict=True):
                if day in self._whole[name] and np.isnan(value[land]).any():
                    raise BadPredictors(
                        f"{name} of {self._path} has lost values of {day} in {block.id}: a file of the store is gone. "
                        f"Run: pm25map data ingest --source {row.source} --start {day} --end {day} "
                        f"--store {store_to_write(self._path)}"
                    )

    def _decoded(self, name: str, where: Any) -> npt.NDArray[np.float32]:
        """Read a part of an array in physical values."""
        return layout.decode(self._arrays[name][where], self._attributes[name])

    def _place_of_damage(self, name: str, chunks: list[int], block: Block) -> str:
        """Find the first of some chunks of days that cannot be read; nothing where all can at a second try."""
        for number in chunks:
            days = layout.chunk_days(number, self._length)
            try:
                self._decoded(name, (slice(days.start, days.stop), *block.slices))
            except damage():
                first, last = (self._first + dt.timedelta(days=i) for i in (days.start, days.stop - 1))
                return f" on {first} to {last} in block {block.id}"
        return ""

    def _damaged(self, name: str, error: Exception, place: str = "") -> Pm25mapError:
        if isinstance(error, remote_errors()):
            return unreachable(str(self._path), error)
        return BadPredictors(
            f"cannot read {name} of {self._path}, which is damaged{place} ({type(error).__name__}: {error}). "
            f"Make the store again with pm25map data ingest"
        )
