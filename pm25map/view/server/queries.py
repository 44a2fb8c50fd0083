"""What can be asked of served maps: a place over time, and statistics over a polygon."""

import datetime as dt
from typing import Any

import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from rasterio.features import geometry_mask
from rasterio.windows import Window, from_bounds
from shapely.geometry.base import BaseGeometry

from pm25map.base.aqi import CATEGORIES, class_index
from pm25map.base.errors import BadMap, BadRequest
from pm25map.diagnostics.background import cell_areas
from pm25map.grid import Grid
from pm25map.grid.grid import LONLAT
from pm25map.raster.cog import GDAL_ERRORS
from pm25map.view.layers import Layer
from pm25map.view.server.catalogue import Entry

MOST_MAPS = 400
"""Maps that one question may touch: a year, and a little."""

MOST_CELLS = 4_000_000
"""Cells that one polygon may reach."""

MOST_VERTICES = 2_000

QUIET = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO", "CPL_DEBUG": "OFF"}
"""GDAL looks at no other file than the one that it is told to read."""


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
    with opened(layer) as source:
        col, row = ~source.transform * (x, y)
        if not (0 <= col < source.width and 0 <= row < source.height):
            return None, False
        read = source.read(layer.band, window=Window(int(col), int(row), 1, 1), masked=True)
    value = np.ma.filled(read.astype(np.float64), np.nan)[0, 0]
    return (float(value) if np.isfinite(value) else None), True


def statistics(entry: Entry, key: str, polygon: BaseGeometry) -> dict[str, Any]:
    """Sum up the cells of a map whose centre lies in a polygon; of a smaller one those that it touches.

    Args:
        entry: the map.
        key: of the layer.
        polygon: degrees (WGS84).

    Returns:
        cells, area_km2, mean (weighted by area), minimum, maximum, median, p90, in the layer's unit, and of a
        concentration class_percent, the share of the area in each class of the index.

    Raises:
        BadRequest: the polygon is too large, not valid, or holds no value of the map.
    """
    layer = entry.layer(key)
    if layer is None:
        raise BadRequest(f"map {entry.name} has no layer {key!r}: ask /maps which there are")
    if shapely.get_num_coordinates(polygon) > MOST_VERTICES:
        raise BadRequest(f"the polygon has more than {MOST_VERTICES:,} vertices: simplify it")
    if not polygon.is_valid or polygon.is_empty:
        raise BadRequest(f"the polygon is not valid: {shapely.is_valid_reason(polygon)}")
    to_map = Transformer.from_crs(LONLAT, entry.shown.crs, always_xy=True)
    # Long edges are curves on the map; a small step keeps them so.
    span = max(polygon.bounds[2] - polygon.bounds[0], polygon.bounds[3] - polygon.bounds[1])
    dense = shapely.segmentize(polygon, max(span / 200, 1e-6))
    moved = shapely.transform(dense, lambda xy: np.column_stack(to_map.transform(xy[:, 0], xy[:, 1])))
    outside = f"the polygon holds no value of map {entry.name}: it lies outside of the map, or over water"
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise BadRequest(outside)
    with opened(layer) as source:
        whole = Window(0, 0, source.width, source.height)
        wanted = from_bounds(*moved.bounds, transform=source.transform)
        row, col = max(0, int(np.floor(wanted.row_off))), max(0, int(np.floor(wanted.col_off)))
        end_row = min(whole.height, int(np.ceil(wanted.row_off + wanted.height)))
        end_col = min(whole.width, int(np.ceil(wanted.col_off + wanted.width)))
        height, width = end_row - row, end_col - col
        if height <= 0 or width <= 0:
            raise BadRequest(outside)
        if height * width > MOST_CELLS:
            raise BadRequest(
                f"the polygon reaches {height * width:,} cells, more than {MOST_CELLS:,}: draw a smaller one"
            )
        window = Window(col, row, width, height)
        read = source.read(layer.band, window=window, masked=True)
        transform = source.window_transform(window)
    values = np.ma.filled(read.astype(np.float64), np.nan)
    inside = _inside(moved, values, transform)
    if not inside.any():
        raise BadRequest(outside)
    grid = Grid("part", entry.shown.crs, tuple(transform[:6]), values.shape, max(values.shape), inside)
    return _summed(values[inside], cell_areas(grid)[inside], layer)


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
    return {
        "unit": layer.unit,
        "cells": int(values.size),
        "area_km2": float(areas.sum()),
        "mean": float((values * areas).sum() / areas.sum()),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "median": float(np.median(values)),
        "p90": float(np.percentile(values, 90)),
        "class_percent": shares,
    }


def opened(layer: Layer) -> Any:
    """Open the file of a layer, as the GeoTIFF that it was at the start and no other format.

    Raises:
        BadMap: it was moved or damaged.
    """
    try:
        with rasterio.Env(**QUIET):
            return rasterio.open(layer.path, driver="GTiff")
    except GDAL_ERRORS as error:
        raise BadMap(f"{layer.path.name} cannot be read any more: it was moved or damaged") from error


def days_of(entries: dict[str, Entry], start: dt.date | None, end: dt.date | None) -> list[Entry]:
    """Choose the maps from start to end, both included; all where None."""
    return [
        entry
        for entry in entries.values()
        if (start is None or (entry.day is not None and entry.day >= start))
        and (end is None or (entry.day is not None and entry.day <= end))
    ]
