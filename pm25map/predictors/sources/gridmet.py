"""GridMET: surface meteorology at 1/24 degree, one netCDF file a variable and year (Abatzoglou 2013).

A day ends at midnight of Mountain Standard Time, 7 UTC of the next day, as the files say in their notes. `th` is
where the wind comes from, degrees clockwise from north: it is averaged as a vector.
"""

from pathlib import Path

from pm25map.predictors.sources.files import find_files
from pm25map.predictors.sources.latlon import NetcdfEntry, NetcdfSource

DATASETS = {
    "th": ("gridmet_th", "wind_from_direction"),
    "vs": ("gridmet_vs", "wind_speed"),
    "tmmx": ("gridmet_tmmx", "air_temperature"),
    "tmmn": ("gridmet_tmmn", "air_temperature"),
    "pr": ("gridmet_pr", "precipitation_amount"),
    "srad": ("gridmet_srad", "surface_downwelling_shortwave_flux_in_air"),
    "sph": ("gridmet_sph", "specific_humidity"),
    "rmax": ("gridmet_rmax", "relative_humidity"),
    "rmin": ("gridmet_rmin", "relative_humidity"),
}
"""Of every file: the variable of the table, and the dataset."""


def gridmet(folder: Path) -> NetcdfSource:
    """Open a folder of files such as th_2020.nc, or th_20200912.nc where there are none of years."""
    short_names = "|".join(DATASETS)
    part = "" if find_files(folder, rf"({short_names})_\d{{4}}\.nc") else r"(?P<month>\d\d)(?P<day>\d\d)"
    table = tuple(
        NetcdfEntry(
            variable, rf"{short}_(?P<year>\d{{4}}){part}\.nc", ((dataset,),), daily_total=short == "pr"
        )
        for short, (variable, dataset) in DATASETS.items()
    )
    return NetcdfSource("gridmet", folder, table)
