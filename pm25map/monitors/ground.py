"""Where a monitor of the United States can stand: on the land of the 48 states, or in the boxes of the others."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

SHORE_M = 5_000.0
"""So far from the outline of the 48 states a site may stand. The outline is drawn for 1:10,000,000; of 3,200
real sites in EPA's files four lie outside of it, the farthest by 1.1 km."""

FAR_BOXES = (
    (-180.0, 51.0, -130.0, 72.0),  # Alaska
    (172.0, 51.0, 180.0, 54.0),  # the Aleutians beyond 180 degrees
    (-179.0, 18.5, -154.5, 29.0),  # Hawaii, Midway
    (-68.1, 17.5, -64.4, 18.7),  # Puerto Rico, Virgin Islands
    (144.4, 13.0, 146.2, 20.7),  # Guam, Northern Mariana Islands
    (-171.3, -14.8, -167.9, -10.9),  # American Samoa
)
"""West, south, east, north in degrees. Inside a box sea and land are not distinguished: these sites are legal, and
far from every map of the 48 states."""

_OUTLINES = Path(__file__).resolve().parents[1] / "grid" / "boundaries" / "us-states.geojson"

Floats = npt.NDArray[np.float64]


@functools.cache
def states_land() -> BaseGeometry:
    """Read the outlines of the 48 states and DC as one collection, degrees (WGS84).

    Not `grid.regions.states`: a table of monitors is read in less time than that takes to import.
    """
    outlines: BaseGeometry = shapely.from_geojson(_OUTLINES.read_text())
    return outlines


def in_united_states(lon: Floats, lat: Floats, land: BaseGeometry | None = None) -> npt.NDArray[np.bool_]:
    """Mark the points where a monitor of the United States can stand: bool (point,).

    Args:
        lon: degrees (WGS84), float64 (point,).
        lat: the same.
        land: polygons in degrees that stand for the 48 states; the package's own outlines if None.
    """
    inside = np.zeros(len(lon), dtype=np.bool_)
    for west, south, east, north in FAR_BOXES:
        inside |= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    parts = shapely.get_parts(states_land() if land is None else land)
    tree = shapely.STRtree(parts)
    points: Any = shapely.points(lon, lat)
    inside[tree.query(points, predicate="intersects")[0]] = True
    west, south, east, north = shapely.total_bounds(parts)
    # One degree of latitude is 111 km: what lies a degree outside of the bounds is farther than SHORE_M.
    near = ~inside & (lon > west - 1) & (lon < east + 1) & (lat > south - 1) & (lat < north + 1)
    if near.any():
        outside = points[near]
        shortest = shapely.shortest_line(outside, parts[tree.nearest(outside)])
        ends = shapely.get_coordinates(shortest).reshape(-1, 2, 2)  # (point, end, lon lat)
        away = Geod(ellps="WGS84").inv(ends[:, 0, 0], ends[:, 0, 1], ends[:, 1, 0], ends[:, 1, 1])[2]
        inside[near] = np.asarray(away) <= SHORE_M
    return inside
