"""Areas: counties, states or polygons of one's own, and what every cell of a map weighs in each."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS
from scipy import sparse

from pm25map.base.errors import BadAreas
from pm25map.exposure.maps import Cells, Floats
from pm25map.grid.areas import areas_of
from pm25map.grid.geotiff import Georeference
from pm25map.grid.grid import LONLAT, transformer
from pm25map.grid.inside import EDGE_STEP_DEG
from pm25map.grid.people import COUNTY_OF_GEOID, STATE_OF_GEOID, BlockGroups, block_groups
from pm25map.grid.regions import counties, states

if TYPE_CHECKING:
    import geopandas

_STRIP_CELLS = 4_000_000
_EDGE_STEP_M = 5_000.0
"""A straight edge is a curve in another projection: it is cut into pieces this long first."""

_ID_NAMES = ("geoid", "geoid20", "geoid10", "zcta5ce20", "fips", "id", "name")

_BEGINNINGS = (b"{", b"\xef\xbb\xbf{", b"SQLite format 3", b"fgb", b"\x00\x00\x27\x0a", b"PAR1")
"""How files of polygons begin. GDAL knows more forms; some, such as VRT and GDALG, name other files or addresses."""

_FORMS = "give GeoPackage, GeoJSON, a shapefile (.shp), FlatGeobuf or GeoParquet"

_EQUAL_AREA = CRS.from_epsg(6933)

SHIPPED = ("county", "state")


@dataclass(frozen=True)
class Areas:
    """Areas in the order of their file.

    Attributes:
        ids, names: text (area,).
        outlines: polygons in degrees (WGS84).
        planar: the same in the CRS of their file.
        crs: of planar.
        of_people: int64 (group,), which area every block group of the Census lies in, -1 for none; None where that
            must be asked of the outlines.
    """

    ids: list[str]
    names: list[str]
    outlines: npt.NDArray[np.object_]
    planar: npt.NDArray[np.object_]
    crs: str
    of_people: npt.NDArray[np.int64] | None


def read_areas(source: str, id_column: str | None = None) -> Areas:
    """Read areas.

    Args:
        source: "county" or "state", which come with the package (us-atlas, 1:10,000,000, with the people that the
            Census counts there), or a file of polygons that GDAL reads, or GeoParquet.
        id_column: column of the file that names an area; where None, the first of GEOID, FIPS, id and name. Polygons
            without any column are numbered from 1.

    Raises:
        BadAreas: the file cannot be read or does not say its CRS; a shape is no polygon, is empty or crosses itself;
            a name stands twice, or there is no column of names.
    """
    if source in SHIPPED:
        return _shipped(source)
    frame = _read(Path(source))
    if frame.crs is None:
        raise BadAreas(
            f"{source} does not say where its polygons lie (no CRS): set one, for example with ogr2ogr -a_srs"
        )
    if id_column is None and len(frame.columns) == 1:
        # Polygons alone, such as a bare geometry: they are numbered.
        frame = frame.assign(id=np.arange(1, len(frame) + 1))
    column = _id_column(frame, source, id_column)
    ids = frame[column].astype(str).tolist()
    twice = pd.Series(ids)[pd.Series(ids).duplicated()]
    if len(twice):
        raise BadAreas(
            f"{source}: {column} {twice.iloc[0]!r} stands twice. Join its polygons, or name another column"
        )
    for name, shape in zip(ids, frame.geometry, strict=True):
        if shape is None or shape.is_empty or shape.geom_type not in ("Polygon", "MultiPolygon"):
            what = "has no shape" if shape is None or shape.is_empty else f"is a {shape.geom_type}"
            raise BadAreas(f"{source}: {name!r} {what}, and areas are polygons")
        if not shape.is_valid:
            why = shapely.is_valid_reason(shape)
            raise BadAreas(
                f"{source}: {name!r} is not valid ({why}). Repair it, for example with ogr2ogr -makevalid"
            )
    planar = frame.geometry.to_numpy()
    known = CRS.from_user_input(frame.crs)
    outlines = _onto(planar, known, CRS.from_user_input(LONLAT))
    at = shapely.get_coordinates(outlines)
    if not np.isfinite(at).all() or np.abs(at[:, 0]).max() > 180 or np.abs(at[:, 1]).max() > 90:
        raise BadAreas(f"{source} has coordinates that {known.name} has no place for: check its CRS")
    names = frame["name"].astype(str).tolist() if "name" in frame and column != "name" else ids
    return Areas(ids, names, outlines, planar, known.to_wkt(), None)


def _shipped(source: str) -> Areas:
    groups = block_groups().geoid
    if source == "state":
        frame, number = states(), groups // STATE_OF_GEOID
        names = frame["name"].tolist()
    else:
        frame, number = counties(), groups // COUNTY_OF_GEOID
        postal = dict(zip(states()["fips"], states()["postal"], strict=True))
        names = [
            f"{name}, {postal[fips[:2]]}" for name, fips in zip(frame["name"], frame["fips"], strict=True)
        ]
    of_fips = pd.Index(frame["fips"].astype(np.int64))
    shapes = frame.geometry.to_numpy()
    return Areas(frame["fips"].tolist(), names, shapes, shapes, LONLAT, of_fips.get_indexer(number))


def _read(path: Path) -> "geopandas.GeoDataFrame":
    import geopandas  # noqa: PLC0415 - slow to import
    from pyogrio.errors import DataSourceError  # noqa: PLC0415

    if not path.exists():
        raise BadAreas(f"there are no areas {path}: give county, state, or a file of polygons")
    if not path.is_dir():
        with path.open("rb") as handle:
            head = handle.read(4096).lstrip()
        if not head.startswith(_BEGINNINGS) or b"gdal_streamed_alg" in head:
            raise BadAreas(f"cannot read the polygons in {path}: {_FORMS}")
    try:
        frame = geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)
    except (DataSourceError, OSError, ValueError) as error:
        raise BadAreas(
            f"cannot read the polygons in {path} ({str(error).splitlines()[0]}): {_FORMS}"
        ) from error
    if not isinstance(frame, geopandas.GeoDataFrame) or frame.empty:
        raise BadAreas(f"{path} holds no polygon")
    return frame


def _id_column(frame: "geopandas.GeoDataFrame", source: str, wanted: str | None) -> str:
    columns = [str(name) for name in frame.columns if name != frame.geometry.name]
    if wanted is not None:
        if wanted not in columns:
            raise BadAreas(f"{source} has no column {wanted}: it has {', '.join(columns) or 'none'}")
        return wanted
    lower = {name.lower(): name for name in reversed(columns)}
    column = next((lower[name] for name in _ID_NAMES if name in lower), None)
    if column is None:
        raise BadAreas(
            f"{source} has no column GEOID, FIPS, id or name: name one of {', '.join(columns)} with --id"
        )
    return column


def _onto(shapes: npt.NDArray[np.object_], source: CRS, target: CRS) -> npt.NDArray[np.object_]:
    """Bring polygons from one CRS to another; edges stay what they are in the first."""
    if source == target:
        return shapes
    step = (
        EDGE_STEP_DEG if source.is_geographic else _EDGE_STEP_M / source.axis_info[0].unit_conversion_factor
    )
    move = transformer(source.to_wkt(), target.to_wkt())
    fine = shapely.segmentize(shapes, step)
    return np.asarray(shapely.transform(fine, lambda at: np.column_stack(move.transform(*at.T))))


@dataclass(frozen=True)
class Weights:
    """What cells weigh in areas.

    Attributes:
        cells: int64 (cell,), sorted: row times columns plus column.
        area: float64 (area, cell), km2 on the ellipsoid of what an area covers of a cell.
        people: float64 (area, cell), who live there.
        area_km2: float64 (area,), of the whole area, on the maps or not.
        all_people: float64 (area,), who live in the whole area.
    """

    cells: Cells
    area: "sparse.csr_array"
    people: "sparse.csr_array"
    area_km2: Floats
    all_people: Floats


def weigh(areas: Areas, place: Georeference) -> Weights:
    """Compute the weight of every cell of a map in every area.

    Raises:
        BadAreas: no area lies on the maps.
    """
    number, cell, share = _covered(areas, place)
    if not len(cell):
        raise BadAreas("no area lies on the maps: check the CRS of the polygons and the maps' region")
    size = areas_of(place.crs, place.transform, place.shape).ravel()
    group_area, group_cell, people = _people(areas, place)
    on = group_cell >= 0
    cells = np.unique(np.concatenate([cell, group_cell[on]]))
    shape = (len(areas.ids), len(cells))
    by_area = sparse.coo_array((share * size[cell], (number, np.searchsorted(cells, cell))), shape).tocsr()
    by_people = sparse.coo_array(
        (people[on], (group_area[on], np.searchsorted(cells, group_cell[on]))), shape
    ).tocsr()
    area_km2 = shapely.area(_onto(areas.outlines, CRS.from_user_input(LONLAT), _EQUAL_AREA)) / 1e6
    whole = np.bincount(group_area, people, minlength=len(areas.ids)).astype(np.float64)
    return Weights(cells, by_area, by_people, area_km2, whole)


def _covered(areas: Areas, place: Georeference) -> tuple[Cells, Cells, Floats]:
    """Find which share of which cells the areas cover: number of the area, cell and share."""
    from exactextract import exact_extract  # noqa: PLC0415 - few commands need it
    from exactextract.raster import NumPyRasterSource  # noqa: PLC0415

    shapes = _onto(areas.planar, CRS.from_user_input(areas.crs), CRS.from_user_input(place.crs))
    usable = np.isfinite([shapely.get_coordinates(shape).sum() for shape in shapes])
    a, _, c, _, e, f = place.transform
    rows, cols = place.shape
    height = max(_STRIP_CELLS // cols, 1)
    numbers, cells, shares = [], [], []
    for first in range(0, rows, height):
        high = min(height, rows - first)
        top, bottom = f + e * first, f + e * (first + high)
        near = [
            i
            for i in np.flatnonzero(usable)
            if shapes[i].bounds[1] < top and shapes[i].bounds[3] > bottom
            and shapes[i].bounds[0] < c + a * cols and shapes[i].bounds[2] > c
        ]  # fmt: skip
        source = NumPyRasterSource(np.zeros((high, cols), np.uint8), c, bottom, c + a * cols, top)
        features = [
            {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(shapes[i])}
            for i in near
        ]
        found = exact_extract(source, features, ["cell_id", "coverage"]) if near else []
        for i, one in zip(near, found, strict=True):
            of = np.asarray(one["properties"]["cell_id"], dtype=np.int64)
            numbers.append(np.full(len(of), i))
            cells.append(of + first * cols)
            shares.append(np.asarray(one["properties"]["coverage"], dtype=np.float64))
    if not cells:
        return np.array([], np.int64), np.array([], np.int64), np.array([])
    return np.concatenate(numbers), np.concatenate(cells), np.concatenate(shares)


def _people(areas: Areas, place: Georeference) -> tuple[Cells, Cells, Floats]:
    """Find the block groups of every area: number of the area, cell (-1 off the maps) and people."""
    groups = block_groups()
    if areas.of_people is not None:
        group = np.flatnonzero(areas.of_people >= 0)
        number = areas.of_people[group]
    else:
        number, group = _tree().query(areas.outlines, predicate="contains")
    return number, _cells_of(groups, place)[group], groups.people[group].astype(np.float64)


@functools.cache
def _tree() -> shapely.STRtree:
    """Index where the block groups are: asked for only where a file of polygons is read."""
    groups = block_groups()
    return shapely.STRtree(np.asarray(shapely.points(groups.lon, groups.lat)))


def _cells_of(groups: BlockGroups, place: Georeference) -> Cells:
    x, y = transformer(LONLAT, place.crs).transform(groups.lon, groups.lat)
    a, _, c, _, e, f = place.transform
    rows, cols = place.shape
    row, col = (np.asarray(y) - f) / e, (np.asarray(x) - c) / a
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    flat = np.floor(np.where(inside, row, 0)) * cols + np.floor(np.where(inside, col, 0))
    return np.where(inside, flat, -1).astype(np.int64)
