"""Where the cells of a map are: grids, blocks, the land mask, and named regions. Independent of PM2.5."""

from pm25map.grid.block import Block
from pm25map.grid.build import DEFINITIONS, build_grid
from pm25map.grid.grid import Grid
from pm25map.grid.regions import (
    cells_of,
    cells_of_region,
    conus_boundary,
    region,
    region_names,
    state_of_cells,
    states,
)
from pm25map.grid.store import grid_names, load_grid, save_grid

__all__ = [
    "DEFINITIONS",
    "Block",
    "Grid",
    "build_grid",
    "cells_of",
    "cells_of_region",
    "conus_boundary",
    "grid_names",
    "load_grid",
    "region",
    "region_names",
    "save_grid",
    "state_of_cells",
    "states",
]
