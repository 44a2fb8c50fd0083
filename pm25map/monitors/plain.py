"""A plain table of monitors: site_id, latitude, longitude, date, pm25, as CSV, parquet or GeoParquet."""

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from pm25map.base.errors import BadMonitors
from pm25map.monitors.sites import tell_places_apart
from pm25map.monitors.table import NETWORK, STATUS

COLUMNS = ("site_id", "latitude", "longitude", "date", "pm25")
NETWORK_NAME = "table"
PARAMETER = 88101
"""What a table without a column parameter_code is taken for: PM2.5 as the reference method measures it."""

FIRST_DAY = dt.date(1990, 1, 1)
"""No daily PM2.5 is older; a date before it was misread."""

_NEEDED = (
    f"a table of monitors has the columns {', '.join(COLUMNS)} (ug/m3), and parameter_code where it is known"
)


def is_plain(path: Path) -> bool:
    """Say whether a file is a plain table, by the columns of its header."""
    try:
        if path.suffix.lower() == ".csv":
            names = list(pd.read_csv(path, nrows=0, encoding="utf-8-sig", encoding_errors="replace").columns)
        elif path.suffix.lower() in (".parquet", ".geoparquet"):
            names = pyarrow.parquet.read_schema(path).names
        else:
            return False
    except (OSError, ValueError, pyarrow.ArrowException, pd.errors.ParserError):
        return False
    lowered = {str(name).strip().lower() for name in names}
    return "site_id" in lowered and "date" in lowered


def read_plain(path: Path, today: dt.date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a plain table.

    Args:
        path: .csv, .parquet or .geoparquet.
        today: dates after it are refused.

    Returns:
        sites (site_id, latitude, longitude) and rows (site_id, date, pm25_ugm3, parameter_code, network, status).

    Raises:
        BadMonitors: a column is missing, a field is no number or day (says the line), or a site has two values on a
        day.
    """
    table = _read(path)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise BadMonitors(f"{path} lacks {', '.join(missing)}: {_NEEDED}")
    if table.empty:
        raise BadMonitors(f"{path} has a header and no row: {_NEEDED}")
    rows = pd.DataFrame(
        {
            "site_id": table["site_id"].astype("str").str.strip(),
            "date": _dates(table["date"], path, today),
            "latitude": _numbers(table["latitude"], path, -90, 90),
            "longitude": _numbers(table["longitude"], path, -180, 180),
            "pm25_ugm3": _numbers(table["pm25"], path, -1e4, 1e4),
        }
    )
    codes = table["parameter_code"] if "parameter_code" in table else pd.Series(PARAMETER, index=table.index)
    rows["parameter_code"] = _numbers(codes, path, 0, 99999).astype("int32")
    rows, sites = tell_places_apart(rows)
    rows = rows[["site_id", "date", "pm25_ugm3", "parameter_code"]].drop_duplicates()
    double = rows.duplicated(["site_id", "date"], keep=False)
    if double.any():
        two = rows[double].sort_values(["site_id", "date"], kind="stable").iloc[:2]
        lines = " and ".join(str(int(i) + 2) for i in two.index)
        raise BadMonitors(
            f"{path}, lines {lines}: site {two['site_id'].iloc[0]} has {two['pm25_ugm3'].iloc[0]:g} and "
            f"{two['pm25_ugm3'].iloc[1]:g} ug/m3 on {two['date'].iloc[0]:%Y-%m-%d}: keep one value a site and day"
        )
    return sites, rows.assign(**{NETWORK: NETWORK_NAME, STATUS: "final"})


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".csv":
            table = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig")
        else:
            table = _with_geometry(pd.read_parquet(path), path)
    except (OSError, ValueError, pyarrow.ArrowException, pd.errors.ParserError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadMonitors(f"cannot read {path} ({first}): {_NEEDED}") from error
    return table.rename(columns=lambda name: str(name).strip().lower()).reset_index(drop=True)


def _with_geometry(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Give a GeoParquet table the columns latitude and longitude of its points."""
    if "geometry" not in table or "latitude" in table:
        return table
    import geopandas  # noqa: PLC0415 - takes half a second, and only tables with points need it

    frame = geopandas.read_parquet(path)
    if frame.crs is None or not (frame.geometry.geom_type == "Point").all():
        raise BadMonitors(
            f"{path} must hold points in a stated CRS in its geometry, or latitude and longitude"
        )
    points = frame.to_crs("EPSG:4326").geometry
    return pd.DataFrame(frame.drop(columns="geometry")).assign(latitude=points.y, longitude=points.x)


def _numbers(column: pd.Series, path: Path, low: float, high: float) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce").astype("float64")
    _refuse(column, ~values.between(low, high), path, f"a number from {low:g} to {high:g}")
    return values


def _dates(column: pd.Series, path: Path, today: dt.date) -> pd.Series:
    dates = pd.to_datetime(column, errors="coerce", format=None if column.dtype != "str" else "mixed")
    _refuse(column, dates.isna(), path, "a day as YYYY-MM-DD")
    if dates.dt.tz is not None:
        raise BadMonitors(
            f"{path}: date holds moments with a time zone ({dates.dt.tz}), and must hold local standard days"
        )
    inside = dates.between(pd.Timestamp(FIRST_DAY), pd.Timestamp(today))
    _refuse(column, ~inside, path, f"a day from {FIRST_DAY} to {today}")
    return dates.dt.floor("D").astype("datetime64[ns]")


def _refuse(column: pd.Series, bad: pd.Series, path: Path, wanted: str) -> None:
    if bad.any():
        first = int(bad.to_numpy().argmax())
        raise BadMonitors(
            f"{path}, line {first + 2}: {column.name} is {str(column.iloc[first])[:40]!r}, and must be {wanted}"
        )
