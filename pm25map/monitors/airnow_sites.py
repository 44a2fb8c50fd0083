"""Where AirNow's monitors stand, what they are called in AQS, and how far their standard time is from UTC.

Both versions of the site list are read. monitoring_site_locations.dat has no header; its first fields are AQSID,
parameter, site code, name, status, agency id, agency, EPA region, latitude, longitude, elevation, GMT offset, country.
Monitoring_Site_Locations_V2.dat has a header (StationID|AQSID|FullAQSID|Parameter|...|CountryFIPS|...). Both have a row
a site and parameter. https://docs.airnowapi.org/docs/MonitoringSiteFactSheet.pdf

An id of 12 characters is a country's number (ISO 3166: 840 is the United States, 124 Canada) and the 9 characters of
the site. For these two countries the 9 are kept, so that a site has one id in AirNow, old and new, and in AQS.

The offset of a site is that of the newest list that states one, else the smallest of its hourly rows (daylight time
is larger by one). An offset that is more than three hours from longitude / 15 cannot be the site's, and a site without
one has none: both are taken from the longitude, to the whole hour.
"""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.base.files import sha256_of_file
from pm25map.monitors.airnow_files import SourceFile, whole_lines
from pm25map.monitors.parquet import read_columns

LIST_COLUMNS = ["site_id", "latitude", "longitude", "offset", "country", "listed"]
V2_COLUMNS = {
    "AQSID": "site_id", "Latitude": "latitude", "Longitude": "longitude", "GMTOffset": "offset",
    "CountryFIPS": "country",
}  # fmt: skip
V1_FIELDS = {0: "site_id", 8: "latitude", 9: "longitude", 11: "offset", 12: "country"}
V1_LEAST_FIELDS = 13
_TABLE_COLUMNS = {
    "aqsid": "site_id", "Latitude": "latitude", "Longitude": "longitude", "GMTOffset": "offset",
    "CountryCode": "country",
}  # fmt: skip

FARTHEST_HOURS = 3.0
"""From longitude / 15; the Yukon's standard time is two hours from it."""

US_COUNTRIES = ("US", "PR", "RQ", "VI", "VQ", "GU", "GQ", "AS", "MP", "CQ")
"""The United States and its territories, as ISO 3166 and FIPS 10-4 write them."""

_STATES = frozenset(
    f"{code:02d}" for code in (*range(1, 57), 60, 66, 69, 72, 78) if code not in (3, 7, 14, 43, 52)
)
"""State codes of AQS with the territories; 80 and CC are sites abroad."""


def plain_ids(ids: pd.Series) -> pd.Series:
    """Drop the country's number from the 12-character ids of the United States and Canada.

    >>> plain_ids(pd.Series(["840530379997", "530379997", "124000060304", "148CHD010001"])).tolist()
    ['530379997', '530379997', '000060304', '148CHD010001']
    """
    ids = ids.astype("str").str.strip()
    return ids.str.replace(r"^(?:840|124)(.{9})$", r"\1", regex=True)


def read_site_lists(lists: list[tuple[dt.date, Path]]) -> tuple[pd.DataFrame, list[SourceFile]]:
    """Read site lists of both versions, or parquet tables with the columns of HourlyAQObs.

    Args:
        lists: files with their day, oldest first.

    Returns:
        site_id, latitude, longitude (degrees), offset (hours, NaN where unknown), country, listed (datetime64[s]):
        one row a site and list, only of sites with a position; and the files.

    Raises:
        BadMonitors: a list is truncated or not one (says the line).
    """
    frames = [pd.DataFrame({column: [] for column in LIST_COLUMNS})]
    files = []
    for day, path in lists:
        frame = _read_table(path) if path.suffix == ".parquet" else _read_list(path)
        frames.append(usable(frame.assign(listed=np.datetime64(day, "s"))))
        files.append(SourceFile(path.name, sha256_of_file(path)))
    return pd.concat(frames[1:] or frames, ignore_index=True), files


def usable(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one row a site of those with a position; (0, 0) is none."""
    place = frame[["latitude", "longitude"]]
    there = (place.abs() <= [90.0, 180.0]).all(axis=1) & (place != 0).any(axis=1)
    frame = frame[there].assign(site_id=plain_ids(frame["site_id"][there]))
    return frame.drop_duplicates(["site_id", "latitude", "longitude", "offset"])[LIST_COLUMNS]


def _read_list(path: Path) -> pd.DataFrame:
    # The encoding of names has changed over the years; no name is read.
    lines = [line.decode("latin-1") for line in whole_lines(path, path.read_bytes())]
    rows = [(number, line.split("|")) for number, line in enumerate(lines, 1) if line.strip()]
    header = [name.strip() for name in rows[0][1]]
    if "AQSID" in header:
        missing = [name for name in V2_COLUMNS if name not in header]
        if missing:
            raise BadMonitors(f"{path} lacks the columns {', '.join(missing)}: get AirNow's site list again")
        fields = {header.index(name): ours for name, ours in V2_COLUMNS.items()}
        least, rows = len(header), rows[1:]
    else:
        fields, least = V1_FIELDS, V1_LEAST_FIELDS
    for number, row in rows:
        if len(row) < least:
            raise BadMonitors(
                f"{path}, line {number}: it has {len(row)} of {least} fields; get AirNow's site list again"
            )
    text = pd.DataFrame({ours: [row[at].strip() for _, row in rows] for at, ours in fields.items()})
    for column in ("latitude", "longitude", "offset"):
        numbers = pd.to_numeric(text[column], errors="coerce").astype("float64")
        bad = numbers.isna() & (text[column] != "")
        if bad.any():
            at = int(np.argmax(bad))
            raise BadMonitors(
                f"{path}, line {rows[at][0]}: the {column} is {text[column].iloc[at][:40]!r}, and must be a number; "
                "get AirNow's site list again"
            )
        text[column] = numbers
    return text


def _read_table(path: Path) -> pd.DataFrame:
    frame = read_columns(path, list(_TABLE_COLUMNS)).rename(columns=_TABLE_COLUMNS).fillna({"country": ""})
    for column in ("latitude", "longitude", "offset"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce").astype("float64")
    return frame


def in_the_us(ids: pd.Series, full_ids: pd.Series, lists: pd.DataFrame) -> pd.Series:
    """Return which sites are in the United States or its territories.

    The newest list that has the site decides; for a site in no list, the country number 840 or the code of a state.

    Args:
        ids: as `plain_ids` returns them.
        full_ids: the same as the files have them.
        lists: as `read_site_lists` returns them.
    """
    stated = lists[lists["country"].astype("str").str.strip() != ""]
    country = stated.drop_duplicates("site_id", keep="last").set_index("site_id")["country"]
    known = ids.map(country)
    by_id = full_ids.str.fullmatch(r"840.{9}") | (
        ids.str.fullmatch(r"\d{9}") & ids.str[:2].isin(list(_STATES))
    )
    return pd.Series(np.where(known.notna(), known.isin(US_COUNTRIES), by_id), index=ids.index)


def offsets(of_rows: pd.Series, lists: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Decide every site's offset from UTC, in hours, by the rules above.

    Args:
        of_rows: the smallest offset of a site's hourly rows, by site_id; NaN where they have none.
        lists: as `read_site_lists` returns them, oldest first.

    Returns:
        hours by site_id, of the sites that are in a list; and the sites whose stated offset could not be theirs.
    """
    newest = lists.drop_duplicates("site_id", keep="last").set_index("site_id")
    listed = lists[lists["offset"].notna()].drop_duplicates("site_id", keep="last").set_index("site_id")
    ids = of_rows.index[of_rows.index.isin(newest.index)]
    longitude = newest["longitude"].reindex(ids)
    stated = listed["offset"].reindex(ids).fillna(of_rows.reindex(ids))
    # A longitude without its minus is for whoever examines positions; the offset beside it is right.
    away = np.minimum((stated - longitude / 15).abs(), (stated + longitude.abs() / 15).abs())
    wrong = stated.notna() & (away > FARTHEST_HOURS)
    return stated.mask(wrong).fillna((longitude / 15).round()), sorted(ids[wrong])


def positions_of(site_days: pd.DataFrame, lists: pd.DataFrame) -> pd.DataFrame:
    """Add to every site and day the position of its newest list that is not younger, else of its oldest.

    Args:
        site_days: site_id and date, among other columns.
        lists: as `read_site_lists` returns them, oldest first; has every site of `site_days`.

    Returns:
        the same rows, by date, with latitude and longitude.
    """
    left = site_days.astype({"site_id": "str"})
    left = left.assign(listed=left["date"].astype("datetime64[s]")).sort_values("listed", kind="stable")
    right = lists[["site_id", "latitude", "longitude", "listed"]].astype({"listed": "datetime64[s]"})
    right = right.sort_values("listed", kind="stable").astype({"site_id": "str"})
    placed = pd.merge_asof(left, right, on="listed", by="site_id", direction="backward")
    first = right.drop_duplicates("site_id").set_index("site_id")
    for column in ("latitude", "longitude"):
        placed[column] = placed[column].fillna(placed["site_id"].map(first[column]))
    return placed.drop(columns="listed")
