"""Maps in netCDF-4 files that follow CF-1.11: how bands are packed, written and read back."""

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from pm25map.base.errors import BadInstall, BadOutput
from pm25map.base.files import as_bad_output, replacing
from pm25map.raster.bands import PM25, Band

STEP_UGM3: Final = 0.001
"""Step of packed concentrations, ug m-3: packing changes a value by half of it at most. Other bands stay float32."""

PACKED_WITHIN_UGM3: Final = STEP_UGM3 / 2 * 1.001
"""How far a packed concentration may be from the one that was packed, ug m-3, with float32's rounding."""

_FILL, _LARGEST = -(2**31), 2**31 - 1
_NETCDF = threading.Lock()
"""The C library of netCDF serves one thread at a time, and xarray's lock does not cover all of a file's writing."""

_DEFLATE: Final = {"zlib": True, "complevel": 4, "shuffle": True}


def check_netcdf() -> None:
    """Refuse to write NetCDF where the package for it is missing.

    Raises:
        BadInstall: it is.
    """
    try:
        import netCDF4  # noqa: F401, PLC0415 - slow to load, and maps in other formats do without
    except ImportError as error:
        raise BadInstall("to write NetCDF, netCDF4 is needed: pip install netCDF4") from error


def write_netcdf(path: Path, maps: xr.Dataset, bands: tuple[Band, ...], *, packed: bool) -> None:
    """Write one file.

    Args:
        path: of the file, which is whole, or absent after an error.
        maps: (day, y, x), chunks of one size, as `Maps` lays them out for files.
        bands: of the maps.
        packed: whether concentrations become whole numbers of steps.

    Raises:
        BadOutput: it cannot be written, or a value is too large to be packed.
    """
    encoding = {band.name: _encoding(band, maps, packed=packed) for band in bands}
    maps = maps.assign({name: _that_fit(maps[name]) for name in encoding if "scale_factor" in encoding[name]})
    with replacing(path) as part, _NETCDF:
        try:
            maps.to_netcdf(part, format="NETCDF4", engine="netcdf4", encoding=encoding)
        except OSError as error:
            raise as_bad_output(path, error) from error


def read_netcdf(content: bytes, names: list[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Read bands of the first day of a file: float32 (y, x) by name.

    Raises:
        OSError, IndexError, KeyError: the content is no such file, or a band or the day is missing.
    """
    import netCDF4  # noqa: PLC0415 - slow to load, and maps in other formats do without

    with netCDF4.Dataset("map", memory=content) as source:
        return {name: np.ma.filled(source[name][0], np.nan).astype(np.float32) for name in names}


def _encoding(band: Band, maps: xr.Dataset, *, packed: bool) -> dict[str, Any]:
    """Return how a band is stored."""
    # A chunk of the file lies in one of the maps: else each of them would unpack and pack it again.
    most = tuple(map(max, maps[band.name].chunks or ((512,),) * 3))
    lengths = zip(maps[band.name].shape, (1, *most[1:]), strict=True)
    stored: dict[str, Any] = {
        **_DEFLATE,
        "chunksizes": tuple(min(pair) for pair in lengths),
        "grid_mapping": "spatial_ref",
    }
    if not packed or band.units != PM25.units:
        return stored | {"_FillValue": np.float32(np.nan)}
    return stored | {"dtype": "int32", "scale_factor": STEP_UGM3, "_FillValue": np.int32(_FILL)}


def _that_fit(values: xr.DataArray) -> xr.DataArray:
    """Return values of which none is too large to be packed: where one is, computing them fails."""
    if values.chunks is None:
        return values.copy(data=_refuse_large(values.values))
    fit = values.data.map_blocks(_refuse_large, meta=np.empty((0,) * values.ndim, np.float64))
    return values.copy(data=fit)


def _refuse_large(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return values in double precision, in which the division by the step adds no error of its own.

    Raises:
        BadOutput: one is too large to be packed.
    """
    largest = float(np.nanmax(np.abs(values), initial=0.0, where=np.isfinite(values)))
    if largest > _LARGEST * STEP_UGM3:
        raise BadOutput(f"a value of {largest:g} ug m-3 is too large to be packed: write with packed=False")
    return values.astype(np.float64)
