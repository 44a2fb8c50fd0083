"""Where a rectangle of a grid lies on the earth: its outline and its box in degrees, over the date line and the poles.

As RFC 7946 has it: an outline that crosses 180 degrees is cut there, a box that crosses it has west > east, and one
around a pole reaches from -180 to 180.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.affinity import translate
from shapely.geometry.polygon import orient

from pm25map.base.errors import BadGrid
from pm25map.grid.grid import LONLAT, transformer

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top in units of a CRS; or west, south, east, north in degrees."""

_POINTS = 1024
"""Along each edge: edges are curves in degrees, whose extremes lie anywhere on them."""

_EVERY = 16
"""Of these points, one in so many is a corner of the outline."""

_ASTRAY_M = 1.0
"""A point of an edge that comes back so far from where it was has no place on the earth."""

_DIGITS, _FINE_DIGITS = 7, 12
"""Of degrees in an outline: 1 cm, and more where the whole outline is shorter than a few hundred metres."""

_FINE_DEG = 0.01

Floats = npt.NDArray[np.float64]


def outline_of(crs: str, bounds: Bounds) -> tuple[dict[str, Any], Bounds]:
    """Return the outline of a rectangle as GeoJSON, and the box around it: west, south, east, north in degrees.

    Args:
        crs: of the rectangle, projected, in metres.
        bounds: of the rectangle, in units of the CRS.

    Raises:
        BadGrid: a point of its edges has no place on the earth.
    """
    lon, lat = _edges_in_degrees(crs, bounds)
    pole = next((pole for pole in (-90.0, 90.0) if _contains_pole(crs, bounds, pole)), None)
    south, north = float(lat.min()), float(lat.max())
    if pole is None:
        if abs(lon[-1] - lon[0]) > 180:
            raise _astray(crs)  # around a pole that is no point of the map
        box = _box(float(lon.min()), south, float(lon.max()), north)
        return _geojson(lon[::_EVERY], lat[::_EVERY], lon[0]), box
    south, north = (-90.0, north) if pole < 0 else (south, 90.0)
    if abs(lon[-1] - lon[0]) > 180:
        lon, lat = lon[::_EVERY], lat[::_EVERY]
    else:
        # The pole lies on the very edge, which does not turn around it.
        lon, lat = np.array([-180.0, 180.0]), np.full(2, north if pole < 0 else south)
    # Along the pole and back: in degrees it is a line.
    ring_lon, ring_lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, [pole, pole])
    return _geojson(ring_lon, ring_lat, lon[0]), (-180.0, south, 180.0, north)


def around(boxes: Sequence[Sequence[float]]) -> list[float]:
    """Return the smallest box around some, each west, south, east, north in degrees, west > east over 180 degrees."""
    spans = sorted((box[0], box[2] + (360 if box[2] < box[0] else 0)) for box in boxes)
    reach = max(east for _, east in spans) - 360
    widest, west, east = 0.0, -180.0, 180.0
    for start, end in spans:
        # The widest gap around the earth stays outside.
        if start - reach > widest:
            widest, west, east = start - reach, start, reach + 360
        reach = max(reach, end)
    return list(_box(west, min(box[1] for box in boxes), east, max(box[3] for box in boxes)))


def _edges_in_degrees(crs: str, bounds: Bounds) -> tuple[Floats, Floats]:
    """Walk around a rectangle, back to its first corner: longitude without a jump, and latitude, degrees."""
    left, bottom, right, top = bounds
    across, up = np.linspace(left, right, _POINTS + 1)[:-1], np.linspace(bottom, top, _POINTS + 1)[:-1]
    x = np.concatenate(
        [across, np.full(_POINTS, right), left + right - across, np.full(_POINTS, left), [left]]
    )
    y = np.concatenate([np.full(_POINTS, bottom), up, np.full(_POINTS, top), bottom + top - up, [bottom]])
    lon, lat = transformer(crs, LONLAT).transform(x, y)
    again = transformer(LONLAT, crs).transform(lon, lat)
    # Past the rim of a projection its formulas go on, and give places that lie elsewhere.
    off = np.hypot(again[0] - x, again[1] - y)
    if not (off < _ASTRAY_M).all():
        raise _astray(crs)
    return np.unwrap(np.asarray(lon, np.float64), period=360), np.asarray(lat, np.float64)


def _contains_pole(crs: str, bounds: Bounds, pole: float) -> bool:
    """Return whether a pole lies in a rectangle; False where the projection draws the pole as a line."""
    x, y = transformer(LONLAT, crs).transform(np.array([0.0, 90.0, 180.0, -90.0]), np.full(4, pole))
    if not np.isfinite([x, y]).all() or max(np.ptp(x), np.ptp(y)) > _ASTRAY_M:
        return False
    left, bottom, right, top = bounds
    return bool(left <= x[0] <= right and bottom <= y[0] <= top)


def _astray(crs: str) -> BadGrid:
    return BadGrid(
        f"a part of the grid's edge has no place on the earth in {crs}: choose a CRS made for its area, such as "
        "EPSG:5070 for the contiguous United States"
    )


def _box(west: float, south: float, east: float, north: float) -> Bounds:
    """Bring longitudes that may lie beyond 180 degrees into RFC 7946's form."""
    if east - west >= 360:
        return -180.0, south, 180.0, north
    shift = 360.0 * np.floor((west + 180) / 360)
    west, east = float(west - shift), float(east - shift)
    return west, south, east - 360 if east > 180 else east, north


def _geojson(lon: Floats, lat: Floats, start: float) -> dict[str, Any]:
    """Write an outline whose longitudes may lie beyond 180 degrees, cut there: a polygon, or several."""
    shift = 360.0 * np.floor((start + 180) / 360)
    shape = shapely.Polygon(np.column_stack([lon - shift, lat]))
    digits = _FINE_DIGITS if min(np.ptp(lon), np.ptp(lat)) < _FINE_DEG else _DIGITS
    west, _, east, _ = shape.bounds
    if west >= -180 and east <= 180:
        parts = [shape]
    else:
        pieces = [
            translate(shapely.intersection(shape, shapely.box(turn - 180, -90, turn + 180, 90)), -turn)
            for turn in (-360.0, 0.0, 360.0)
        ]
        # Pieces that meet again at a whole turn are one, where they meet to the last digit that is written.
        whole = shapely.union_all(pieces, grid_size=10.0**-digits)
        parts = [part for part in shapely.get_parts(whole) if part.area > 0]
    rings = [
        [[round(float(x), digits), round(float(y), digits)] for x, y in orient(part).exterior.coords]
        for part in parts
    ]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings}
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}
