"""What the cache holds: days whose fields are ready, grid by grid, and files of monitors."""

import datetime as dt
import itertools
import re
from pathlib import Path
from typing import TypedDict

from pm25map.base.cache import cache_folder
from pm25map.base.errors import BadOutput, BadPredictors
from pm25map.monitors.airnow_files import Holdings
from pm25map.monitors.facts import PRELIMINARY, counts_in, preliminary_in, status_text
from pm25map.predictors.monitor_folder import monitor_folder
from pm25map.predictors.neighbours import FIELDS
from pm25map.predictors.on_demand import days_folder
from pm25map.predictors.reader import Predictors, open_predictors
from pm25map.predictors.status import runs

_AQS_FILE = re.compile(r"daily_(\d{5})_(\d{4})\.zip")

_HOURS = 24


class Span(TypedDict):
    """Consecutive days of the same networks; days are written YYYY-MM-DD."""

    first: str
    last: str
    days: int
    networks: list[str]
    status: str


class GridDays(TypedDict):
    """Days of one grid and one choice of monitors; problem is empty unless the folder cannot be read."""

    folder: str
    grid: str
    days: int
    spans: list[Span]
    bytes: int
    problem: str


class AqsYear(TypedDict):
    """EPA's files of a year: the parameters that are there."""

    year: int
    parameters: list[int]
    bytes: int


class AirNowDay(TypedDict):
    """AirNow's hourly files of a UTC day."""

    day: str
    hours: int
    bytes: int


class CacheStatus(TypedDict):
    """What the cache holds, as JSON has it."""

    cache: str
    grids: list[GridDays]
    aqs: list[AqsYear]
    airnow: list[AirNowDay]


def status_of_cache(start: dt.date = dt.date.min, end: dt.date = dt.date.max) -> CacheStatus:
    """Return the days and the files of monitors in the cache; none where there is no cache.

    Args:
        start, end: first and last day to look at. AQS has files of years: those that touch them.

    Raises:
        BadOutput: the folder cannot be read.
    """
    folder = cache_folder()
    try:
        return CacheStatus(
            cache=str(folder),
            grids=[_grid_days(path, start, end) for path in sorted(days_folder().glob("*.zarr"))],
            aqs=[one for one in _aqs_years(monitor_folder("aqs")) if start.year <= one["year"] <= end.year],
            airnow=[
                one for one in _airnow_days(monitor_folder("airnow")) if str(start) <= one["day"] <= str(end)
            ],
        )
    except OSError as error:
        raise BadOutput(
            f"cannot read the cache {folder}: {error.strerror or error}. Name another folder in PM25MAP_CACHE"
        ) from error


def cache_lines(status: CacheStatus) -> list[str]:
    """Write it for people: a line for the days of one kind of a grid, a year of AQS, a day of AirNow."""
    lines = [f"cache       {status['cache']}"]
    for grid in status["grids"]:
        about = f"{grid['days']} days ready, {_megabytes(grid['bytes'])} ({grid['folder']})"
        lines.append(f"{grid['grid']:<11} {grid['problem'] or about}")
        for span in grid["spans"]:
            which = ", ".join(filter(None, (" and ".join(span["networks"]), span["status"])))
            lines.append(f"{'':<11} {span['first']} to {span['last']}  {span['days']:>4} days  {which}")
    for year in status["aqs"]:
        codes = " and ".join(map(str, year["parameters"]))
        lines.append(f"AQS         {year['year']}  {codes}, {_megabytes(year['bytes'])}")
    for day in status["airnow"]:
        lines.append(
            f"AirNow      {day['day']}  {day['hours']} of {_HOURS} hours (UTC), {_megabytes(day['bytes'])}"
        )
    if len(lines) == 1:
        lines.append(
            "it holds no day and no monitor. Any map fills it: pm25map predict --date 2018-11-16 --out map.tif"
        )
    return lines


def _grid_days(path: Path, start: dt.date, end: dt.date) -> GridDays:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    try:
        store = open_predictors(path)
    except BadPredictors:
        problem = "damaged: the next map of it makes its days again"
        name = path.name.rpartition("-")[0]
        return GridDays(folder=path.name, grid=name, days=0, spans=[], bytes=size, problem=problem)
    stored = store.days_of(FIELDS) if set(FIELDS) <= set(store.daily) else []
    days = [day for day in stored if start <= day <= end]
    return GridDays(
        folder=path.name,
        grid=store.grid.name,
        days=len(days),
        spans=[
            Span(
                first=str(first),
                last=str(last),
                days=(last - first).days + 1,
                networks=list(names),
                status=status,
            )
            for (names, status), alike in itertools.groupby(days, lambda day: _monitors_of(store, day))
            for first, last in runs(list(alike))
        ],
        bytes=size,
        problem="",
    )


def _monitors_of(store: Predictors, day: dt.date) -> tuple[tuple[str, ...], str]:
    """Return the networks that measured on a day, and the status of their values: final or preliminary."""
    facts = store.facts_of(day)
    counts, preliminary = counts_in(facts), preliminary_in(facts)
    status = status_text(sum(counts.values()), preliminary)
    # The number of preliminary values differs every day, and would give each day a line of its own.
    networks = tuple(dict.fromkeys(name.split(" ")[0] for name in counts))
    return networks, status if status in ("", "final", PRELIMINARY) else f"partly {PRELIMINARY}"


def _aqs_years(folder: Path) -> list[AqsYear]:
    years: dict[int, AqsYear] = {}
    for path in sorted(folder.glob("*.zip")):
        if match := _AQS_FILE.fullmatch(path.name):
            number = int(match[2])
            year = years.setdefault(number, AqsYear(year=number, parameters=[], bytes=0))
            year["parameters"].append(int(match[1]))
            year["bytes"] += path.stat().st_size
    return [years[number] for number in sorted(years)]


def _airnow_days(folder: Path) -> list[AirNowDay]:
    holdings = Holdings()
    for path in sorted(folder.glob("*.dat")):
        holdings.add(path)
    days: dict[str, AirNowDay] = {}
    for hour, files in sorted(holdings.hourly.items()):
        day = days.setdefault(str(hour.date()), AirNowDay(day=str(hour.date()), hours=0, bytes=0))
        day["hours"] += 1
        day["bytes"] += sum(path.stat().st_size for path in files)
    return list(days.values())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
