"""Filling gaps, a day at a time: a DailySource, so that an ingest writes, restarts and refuses as for all sources."""

import datetime as dt
from typing import Literal

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel, BadPredictors
from pm25map.grid import Block, Grid
from pm25map.predictors.checks import check_features
from pm25map.predictors.imputation.buffers import Buffers, day_buffers, has_neighbours
from pm25map.predictors.imputation.inputs import SOURCE, filled_name, read_day, read_inputs
from pm25map.predictors.imputation.recipe import Imputation
from pm25map.predictors.quality import Quality, flag_name
from pm25map.predictors.reader import Predictors
from pm25map.predictors.variables import variable

CARRY_DAYS = 3
"""Days without any observation that the latest day with some is carried over; then the climatology follows."""

Filled = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]
"""Values and flags of a day, (y, x)."""

Fate = Literal["observed", "imputed", "carried_forward", "climatology", "missing"]

_FATES: dict[Fate, Quality] = {
    "missing": Quality.MISSING,
    "climatology": Quality.CLIMATOLOGY,
    "carried_forward": Quality.CARRIED_FORWARD,
    "imputed": Quality.IMPUTED,
    "observed": Quality.OBSERVED,
}
"""The worst first: what was carried from an imputed value counts as carried."""


class Imputer:
    """The source of the filled variable and its flags. A day depends on store and model, never on days filled before.

    Attributes:
        store: with the variable and its predictors.
        model: that was learned for the store's grid.
        carry_days: as CARRY_DAYS.
        block_size: cells along the side of what is filled at once; that of the grid where None.
    """

    def __init__(
        self,
        store: Predictors,
        model: Imputation,
        carry_days: int = CARRY_DAYS,
        block_size: int | None = None,
    ) -> None:
        """Check that the model fits the store.

        Raises:
            BadModel: it was learned on another grid.
            BadPredictors: the store lacks the variable or a predictor.
        """
        recipe = model.recipe
        if recipe.grid_checksum != store.grid.checksum:
            raise BadModel(
                f"{model.path} was learned on grid {recipe.grid}, and {store.path} lies on {store.grid.name} "
                f"(checksums {recipe.grid_checksum[:12]} and {store.grid.checksum[:12]}). Learn one for it: "
                f"pm25map data impute train --store {store.path}"
            )
        if model.climatology.shape[1:] != store.grid.shape:
            raise BadModel(
                f"the climatology of {model.path} has the shape {model.climatology.shape[1:]}, and grid {recipe.grid} "
                f"{store.grid.shape}. Run: pm25map data impute train"
            )
        check_features(store.path, store.variables, (recipe.variable, *recipe.predictors))
        self.store, self.model, self.carry_days, self.block_size = store, model, carry_days, block_size
        self._target = recipe.variable
        self._daily = tuple(name for name in recipe.predictors if variable(name).kind == "daily")
        self._whole = set(store.days_of((self._target,)))
        self._ready = set(store.days_of(self._daily)) if self._daily else None
        self._seen: dict[dt.date, bool] = {}
        self._last: tuple[dt.date, Filled] | None = None

    @property
    def name(self) -> str:
        """Return the name of the source, as in the variable table."""
        return SOURCE

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the names of the filled variable and its flags."""
        filled = filled_name(self._target)
        return filled, flag_name(filled)

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Return the days that cannot be filled, each with the reason.

        Days before the first and, by more than what is carried, after the last day of the variable are those that
        were never ingested; a gap inside is a day without observation.
        """
        reasons = {}
        own = f"ingest source {variable(self._target).source}"
        if not self._whole:
            return dict.fromkeys(days, f"{self.store.path} holds no day of {self._target}: {own}")
        first, last = min(self._whole), max(self._whole)
        for day in days:
            if not first <= day <= last + dt.timedelta(days=self.carry_days):
                reasons[day] = f"{self._target} is there from {first} to {last} only: {own}"
                continue
            source = self._source_day(day)
            if source is not None and self._ready is not None and source not in self._ready:
                absent = [name for name in self._daily if source not in self.store.days_of((name,))]
                sources = ", ".join(dict.fromkeys(variable(name).source for name in absent))
                reasons[day] = f"{', '.join(absent)} of {source} is not there: ingest source {sources}"
        return reasons

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Fill some days: float32 (day, y, x) of the filled variable and of its flags, NaN off land.

        Raises:
            BadPredictors: a value of the store is out of its range.
            MissingDays: a predictor lacks a day.
        """
        values, flags = zip(*(self.fill(day) for day in days), strict=True)
        marked = [np.where(grid.land, flag, np.nan).astype(np.float32) for flag in flags]
        filled, flag = self.variables
        return {filled: np.stack(values), flag: np.stack(marked)}

    def fill(self, day: dt.date) -> Filled:
        """Fill a day: values float32 (y, x), NaN where missing and off land; flags uint8 (y, x), 0 off land."""
        land = self.store.grid.land
        source = self._source_day(day)
        if source is None:
            values = np.where(land, self.model.climatology[day.month - 1], np.nan).astype(np.float32)
            flags = np.where(np.isfinite(values), int(Quality.CLIMATOLOGY), int(Quality.MISSING))
            return values, np.where(land, flags, 0).astype(np.uint8)
        values, flags = self._regressed(source)
        if source == day:
            return values, flags
        carried = (flags & int(Quality.IMPUTED)) | int(Quality.CARRIED_FORWARD)
        return values, np.where(land, carried, 0).astype(np.uint8)

    def _source_day(self, day: dt.date) -> dt.date | None:
        """Find the day whose observations fill a day: itself, or the latest before; None where it is too old."""
        earlier = (day - dt.timedelta(days=back) for back in range(self.carry_days + 1))
        return next((one for one in earlier if one in self._whole and self._has_observation(one)), None)

    def _has_observation(self, day: dt.date) -> bool:
        if day not in self._seen:
            blocks = self.store.grid.blocks()
            self._seen[day] = any(
                np.isfinite(self.store.read((self._target,), [day], b)).any() for b in blocks
            )
        return self._seen[day]

    def _regressed(self, day: dt.date) -> Filled:
        """Fill a day with observations; the last one is kept for the days that it is carried over."""
        if self._last is not None and self._last[0] == day:
            return self._last[1]
        grid = self.store.grid
        values = read_day(self.store, self._target, day)
        flags = np.where(grid.land, int(Quality.OBSERVED), 0).astype(np.uint8)
        buffers = day_buffers(values, grid.land, self.model.recipe.radii)
        gaps = grid.land & np.isnan(values)
        flags[gaps] = int(Quality.IMPUTED)
        for block in grid.blocks(self.block_size):
            cells = gaps[block.slices]
            if cells.any():
                values[block.slices][cells] = self._estimate(day, block, cells, buffers)
        if not np.isfinite(values[grid.land]).all():
            raise BadPredictors(f"{self.model.path} gave values of {day} that are no numbers: learn it again")
        self._last = day, (values, flags)
        return values, flags

    def _estimate(
        self, day: dt.date, block: Block, cells: npt.NDArray[np.bool_], buffers: Buffers
    ) -> npt.NDArray[np.float32]:
        """Estimate the gaps of a block: (cell,)."""
        row, col = np.nonzero(cells)
        inputs = read_inputs(self.store, self.model.recipe.predictors, day, block, cells)
        around = buffers.at(row + block.row, col + block.col)
        near = has_neighbours(around)
        out = np.empty(len(row), dtype=np.float32)
        if near.any():
            out[near] = self.model.trees["with_neighbours"](np.hstack([inputs[near], around[near]]))
        if not near.all():
            out[~near] = self.model.trees["without_neighbours"](inputs[~near])
        recipe = self.model.recipe
        return np.clip(out, np.float32(recipe.lowest), np.float32(recipe.highest))


def late_days(store: Predictors, target: str, days: list[dt.date]) -> list[dt.date]:
    """List the days that were filled without observations of their own, and now have some: fill these again."""
    flag = flag_name(filled_name(target))
    filled = set(store.days_of((flag,))) & set(store.days_of((target,)))
    late = []
    for day in (day for day in days if day in filled):
        bits = np.nan_to_num(read_day(store, flag, day)).astype(np.uint8)
        if not (bits == int(Quality.OBSERVED)).any() and np.isfinite(read_day(store, target, day)).any():
            late.append(day)
    return late


def count_fates(store: Predictors, target: str, days: list[dt.date]) -> dict[Fate, int]:
    """Count the land cell-days of a filled variable by how each was filled; days that are not filled do not count."""
    flag = flag_name(filled_name(target))
    counts = dict.fromkeys(_FATES, 0)
    whole = set(store.days_of((flag,)))
    for day in (day for day in days if day in whole):
        for block in store.grid.blocks():
            values = store.read((flag,), [day], block)[0, 0]
            bits = values[np.isfinite(values)].astype(np.uint8)
            for fate, bit in _FATES.items():
                of_it = (bits & int(bit)) > 0
                counts[fate] += int(of_it.sum())
                bits = bits[~of_it]
    return {fate: counts[fate] for fate in reversed(_FATES)}
