"""nClimGrid-Daily: temperature and precipitation of stations on 1/24 degree, one file a month (NOAA NCEI).

Days are those of the stations' observers, mostly from morning to morning, moved to the calendar day. Temperatures
are in degrees Celsius, precipitation in mm.
"""

from pathlib import Path

from pm25map.predictors.sources.latlon import Entry, NetcdfSource

NAMES = ("tmax", "tmin", "tavg", "prcp")


def nclimgrid(folder: Path) -> NetcdfSource:
    """Open a folder of files such as tmax-202201-grd-scaled.nc, or ncdd-202201-grd-scaled.nc with all four."""
    table = tuple(
        Entry(
            f"nclimgrid_{name}",
            rf"(?:{name}|ncdd)-(?P<year>\d{{4}})(?P<month>\d\d)-grd-(?:scaled|prelim)\.nc",
            ((name,),),
            daily_total=name == "prcp",
        )
        for name in NAMES
    )
    return NetcdfSource("nclimgrid", folder, table)
