"""nClimGrid-Daily: temperature and precipitation of stations on 1/24 degree, one file a month (NOAA NCEI).

Days are those of the stations' observers, mostly from morning to morning, moved to the calendar day. Temperatures
are in degrees Celsius, precipitation in mm.
"""

import re
from pathlib import Path

from pm25map.predictors.sources.latlon import NetcdfEntry, NetcdfSource

STAGES = ("prelim", "scaled")
"""NOAA replaces a preliminary month by one that is scaled to the monthly product."""

NAMES = ("tmax", "tmin", "tavg", "prcp")


def nclimgrid(folder: Path) -> NetcdfSource:
    """Open a folder of files such as tmax-202201-grd-scaled.nc, or ncdd-202201-grd-scaled.nc with all four."""
    table = tuple(
        NetcdfEntry(
            f"nclimgrid_{name}",
            rf"(?P<holds>{name}|ncdd)-(?P<year>\d{{4}})(?P<month>\d\d)-grd-(?P<stage>scaled|prelim)\.nc",
            ((name,),),
            daily_total=name == "prcp",
            version=_version,
        )
        for name in NAMES
    )
    return NetcdfSource("nclimgrid", folder, table)


def _version(match: re.Match[str]) -> tuple[int, bool]:
    """Rank a file: scaled before preliminary; of one stage the file of the one variable before that of all."""
    return STAGES.index(match["stage"].lower()), match["holds"].lower() != "ncdd"
