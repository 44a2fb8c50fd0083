"""The 90 % interval and the probabilities of exceedance of a map's cells, from the very window that predicts them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pm25map.base.aqi import UPPER_ENDS
from pm25map.grid import Grid
from pm25map.model.card import Model
from pm25map.model.intervals import Bounds, bounds_of, load_intervals
from pm25map.model.widths import FIELDS, basis, day_of_year
from pm25map.raster.bands import EXCEEDANCE, LOWER, UPPER, Band
from pm25map.raster.block_bands import BlockDay, Floats

if TYPE_CHECKING:
    from pm25map.raster.inputs import Inputs


@dataclass(frozen=True)
class IntervalBands:
    """Names the bounds of the 90 % interval, probabilities of exceedance, or both.

    Attributes:
        bounds: whether the two bounds are asked for.
        levels: of UPPER_ENDS, ug m-3, whose probabilities are asked for.
    """

    bounds: bool = True
    levels: tuple[float, ...] = ()

    @property
    def bands(self) -> tuple[Band, ...]:
        """Return the bounds and probabilities that are asked for."""
        return ((LOWER, UPPER) if self.bounds else ()) + tuple(EXCEEDANCE[level] for level in self.levels)

    @property
    def calibrated(self) -> bool:
        """Return true: the calibration makes them."""
        return True

    def check(self, model: Model) -> None:
        """Refuse a model without intervals.

        Raises:
            BadModel: as `load_intervals`.
        """
        load_intervals(model)

    def open(self, inputs: "Inputs") -> "Intervals":
        """Read the calibration of the model."""
        card = load_intervals(inputs.model)
        return Intervals(bounds_of(card), inputs.grid, self.bands, card.checksum)


INTERVALS = IntervalBands()
EXCEEDANCES = IntervalBands(bounds=False, levels=UPPER_ENDS)
INTERVALS_AND_EXCEEDANCES = IntervalBands(levels=UPPER_ENDS)


@dataclass(frozen=True, eq=False)
class Intervals:
    """Works out bounds and probabilities: a BlockBands. A cell has the same bits in whatever block it comes.

    Attributes:
        calibration: of the model.
        grid: of the map.
        bands: that it gives, of LOWER, UPPER and those of EXCEEDANCE.
        checksum: of the calibration.
    """

    calibration: Bounds
    grid: Grid
    bands: tuple[Band, ...]
    checksum: str = ""

    @property
    def raw_features(self) -> tuple[str, ...]:
        """Name the features that the widths depend on."""
        return FIELDS

    @property
    def raw_days(self) -> int:
        """Return one: the estimated day."""
        return 1

    def __call__(self, at: BlockDay) -> dict[Band, Floats]:
        """Return float32 (cell,) for every band; NaN where a field is."""
        lon, lat = self.grid.lonlat(at.block)
        chosen = at.cells[self.grid.land[at.block.slices]]
        fields = at.unscaled(FIELDS, 1)[:, 0]  # (cell, field)
        today = {name: fields[:, i] for i, name in enumerate(FIELDS)}
        season = np.full(len(at.pm25), day_of_year([at.day])[0])
        terms = basis(at.pm25, today, season, lon[chosen], lat[chosen])
        layers = self._bounds(at.pm25, terms) if LOWER in self.bands else {}
        for level, band in EXCEEDANCE.items():
            if band in self.bands:
                layers[band] = self.calibration.exceedance(at.pm25, terms, level)
        return {band: layers[band].astype(np.float32) for band in self.bands}

    def _bounds(self, pm25: Floats, terms: npt.NDArray[np.float64]) -> dict[Band, npt.NDArray[np.floating]]:
        lower, upper = self.calibration.interval(pm25, terms)
        return {LOWER: lower, UPPER: upper}
