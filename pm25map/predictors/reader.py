"""The predictor store, read: opened and checked once, then windows of blocks by name, day and place."""

import bisect
import copy
import datetime as dt
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from pm25map.base.errors import BadPredictors
from pm25map.base.files import sha256_of_bytes
from pm25map.base.storage import Location, location
from pm25map.grid import Block, Grid
from pm25map.predictors import layout
from pm25map.predictors.arrays import Arrays
from pm25map.predictors.cache import ReadCount
from pm25map.predictors.checks import check_days, check_features, check_monitored
from pm25map.predictors.computed import NEEDS, compute
from pm25map.predictors.opening import (
    column_names,
    open_checked,
    read_days,
    read_grid,
    read_rows,
    read_table,
)
from pm25map.predictors.sources.calendar import at_days
from pm25map.predictors.variables import variable

CACHE_BYTES = 128 * 2**20
"""Decoded values kept for the next read: the windows of neighbouring days share most of theirs."""

_POINT_DAYS = 64
"""Days of a block that are read at once when points are sampled."""


class Predictors:
    """An open store. Any number of threads may read from it; each process opens its own.

    Attributes:
        path: folder *.zarr or file *.zarr.zip, or a folder *.zarr in an object store.
        grid: of the store, rebuilt from its definition.
        daily: names of the daily variables.
        layers: names of the static variables and climatologies that are filled.
        history: the commands that wrote the store.
        present: None for a store that refuses a window with a missing day; else the days, oldest first, that
            replace the missing days before them (see `filling_gaps`).
        label: names the monitors that the days were computed from, where nobody named the store; empty otherwise.
    """

    present: list[dt.date] | None = None
    label: str = ""

    def __init__(self, path: Location, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = path
        group, arrays = open_checked(path)
        self.grid: Grid = read_grid(path, group, arrays)
        rows = read_rows(path, arrays, self.grid)
        self.daily = tuple(name for name, row in rows.items() if row.kind == "daily")
        self.layers = tuple(name for name, row in rows.items() if row.kind != "daily")
        self.history = str(group.attrs.get("history", ""))
        self._first, self._length = read_days(path, arrays)
        columns = column_names(path, arrays, layout.FINGERPRINT, "variables")
        prints = read_table(path, arrays, layout.FINGERPRINT, columns, self._length)
        self._prints = {name: prints[name] for name in self.daily}
        self._whole = {
            name: frozenset(self._first + dt.timedelta(days=int(i)) for i in np.nonzero(prints)[0])
            for name, prints in self._prints.items()
        }
        self._inputs = read_table(path, arrays, layout.INPUTS, columns, self._length)
        facts = column_names(path, arrays, layout.FACTS, "facts")
        self._facts = read_table(path, arrays, layout.FACTS, facts, self._length)
        stored = {name: arrays[name] for name in rows}
        self._arrays = Arrays(path, self.grid, stored, self._prints, (self._first, self._length), cache_bytes)

    @property
    def grid_checksum(self) -> str:
        """Return the checksum of the grid of the store."""
        return self.grid.checksum

    @property
    def variables(self) -> tuple[str, ...]:
        """Name what the store holds, daily variables first; calendar variables need no store."""
        return self.daily + self.layers

    @property
    def span(self) -> tuple[dt.date, dt.date]:
        """Return the first and last day of the time axis."""
        return self._first, self._first + dt.timedelta(days=self._length - 1)

    @functools.cached_property
    def days(self) -> list[dt.date]:
        """List the days on which every daily variable is whole, oldest first."""
        return self.days_of(self.daily)

    def days_of(self, names: tuple[str, ...]) -> list[dt.date]:
        """List the days on which some daily variables of the store are whole, oldest first."""
        sets = [self._whole[name] for name in names]
        return sorted(frozenset.intersection(*sets)) if sets else []

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 over the grid and all values, by their fingerprints: the same in a folder and in a zip."""
        parts = [self.grid.checksum.encode()]
        for name in sorted(self.layers):
            parts.append(f"{name} {self._arrays.attributes(name)[layout.FINGERPRINT]}".encode())
        for name in sorted(self.daily):
            whole = np.nonzero(self._prints[name])[0]
            numbers = whole + (self._first - layout.EPOCH).days
            parts += [
                name.encode(),
                numbers.astype("<i8").tobytes(),
                self._prints[name][whole].astype("<i8").tobytes(),
            ]
        return sha256_of_bytes(*parts)

    def window_checksum(self, features: tuple[str, ...], days: list[dt.date]) -> str:
        """SHA-256 over the grid and the values of a window, by their fingerprints.

        It stays what it is when the store grows or other variables and days change: a map is out of date
        exactly when this differs.

        Args:
            features: that the model reads; what they are worked out from counts as well.
            days: of the window.
        """
        needed = dict.fromkeys(need for name in features for need in NEEDS.get(name, (name,)))
        slots = np.array([(day - self._first).days for day in days])
        numbers = (slots + (self._first - layout.EPOCH).days).astype("<i8").tobytes()
        parts = [self.grid.checksum.encode(), " ".join(features).encode(), numbers]
        # A day that is missing counts as 0, inside of the store as outside of it.
        inside = (slots >= 0) & (slots < self._length)
        valid_slots = np.where(inside, slots, 0)
        for name in sorted(needed):
            if name in self._prints:
                prints = np.where(inside, self._prints[name][valid_slots], 0)
                parts += [name.encode(), prints.astype("<i8").tobytes()]
            elif name in self.layers:
                parts.append(f"{name} {self._arrays.attributes(name)[layout.FINGERPRINT]}".encode())
        return sha256_of_bytes(*parts)

    def inputs_of(self, name: str, day: dt.date) -> int:
        """Return the fingerprint of what a day of a daily variable was computed from; 0 where it is unknown."""
        slot = (day - self._first).days
        return int(self._inputs[name][slot]) if name in self._inputs and 0 <= slot < self._length else 0

    def facts_of(self, day: dt.date) -> dict[str, float]:
        """Return what the sources of a day stated of it, numbers by name; empty where nothing is known."""
        slot = (day - self._first).days
        known = {name: float(row[slot]) for name, row in self._facts.items() if 0 <= slot < self._length}
        return {name: value for name, value in known.items() if np.isfinite(value)}

    def chunks_of(self, days: list[dt.date]) -> dict[int, list[dt.date]]:
        """Group days by the number of the chunk that holds them: those of a group are decoded together.

        A missing day is in the group of the day that replaces it.
        """
        groups: dict[int, list[dt.date]] = {}
        ordered = sorted(days)
        for day, read in zip(ordered, self.days_read(ordered), strict=True):
            groups.setdefault((read - self._first).days // layout.CHUNK_DAYS, []).append(day)
        return groups

    def bytes_to_read(self, features: tuple[str, ...], days: list[dt.date], block: Block) -> int:
        """Count the stored bytes, decoded, that reading some days of the daily variables of a block takes."""
        slots = {(day - self._first).days // layout.CHUNK_DAYS for day in self.days_read(days)}
        length = sum(len(layout.chunk_days(number, self._length)) for number in slots)
        widths = [self._arrays.itemsize(name) for name in features if name in self._prints]
        return int(length * sum(widths) * block.height * block.width)

    def filling_gaps(self, features: tuple[str, ...]) -> "Predictors":
        """Return the same store, in which the next day that is present replaces a missing day of a window.

        AirNow keeps fewer days than a window has, and monitors fall silent; docs/model.md says what it costs, and
        windows.gaps has the rule for stations. A day is present where the store has all daily variables of `features`.

        Args:
            features: that the model reads.
        """
        filled = copy.copy(self)
        daily = tuple(name for name in features if name in self._whole)
        filled.present = self.days_of(daily) if daily else None
        return filled

    def days_read(self, days: list[dt.date]) -> list[dt.date]:
        """List the days whose daily variables are read for some days: themselves, or those that replace them.

        A missing day after the last day that is present has none, and is listed as it is.
        """
        if self.present is None:
            return days
        places = [bisect.bisect_left(self.present, day) for day in days]
        return [
            self.present[i] if i < len(self.present) else day for i, day in zip(places, days, strict=True)
        ]

    def days_present(self, days: list[dt.date]) -> int:
        """Count the days of a window that the store has; all of them where gaps are refused."""
        return sum(read == day for read, day in zip(self.days_read(days), days, strict=True))

    def precision(self, name: str) -> float | None:
        """Return the step of a packed variable, in its units; None where it is float32."""
        step = self._arrays.attributes(name).get("scale_factor")
        return None if step is None else float(step)

    def layer(self, name: str) -> npt.NDArray[np.float32]:
        """Read a whole static variable (y, x), or all months of a climatology (month, y, x)."""
        return self._arrays.whole(name)

    @functools.cached_property
    def dataset(self) -> xr.Dataset:
        """Open the store as xarray does: lazily, decoded, with its coordinates."""
        store: Any = layout.open_group(self.path, "r").store
        dataset: xr.Dataset = xr.open_zarr(store, consolidated=False, chunks=None)
        return dataset

    def check(self, grid: Grid, features: tuple[str, ...], days: list[dt.date]) -> None:
        """Refuse a window that the store cannot give, before anything is read.

        Args:
            grid: of the map.
            features: that the model wants.
            days: of the window, oldest first; the last is the estimated day.

        Raises:
            BadPredictors: the store lies on another grid, or lacks a variable.
            UnknownName: the table lacks a variable.
            DayOutsideStore: the store does not reach the day or, unless gaps are filled, the begin of its window.
            MissingDays: the day is missing or, unless gaps are filled, one of its window; says how to get them.
        """
        if grid.checksum != self.grid.checksum:
            raise BadPredictors(
                f"{self.path} lies on grid {self.grid.name} ({self.grid.crs}, {self.grid.shape[0]} x "
                f"{self.grid.shape[1]}, checksum {self.grid.checksum[:12]}), not on {grid.name} ({grid.crs}, "
                f"{grid.shape[0]} x {grid.shape[1]}, checksum {grid.checksum[:12]}). Make one for that grid: "
                f"pm25map data ingest --grid {grid.name} --store OTHER.zarr"
            )
        check_features(self.path, self.variables, features)
        whole = {name: self._whole[name] for name in features if name in self._whole}
        needed = days if self.present is None else days[-1:]
        if self.label:
            check_monitored(self.label, whole, needed)
        check_days(self.path, whole, needed)

    def read(
        self,
        features: tuple[str, ...],
        days: list[dt.date],
        block: Block,
        count: ReadCount | None = None,
    ) -> npt.NDArray[np.float32]:
        """Read some variables on some days over a block.

        Args:
            features: names from the table; the second axis follows them.
            days: the first axis follows them.
            block: of the store's grid.
            count: counts what is decoded of daily variables. Who counts reads each value once, by whole chunks:
                they are then neither sought nor kept in the cache.

        Returns:
            float32 (day, feature, y, x) in the table's units; NaN where missing and off land. Layers are
            repeated, climatologies evaluated on each day, calendar variables worked out. Where gaps are filled, a
            missing day has the daily variables of the day that replaces it, and a calendar of its own.

        Raises:
            BadPredictors: the store lacks a variable, a value is out of range, or the block leaves the grid.
            DayOutsideStore, MissingDays: the store lacks a day of a daily variable.
        """
        rows, cols = self.grid.shape
        if block.row + block.height > rows or block.col + block.width > cols:
            raise BadPredictors(
                f"{block} leaves grid {self.grid.name} of {rows} x {cols} cells: use its own blocks"
            )
        check_features(self.path, self.variables, features)
        days_read = self.days_read(days)
        check_days(
            self.path, {name: self._whole[name] for name in features if name in self._whole}, days_read
        )
        values = np.empty((len(days), len(features), block.height, block.width), dtype=np.float32)
        land = self.grid.land[block.slices]
        for i, name in enumerate(features):
            kind = variable(name).kind
            if kind == "daily":
                values[:, i] = self._arrays.daily(name, days_read, block, count)
            elif kind == "static":
                values[:, i] = self._arrays.layer(name, block)
            elif kind == "climatology":
                values[:, i] = at_days(self._arrays.layer(name, block), days)
            else:
                computed = compute(
                    name, days, self._arrays.latitude(block), lambda n: self._arrays.layer(n, block)
                )
                values[:, i] = np.where(land, computed, np.float32(np.nan))
        return values

    def at(
        self, features: tuple[str, ...], days: list[dt.date], rows: npt.ArrayLike, cols: npt.ArrayLike
    ) -> npt.NDArray[np.float32]:
        """Sample some cells, such as those that hold monitors; the values are those that `read` gives.

        Args:
            features: names from the table.
            days: the second axis follows them.
            rows: of the cells (point,), as Grid.cells_at finds them.
            cols: of the cells (point,).

        Returns:
            float32 (point, day, feature); NaN where missing and off land.

        Raises:
            BadPredictors: a cell lies outside of the grid. Else as `read`.
        """
        row, col = np.asarray(rows, dtype=np.intp), np.asarray(cols, dtype=np.intp)
        height, width = self.grid.shape
        outside = (row < 0) | (row >= height) | (col < 0) | (col >= width)
        if outside.any():
            raise BadPredictors(
                f"{int(outside.sum())} points lie outside of grid {self.grid.name} (first: number "
                f"{int(np.argmax(outside))}): leave them out"
            )
        values = np.full((len(row), len(days), len(features)), np.nan, dtype=np.float32)
        size = self.grid.block_size
        for block in self.grid.blocks():
            inside = np.nonzero((row // size == block.row // size) & (col // size == block.col // size))[0]
            for first in range(0, len(days) if len(inside) else 0, _POINT_DAYS):
                span = slice(first, first + _POINT_DAYS)
                read = self.read(features, days[span], block)
                picked = read[:, :, row[inside] - block.row, col[inside] - block.col]
                values[inside, span] = picked.transpose(2, 0, 1)
        return values


def open_predictors(path: Location | str, *, cache_bytes: int = CACHE_BYTES) -> Predictors:
    """Open a store and check it: grid, axes, units and shapes of every variable that the table knows.

    Args:
        path: folder *.zarr, or file *.zarr.zip, or a folder *.zarr in an object store (s3://...).
        cache_bytes: of decoded values to keep for the next read.

    Raises:
        BadPredictors: there is no store, or it is damaged, or a unit, shape or CRS is wrong.
    """
    path = location(path) if isinstance(path, str) else path
    return Predictors(path, cache_bytes)
