"""The part of a grid that a map shall show."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.grid import Block, Grid, cells_of_region

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees (WGS84)."""


@dataclass(frozen=True, eq=False)
class Part:
    """The part of a grid that a map shall show.

    Attributes:
        view: the rectangle that the file covers; None for all of the grid.
        region: bool (y, x) of the grid, the cells to estimate; None for all land.
        words: what the provenance says of it.
        options: the options of the command line that ask for it.
        names: the box and the name of the region that it was made from, for workers to make it again.
    """

    view: Block | None = None
    region: npt.NDArray[np.bool_] | None = None
    words: str = "all"
    options: tuple[str, ...] = ()
    names: tuple[Box | None, str | None] = (None, None)

    def asked(self, grid: Grid) -> npt.NDArray[np.bool_]:
        """Return the land cells to estimate, bool (y, x) of the grid."""
        cells = np.zeros(grid.shape, dtype=np.bool_)
        rows, cols = self.view_on(grid).slices
        cells[rows, cols] = grid.land[rows, cols]
        return cells if self.region is None else cells & self.region

    def view_on(self, grid: Grid) -> Block:
        """Return the rectangle that the file covers."""
        return self.view or Block(0, 0, *grid.shape)


def part_of(grid: Grid, bbox: Box | None = None, region_name: str | None = None) -> Part:
    """Turn a box (west, south, east, north, degrees) and the name of a state or region into a part of a grid.

    Raises:
        BadRegion: the box is upside down or outside of the grid.
        UnknownName: there is no such region.
    """
    numbers = [f"{value:.15g}" for value in bbox] if bbox else []
    words = ([] if region_name is None else [region_name]) + ([" ".join(numbers)] if numbers else [])
    options = (["--bbox", *numbers] if numbers else []) + (
        [] if region_name is None else ["--region", region_name]
    )
    return Part(
        view=grid.window_of_bounds(*bbox) if bbox else None,
        region=None if region_name is None else cells_of_region(grid, region_name),
        words=" in ".join(words) or "all",
        options=tuple(options),
        names=(bbox or None, region_name),
    )
