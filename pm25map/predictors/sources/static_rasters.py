"""One raster of the static source: a GeoTIFF as float32 values, with its mask, scale, offset and unit applied."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.transform import Affine
from rasterio.windows import Window, from_bounds

from pm25map.base.errors import BadInstall, BadPredictors
from pm25map.predictors.sources.files import first_line
from pm25map.predictors.variables import Variable

Bands = npt.NDArray[np.float32]
"""(band, y, x), NaN where missing."""


@dataclass(frozen=True)
class StaticRaster:
    """A raster as it was read.

    Attributes:
        where: the file, for messages.
        bands: float32 (band, y, x), scale and offset applied; NaN where the file has no data.
        transform: of its cells.
        crs: as WKT.
        scaled: the file declares a scale or an offset.
        units: of every band, as the file writes it; None where it has none.
    """

    where: str
    bands: Bands
    transform: Affine
    crs: str
    scaled: bool
    units: tuple[str | None, ...]


class StaticRasters(Protocol):
    """The rasters of the static source by file name."""

    def read(self, file: str) -> StaticRaster:
        """Read one raster."""
        ...


@dataclass(frozen=True)
class RasterFolder:
    """A user's own rasters.

    Attributes:
        folder: of the rasters.
    """

    folder: Path

    def read(self, file: str) -> StaticRaster:
        """Read one raster.

        Raises:
            BadPredictors: it is absent or damaged, no GeoTIFF, or has no CRS.
        """
        path = self.folder / file
        # A .tif may be a VRT, and an .aux.xml beside it may name other files or addresses: neither is followed.
        with (
            _one_line(str(path)),
            rasterio.Env(GDAL_PAM_ENABLED=False),
            rasterio.open(path, driver="GTiff") as raster,
        ):
            return _decode(raster, str(path))


def read_content(
    content: bytes, where: str, box: tuple[float, float, float, float] | None = None
) -> StaticRaster:
    """Read a GeoTIFF that is in memory.

    Args:
        content: of the file.
        where: where it comes from, for messages.
        box: to cut it to, along its cells: west, south, east, north in its CRS; None for all of it.

    Raises:
        BadPredictors: it is damaged, or has no CRS.
    """
    with _one_line(where), MemoryFile(content, ext=".tif") as memory, memory.open(driver="GTiff") as raster:
        return _decode(raster, where, box)


def in_units_of(raster: StaticRaster, row: Variable) -> StaticRaster:
    """Convert a raster to the unit of a variable; a band without a unit is taken to be in it.

    Raises:
        BadPredictors: a band is in a unit that cannot become the variable's.
        BadInstall: a conversion is needed, and the package that does it is not installed.
    """
    if all(unit is None or unit == row.units for unit in raster.units):
        return raster
    try:
        from pm25map.predictors.units import convert  # noqa: PLC0415 - its package comes with the data extra
    except ModuleNotFoundError as error:
        raise BadInstall(
            f"{raster.where} is in {raster.units[0]!r}, and converting it to {row.units!r} needs the package "
            f"{error.name}. Run: pip install 'pm25map[data]'"
        ) from error
    converted = [
        band if unit is None else convert(band, unit, row, f"band {number} of {raster.where}")
        for number, (band, unit) in enumerate(zip(raster.bands, raster.units, strict=True), 1)
    ]
    return replace(raster, bands=np.stack(converted), units=(row.units,) * len(converted))


@contextmanager
def _one_line(where: str) -> Iterator[None]:
    try:
        yield
    except RasterioError as error:
        raise BadPredictors(
            f"cannot read {where} as a GeoTIFF ({first_line(error)}): get it again"
        ) from error


def _decode(
    raster: DatasetReader, where: str, box: tuple[float, float, float, float] | None = None
) -> StaticRaster:
    if raster.crs is None:
        raise BadPredictors(f"{where} has no CRS: set it with gdal_edit or rio edit-info")
    scales, offsets = np.array(raster.scales), np.array(raster.offsets)
    if not (np.isfinite(scales).all() and np.isfinite(offsets).all() and scales.all()):
        raise BadPredictors(
            f"{where} declares a scale of {scales.tolist()} and an offset of {offsets.tolist()}: set them right, "
            f"for example with rio edit-info"
        )
    scaled = bool((scales != 1).any() or offsets.any())
    window = Window(0, 0, raster.width, raster.height)
    if box is not None:
        window = from_bounds(*box, raster.transform).round_offsets().round_lengths()
    stored = raster.read(masked=True, window=window)  # (band, y, x)
    if scaled:
        # In double precision: a step of 0.0001 would be lost in the last digits of float32.
        stored = stored.astype(np.float64) * scales[:, None, None] + offsets[:, None, None]
    units = tuple((unit or "").strip() or None for unit in raster.units)
    bands = np.ma.filled(stored.astype(np.float32), np.nan)
    transform = raster.window_transform(window)
    return StaticRaster(where, bands, transform, raster.crs.to_wkt(), scaled, units)
