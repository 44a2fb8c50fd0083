"""Every source that reads a provider's files, by name: what `pm25map data ingest --source` knows."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pm25map.base.errors import BadInstall, UnknownName
from pm25map.predictors.sources import DailySource, LayerSource


@dataclass(frozen=True)
class Entry:
    """A source of files.

    Attributes:
        opener: module in this folder and the callable that takes the folder of the files.
        files: what the files are, for people.
        has_days, has_layers: which of the two Protocols it follows.
        in_daily_tiles: its days come in tiles, of which some may be absent.
    """

    opener: str
    files: str
    has_days: bool = True
    has_layers: bool = False
    in_daily_tiles: bool = False


CATALOGUE = {
    "maiac": Entry("maiac:Maiac", "MCD19A2.061 granules (*.hdf)", in_daily_tiles=True),
    "ndvi": Entry("ndvi:Ndvi", "MCD43A4.061 or MOD13A2.061 granules (*.hdf), one every 16 days or more"),
    "daymet": Entry("daymet:daymet", "daymet_v4_daily_na_VARIABLE_YEAR.nc", has_layers=True),
    "gridmet": Entry("gridmet:gridmet", "VARIABLE_YEAR.nc, such as th_2020.nc"),
    "gmted": Entry("gmted:Gmted", "GMTED2010 GeoTIFF or ESRI grid", has_days=False, has_layers=True),
    "hms": Entry("hms:Hms", "hms_smokeYYYYMMDD.zip, .shp, .kml or .geojson"),
    "nclimgrid": Entry("nclimgrid:nclimgrid", "VARIABLE-YYYYMM-grd-scaled.nc"),
    "merra2": Entry("merra2:merra2", "MERRA2_400.tavg1_2d_aer_Nx.YYYYMMDD.nc4"),
    "ncep": Entry("ncep:ncep", "air.2m.gauss.YEAR.nc"),
}
"""By name. A new source is a file in this folder, a line here, and its rows in variables.csv."""


def open_source(name: str, folder: Path, *, partial: bool = False) -> DailySource | LayerSource:
    """Open a source on the folder of its files.

    Args:
        name: of the source.
        folder: of its files.
        partial: a day may lack some of the tiles that a grid needs; only for sources that come in daily tiles.

    Raises:
        UnknownName: there is no such source.
        BadInstall: the package that reads its files is not installed.
    """
    if name not in CATALOGUE:
        raise UnknownName(f"unknown source {name!r}: choose one of {', '.join(CATALOGUE)}")
    module, _, opener = CATALOGUE[name].opener.partition(":")
    try:
        make = getattr(importlib.import_module(f"pm25map.predictors.sources.{module}"), opener)
    except ModuleNotFoundError as error:
        raise BadInstall(
            f"source {name} needs the package {error.name}. Run: pip install 'pm25map[data]'"
        ) from error
    options = {"partial": True} if partial else {}
    return cast(DailySource | LayerSource, make(folder, **options))
