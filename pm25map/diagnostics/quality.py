"""The quality mask of a map: what the predictors behind every cell are worth, as bits."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.base.days import window_of
from pm25map.diagnostics.provider import Floats
from pm25map.grid import Block
from pm25map.predictors.quality import Quality, flag_name, quality_mask
from pm25map.predictors.reader import Predictors
from pm25map.raster.bands import Band

QUALITY = Band(
    "quality",
    "Predictors of the window, bits: "
    + ", ".join(f"{bit.value} {str(bit.name).lower().replace('_', ' ')}" for bit in Quality),
    "1",
)
"""A bitmask is no quantity: it goes to a file of its own, uint8, whose overviews take the nearest cell."""


@dataclass(frozen=True)
class QualityMask:
    """Provider of the quality mask of one day.

    Attributes:
        features: of the model, in the order of predictors_raw.
        predictors: the store, whose flag layers are read where it has some.
        days: of the window, oldest first.
    """

    features: tuple[str, ...]
    predictors: Predictors
    days: tuple[dt.date, ...]

    @property
    def layers(self) -> tuple[Band, ...]:
        """Name the one layer."""
        return (QUALITY,)

    def bands(
        self,
        block: Block,
        cells: npt.NDArray[np.bool_],
        window: Floats,
        place: Floats | None,
        predictors_raw: Floats,
        pm25: Floats,
    ) -> dict[str, Floats]:
        """Give the mask of some cells, as BandProvider says; whole numbers up to 127."""
        flagged = tuple(name for name in self.features if flag_name(name) in self.predictors.variables)
        flags: dict[str, npt.NDArray[np.floating]] = {}
        if flagged:
            names = tuple(flag_name(name) for name in flagged)
            read = self.predictors.read(names, list(self.days), block)
            flags = {name: read[:, i, cells].T for i, name in enumerate(flagged)}
        mask = quality_mask(predictors_raw, self.features, flags)
        return {QUALITY.name: mask.astype(np.float32)}


def quality_of_day(
    features: tuple[str, ...], predictors: Predictors, day: dt.date, window_days: int
) -> QualityMask:
    """Make the provider of a day."""
    return QualityMask(features, predictors, tuple(window_of(day, window_days)))
