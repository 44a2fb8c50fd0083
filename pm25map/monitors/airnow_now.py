"""What the air is like now at AirNow's monitors: EPA's NowCast of the latest twelve hours."""

import datetime as dt

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.monitors.airnow_files import FETCH_HINT
from pm25map.monitors.airnow_hours import read_hours
from pm25map.monitors.airnow_rows import Paths, all_lists, holdings, placed_rows, rows_of_sites
from pm25map.monitors.airnow_sites import positions_of
from pm25map.monitors.nowcast import HOURS, nowcast


def read_nowcast(
    path: Paths,
    at: dt.datetime,
    *,
    sites: Paths = (),
    outside_us: bool = False,
) -> pd.DataFrame:
    """Estimate the PM2.5 of now at every site: EPA's NowCast of twelve hours.

    Args:
        path: as of `airnow.read_airnow`.
        at: the beginning (aware) of the latest hour.
        sites: as of `airnow.read_airnow`.
        outside_us: as of `airnow.read_airnow`.

    Returns:
        site_id, latitude, longitude (degrees), pm25_ugm3, by site_id; only sites with two of the latest three hours.

    Raises:
        BadMonitors: as `airnow.read_airnow`, or no file holds any of the twelve hours.
    """
    held = holdings(path, sites)
    latest = at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    axis = [latest - dt.timedelta(hours=ago) for ago in range(HOURS - 1, -1, -1)]
    hours = read_hours(held.hourly, held.tables, set(axis))
    if hours.rows.empty:
        raise BadMonitors(
            f"no file holds any hour of {axis[0]:%Y-%m-%d %H} to {latest:%Y-%m-%d %H} UTC: {FETCH_HINT}"
        )
    counts: dict[str, int] = {}
    lists, _ = all_lists(held, hours)
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
    return table[["site_id", "latitude", "longitude", "pm25_ugm3"]]
