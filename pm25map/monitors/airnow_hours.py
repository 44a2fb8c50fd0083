"""AirNow's hourly values of PM2.5: HourlyData (pipes), HourlyAQObs (CSV) and a parquet table of the same.

HourlyData has no header and nine fields a row: date (MM/DD/YY), time (HH:MM, UTC, the beginning of the hour), AQSID,
site name, GMT offset, parameter, unit, value, agency; rows of every parameter of every site. HourlyAQObs has a header
and a row a site, with its position. Zones with a fraction have stamps such as 12:30 in the file of 12.
"""

import datetime as dt
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
from pandas.api.typing import NaTType
from pyarrow import csv as arrow_csv

from pm25map.base.errors import BadMonitors
from pm25map.base.files import sha256_of_bytes
from pm25map.monitors.airnow_files import GET_AGAIN, SourceFile, whole_lines
from pm25map.monitors.parquet import read_columns

UNIT = "UG/M3"
PARAMETER = "PM2.5"
FIELDS = ["date", "time", "aqsid", "site", "offset", "parameter", "unit", "value", "agency"]
HOUR_COLUMNS = ["utc", "aqsid", "value", "offset", "file"]

_OBSERVATION_COLUMNS = {
    "AQSID": "aqsid", "Latitude": "latitude", "Longitude": "longitude", "GMTOffset": "offset",
    "CountryCode": "country", "ValidDate": "date", "ValidTime": "time", "PM25": "value", "PM25_Unit": "unit",
}  # fmt: skip
_TABLE_COLUMNS = ["utc", "aqsid", "value", "gmt", "unit"]

Locate = Callable[[int], str]
"""Returns the file and line of a row, for an error."""


@dataclass
class Hours:
    """Hourly values as the files have them.

    Attributes:
        rows: utc (datetime64[s]), aqsid (as in the file), value (ug m-3, NaN where blank), offset (hours, NaN where
            unknown), file (number in `files`). Rows of HourlyData come first.
        positions: aqsid, latitude, longitude, offset, country, listed (datetime64[s]) of HourlyAQObs.
        files: every hour's file; of a table, every hour's rows.
    """

    rows: pd.DataFrame
    positions: pd.DataFrame
    files: list[SourceFile] = field(default_factory=list)


def read_hours(
    hourly: dict[dt.datetime, list[Path]], tables: list[Path], wanted: set[dt.datetime] | None
) -> Hours:
    """Read the hours that are wanted, all of them where None.

    Args:
        hourly: files by hour (UTC).
        tables: parquet tables.
        wanted: hours by their beginning (UTC).

    Raises:
        BadMonitors: a file is truncated, of another hour or not readable (says the line).
    """
    files: list[SourceFile] = []
    chosen = {hour: paths for hour, paths in hourly.items() if wanted is None or hour in wanted}
    pipes = [(h, p) for h, paths in chosen.items() for p in paths if p.name.startswith("HourlyData_")]
    commas = [(h, p) for h, paths in chosen.items() for p in paths if not p.name.startswith("HourlyData_")]
    parts = [_read_data(pipes, files)] if pipes else []
    positions = []
    for hour, path in commas:
        rows, places = _read_observations(hour, path, files)
        parts.append(rows)
        positions.append(places)
    parts += [_read_table(path, wanted, files) for path in tables]
    nothing = pd.DataFrame({column: [] for column in HOUR_COLUMNS})
    where = pd.DataFrame({c: [] for c in ["aqsid", "latitude", "longitude", "offset", "country", "listed"]})
    return Hours(
        pd.concat(parts, ignore_index=True) if parts else nothing,
        pd.concat(positions, ignore_index=True) if positions else where,
        files,
    )


def _read_data(hourly: list[tuple[dt.datetime, Path]], files: list[SourceFile]) -> pd.DataFrame:
    """Read HourlyData files, all in one parse: only lines of PM2.5 reach the parser."""
    kept: list[bytes] = []
    first_rows, first_file = [], len(files)
    for _, path in hourly:
        body = path.read_bytes()
        lines = whole_lines(path, body)
        if body.count(b"|") != (len(FIELDS) - 1) * len(lines):
            _check_lines(path, lines)
        files.append(SourceFile(path.name, sha256_of_bytes(body)))
        first_rows.append(len(kept))
        kept += [line for line in lines if b"|PM2.5|" in line]
    numbers = np.searchsorted(first_rows, np.arange(len(kept)), side="right") - 1  # (row,) file of each

    def locate(row: int) -> str:
        number = int(numbers[row])
        lines = hourly[number][1].read_bytes().splitlines()
        measured = [i for i, line in enumerate(lines, 1) if b"|PM2.5|" in line]
        return f"{hourly[number][1]}, line {measured[row - first_rows[number]]}"

    if not kept:
        return pd.DataFrame({column: [] for column in HOUR_COLUMNS})
    text = _parse(
        b"\n".join(kept),
        str(hourly[0][1].parent),
        arrow_csv.ReadOptions(column_names=FIELDS),
        arrow_csv.ParseOptions(delimiter="|", quote_char=False),
        [name for name in FIELDS if name not in ("site", "agency")],
    )
    text = text[text["parameter"] == PARAMETER]
    hours = np.array([hour.replace(tzinfo=None) for hour, _ in hourly], dtype="datetime64[s]")
    rows = _checked(text, hours[numbers[text.index]], locate)
    return rows.assign(file=first_file + numbers[text.index])[HOUR_COLUMNS]


def _check_lines(path: Path, lines: list[bytes]) -> None:
    """Refuse a file in which a line has more or fewer than nine fields.

    Raises:
        BadMonitors: there is such a line (says which).
    """
    for number, line in enumerate(lines, 1):
        count = line.count(b"|") + 1
        if line.strip() and count != len(FIELDS):
            raise BadMonitors(f"{path}, line {number}: it has {count} of {len(FIELDS)} fields; {GET_AGAIN}")


def _read_observations(
    hour: dt.datetime, path: Path, files: list[SourceFile]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read one HourlyAQObs file: its rows with PM2.5, and the positions of all its sites."""
    body = path.read_bytes()
    whole_lines(path, body)
    options = arrow_csv.ReadOptions(encoding="latin-1")
    text = _parse(body, str(path), options, arrow_csv.ParseOptions(), list(_OBSERVATION_COLUMNS))
    text = text.rename(columns=_OBSERVATION_COLUMNS)
    number = len(files)
    files.append(SourceFile(path.name, sha256_of_bytes(body)))
    listed = hour.replace(tzinfo=None)
    places = text[["aqsid", "latitude", "longitude", "offset", "country"]].assign(
        latitude=pd.to_numeric(text["latitude"], errors="coerce"),
        longitude=pd.to_numeric(text["longitude"], errors="coerce"),
        offset=pd.to_numeric(text["offset"], errors="coerce"),
        listed=np.datetime64(listed, "s"),
    )
    measured = text[text["value"].str.strip() != ""]
    hours = np.full(len(measured), np.datetime64(listed, "s"))
    rows = _checked(measured, hours, lambda row: f"{path}, line {row + 2}")
    return rows.assign(file=number)[HOUR_COLUMNS], places


def _read_table(path: Path, wanted: set[dt.datetime] | None, files: list[SourceFile]) -> pd.DataFrame:
    """Read a parquet table with the columns utc, aqsid, value, gmt, unit: one row a site and hour."""
    table = read_columns(path, _TABLE_COLUMNS)
    if not pd.api.types.is_datetime64_any_dtype(table["utc"]):
        raise BadMonitors(f"{path}: utc holds {table['utc'].dtype}, and must hold times (UTC)")
    other = table["unit"].astype("str").str.upper() != UNIT
    if other.any():
        raise BadMonitors(f"{path}: a unit is {table['unit'][other].iloc[0]!r}, and must be {UNIT}")
    if table["utc"].dt.tz is not None:
        table = table.assign(utc=table["utc"].dt.tz_convert("UTC").dt.tz_localize(None))
    stamps = table["utc"].astype("datetime64[s]")
    hours = stamps.dt.floor("h")
    if wanted is not None:
        inside = hours.isin([np.datetime64(hour.replace(tzinfo=None), "s") for hour in wanted])
        table, stamps, hours = table[inside], stamps[inside], hours[inside]
    rows = pd.DataFrame(
        {
            "utc": stamps,
            "aqsid": table["aqsid"].astype("str"),
            "value": pd.to_numeric(table["value"], errors="coerce").astype("float64"),
            "offset": pd.to_numeric(table["gmt"], errors="coerce").astype("float64"),
        }
    )
    order = np.lexsort((rows["aqsid"].to_numpy(), hours.to_numpy()))
    rows, hours = rows.iloc[order], hours.iloc[order]
    names, starts = np.unique(hours.to_numpy(), return_index=True)
    first_file = len(files)
    for name, part in zip(names, np.split(np.arange(len(rows)), starts[1:]), strict=False):
        block = rows.iloc[part]
        # Of a table that grows by a day, the other days' hours stay what they were.
        digest = sha256_of_bytes(
            "\n".join(block["aqsid"]).encode(),
            block["value"].to_numpy("<f8").tobytes(),
            block["utc"].to_numpy("datetime64[s]").astype("<i8").tobytes(),
        )
        files.append(SourceFile(f"{path.name}, {np.datetime_as_string(name, unit='h')}", digest))
    numbers = first_file + np.searchsorted(names, hours.to_numpy())
    return rows.assign(file=numbers).reset_index(drop=True)[HOUR_COLUMNS]


def _parse(
    body: bytes,
    name: str,
    reading: arrow_csv.ReadOptions,
    parsing: arrow_csv.ParseOptions,
    columns: list[str],
) -> pd.DataFrame:
    converting = arrow_csv.ConvertOptions(
        include_columns=columns,
        column_types=dict.fromkeys(columns, pyarrow.string()),
        strings_can_be_null=False,
    )
    try:
        table = arrow_csv.read_csv(io.BytesIO(body), reading, parsing, converting)
    except KeyError as error:
        raise BadMonitors(
            f"{name} lacks the columns of HourlyAQObs ({error}): get AirNow's file again"
        ) from error
    except pyarrow.ArrowException as error:
        raise BadMonitors(f"cannot read {name}: {str(error).splitlines()[0]}. {GET_AGAIN}") from error
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _checked(text: pd.DataFrame, hours: np.ndarray, locate: Locate) -> pd.DataFrame:
    """Turn fields into times and numbers.

    Args:
        text: date, time, aqsid, offset, unit, value as text; its index counts rows for `locate`.
        hours: (row,) datetime64[s], the hour of the row's file.
        locate: returns the file and line of a row.

    Raises:
        BadMonitors: a row is of another hour or unit, or its value is no number (says the line).
    """

    def refuse(bad: pd.Series, column: str, must: str) -> None:
        if bad.any():
            row = int(text.index[int(np.argmax(bad))])
            value = str(text.loc[row, column])[:40]
            raise BadMonitors(f"{locate(row)}: {column} is {value!r}, and must be {must}; {GET_AGAIN}")

    values = text["value"].str.strip()
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    refuse(numbers.isna() & (values != ""), "value", "a number or blank")
    refuse(text["unit"].str.upper() != UNIT, "unit", UNIT)
    stamps = text["date"].str.cat(text["time"], sep=" ")
    utc = stamps.map({stamp: _time(stamp) for stamp in stamps.unique()}).astype("datetime64[s]")
    other = utc.dt.floor("h").to_numpy() != hours
    if other.any():
        at = int(np.argmax(other))
        refuse(
            pd.Series(other, index=text.index),
            "date",
            f"of the hour that the file is named by, {np.datetime_as_string(hours[at], unit='h')} UTC",
        )
    return pd.DataFrame(
        {
            "utc": utc,
            "aqsid": text["aqsid"].str.strip(),
            "value": numbers,
            "offset": pd.to_numeric(text["offset"], errors="coerce").astype("float64"),
        }
    )


def _time(stamp: str) -> pd.Timestamp | NaTType:
    """Read MM/DD/YY HH:MM, as in HourlyData, or MM/DD/YYYY HH:MM, as in HourlyAQObs; NaT where it is neither."""
    form = "%m/%d/%Y %H:%M" if len(stamp.split(" ", 1)[0]) == 10 else "%m/%d/%y %H:%M"
    return pd.to_datetime(stamp, format=form, errors="coerce")
