"""Who lives where: the Census of 2020 by block groups, as it comes with the package (population/README.md)."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadInstall
from pm25map.base.files import sha256_of_bytes
from pm25map.grid.grid import LONLAT, Grid, transformer
from pm25map.grid.inside import cells_inside, project
from pm25map.grid.regions import conus_boundary

TABLE = Path(__file__).parent / "population" / "block_groups_2020.parquet"
TABLE_SHA256 = "200d295f43ebd3b2544184880f562d22db5899a5f0bdd6b661dbfa449cc5fc15"
"""Of the file: the people that this version of the package counts."""

CRS = "EPSG:5070"
CELL_M = 100
COLUMNS = ("geoid", "x", "y", "people")

COUNTY_OF_GEOID = 10**7
"""A block group's number, divided by this, is its county's: 5 digits, of which the first two are the state's."""

STATE_OF_GEOID = 10**10


@dataclass(frozen=True)
class BlockGroups:
    """The block groups of the contiguous United States in which somebody lived on 1 April 2020, by number.

    Attributes:
        geoid: int64 (group,), the Census Bureau's 12 digits.
        lon, lat: float64 (group,), degrees (WGS84), the centre of population to 100 m; in the outline of CONUS.
        people: int64 (group,).
    """

    geoid: npt.NDArray[np.int64]
    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    people: npt.NDArray[np.int64]


@functools.cache
def block_groups() -> BlockGroups:
    """Read the block groups; the arrays are read-only.

    Raises:
        BadInstall: the table is absent, or not what this version of the package was released with.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and not every command counts people
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        content = TABLE.read_bytes()
    except OSError as error:
        raise BadInstall(
            f"cannot read who lives where, {TABLE} ({error.strerror}): install pm25map again"
        ) from error
    if sha256_of_bytes(content) != TABLE_SHA256:
        raise BadInstall(f"{TABLE} is damaged or of another version: install pm25map again")
    read = pq.read_table(pa.BufferReader(content))
    geoid, x, y, people = (read[name].to_numpy() for name in COLUMNS)
    lon, lat = transformer(CRS, LONLAT).transform((x + 0.5) * CELL_M, (y + 0.5) * CELL_M)
    groups = BlockGroups(geoid, np.asarray(lon), np.asarray(lat), people.astype(np.int64))
    for values in (groups.geoid, groups.lon, groups.lat, groups.people):
        values.setflags(write=False)
    return groups


@functools.lru_cache(maxsize=4)
def people_of_cells(grid: Grid) -> npt.NDArray[np.float64]:
    """Count the people of every cell of a grid, on land of its own or not.

    Returns:
        float64 (y, x), read-only; NaN in cells that no part of the contiguous United States touches: who lives
        there the Census has no figure.
    """
    known = block_groups()
    row, col = grid.cells_at(known.lon, known.lat)
    on = row >= 0
    people = np.full(grid.shape, np.nan)
    if on.any():
        cells = np.ravel_multi_index((row[on], col[on]), grid.shape)
        counted = np.bincount(cells, known.people[on], minlength=people.size).reshape(grid.shape)
        outline = project(conus_boundary(), grid.crs)
        of_conus = cells_inside(outline, grid.transform, grid.shape, "touched") | (counted > 0)
        people[of_conus] = counted[of_conus]
    people.setflags(write=False)
    return people


def in_words(people: float) -> str:
    """Return a number of people as text: 47.6 million, 312 thousand, 840."""
    if people >= 999_500:
        return f"{people / 1e6:,.1f} million"
    return f"{people / 1e3:,.0f} thousand" if people >= 9_500 else f"{people:,.0f}"
