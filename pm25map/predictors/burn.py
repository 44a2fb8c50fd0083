"""Burning polygons into a grid: the share of every cell that they cover, exactly."""

import numpy as np
import numpy.typing as npt
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from shapely.geometry.base import BaseGeometry

from pm25map.grid import Block, Grid
from pm25map.grid.inside import project

STRIP_CELLS = 4_000_000
"""Cells that are burnt at once, so that fine grids need little memory."""


def area_share(outline: BaseGeometry, grid: Grid) -> npt.NDArray[np.float32]:
    """Return the share of every cell's area that lies in an outline: (y, x), 0 to 1.

    Args:
        outline: polygons in degrees (WGS84), valid. Their edges are straight in degrees.
        grid: to burn into.
    """
    share = np.zeros(grid.shape, dtype=np.float32)
    near = shapely.intersection(outline, shapely.box(*_bounds_degrees(grid)))
    if near.is_empty or near.area == 0:
        return share
    parts = [part for part in shapely.get_parts(near) if part.geom_type == "Polygon"]
    shape = project(shapely.union_all(parts), grid.crs)
    rows, cols = grid.shape
    height = max(STRIP_CELLS // cols, 1)
    for row in range(0, rows, height):
        strip = Block(row, 0, min(height, rows - row), cols)
        share[strip.slices] = _strip(shape, grid, strip)
    return share


def _strip(shape: BaseGeometry, grid: Grid, strip: Block) -> npt.NDArray[np.float32]:
    left, _, right, top = grid.bounds
    step = grid.step[1]
    north, south = top - strip.row * step, top - (strip.row + strip.height) * step
    share = np.zeros((strip.height, strip.width), dtype=np.float32)
    part = shapely.intersection(shape, shapely.box(left, south, right, north))
    if part.is_empty or part.area == 0:
        return share
    source = NumPyRasterSource(share, xmin=left, ymin=south, xmax=right, ymax=north)
    feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(part)}
    coverage = exact_extract(source, [feature], ["cell_id", "coverage"])[0]["properties"]
    share.ravel()[np.asarray(coverage["cell_id"], dtype=np.int64)] = coverage["coverage"]
    return share


def _bounds_degrees(grid: Grid) -> tuple[float, float, float, float]:
    """Return a box in degrees around the grid, with a margin: shapes outside need not be projected."""
    from rasterio.warp import transform_bounds  # noqa: PLC0415 - only here

    west, south, east, north = transform_bounds(grid.crs, "OGC:CRS84", *grid.bounds, densify_pts=101)
    return west - 1, max(south - 1, -90), east + 1, min(north + 1, 90)
