"""Checks that a fetched file is complete: each is opened before it is used, and removed where that fails.

An entry of a source names one of these, or a check of its own, as `check` of `fetch`. The file has its own name and
is alone in its folder.
"""

import zipfile
import zlib
from pathlib import Path

from rasterio.windows import Window

from pm25map.base.errors import BadFetch, BadRaster
from pm25map.grid.geotiff import open_raster
from pm25map.predictors.sources.netcdf import days_in, open_netcdf


def check_zip(path: Path) -> None:
    """Refuse a file that is not a complete zip file.

    Raises:
        BadFetch: it is damaged or something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BadFetch(
            f"{path.name} is no whole zip file ({error}): the provider sent something else"
        ) from error
    if damaged is not None:
        raise BadFetch(f"{path.name} is damaged inside ({damaged}): fetch it again")


def check_netcdf(path: Path) -> None:
    """Refuse a file that is not NetCDF with days.

    Raises:
        BadPredictors: it is damaged or something else.
    """
    with open_netcdf(path) as dataset:
        days_in(dataset, path)


def check_raster(path: Path) -> None:
    """Refuse a raster whose last row cannot be read.

    Raises:
        BadFetch: it is cut off or no raster.
    """
    try:
        with open_raster(path, BadRaster) as raster:
            source = raster.source
            source.read(1, window=Window(0, source.height - 1, source.width, 1))
    except BadRaster as error:
        raise BadFetch(f"{path.name} is cut off or no raster: fetch it again") from error
