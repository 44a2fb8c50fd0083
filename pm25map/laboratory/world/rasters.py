"""World rasters in latitude and longitude: read once, looked up anywhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadRaster
from pm25map.base.files import sha256_of_file

Degrees = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WorldRaster:
    """One band over the whole world; looked up by nearest cell.

    Attributes:
        path: of the file.
        values: (y, x), row 0 is north.
        west, north: corner of the first cell, degrees; step_lon, step_lat: sides of a cell.
        missing: the file's own value for no value, or None.
        sha256: of the file.
    """

    path: Path
    values: npt.NDArray[Any]
    west: float
    north: float
    step_lon: float
    step_lat: float
    missing: float | None
    sha256: str

    def at(self, lat: Degrees, lon: Degrees) -> npt.NDArray[Any]:
        """Return the value at each place, any shape; longitudes wrap around."""
        rows, cols = self.values.shape
        row = np.clip(np.floor((self.north - lat) / self.step_lat).astype(np.int32), 0, rows - 1)
        col = np.floor((lon - self.west) / self.step_lon).astype(np.int32) % cols
        return np.asarray(self.values[row, col])

    def is_missing(self, values: npt.NDArray[Any], also: tuple[int, ...] = ()) -> npt.NDArray[np.bool_]:
        """Return which values mark a missing value."""
        gone = np.isin(values, also) if also else np.zeros(values.shape, bool)
        if values.dtype.kind == "f":
            gone |= ~np.isfinite(values)
        if self.missing is not None:
            gone |= values == self.missing
        return gone


def open_world(path: Path) -> WorldRaster:
    """Read a world raster.

    Raises:
        BadRaster: it is absent, is no raster, has no CRS or one that is not in degrees, is not north up, or does
            not reach around the world to within half a cell.
    """
    from pm25map.grid.geotiff import open_raster  # noqa: PLC0415 - encoders that need no raster must not wait

    with open_raster(path, BadRaster, what="the raster") as raster:
        crs, transform = raster.source.crs, raster.source.transform
        if raster.is_scaled(1):
            values, missing = raster.values(1), None
        else:
            # Classes stay the whole numbers that they are.
            values, missing = raster.source.read(1), raster.source.nodata
    if crs is None or not crs.is_geographic:
        raise BadRaster(
            f"the raster {path} has {'no CRS' if crs is None else f'the CRS {crs}'}: a world raster is in "
            "latitude and longitude. Run: gdalwarp -t_srs EPSG:4326"
        )
    rows, cols = values.shape
    west, north, step_lon, step_lat = transform.c, transform.f, transform.a, -transform.e
    if transform.b or transform.d or step_lon <= 0 or step_lat <= 0:
        raise BadRaster(f"the raster {path} is not north up. Run: gdalwarp -t_srs EPSG:4326")
    ends = (west + 180, 180 - (west + cols * step_lon), 90 - north, north - rows * step_lat + 90)
    # Rasters of points have their first and last row on the poles: half a cell beyond.
    if max(np.abs(ends) / (step_lon, step_lon, step_lat, step_lat)) > 0.51:
        raise BadRaster(
            f"the raster {path} reaches from {west:g} to {west + cols * step_lon:g} E and from "
            f"{north - rows * step_lat:g} to {north:g} N: rasters of one set all cover the world, -180 to 180 "
            "and -90 to 90. Run: gdalwarp -te -180 -90 180 90"
        )
    return WorldRaster(path, values, west, north, step_lon, step_lat, missing, sha256_of_file(path))
