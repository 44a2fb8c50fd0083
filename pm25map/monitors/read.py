"""Reading monitors: EPA's daily files, zipped or not, a folder of them, or the two parquet tables."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow

from pm25map.base.errors import BadMonitors
from pm25map.monitors.aqs import read_rows
from pm25map.monitors.choose import Events, Negatives, choose, prefer, settle_negatives
from pm25map.monitors.sites import UNKNOWN, tell_places_apart, to_wgs84
from pm25map.monitors.table import OBSERVATION_COLUMNS, SITE_COLUMNS, Monitors, Reading

OBSERVATIONS_FILE = "pm25_daily.parquet"
SITES_FILE = "sites.parquet"

PARAMETERS = (88101, 88502)
"""PM2.5 by the reference method or its equal, then PM2.5 that is acceptable for the AQI."""

MAX_MEMBER_BYTES = 8 * 2**30
"""No year of EPA's daily files is a tenth of this; a member that says more is not one."""


def read_monitors(
    path: Path,
    *,
    events: Events = "include",
    minimum_percent: float = 75.0,
    negatives: Negatives = "keep",
    parameters: tuple[int, ...] = PARAMETERS,
) -> Monitors:
    """Read daily PM2.5 to one row a site and day; `choose` says by which rules.

    Args:
        path: one of EPA's daily files (.csv, or .zip, which is never unpacked to disk), a folder of them, or
            a folder with pm25_daily.parquet and sites.parquet.
        events: "include" keeps exceptional events such as wildfire smoke; the parquet tables always do.
        minimum_percent: of the observations a day should have, 0 to 100. Of EPA's files only: the parquet
            tables hold days that were chosen already.
        negatives: keep, drop or set to zero the values below zero.
        parameters: AQS codes, the preferred first; one row a site and day stays.

    Raises:
        BadMonitors: there is no such file, or it lacks columns or holds what cannot be read (says the line).
    """
    path = Path(path)
    if not 0 <= minimum_percent <= 100:
        raise BadMonitors(f"a minimum of {minimum_percent:g} % observed cannot be: give 0 to 100, such as 75")
    if (path / OBSERVATIONS_FILE).is_file():
        return _read_parquet(path, events, negatives, parameters)
    files = _files(path)
    chunks = [chunk for file in files for chunk in _read_file(file, parameters)]
    rows_read = sum(int(chunk.attrs["rows_read"]) for chunk in chunks)
    for chunk in chunks:
        chunk.attrs = {}
    rows = pd.concat(chunks, ignore_index=True)
    counts = {"rows read": rows_read, "rows of other parameters": rows_read - len(rows)}
    placed = rows[(rows["latitude"] != 0) | (rows["longitude"] != 0)]
    counts["rows without a place (0, 0)"] = len(rows) - len(placed)
    counts["rows whose datum is unknown, taken for WGS84"] = int(placed["datum"].isin(UNKNOWN).sum())
    placed, sites = tell_places_apart(to_wgs84(placed).drop(columns="datum"))
    counts["sites that moved, counted at every place"] = int(sites["site_id"].str.contains("@").sum())
    chosen, more = choose(
        placed, events=events, minimum_percent=minimum_percent, negatives=negatives, parameters=parameters
    )
    sites = sites[sites["site_id"].isin(chosen["site_id"].unique())]
    return Monitors(sites, chosen, Reading({**counts, **more, "values of a site and day": len(chosen)}))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in (".csv", ".zip"))
        if not files:
            raise BadMonitors(
                f"the folder {path} holds no monitors: put EPA's daily_88101_YYYY.zip there, "
                f"or {OBSERVATIONS_FILE} with {SITES_FILE}"
            )
        return files
    if not path.is_file():
        raise BadMonitors(
            f"there is no file or folder {path}: give one of EPA's daily files, or a folder of them"
        )
    if path.suffix.lower() not in (".csv", ".zip"):
        raise BadMonitors(
            f"{path} is neither .csv nor .zip: give one of EPA's daily files, or a folder of them"
        )
    return [path]


def _read_file(path: Path, parameters: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    if path.suffix.lower() == ".csv":
        with path.open("rb") as handle:
            yield from read_rows(handle, str(path), parameters)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.lower().endswith(".csv")]
            if not members:
                raise BadMonitors(f"{path} holds no .csv: give one of EPA's daily files")
            for member in members:
                if member.file_size > MAX_MEMBER_BYTES:
                    raise BadMonitors(
                        f"{member.filename} in {path} is too large to be one of EPA's daily files"
                    )
                with archive.open(member) as handle:
                    yield from read_rows(handle, f"{member.filename} in {path}", parameters)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise BadMonitors(f"{path} is damaged or not a zip file ({error}): get it again from EPA") from error


def _read_parquet(
    folder: Path, events: Events, negatives: Negatives, parameters: tuple[int, ...]
) -> Monitors:
    if events == "exclude":
        raise BadMonitors(
            f"{folder} does not say which days had events: read EPA's daily files to exclude them"
        )
    sites = _read_table(folder / SITES_FILE, SITE_COLUMNS)
    rows = _read_table(folder / OBSERVATIONS_FILE, OBSERVATION_COLUMNS)
    counts = {"rows read": len(rows)}
    rows = rows.astype({"site_id": "str"}).drop_duplicates()
    counts["rows that repeat another exactly"] = counts["rows read"] - len(rows)
    chosen = rows[rows["parameter_code"].isin(parameters)]
    counts["rows of other parameters"] = len(rows) - len(chosen)
    chosen = settle_negatives(chosen, negatives, counts)
    values = prefer(chosen, parameters)
    counts["values where a preferred parameter has one"] = len(chosen) - len(values)
    sites = sites[sites["site_id"].astype("str").isin(values["site_id"].unique())]
    return Monitors(sites, values, Reading({**counts, "values of a site and day": len(values)}))


def _read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        first = str(error).splitlines()[0] if str(error) else repr(error)
        raise BadMonitors(f"cannot read {path}: {first}. Get the table again") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise BadMonitors(f"{path} lacks the columns {', '.join(missing)}: it needs {', '.join(columns)}")
    for column in columns:
        is_number = pd.api.types.is_numeric_dtype(table[column])
        is_date = pd.api.types.is_datetime64_any_dtype(table[column])
        if (column == "date" and not is_date) or (column not in ("date", "site_id") and not is_number):
            raise BadMonitors(
                f"{path}: {column} holds {table[column].dtype}, and must hold numbers (date: days)"
            )
    return table[columns]
