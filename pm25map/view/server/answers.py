"""What the server is asked and what it says, as its own description lists it."""

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from geojson_pydantic import MultiPolygon, Polygon
from pydantic import BaseModel, Discriminator, Tag

SAID: dict[int | str, dict[str, Any]] = {
    400: {"description": "The question has no answer on these maps; detail says why"},
    404: {"description": "There is no such map, layer or tile"},
    408: {"description": "The body did not arrive in time"},
    410: {"description": "The map was moved, replaced or damaged since the server started"},
    413: {"description": "The body is too large"},
    429: {"description": "Too many requests"},
    503: {"description": "Too many questions at once"},
}

Name = Annotated[str, Path(description="Name of a map, as /maps gives it", max_length=200)]
Key = Annotated[str, Query(description="Layer, as /maps gives it", max_length=100)]


class LayerSaid(BaseModel):
    """A layer of a map."""

    key: str
    label: str
    unit: str
    kind: Literal["concentration", "number", "flags"]


class MapSaid(BaseModel):
    """A map of the folder."""

    name: str
    day: dt.date | None
    crs: str
    shape: tuple[int, int]
    layers: list[LayerSaid]


class MapsSaid(BaseModel):
    """All maps, and the files that are left out, each with its reason."""

    maps: list[MapSaid]
    left_out: dict[str, str]


class ValueSaid(BaseModel):
    """A value on one map, None where it has none."""

    map: str
    day: dt.date | None
    value: float | None


class SeriesSaid(BaseModel):
    """A place over time."""

    lon: float
    lat: float
    layer: str
    unit: str
    values: list[ValueSaid]


class StatisticsSaid(BaseModel):
    """The cells of a map in a polygon."""

    map: str
    layer: str
    unit: str
    cells: int
    area_km2: float
    mean: float
    minimum: float
    maximum: float
    median: float
    p90: float
    class_percent: dict[str, float] | None


class AskedFeature(BaseModel):
    """A polygon in degrees (WGS84) as a GeoJSON Feature; of its members only the geometry counts."""

    geometry: Polygon | MultiPolygon


def _kind_of(body: Any) -> str:
    kind = body.get("type") if isinstance(body, dict) else None
    return kind if kind in ("Polygon", "MultiPolygon") else "Feature"


Asked = Annotated[
    Annotated[Polygon, Tag("Polygon")]
    | Annotated[MultiPolygon, Tag("MultiPolygon")]
    | Annotated[AskedFeature, Tag("Feature")],
    Discriminator(_kind_of),
]
"""A polygon in degrees (WGS84): a bare GeoJSON geometry, or a Feature."""
