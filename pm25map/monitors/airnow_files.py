"""What AirNow's files are called, which hours they hold, and which of them some days need.

The products, as EPA describes them at https://docs.airnowapi.org (File Products) and in the fact sheets under
https://docs.airnowapi.org/docs/: HourlyDataFactSheet.pdf, HourlyAQObsFactSheet.pdf, MonitoringSiteFactSheet.pdf and
DailyDataFactSheet.pdf. On the public server every UTC day has a folder: airnow/YYYY/YYYYMMDD/.

An hour's stamp is the **beginning** of the hour, in UTC: the value of 17:00 is the mean of 17:00 to 18:00. So state
the fact sheet of the hourly data file and openaq-fetch issue 671, which corrected the opposite. The files confirm it:
their solar radiation (SRAD) at 00 UTC of 2024-04-17 is dark at all 12 of the sites where the sun had set by 00:00 and
had shone from 23:00, and at 12 UTC it is light at 22 of the 25 sites where it rose between 12:00 and 13:00. HourlyAQObs
of an hour has the values of HourlyData of the same hour: all of 1,364 sites on 2024-04-08 00 UTC.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pm25map.base.errors import BadMonitors

CONUS_OFFSETS = (-8.0, -5.0)
"""Hours from UTC to standard time, at the west coast and at the east coast."""

US_OFFSETS = (-11.0, 10.0)
"""From American Samoa to Guam."""

WORLD_OFFSETS = (-12.0, 14.0)

HOURLY_MB = 0.76
SITES_MB = 1.8
"""Of April 2024, and of the list of November 2018. The server states the true sizes."""

_HOURLY = re.compile(r"(HourlyData|HourlyAQObs)_(\d{10})\.dat")
_SITES = re.compile(r"monitoring_site_locations(?:_v2)?(?:_(\d{8}))?\.dat", re.IGNORECASE)
_DAILY = re.compile(r"daily_data(?:_v2)?(?:_(\d{8}))?\.dat", re.IGNORECASE)
_HOUR_TABLE = re.compile(r"pm25_hourly.*\.parquet")
_SITE_TABLE = re.compile(r"sites.*\.parquet")

GET_AGAIN = "delete it and fetch again; without it what it holds is missing"

FETCH_HINT = "pm25map data fetch --source airnow --start DAY --end DAY --out FOLDER"


@dataclass(frozen=True)
class SourceFile:
    """A file that something was read from: its name and SHA-256."""

    name: str
    sha256: str


@dataclass(frozen=True)
class NeededFile:
    """A file that some days need: its name, and about how many MB it has."""

    name: str
    megabytes: float


@dataclass
class Holdings:
    """AirNow's files in some folders.

    Attributes:
        hourly: HourlyData and HourlyAQObs by the beginning of their hour (UTC), HourlyData first.
        tables: parquet tables of hours.
        site_lists: files with the day they are of; date.max where the day is unknown.
        daily: daily files.
    """

    hourly: dict[dt.datetime, list[Path]] = field(default_factory=dict)
    tables: list[Path] = field(default_factory=list)
    site_lists: list[tuple[dt.date, Path]] = field(default_factory=list)
    daily: list[Path] = field(default_factory=list)

    def add(self, path: Path) -> bool:
        """Add a file by its name; return whether it is one of AirNow's."""
        name = path.name
        if match := _HOURLY.fullmatch(name):
            try:
                hour = dt.datetime.strptime(match[2], "%Y%m%d%H").replace(tzinfo=dt.UTC)
            except ValueError as error:
                raise BadMonitors(f"{path} names no hour ({match[2]}): give it its name back") from error
            self.hourly.setdefault(hour, []).append(path)
        elif match := _SITES.fullmatch(name):
            self.site_lists.append((_day_of(match[1] or path.parent.name), path))
        elif _DAILY.fullmatch(name):
            self.daily.append(path)
        elif _HOUR_TABLE.fullmatch(name):
            self.tables.append(path)
        elif _SITE_TABLE.fullmatch(name):
            self.site_lists.append((dt.date.max, path))
        else:
            return False
        return True


def is_airnow(path: Path) -> bool:
    """Return whether a file is AirNow's by its name, or a folder contains hourly files of AirNow.

    A table of sites alone does not count: other tables of monitors have one too.
    """
    holdings = Holdings()
    if path.is_dir():
        for inside in path.rglob("*"):
            hidden = any(part.startswith(".") for part in inside.relative_to(path).parts)
            if inside.is_file() and not hidden:
                holdings.add(inside)
        return bool(holdings.hourly or holdings.tables)
    holdings.add(path)
    return bool(
        holdings.hourly
        or holdings.tables
        or holdings.daily
        or (holdings.site_lists and path.suffix == ".dat")
    )


def hours_of(days: Iterable[dt.date], offsets: tuple[float, float] = CONUS_OFFSETS) -> list[dt.datetime]:
    """List the UTC hours that local standard days need, each by its beginning.

    Args:
        days: local standard days.
        offsets: hours from UTC to standard time in the west and in the east of the land.

    Returns:
        aware datetimes in UTC, oldest first, each once; 27 of one day of CONUS.

    >>> hours = hours_of([dt.date(2024, 4, 17)])
    >>> f"{hours[0]:%d %H}, {hours[-1]:%d %H}, {len(hours)}"
    '17 05, 18 07, 27'
    """
    west, east = offsets
    needed = set()
    for day in days:
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        # A zone with a fraction begins its day inside an hour, which is needed whole.
        hour = (midnight - dt.timedelta(hours=east)).replace(minute=0)
        end = midnight + dt.timedelta(days=1) - dt.timedelta(hours=west)
        while hour < end:
            needed.add(hour)
            hour += dt.timedelta(hours=1)
    return sorted(needed)


def hourly_name(hour: dt.datetime) -> str:
    """Return what AirNow calls the hourly data file of an hour (UTC)."""
    return f"HourlyData_{hour:%Y%m%d%H}.dat"


def files_of(days: Collection[dt.date]) -> list[NeededFile]:
    """List the files that local standard days of CONUS need, with approximate sizes.

    Returns:
        the hourly files, oldest first, then the site lists of the first and the last day; nothing of no day.
    """
    lists = sorted({min(days), max(days)}) if days else []
    return [
        *(NeededFile(hourly_name(hour), HOURLY_MB) for hour in hours_of(days)),
        *(NeededFile(f"Monitoring_Site_Locations_V2_{day:%Y%m%d}.dat", SITES_MB) for day in lists),
    ]


def list_holdings(paths: Sequence[Path]) -> Holdings:
    """List AirNow's files in folders, their subfolders included, or among files.

    Hidden folders and files with other names are ignored. A file that occurs twice counts once.

    Raises:
        BadMonitors: there is no such path, or nothing of AirNow in it; or two files of an hour differ.
    """
    holdings = Holdings()
    for path in paths:
        if path.is_dir():
            inside = (file.relative_to(path) for file in path.rglob("*") if file.is_file())
            names = [name for name in inside if not any(part.startswith(".") for part in name.parts)]
            for name in sorted(names):
                holdings.add(path / name)
        elif not path.is_file():
            raise BadMonitors(f"there is no file or folder {path}: get AirNow's files with {FETCH_HINT}")
        elif not holdings.add(path):
            raise BadMonitors(
                f"{path} is not called as AirNow's files are (HourlyData_YYYYMMDDHH.dat, "
                "Monitoring_Site_Locations_V2.dat): give it its name back"
            )
    if not holdings.hourly and not holdings.tables:
        where = ", ".join(map(str, paths)) or "no path"
        raise BadMonitors(f"{where} holds no HourlyData_YYYYMMDDHH.dat of AirNow: get them with {FETCH_HINT}")
    holdings.hourly = {hour: _once(files) for hour, files in sorted(holdings.hourly.items())}
    holdings.site_lists.sort(key=lambda entry: entry[0])
    return holdings


def _day_of(text: str) -> dt.date:
    """Return the day of YYYYMMDD, as the server calls its folders; date.max where the text is none."""
    try:
        return dt.datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return dt.date.max


def _once(files: list[Path]) -> list[Path]:
    """Keep one file of each kind of an hour, HourlyData first."""
    kept: dict[str, Path] = {}
    for path in files:
        first = kept.setdefault(path.name, path)
        if first is not path and first.read_bytes() != path.read_bytes():
            raise BadMonitors(f"{first} and {path} are of the same hour and differ: keep the newer one")
    return [kept[name] for name in sorted(kept, key=lambda name: not name.startswith("HourlyData_"))]


def whole_lines(path: Path, body: bytes) -> list[bytes]:
    """Split one of AirNow's files into lines; a file that was cut off has no end of line at its end.

    Raises:
        BadMonitors: it is empty or truncated (says the line).
    """
    lines = body.splitlines()
    if not body.strip():
        raise BadMonitors(f"{path} is empty: {GET_AGAIN}")
    if not body.endswith(b"\n"):
        raise BadMonitors(f"{path}, line {len(lines)}: the file ends within it, it is truncated; {GET_AGAIN}")
    return lines
