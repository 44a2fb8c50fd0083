"""Makes pm25map/grid/population/block_groups_2020.parquet, who lives where, from the Census of 2020.

    python grids/make_population.py block_group2020.parquet

block_group2020.parquet is of USpopcenters (https://github.com/NikKrieger/USpopcenters, CC0): the Census Bureau's
centres of population of 2020, block group by block group. What is written has the block groups of the 48 states and
the District of Columbia in which somebody lives. Prints the checksum that pm25map/grid/people.py must state.

A centre of population may lie off the outline of the package, in a bay or on an island that the outline leaves out.
It is moved to the nearest place in the outline of its own state, so that on every grid of CONUS it lies on land.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
import shapely.ops
from pyproj import Transformer

from pm25map.base.files import replacing, sha256_of_file
from pm25map.grid.inside import project
from pm25map.grid.people import CELL_M, COLUMNS, CRS, TABLE
from pm25map.grid.regions import states

INNER_M = 1.5 * CELL_M
"""So far within the outline a place is moved: the middle of its cell is then inside as well."""

FACTS = {
    "title": "People by Census block group, 2020, contiguous United States",
    "source": "US Census Bureau, Centers of Population by block group 2020, through USpopcenters e5a2d1247a26",
    "licence": "public domain (US Census Bureau); CC0-1.0 (USpopcenters)",
    "made_by": "grids/make_population.py",
    "unit": "people: 1; x, y: 100 m cells of EPSG:5070, counted from its origin to the east and to the north",
}


def main():
    """Write the table, and say its checksum."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("block_groups", type=Path)
    parser.add_argument("--out", type=Path, default=TABLE)
    given = parser.parse_args()
    table, words = table_of(given.block_groups)
    given.out.parent.mkdir(exist_ok=True)
    with replacing(given.out) as part:
        # Sorted by number, neighbours follow each other: their differences are small.
        pq.write_table(table, part, compression="zstd", compression_level=19, use_dictionary=False,
                       write_statistics=False, row_group_size=len(table),
                       column_encoding=dict.fromkeys(COLUMNS, "DELTA_BINARY_PACKED"))  # fmt: skip
    size = given.out.stat().st_size / 1e6
    sys.stdout.write(f"{given.out}: {size:.2f} MB, SHA-256 {sha256_of_file(given.out)}\n{words}\n")


def table_of(path):
    """Return the table of a file of block groups, and what was moved in words."""
    read = pd.read_parquet(path)
    read = read[read["STATEFP"].isin(states()["fips"]) & (read["POPULATION"] > 0)]
    read["geoid"] = (read["STATEFP"] + read["COUNTYFP"] + read["TRACTCE"] + read["BLKGRPCE"]).astype(np.int64)
    read = read.sort_values("geoid", ignore_index=True)
    x, y = Transformer.from_crs("OGC:CRS84", CRS, always_xy=True).transform(
        read["LONGITUDE"], read["LATITUDE"]
    )
    col, row = cells(x), cells(y)
    outlines = {fips: project(shape, CRS) for fips, shape in states().set_index("fips").geometry.items()}
    whole = shapely.union_all(list(outlines.values()))
    shapely.prepare(whole)
    off = ~shapely.contains_xy(whole, middle(col), middle(row))
    inner = {fips: shape.buffer(-INNER_M) for fips, shape in outlines.items()}
    moved = np.zeros(len(read))
    for i in np.flatnonzero(off):
        at = shapely.Point(x[i], y[i])
        to = shapely.ops.nearest_points(inner[read["STATEFP"][i]], at)[0]
        col[i], row[i], moved[i] = cells(to.x), cells(to.y), at.distance(to)
    still = ~shapely.contains_xy(whole, middle(col), middle(row))
    if still.any():
        raise SystemExit(f"{still.sum()} block groups lie off the outline all the same")
    columns = dict(zip(COLUMNS, (read["geoid"], col, row, read["POPULATION"].astype(np.int32)), strict=True))
    table = pa.table({name: np.asarray(values) for name, values in columns.items()})
    sha = sha256_of_file(path)
    table = table.replace_schema_metadata({**FACTS, "source_sha256": sha})
    people = read["POPULATION"]
    return table, (
        f"{len(table):,} block groups, {people.sum():,} people; {off.sum()} with {people[off].sum():,} people moved, "
        f"by {moved[off].mean():,.0f} m on average and {moved.max():,.0f} m at most"
    )


def cells(metres):
    """Return the numbers of the cells that some metres lie in."""
    return np.floor(np.asarray(metres) / CELL_M).astype(np.int32)


def middle(number):
    """Return the middle of cells, metres."""
    return (number + 0.5) * CELL_M


if __name__ == "__main__":
    main()
