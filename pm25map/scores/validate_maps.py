"""Match-ups of monitors with existing maps: the values of their cells, and whether the monitor fed the map."""

import datetime as dt
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyproj import Transformer

from pm25map.base.days import days_between
from pm25map.base.errors import BadMap, BadMonitors
from pm25map.diagnostics.applicability import APPLICABLE, DISSIMILARITY
from pm25map.grid.geotiff import Raster, open_raster, rasters_in
from pm25map.grid.grid import LONLAT
from pm25map.monitors import Monitors
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.map_fields import fields_at
from pm25map.predictors.neighbours import Stations
from pm25map.raster.bands import LOWER, PM25, UPPER
from pm25map.raster.info import describe
from pm25map.raster.item_checks import check_map
from pm25map.scores.held_out import BASELINES, DISTANCE
from pm25map.scores.validate import ESTIMATES, NOT_USED, USED, check_measured, complete, same_places

BANDS = {
    LOWER.name: "pm25_lower_ugm3",
    UPPER.name: "pm25_upper_ugm3",
    DISSIMILARITY.name: "dissimilarity",
    APPLICABLE.name: "applicable",
}
"""Bands of a map, or of a file beside it, that go into the match-ups."""

_PROVENANCE_TAGS = (
    "PM25MAP_DAY",
    "PM25MAP_CARD_CHECKSUM",
    "PM25MAP_PREDICTORS_CHECKSUM",
    "PM25MAP_GRID_CHECKSUM",
)
"""Tags that are the same in a map and in the files beside it."""


def match_maps(
    folder: Path, monitors: Monitors, neighbours: Monitors | None, start: dt.date, end: dt.date
) -> pd.DataFrame:
    """Compare monitors with the maps of a folder.

    Args:
        folder: of maps that pm25map wrote, or of folders of them, such as those of years; other files are passed over.
        monitors: to compare with.
        neighbours: that fed the maps; None says that any of the monitors may have.
        start, end: days of the match-ups.

    Returns:
        As `validate.COLUMNS`; station_is tells whether a monitor at the place fed the maps.

    Raises:
        BadMonitors: no monitor measured on these days, or none stands on a cell of the maps.
        BadMap: there is no map of these days, a map is damaged, two are of one day, or they are of two grids.
    """
    check_measured(monitors, start, end)
    maps = maps_of(folder, start, end)
    beside = _files_beside(folder)
    sites = monitors.sites
    used = np.ones(len(sites), dtype=np.bool_) if neighbours is None else same_places(monitors, neighbours)
    days = sorted(maps)
    observed = monitors.matrix(days)
    parts = []
    for number, day in enumerate(days):
        files = [maps[day], *beside.get(_provenance_of(maps[day]), ())]
        layers = _cells(files, sites["longitude"].to_numpy(), sites["latitude"].to_numpy())
        there = np.isfinite(observed[number]) & np.isfinite(layers["pm25_ugm3"])
        part = pd.DataFrame(
            {
                "site_id": sites["site_id"].to_numpy(),
                "date": pd.Timestamp(day),
                "latitude": sites["latitude"].to_numpy(),
                "longitude": sites["longitude"].to_numpy(),
                "observed_ugm3": observed[number],
                "station_is": np.where(used, USED, NOT_USED),
                "trained_on": "unknown",
                **_from_neighbours(monitors, neighbours, day),
                **layers,
            }
        )
        parts.append(part[there])
    frame = pd.concat(parts, ignore_index=True)
    if frame.empty:
        raise BadMonitors(
            f"no monitor that measured between {start} and {end} stands on a cell of the maps in {folder}: "
            "check coordinates and region"
        )
    return complete(frame)


def maps_of(folder: Path, start: dt.date, end: dt.date) -> dict[dt.date, Path]:
    """Find the maps of some days in a folder, by their own metadata and not by their names.

    Raises:
        BadMap: as `match_maps`.
    """
    by_day: dict[dt.date, Path] = {}
    grids: dict[str, Path] = {}
    for path in rasters_in(folder) if folder.is_dir() else []:
        if not _is_map(path):
            continue
        check_map(path)
        about = describe(path)
        day = about.provenance.day
        if not start <= day <= end:
            continue
        if day in by_day:
            raise BadMap(
                f"{by_day[day].name} and {path.name} in {folder} are both of {day}: keep one map a day"
            )
        by_day[day] = path
        grids.setdefault(about.provenance.grid_checksum, path)
    if not by_day:
        raise BadMap(
            f"{folder} holds no map of {start} to {end}: make one with pm25map predict --date {start}, or leave out "
            "--maps to estimate every station left out"
        )
    if len(grids) > 1:
        one, other = list(grids.values())[:2]
        raise BadMap(
            f"{one.name} and {other.name} in {folder} lie on different grids: validate the maps of one grid at a time"
        )
    return by_day


def _is_map(path: Path) -> bool:
    """Return whether a raster is a map, and not another file beside it such as a quality mask.

    Raises:
        BadMap: the file cannot be opened.
    """
    with open_raster(path) as raster:
        return "PM25MAP_DAY" in raster.source.tags() and _band_of(raster, PM25.name) is not None


def _provenance_of(path: Path) -> tuple[str, ...]:
    """Read the provenance of a file of pm25map; empty where another program wrote it.

    Raises:
        BadMap: the file cannot be opened.
    """
    with open_raster(path) as raster:
        tags = raster.source.tags()
    return (
        tuple(tags[name] for name in _PROVENANCE_TAGS)
        if all(name in tags for name in _PROVENANCE_TAGS)
        else ()
    )


def _files_beside(folder: Path) -> dict[tuple[str, ...], list[Path]]:
    """Find files with further bands and no estimate, by provenance: those of one map stand together."""
    by_provenance: dict[tuple[str, ...], list[Path]] = {}
    for path in rasters_in(folder):
        provenance = _provenance_of(path)
        if provenance and not _is_map(path):
            by_provenance.setdefault(provenance, []).append(path)
    return by_provenance


def _band_of(raster: Raster, name: str) -> int | None:
    """Find the band of a name; the estimate also by its CF standard name, where the band has no name of its own."""
    for number in raster.numbers:
        if raster.name(number) == name:
            return number
    if name == PM25.name:
        known = [
            n for n in raster.numbers if raster.source.tags(n).get("standard_name") == PM25.standard_name
        ]
        unnamed = [n for n in known if "NAME" not in raster.source.tags(n)]
        return unnamed[0] if unnamed else None
    return None


def _cells(
    files: list[Path], lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float32]]:
    """Read the layers of a map and of the files beside it at places, (place,) by column; NaN outside.

    Raises:
        BadMap: a file cannot be read, or two give different values of one band.
    """
    layers: dict[str, npt.NDArray[np.float32]] = {}
    for path in files:
        for column, values in _cells_of_file(path, lon, lat).items():
            if column in layers and not np.array_equal(layers[column], values, equal_nan=True):
                raise BadMap(
                    f"{path} gives other values of {column} than another file of its map: keep one of the two"
                )
            layers[column] = values
    return layers


def _cells_of_file(
    path: Path, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float32]]:
    """Read the layers of a file at places, (place,) by column; NaN outside."""
    with open_raster(path) as raster:
        place = raster.place
        x, y = Transformer.from_crs(LONLAT, place.crs, always_xy=True).transform(lon, lat)
        col, row = ~place.affine * (np.asarray(x), np.asarray(y))
        rows, cols = place.shape
        inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
        at = np.floor(row[inside]).astype(np.int64), np.floor(col[inside]).astype(np.int64)
        layers = {}
        for name, column in {PM25.name: "pm25_ugm3", **BANDS}.items():
            number = _band_of(raster, name)
            if number is None:
                continue
            if column.endswith("_ugm3") and raster.unit(number) != PM25.units:
                raise BadMap(
                    f"band {number} of {path} ({name}) has the unit {raster.unit(number)!r} and not {PM25.units!r}: "
                    "compare maps as pm25map wrote them"
                )
            values = np.full(len(lon), np.nan, dtype=np.float32)
            values[inside] = raster.values(number)[at]
            layers[column] = values
    return layers


def _from_neighbours(
    monitors: Monitors, neighbours: Monitors | None, day: dt.date
) -> dict[str, npt.NDArray[np.float32]]:
    """Estimate a day at other monitors from those that fed the maps alone: (site,) by column.

    The columns are interpolation and kriging, ug m-3, and the distance to the nearest monitor with a
    value, km; NaN where there is none. Kriging uses no elevation here: maps hold none.
    """
    sites = monitors.sites
    names = {ESTIMATES[name]: field for name, field in BASELINES.items()} | {"distance_km": DISTANCE}
    if neighbours is None:
        return {column: np.full(len(sites), np.nan, dtype=np.float32) for column in names}
    memory = days_between(day - dt.timedelta(days=MEMORY_DAYS), day)
    lat, lon = (neighbours.sites[name].to_numpy() for name in ("latitude", "longitude"))
    fields = fields_at(
        neighbours.matrix(memory),
        neighbours.codes(memory),
        Stations(lat, lon, np.zeros(len(lat))),
        sites["latitude"].to_numpy(),
        sites["longitude"].to_numpy(),
        np.zeros(len(sites)),
    )
    return {column: fields[name][0] for column, name in names.items()}
