"""Smoke that NOAA's analysts draw on images of satellites (Hazard Mapping System): one file of polygons a UTC day.

Densities are light, medium and heavy, or 5, 16 and 27 ug m-3. At a place under several plumes the densest counts;
the value of a cell is the mean over its area. A file without polygons says that there was no smoke: 0. A file
that is absent means nothing: the day is missing.
"""

import datetime as dt
import functools
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyogrio
import shapely
import shapely.affinity
from pyogrio.errors import DataSourceError
from shapely.geometry.base import BaseGeometry

from pm25map.base.errors import BadFetch, BadPredictors
from pm25map.grid import Grid
from pm25map.grid.grid import LONLAT
from pm25map.predictors.burn import area_share
from pm25map.predictors.sources.files import Versions, choose_versions, find_files, first_line
from pm25map.predictors.sources.whole import check_zip

FILES = r"hms_smoke(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)\.(?P<kind>zip|shp|kml|geojson|json)"

FORMATS = ("json", "geojson", "kml", "shp", "zip")
"""Of a day in several formats the last of these counts: NOAA's own shapefile, as it comes."""

DENSITIES = {"light": 5.0, "medium": 16.0, "heavy": 27.0}
"""ug m-3: what NOAA writes for its classes since 2022, and for them before."""


@dataclass(frozen=True)
class Hms:
    """The smoke source.

    Attributes:
        folder: of files such as hms_smoke20200912.zip, .shp with its companions, .kml or .geojson.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Return the name of the source, as for --source."""
        return "hms"

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the name of the density."""
        return ("wildfire_smoke",)

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Return the days without a file, each with the reason; `grid` does not matter."""
        return {
            day: f"no file hms_smoke{day:%Y%m%d} (an absent file does not mean that there was no smoke)"
            for day in days
            if day not in self._files
        }

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Burn the plumes of some days: (day, y, x), 0 where there is none.

        Raises:
            BadPredictors: a file is damaged, or has no density or an unknown one.
        """
        return {
            "wildfire_smoke": np.stack([burn_plumes(read_plumes(self._files[day]), grid) for day in days])
        }

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Name the files of a day that its file in another format replaces."""
        return self._versions.passed_over

    @property
    def _files(self) -> dict[dt.date, Path]:
        return self._versions.chosen

    @functools.cached_property
    def _versions(self) -> Versions[dt.date]:
        files = find_files(self.folder, FILES)
        if not files:
            raise BadPredictors(
                f"{self.folder} holds no file of HMS smoke (hms_smokeYYYYMMDD.zip, .shp, .kml or .geojson): name "
                f"their folder with --files"
            )
        return choose_versions(files, _day_of, lambda match: (FORMATS.index(match["kind"].lower()),))


def read_plumes(path: Path) -> geopandas.GeoDataFrame:
    """Read the plumes of a file: polygons in degrees (WGS84), all valid, and `density` in ug m-3.

    Raises:
        BadPredictors: the file is damaged, or a plume has no known density.
    """
    _check_length(path)
    try:
        with warnings.catch_warnings():
            # Rings that touch or turn the wrong way are repaired below; GDAL warns of each.
            warnings.simplefilter("ignore")
            layers = [str(name) for name, _ in pyogrio.list_layers(path)]
            tables = [geopandas.read_file(path, layer=layer).assign(layer=layer) for layer in layers]
    except (DataSourceError, OSError, ValueError, RuntimeError) as error:
        raise BadPredictors(f"cannot read {path} ({first_line(error)}): get the file again") from error
    # The empty layers of a KML have no geometry: they hold no plume.
    filled = [table for table in tables if len(table) and "geometry" in table]
    if not filled:
        return geopandas.GeoDataFrame({"density": []}, geometry=[], crs=LONLAT)
    frames = [table.set_crs(LONLAT) if table.crs is None else table.to_crs(LONLAT) for table in filled]
    plumes = pd.concat(frames, ignore_index=True)
    plumes["density"] = [_density(row, path) for row in plumes.drop(columns="geometry").to_dict("records")]
    shapes = [_west(_polygons(shape)) for shape in plumes.geometry]
    valid = geopandas.GeoDataFrame({"density": plumes["density"]}, geometry=shapes, crs=LONLAT)
    valid = valid[~valid.geometry.is_empty]
    west, south, east, north = valid.total_bounds if len(valid) else (-100, 30, -90, 40)
    # Swapped, North America's east lies between Africa and the Antarctic, where no analyst draws.
    beyond = valid.bounds.query("minx > 0 and maxy < 0")
    if min(south, -north) < -90 or west < -360 or east > 360 or south > north or len(beyond):
        raise BadPredictors(
            f"{path} has latitudes from {south:g} to {north:g}: latitude and longitude are swapped, or it is not in "
            f"degrees. Get the file again"
        )
    return valid


def burn_plumes(plumes: geopandas.GeoDataFrame, grid: Grid) -> npt.NDArray[np.float32]:
    """Return the mean density of every cell, where at every point the densest plume counts: (y, x), ug m-3."""
    values = np.zeros(grid.shape, dtype=np.float32)
    lower = 0.0
    # Area under a density or a denser one, times the step from the density below: the steps add up to the mean.
    for density in sorted(set(plumes["density"])):
        under = shapely.union_all(plumes.geometry[plumes["density"] >= density].values)
        values += np.float32(density - lower) * area_share(under, grid)
        lower = density
    return values


def _day_of(path: Path, match: re.Match[str]) -> dt.date:
    """Read the day in a file's name."""
    try:
        return dt.date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError as error:
        raise BadPredictors(f"{path} names no day ({error}): rename the file, or take it away") from error


def _check_length(path: Path) -> None:
    """Refuse a shapefile that was cut off: GDAL reads the plumes before the cut and skips the others."""
    if path.suffix.lower() != ".shp":
        return
    try:
        with path.open("rb") as file:
            stated = 2 * int.from_bytes(file.read(28)[24:], "big")
        size = path.stat().st_size
    except OSError as error:
        raise BadPredictors(f"cannot read {path} ({first_line(error)}): get the file again") from error
    if size < stated:
        raise BadPredictors(
            f"cannot read {path} (it is cut off: {size} bytes of {stated}): get the file again"
        )


def _west(shape: BaseGeometry) -> BaseGeometry:
    """Write longitudes of 180 to 360 as -180 to 0, where the grids look for them."""
    if shape.is_empty or shape.bounds[0] < 180:
        return shape
    return shapely.affinity.translate(shape, -360)


def _density(row: dict[str, object], path: Path) -> float:
    """Read the density of a plume: its own column, else the words of a KML's description or folder."""
    stated = next((value for key, value in row.items() if str(key).lower() == "density"), None)
    text = str(stated) if stated is not None else " ".join(str(value) for value in row.values())
    words = re.findall(r"light|medium|heavy", text, re.IGNORECASE)
    if words:
        return DENSITIES[words[-1].lower()]
    numbers = re.findall(r"(?:density\W*|smoke\W*|^)(\d+(?:\.\d+)?)", text, re.IGNORECASE)
    known = [float(number) for number in numbers if float(number) in DENSITIES.values()]
    if not known:
        raise BadPredictors(
            f"{path} has a plume of density {stated!r}, which is not light, medium, heavy, 5, 16 or 27: files "
            f"before 2008 say none. Leave the day out"
        )
    return known[-1]


def _polygons(shape: BaseGeometry | None) -> BaseGeometry:
    """Repair a plume: rings that cross themselves, and parts that have no area."""
    if shape is None or shape.is_empty:
        return shapely.Polygon()
    valid = shapely.make_valid(shapely.force_2d(shape))
    parts = [part for part in shapely.get_parts(valid) if part.geom_type in ("Polygon", "MultiPolygon")]
    joined: BaseGeometry = shapely.union_all(parts) if parts else shapely.Polygon()
    return joined


def check_file(path: Path) -> None:
    """Refuse a fetched file that is no whole zip file with plumes.

    Raises:
        BadFetch: it is damaged or something else.
    """
    # Plumes without a density, as before 2008, are for ingest to refuse: the file is as the provider has it.
    check_zip(path)
    with zipfile.ZipFile(path) as archive:
        if not any(name.lower().endswith((".shp", ".kml")) for name in archive.namelist()):
            raise BadFetch(f"{path.name} holds no shapefile: the provider sent something else")
