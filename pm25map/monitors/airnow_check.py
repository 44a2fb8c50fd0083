"""Is a file one of AirNow's, and whole?"""

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
    held = Holdings()
    if not held.add(path):
        raise BadMonitors(f"{path} is not called as AirNow's files are")
    read_hours(held.hourly, held.tables, None)
    if held.site_lists and read_site_lists(held.site_lists)[0].empty:
        raise BadMonitors(f"{path} holds no site with a position: get AirNow's site list again")
    read_daily(held.daily)
