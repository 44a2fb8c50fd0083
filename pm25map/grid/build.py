"""Building a grid from a CRS, a step and a boundary."""

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from pm25map.base.errors import BadGrid, UnknownName
from pm25map.grid.grid import Grid, Transform, read_crs
from pm25map.grid.inside import LandRule, cells_inside, project
from pm25map.grid.outline import outline_of

MAX_CELLS = 1_000_000_000
"""The land mask takes one byte a cell; a step that needs more is most likely in a wrong unit."""

MODIS_SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
"""The CRS of the MODIS land products (MODIS Land, sinusoidal tile grid)."""

MODIS_1KM_M = 2 * np.pi * 6371007.181 / 36 / 1200
"""926.6254331 m: 1200 cells a tile, 36 tiles around the equator; tile edges are multiples of it."""


@dataclass(frozen=True)
class GridRecipe:
    """A grid over CONUS that one command builds.

    Attributes:
        crs: coordinate reference system, in metres.
        step_m: side of a cell; cell edges are multiples of it.
        about: one line for a list of grids.
    """

    crs: str
    step_m: float
    about: str


DEFINITIONS = {
    "conus-10km": GridRecipe("EPSG:5070", 10_000.0, "Albers equal area, 10 km, about 80 thousand land cells"),
    "conus-4km": GridRecipe("EPSG:5070", 4_000.0, "Albers equal area, 4 km, about 494 thousand land cells"),
    "conus-1km": GridRecipe("EPSG:5070", 1_000.0, "Albers equal area, 1 km, about 7.8 million land cells"),
    "conus-modis-1km": GridRecipe(
        MODIS_SINUSOIDAL,
        MODIS_1KM_M,
        "MODIS sinusoidal, 926.6 m, aligned with the MODIS tiles, as the reference study",
    ),
}


def build_grid(
    name: str,
    crs: str,
    step_m: float,
    boundary: BaseGeometry,
    block_size: int = 64,
    *,
    land: LandRule = "touched",
) -> Grid:
    """Build the smallest grid around a boundary whose cell edges are multiples of the step.

    Args:
        name: of the grid.
        crs: projected, in metres: "EPSG:5070", WKT or PROJ.
        step_m: side of a cell, metres.
        boundary: polygons in degrees (WGS84, longitude first).
        block_size: cells along the side of a block.
        land: a cell is land when the boundary "touched" it, so that
            every coastal monitor has a cell, or only when its "centre" lies inside.

    Raises:
        BadGrid: the CRS is not in metres or not north up, the step not positive, the boundary empty or off the CRS,
            or an edge of the grid has no place on the earth.
    """
    _check_metres(crs)
    if not np.isfinite(step_m) or step_m <= 0:
        raise BadGrid(
            f"cannot build grid {name} with cells of {step_m:g} m: give a step above 0, such as 10000"
        )
    polygons = [part for part in shapely.get_parts(boundary) if part.geom_type in ("Polygon", "MultiPolygon")]
    if not polygons or boundary.is_empty or shapely.area(boundary) == 0:
        raise BadGrid(f"cannot build grid {name}: its boundary is empty. Give a file that holds polygons")
    west, south, east, north = boundary.bounds
    if min(west, south + 90) < -180 or max(east, north + 90) > 180:
        raise BadGrid(
            f"cannot build grid {name}: its boundary is not in degrees. Give longitude and latitude (WGS84)"
        )
    outline = project(boundary, crs)
    transform, shape = _around(outline, step_m)
    if shape[0] * shape[1] > MAX_CELLS:
        raise BadGrid(
            f"grid {name} would have {shape[0]:,} x {shape[1]:,} cells: choose a step above {step_m:g} m"
        )
    # A map on this grid must be able to state its position.
    left, top = transform[2], transform[5]
    outline_of(crs, (left, top - step_m * shape[0], left + step_m * shape[1], top))
    inside = cells_inside(outline, transform, shape, land)
    if not inside.any():
        raise BadGrid(
            f"grid {name} has no land cell: the boundary is smaller than {step_m:g} m. Shorten the step"
        )
    return Grid(name, short_crs(crs), transform, shape, block_size, inside)


_LONGEST_NAME = 100
"""Of a grid: it is part of the names of files."""


def recipe(name: str, crs: str | None, step_m: float | None) -> GridRecipe:
    """Complete a CRS and a step by those of a defined grid.

    Raises:
        BadGrid: the name is too long.
        UnknownName: one of them is not given, and no grid of that name is defined.
    """
    if len(name) > _LONGEST_NAME:
        raise BadGrid(f"the name {name[:40]}... is longer than {_LONGEST_NAME} letters: choose a shorter one")
    defined = DEFINITIONS.get(name)
    if crs is not None and step_m is not None:
        return GridRecipe(crs, step_m, name)
    if defined is None:
        close = difflib.get_close_matches(name.lower(), DEFINITIONS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UnknownName(
            f"no grid {name!r} is defined{hint}: give --crs and --step, or one of {', '.join(DEFINITIONS)}"
        )
    return GridRecipe(crs or defined.crs, defined.step_m if step_m is None else step_m, defined.about)


def short_crs(crs: str) -> str:
    """Return a CRS as "EPSG:5070" where an authority has a code for it, else as it was given."""
    authority = read_crs(crs).to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs


def read_boundary(path: Path) -> BaseGeometry:
    """Read the polygons of a GeoJSON, GeoPackage or shapefile, joined to one outline in degrees (WGS84).

    Raises:
        BadGrid: the file is absent, cannot be read, has no CRS, or holds no polygon.
    """
    import geopandas  # noqa: PLC0415 - slow to import, and only a build with a file needs it

    try:
        frame = geopandas.read_file(path)
    except Exception as error:  # GDAL's drivers raise many kinds
        raise BadGrid(
            f"cannot read the boundary {path}: {error}. Give a GeoJSON, GeoPackage or shapefile"
        ) from error
    if frame.crs is None:
        raise BadGrid(
            f"the boundary {path} does not say its CRS: write one into it, for example with ogr2ogr -a_srs"
        )
    lost = int(frame.geometry.isna().sum())
    if lost:
        raise BadGrid(
            f"the boundary {path} has {lost} of {len(frame)} features without a geometry: it was cut short, or they "
            "were left empty. Copy it again with all its files, or take them out"
        )
    shapes = frame.to_crs("OGC:CRS84").geometry
    outline: BaseGeometry = shapely.union_all(
        shapely.make_valid(shapes[shapes.geom_type.str.endswith("Polygon")].values)
    )
    if outline.is_empty:
        raise BadGrid(f"the boundary {path} is empty: give a file that holds polygons")
    return outline


def _check_metres(crs: str) -> None:
    system = read_crs(crs)
    if system.is_geographic:
        raise BadGrid(
            f"the CRS {crs} is in degrees and the step in metres: choose a projected CRS such as EPSG:5070"
        )
    if not system.is_projected or any(axis.unit_name != "metre" for axis in system.axis_info[:2]):
        raise BadGrid(f"the CRS {crs} is not a map projection in metres: choose one such as EPSG:5070")
    directions = {axis.direction for axis in system.axis_info[:2]}
    if "west" in directions or directions == {"east", "south"}:
        raise BadGrid(f"the axes of the CRS {crs} do not point east and north: choose one such as EPSG:5070")


def _around(outline: BaseGeometry, step_m: float) -> tuple[Transform, tuple[int, int]]:
    left, bottom, right, top = outline.bounds
    first_col, last_col = int(np.floor(left / step_m)), int(np.ceil(right / step_m))
    first_row, last_row = int(np.floor(bottom / step_m)), int(np.ceil(top / step_m))
    transform = (step_m, 0.0, first_col * step_m, 0.0, -step_m, last_row * step_m)
    return transform, (last_row - first_row, last_col - first_col)
