"""PM2.5 now at AirNow's monitors: EPA's NowCast of the latest twelve hours."""

import datetime as dt

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.monitors.airnow_files import FETCH_HINT, Holdings
from pm25map.monitors.airnow_hours import read_hours
from pm25map.monitors.airnow_rows import Paths, all_lists, list_with_sites, placed_rows, rows_of_sites
from pm25map.monitors.airnow_sites import positions_of
from pm25map.monitors.nowcast import HOURS, nowcast
from pm25map.monitors.parquet import read_columns


def read_nowcast(
    path: Paths,
    at: dt.datetime | None = None,
    *,
    sites: Paths = (),
    outside_us: bool = False,
) -> pd.DataFrame:
    """Estimate the current PM2.5 at every site: EPA's NowCast of twelve hours.

    Args:
        path: as of `airnow.read_airnow`.
        at: the beginning (aware) of the latest hour; the latest that there is where None.
        sites: as of `airnow.read_airnow`.
        outside_us: as of `airnow.read_airnow`.

    Returns:
        site_id, latitude, longitude (degrees), hour (the latest one's beginning, UTC), pm25_ugm3, by site_id; only
        sites with two of the latest three hours.

    Raises:
        BadMonitors: as `airnow.read_airnow`, or no file holds any of the twelve hours, or no site has two of the
            latest three.
    """
    holdings = list_with_sites(path, sites)
    latest = (at or _latest(holdings)).astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    axis = [latest - dt.timedelta(hours=ago) for ago in range(HOURS - 1, -1, -1)]
    hours = read_hours(holdings.hourly, holdings.tables, set(axis))
    if hours.rows.empty:
        raise BadMonitors(
            f"no file holds any hour of {axis[0]:%Y-%m-%d %H} to {latest:%Y-%m-%d %H} UTC: {FETCH_HINT}"
        )
    counts: dict[str, int] = {}
    lists, _ = all_lists(holdings, hours)
    rows = rows_of_sites(hours, lists, counts, outside_us=outside_us)
    rows, _, _, _ = placed_rows(rows, lists, counts, path)
    ids, site = np.unique(rows["site_id"].to_numpy(dtype=object), return_inverse=True)
    first = np.datetime64(axis[0].replace(tzinfo=None), "h")
    column = (rows["utc"].to_numpy("datetime64[h]") - first).astype(int)
    matrix = np.full((len(ids), HOURS), np.nan)  # (site, hour)
    matrix[site, column] = rows["value"].to_numpy()
    day = np.datetime64(latest.date(), "s")
    table = positions_of(pd.DataFrame({"site_id": ids, "date": day, "pm25_ugm3": nowcast(matrix)}), lists)
    table = table[table["pm25_ugm3"].notna()].sort_values("site_id", ignore_index=True)
    if table.empty:
        raise BadMonitors(
            f"no monitor has two of the three hours to {latest:%Y-%m-%d %H} UTC, which a NowCast needs: choose an "
            f"earlier hour, or get the others with {FETCH_HINT}"
        )
    return table.assign(hour=pd.Timestamp(latest))[["site_id", "latitude", "longitude", "hour", "pm25_ugm3"]]


def _latest(holdings: Holdings) -> dt.datetime:
    """Return the beginning of the latest hour of some files (UTC)."""
    hours = list(holdings.hourly)
    for path in holdings.tables:
        stamps = pd.to_datetime(read_columns(path, ["utc"])["utc"], utc=True)
        if len(stamps):
            hours.append(stamps.max().floor("h").to_pydatetime())
    if not hours:
        raise BadMonitors(f"{', '.join(map(str, holdings.tables))} holds no row: {FETCH_HINT}")
    return max(hours)
