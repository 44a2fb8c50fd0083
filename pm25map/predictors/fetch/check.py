"""Is a file what it should be? Each is opened by its own reader before it counts; what fails is not kept."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from pm25map.base.errors import BadFetch


def check_file(kind: str, path: Path) -> None:
    """Open a file as its source will.

    Args:
        kind: `check` of the provider.
        path: of the file, under its own name and alone in its folder.

    Raises:
        Pm25mapError: it is cut off, or not what its name says.
    """
    CHECKS[kind](path)


def _zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BadFetch(
            f"{path.name} is no whole zip file ({error}): the provider sent something else"
        ) from error
    if damaged is not None:
        raise BadFetch(f"{path.name} is damaged inside ({damaged}): fetch it again")


def _hms(path: Path) -> None:
    # Plumes without a density, as before 2008, are for ingest to refuse: the file is as the provider has it.
    _zip(path)
    with zipfile.ZipFile(path) as archive:
        if not any(name.lower().endswith((".shp", ".kml")) for name in archive.namelist()):
            raise BadFetch(f"{path.name} holds no shapefile: the provider sent something else")


def _maiac(path: Path) -> None:
    from pm25map.predictors.sources import maiac  # noqa: PLC0415 - each check loads its own reader

    _granule(path, maiac.PRODUCT, (*maiac.DATASETS.values(), maiac.QUALITY))


def _ndvi(path: Path) -> None:
    from pm25map.predictors.sources import ndvi  # noqa: PLC0415

    if path.name.startswith("MOD13A2"):
        return _granule(path, "MOD13A2", (ndvi.VI, ndvi.RELIABILITY))
    return _granule(path, "MCD43A4", (ndvi.RED, ndvi.NEAR_INFRARED))


def _granule(path: Path, product: str, names: tuple[str, ...]) -> None:
    from pm25map.predictors.sources.modis import granules, read_granule  # noqa: PLC0415

    for granule in granules(path.parent, product).values():
        # An HDF4 file keeps its list of datasets at its beginning: only reading them tells that the end is there.
        read_granule(granule, names)


def _netcdf(path: Path) -> None:
    from pm25map.predictors.sources.netcdf import days_in, open_netcdf  # noqa: PLC0415

    with open_netcdf(path) as dataset:
        days_in(dataset, path)


def _raster(path: Path) -> None:
    from rasterio.windows import Window  # noqa: PLC0415

    from pm25map.base.errors import BadRaster  # noqa: PLC0415
    from pm25map.grid.geotiff import open_raster  # noqa: PLC0415

    try:
        with open_raster(path, BadRaster) as raster:
            source = raster.source
            source.read(1, window=Window(0, source.height - 1, source.width, 1))
    except BadRaster as error:
        raise BadFetch(f"{path.name} is cut off or no raster: fetch it again") from error


def _airnow(path: Path) -> None:
    from pm25map.monitors.airnow_check import check_airnow_file  # noqa: PLC0415

    check_airnow_file(path)


CHECKS: dict[str, Callable[[Path], None]] = {
    "maiac": _maiac,
    "ndvi": _ndvi,
    "netcdf": _netcdf,
    "zip": _zip,
    "hms": _hms,
    "raster": _raster,
    "airnow": _airnow,
}
