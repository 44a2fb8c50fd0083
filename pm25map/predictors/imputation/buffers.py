"""Mean-filter buffers: the mean of what was observed around a cell on a day, at several radii.

Sums are of integers: a mean is the same to the last bit in whatever block it is computed, so that blocks leave
no seam. A buffer is a square, as in a mean filter; its mean counts the observed cells alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyproj import CRS

from pm25map.base.errors import BadConfig
from pm25map.grid import Grid

RADII_KM = (30.0, 90.0, 270.0)
"""From the reach of a plume to that of a weather system; clouds hide areas of all these sizes."""

_STEP = 1e-6
"""What values are rounded to before they are added up, in their units: optical depth is known to 0.001."""

_KM_OF_A_DEGREE = 111.2


def radii_in_cells(grid: Grid, radii_km: Sequence[float]) -> tuple[int, ...]:
    """Convert radii to whole cells of a grid, at least 1.

    Raises:
        BadConfig: radii are not positive and growing, or two of them are the same number of cells.
    """
    if not radii_km or min(radii_km) <= 0 or list(radii_km) != sorted(set(radii_km)):
        raise BadConfig(f"radii of {', '.join(f'{r:g}' for r in radii_km)} km: give them growing, above 0")
    crs = CRS.from_user_input(grid.crs)
    km = _KM_OF_A_DEGREE if crs.is_geographic else crs.axis_info[0].unit_conversion_factor / 1000
    cells = tuple(max(1, round(radius / (grid.step[1] * km))) for radius in radii_km)
    if len(set(cells)) < len(cells):
        raise BadConfig(
            f"radii of {', '.join(f'{r:g}' for r in radii_km)} km are {', '.join(map(str, cells))} cells of "
            f"{grid.name}: give radii that differ there"
        )
    return cells


def _table(
    field: npt.NDArray[np.integer] | npt.NDArray[np.bool_], dtype: type[np.signedinteger]
) -> npt.NDArray[np.signedinteger]:
    """Sum a field from its north-western corner: (y + 1, x + 1)."""
    table = np.zeros((field.shape[0] + 1, field.shape[1] + 1), dtype=dtype)
    np.cumsum(np.cumsum(field, axis=0, dtype=dtype), axis=1, out=table[1:, 1:])
    return table


@dataclass(frozen=True)
class Buffers:
    """The buffers of one day of a grid; memory is 16 bytes a cell.

    Attributes:
        sums: int64 (y + 1, x + 1), of observed values in steps.
        counts: int32 (y + 1, x + 1), of observed cells.
        land: int32 (y + 1, x + 1), of land cells.
        radii: in cells, growing.
    """

    sums: npt.NDArray[np.signedinteger]
    counts: npt.NDArray[np.signedinteger]
    land: npt.NDArray[np.signedinteger]
    radii: tuple[int, ...]

    def at(self, row: npt.NDArray[np.intp], col: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Return the buffers of some cells, themselves included where observed.

        Args:
            row, col: of the cells (cell,).

        Returns:
            float32 (cell, 2 x radius): for each radius the mean, NaN where nothing was observed, then the share of
            the land that was observed.
        """
        out = np.empty((len(row), 2 * len(self.radii)), dtype=np.float32)
        height, width = self.counts.shape[0] - 1, self.counts.shape[1] - 1
        for i, radius in enumerate(self.radii):
            box = (
                np.maximum(row - radius, 0),
                np.minimum(row + radius + 1, height),
                np.maximum(col - radius, 0),
                np.minimum(col + radius + 1, width),
            )
            count, total = _within(self.counts, *box), _within(self.sums, *box)
            with np.errstate(invalid="ignore", divide="ignore"):
                out[:, 2 * i] = np.where(count > 0, total / count * _STEP, np.nan)
                out[:, 2 * i + 1] = count / np.maximum(_within(self.land, *box), 1)
        return out


def day_buffers(
    observed: npt.NDArray[np.float32], land: npt.NDArray[np.bool_], radii: tuple[int, ...]
) -> Buffers:
    """Compute the buffers of a day.

    Args:
        observed: float32 (y, x), NaN where nothing was observed.
        land: bool (y, x).
        radii: in cells.
    """
    is_observed = np.isfinite(observed)
    steps = np.rint(np.where(is_observed, observed, 0).astype(np.float64) / _STEP).astype(np.int64)
    return Buffers(_table(steps, np.int64), _table(is_observed, np.int32), _table(land, np.int32), radii)


def has_neighbours(buffers: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return whether anything was observed within the largest radius of each cell: (cell,) of `Buffers.at`."""
    return np.isfinite(buffers[:, -2])


def _within(
    table: npt.NDArray[np.signedinteger],
    top: npt.NDArray[np.intp],
    bottom: npt.NDArray[np.intp],
    left: npt.NDArray[np.intp],
    right: npt.NDArray[np.intp],
) -> npt.NDArray[np.signedinteger]:
    """Sum over rectangles; ends are not included."""
    inside: npt.NDArray[np.signedinteger] = (
        table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
    )
    return inside
