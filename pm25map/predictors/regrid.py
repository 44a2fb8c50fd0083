"""Regridding: rasters, fields on latitude and longitude, and directions, brought to any grid.

The rule is in the variable table. All rasters go through GDAL's warper; a source that comes in tiles is joined
first and warped once, so that no tile leaves a seam.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS, Transformer
from rasterio.transform import Affine
from rasterio.warp import Resampling, calculate_default_transform, reproject, transform_bounds
from scipy import interpolate

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid

Array = npt.NDArray[np.float32]

GEOGRAPHIC = "OGC:CRS84"
"""Longitude and latitude in degrees, as in every lat/lon source here."""

EVEN = 0.01
"""An axis whose steps differ by less than this part of a step is even; Gaussian latitudes differ by more."""

MARGIN_CELLS = 4
"""Cells around a grid that are read as well, so that interpolation at its edge sees all it needs."""

_METHODS = {
    "average": Resampling.average,
    "bilinear": Resampling.bilinear,
    "nearest": Resampling.nearest,
}


@dataclass(frozen=True)
class Field:
    """Values on the rows and columns of a source.

    Attributes:
        values: float32 (y, x), NaN where missing; row 0 is north.
        y: centres of the rows in units of the CRS, falling.
        x: centres of the columns in units of the CRS, growing.
        crs: of y and x.
    """

    values: Array
    y: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    crs: str


TOLERANCE_CELLS = 0.125
"""How far a cell centre may be from its exact place, in cells of the raster. rasterio 1.4 has this number whatever is
asked for (findings/rasterio-reproject-tolerance.sh), and rasterio 1.5 takes it: the layers of the shipped sample and
models were computed with it, and are the same with either."""

METRES_PER_DEGREE = (4_620_000 / 60.5, 2_920_000 / 27.0)
"""East and north: what GDAL takes a degree to be when rasters of 60.5 x 27 degrees are warped to conus-10km."""


def kernel_of_conus(transform: Affine, crs: str, grid: Grid) -> dict[str, float]:
    """Return warper options that fix the width of the bilinear kernel where a grid is coarser than a raster.

    By itself GDAL takes the width from the sizes of the grid and of the part of the raster below it, so that a
    raster which reaches farther gives other values. These options hold it at the width it has on conus-10km.

    Args:
        transform: of the raster.
        crs: of the raster; none are returned where it is not in degrees.
        grid: to bring it to.
    """
    if not CRS.from_user_input(crs).is_geographic:
        return {}
    east, north = METRES_PER_DEGREE
    return {
        "xscale": abs(transform.a) * east / grid.step[0],
        "yscale": abs(transform.e) * north / grid.step[1],
    }


def regrid(
    band: Array,
    transform: Affine,
    crs: str,
    grid: Grid,
    resampling: str,
    kernel: dict[str, float] | None = None,
) -> Array:
    """Bring a raster (y, x) or (band, y, x), NaN where missing, to a grid: float32 of the same axes.

    NaN where the raster does not reach. Bands are brought each for itself.

    Args:
        band: values at cells.
        transform: of the raster.
        crs: of the raster.
        grid: to bring it to.
        resampling: as in the variable table. An average over cells smaller than the raster's would draw the
            raster's own cells as squares: it is bilinear then. Bilinear onto larger cells widens its kernel to
            the cell, as GDAL does. A direction is averaged as a unit vector.
        kernel: options of the warper from `kernel_of_conus`, for bilinear interpolation; GDAL's own where None.
    """
    if resampling == "vector":
        return _regrid_direction(band, transform, crs, grid)
    if _is_aligned(transform, crs, grid):
        # Every cell is one of the raster's. An average would let a gap take the value of the cell beside it,
        # which rounding makes it touch.
        resampling = "nearest"
    if resampling == "average" and _is_coarser(band, transform, crs, grid):
        resampling = "bilinear"
    if band.ndim == 3 and len(band) > 1 and np.isnan(band).any():
        # Beside a gap GDAL interpolates several bands by another rule than one.
        return np.concatenate([regrid(one[None], transform, crs, grid, resampling, kernel) for one in band])
    values = np.full((*band.shape[:-2], *grid.shape), np.nan, dtype=np.float32)
    reproject(
        band,
        values,
        src_transform=transform,
        src_crs=crs,
        src_nodata=np.nan,
        dst_transform=Affine(*grid.transform),
        dst_crs=grid.crs,
        dst_nodata=np.nan,
        resampling=_METHODS[resampling],
        tolerance=TOLERANCE_CELLS,
        num_threads=1,
        **(kernel if kernel and resampling == "bilinear" else {}),
    )
    return values


def regrid_field(field: Field, grid: Grid, resampling: str) -> Array:
    """Bring a field to a grid: as `regrid`; where its axes are uneven, bilinear between its own rows.

    Raises:
        BadPredictors: the axes are uneven and the rule is not bilinear.
    """
    if _even(field.y) and _even(field.x):
        dx = float(field.x[-1] - field.x[0]) / (len(field.x) - 1)
        dy = float(field.y[-1] - field.y[0]) / (len(field.y) - 1)
        transform = Affine(dx, 0, field.x[0] - dx / 2, 0, dy, field.y[0] - dy / 2)
        return regrid(field.values, transform, field.crs, grid, resampling)
    if resampling != "bilinear":
        raise BadPredictors(
            f"a field with uneven rows comes to a grid by bilinear interpolation only, not by {resampling}"
        )
    lookup = interpolate.RegularGridInterpolator(
        (field.y[::-1], field.x), field.values[::-1].astype(np.float64), bounds_error=False, fill_value=np.nan
    )
    lon, lat = grid.lonlat()
    x, y = Transformer.from_crs(GEOGRAPHIC, field.crs, always_xy=True).transform(lon, lat)
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    values[grid.land] = lookup(np.stack([y, x], axis=1))
    return values


def window_of_axes(
    y: npt.NDArray[np.float64], x: npt.NDArray[np.float64], crs: str, grid: Grid
) -> tuple[slice, slice] | None:
    """Find the rows and columns of a source that a grid needs, with a margin; None where it reaches none.

    Args:
        y: centres of the rows, falling or growing.
        x: centres of the columns, growing.
        crs: of y and x.
        grid: that is to be filled.
    """
    left, bottom, right, top = transform_bounds(grid.crs, crs, *grid.bounds, densify_pts=101)
    rows, cols = _reached(y, bottom, top), _reached(x, left, right)
    return None if rows is None or cols is None else (rows, cols)


def _reached(axis: npt.NDArray[np.float64], low: float, high: float) -> slice | None:
    step = abs(float(axis[-1] - axis[0])) / max(len(axis) - 1, 1)
    inside = np.nonzero((axis >= low - MARGIN_CELLS * step) & (axis <= high + MARGIN_CELLS * step))[0]
    return None if not len(inside) else slice(int(inside[0]), int(inside[-1]) + 1)


def _even(axis: npt.NDArray[np.float64]) -> bool:
    steps = np.diff(axis)
    return bool(np.abs(steps - steps.mean()).max() <= EVEN * abs(steps.mean()))


def _regrid_direction(degrees: Array, transform: Affine, crs: str, grid: Grid) -> Array:
    """Average a direction as unit vectors: of 350 and 10 degrees 0, not 180; NaN where there is no mean direction."""
    radians = np.radians(degrees)
    east = regrid(np.sin(radians), transform, crs, grid, "average")
    north = regrid(np.cos(radians), transform, crs, grid, "average")
    direction = np.degrees(np.arctan2(east, north)) % 360
    calm = np.hypot(east, north) < 1e-3
    return np.where(calm, np.nan, direction).astype(np.float32)


def _is_aligned(transform: Affine, crs: str, grid: Grid) -> bool:
    """Return whether the cells of a raster are cells of the grid."""
    step = grid.step[0]
    same_step = abs(transform.a - step) < 1e-6 * step and abs(transform.e + grid.step[1]) < 1e-6 * step
    if not same_step or CRS.from_user_input(crs) != CRS.from_user_input(grid.crs):
        return False
    col, row = (~transform) * (grid.affine.c, grid.affine.f)
    return bool(abs(col - round(col)) < 1e-3 and abs(row - round(row)) < 1e-3)


def _is_coarser(band: Array, transform: Affine, crs: str, grid: Grid) -> bool:
    rows, cols = band.shape[-2:]
    edges = rasterio.transform.array_bounds(rows, cols, transform)
    native, _, _ = calculate_default_transform(crs, grid.crs, cols, rows, *edges)
    return bool(native.a > 1.5 * grid.step[0])
