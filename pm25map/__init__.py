"""Daily maps of surface PM2.5 over the contiguous United States, with their provenance.

    import pm25map

    maps = pm25map.predict("2020-09-12", region="oregon")
    maps.pm25map.to_netcdf("oregon.nc")

`open` and `predict` return an xarray.Dataset, `extract` a table of people or areas; docs/python.md and
docs/exposure.md say more.
"""

from importlib.metadata import version
from typing import Any

__version__ = version("pm25map")
__all__ = ["DaySource", "Options", "__version__", "extract", "open", "predict"]

_HOMES = {
    "DaySource": ("pm25map.raster.day_source", "DaySource"),
    "Options": ("pm25map.raster.estimator", "Options"),
    "extract": ("pm25map.exposure.python", "extract"),
    "open": ("pm25map.raster.maps", "open_maps"),
    "predict": ("pm25map.raster.maps", "predict"),
}


def __getattr__(name: str) -> Any:
    """Load what the package gives to Python when it is first asked for: importing it loads nothing else."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - here alone

    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
