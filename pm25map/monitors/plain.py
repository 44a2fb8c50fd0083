"""A plain table of monitors: one row a site and day, as CSV, parquet or GeoParquet.

Columns: site_id, latitude, longitude (degrees, WGS84), date (local standard day), pm25 (ug m-3); in GeoParquet
a geometry of points in place of latitude and longitude. parameter_code (88101 if absent), network, hours
and status may be there; others are not read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from pm25map.base.errors import BadMonitors
from pm25map.monitors.choose import PARAMETERS
from pm25map.monitors.parquet import parquet_errors
from pm25map.monitors.table import constant_column

COLUMNS = ["site_id", "latitude", "longitude", "date", "pm25"]
NEEDED = "site_id, latitude, longitude, date, pm25 (ug/m3, one row a site and day)"
_ALSO = ["parameter_code", "network", "hours", "status"]
_NAMES = {"pm25_ugm3": "pm25", "pm2.5": "pm25", "units": "unit"}
_UNITS = {"ug/m3", "ug m-3", "ug/m^3", "micrograms/cubic meter", "micrograms/cubic meter (lc)"}
_MISSING = {"", "na", "nan", "null", "none"}
NETWORK = "table"
"""The network of a row that names none."""


def is_plain(header: list[str]) -> bool:
    """Return whether the columns are those of a plain table, or are meant to be."""
    return len({_name(column) for column in header} & {*COLUMNS, "geometry"}) >= 2


def read_plain_csv(handle: IO[bytes], name: str) -> Iterator[pd.DataFrame]:
    """Read a plain table from CSV, in one frame; see `read_plain_parquet`."""
    try:
        table = pd.read_csv(
            handle,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",
            encoding_errors="replace",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadMonitors(
            f"cannot read {name}: {error}. Every row needs as many fields as the header"
        ) from error
    if not isinstance(table.index, pd.RangeIndex):
        # Rows one field longer than the header, as decimal commas make them: pandas took the first for an index.
        raise BadMonitors(
            f"{name}: its rows have more fields than its header. Write numbers with a decimal point"
        )
    table = table.fillna("").apply(lambda column: column.str.strip())
    table.index = table.index + 2  # lines: the header is the first
    yield _rows(table[(table != "").any(axis=1)], name)


def read_plain_parquet(path: Path) -> pd.DataFrame:
    """Read a plain table from parquet or GeoParquet.

    Returns:
        site_id (category), parameter_code, latitude, longitude, date, pm25_ugm3 (float64, NaN for none), network,
        file, line (of parquet the number of the row, from 1); and hours and status if there.

    Raises:
        BadMonitors: a column is missing or holds what cannot be read (says the line), the unit is another, a date
            has a time zone, or one site and day has two values.
    """
    with parquet_errors(path):
        schema = pyarrow.parquet.read_schema(path)
        if b"geo" in (schema.metadata or {}):
            import geopandas  # noqa: PLC0415 - slow to import, and only GeoParquet needs it

            table = _with_degrees(geopandas.read_parquet(path), str(path))
        else:
            table = pd.read_parquet(path)
    table = table.reset_index(drop=True)
    table.index = table.index + 1
    return _rows(table, str(path))


def _with_degrees(table: "pd.DataFrame", name: str) -> pd.DataFrame:
    """Put the points of a GeoParquet into columns latitude and longitude, degrees (WGS84)."""
    geometry = table.geometry
    if geometry.crs is None:
        raise BadMonitors(f"{name}: its geometry has no CRS. Write it again with one, such as EPSG:4326")
    bad = ~(geometry.geom_type == "Point").to_numpy() | geometry.is_empty.to_numpy()
    if bad.any():
        raise BadMonitors(
            f"{name}, line {int(np.argmax(bad)) + 1}: its geometry is no point. Monitors are points"
        )
    points = geometry.to_crs("EPSG:4326")
    plain = pd.DataFrame(table.drop(columns=[geometry.name, "latitude", "longitude"], errors="ignore"))
    return plain.assign(latitude=points.y.to_numpy(), longitude=points.x.to_numpy())


def _rows(table: pd.DataFrame, name: str) -> pd.DataFrame:
    table = table.rename(columns=_name)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise BadMonitors(
            f"{name} lacks the columns {', '.join(missing)}: a table of monitors needs {NEEDED}"
        )
    double = table.columns[table.columns.duplicated()]
    if len(double):
        raise BadMonitors(f"{name} has the column {double[0]} twice: keep one of them")
    if table.empty:
        raise BadMonitors(f"{name} holds no row, only its header: give a table with observations")
    _check_units(table, name)
    rows = pd.DataFrame(
        {
            "site_id": _site_ids(table, name),
            "parameter_code": _codes(table, name),
            "latitude": _numbers(table, "latitude", name, 90.0),
            "longitude": _numbers(table, "longitude", name, 180.0),
            "date": _dates(table, name),
            "pm25_ugm3": _numbers(table, "pm25", name),
            "network": _texts(table, "network", NETWORK),
        }
    )
    if "hours" in table:
        rows["hours"] = _numbers(table, "hours", name).astype("float32")
    if "status" in table:
        rows["status"] = _texts(table, "status", "")
    rows["file"] = constant_column(name, len(rows))
    rows["line"] = table.index.to_numpy(np.int32)
    rows = rows.reset_index(drop=True)
    rows.attrs["rows_read"] = len(rows)
    return rows


def one_value_a_site_and_day(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Drop rows that repeat a site, day and parameter with the same value; return the others and the number dropped.

    Raises:
        BadMonitors: two rows of a site, day and parameter hold different values.
    """
    key = ["site_id", "parameter_code", "date"]
    again = rows.duplicated(key, keep=False)
    if not again.any():
        return rows, 0
    pairs = rows[again].sort_values(key, kind="stable")
    first = pairs.groupby(key, observed=True)[["pm25_ugm3", "file", "line"]].transform("first")
    value, other = pairs["pm25_ugm3"], first["pm25_ugm3"]
    differs = ((value != other) & ~(value.isna() & other.isna())).to_numpy()
    if differs.any():
        row, before = pairs.iloc[int(np.argmax(differs))], first.iloc[int(np.argmax(differs))]
        raise BadMonitors(
            f"site {row['site_id']} has two values on {row['date']:%Y-%m-%d} ({row['parameter_code']}): "
            f"{before['pm25_ugm3']:g} ({before['file']}, line {int(before['line'])}) and {row['pm25_ugm3']:g} "
            f"({row['file']}, line {int(row['line'])}). Keep the right one"
        )
    kept = rows.drop_duplicates(key)
    return kept, len(rows) - len(kept)


def _name(column: object) -> str:
    plain = str(column).strip().lower()
    return _NAMES.get(plain, plain)


def _check_units(table: pd.DataFrame, name: str) -> None:
    if "unit" not in table:
        return
    unit = table["unit"].astype(str).str.strip().str.lower()
    unit = unit.str.replace("[µμ]", "u", regex=True).str.replace("³", "3", regex=False)
    bad = ~unit.isin(_UNITS)
    if bad.any():
        raise _bad_field(table, "unit", name, bad, "ug/m3")


def _site_ids(table: pd.DataFrame, name: str) -> pd.Series:
    """Read the ids as text; AQS ids whose leading zero a spreadsheet ate get it back."""
    ids = table["site_id"]
    if pd.api.types.is_float_dtype(ids) and ids.notna().all():
        ids = ids.astype("int64")
    text = ids.astype(str).str.strip()
    bad = ids.isna() | text.str.lower().isin(_MISSING)
    if bad.any():
        raise _bad_field(table, "site_id", name, bad, "the number or name of a site")
    if text.str.fullmatch(r"\d{8,9}").all():
        text = text.str.zfill(9)
    return text.astype("category")


def _codes(table: pd.DataFrame, name: str) -> pd.Series:
    if "parameter_code" not in table:
        return pd.Series(np.int32(PARAMETERS[0]), index=table.index)
    codes = _numbers(table, "parameter_code", name)
    bad = ~(codes % 1 == 0)
    if bad.any():
        raise _bad_field(table, "parameter_code", name, bad, "an AQS code such as 88101")
    return codes.astype("int32")


def _texts(table: pd.DataFrame, column: str, absent: str) -> pd.Series:
    if column not in table:
        return pd.Series(constant_column(absent, len(table)), index=table.index)
    text = table[column].astype("object").where(table[column].notna(), absent).astype(str).str.strip()
    return text.where(text != "", absent).astype("category")


def _numbers(table: pd.DataFrame, column: str, name: str, largest: float | None = None) -> pd.Series:
    """Read numbers as float64; what is no number is an error, what is empty is NaN, which positions may not be."""
    text = table[column]
    values = pd.to_numeric(text, errors="coerce").astype("float64")
    empty = text.isna() | text.astype(str).str.lower().isin(_MISSING) if values.isna().any() else False
    if largest is not None:
        bad = ~values.abs().le(largest)
        wanted = f"a number of degrees from -{largest:g} to {largest:g}"
    else:
        bad, wanted = values.isna() & ~pd.Series(empty, index=table.index), "a number"
    if bad.any():
        raise _bad_field(table, column, name, bad, wanted)
    return values


def _dates(table: pd.DataFrame, name: str) -> pd.Series:
    dates = table["date"]
    wanted = "a day as YYYY-MM-DD, the local standard day of the site, without hours and time zone"
    if pd.api.types.is_numeric_dtype(dates):
        raise _bad_field(table, "date", name, pd.Series(True, index=table.index), wanted)
    if isinstance(dates.dtype, pd.DatetimeTZDtype):
        raise BadMonitors(f"{name}: its dates have the time zone {dates.dt.tz}. Each must be {wanted}")
    if pd.api.types.is_datetime64_any_dtype(dates):
        days = dates
    else:
        text = dates.astype(str).str.strip().str.replace(r"[T ]00:00(:00(\.0+)?)?$", "", regex=True)
        days = pd.to_datetime(text, format="%Y-%m-%d", errors="coerce")
    bad = days.isna() | (days != days.dt.normalize())
    if bad.any():
        raise _bad_field(table, "date", name, bad, wanted)
    return days


def _bad_field(table: pd.DataFrame, column: str, name: str, bad: pd.Series, wanted: str) -> BadMonitors:
    number = int(np.argmax(bad))
    site = f" (site {table['site_id'].iloc[number]})" if column != "site_id" else ""
    text = " ".join(str(table[column].iloc[number]).split())[:40]
    return BadMonitors(
        f"{name}, line {int(table.index[number])}{site}: {column} is {text!r}, and must be {wanted}"
    )
