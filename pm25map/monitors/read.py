"""Reading monitors in any accepted form: EPA's daily files, the parquet tables, AirNow's hours, or a plain table."""

import datetime as dt
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow

from pm25map.base.errors import BadMonitors
from pm25map.monitors.airnow import read_airnow
from pm25map.monitors.airnow_files import is_airnow
from pm25map.monitors.aqs import read_rows
from pm25map.monitors.choose import Events, Negatives, choose, prefer, settle_negatives
from pm25map.monitors.examine import examine, summary
from pm25map.monitors.join import join
from pm25map.monitors.plain import is_plain, read_plain
from pm25map.monitors.sites import UNKNOWN, tell_places_apart, to_wgs84
from pm25map.monitors.table import OBSERVATION_COLUMNS, SITE_COLUMNS, Monitors, Reading

OBSERVATIONS_FILE = "pm25_daily.parquet"
SITES_FILE = "sites.parquet"

PARAMETERS = (88101, 88502)
"""PM2.5 by the reference method or its equal, then PM2.5 that is acceptable for the AQI."""

MAX_MEMBER_BYTES = 2 * 2**30
"""No year of EPA's daily files is a tenth of this; a member that says more is not one."""

MAX_RATIO = 200
"""EPA's files are about 25 times as large outside of their archives; one that grows more is not a table of numbers."""


def read_monitors(
    paths: Path | Sequence[Path],
    *,
    events: Events = "include",
    minimum_percent: float = 75.0,
    negatives: Negatives = "keep",
    parameters: tuple[int, ...] = PARAMETERS,
) -> Monitors:
    """Read daily PM2.5 to one row a site and day, examined (`examine`).

    Args:
        paths: one or several; where two have a value for a site and day, the first counts. Each is one of EPA's daily
            files (.csv, or .zip, which is never unpacked to disk), a plain table (.csv, .parquet), a folder of these, a
            folder with pm25_daily.parquet and sites.parquet, or AirNow's files with a list of sites.
        events: "include" keeps exceptional events such as wildfire smoke; only EPA's daily files can exclude them.
        minimum_percent: of the observations a day should have, 0 to 100. Of EPA's daily files only: the other
            tables hold days that were chosen already.
        negatives: keep, drop or set to zero the values below zero.
        parameters: AQS codes, the preferred first; one row a site and day stays.

    Raises:
        BadMonitors: there is no such file, or it lacks columns or holds what cannot be read (says the line).
    """
    if not 0 <= minimum_percent <= 100:
        raise BadMonitors(f"a minimum of {minimum_percent:g} % observed cannot be: give 0 to 100, such as 75")
    several = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    rules = _Rules(events, minimum_percent, negatives, parameters)
    groups: dict[str, list[Path]] = {}
    for path in several:
        groups.setdefault(_form_of(path), []).append(path)
    tables = [(table, group[0]) for form, group in groups.items() for table in _READERS[form](group, rules)]
    return join([_examined(table, where) for table, where in tables])


@dataclass(frozen=True)
class _Rules:
    """By which rules rows are chosen; as the arguments of `read_monitors`."""

    events: Events
    minimum_percent: float
    negatives: Negatives
    parameters: tuple[int, ...]


def _form_of(path: Path) -> str:
    """Recognize the form of a file or folder by its names and headers, never by trying to read all of it."""
    if (path / OBSERVATIONS_FILE).is_file():
        return "parquet"
    if path.exists() and is_airnow(path):
        return "airnow"
    if is_plain(path):
        return "plain"
    return "aqs"


def _examined(table: Monitors, where: Path) -> Monitors:
    """Leave out what no monitor can have measured, by the rules of `examine`."""
    sites, rows, doubts = examine(table.sites, table.observations, str(where))
    counts = {**table.reading.counts, **summary(doubts)}
    return Monitors(sites, rows, Reading(counts, (*table.reading.doubts, *doubts)))


def _read_plain_tables(paths: list[Path], rules: _Rules) -> list[Monitors]:
    """Read plain tables, each by itself."""
    found = []
    for path in paths:
        sites, rows = read_plain(path, dt.datetime.now(dt.UTC).date())
        counts = {f"values of {path.name}": len(rows)}
        found.append(Monitors(sites, settle_negatives(rows, rules.negatives, counts), Reading(counts)))
    return found


def _read_airnow_files(paths: list[Path], rules: _Rules) -> list[Monitors]:
    """Read AirNow's files together: hours of one day may lie in several folders, and the list of sites in another."""
    monitors = read_airnow(paths).monitors
    counts = dict(monitors.reading.counts)
    rows = settle_negatives(monitors.observations, rules.negatives, counts)
    return [Monitors(monitors.sites, rows, Reading(counts))]


def _read_aqs_files(paths: list[Path], rules: _Rules) -> list[Monitors]:
    """Read EPA's daily files together: a site may have a parameter in each."""
    files = [file for path in paths for file in _files(path)]
    chunks = [chunk for file in files for chunk in _read_file(file, rules.parameters)]
    rows_read = sum(int(chunk.attrs["rows_read"]) for chunk in chunks)
    if not rows_read:
        raise BadMonitors(f"{files[0]} has a header and no row: get the file again from EPA")
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
        placed,
        events=rules.events,
        minimum_percent=rules.minimum_percent,
        negatives=rules.negatives,
        parameters=rules.parameters,
    )
    sites = sites[sites["site_id"].isin(chosen["site_id"].unique())]
    return [Monitors(sites, chosen, Reading({**counts, **more, "values of a site and day": len(chosen)}))]


def _read_parquet_folders(paths: list[Path], rules: _Rules) -> list[Monitors]:
    """Read folders of the two parquet tables, each by itself."""
    return [_read_parquet(path, rules.events, rules.negatives, rules.parameters) for path in paths]


_READERS: dict[str, Callable[[list[Path], _Rules], list[Monitors]]] = {
    "parquet": _read_parquet_folders,
    "airnow": _read_airnow_files,
    "plain": _read_plain_tables,
    "aqs": _read_aqs_files,
}
"""What reads each form. A new form is a line here and a recognizer in `_form_of`."""


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(
            p for p in path.iterdir() if p.suffix.lower() in (".csv", ".zip") and not p.name.startswith(".")
        )
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
            members = [m for m in archive.infolist() if _is_table(m.filename)]
            if not members:
                raise BadMonitors(f"{path} holds no .csv: give one of EPA's daily files")
            for member in members:
                grown = member.file_size > MAX_RATIO * max(member.compress_size, 1)
                if member.file_size > MAX_MEMBER_BYTES or grown:
                    raise BadMonitors(
                        f"{member.filename} in {path} is far larger outside of its archive ({member.file_size:,} bytes "
                        f"of {member.compress_size:,}): it is none of EPA's daily files"
                    )
                with archive.open(member) as handle:
                    yield from read_rows(handle, f"{member.filename} in {path}", parameters)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise BadMonitors(f"{path} is damaged or not a zip file ({error}): get it again from EPA") from error


def _is_table(name: str) -> bool:
    """Say whether a member of an archive is a table: what macOS adds beside the files is none."""
    parts = name.split("/")
    return name.lower().endswith(".csv") and "__MACOSX" not in parts and not parts[-1].startswith("._")


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
