"""EPA's daily files (daily_88101_YYYY.csv, official column names) read row by row, with every field checked.

The format: https://aqs.epa.gov/aqsweb/airdata/FileFormats.html#_daily_summary_files
"""

import re
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.monitors.table import constant_column

_TEXT = [
    "State Code",
    "County Code",
    "Site Num",
    "Datum",
    "Sample Duration",
    "Units of Measure",
    "Event Type",
]
_NUMBERS = ["Parameter Code", "POC", "Latitude", "Longitude", "Observation Percent", "Arithmetic Mean"]
COLUMNS = [*_TEXT, *_NUMBERS, "Date Local"]
"""What a file must hold; other columns may be there."""

OPTIONAL = ["Pollutant Standard", "Date of Last Change"]

UNITS = "Micrograms/cubic meter (LC)"
"""ug m-3 at local conditions, the only unit of 88101 and 88502."""

EVENTS = {
    "": "none",
    "none": "none",
    "no events": "none",
    "included": "included",
    "events included": "included",
    "excluded": "excluded",
    "events excluded": "excluded",
    "concurred events excluded": "concurred",
}
"""Event Type as EPA has written it over the years."""

DURATIONS = ("24 HOUR", "24-HR BLK AVG", "1 HOUR")
"""Sample Duration, best first: a 24-hour sample, EPA's mean of the day, the bare mean of the hours."""

CHUNK_ROWS = 200_000


def is_daily_file(header: list[str]) -> bool:
    """Return whether the columns are those of EPA's daily files, or are meant to be."""
    return len({_official(column) for column in header} & set(COLUMNS)) >= 3


def read_rows(handle: IO[bytes], name: str, parameters: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Read the rows of some parameters from one daily file, a chunk at a time.

    Args:
        handle: the CSV file, in bytes.
        name: what to call the file in an error.
        parameters: AQS parameter codes to keep.

    Yields:
        site_id, parameter_code, poc, latitude, longitude, datum, duration (number in DURATIONS), standard,
        date, event, percent, pm25_ugm3, changed, file, line. The attribute `rows_read` of the frame counts all
        rows.

    Raises:
        BadMonitors: columns are missing, a field cannot be read (says the line), or the unit is another.
    """
    try:
        chunks = pd.read_csv(
            handle,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            chunksize=CHUNK_ROWS,
            encoding="utf-8-sig",
            encoding_errors="replace",
        )
        for chunk in chunks:
            if not isinstance(chunk.index, pd.RangeIndex):
                # Rows one field longer than the header: pandas took the first column for an index.
                raise BadMonitors(
                    f"{name}: its rows have more fields than its header. Get the file again from EPA"
                )
            yield _checked(chunk.rename(columns=_official), name, parameters)
    except pd.errors.EmptyDataError as error:
        raise BadMonitors(f"{name} is empty: get the file again from EPA") from error
    except pd.errors.ParserError as error:
        raise BadMonitors(f"cannot read {name}: {error}. Get the file again from EPA") from error


def _official(column: str) -> str:
    """Return a column's official name; R writes State.Code for "State Code"."""
    return column.strip().replace(".", " ")


def _checked(chunk: pd.DataFrame, name: str, parameters: tuple[int, ...]) -> pd.DataFrame:
    missing = [column for column in COLUMNS if column not in chunk]
    if missing:
        raise BadMonitors(
            f"{name} lacks the columns {', '.join(missing)}: give one of EPA's daily files with its header"
        )
    # All columns were parsed so that a row with too many fields is an error; only these are kept.
    chunk = chunk[[column for column in (*COLUMNS, *OPTIONAL) if column in chunk]]
    chunk = chunk.fillna("").apply(lambda column: column.str.strip())
    chunk = chunk[(chunk != "").any(axis=1)]
    rows_read = len(chunk)
    codes = _numbers(chunk, "Parameter Code", name)
    chunk = chunk[codes.isin(parameters)]
    rows = pd.DataFrame(
        {
            "site_id": _site_ids(chunk, name),
            "parameter_code": codes.loc[chunk.index].astype("int32"),
            "poc": _numbers(chunk, "POC", name).astype("int32"),
            "latitude": _numbers(chunk, "Latitude", name, -90, 90),
            "longitude": _numbers(chunk, "Longitude", name, -180, 180),
            "datum": chunk["Datum"].str.upper().astype("category"),
            "duration": _known(
                chunk, "Sample Duration", name, {d.lower(): i for i, d in enumerate(DURATIONS)}
            ),
            "standard": _column(chunk, "Pollutant Standard").astype("category"),
            "date": _dates(chunk, name),
            "event": _known(chunk, "Event Type", name, EVENTS).astype("category"),
            "percent": _numbers(chunk, "Observation Percent", name, 0).astype("float32"),
            "pm25_ugm3": _numbers(chunk, "Arithmetic Mean", name),
            "changed": _column(chunk, "Date of Last Change").astype("category"),
            "file": constant_column(name, len(chunk)),
            # The index counts data rows over all chunks from 0; the header is line 1.
            "line": (chunk.index + 2).astype("int32"),
        },
        index=chunk.index,
    )
    _known(chunk, "Units of Measure", name, {UNITS.lower(): 0})
    rows.attrs["rows_read"] = rows_read
    return rows


def _column(chunk: pd.DataFrame, column: str) -> pd.Series:
    return chunk[column] if column in chunk else pd.Series("", index=chunk.index)


def _numbers(
    chunk: pd.DataFrame, column: str, name: str, low: float = -np.inf, high: float = np.inf
) -> pd.Series:
    values = pd.to_numeric(chunk[column], errors="coerce").astype("float64")
    bad = ~(values.between(low, high) & (values.abs() < np.inf))
    if bad.any():
        span = f" from {low:g} to {high:g}" if np.isfinite(high) else f" from {low:g} up"
        raise _bad_field(chunk, column, name, bad, "a number" + (span if np.isfinite(low) else ""))
    return values


def _dates(chunk: pd.DataFrame, name: str) -> pd.Series:
    dates = pd.to_datetime(chunk["Date Local"], format="%Y-%m-%d", errors="coerce")
    if dates.isna().any():
        raise _bad_field(chunk, "Date Local", name, dates.isna(), "a day as YYYY-MM-DD")
    return dates


def _known(chunk: pd.DataFrame, column: str, name: str, meaning: dict[str, Any]) -> pd.Series:
    text = chunk[column].str.lower()
    bad = ~text.isin(list(meaning))
    if bad.any():
        raise _bad_field(chunk, column, name, bad, " or ".join(repr(word) for word in meaning if word))
    return text.map(meaning)


def _site_ids(chunk: pd.DataFrame, name: str) -> pd.Series:
    """Join state, county and site to nine characters; leading zeros that a spreadsheet ate come back."""
    parts = []
    for column, length in (("State Code", 2), ("County Code", 3), ("Site Num", 4)):
        # The state of a Canadian site is CC.
        bad = ~chunk[column].str.fullmatch(rf"\d{{1,{length}}}" + ("|CC" if column == "State Code" else ""))
        if bad.any():
            raise _bad_field(chunk, column, name, bad, f"a code of {length} digits")
        parts.append(chunk[column].str.zfill(length))
    return parts[0] + parts[1] + parts[2]


def _bad_field(chunk: pd.DataFrame, column: str, name: str, bad: pd.Series, wanted: str) -> BadMonitors:
    first = int(np.argmax(bad))
    text = re.sub(r"\s+", " ", str(chunk[column].iloc[first]))[:40]
    row = chunk.iloc[first]
    site = "-".join(row[["State Code", "County Code", "Site Num"]])
    return BadMonitors(
        f"{name}, line {int(chunk.index[first]) + 2}: {column} is {text!r}, and must be {wanted} "
        f"(site {site}, {row['Date Local']})"
    )
