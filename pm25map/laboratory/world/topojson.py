"""From the TopoJSON of us-atlas to the outline that this package ships.

Run `python -m pm25map.laboratory.world.topojson states-10m.json us-states.geojson` to make the shipped file again;
boundaries/README.md says where states-10m.json comes from.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box, mapping, shape
from shapely.geometry.base import BaseGeometry

from pm25map.base.files import replacing, sha256_of_file

_FIPS_POSTAL = """
01:AL 04:AZ 05:AR 06:CA 08:CO 09:CT 10:DE 11:DC 12:FL 13:GA 16:ID 17:IL 18:IN 19:IA 20:KS 21:KY 22:LA
23:ME 24:MD 25:MA 26:MI 27:MN 28:MS 29:MO 30:MT 31:NE 32:NV 33:NH 34:NJ 35:NM 36:NY 37:NC 38:ND 39:OH
40:OK 41:OR 42:PA 44:RI 45:SC 46:SD 47:TN 48:TX 49:UT 50:VT 51:VA 53:WA 54:WV 55:WI 56:WY
"""
POSTAL = {pair[:2]: pair[3:] for pair in _FIPS_POSTAL.split()}
"""FIPS code to postal code (ANSI INCITS 38) of the 48 states and the District of Columbia."""

Ring = list[list[float]]

_WORLD = box(-180, -90, 180, 90)


def states_of_topology(topology: dict[str, Any], decimals: int = 5) -> list[dict[str, Any]]:
    """Turn the states of a topology into GeoJSON features, CONUS only.

    A border between two states is one arc in TopoJSON, so both states get the same coordinates.

    Args:
        topology: a quantised topology with an object "states", ids as FIPS codes (us-atlas 3).
        decimals: of a degree; 5 is about one metre, finer than the topology's own steps.
    """
    arcs = _arcs(topology, decimals)
    states = [s for s in topology["objects"]["states"]["geometries"] if s["id"] in POSTAL]
    return [_feature(state, arcs) for state in sorted(states, key=lambda s: str(s["properties"]["name"]))]


def outlines_of_topology(topology: dict[str, Any], name: str) -> dict[str, MultiPolygon]:
    """Give the outlines of one object of a topology of the world, such as the countries of world-atlas, by their names.

    They are cut where they cross 180 degrees. On the plane a ring that goes on from 180 E at 180 W would turn back
    through all longitudes: Russia would cover a strip of the Atlantic, and Antarctica, whose coast goes around a
    pole, next to nothing.
    """
    arcs = _arcs(topology, 5)
    out = {}
    for one in topology["objects"][name]["geometries"]:
        if one.get("type") not in ("Polygon", "MultiPolygon"):
            continue
        polygons = one["arcs"] if one["type"] == "MultiPolygon" else [one["arcs"]]
        parts = [
            part
            for polygon in polygons
            for part in shapely.get_parts(_cut_at_180([np.array(_ring(ring, arcs)) for ring in polygon]))
            if isinstance(part, Polygon)
        ]
        out[str(one["properties"]["name"])] = MultiPolygon(parts)
    return out


def _cut_at_180(rings: list[npt.NDArray[np.float64]]) -> BaseGeometry:
    """Make a polygon of rings of longitude and latitude; what lies beyond 180 degrees comes back on the other side."""
    shape: BaseGeometry = Polygon()
    for ring in rings:
        if len(ring) < 4:
            continue
        lon, lat = np.unwrap(ring[:, 0], period=360), ring[:, 1]
        if abs(lon[-1] - lon[0]) > 180:
            # Once around a pole: what it holds reaches to there.
            pole = np.copysign(90, lat.mean())
            lon, lat = np.append(lon, lon[[-1, 0]]), np.append(lat, [pole, pole])
        whole = shapely.make_valid(
            Polygon(np.stack([lon, lat], axis=1)), method="structure", keep_collapsed=False
        )
        for turns in range(int((lon.min() + 180) // 360), int((lon.max() + 180) // 360) + 1):
            here = translate(whole, -360 * turns)
            # Rings within a ring are holes, wherever they are cut.
            shape = shape.symmetric_difference(here.intersection(_WORLD))
    return shape


def _arcs(topology: dict[str, Any], decimals: int) -> list[Ring]:
    scale, shift = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    return [
        np.round(np.cumsum(np.array(arc), axis=0) * scale + shift, decimals).tolist()
        for arc in topology["arcs"]
    ]


def _outline(state: dict[str, Any], arcs: list[Ring]) -> MultiPolygon:
    polygons = state["arcs"] if state["type"] == "MultiPolygon" else [state["arcs"]]
    rings = [[_ring(numbers, arcs) for numbers in polygon] for polygon in polygons]
    outline = shape({"type": "MultiPolygon", "coordinates": [p for p in rings if len(p[0]) > 3]})
    if not outline.is_valid:
        # Quantising folds slivers flat (in us-atlas 3: in Oregon and Delaware). "structure" drops them
        # and moves no other vertex, so that neighbours still share theirs.
        outline = shapely.make_valid(outline, method="structure", keep_collapsed=False)
    return MultiPolygon([part for part in shapely.get_parts(outline) if isinstance(part, Polygon)])


def _feature(state: dict[str, Any], arcs: list[Ring]) -> dict[str, Any]:
    outline = _outline(state, arcs)
    return {
        "type": "Feature",
        "id": state["id"],
        "properties": {"name": state["properties"]["name"], "postal": POSTAL[state["id"]]},
        "geometry": mapping(outline),
    }


def _ring(numbers: list[int], arcs: list[Ring]) -> Ring:
    """Join arcs to a ring: -1 - i means arc i backwards, and each arc starts where the last one ended."""
    points: Ring = []
    for number in numbers:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        points.extend(arc[1:] if points else arc)
    return points


def convert(source: Path, target: Path) -> None:
    """Write the states of CONUS in a us-atlas file as GeoJSON, with its provenance inside."""
    collection = {
        "type": "FeatureCollection",
        "source": "us-atlas 3 states-10m.json (U.S. Census Bureau cartographic boundaries, 1:10,000,000)",
        "source_sha256": sha256_of_file(source),
        "licence": "outlines: public domain (U.S. Census Bureau); us-atlas: ISC",
        "features": states_of_topology(json.loads(source.read_text())),
    }
    with replacing(target) as part:
        part.write_text(json.dumps(collection, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
