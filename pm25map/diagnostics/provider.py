"""What every diagnostic layer is made by: a provider of bands, asked block by block in the pass of a map."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from pm25map.grid import Block
from pm25map.raster.bands import Band

Floats = npt.NDArray[np.float32]


class BandProvider(Protocol):
    """Gives some layers of one day's map, from what the model itself was given of a block.

    A provider is made for one model, grid and day, and may be asked by several threads at once.
    """

    @property
    def layers(self) -> tuple[Band, ...]:
        """Name what it gives."""

    def bands(
        self,
        block: Block,
        cells: npt.NDArray[np.bool_],
        window: Floats,
        place: Floats | None,
        predictors_raw: Floats,
        pm25: Floats,
    ) -> dict[str, Floats]:
        """Give the layers of some cells.

        Args:
            block: of the grid.
            cells: bool (y, x) of the block: which cells.
            window: float32 (cell, day, input), as the network reads it; oldest day first.
            place: float32 (cell, d), None for a model without a place.
            predictors_raw: float32 (cell, day, feature) in the table's units, NaN where missing.
            pm25: float32 (cell,), ug m-3, the model's estimates.

        Returns:
            float32 (cell,) by name; NaN where there is nothing to say. Cells run row by row.
        """
