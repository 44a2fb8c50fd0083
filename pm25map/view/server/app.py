"""The application: routes over a catalogue, with titiler.core's tiles and errors."""

import base64
import contextlib
import datetime as dt
import functools
import threading
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import shapely
from fastapi import Body, FastAPI, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers

from pm25map import __version__
from pm25map.base.errors import BadMap, BadRequest
from pm25map.view.layers import PM25
from pm25map.view.pack import pack
from pm25map.view.page_data import page_data, spot_data, title_of
from pm25map.view.report import page_text
from pm25map.view.server.answers import (
    SAID,
    Asked,
    AskedFeature,
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
from pm25map.view.server.kept import kept, unchanged
from pm25map.view.server.limits import Limits, SafeHeaders, Slots
from pm25map.view.server.queries import days_of, series, statistics
from pm25map.view.server.tiles import MapTiles
from pm25map.view.spots import spots_of_each

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

PAGE_MAPS = 62
"""Maps on the page: two months; the routes give all."""

Page = Callable[[], str]
Spots = Callable[[str], list[dict[str, Any]]]


def make_app(catalogue: Catalogue, *, rate: float = 200.0, hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """Make the application.

    Args:
        catalogue: the maps. Nothing else can be read.
        rate: requests a second that one client may make.
        hosts: names of this server that a request may carry; "*" for any.
    """
    find = _finder(catalogue)
    slots = Slots()
    page, spots = _page_of(catalogue), _spots_of(find)

    @contextlib.asynccontextmanager
    async def prepared(_: FastAPI) -> AsyncIterator[None]:
        """Prepare what the first visitor would wait for: states, towns and the page take seconds."""
        newest = next(reversed(catalogue.entries))
        threading.Thread(target=_prepare, args=(page, spots, newest), daemon=True).start()
        yield

    app = FastAPI(title="pm25map", version=__version__, docs_url=None, redoc_url=None, lifespan=prepared)
    add_exception_handlers(app, {**DEFAULT_STATUS_CODES, BadRequest: 400})
    app.add_exception_handler(BadMap, functools.partial(_gone, f"{catalogue.folder}/"))
    app.add_exception_handler(RequestValidationError, _misasked)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_middleware(Limits, rate=rate)
    # Added last, so that it is around all: refusals carry the headers as well.
    app.add_middleware(SafeHeaders)
    _add_page(app, find, slots, page, spots)
    _add_questions(app, catalogue, find, slots)
    app.include_router(MapTiles(find=find, slots=slots).router)
    return app


def _prepare(page: Page, spots: Spots, name: str) -> None:
    # A map that went away meanwhile is told to whoever asks for it.
    with contextlib.suppress(BadMap):
        page()
        spots(name)


def _finder(catalogue: Catalogue) -> Callable[[str], Entry]:
    def find(name: str) -> Entry:
        """A name is looked up and never joined to a path: what the catalogue lacks does not exist."""
        entry = catalogue.entries.get(name)
        if entry is None:
            raise HTTPException(404, "there is no map of that name: ask /maps which there are")
        return entry

    return find


def _add_questions(app: FastAPI, catalogue: Catalogue, find: Callable[[str], Entry], slots: Slots) -> None:
    @app.get("/maps", responses={429: SAID[429]})
    def maps() -> MapsSaid:
        """List the maps and their layers."""
        return MapsSaid(
            maps=[_said(entry) for entry in catalogue.entries.values()], left_out=catalogue.left_out
        )

    @app.get("/point", responses=SAID)
    def point(
        lon: Annotated[
            float, Query(ge=-180, le=180, allow_inf_nan=False, description="degrees, west negative")
        ],
        lat: Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, description="degrees")],
        layer: Key = PM25,
        start: Annotated[dt.date | None, Query(description="first day")] = None,
        end: Annotated[dt.date | None, Query(description="last day")] = None,
    ) -> SeriesSaid:
        """Return the values of the cell at a place, map by map, oldest first."""
        with slots.one():
            found = series(days_of(catalogue.entries, start, end), layer, lon, lat)
        units = [known.unit for entry, _ in found if (known := entry.layer(layer))]
        values = [ValueSaid(map=entry.name, day=entry.day, value=value) for entry, value in found]
        return SeriesSaid(lon=lon, lat=lat, layer=layer, unit=units[0], values=values)

    @app.post("/maps/{name}/statistics", responses=SAID)
    def polygon(name: Name, asked: Annotated[Asked, Body()], layer: Key = PM25) -> StatisticsSaid:
        """Sum up the cells in a polygon: mean, extremes, and the share of each class of the index."""
        entry = find(name)
        geometry = asked.geometry if isinstance(asked, AskedFeature) else asked
        try:
            shape = shapely.geometry.shape(geometry.model_dump())
        except (ValueError, shapely.errors.ShapelyError) as error:
            raise BadRequest("the geometry is no polygon: a ring needs four positions or more") from error
        with slots.one():
            return StatisticsSaid(map=entry.name, layer=layer, **statistics(entry, layer, shape))


def _page_of(catalogue: Catalogue) -> Page:
    lock = threading.Lock()

    @functools.cache
    def text() -> str:
        entries = list(catalogue.entries.values())[-PAGE_MAPS:]
        notes = [f"Not shown: {name}: {reason}" for name, reason in catalogue.left_out.items()]
        if len(catalogue.entries) > PAGE_MAPS:
            notes.append(
                f"The last {PAGE_MAPS} of {len(catalogue.entries)} maps; ask /maps and /point for all."
            )
        maps = [entry.whole() for entry in entries]
        links = [
            {layer.key: f"maps/{entry.name}/layers/{layer.key}" for layer in entry.shown.layers}
            for entry in entries
        ]
        data = page_data(maps, notes, [[] for _ in maps], links)
        for said, entry in zip(data["maps"], entries, strict=True):
            said["spots_href"] = f"maps/{entry.name}/hotspots"
        return page_text(data, title_of(maps), served=True)

    def page() -> str:
        with lock:  # the first request makes it, and the others wait
            return text()

    return page


def _spots_of(find: Callable[[str], Entry]) -> Spots:
    @functools.lru_cache(PAGE_MAPS)
    def found(name: str) -> list[dict[str, Any]]:
        return [spot_data(spot) for spot in spots_of_each([find(name).whole()])[0]]

    def spots(name: str) -> list[dict[str, Any]]:
        find(name).check()
        return found(name)

    return spots


def _add_page(app: FastAPI, find: Callable[[str], Entry], slots: Slots, page: Page, spots: Spots) -> None:
    @app.get("/", response_class=HTMLResponse, responses=SAID)
    def shown() -> str:
        """Return the page to look at the maps."""
        with slots.one():
            return page()

    @app.get(
        "/maps/{name}/layers/{key}",
        response_class=Response,
        responses={
            **SAID,
            200: {"content": {"application/octet-stream": {}}, "description": "Deflated codes"},
        },
    )
    def values(name: Name, key: Annotated[str, Path(max_length=100)], request: Request) -> Response:
        """Return a layer as the page takes it: deflated codes of 16 bits."""
        entry = find(name)
        if entry.layer(key) is None:
            raise HTTPException(404, "the map has no such layer: ask /maps which there are")
        known = unchanged(request, entry)
        if known is not None:
            return known
        with slots.one():
            packed = pack(next(layer for layer in entry.whole().layers if layer.key == key))
        return Response(
            base64.b64decode(packed.data), media_type="application/octet-stream", headers=kept(entry)
        )

    @app.get("/maps/{name}/hotspots", responses=SAID)
    def hotspots(name: Name) -> list[dict[str, Any]]:
        """List the hot spots of a map, highest first."""
        with slots.one():
            return spots(name)


def _said(entry: Entry) -> MapSaid:
    layers = [LayerSaid(key=a.key, label=a.label, unit=a.unit, kind=a.kind) for a in entry.shown.layers]
    return MapSaid(
        name=entry.name, day=entry.day, crs=entry.shown.crs, shape=entry.shown.shape, layers=layers
    )


def _gone(folder: str, request: Request, error: Exception) -> JSONResponse:
    """Answer for a map that was moved or damaged since the start, without telling where the folder lies.

    Not 404: programs that draw tiles take that for a part of the earth without a map.
    """
    return JSONResponse({"detail": str(error).replace(folder, "")}, status_code=410)


def _misasked(request: Request, error: Exception) -> JSONResponse:
    """Describe what is wrong with a request, without its own words: they may hold what JSON or UTF-8 cannot say."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return JSONResponse(
        {"detail": [{name: one[name] for name in ("type", "loc", "msg")} for one in found]}, status_code=422
    )
