"""The outlines of the countries of the world, from the TopoJSON of world-atlas."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from pyogrio.errors import DataSourceError
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

from pm25map.base.errors import BadRaster

COUNTRIES = "countries-50m.json"

_WORLD = box(-180, -90, 180, 90)

_DECIMALS = 5
"""Of a degree; about one metre, finer than the file's own steps."""


def read_countries(folder: Path) -> dict[str, MultiPolygon]:
    """Read the outlines of the countries, by name.

    They are cut where they cross 180 degrees. On the plane a ring that goes on from 180 E at 180 W would turn back
    through all longitudes: Russia would cover a strip of the Atlantic, and Antarctica, whose coast goes around a
    pole, next to nothing.

    Raises:
        BadRaster: they are absent or damaged.
    """
    path = folder / COUNTRIES
    try:
        frame = gpd.read_file(path, layer="countries")
        named = list(zip(frame["name"], frame.geometry, strict=True))
    except (OSError, ValueError, KeyError, DataSourceError) as error:
        raise BadRaster(
            f"cannot read the countries {path}: {error!r:.100}. Give countries-50m.json of world-atlas"
        ) from error
    return {str(name): _outline(shape) for name, shape in named if shape is not None}


def _outline(shape: BaseGeometry) -> MultiPolygon:
    parts = []
    for polygon in shapely.get_parts(shape):
        rings = [
            np.round(shapely.get_coordinates(ring), _DECIMALS)
            for ring in (polygon.exterior, *polygon.interiors)
        ]
        parts += [part for part in shapely.get_parts(_cut_at_180(rings)) if isinstance(part, Polygon)]
    return MultiPolygon(parts)


def _cut_at_180(rings: list[npt.NDArray[np.float64]]) -> BaseGeometry:
    """Build a polygon from rings of longitude and latitude; parts beyond 180 degrees continue on the other side."""
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
