"""Makes pm25map/grid/boundaries/us-counties.parquet from the TopoJSON of us-atlas.

    python grids/make_us_counties.py counties-10m.json

pm25map/grid/boundaries/README.md says where counties-10m.json comes from.
"""

import json
import sys
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
from make_us_states import POSTAL, outline_of

from pm25map.base.files import replacing, sha256_of_file
from pm25map.grid.regions import COUNTIES


def convert(source: Path, target: Path = COUNTIES) -> None:
    """Write the counties of CONUS in a us-atlas file as GeoParquet, by number, with its provenance inside."""
    read = gpd.read_file(source, layer="counties")
    read = read[read["id"].str[:2].isin(POSTAL)].sort_values("id", ignore_index=True)
    columns = {"fips": read["id"], "name": read["name"]}
    frame = gpd.GeoDataFrame(
        columns, geometry=[outline_of(shape) for shape in read.geometry], crs="OGC:CRS84"
    )
    facts = {
        "source": "us-atlas 3 counties-10m.json (U.S. Census Bureau cartographic boundaries, 1:10,000,000)",
        "source_sha256": sha256_of_file(source),
        "licence": "outlines: public domain (U.S. Census Bureau); us-atlas: ISC",
    }
    with replacing(target) as part:
        frame.to_parquet(part, compression="zstd")
        table = pq.read_table(part)
        table = table.replace_schema_metadata(
            {**table.schema.metadata, b"pm25map": json.dumps(facts).encode()}
        )
        pq.write_table(table, part, compression="zstd", compression_level=19, write_statistics=False)


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
