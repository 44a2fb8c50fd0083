"""Makes pm25map/grid/boundaries/us-states.geojson from the TopoJSON of us-atlas.

    python grids/make_us_states.py states-10m.json

pm25map/grid/boundaries/README.md says where states-10m.json comes from.
"""

import json
import sys
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, mapping
from shapely.geometry.base import BaseGeometry

import pm25map.grid
from pm25map.base.files import replacing, sha256_of_file

OUT = Path(pm25map.grid.__file__).parent / "boundaries" / "us-states.geojson"

_FIPS_POSTAL = """
01:AL 04:AZ 05:AR 06:CA 08:CO 09:CT 10:DE 11:DC 12:FL 13:GA 16:ID 17:IL 18:IN 19:IA 20:KS 21:KY 22:LA
23:ME 24:MD 25:MA 26:MI 27:MN 28:MS 29:MO 30:MT 31:NE 32:NV 33:NH 34:NJ 35:NM 36:NY 37:NC 38:ND 39:OH
40:OK 41:OR 42:PA 44:RI 45:SC 46:SD 47:TN 48:TX 49:UT 50:VT 51:VA 53:WA 54:WV 55:WI 56:WY
"""
POSTAL = {pair[:2]: pair[3:] for pair in _FIPS_POSTAL.split()}
"""FIPS code to postal code (ANSI INCITS 38) of the 48 states and the District of Columbia."""

_DECIMALS = 5
"""Of a degree; about one metre, finer than the file's own steps."""


def read_states(path: Path) -> list[dict[str, Any]]:
    """Read the states of CONUS as GeoJSON features, by their names.

    A border between two states is one arc in TopoJSON, so both states get the same coordinates.

    Args:
        path: of TopoJSON with an object "states", ids as FIPS codes (us-atlas 3).
    """
    frame = gpd.read_file(path, layer="states")
    states = [one for one in frame.itertuples() if one.id in POSTAL]
    return [
        {
            "type": "Feature",
            "id": one.id,
            "properties": {"name": one.name, "postal": POSTAL[one.id]},
            "geometry": mapping(outline_of(one.geometry)),
        }
        for one in sorted(states, key=lambda one: one.name)
    ]


def outline_of(shape: BaseGeometry) -> MultiPolygon:
    """Return a shape of the file as this package ships it: rounded, valid, its borders those of its neighbours."""
    rounded = shapely.transform(shape, lambda at: np.round(at, _DECIMALS))
    outline = MultiPolygon(shapely.get_parts(rounded))
    if not outline.is_valid:
        # Quantising folds slivers flat (in us-atlas 3: in Oregon and Delaware). "structure" drops them
        # and moves no other vertex, so that neighbours still share theirs.
        outline = shapely.make_valid(outline, method="structure", keep_collapsed=False)
    return MultiPolygon([part for part in shapely.get_parts(outline) if isinstance(part, Polygon)])


def convert(source: Path, target: Path = OUT) -> None:
    """Write the states of CONUS in a us-atlas file as GeoJSON, with its provenance inside."""
    collection = {
        "type": "FeatureCollection",
        "source": "us-atlas 3 states-10m.json (U.S. Census Bureau cartographic boundaries, 1:10,000,000)",
        "source_sha256": sha256_of_file(source),
        "licence": "outlines: public domain (U.S. Census Bureau); us-atlas: ISC",
        "features": read_states(source),
    }
    with replacing(target) as part:
        part.write_text(json.dumps(collection, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
