"""Which files of a provider hold some days and a place."""

import calendar
import datetime as dt
import re
from dataclasses import dataclass

from pm25map.base.days import day_of_year
from pm25map.base.errors import BadDate, BadFetch, UnknownName
from pm25map.monitors.airnow_files import hours_of
from pm25map.predictors.catalogue import Provider

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

GMTED_TILE_DEGREES = 30, 20
"""East-west and north-south."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a provider.

    Attributes:
        name: name of the file here: from the table, never from a server.
        url: its address.
        last: last day that it holds; None for a file that does not change.
        size: bytes as the catalogue states them; None where it has none.
        checksum: ALGORITHM:HEXADECIMAL as the catalogue states it; None where it has none.
    """

    name: str
    url: str
    last: dt.date | None
    size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True)
class Corner:
    """A tile of GMTED2010 by its south-west corner: `corner` as 30N120W, `folder` as W120."""

    corner: str
    folder: str


def variables_wanted(provider: Provider, named: tuple[str, ...]) -> tuple[str, ...]:
    """Check the variables that a user named; return the usual ones where none is named, ("",) where there are none.

    Raises:
        UnknownName: the provider has no such variable.
    """
    unknown = [name for name in named if name not in provider.variables]
    if unknown:
        known = f"choose of {', '.join(provider.variables)}" if provider.variables else "leave --variable out"
        raise UnknownName(f"{provider.title} has no {unknown[0]!r} to choose: {known}")
    return named or provider.usual or provider.variables or ("",)


def periods_of(provider: Provider, start: dt.date, end: dt.date) -> list[dt.date]:
    """List the first days of the files that hold the days from start to end, both included.

    Of files of hours: the local standard days that they are fetched for.

    Raises:
        BadFetch: the provider begins after the last day.

    >>> from pm25map.predictors.catalogue import provider_of
    >>> periods_of(provider_of("nclimgrid"), dt.date(2020, 8, 30), dt.date(2020, 9, 2))
    [datetime.date(2020, 8, 1), datetime.date(2020, 9, 1)]
    """
    if end < provider.begins:
        raise BadFetch(f"{provider.title} begins on {provider.begins}: choose a later --end than {end}")
    first = max(start - dt.timedelta(days=provider.before), provider.begins)
    days = [first + dt.timedelta(days=i) for i in range((end - first).days + 1)]
    if provider.period == "month":
        return sorted({day.replace(day=1) for day in days})
    if provider.period == "year":
        return sorted({day.replace(month=1, day=1) for day in days})
    return [day for day in days if (day.timetuple().tm_yday - 1) % provider.every == 0]


def last_of(provider: Provider, first: dt.date) -> dt.date:
    """Return the last day of the file that begins on a day."""
    if provider.period == "year":
        return first.replace(month=12, day=31)
    if provider.period == "month":
        return first.replace(day=calendar.monthrange(first.year, first.month)[1])
    return first


def plain_files(
    provider: Provider, periods: list[dt.date], variables: tuple[str, ...], box: Box, base: str
) -> list[RemoteFile]:
    """List the files of a provider whose addresses the table gives.

    Args:
        provider: with `base` and `path`.
        periods: first days of the files, as `periods_of`; ignored where files are static.
        variables: of the provider.
        box: around the place; used only for files in tiles.
        base: scheme, host and first part of the path, of the provider or a mirror.
    """
    root = base.rstrip("/")
    if provider.period == "hour":
        return _hourly_files(provider, periods, variables, root)
    urls: list[tuple[str, dt.date | None]]
    if provider.period == "static":
        urls = [(root + provider.path.format(tile=tile), None) for tile in gmted_tiles(box)]
    else:
        urls = [
            (root + provider.path.format(day=first, variable=variable), last_of(provider, first))
            for first in periods
            for variable in variables
        ]
    return [RemoteFile(url.rsplit("/", 1)[1], url, last) for url, last in urls]


def _hourly_files(
    provider: Provider, days: list[dt.date], variables: tuple[str, ...], root: str
) -> list[RemoteFile]:
    """List the files of the hours that local standard days need, then those that belong to them."""
    return files_of_hours(provider, hours_of(days), sorted({days[0], days[-1]}), variables, root)


def files_of_hours(
    provider: Provider,
    hours: list[dt.datetime],
    ends: list[dt.date],
    variables: tuple[str, ...],
    root: str,
) -> list[RemoteFile]:
    """List the files of some hours (UTC), then those that belong to them, such as lists of sites.

    Args:
        provider: of hourly files.
        hours: by their beginning, oldest first.
        ends: days of the files that are needed for the first and the last day only.
        variables: of the provider.
        root: scheme, host and first part of the path, without a slash at its end.
    """
    dates = sorted({hour.date() for hour in hours})
    urls = [(root + provider.path.format(day=hour), hour.date()) for hour in hours]
    wanted = [
        RemoteFile(url.rsplit("/", 1)[1], url, day)
        for url, day in urls
        if set(variables) - set(provider.beside)
    ]
    for variable in variables:
        if beside := provider.beside.get(variable):
            chosen = dates if beside.days == "each" else ends
            wanted += [
                RemoteFile(beside.name.format(day=day), root + beside.path.format(day=day), day)
                for day in chosen
            ]
    return wanted


def gmted_tiles(box: Box) -> list[Corner]:
    """List the tiles of 30 by 20 degrees that a box touches, from south-west to north-east.

    >>> [tile.corner for tile in gmted_tiles((-124.5, 32.5, -114.0, 42.0))]
    ['30N150W', '30N120W']
    """
    west, south, east, north = box
    wide, high = GMTED_TILE_DEGREES
    # Rows begin at 90 S: ... 10S, 10N, 30N, 50N.
    rows = range(int((south + 90) // high), int(-(-(north + 90) // high)))
    columns = range(int((west + 180) // wide), int(-(-(east + 180) // wide)))
    tiles = []
    for row in rows:
        for column in columns:
            lat, lon = row * high - 90, column * wide - 180
            north_south = f"{abs(lat):02d}{'S' if lat < 0 else 'N'}"
            side = "W" if lon < 0 else "E"
            tiles.append(Corner(f"{north_south}{abs(lon):03d}{side}", f"{side}{abs(lon):03d}"))
    return tiles


def first_day(match: re.Match[str]) -> dt.date:
    """Return the first day of the file whose name matched, from the groups year, and yearday or month and day.

    Raises:
        BadFetch: there is no such day.
    """
    groups = match.groupdict()
    try:
        if "yearday" in groups:
            return day_of_year(int(groups["year"]), int(groups["yearday"]))
        return dt.date(int(groups["year"]), int(groups.get("month", 1)), int(groups.get("day", 1)))
    except (BadDate, ValueError) as error:
        raise BadFetch(
            f"the provider has {match.string}, which names no day ({error}): tell the provider"
        ) from error
