"""What can be asked of served maps: a place over time, and statistics over a polygon."""

import datetime as dt
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer
from rasterio.features import geometry_mask
from rasterio.transform import Affine
from rasterio.windows import Window, from_bounds
from shapely.geometry.base import BaseGeometry

from pm25map.base.aqi import CATEGORIES, class_index
from pm25map.base.errors import BadRequest
from pm25map.grid.areas import areas_of
from pm25map.grid.grid import LONLAT
from pm25map.view.layers import Layer
from pm25map.view.server.catalogue import Entry

MOST_MAPS = 400
"""Maps that one question may touch: a year, and a little."""

MOST_CELLS = 4_000_000
"""Cells that one polygon may reach."""

MOST_VERTICES = 2_000


def series(entries: list[Entry], key: str, lon: float, lat: float) -> list[tuple[Entry, float | None]]:
    """Read one place on several days.

    Args:
        entries: the maps.
        key: of the layer; maps without it are passed over.
        lon, lat: degrees (WGS84).

    Returns:
        each map with its value, None where it has none there.

    Raises:
        BadRequest: the place lies outside of every map, or there are too many maps.
    """
    if len(entries) > MOST_MAPS:
        raise BadRequest(
            f"{len(entries)} maps are too many for one question: narrow start and end to {MOST_MAPS}"
        )
    found = []
    inside = False
    for entry in entries:
        layer = entry.layer(key)
        if layer is None:
            continue
        value, within = _value(entry, layer, lon, lat)
        inside = inside or within
        found.append((entry, value))
    if not found:
        raise BadRequest(f"no map has layer {key!r}: ask /maps which there are")
    if not inside:
        raise BadRequest(f"longitude {lon:g}, latitude {lat:g} lies outside of every map")
    return found


def _value(entry: Entry, layer: Layer, lon: float, lat: float) -> tuple[float | None, bool]:
    """Read a cell: its value, and whether the place lies on the map at all."""
    x, y = Transformer.from_crs(LONLAT, entry.shown.crs, always_xy=True).transform(lon, lat)
    if not np.isfinite([x, y]).all():
        return None, False
    with entry.opened(layer) as raster:
        rows, cols = raster.place.shape
        col, row = ~raster.place.affine * (x, y)
        if not (0 <= col < cols and 0 <= row < rows):
            return None, False
        value = raster.values(layer.band, window=Window(int(col), int(row), 1, 1))[0, 0]
    return (float(value) if np.isfinite(value) else None), True


def statistics(entry: Entry, key: str, polygon: BaseGeometry) -> dict[str, Any]:
    """Sum up the cells of a map whose centre lies in a polygon; of a smaller one those that it touches.

    Args:
        entry: the map.
        key: of the layer.
        polygon: degrees (WGS84).

    Returns:
        cells, area_km2 (on the ellipsoid), mean, minimum, maximum, median, p90, in the layer's unit, and of a
        concentration class_percent, the share of the area in each class of the index. All are weighted by area.

    Raises:
        BadRequest: the polygon is too large, not valid, or holds no value of the map.
    """
    layer = entry.layer(key)
    if layer is None:
        raise BadRequest(f"map {entry.name} has no layer {key!r}: ask /maps which there are")
    if shapely.get_num_coordinates(polygon) > MOST_VERTICES:
        raise BadRequest(f"the polygon has more than {MOST_VERTICES:,} vertices: simplify it")
    if polygon.is_empty:
        raise BadRequest("the polygon is empty: give at least one ring")
    # A height may be anything, infinity as well.
    polygon = shapely.force_2d(polygon)
    west, south, east, north = polygon.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise BadRequest(
            "the polygon is not in degrees: longitudes go from -180 to 180, latitudes from -90 to 90"
        )
    if not polygon.is_valid:
        raise BadRequest(f"the polygon is not valid: {shapely.is_valid_reason(polygon)}")
    to_map = Transformer.from_crs(LONLAT, entry.shown.crs, always_xy=True)
    # Long edges are curves on the map; a small step keeps them so.
    span = max(polygon.bounds[2] - polygon.bounds[0], polygon.bounds[3] - polygon.bounds[1])
    dense = shapely.segmentize(polygon, max(span / 200, 1e-6))
    moved = shapely.transform(dense, lambda xy: np.column_stack(to_map.transform(xy[:, 0], xy[:, 1])))
    outside = f"the polygon holds no value of map {entry.name}: it lies outside of the map, or over water"
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise BadRequest(outside)
    with entry.opened(layer) as raster:
        rows, cols = raster.place.shape
        wanted = from_bounds(*moved.bounds, transform=raster.place.affine)
        row, col = max(0, int(np.floor(wanted.row_off))), max(0, int(np.floor(wanted.col_off)))
        end_row = min(rows, int(np.ceil(wanted.row_off + wanted.height)))
        end_col = min(cols, int(np.ceil(wanted.col_off + wanted.width)))
        height, width = end_row - row, end_col - col
        if height <= 0 or width <= 0:
            raise BadRequest(outside)
        if height * width > MOST_CELLS:
            raise BadRequest(
                f"the polygon reaches {height * width:,} cells, more than {MOST_CELLS:,}: draw a smaller one"
            )
        window = Window(col, row, width, height)
        values = raster.values(layer.band, window=window).astype(np.float64)
        transform = raster.place.affine * Affine.translation(col, row)
    inside = _inside(moved, values, transform)
    if not inside.any():
        raise BadRequest(outside)
    areas = areas_of(entry.shown.crs, tuple(transform[:6]), values.shape)
    return _summed(values[inside], areas[inside], layer)


def _inside(moved: BaseGeometry, values: Any, transform: Any) -> Any:
    for touched in (False, True):
        mask = geometry_mask([moved], values.shape, transform, all_touched=touched, invert=True)
        inside = mask & np.isfinite(values)
        if inside.any():
            break
    return inside


def _summed(values: Any, areas: Any, layer: Layer) -> dict[str, Any]:
    shares = None
    if layer.kind == "concentration":
        classes = class_index(values)
        shares = {
            category.name: round(100 * float(areas[classes == number].sum() / areas.sum()), 2)
            for number, category in enumerate(CATEGORIES)
        }
    # The least value at or below which that share of the area lies: what NumPy has for weights.
    median, p90 = np.quantile(values, [0.5, 0.9], weights=areas, method="inverted_cdf")
    return {
        "unit": layer.unit,
        "cells": int(values.size),
        "area_km2": float(areas.sum()),
        "mean": float((values * areas).sum() / areas.sum()),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "median": float(median),
        "p90": float(p90),
        "class_percent": shares,
    }


def days_of(entries: dict[str, Entry], start: dt.date | None, end: dt.date | None) -> list[Entry]:
    """Choose the maps from start to end, both included; all where None."""
    return [
        entry
        for entry in entries.values()
        if (start is None or (entry.day is not None and entry.day >= start))
        and (end is None or (entry.day is not None and entry.day <= end))
    ]
