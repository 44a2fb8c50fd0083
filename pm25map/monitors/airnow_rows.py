"""From AirNow's files to rows of sites with a position: the steps that daily means and the NowCast share."""

import datetime as dt
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.monitors.airnow_days import valid_hours
from pm25map.monitors.airnow_files import FETCH_HINT, Holdings, SourceFile, list_holdings
from pm25map.monitors.airnow_hours import Hours
from pm25map.monitors.airnow_sites import in_the_us, offsets, plain_ids, read_site_lists, usable

Paths = Path | str | Sequence[Path | str]


def as_paths(given: Paths) -> list[Path]:
    """Return one path, or several, as a list."""
    return [Path(given)] if isinstance(given, Path | str) else [Path(one) for one in given]


def list_with_sites(path: Paths, sites: Paths) -> Holdings:
    """List AirNow's files in some folders, with the site lists that are elsewhere.

    Raises:
        BadMonitors: there are none.
    """
    listed = list_holdings(as_paths(path))
    for extra in as_paths(sites):
        listed.site_lists += _lists_in(extra)
    listed.site_lists.sort(key=lambda entry: entry[0])
    return listed


def _lists_in(path: Path) -> list[tuple[dt.date, Path]]:
    """List the site lists of a folder, or the one named.

    Raises:
        BadMonitors: there is none.
    """
    listed = Holdings()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            listed.add(file)
    if not listed.site_lists:
        raise BadMonitors(f"{path} is no site list of AirNow, nor a folder of them: {FETCH_HINT} brings one")
    return listed.site_lists


def all_lists(holdings: Holdings, hours: Hours) -> tuple[pd.DataFrame, list[SourceFile]]:
    """Join the site lists and the positions of HourlyAQObs, oldest first.

    Raises:
        BadMonitors: there is neither.
    """
    lists, files = read_site_lists(holdings.site_lists)
    if not hours.positions.empty:
        observed = hours.positions.rename(columns={"aqsid": "site_id"})
        lists = pd.concat([lists, usable(observed)], ignore_index=True)
    if lists.empty:
        raise BadMonitors(
            "there is no site list beside AirNow's hours: put Monitoring_Site_Locations_V2.dat there, or name one. "
            f"{FETCH_HINT} brings it"
        )
    lists = lists.astype({"listed": "datetime64[s]"})
    return lists.sort_values("listed", kind="stable", ignore_index=True), files


def rows_of_sites(
    hours: Hours, lists: pd.DataFrame, counts: dict[str, int], *, outside_us: bool
) -> pd.DataFrame:
    """Replace the ids of rows by those of AQS, and keep one value a site and hour, of the requested country."""
    full = pd.Series(hours.rows["aqsid"].unique(), dtype="str")
    plain = plain_ids(full)
    in_us = in_the_us(plain, full, lists)
    # By number: joining on half a million strings costs more than reading them.
    number = pd.Index(full).get_indexer(pd.Index(hours.rows["aqsid"]))
    ids = pd.Categorical(plain)
    is_data = np.array([file.name.startswith("HourlyData_") for file in hours.files], dtype=bool)
    rows = pd.DataFrame(
        {
            "site_id": pd.Categorical.from_codes(ids.codes[number], dtype=ids.dtype),
            "utc": hours.rows["utc"],
            "value": hours.rows["value"],
            "offset": hours.rows["offset"],
            "kind": np.where(is_data[hours.rows["file"].to_numpy(dtype=int)], 0, 1),
            "file": hours.rows["file"].astype("int32"),
        }
    )
    abroad = ~in_us.to_numpy()[number]
    counts["rows of monitors outside the United States"] = 0 if outside_us else int(abroad.sum())
    return valid_hours(rows if outside_us else rows[~abroad], counts.__setitem__)


def placed_rows(
    rows: pd.DataFrame, lists: pd.DataFrame, counts: dict[str, int], path: Paths
) -> tuple[pd.DataFrame, pd.Series, dict[str, int], list[str]]:
    """Keep the rows of sites with a position.

    Returns:
        the rows, the offset of each site (hours), the sites without a position with their hours, and those whose stated
        offset could not be theirs.

    Raises:
        BadMonitors: no site has a position.
    """
    per_site = rows.groupby("site_id", observed=True)["offset"].agg(["min", "size"])
    per_site.index = per_site.index.astype("str")
    zones, replaced = offsets(per_site["min"], lists)
    unplaced = per_site["size"][~per_site.index.isin(zones.index)]
    counts["rows of sites that no site list has"] = int(unplaced.sum())
    if len(per_site) and not len(zones):
        where = ", ".join(map(str, as_paths(path)))
        raise BadMonitors(
            f"none of the {len(per_site)} sites of the hours in {where} is in the site lists (first: "
            f"{per_site.index[0]}): give the list of those days"
        )
    names = rows["site_id"].cat.categories
    kept = rows[pd.Index(names).isin(zones.index)[rows["site_id"].cat.codes]]
    kept = kept.assign(site_id=kept["site_id"].cat.remove_unused_categories())
    return kept, zones, {str(name): int(size) for name, size in unplaced.items()}, replaced


def by_local_day(rows: pd.DataFrame, zones: pd.Series, days: Collection[dt.date] | None) -> pd.DataFrame:
    """Add the local standard day in which each hour begins, and keep the requested days."""
    seconds = np.round(zones.reindex(rows["site_id"].cat.categories).to_numpy() * 3600).astype(
        "timedelta64[s]"
    )
    local = rows["utc"].to_numpy("datetime64[s]") + seconds[rows["site_id"].cat.codes]
    rows = rows.assign(date=local.astype("datetime64[D]").astype("datetime64[s]"))
    if days is not None:
        rows = rows[rows["date"].isin(np.array(sorted(days), dtype="datetime64[D]").astype("datetime64[s]"))]
    return rows.assign(site_id=rows["site_id"].astype("str"))
