"""Daily maps of surface PM2.5 over the contiguous United States, with their provenance."""

from importlib.metadata import version

__version__ = version("pm25map")
