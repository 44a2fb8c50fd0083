"""The grid: where every cell of a map is, and which of them are land."""

import functools
import json
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from rasterio.transform import Affine

from pm25map.base.errors import BadGrid, BadRegion
from pm25map.base.files import sha256_of_bytes
from pm25map.grid.block import Block

LONLAT = "OGC:CRS84"
"""WGS84 in degrees, longitude first: what every longitude and latitude in this package is in."""

_EDGE_POINTS = 101
"""Points along each edge of a bounding box when it is projected: its edges are curves on the grid."""

Transform = tuple[float, float, float, float, float, float]


class Definition(TypedDict):
    """The contents of grid.json."""

    name: str
    crs: str
    transform: list[float]
    shape: list[int]
    block_size: int


@dataclass(frozen=True, eq=False)
class Grid:
    """Square or rectangular cells, north up, and the land among them. Checked when created.

    Attributes:
        name: as in the folder grids/NAME.
        crs: "EPSG:5070", or a WKT or PROJ string where the system has no code of an authority.
        transform: (a, b, c, d, e, f) in the order of Affine: x = a col + c, y = e row + f, at cell corners.
        shape: (rows, columns).
        block_size: cells along the side of a block.
        land: bool (y, x), read-only; row 0 is north. True where the boundary touches the cell (see build_grid).
    """

    name: str
    crs: str
    transform: Transform
    shape: tuple[int, int]
    block_size: int
    land: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        # 10000 and 10000.0 are one grid and must give one checksum.
        object.__setattr__(self, "transform", tuple(float(number) for number in self.transform))
        object.__setattr__(self, "shape", tuple(int(number) for number in self.shape))
        a, b, _, d, e, _ = self.transform
        if not np.isfinite(self.transform).all() or b or d or a <= 0 or e >= 0:
            raise BadGrid(f"grid {self.name}: its transform {self.transform} is not north up and west left")
        if self.land.dtype != np.bool_ or self.land.shape != self.shape:
            actual = f"{self.land.dtype} {self.land.shape}"
            raise BadGrid(f"grid {self.name}: its land mask is {actual}, and must be bool {self.shape}")
        if not self.land.any():
            raise BadGrid(f"grid {self.name} has no land cell: check its boundary, CRS and step")
        if self.block_size < 1:
            raise BadGrid(f"grid {self.name}: a block of {self.block_size} cells is too small; use 1 or more")
        read_crs(self.crs)
        self.land.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Grid)
            and self.definition() == other.definition()
            and self.checksum == other.checksum
        )

    def __hash__(self) -> int:
        return hash(self.checksum)

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of what determines the cells: CRS, transform, shape and land, not the name."""
        place = json.dumps([self.crs, list(self.transform), list(self.shape)])
        return sha256_of_bytes(place.encode(), np.packbits(self.land).tobytes())

    @property
    def cell_count(self) -> int:
        """Count the land cells."""
        return int(np.count_nonzero(self.land))

    @property
    def affine(self) -> Affine:
        """Return the transform as rasterio takes it."""
        return Affine(*self.transform)

    @property
    def step(self) -> tuple[float, float]:
        """Return the width and height of a cell in units of the CRS, both positive."""
        return self.transform[0], -self.transform[4]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Return the outer edges in units of the CRS: left, bottom, right, top."""
        a, _, c, _, e, f = self.transform
        rows, cols = self.shape
        return c, f + e * rows, c + a * cols, f

    def definition(self) -> Definition:
        """Return all fields but the land mask, as grid.json has them."""
        return {
            "name": self.name,
            "crs": self.crs,
            "transform": list(self.transform),
            "shape": list(self.shape),
            "block_size": self.block_size,
        }

    def blocks(self, size: int | None = None) -> list[Block]:
        """List the blocks that hold land, row by row; together they hold every land cell exactly once.

        Args:
            size: cells along a side, the grid's own where None; blocks at the far edges are cut.
        """
        size = self.block_size if size is None else size
        if size < 1:
            raise BadGrid(f"a block of {size} cells is too small: use 1 or more, such as {self.block_size}")
        rows, cols = self.shape
        every = (
            Block(row, col, min(size, rows - row), min(size, cols - col))
            for row in range(0, rows, size)
            for col in range(0, cols, size)
        )
        return [block for block in every if self.land[block.slices].any()]

    def xy(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the cell centres in units of the CRS: x (column,) growing east, y (row,) falling south."""
        a, _, c, _, e, f = self.transform
        rows, cols = self.shape
        x = c + a * (np.arange(cols, dtype=np.float64) + 0.5)
        y = f + e * (np.arange(rows, dtype=np.float64) + 0.5)
        return x, y

    def lonlat(self, block: Block | None = None) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the centres of the land cells in degrees (WGS84): lon (cell,), lat (cell,), row by row.

        Args:
            block: only the cells of this block; of the whole grid where None.
        """
        block = block or Block(0, 0, *self.shape)
        row, col = np.nonzero(self.land[block.slices])
        x, y = self.xy()
        lon, lat = transformer(self.crs, LONLAT).transform(x[col + block.col], y[row + block.row])
        return np.asarray(lon, np.float64), np.asarray(lat, np.float64)

    def cells_at(
        self, lon: npt.ArrayLike, lat: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Find the cells that hold some points.

        Args:
            lon: degrees (WGS84), west negative.
            lat: degrees (WGS84), the same shape.

        Returns:
            row and column of each point, on land or not; both -1 outside of the grid or where NaN.
        """
        x, y = transformer(LONLAT, self.crs).transform(
            np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        )
        a, _, c, _, e, f = self.transform
        col, row = np.floor((np.asarray(x) - c) / a), np.floor((np.asarray(y) - f) / e)
        rows, cols = self.shape
        inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        return np.where(inside, row, -1).astype(np.int64), np.where(inside, col, -1).astype(np.int64)

    def land_index(self) -> npt.NDArray[np.int32]:
        """Number the land cells from 0, row by row: int32 (y, x), -1 off land."""
        index = np.full(self.shape, -1, dtype=np.int32)
        index[self.land] = np.arange(self.cell_count, dtype=np.int32)
        return index

    def window_of_bounds(self, west: float, south: float, east: float, north: float) -> Block:
        """Find the smallest rectangle of cells around a bounding box in degrees, cut to the grid.

        Raises:
            BadRegion: the box is upside down, not in degrees, or holds no land cell of the grid.
        """
        box = f"west {west:g}, south {south:g}, east {east:g}, north {north:g}"
        _check_box(west, south, east, north, box)
        across, up = np.linspace(west, east, _EDGE_POINTS), np.linspace(south, north, _EDGE_POINTS)
        # A one-to-one map takes the rim of a box to the rim of its image: its extremes lie on the four edges.
        lon = np.concatenate([across, across, np.full_like(up, west), np.full_like(up, east)])
        lat = np.concatenate([np.full_like(across, south), np.full_like(across, north), up, up])
        x, y = transformer(LONLAT, self.crs).transform(lon, lat)
        a, _, c, _, e, f = self.transform
        rows, cols = self.shape
        reached = np.isfinite(x) & np.isfinite(y)
        if reached.any():
            col, row = (x[reached] - c) / a, (y[reached] - f) / e
            first_col, last_col = max(int(np.floor(col.min())), 0), min(int(np.ceil(col.max())), cols)
            first_row, last_row = max(int(np.floor(row.min())), 0), min(int(np.ceil(row.max())), rows)
            if first_col < last_col and first_row < last_row:
                window = Block(first_row, first_col, last_row - first_row, last_col - first_col)
                if self.land[window.slices].any():
                    return window
        lon, lat = self.lonlat()
        reach = f"longitude {lon.min():.1f} to {lon.max():.1f}, latitude {lat.min():.1f} to {lat.max():.1f}"
        raise BadRegion(
            f"the box {box} holds no land of grid {self.name}, which covers {reach}: choose a box in there"
        )


def read_crs(text: str) -> CRS:
    """Read a coordinate reference system.

    Raises:
        BadGrid: the text does not name one.
    """
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise BadGrid(
            f"cannot read the CRS {text!r}: write it as EPSG:5070, or as a WKT or PROJ string"
        ) from error


@functools.cache
def transformer(source: str, target: str) -> Transformer:
    """Return the transformer of points between two systems, x or longitude first; cached for each pair.

    Raises:
        BadGrid: a text names no system.
    """
    return Transformer.from_crs(read_crs(source), read_crs(target), always_xy=True)


def _check_box(west: float, south: float, east: float, north: float, box: str) -> None:
    if not np.isfinite([west, south, east, north]).all() or max(-west, east) > 180 or max(-south, north) > 90:
        raise BadRegion(
            f"the box {box} is not in degrees: longitudes go from -180 to 180, latitudes from -90 to 90"
        )
    if west >= east or south >= north:
        raise BadRegion(
            f"the box {box} is upside down or empty: give west < east and south < north, in the order W S E N"
        )
