"""NCEP/DOE reanalysis 2: 2 m air temperature, daily mean in UTC, on the T62 Gaussian grid (NOAA PSL).

Longitudes go from 0 to 360, latitudes are not evenly spaced, values are in K.
"""

from pathlib import Path

from pm25map.predictors.sources.latlon import NetcdfEntry, NetcdfSource


def ncep(folder: Path) -> NetcdfSource:
    """Open a folder of files such as air.2m.gauss.2022.nc, or a part of one, such as ...2022_conus.nc."""
    entry = NetcdfEntry("ncep_t2m", r"air\.2m\.gauss\.(?P<year>\d{4})(?:_\w+)?\.nc", (("air",),))
    return NetcdfSource("ncep", folder, (entry,))
