"""AirNow as a source of monitors: preliminary hourly PM2.5, hours after it was measured, as daily means.

AQS has a day only months later. AirNow does not say which instrument a value is from: it reports those of 88101
(reference method or its equal) and of 88502 (acceptable for the AQI) alike, and corrects neither. Its values carry the
parameter code 88101, because most are of such instruments and readers that filter by code must not lose them; that they
are AirNow's is said by `AirNow.network`.

`airnow_files` says what the files are called and when an hour begins, `airnow_sites` whose site it is, `airnow_days`
which values count.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.monitors.airnow_days import daily_means, disagreements, read_daily
from pm25map.monitors.airnow_files import (
    FETCH_HINT,
    US_OFFSETS,
    WORLD_OFFSETS,
    Holdings,
    SourceFile,
    hours_of,
)
from pm25map.monitors.airnow_hours import Hours, read_hours
from pm25map.monitors.airnow_rows import (
    Paths,
    all_lists,
    as_paths,
    by_local_day,
    list_with_sites,
    placed_rows,
    rows_of_sites,
)
from pm25map.monitors.airnow_sites import plain_ids, positions_of
from pm25map.monitors.sites import separate_places
from pm25map.monitors.table import Monitors, Reading

PARAMETER_CODE = 88101
NETWORK = "AirNow"
STATUS = "preliminary"


@dataclass(frozen=True, eq=False)
class AirNow:
    """Daily means of AirNow's hours, and where they are from.

    Attributes:
        monitors: the table; its reading says what each rule left out.
        hours: site_id, date, hours (int16): how many hours each observation is the mean of; in their order.
        files: the hourly files of each local day, by name. Another file, or other bytes, is another day.
        site_lists: the lists that were read.
        missing_hours: UTC hours of the days in CONUS that no file holds.
        without_position: sites that no list has, with their hours.
        replaced_offsets: sites whose stated offset could not be theirs.
        compared: days of a site that a daily file has too.
        disagreements: those of them that differ: site_id, date, pm25_ugm3, hours, airnow_ugm3.
    """

    monitors: Monitors
    hours: pd.DataFrame
    files: dict[dt.date, tuple[SourceFile, ...]]
    site_lists: tuple[SourceFile, ...]
    missing_hours: tuple[dt.datetime, ...] = ()
    without_position: dict[str, int] = field(default_factory=dict)
    replaced_offsets: tuple[str, ...] = ()
    compared: int = 0
    disagreements: pd.DataFrame = field(default_factory=pd.DataFrame)
    network: str = NETWORK
    status: str = STATUS

    def lines(self) -> list[str]:
        """Return what was read and left out, a line each, with the names of the sites concerned."""
        lines = self.monitors.reading.lines()
        for what, names in (
            ("no site list has", list(self.without_position)),
            ("offset taken from the longitude:", list(self.replaced_offsets)),
            ("missing hours (UTC):", [f"{hour:%Y-%m-%d %H}" for hour in self.missing_hours]),
        ):
            if names:
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                lines.append(f"{what} {', '.join(names[:5])}{more}")
        if self.compared:
            lines.append(
                f"{len(self.disagreements):,} of {self.compared:,} days differ from AirNow's daily file"
            )
        return lines

    def facts(self) -> dict[str, Any]:
        """Return the provenance as plain data, to be written as JSON."""
        return {
            "network": self.network,
            "status": self.status,
            "site_lists": [[file.name, file.sha256] for file in self.site_lists],
            "files": {
                day.isoformat(): [[file.name, file.sha256] for file in files]
                for day, files in self.files.items()
            },
        }


def read_airnow(
    path: Paths,
    *,
    sites: Paths = (),
    outside_us: bool = False,
    days: Collection[dt.date] | None = None,
) -> AirNow:
    """Read AirNow's hourly files to one row a site and local standard day.

    Args:
        path: folders (subfolders included) or files: HourlyData_YYYYMMDDHH.dat, HourlyAQObs_YYYYMMDDHH.dat, site lists,
            daily files; or a folder with pm25_hourly*.parquet (utc, aqsid, value, gmt, unit) and sites*.parquet
            (aqsid, Latitude, Longitude, GMTOffset, CountryCode).
        sites: site lists that are elsewhere, such as older ones.
        outside_us: read the monitors of other countries too.
        days: local standard days to read; every day that has 18 hours where None.

    Raises:
        BadMonitors: there are no such files or days, a file is truncated (says the line), or no list has the sites.
    """
    holdings = list_with_sites(path, sites)
    wanted = set(hours_of(days, WORLD_OFFSETS if outside_us else US_OFFSETS)) if days is not None else None
    hours = read_hours(holdings.hourly, holdings.tables, wanted)
    if hours.rows.empty:
        raise BadMonitors(_nothing(path, holdings, days))
    counts: dict[str, int] = {"rows read": len(hours.rows)}
    lists, list_files = all_lists(holdings, hours)
    rows = rows_of_sites(hours, lists, counts, outside_us=outside_us)
    rows, zones, unplaced, replaced = placed_rows(rows, lists, counts, path)
    rows = by_local_day(rows, zones, days)
    means = daily_means(rows, counts.__setitem__)
    if means.empty:
        raise BadMonitors(_no_means(path, hours, counts, days))
    placed, places = separate_places(positions_of(means, lists))
    counts["sites that moved, counted at every place"] = int(places["site_id"].str.contains("@").sum())
    counts["values of a site and day"] = len(placed)
    placed = placed.sort_values(["site_id", "date"], ignore_index=True)
    compared, differing = 0, pd.DataFrame()
    if holdings.daily:
        daily = read_daily(holdings.daily)
        differing, compared = disagreements(means, daily.assign(site_id=plain_ids(daily["aqsid"])))
    return AirNow(
        Monitors(
            places,
            placed.assign(parameter_code=PARAMETER_CODE, network=NETWORK, status=STATUS),
            Reading(counts),
        ),
        placed[["site_id", "date", "hours"]].astype({"hours": "int16"}),
        _files_by_day(rows, means, hours.files),
        tuple(list_files),
        _missing(hours, days),
        unplaced,
        tuple(replaced),
        compared,
        differing,
    )


def _files_by_day(
    rows: pd.DataFrame, means: pd.DataFrame, files: list[SourceFile]
) -> dict[dt.date, tuple[SourceFile, ...]]:
    """List the files of each day that has a mean."""
    days = set(means["date"].dt.date)
    pairs = rows[["date", "file"]].drop_duplicates()
    by_day: dict[dt.date, list[SourceFile]] = {day: [] for day in sorted(days)}
    for date, number in zip(pairs["date"].dt.date, pairs["file"], strict=True):
        if date in days:
            by_day[date].append(files[number])
    return {day: tuple(sorted(used, key=lambda file: file.name)) for day, used in by_day.items()}


def _missing(hours: Hours, days: Collection[dt.date] | None) -> tuple[dt.datetime, ...]:
    """List the hours that no file holds: of the days in CONUS, or from the first hour to the last."""
    present = {stamp.replace(tzinfo=dt.UTC) for stamp in hours.rows["utc"].dt.floor("h").unique().tolist()}
    if days is not None:
        return tuple(hour for hour in hours_of(days) if hour not in present)
    first, last = min(present), max(present)
    count = int((last - first) / dt.timedelta(hours=1)) + 1
    every = (first + dt.timedelta(hours=i) for i in range(count))
    return tuple(hour for hour in every if hour not in present)


def _no_means(path: Paths, hours: Hours, counts: dict[str, int], days: Collection[dt.date] | None) -> str:
    period = "any day" if days is None else f"a day of {min(days)} to {max(days)}"
    there = f"{len(hours.files)} hours are there, {len(_missing(hours, days))} are missing"
    left_out = ", ".join(
        f"{count:,} {what}" for what, count in counts.items() if count and what != "rows read"
    )
    where = ", ".join(map(str, as_paths(path)))
    return (
        f"{where} gives no mean of {period}: {there}; {left_out or 'none is of the days'}. "
        f"Get the other hours with {FETCH_HINT}"
    )


def _nothing(path: Paths, holdings: Holdings, days: Collection[dt.date] | None) -> str:
    where = ", ".join(map(str, as_paths(path)))
    if days is None:
        return f"{where} holds no row of PM2.5: get AirNow's files again with {FETCH_HINT}"
    period = f"{min(days)} to {max(days)}"
    hours = holdings.hourly
    if hours and not holdings.tables:
        return (
            f"{where} holds AirNow's hours of {min(hours):%Y-%m-%d} to {max(hours):%Y-%m-%d} (UTC), "
            f"and none of {period}: name the folder of these days, or get them with {FETCH_HINT}"
        )
    return f"{where} holds none of AirNow's hours of {period}: get them with {FETCH_HINT}"
