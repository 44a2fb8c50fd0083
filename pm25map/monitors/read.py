"""Reading monitors: which form a file or folder has, its reader, and what all forms have in common."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.monitors.airnow import NETWORK, read_airnow
from pm25map.monitors.airnow_files import is_airnow
from pm25map.monitors.aqs import COLUMNS, is_daily_file, read_rows
from pm25map.monitors.archive import each_csv, header_of, is_leftover
from pm25map.monitors.choose import PARAMETERS, Events, Negatives, choose, prefer, settle_negatives
from pm25map.monitors.doubts import Examination
from pm25map.monitors.examine import examine, examine_counts, examine_runs, examine_values
from pm25map.monitors.examine_places import examine_places, examine_twins
from pm25map.monitors.ground import in_united_states
from pm25map.monitors.join import join
from pm25map.monitors.plain import (
    NEEDED,
    is_plain,
    one_value_a_site_and_day,
    read_plain_csv,
    read_plain_parquet,
)
from pm25map.monitors.rules import RULES, Rules
from pm25map.monitors.sites import UNKNOWN, separate_places, to_wgs84
from pm25map.monitors.table import Monitors, Reading, constant_column
from pm25map.monitors.two_tables import OBSERVATIONS_FILE, SITES_FILE, read_two_tables

FOREIGN_NETWORK = f"{NETWORK} abroad"

SUFFIXES = (".csv", ".zip", ".parquet")


@dataclass(frozen=True)
class ReadOptions:
    """How monitors are read: the arguments of `read_monitors`; rules is None where nothing is examined."""

    events: Events = "include"
    minimum_percent: float = 75.0
    negatives: Negatives = "keep"
    parameters: tuple[int, ...] = PARAMETERS
    rules: Rules | None = field(default_factory=Rules)


class Form(NamedTuple):
    """A form in which monitors come.

    Attributes:
        name: for errors.
        fits: whether a file or folder, which is there, has this form.
        read: reads all files and folders of this form that were named, as one table.
        examined: whether `read` has applied `examine_places`, `examine_values` and `examine_runs`; if not,
            `read_monitors` does.
    """

    name: str
    fits: Callable[[Path], bool]
    read: Callable[[list[Path], ReadOptions], Monitors]
    examined: bool


def read_monitors(
    path: Path | Sequence[Path],
    *,
    events: Events = "include",
    minimum_percent: float = 75.0,
    negatives: Negatives = "keep",
    parameters: tuple[int, ...] = PARAMETERS,
    examine: bool = True,
    rules: Rules = RULES,
) -> Monitors:
    """Read daily PM2.5 to one row a site and day; the rules are in `choose`, what is left out in `examine`.

    Args:
        path: a file or folder, or several, the preferred first: where two have a value of one site and day, the
            first counts. Forms: EPA's daily files (.csv, or .zip, which is never unpacked to disk), plain tables
            (.csv, .parquet; see `plain`), a folder of these, a folder with pm25_daily.parquet and sites.parquet, or
            AirNow's hourly files with a list of sites.
            EPA's files are chosen from together, in whatever order they are named.
        events: "include" keeps exceptional events such as wildfire smoke; tables always do.
        minimum_percent: of the observations a day should have, 0 to 100. Of EPA's files only: tables hold days that
            were chosen already.
        negatives: keep, drop or set to zero the values below zero.
        parameters: AQS codes, the preferred first; one row a site and day stays.
        examine: leave out what the rules of the module `examine` doubt.
        rules: their thresholds.

    Raises:
        BadMonitors: there is no such file, it lacks columns or holds what cannot be read (says the line), most of its
            sites stand wrong, a day lies in the future, or nothing is left.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(one) for one in path]
    if not 0 <= minimum_percent <= 100:
        raise BadMonitors(f"a minimum of {minimum_percent:g} % observed cannot be: give 0 to 100, such as 75")
    options = ReadOptions(events, minimum_percent, negatives, parameters, rules if examine else None)
    by_form: dict[Form, list[Path]] = {}
    for one in paths:
        by_form.setdefault(_form_of(one), []).append(one)
    tables = [_examined(form, form.read(named, options), options) for form, named in by_form.items()]
    joined = join(tables)
    if not examine:
        return joined
    rows, twins = examine_twins(joined.observations, joined.sites, rules)
    if twins.doubts:
        joined = Monitors(joined.sites, rows, joined.reading.with_examination(twins))
    doubts = joined.reading.examination
    if joined.observations.empty and doubts.left_out:
        raise BadMonitors(f"no value is left of {', '.join(map(str, paths))}: {doubts.doubts[0]}")
    return joined


def _form_of(path: Path) -> Form:
    if not path.exists():
        raise BadMonitors(
            f"there is no file or folder {path}: give EPA's daily files, hours of AirNow, a plain table "
            "(docs/monitors.md), or a folder of them"
        )
    return next(form for form in FORMS if form.fits(path))


def _examined(form: Form, table: Monitors, options: ReadOptions) -> Monitors:
    if options.rules is None:
        return table
    if not form.examined:
        return examine(table, options.rules)[0]
    halved = examine_counts(table.observations, options.rules)
    return table.with_reading(table.reading.with_examination(halved))


def _are_two_tables(path: Path) -> bool:
    folder = path.parent if path.name == OBSERVATIONS_FILE else path
    return (folder / OBSERVATIONS_FILE).is_file() and (folder / SITES_FILE).is_file()


def _read_two_tables(paths: list[Path], options: ReadOptions) -> Monitors:
    tables = []
    for path in paths:
        folder = path.parent if path.name == OBSERVATIONS_FILE else path
        if options.events == "exclude":
            raise BadMonitors(
                f"{folder} does not say which days had events: read EPA's daily files to exclude them"
            )
        rows, sites = read_two_tables(folder)
        counts, examination = {"rows read": len(rows)}, Examination()
        rows, counts["rows that repeat another exactly"] = one_value_a_site_and_day(rows)
        if options.rules is not None:
            standing = sites[sites["site_id"].isin(rows["site_id"].cat.categories)]
            rows, examination = examine_places(rows, standing, options.rules)
        tables.append(_settled(rows, sites, counts, examination, options))
    return join(tables)


def _settled(
    rows: pd.DataFrame,
    sites: pd.DataFrame,
    counts: dict[str, int],
    examination: Examination,
    options: ReadOptions,
) -> Monitors:
    """Bring rows, one a site, day and parameter, to one a site and day."""
    chosen = rows[rows["parameter_code"].isin(options.parameters)]
    counts["rows of other parameters"] = len(rows) - len(chosen)
    before: Monitors | None = None
    if options.rules is not None:
        chosen, wrong = examine_values(chosen, options.rules)
        kept, stuck = examine_runs(chosen, options.rules)
        if len(kept) < len(chosen) and not examination.left_out and not wrong.left_out:
            # Models of before the examination name the monitors of their training by the checksum of all values.
            whole = prefer(settle_negatives(chosen, options.negatives, {}), options.parameters)
            before = _table(whole, sites, {}, Examination())
        chosen = kept
        examination += wrong + stuck
    chosen = settle_negatives(chosen, options.negatives, counts)
    values = prefer(chosen, options.parameters)
    counts["values where a preferred parameter has one"] = len(chosen) - len(values)
    table = _table(values, sites, counts, examination)
    if before is None or len(before.sites) != len(table.sites):
        return table
    return table.with_reading(replace(table.reading, checksum_before=before.checksum))


def _table(
    values: pd.DataFrame, sites: pd.DataFrame, counts: dict[str, int], examination: Examination
) -> Monitors:
    reading = Reading(counts).with_examination(examination)
    counts = {**reading.counts, "values of a site and day": len(values)}
    sites = sites[sites["site_id"].astype("str").isin(values["site_id"].unique())]
    return Monitors(sites, values, Reading(counts, reading.examination))


def _read_tables(paths: list[Path], options: ReadOptions) -> Monitors:
    """Read EPA's files and plain tables, in files and folders; rows are chosen from all of EPA's together."""
    daily, plain = list[pd.DataFrame](), list[pd.DataFrame]()
    first: list[str] = []

    def read(handle: IO[bytes], name: str) -> Iterator[None]:
        header = header_of(handle, name)
        if is_plain(header) and not is_daily_file(header):
            plain.extend(read_plain_csv(handle, name))
            first.append("plain")
        else:
            _check_header(header, name)
            chunks = list(read_rows(handle, name, options.parameters))
            if not sum(int(chunk.attrs["rows_read"]) for chunk in chunks):
                raise BadMonitors(f"{name} holds no row, only its header: get the file again from EPA")
            daily.extend(chunks)
            first.append("daily")
        yield None

    for path in paths:
        for file in _files(path):
            if file.suffix.lower() == ".parquet":
                plain.append(read_plain_parquet(file))
                first.append("plain")
            else:
                list(each_csv(file, read))
    tables = {}
    if daily:
        tables["daily"] = _daily(daily, options)
    if plain:
        tables["plain"] = _plain(plain, options)
    return join([tables[kind] for kind in dict.fromkeys(first)])


def _check_header(header: list[str], name: str) -> None:
    if not is_daily_file(header):
        raise BadMonitors(
            f"{name} lacks the columns of EPA's daily files ({', '.join(COLUMNS[:3])} ...) and those of a plain "
            f"table: {NEEDED}"
        )


def _joined_rows(chunks: list[pd.DataFrame]) -> tuple[pd.DataFrame, int]:
    """Concatenate chunks; return the rows and how many rows were read for them."""
    rows_read = sum(int(chunk.attrs["rows_read"]) for chunk in chunks)
    for chunk in chunks:
        chunk.attrs = {}
    return pd.concat(chunks, ignore_index=True), rows_read


def _daily(chunks: list[pd.DataFrame], options: ReadOptions) -> Monitors:
    rows, rows_read = _joined_rows(chunks)
    counts = {"rows read": rows_read, "rows of other parameters": rows_read - len(rows)}
    if rows.empty:
        codes = ", ".join(map(str, options.parameters))
        raise BadMonitors(f"none of the {rows_read:,} rows is of the parameters {codes}: give files of PM2.5")
    placed, examination = _placed(rows, options)
    if options.rules is not None:
        placed, wrong = examine_values(placed, options.rules)
        examination += wrong
    counts["rows whose datum is unknown, taken for WGS84"] = int(placed["datum"].isin(UNKNOWN).sum())
    placed, sites = separate_places(to_wgs84(placed).drop(columns="datum"))
    counts["sites that moved, counted at every place"] = int(sites["site_id"].str.contains("@").sum())
    chosen, more, doubts = choose(
        placed,
        events=options.events,
        minimum_percent=options.minimum_percent,
        negatives=options.negatives,
        parameters=options.parameters,
        rules=options.rules,
    )
    chosen["network"] = constant_column("AQS", len(chosen))
    return _table(chosen, sites, counts | more, examination + doubts)


def _placed(rows: pd.DataFrame, options: ReadOptions) -> tuple[pd.DataFrame, Examination]:
    """Leave out rows that stand where no monitor can."""
    spots = rows.drop_duplicates(["site_id", "latitude", "longitude"])
    spots = spots[["site_id", "latitude", "longitude"]].astype({"site_id": "str"})
    if options.rules is not None:
        return examine_places(rows, spots, options.rules)
    return rows[(rows["latitude"] != 0) | (rows["longitude"] != 0)], Examination()


def _plain(tables: list[pd.DataFrame], options: ReadOptions) -> Monitors:
    if options.events == "exclude":
        raise BadMonitors(
            "a plain table does not say which days had events: read EPA's daily files to exclude them"
        )
    rows, rows_read = _joined_rows(tables)
    counts = {"rows read": rows_read}
    rows, counts["rows that repeat another exactly"] = one_value_a_site_and_day(rows)
    rows, examination = _placed(rows, options)
    rows, sites = separate_places(rows)
    named = rows["network"] if "network" in rows else pd.Series(None, index=rows.index, dtype="object")
    rows["network"] = named.astype("object").where(named.notna(), "table").astype("category")
    counts["sites that moved, counted at every place"] = int(sites["site_id"].str.contains("@").sum())
    return _settled(rows, sites, counts, examination, options)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not is_leftover(p.name))
        if not files:
            raise BadMonitors(
                f"the folder {path} holds no monitors: put EPA's daily_88101_YYYY.zip there, "
                f"or {OBSERVATIONS_FILE} with {SITES_FILE}"
            )
        return files
    if path.suffix.lower() not in SUFFIXES:
        raise BadMonitors(
            f"{path} is neither .csv nor .zip nor .parquet: give one of EPA's daily files, a plain table, or a folder"
        )
    return [path]


def _read_airnow_files(paths: list[Path], options: ReadOptions) -> Monitors:
    """Read AirNow's files together: hours of one day may lie in several folders, and the lists of sites in another."""
    if options.events == "exclude":
        raise BadMonitors("AirNow does not say which days had events: read EPA's daily files to exclude them")
    abroad = options.rules is not None and options.rules.abroad
    table = read_airnow(paths, outside_us=abroad).monitors
    counts = dict(table.reading.counts)
    rows = settle_negatives(table.observations, options.negatives, counts)
    if abroad:
        rows = _with_foreign_network(rows, table.sites)
    return Monitors(table.sites, rows, Reading(counts, table.reading.examination))


def _with_foreign_network(rows: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """Rename the network of sites outside the United States, so that they are counted apart."""
    home = in_united_states(sites["longitude"].to_numpy(np.float64), sites["latitude"].to_numpy(np.float64))
    foreign = rows["site_id"].isin(sites["site_id"][~home])
    return rows.assign(network=rows["network"].astype("object").mask(foreign, FOREIGN_NETWORK))


FORMS = (
    Form("pm25_daily.parquet with sites.parquet", _are_two_tables, _read_two_tables, examined=True),
    Form("AirNow's hourly files", is_airnow, _read_airnow_files, examined=False),
    Form("EPA's daily files and plain tables", lambda _: True, _read_tables, examined=True),
)
"""Tried in this order; the last one fits whatever is left. A form of another provider goes before it."""
