"""The 90 % interval and the probabilities of exceedance of a map's cells, from the very window that predicts them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.base.aqi import UPPER_ENDS
from pm25map.grid import Block, Grid
from pm25map.model.card import Model
from pm25map.model.intervals import Bounds, bounds_of, load_intervals
from pm25map.model.widths import FIELDS, basis, day_of_year
from pm25map.raster.bands import EXCEEDANCE, LOWER, UPPER, Band
from pm25map.raster.predict import SeenBlock

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Intervals:
    """Gives bounds and probabilities on one grid: a BlockBands. A cell has the same bits in whatever block it comes.

    Attributes:
        bounds: of the model.
        features: of the model, in the order of predictors_raw.
        grid: of the map.
        levels: of UPPER_ENDS, ug m-3, whose probabilities shall be given beside the bounds.
        checksum: of the calibration.
    """

    bounds: Bounds
    features: tuple[str, ...]
    grid: Grid
    levels: tuple[float, ...] = UPPER_ENDS
    checksum: str = ""

    @property
    def bands(self) -> tuple[Band, ...]:
        """Name the two bounds and the probabilities."""
        return (LOWER, UPPER, *(EXCEEDANCE[level] for level in self.levels))

    @property
    def columns(self) -> list[int]:
        """Number the features that `on_day` reads, in its order."""
        return [self.features.index(name) for name in FIELDS]

    def __call__(self, seen: SeenBlock) -> Mapping[Band, Floats]:
        """Give the layers of some cells, as BlockBands says."""
        today = seen.raw[:, -1, self.columns]
        return self.on_day(seen.day, seen.block, seen.cells, seen.pm25, today)

    def on_day(
        self, day: dt.date, block: Block, cells: npt.NDArray[np.bool_], pm25: Floats, fields: Floats
    ) -> dict[Band, Floats]:
        """Give the layers of some cells of a block.

        Args:
            day: that is estimated.
            block: of the grid.
            cells: bool (y, x) of the block: the cells of the arrays below, row by row.
            pm25: float32 (cell,), ug m-3: the estimate.
            fields: float32 (cell, field) of the day: the features of `columns`, before scaling.

        Returns:
            float32 (cell,) for every band of `bands`; NaN where a field is.
        """
        lon, lat = self.grid.lonlat(block)
        chosen = cells[self.grid.land[block.slices]]
        today = {name: fields[:, i] for i, name in enumerate(FIELDS)}
        season = np.full(len(pm25), day_of_year([day])[0])
        return self._of(pm25, basis(pm25, today, season, lon[chosen], lat[chosen]))

    def _of(self, pm25: Floats, terms: npt.NDArray[np.float64]) -> dict[Band, Floats]:
        """Give the layers of any estimates."""
        lower, upper = self.bounds.interval(pm25, terms)
        found = {LOWER: lower, UPPER: upper}
        found |= {EXCEEDANCE[at]: self.bounds.exceedance(pm25, terms, at) for at in self.levels}
        return {band: layer.astype(np.float32) for band, layer in found.items()}


def intervals_on(model: Model, grid: Grid, levels: tuple[float, ...] = UPPER_ENDS) -> Intervals:
    """Make what gives the intervals of a model on a grid.

    Args:
        model: with its calibration.
        grid: of the map.
        levels: as in Intervals; none for the bounds alone.

    Raises:
        BadModel: as `load_intervals`.
    """
    card = load_intervals(model)
    return Intervals(bounds_of(card), model.card.scaler.features, grid, levels, card.checksum)
