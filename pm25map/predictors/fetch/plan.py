"""Which files a source needs for some days and a place: from the table of sources, or from NASA's catalogue."""

import datetime as dt

import numpy as np
import numpy.typing as npt
import shapely

from pm25map.base.errors import BadInstall, BadRegion
from pm25map.grid import Grid
from pm25map.grid.regions import region as named_region
from pm25map.predictors.catalogue import Provider
from pm25map.predictors.fetch.earthdata import SearchResult, search
from pm25map.predictors.fetch.http import HttpClient, check_address
from pm25map.predictors.fetch.providers import Box, periods_of, plain_files, variables_wanted

Array = npt.NDArray[np.float64]

MARGIN_DEGREES = 0.1
"""Around the centres of the outermost cells, and around a region: a cell of a coarse grid."""


def plan_fetch(
    provider: Provider,
    start: dt.date,
    end: dt.date,
    grid: Grid,
    client: HttpClient,
    *,
    region: str | None = None,
    variables: tuple[str, ...] = (),
    base_url: str | None = None,
) -> SearchResult:
    """List the files to fetch, and those that the provider's catalogue lacks.

    Args:
        provider: of the table.
        start, end: first and last day that an ingest will need; ignored where files are static.
        grid: that the files will be ingested to.
        client: for requests to the catalogue.
        region: only what this region of the grid needs; the whole grid where None.
        variables: of the provider; the usual ones where none is named.
        base_url: of a mirror with the provider's layout; the provider itself where None.

    Raises:
        BadFetch: the provider begins after these days, an address is not https, or the catalogue cannot be reached.
        UnknownName: there is no such region or variable.
        BadRegion: the grid has no land in the region.
        BadInstall: a package is missing.
    """
    if base_url is not None:
        check_address(base_url)
    names = variables_wanted(provider, variables)
    lon, lat = grid.lonlat()
    if region is not None:
        lon, lat = _inside(lon, lat, region)
    box = _around(lon, lat)
    periods = [] if provider.period == "static" else periods_of(provider, start, end)
    if not provider.search:
        result = SearchResult(tuple(plain_files(provider, periods, names, box, base_url or provider.base)))
    elif not periods:
        # Composites: none begins in so short a time.
        result = SearchResult(())
    else:
        tiles = _tiles(lon, lat) if "(?P<tile>" in provider.name else ()
        result = search(provider, periods, names, tiles, box, client, base_url)
    early = {}
    if provider.period != "static" and start < provider.begins:
        early = {f"days before {provider.begins}": "the provider begins then"}
    return SearchResult(result.files, {**result.absent, **early})


def _inside(lon: Array, lat: Array, name: str) -> tuple[Array, Array]:
    """Keep the places in or near a region: a file too many does no harm, a coast that is left out does."""
    outline = named_region(name).buffer(MARGIN_DEGREES)
    west, south, east, north = outline.bounds
    near = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    lon, lat = lon[near], lat[near]
    shapely.prepare(outline)
    inside = shapely.contains_xy(outline, lon, lat)
    if not inside.any():
        raise BadRegion(f"the grid has no land in {name}: choose a region of the grid")
    return lon[inside], lat[inside]


def _around(lon: Array, lat: Array) -> Box:
    west, east = float(lon.min()) - MARGIN_DEGREES, float(lon.max()) + MARGIN_DEGREES
    return west, float(lat.min()) - MARGIN_DEGREES, east, float(lat.max()) + MARGIN_DEGREES


def _tiles(lon: Array, lat: Array) -> tuple[str, ...]:
    try:
        from pm25map.predictors.sources.modis import tile_name, tiles_at  # noqa: PLC0415 - needs the data extra
    except ModuleNotFoundError as error:
        raise BadInstall(
            f"files in MODIS tiles need the package {error.name}. Run: pip install 'pm25map[fetch]'"
        ) from error
    return tuple(map(tile_name, tiles_at(lon, lat)))
