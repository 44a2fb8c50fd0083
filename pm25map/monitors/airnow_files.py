"""AirNow's files, read as they come: hours of all monitors, and lists of where the monitors stand.

Formats: docs.airnowapi.org, fact sheets "Hourly Data File", "Hourly AQ Obs File", "Monitoring Site File". Text is in
the encoding of the agency that wrote it (CP437, Latin-1 or UTF-8), none of which matters to the fields read here.

- HourlyData_YYYYMMDDHH.dat, a row a monitor and parameter: date, time (UTC), site, name, GMT offset, parameter, unit,
  value, source.
- HourlyAQObs_YYYYMMDDHH.dat, a row a site, quoted, with a header: AQSID, Latitude, Longitude, GMTOffset, CountryCode,
  ValidDate, ValidTime, PM25, PM25_Unit and others.
- monitoring_site_locations.dat, a row a site and parameter, no header: the first field is the site, the 9th to 13th are
  latitude, longitude, elevation, GMT offset and country.
- Monitoring_Site_Locations_V2.dat, a row a site and parameter, with a header: FullAQSID, Latitude, Longitude,
  GMTOffset, CountryFIPS and others.
"""

import datetime as dt
import re
from pathlib import Path

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors

HOURLY_DATA = re.compile(r"^HourlyData_(\d{10})\.dat$", re.IGNORECASE)
HOURLY_OBS = re.compile(r"^HourlyAQObs_(\d{10})\.dat$", re.IGNORECASE)
SITES_V1 = "monitoring_site_locations.dat"
SITES_V2 = "monitoring_site_locations_v2.dat"

_HOURLY_FIELDS = 9
_SITE_FIELDS = {0: "airnow_id", 8: "latitude", 9: "longitude", 11: "gmt_offset", 12: "country"}
_PARAMETER, _UNIT = "PM2.5", "UG/M3"
_OBS_COLUMNS = {
    "AQSID": "airnow_id",
    "Latitude": "latitude",
    "Longitude": "longitude",
    "GMTOffset": "gmt_offset",
    "CountryCode": "country",
    "ValidDate": "date",
    "ValidTime": "time",
    "PM25": "pm25_ugm3",
    "PM25_Unit": "unit",
}
_V2_COLUMNS = {
    "FullAQSID": "airnow_id",
    "Latitude": "latitude",
    "Longitude": "longitude",
    "GMTOffset": "gmt_offset",
    "CountryFIPS": "country",
}

HOUR_COLUMNS = ["airnow_id", "hour", "pm25_ugm3", "gmt_offset"]
SITE_COLUMNS = ["airnow_id", "latitude", "longitude", "gmt_offset", "country"]


def is_airnow(path: Path) -> bool:
    """Say whether a file has one of the names that AirNow gives, or a folder holds such a file."""
    if path.is_dir():
        return any(is_airnow(inside) for inside in path.iterdir() if inside.is_file())
    return bool(stamp_of(path)) or path.name.lower() in (SITES_V1, SITES_V2)


def stamp_of(path: Path) -> dt.datetime | None:
    """Return the hour (UTC) that an hourly file is named after; None for a file that is none."""
    match = HOURLY_DATA.match(path.name) or HOURLY_OBS.match(path.name)
    if match is None:
        return None
    try:
        return dt.datetime.strptime(match[1], "%Y%m%d%H").replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def read_hours(path: Path) -> pd.DataFrame:
    """Read PM2.5 of one hourly file.

    Returns:
        airnow_id (as in the file), hour (datetime64, UTC, as stamped), pm25_ugm3 (float64, as in the file), gmt_offset
        (hours); of an HourlyAQObs file latitude, longitude and country too.

    Raises:
        BadMonitors: the file is cut off, holds another hour than its name says, or another unit.
    """
    stamp = stamp_of(path)
    if stamp is None:
        raise BadMonitors(f"{path} is not named after an hour, as HourlyData_2024041700.dat is")
    rows = _read_obs(path) if HOURLY_OBS.match(path.name) else _read_data(path)
    moment = pd.to_datetime(rows["date"] + " " + rows["time"], format="mixed", errors="coerce")
    # Where local time is half an hour off, an hour begins half an hour after the file's.
    wrong = (moment.dt.floor("h") != stamp.replace(tzinfo=None)).to_numpy()
    if wrong.any():
        row = rows[wrong].iloc[0]
        raise BadMonitors(
            f"{path}, line {int(row['line'])}: the hour is {row['date']} {row['time']}, and the file is named after "
            f"{stamp:%Y-%m-%d %H}:00 UTC. Get the file again from AirNow"
        )
    return rows.assign(hour=moment.astype("datetime64[s]")).drop(columns=["date", "time", "line"])


def _read_data(path: Path) -> pd.DataFrame:
    """Read the PM2.5 rows of an HourlyData file; a last line that is cut off is refused."""
    lines = path.read_bytes().decode("latin-1").split("\n")
    if lines[-1].strip():
        raise BadMonitors(
            f"{path}, line {len(lines)}: the file ends in the middle of a line. Get it again from AirNow"
        )
    numbered = [(i, line.rstrip("\r").split("|")) for i, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise BadMonitors(f"{path} is empty: get it again from AirNow")
    short = next((i for i, fields in numbered if len(fields) != _HOURLY_FIELDS), None)
    if short is not None:
        raise BadMonitors(
            f"{path}, line {short}: not {_HOURLY_FIELDS} fields. Get the file again from AirNow"
        )
    wanted = [(i, *fields) for i, fields in numbered if fields[5].strip().upper() == _PARAMETER]
    names = [
        "line",
        "date",
        "time",
        "airnow_id",
        "name",
        "gmt_offset",
        "parameter",
        "unit",
        "value",
        "source",
    ]
    rows = pd.DataFrame(wanted, columns=names, dtype=object)
    _check_unit(rows, path)
    return pd.DataFrame(
        {
            "line": rows["line"].astype("int64"),
            "date": rows["date"].astype("str"),
            "time": rows["time"].astype("str"),
            "airnow_id": rows["airnow_id"].astype("str").str.strip(),
            "gmt_offset": pd.to_numeric(rows["gmt_offset"], errors="coerce").astype("float64"),
            "pm25_ugm3": _numbers(rows, "value", path),
        }
    )


def _read_obs(path: Path) -> pd.DataFrame:
    """Read the sites of an HourlyAQObs file that have PM2.5."""
    try:
        rows = pd.read_csv(
            path, dtype="str", keep_default_na=False, encoding="latin-1", usecols=list(_OBS_COLUMNS)
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise BadMonitors(f"cannot read {path} ({error}): get it again from AirNow") from error
    rows = rows.rename(columns=_OBS_COLUMNS).assign(line=np.arange(len(rows)) + 2)
    rows = rows[rows["pm25_ugm3"].str.strip() != ""]
    _check_unit(rows, path)
    return rows.assign(
        pm25_ugm3=_numbers(rows, "pm25_ugm3", path),
        airnow_id=rows["airnow_id"].str.strip(),
        **{
            name: pd.to_numeric(rows[name], errors="coerce").astype("float64")
            for name in ("latitude", "longitude", "gmt_offset")
        },
    ).drop(columns="unit")


def read_sites(path: Path) -> pd.DataFrame:
    """Read a list of sites, of either version.

    Returns:
        airnow_id, latitude, longitude (degrees, NaN where the list has none), gmt_offset (hours), country.

    Raises:
        BadMonitors: the list is empty or has other columns.
    """
    second = path.name.lower() == SITES_V2
    try:
        if second:
            rows = pd.read_csv(
                path, sep="|", dtype="str", keep_default_na=False, encoding="latin-1", quoting=3,
                usecols=list(_V2_COLUMNS), encoding_errors="replace",
            ).rename(columns=_V2_COLUMNS)  # fmt: skip
        else:
            rows = pd.read_csv(
                path, sep="|", dtype="str", keep_default_na=False, encoding="latin-1", quoting=3, header=None,
                usecols=list(_SITE_FIELDS),
            ).rename(columns=_SITE_FIELDS)  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise BadMonitors(
            f"cannot read the list of sites {path} ({error}): get it again from AirNow"
        ) from error
    numbers = {
        name: pd.to_numeric(rows[name], errors="coerce").astype("float64")
        for name in ("latitude", "longitude", "gmt_offset")
    }
    return rows.assign(airnow_id=rows["airnow_id"].str.strip(), **numbers)[SITE_COLUMNS]


def _check_unit(rows: pd.DataFrame, path: Path) -> None:
    other = ~rows["unit"].astype("str").str.strip().str.upper().isin([_UNIT])
    if other.any():
        row = rows[other].iloc[0]
        raise BadMonitors(
            f"{path}, line {int(row['line'])}: PM2.5 of site {row['airnow_id']} is in {row['unit']!r}, and must be in "
            f"{_UNIT}. Leave the site out of the file"
        )


def _numbers(rows: pd.DataFrame, column: str, path: Path) -> pd.Series:
    values = pd.to_numeric(rows[column], errors="coerce").astype("float64")
    bad = values.isna().to_numpy()
    if bad.any():
        row = rows[bad].iloc[0]
        raise BadMonitors(
            f"{path}, line {int(row['line'])}: PM2.5 of site {row['airnow_id']} is {row[column]!r}, no number. Get the "
            "file again from AirNow"
        )
    return values
