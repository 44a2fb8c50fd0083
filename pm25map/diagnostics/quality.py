"""The quality mask of a map: what the predictors behind every cell are worth, as bits."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.base.days import window_of
from pm25map.predictors.quality import Quality, flag_name, quality_mask
from pm25map.predictors.reader import Predictors
from pm25map.raster.bands import Band
from pm25map.raster.predict import SeenBlock

QUALITY = Band(
    "quality",
    "Predictors of the window, bits: "
    + ", ".join(f"{bit.value} {str(bit.name).lower().replace('_', ' ')}" for bit in Quality),
    "1",
)
"""A bitmask is no quantity: it goes to a file of its own, uint8, whose overviews take the nearest cell."""


@dataclass(frozen=True)
class QualityMask:
    """Gives the quality mask: a BlockBands.

    Attributes:
        features: of the model, in order.
        predictors: the store, whose flag layers are read where it has some.
        window_days: of the model.
    """

    features: tuple[str, ...]
    predictors: Predictors
    window_days: int

    @property
    def bands(self) -> tuple[Band, ...]:
        """Name the one layer."""
        return (QUALITY,)

    def __call__(self, seen: SeenBlock) -> dict[Band, npt.NDArray[np.float32]]:
        """Give the mask of some cells, as BlockBands says; whole numbers up to 127."""
        flagged = tuple(name for name in self.features if flag_name(name) in self.predictors.variables)
        flags: dict[str, npt.NDArray[np.floating]] = {}
        if flagged:
            names = tuple(flag_name(name) for name in flagged)
            read = self.predictors.read(names, window_of(seen.day, self.window_days), seen.block)
            flags = {name: read[:, i, seen.cells].T for i, name in enumerate(flagged)}
        return {QUALITY: quality_mask(seen.raw, self.features, flags).astype(np.float32)}
