"""The application: routes over a catalogue, with titiler.core's tiles and errors."""

import base64
import datetime as dt
import functools
import threading
from collections.abc import Callable
from typing import Annotated, Any

import shapely
from fastapi import Body, FastAPI, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers

from pm25map import __version__
from pm25map.base.errors import BadMap, BadRequest
from pm25map.diagnostics.hotspots import find_hotspots
from pm25map.view.layers import PM25
from pm25map.view.pack import pack
from pm25map.view.page_data import page_data, spot_data, title_of
from pm25map.view.report import page_text
from pm25map.view.server.answers import (
    SAID,
    Asked,
    Key,
    LayerSaid,
    MapSaid,
    MapsSaid,
    Name,
    SeriesSaid,
    StatisticsSaid,
    ValueSaid,
)
from pm25map.view.server.catalogue import Catalogue, Entry
from pm25map.view.server.limits import Limits, SafeHeaders
from pm25map.view.server.queries import days_of, series, statistics
from pm25map.view.server.tiles import MapTiles

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

PAGE_MAPS = 62
"""Maps on the page: two months; the routes give all."""


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
    # Added last, so that it is around all: refusals carry the headers as well.
    app.add_middleware(SafeHeaders)
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


def _add_questions(app: FastAPI, catalogue: Catalogue, find: Callable[[str], Entry]) -> None:
    @app.get("/maps", responses={429: SAID[429]})
    def maps() -> MapsSaid:
        """List the maps and their layers."""
        return MapsSaid(
            maps=[_said(entry) for entry in catalogue.entries.values()], left_out=catalogue.left_out
        )

    @app.get("/point", responses={400: SAID[400], 429: SAID[429]})
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

    @app.post("/maps/{name}/statistics", responses=SAID)
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

    @app.get("/", response_class=HTMLResponse, responses={429: SAID[429]})
    def page() -> str:
        """Give the page to look at the maps."""
        with lock:  # the first request makes it, and the others wait
            return text()

    @app.get(
        "/maps/{name}/layers/{key}",
        response_class=Response,
        responses={
            **SAID,
            200: {"content": {"application/octet-stream": {}}, "description": "Deflated codes"},
        },
    )
    def values(name: Name, key: Annotated[str, Path(max_length=100)]) -> Response:
        """Give a layer as the page takes it: deflated codes of 16 bits."""
        layer = find(name).whole().layer(key)
        if layer is None:
            raise HTTPException(404, "the map has no such layer: ask /maps which there are")
        return Response(base64.b64decode(pack(layer).data), media_type="application/octet-stream")

    @app.get("/maps/{name}/hotspots", responses=SAID)
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
