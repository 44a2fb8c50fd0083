"""Which cells lie in an outline, or are touched by it: strip by strip, so that fine grids need little memory."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Transformer
from rasterio.transform import Affine
from shapely.geometry.base import BaseGeometry

from pm25map.base.errors import BadGrid
from pm25map.grid.grid import LONLAT, Transform, read_crs

EDGE_STEP_DEG = 0.05
"""A straight edge in degrees is a curve on most grids: it is cut into pieces this long before projecting."""

_STRIP_CELLS = 4_000_000

NONE = 255
"""Number of no outline."""

LandRule = Literal["centre", "touched"]
"""A cell is inside when its centre is, or when the outline touches any part of it."""


def project(outline: BaseGeometry, crs: str) -> BaseGeometry:
    """Bring an outline from degrees (WGS84) onto a grid's CRS.

    Raises:
        BadGrid: a part of it has no place in that CRS.
    """
    projected: BaseGeometry = project_all([outline], crs)[0]
    return projected


def project_all(outlines: Sequence[BaseGeometry], crs: str) -> npt.NDArray[Any]:
    """Bring some outlines onto a grid's CRS, as `project`; one call for all is quicker than one for each."""
    transformer = Transformer.from_crs(read_crs(LONLAT), read_crs(crs), always_xy=True)
    fine = shapely.segmentize(np.asarray(outlines), EDGE_STEP_DEG)
    projected: npt.NDArray[Any] = shapely.transform(
        fine, lambda points: np.column_stack(transformer.transform(*points.T))
    )
    if not np.isfinite(shapely.get_coordinates(projected)).all():
        raise BadGrid(
            f"the boundary does not fit on {crs}: choose a CRS made for its area, such as EPSG:5070 for CONUS"
        )
    return projected


def cells_inside(
    outline: BaseGeometry, transform: Transform, shape: tuple[int, int], rule: LandRule = "centre"
) -> npt.NDArray[np.bool_]:
    """Mark the cells inside an outline, bool (y, x).

    Args:
        outline: polygons in units of the grid's CRS; see `project`.
        transform: of the grid, in the order of Affine.
        shape: (rows, columns).
        rule: what counts as inside.
    """
    inside: npt.NDArray[np.bool_] = number_inside([outline], transform, shape, rule) == 0
    return inside


def number_inside(
    outlines: Sequence[BaseGeometry],
    transform: Transform,
    shape: tuple[int, int],
    rule: LandRule = "centre",
) -> npt.NDArray[np.uint8]:
    """Return the number of the outline that every cell is inside of, uint8 (y, x): the last of several; NONE of none.

    Args:
        outlines: at most 255; else as `cells_inside`.
        transform, shape, rule: as `cells_inside`.
    """
    from rasterio.features import rasterize  # noqa: PLC0415 - reading a grid does not need rasterio's features

    a, b, c, d, e, f = transform
    rows, cols = shape
    numbers = np.full(shape, NONE, dtype=np.uint8)
    height = max(_STRIP_CELLS // cols, 1)
    for first in range(0, rows, height):
        rasterize(
            [(outline, number) for number, outline in enumerate(outlines)],
            out=numbers[first : first + height],
            transform=Affine(a, b, c, d, e, f + e * first),
            all_touched=rule == "touched",
        )
    return numbers
