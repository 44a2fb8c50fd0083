"""The application: routes over a catalogue, with titiler.core's tiles and errors."""

import base64
import datetime as dt
import functools
import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from attrs import define
from fastapi import Body, FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from geojson_pydantic import MultiPolygon, Polygon
from pydantic import BaseModel
from rasterio import Env
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData
from starlette.middleware.trustedhost import TrustedHostMiddleware
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers
from titiler.core.factory import BaseFactory
from titiler.core.resources.enums import ImageType
from titiler.core.utils import render_image

from pm25map import __version__
from pm25map.base.errors import BadMap, BadRequest
from pm25map.diagnostics.hotspots import find_hotspots
from pm25map.view.colours import Palette, colours, ramp, range_of
from pm25map.view.layers import PM25
from pm25map.view.pack import pack
from pm25map.view.page_data import EDITIONS, page_data, spot_data, title_of
from pm25map.view.report import page_text
from pm25map.view.server.catalogue import Catalogue, Entry
from pm25map.view.server.limits import Limits
from pm25map.view.server.queries import QUIET, days_of, opened, series, statistics

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

DEEPEST_ZOOM = 14
PAGE_MAPS = 62
"""Maps on the page: two months; the routes give all."""

_TILE = 256
_SAID: dict[int | str, dict[str, Any]] = {
    400: {"description": "The question has no answer on these maps; detail says why"},
    404: {"description": "There is no such map, layer or tile"},
    413: {"description": "The body is too large"},
    429: {"description": "Too many requests"},
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


class Asked(BaseModel):
    """A polygon in degrees (WGS84)."""

    geometry: Polygon | MultiPolygon


def make_app(catalogue: Catalogue, *, rate: float = 200.0, hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """Make the application.

    Args:
        catalogue: the maps. Nothing else can be read.
        rate: requests a second that one client may make.
        hosts: names of this server that a request may carry; "*" for any.
    """
    app = FastAPI(title="pm25map", version=__version__, docs_url=None, redoc_url=None)
    add_exception_handlers(app, {**DEFAULT_STATUS_CODES, BadRequest: 400})
    app.add_exception_handler(BadMap, functools.partial(_gone, f"{catalogue.folder}/"))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_middleware(Limits, rate=rate)
    find = _finder(catalogue)
    _add_page(app, catalogue, find)
    _add_questions(app, catalogue, find)
    app.include_router(MapTiles(find=find).router)
    return app


def _finder(catalogue: Catalogue) -> Callable[[str], Entry]:
    def find(name: str) -> Entry:
        """A name is looked up and never joined to a path: what the catalogue lacks does not exist."""
        entry = catalogue.entries.get(name)
        if entry is None:
            raise HTTPException(404, "there is no map of that name: ask /maps which there are")
        return entry

    return find


@define(kw_only=True)
class MapTiles(BaseFactory):
    """Tiles in Web Mercator. titiler.core's own factory has 20 parameters, some of them without a limit."""

    find: Callable[[str], Entry]

    def register_routes(self) -> None:
        """Add the route of the tiles."""

        @self.router.get(
            "/maps/{name}/tiles/{z}/{x}/{y}.png",
            response_class=Response,
            responses={**_SAID, 200: {"content": {"image/png": {}}, "description": "A tile of 256 pixels"}},
        )
        def tile(
            name: Name,
            z: Annotated[int, Path(ge=0, le=DEEPEST_ZOOM)],
            x: Annotated[int, Path(ge=0, lt=2**DEEPEST_ZOOM)],
            y: Annotated[int, Path(ge=0, lt=2**DEEPEST_ZOOM)],
            layer: Key = PM25,
            edition: Annotated[
                Literal["2024", "earlier"], Query(description="Classes of the index")
            ] = "2024",
            palette: Annotated[Palette, Query(description="EPA's colours, or colour-blind safe")] = "epa",
        ) -> Response:
            """Give a tile in the colours of the Air Quality Index; each pixel has its cell's own value."""
            entry = self.find(name)
            found = entry.layer(layer)
            if found is None:
                raise HTTPException(404, f"map {entry.name} has no such layer: ask /maps which there are")
            with Env(**QUIET), opened(found) as file, Reader(str(found.path), dataset=file) as source:
                try:
                    image = source.tile(
                        x, y, z, tilesize=_TILE, indexes=found.band, resampling_method="nearest"
                    )
                except TileOutsideBounds as error:
                    raise HTTPException(404, "the map does not reach this tile") from error
            picture = ImageData(_coloured(entry, layer, edition, palette, image.array[0]))
            content, kind = render_image(picture, output_format=ImageType.png, add_mask=True)
            return Response(content, media_type=kind, headers={"Cache-Control": "max-age=3600"})


def _coloured(
    entry: Entry, key: str, edition: str, palette: Palette, values: "np.ma.MaskedArray[Any, Any]"
) -> "np.ma.MaskedArray[Any, Any]":
    """Give red, green and blue (3, y, x), uint8; masked where there is no value."""
    edges, shades = _table(entry, key, edition, palette)
    known = np.isfinite(np.ma.filled(values.astype(np.float64), np.nan))
    step = np.digitize(np.where(known, np.ma.filled(values, 0), 0), edges[1:-1])
    colour = np.moveaxis(shades[step], -1, 0)
    return np.ma.MaskedArray(colour, mask=np.broadcast_to(~known, colour.shape))


_tables: dict[tuple[str, str, str, str], tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]] = {}
"""Colours of a layer that were worked out before: edges of values, and RGB between two edges."""


def _table(
    entry: Entry, key: str, edition: str, palette: Palette
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    layer = entry.layer(key)
    by_class = layer is not None and layer.kind == "concentration"
    # The classes are the same on every map; another layer has a range of its own.
    name = (edition, palette, "", "") if by_class else ("", "", str(entry.shown.path), key)
    if name not in _tables:
        if by_class:
            colormap, norm = colours(EDITIONS[edition], palette)
            edges = np.array(norm.boundaries, dtype=np.float64)
            shades = np.array(colormap(range(colormap.N), bytes=True))[:, :3]
        else:
            values = next(found.values for found in entry.whole().layers if found.key == key)
            ends = range_of(values)
            hexes = ramp(signed=ends[0] < 0)
            edges = np.linspace(*ends, len(hexes) + 1)
            shades = np.array([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in hexes], dtype=np.uint8)
        _tables[name] = edges, shades
    return _tables[name]


def _add_questions(app: FastAPI, catalogue: Catalogue, find: Callable[[str], Entry]) -> None:
    @app.get("/maps", responses={429: _SAID[429]})
    def maps() -> MapsSaid:
        """List the maps and their layers."""
        return MapsSaid(
            maps=[_said(entry) for entry in catalogue.entries.values()], left_out=catalogue.left_out
        )

    @app.get("/point", responses={400: _SAID[400], 429: _SAID[429]})
    def point(
        lon: Annotated[
            float, Query(ge=-180, le=180, allow_inf_nan=False, description="degrees, west negative")
        ],
        lat: Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, description="degrees")],
        layer: Key = PM25,
        start: Annotated[dt.date | None, Query(description="first day")] = None,
        end: Annotated[dt.date | None, Query(description="last day")] = None,
    ) -> SeriesSaid:
        """Give the values of the cell at a place, map by map, oldest first."""
        found = series(days_of(catalogue.entries, start, end), layer, lon, lat)
        units = [known.unit for entry, _ in found if (known := entry.layer(layer))]
        values = [ValueSaid(map=entry.name, day=entry.day, value=value) for entry, value in found]
        return SeriesSaid(lon=lon, lat=lat, layer=layer, unit=units[0], values=values)

    @app.post("/maps/{name}/statistics", responses=_SAID)
    def polygon(name: Name, asked: Annotated[Asked, Body()], layer: Key = PM25) -> StatisticsSaid:
        """Sum up the cells in a polygon: mean, extremes, and the share of each class of the index."""
        entry = find(name)
        try:
            shape = shapely.geometry.shape(asked.geometry.model_dump())
        except (ValueError, shapely.errors.ShapelyError) as error:
            raise BadRequest("the geometry is no polygon: a ring needs four positions or more") from error
        return StatisticsSaid(map=entry.name, layer=layer, **statistics(entry, layer, shape))


def _add_page(app: FastAPI, catalogue: Catalogue, find: Callable[[str], Entry]) -> None:
    lock = threading.Lock()

    @functools.cache
    def text() -> str:
        entries = list(catalogue.entries.values())[-PAGE_MAPS:]
        maps = [entry.whole() for entry in entries]
        links = [
            {layer.key: f"maps/{entry.name}/layers/{layer.key}" for layer in entry.shown.layers}
            for entry in entries
        ]
        notes = [f"Not shown: {name}: {reason}" for name, reason in catalogue.left_out.items()]
        if len(catalogue.entries) > PAGE_MAPS:
            notes.append(
                f"The last {PAGE_MAPS} of {len(catalogue.entries)} maps; ask /maps and /point for all."
            )
        data = page_data(maps, notes, [[] for _ in maps], links)
        for said, entry in zip(data["maps"], entries, strict=True):
            said["spots_href"] = f"maps/{entry.name}/hotspots"
        return page_text(data, title_of(maps), served=True)

    @app.get("/", response_class=HTMLResponse, responses={429: _SAID[429]})
    def page() -> str:
        """Give the page to look at the maps."""
        with lock:  # the first request makes it, and the others wait
            return text()

    @app.get(
        "/maps/{name}/layers/{key}",
        response_class=Response,
        responses={
            **_SAID,
            200: {"content": {"application/octet-stream": {}}, "description": "Deflated codes"},
        },
    )
    def values(name: Name, key: Annotated[str, Path(max_length=100)]) -> Response:
        """Give a layer as the page takes it: deflated codes of 16 bits."""
        layer = find(name).whole().layer(key)
        if layer is None:
            raise HTTPException(404, "the map has no such layer: ask /maps which there are")
        return Response(base64.b64decode(pack(layer).data), media_type="application/octet-stream")

    @app.get("/maps/{name}/hotspots", responses=_SAID)
    def hotspots(name: Name) -> list[dict[str, Any]]:
        """List the hot spots of a map, highest first."""
        one = find(name).whole()
        layer = one.layer(PM25)
        found = find_hotspots(layer.values[None], one.grid(), [one.day]) if layer else []
        return [spot_data(spot) for spot in found]


def _said(entry: Entry) -> MapSaid:
    layers = [LayerSaid(key=a.key, label=a.label, unit=a.unit, kind=a.kind) for a in entry.shown.layers]
    return MapSaid(
        name=entry.name, day=entry.day, crs=entry.shown.crs, shape=entry.shown.shape, layers=layers
    )


def _gone(folder: str, request: Request, error: Exception) -> JSONResponse:
    """Answer for a map that was moved or damaged since the start, without telling where the folder lies."""
    return JSONResponse({"detail": str(error).replace(folder, "")}, status_code=404)
