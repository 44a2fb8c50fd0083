"""Hot spots of maps that lie on disk."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.enums import Resampling
from rasterio.warp import reproject

from pm25map.base.errors import BadMap, BadOutput, BadPredictors
from pm25map.base.files import check_outputs, replacing
from pm25map.diagnostics.hotspots import HotSpot, find_hotspots
from pm25map.grid import Block, Grid
from pm25map.grid.areas import areas_of
from pm25map.grid.geotiff import Raster, open_raster
from pm25map.grid.people import people_of_cells
from pm25map.predictors.reader import Predictors
from pm25map.view.card import draw_card
from pm25map.view.layers import PM25, LookedAt

SMOKE = "wildfire_smoke"

_DENSITY_UNITS = (
    (1.0, re.compile(r"(/|\bper) ?(km|kilomet|sq(uare|\.)? ?k(m|ilomet))|\bkm ?(\^|\*\*)? ?-2|\bkm⁻²")),
    (100.0, re.compile(r"(/|\bper) ?(ha\b|hectare)|\bha ?(\^|\*\*)? ?-1|\bha⁻¹")),
    (1e6, re.compile(r"(/|\bper) ?(m[2²^]|sq(uare|\.)? ?(m\b|met))|\bm ?(\^|\*\*)? ?-2|\bm⁻²")),
)
"""People per km2 that one of a unit of density is, and how the unit is written."""


def spots_of_each(maps: list[LookedAt]) -> list[list[HotSpot]]:
    """Find the hot spots of every map by itself; none on a map without a concentration."""
    found = []
    for one in maps:
        layer = one.layer(PM25)
        grid = one.grid()
        people = people_of_cells(grid)
        found.append(find_hotspots(layer.values[None], grid, [one.day], population=people) if layer else [])
    return found


def events_of(
    maps: list[LookedAt], *, predictors: Predictors | None = None, population: Path | None = None
) -> list[HotSpot]:
    """Find the hot spots of all maps together: a region that lasts for days is one.

    Args:
        maps: of pm25map, on one grid, each day once.
        predictors: a store whose wildfire_smoke says where NOAA HMS drew smoke.
        population: a raster of people in each of its cells, on any grid; the Census of 2020 where None.

    Raises:
        BadMap: the maps do not lie on one grid, a day is there twice, or the population cannot be read.
        BadPredictors: the store lies on another grid, or has no smoke.
    """
    ours = [one for one in maps if one.layer(PM25)]
    found = [layer for one in ours if (layer := one.layer(PM25))]
    if not ours:
        raise BadMap("none of the files is a map of pm25map: hot spots need PM2.5 in ug/m3")
    days = [one.day for one in ours]
    if len({one.place for one in ours}) > 1:
        raise BadMap("the maps lie on different grids: look for hot spots in those of one grid at a time")
    twice = sorted({str(day) for day in days if days.count(day) > 1})
    if twice:
        raise BadMap(f"{twice[0]} is there twice: give one map for each day")
    grid = ours[0].grid()
    values = np.stack([layer.values for layer in found])
    smoke = None if predictors is None else np.stack([_smoke(predictors, one) for one in ours])
    people = people_of_cells(grid) if population is None else read_population(population, grid)
    return find_hotspots(values, grid, days, smoke=smoke, population=people)


def read_population(path: Path, grid: Grid) -> npt.NDArray[np.float64]:
    """Bring a raster of people onto a grid: float64 (y, x), people in each cell; the sum is kept.

    Args:
        path: a raster of people in each of its cells, or one whose unit says people per km2, hectare or m2: these
            are multiplied by the areas of its cells.
        grid: of the map.

    Raises:
        BadMap: it cannot be read, does not say where it lies, or is of a density without its unit.
    """
    try:
        with open_raster(path) as raster:
            counts = raster.values(raster.numbers[0]).astype(np.float64)
            place = raster.place
            per_km2 = _per_km2(raster)
    except BadMap as error:
        raise BadMap(f"{error}. --population takes a raster of people per cell") from error
    if per_km2 is not None:
        counts *= per_km2 * areas_of(place.crs, place.transform, place.shape)
    people = np.zeros(grid.shape, dtype=np.float64)
    reproject(
        np.maximum(np.nan_to_num(counts), 0.0),
        people,
        src_transform=place.affine,
        src_crs=place.crs,
        dst_transform=grid.affine,
        dst_crs=grid.crs,
        resampling=Resampling.sum,
    )
    return people


def _per_km2(raster: Raster) -> float | None:
    """Return what turns a density into people per km2; None for a raster of people in each cell.

    Raises:
        BadMap: the raster says that it is a density, and not of what unit.
    """
    number = raster.numbers[0]
    tags = raster.source.tags(number)
    words = [
        raster.unit(number),
        raster.name(number),
        tags.get("long_name", ""),
        tags.get("standard_name", ""),
    ]
    said = " ".join([*words, raster.path.stem]).lower().replace("_", " ")
    for factor, unit in _DENSITY_UNITS:
        if unit.search(said):
            return factor
    if (
        re.search(r"densit|\bper\b|/|\^? ?-[12]\b", " ".join(words).lower().replace("_", " "))
        or "densit" in said
    ):
        raise BadMap(
            f"population {raster.path} is a density ({' '.join(filter(None, words)) or raster.path.stem}) of no unit "
            "that is known here: give people per cell, or set the band's unit, for example to km-2"
        )
    return None


def _smoke(predictors: Predictors, one: LookedAt) -> npt.NDArray[np.float32]:
    """Read the smoke of a day onto the map's cells: (y, x), NaN where the store does not know."""
    if SMOKE not in predictors.daily:
        raise BadPredictors(
            f"{predictors.path} holds no {SMOKE}: ingest the source hms first, or leave --predictors away"
        )
    grid = predictors.grid
    smoke = np.full(grid.shape, np.nan, dtype=np.float32)
    if one.day in predictors.days_of((SMOKE,)):
        read = predictors.read((SMOKE,), [one.day], Block(0, 0, *grid.shape))
        smoke[grid.land] = read[:, 0, 0]
    a, _, c, _, e, f = grid.transform
    col, row = (one.transform[2] - c) / a, (one.transform[5] - f) / e
    rows, cols = one.shape
    fits = one.crs == grid.crs and one.transform[0] == a and col % 1 == 0 and row % 1 == 0
    if not fits or row < 0 or col < 0 or row + rows > grid.shape[0] or col + cols > grid.shape[1]:
        raise BadPredictors(
            f"{predictors.path} lies on another grid than {one.path}: give the store of that grid"
        )
    return smoke[int(row) : int(row) + rows, int(col) : int(col) + cols]


def write_events(
    events: list[HotSpot], maps: list[LookedAt], folder: Path, *, cards: int, overwrite: bool = False
) -> list[Path]:
    """Write hot spots as a table, as GeoJSON, and as cards.

    Args:
        events: of `events_of` over these maps.
        maps: in which they were found.
        folder: made where absent.
        cards: how many events get a card, at most.
        overwrite: replace files that are there.

    Returns:
        the files: hotspots.csv, hotspots.geojson, then the cards.

    Raises:
        BadOutput: a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadOutput(f"cannot make folder {folder}: {error.strerror}. Choose another") from error
    table, outlines = folder / "hotspots.csv", folder / "hotspots.geojson"
    files = [table, outlines]
    files += [folder / f"{n:02d}-{_slug(event.title)}.png" for n, event in enumerate(events[:cards], start=1)]
    check_outputs(files, [layer.path for one in maps for layer in one.layers], overwrite=overwrite)
    names = [field.name for field in dataclasses.fields(HotSpot)]
    rows = [event.properties() for event in events]
    with replacing(table) as part, part.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]) if rows else names)
        writer.writeheader()
        writer.writerows(rows)
    features = [
        {
            "type": "Feature",
            "properties": row,
            "geometry": json.loads(shapely.to_geojson(shapely.set_precision(event.outline, 1e-4))),
        }
        for event, row in zip(events, rows, strict=True)
    ]
    with replacing(outlines) as part:
        part.write_text(json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False))
    for event, path in zip(events, files[2:], strict=False):
        draw_card(event, maps, path, overwrite=overwrite)
    return files


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
