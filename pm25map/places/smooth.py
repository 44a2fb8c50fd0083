"""Place vectors averaged over their surroundings: a neutral place for a region, or a dial against fine patterns.

A Gaussian mean has no borders of regions, and takes out of the vectors what is shorter than it is wide: a wave
of length L is left at exp(-2 (pi km / L)^2) of its height.
"""

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadGrid
from pm25map.grid import Grid
from pm25map.places.store import SHARD, PlaceStore

NEUTRAL_KM = 300.0
"""Standard deviation of the mean that stands for a region: of GeoCLIP's waves (17 to 200 km in its finest
capsule, 298 km the shortest of its middle one) it leaves less than 1 % and 1e-8 of the height."""

SHORTEST_KM, LONGEST_KM = 0.001, 10_000.0

_REACH = 3.5
"""Standard deviations after which a weight counts as zero."""

_CELLS_A_SIGMA = 4
"""A mean this many cells wide may be taken on coarser cells: the error stays below 1 % of it."""


def check_length(km: float) -> None:
    """Refuse a length that places cannot be smoothed over, before they are read.

    Raises:
        BadGrid: it is shorter than any cell or longer than the country.
    """
    if not SHORTEST_KM <= km <= LONGEST_KM:
        raise BadGrid(
            f"cannot smooth places over {km:g} km: give {SHORTEST_KM:g} to {LONGEST_KM:,.0f} km, such as 50"
        )


class SmoothPlaces:
    """Place vectors of the land cells of a grid, averaged with Gaussian weights over the land around each.

    Attributes:
        km: standard deviation of the weights.
        dimension: length of a vector.
    """

    def __init__(self, store: PlaceStore, grid: Grid, km: float) -> None:
        """Read the whole store once and average it; at most as many bytes as its vectors in float32.

        Args:
            store: of the grid.
            grid: projected, in metres.
            km: standard deviation of the weights, above 0.

        Raises:
            BadGrid: the store is of another grid, or km is no length to smooth over.
        """
        if store.grid_checksum != grid.checksum:
            raise BadGrid(
                f"the place store {store.path} is of another grid than {grid.name}. Embed that grid"
            )
        check_length(km)
        self.km, self.dimension = km, store.dimension
        step_km = tuple(side / 1000 for side in grid.step)
        self._fold = max(1, int(km / _CELLS_A_SIGMA / max(step_km)))
        self._row, self._col = np.nonzero(grid.land)
        total, count = _gather(store, self._row // self._fold, self._col // self._fold)
        down = _weights(total.shape[0], km / (step_km[1] * self._fold))
        along = _weights(total.shape[1], km / (step_km[0] * self._fold))
        weight = down @ count @ along
        rows, cols = count.shape
        smooth = (down @ total.reshape(rows, -1)).reshape(rows, cols, -1)
        smooth = np.matmul(along, smooth)
        # Far from all land there is no weight, and no vector is requested there.
        smooth /= np.maximum(weight, np.finfo(np.float32).tiny)[:, :, None]
        self._vectors: npt.NDArray[np.float32] = smooth
        self._known = weight > 0

    def read(self, cells: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Return the vectors of some land cells, numbered as in Grid.land_index: float32 (cell, dimension)."""
        # Centres of the cells in units of coarse cells, then the four around each, those without land left out.
        y = (self._row[cells] + 0.5) / self._fold - 0.5
        x = (self._col[cells] + 0.5) / self._fold - 0.5
        if self._fold == 1:
            exact: npt.NDArray[np.float32] = self._vectors[self._row[cells], self._col[cells]]
            return exact
        out = np.zeros((len(y), self.dimension), dtype=np.float32)
        total = np.zeros(len(y), dtype=np.float32)
        rows, cols = self._known.shape
        for down in (0, 1):
            for right in (0, 1):
                row, col = np.floor(y).astype(int) + down, np.floor(x).astype(int) + right
                share = (1 - np.abs(y - row)) * (1 - np.abs(x - col))
                row, col = np.clip(row, 0, rows - 1), np.clip(col, 0, cols - 1)
                share = np.where(self._known[row, col], share, 0).astype(np.float32)
                out += share[:, None] * self._vectors[row, col]
                total += share
        return out / total[:, None]


def _gather(
    store: PlaceStore, row: npt.NDArray[np.integer], col: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Add up the vectors of the cells that fall into each coarse cell: (y, x, d), and their count (y, x)."""
    shape = int(row.max()) + 1, int(col.max()) + 1
    place = row * shape[1] + col
    total = np.zeros((shape[0] * shape[1], store.dimension), dtype=np.float32)
    for start in range(0, store.cell_count, SHARD):
        part = slice(start, start + SHARD)
        vectors = store.read(part)
        order = np.argsort(place[part], kind="stable")
        here, first = np.unique(place[part][order], return_index=True)
        total[here] += np.add.reduceat(vectors[order], first, axis=0)
    count = np.bincount(place, minlength=shape[0] * shape[1]).astype(np.float32)
    return total.reshape(*shape, -1), count.reshape(shape)


def _weights(length: int, sigma: float) -> npt.NDArray[np.float32]:
    """Return Gaussian weights (length, length) between cells in a row; sigma in cells."""
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length))) / sigma
    return np.where(apart <= _REACH, np.exp(-0.5 * apart**2), 0).astype(np.float32)
