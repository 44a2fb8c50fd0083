"""Daymet V4: daily weather over North America at 1 km, Lambert conformal, one file a variable and year.

Years have 365 days: 31 December of a leap year is not in the files. It is not absent by mistake, so it counts as
a whole day on which every cell is missing, which the model's indicators mark. A day is one of local time.
"""

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.regrid import Field, regrid_field
from pm25map.predictors.sources.latlon import NetcdfEntry, NetcdfSource
from pm25map.predictors.sources.netcdf import axes_of, open_netcdf
from pm25map.predictors.sources.static import fill_nearest
from pm25map.predictors.variables import variable

NAMES = ("dayl", "prcp", "srad", "tmax", "tmin", "vp")
FILE = (
    r"(?:Daymet_Daily_V\d(?:R(?P<revision>\d+))?\.)?"
    r"daymet_v(?P<major>\d)(?P<minor>\w*?)_(?:daily_(?P<region>na|hi|pr)_)?{name}_(?P<year>\d{{4}})"
    r"(?:_(?P<old_region>[a-z]+))?\.nc4?"
)
"""daymet_v4_daily_na_tmax_2020.nc; the DAAC writes Daymet_Daily_V4R1. before it; version 3 was
daymet_v3_tmax_2017_na.nc4."""


@dataclass(frozen=True)
class Daymet(NetcdfSource):
    """Daymet: its daily variables as any netCDF source, and latitude and longitude of its cells as layers."""

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Return the names of the static variables."""
        return ("daymet_lat", "daymet_lon")

    def layers(self, grid: Grid) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield latitude and longitude of Daymet's cells, regridded to the grid.

        Raises:
            BadPredictors: the files do not contain them.
        """
        path = max(self._chosen(self.entries[0]).chosen.items())[1]
        for name in self.layer_names:
            short = name.removeprefix("daymet_")
            with open_netcdf(path) as dataset:
                dataset_variable = dataset.variables.get(short)
                if dataset_variable is None or dataset_variable.ndim != 2:
                    raise BadPredictors(f"{path} holds no {short} (y, x): get the provider's own file")
                main = dataset.variables[self.entries[0].datasets[0][0]]
                axes = axes_of(dataset, main, path, grid)
                rows, cols = (
                    slice(axes.rows.min(), axes.rows.max() + 1),
                    slice(axes.cols.min(), axes.cols.max() + 1),
                )
                part = np.ma.filled(np.ma.asarray(dataset_variable[rows, cols]).astype(np.float32), np.nan)
                part = part[np.ix_(axes.rows - axes.rows.min(), axes.cols - axes.cols.min())]
            field = Field(part, axes.y[axes.rows], axes.x[axes.cols], axes.crs)
            values = regrid_field(field, grid, variable(name).resampling)
            yield name, fill_nearest(values, grid, f"{short} of {path.name}")


def daymet(folder: Path) -> Daymet:
    """Open a folder of files such as daymet_v4_daily_na_tmax_2020.nc."""
    table = tuple(
        NetcdfEntry(
            f"daymet_{name}", FILE.format(name=name), ((name,),), daily_total=name == "prcp", version=_version
        )
        for name in NAMES
    )
    return Daymet("daymet", folder, table, no_such_day=_leaves_out)


def _version(match: re.Match[str]) -> tuple[bool, int, str, int]:
    """Rank a file: the mainland's before those of Hawaii and Puerto Rico, then the version, then its revision."""
    mainland = (match["region"] or match["old_region"] or "na").lower() == "na"
    return mainland, int(match["major"]), match["minor"].lower(), int(match["revision"] or 0)


def _leaves_out(day: dt.date) -> bool:
    return (day.month, day.day) == (12, 31) and calendar.isleap(day.year)
