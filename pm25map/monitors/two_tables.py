"""The two parquet tables of this package: pm25_daily.parquet with sites.parquet in one folder."""

from pathlib import Path

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.monitors.parquet import read_columns
from pm25map.monitors.table import OBSERVATION_COLUMNS, OPTIONAL_COLUMNS, SITE_COLUMNS, constant_column

OBSERVATIONS_FILE = "pm25_daily.parquet"
SITES_FILE = "sites.parquet"


def read_two_tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read observations and sites.

    Args:
        folder: holds both files.

    Returns:
        the observations: site_id (category), date, pm25_ugm3, parameter_code, network, file, line (number of the
        row, from 1), and those of the optional columns that are there; the sites: site_id, latitude, longitude.

    Raises:
        BadMonitors: a table cannot be read, lacks a column or a row, or holds something other than numbers and dates.
    """
    sites = _read_table(folder / SITES_FILE, SITE_COLUMNS)
    path = folder / OBSERVATIONS_FILE
    rows = _read_table(path, OBSERVATION_COLUMNS, tuple(OPTIONAL_COLUMNS))
    if rows.empty:
        raise BadMonitors(f"{path} holds no row: give a table with observations")
    rows["file"] = constant_column(str(path), len(rows))
    rows["line"] = np.arange(1, len(rows) + 1, dtype=np.int32)
    if "network" not in rows:
        rows["network"] = constant_column("AQS", len(rows))
    for column in ("site_id", "date", "parameter_code"):
        empty = rows[column].isna()
        if empty.any():
            raise BadMonitors(
                f"{path}, row {int(np.argmax(empty)) + 1}: {column} is empty. Fill it, or drop the row"
            )
    return rows.astype({"site_id": "category"}), sites


def _read_table(path: Path, columns: list[str], optional: tuple[str, ...] = ()) -> pd.DataFrame:
    table = read_columns(path, columns, optional)
    for column in columns:
        is_number = pd.api.types.is_numeric_dtype(table[column])
        is_date = pd.api.types.is_datetime64_dtype(table[column])
        if (column == "date" and not is_date) or (column not in ("date", "site_id") and not is_number):
            raise BadMonitors(
                f"{path}: {column} holds {table[column].dtype}, and must hold numbers (date: days without time zone)"
            )
    return table.copy()
