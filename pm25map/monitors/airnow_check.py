"""The check of one of AirNow's files: it has the right name and is complete."""

from pathlib import Path

from pm25map.base.errors import BadMonitors
from pm25map.monitors.airnow_days import read_daily
from pm25map.monitors.airnow_files import Holdings
from pm25map.monitors.airnow_hours import read_hours
from pm25map.monitors.airnow_sites import read_site_lists


def check_airnow_file(path: Path) -> None:
    """Read a file as `read_airnow` will.

    Raises:
        BadMonitors: it is truncated, or not what its name says.
    """
    holdings = Holdings()
    if not holdings.add(path):
        raise BadMonitors(f"{path} is not called as AirNow's files are")
    read_hours(holdings.hourly, holdings.tables, None)
    if holdings.site_lists and read_site_lists(holdings.site_lists)[0].empty:
        raise BadMonitors(f"{path} holds no site with a position: get AirNow's site list again")
    read_daily(holdings.daily)
