"""The areas of cells on the ellipsoid, whatever the projection of their grid."""

import functools

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Geod, Transformer
from scipy.interpolate import RectBivariateSpline

from pm25map.grid.grid import LONLAT, Grid, Transform

_EXACT_CELLS = 250_000
"""A grid of more cells is measured at some of them: areas on a map change smoothly."""

_KNOTS = 200

Areas = npt.NDArray[np.float64]


@functools.lru_cache(maxsize=4)
def cell_areas(grid: Grid) -> Areas:
    """Return the area of every cell on the ellipsoid: float64 (y, x), km2, read-only."""
    areas = areas_of(grid.crs, grid.transform, grid.shape)
    areas.setflags(write=False)
    return areas


def areas_of(crs: str, transform: Transform, shape: tuple[int, int]) -> Areas:
    """Measure the cells of a raster on the ellipsoid of its CRS.

    Args:
        crs: of the raster, as `Grid.crs`.
        transform: at cell corners, north up.
        shape: (rows, columns).

    Returns:
        float64 (y, x), km2; exact in latitude and longitude, elsewhere to 1e-6 of the area; 0 where a corner lies
        nowhere on the earth.
    """
    known = CRS.from_user_input(crs)
    rows, cols = shape
    if known.is_geographic:
        return np.repeat(_between_parallels(known, transform, rows)[:, None], cols, axis=1)
    if rows * cols <= _EXACT_CELLS or min(shape) < _KNOTS:
        return _of_corners(known, transform, np.arange(rows), np.arange(cols))
    row, col = (np.unique(np.linspace(0, n - 1, _KNOTS).round().astype(int)) for n in shape)
    some = _of_corners(known, transform, row, col)
    if not some.all():
        return _of_corners(known, transform, np.arange(rows), np.arange(cols))
    smooth: Areas = RectBivariateSpline(row, col, some)(np.arange(rows), np.arange(cols))
    return smooth


def _between_parallels(crs: CRS, transform: Transform, rows: int) -> Areas:
    """Return the area of a cell of each row of a grid in degrees: (row,), km2."""
    ellipsoid = _ellipsoid(crs)
    a, _, _, _, e, f = transform
    edges = np.radians(np.clip(f + e * np.arange(rows + 1), -90.0, 90.0))
    belt = ellipsoid.b**2 / 2 * np.radians(a) * np.abs(np.diff(_authalic(np.sin(edges), ellipsoid.es)))
    return np.asarray(belt / 1e6, np.float64)


def _authalic(sine: Areas, es: float) -> Areas:
    """Return q, whose steps are proportional to the areas between parallels (Snyder 1987, equation 3-12)."""
    if es == 0:
        return 2 * sine
    eccentricity = np.sqrt(es)
    return np.asarray(sine / (1 - es * sine**2) + np.arctanh(eccentricity * sine) / eccentricity, np.float64)


def _of_corners(
    crs: CRS, transform: Transform, row: npt.NDArray[np.int_], col: npt.NDArray[np.int_]
) -> Areas:
    """Measure some rows and columns of cells: their corners are moved to a projection that keeps areas."""
    a, _, c, _, e, f = transform
    geodetic = crs.geodetic_crs or CRS.from_user_input(LONLAT)
    to_lonlat = Transformer.from_crs(crs, geodetic, always_xy=True)
    ellipsoid = _ellipsoid(crs)
    x = c + a * np.stack([col, col + 1])  # (side, col)
    y = f + e * np.stack([row, row + 1])  # (side, row)
    corner_x, corner_y = [], []
    for across, down in ((0, 0), (1, 0), (1, 1), (0, 1)):
        lon, lat = to_lonlat.transform(*np.meshgrid(x[across], y[down]))
        corner_x.append(np.asarray(lon))
        corner_y.append(ellipsoid.b**2 / 2 * _authalic(np.sin(np.radians(np.asarray(lat))), ellipsoid.es))
    # A cell may lie across the meridian of 180 degrees.
    lons = [np.radians((lon - corner_x[0] + 180) % 360 - 180) for lon in corner_x]
    double = sum(
        lons[i] * corner_y[(i + 1) % 4] - lons[(i + 1) % 4] * corner_y[i] for i in range(4)
    )  # the shoelace formula
    areas: Areas = np.abs(np.asarray(double)) / 2 / 1e6
    return np.where(np.isfinite(areas), areas, 0.0)


def _ellipsoid(crs: CRS) -> Geod:
    return crs.get_geod() or Geod(ellps="WGS84")
