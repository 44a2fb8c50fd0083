"""The quality mask of a map: the quality of the predictors behind every cell, as bits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.days import window_of
from pm25map.base.files import check_output
from pm25map.grid import Block, Grid
from pm25map.model.card import Model
from pm25map.predictors.quality import Quality, flag_name, quality_mask
from pm25map.predictors.reader import Predictors
from pm25map.raster.bands import Band
from pm25map.raster.block_bands import BlockDay
from pm25map.raster.cog import COG_OPTIONS, CONVENTIONS, lay_out, write_whole
from pm25map.raster.inputs import Inputs
from pm25map.raster.provenance import Provenance

QUALITY = Band(
    "quality",
    "Predictors of the window, bits: "
    + ", ".join(f"{bit.value} {str(bit.name).lower().replace('_', ' ')}" for bit in Quality),
    "1",
    whole=True,
)
"""A bitmask is no quantity: it goes to a file of its own, uint8, whose overviews take the nearest cell."""

NO_CELL = 255
"""Off land, and where there is no estimate: all bits are never set together."""

_OPTIONS = {**COG_OPTIONS, "PREDICTOR": "2", "OVERVIEW_RESAMPLING": "NEAREST"}


@dataclass(frozen=True)
class QualityBand:
    """Names the quality mask."""

    def check(self, model: Model) -> None:
        """Do nothing: every model has predictors."""

    def open(self, inputs: Inputs) -> "QualityMask":
        """Open the computation of the mask."""
        return QualityMask(inputs.features, inputs.predictors, inputs.model.card.window_days)


@dataclass(frozen=True, eq=False)
class QualityMask:
    """Computes the quality mask: a BlockBands.

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
        """Return the one band."""
        return (QUALITY,)

    @property
    def raw_features(self) -> tuple[str, ...]:
        """Return all features of the model."""
        return self.features

    @property
    def raw_days(self) -> int:
        """Return the length of the window."""
        return self.window_days

    @property
    def checksum(self) -> str:
        """Return nothing: the predictors alone decide the mask."""
        return ""

    def __call__(self, at: BlockDay) -> dict[Band, npt.NDArray[np.float32]]:
        """Return the mask of some cells; whole numbers up to 127."""
        flagged = tuple(name for name in self.features if flag_name(name) in self.predictors.variables)
        flags: dict[str, npt.NDArray[np.floating]] = {}
        if flagged:
            names = tuple(flag_name(name) for name in flagged)
            read = self.predictors.read(names, window_of(at.day, self.window_days), at.block)
            flags = {name: read[:, i, at.cells].T for i, name in enumerate(flagged)}
        raw = at.unscaled(self.features, self.window_days)
        return {QUALITY: quality_mask(raw, self.features, flags).astype(np.float32)}


def write_quality(
    path: Path,
    mask: npt.NDArray[np.float32],
    grid: Grid,
    provenance: Provenance,
    *,
    block: Block | None = None,
    overwrite: bool = False,
) -> None:
    """Write the quality mask of a map as a Cloud-Optimized GeoTIFF of its own: uint8, overviews by nearest cell.

    Args:
        path: the file to write.
        mask: float32 (y, x) of the block, as QualityMask returns it; NaN where there is no estimate.
        grid: of the map.
        provenance: of the map.
        block: the part of the grid that the mask covers, the whole where None.
        overwrite: replace a file that is there.

    Raises:
        BadOutput: the file is there already, or cannot be written.
    """
    check_output(path, overwrite=overwrite)
    bits = np.where(np.isnan(mask), NO_CELL, np.nan_to_num(mask)).astype(np.uint8)
    tags = {
        "Conventions": CONVENTIONS,
        "title": f"Quality of the predictors of: {provenance.title}",
        "history": f"pm25map {provenance.software_version}: {provenance.command}",
        "license": provenance.licence,
        "flag_masks": " ".join(str(bit.value) for bit in Quality),
        "flag_meanings": " ".join(str(bit.name).lower() for bit in Quality),
        **provenance.to_tags(),
    }
    place = block or Block(0, 0, *grid.shape)
    write_whole(path, lay_out({QUALITY: bits}, grid, place, tags, nodata=NO_CELL, options=_OPTIONS))
