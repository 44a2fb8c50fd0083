"""Reading one day of a provider's netCDF file: axes checked, cut to the grid, scaled, in the table's unit."""

import contextlib
import datetime as dt
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np
import numpy.typing as npt
import scipy.io
from pyproj import CRS
from pyproj.exceptions import CRSError

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.regrid import GEOGRAPHIC, Field, window_of_axes
from pm25map.predictors.sources.files import first_line
from pm25map.predictors.units import convert
from pm25map.predictors.variables import Variable

Array = npt.NDArray[np.float32]

NORTH_NAMES = ("lat", "latitude", "y")
EAST_NAMES = ("lon", "longitude", "x")
TIME_NAMES = ("time", "day")
DAY_SUFFIX = "_day="
"""gridMET's own subsets, and copies made with terra, name a variable VARIABLE_day=DAYS_SINCE_1900."""


@dataclass(frozen=True)
class Axes:
    """The axes of a dataset, and the part of it that a grid needs.

    Attributes:
        y, x: all centres as the file holds them, longitudes as -180 to 180.
        crs: of y and x.
        rows, cols: indices into y and x of the part, rows from north to south, columns from west to east.
    """

    y: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    crs: str
    rows: npt.NDArray[np.intp]
    cols: npt.NDArray[np.intp]


@contextlib.contextmanager
def open_netcdf(path: Path) -> Iterator[netCDF4.Dataset]:
    """Open a file for reading.

    Raises:
        BadPredictors: it is no netCDF file, or is cut off or damaged.
    """
    try:
        with netCDF4.Dataset(path) as dataset:
            if dataset.data_model in ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"):
                _check_length(path)
            yield dataset
    except (OSError, RuntimeError) as error:
        raise BadPredictors(
            f"cannot read {path} ({first_line(error)}): it is cut off or no netCDF file. Get it again"
        ) from error


def _check_length(path: Path) -> None:
    """Refuse a file of classic netCDF that was cut off: the library reads zeros beyond its end.

    Raises:
        OSError: the file is shorter than its header says.
    """
    try:
        # Mapping a file fails where a variable would end beyond it; no value is read.
        with scipy.io.netcdf_file(path, mmap=True):
            pass
    except (ValueError, TypeError) as error:
        raise OSError("shorter than its header says") from error


def days_in(dataset: netCDF4.Dataset, path: Path) -> list[dt.date]:
    """List the day of every entry of the time axis, in whatever calendar.

    Raises:
        BadPredictors: the file has no time axis that can be read.
    """
    name = next((n for n in TIME_NAMES if n in dataset.variables), None)
    if name is None:
        # A subset of gridMET counts the days in the names of its variables instead.
        suffixes = [n.partition(DAY_SUFFIX)[2] for n in dataset.variables if DAY_SUFFIX in n]
        return [dt.date(1900, 1, 1) + dt.timedelta(days=int(number)) for number in suffixes]
    time = dataset.variables[name]
    try:
        moments = cftime.num2date(
            np.atleast_1d(np.ma.getdata(time[...])), time.units, getattr(time, "calendar", "standard")
        )
        return [dt.date(m.year, m.month, m.day) for m in moments]
    except (AttributeError, ValueError) as error:
        raise BadPredictors(
            f"cannot read the time axis of {path} ({first_line(error)}): get the file again"
        ) from error


def read_day(
    path: Path, names: tuple[str, ...], day: dt.date, row: Variable, grid: Grid, *, daily_total: bool = False
) -> Field:
    """Read one day of a dataset over a grid; several entries of a day, such as hours, are averaged.

    Args:
        path: of the file.
        names: that the provider gives the dataset; the first that is there counts.
        day: to read.
        row: the variable that it becomes.
        grid: whose surroundings are read.
        daily_total: see `convert`.

    Raises:
        BadPredictors: the file lacks dataset or day, does not reach the grid, or holds a unit or values that
            are not the variable's.
    """
    with open_netcdf(path) as dataset:
        days = days_in(dataset, path)
        field = _named(dataset, names, day)
        if field is None:
            raise BadPredictors(
                f"{path} holds no {' or '.join(names)} but {', '.join(list(dataset.variables)[:8])}: it is "
                f"another product than {row.source} needs for {row.name}"
            )
        slots = [i for i, d in enumerate(days) if d == day]
        if not slots:
            reach = f"{min(days)} to {max(days)}" if days else "no day"
            raise BadPredictors(f"{path} holds {reach}, and not {day}: get the file of that day")
        axes = axes_of(dataset, field, path, grid)
        values: Array = (
            np.stack([_slice(field, slot, axes) for slot in slots]).mean(axis=0).astype(np.float32)
        )
        # Some files state a number, such as 1, in place of a word.
        units = str(field.units) if "units" in field.ncattrs() else None
        where = f"{field.name} of {path}"
    converted = convert(values, units, row, where, daily_total=daily_total)
    check_values(converted, row, f"{where} on {day}")
    return Field(converted, axes.y[axes.rows], axes.x[axes.cols], axes.crs)


def check_values(values: Array, row: Variable, where: str) -> None:
    """Refuse values out of a variable's range, such as a fill value that a file does not declare.

    Raises:
        BadPredictors: names the file, the value and the range.
    """
    wrong = (values < row.valid_min) | (values > row.valid_max)
    # What the provider's packing rounds off at an end of the range is no error.
    slack = 1e-4 * (row.valid_max - row.valid_min)
    far = wrong & ((values < row.valid_min - slack) | (values > row.valid_max + slack))
    if far.any():
        value = float(values[far][0])
        raise BadPredictors(
            f"{where} has the value {value:g} {row.units} ({int(far.sum())} such values), and {row.name} goes from "
            f"{row.valid_min:g} to {row.valid_max:g}: a fill value that the file does not declare, or a "
            f"damaged file. Get it again"
        )
    np.clip(values, row.valid_min, row.valid_max, out=values)


def axes_of(dataset: netCDF4.Dataset, field: Any, path: Path, grid: Grid) -> Axes:
    """Read and check the axes of a dataset, and find the part that a grid needs.

    Raises:
        BadPredictors: there are no axes, they are swapped, or do not reach the grid.
    """
    y_name, x_name = (
        next((n for n in field.dimensions if n.lower() in names), None) for names in (NORTH_NAMES, EAST_NAMES)
    )
    if y_name is None or x_name is None or not {y_name, x_name} <= set(dataset.variables):
        raise BadPredictors(
            f"{field.name} of {path} has the axes {', '.join(field.dimensions)}, and needs latitude and "
            f"longitude or y and x: get the provider's own file"
        )
    y, x = (np.ma.getdata(dataset.variables[n][:]).astype(np.float64) for n in (y_name, x_name))
    crs = GEOGRAPHIC
    if y_name.lower() == "y":
        crs = _mapping(dataset, field, path)
        scale = 1000.0 if getattr(dataset.variables[x_name], "units", "m") == "km" else 1.0
        y, x = y * scale, x * scale
    elif np.abs(y).max() > 90.001:
        raise BadPredictors(
            f"{path}: its latitudes go from {y.min():g} to {y.max():g}: latitude and longitude are swapped. "
            f"Get the provider's own file"
        )
    else:
        x = (x + 180) % 360 - 180
    part = _window(y, x, crs, grid)
    if part is None:
        swapped = crs == GEOGRAPHIC and _window(x, (y + 180) % 360 - 180, crs, grid) is not None
        why = "latitude and longitude are swapped" if swapped else "it covers another area"
        raise BadPredictors(
            f"{path} has {y_name} {y.min():g} to {y.max():g} and {x_name} {x.min():g} to {x.max():g}, which do "
            f"not reach grid {grid.name}: {why}. Get the provider's own file"
        )
    return Axes(y, x, crs, *part)


def _window(
    y: npt.NDArray[np.float64], x: npt.NDArray[np.float64], crs: str, grid: Grid
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None:
    """Find the rows and columns that a grid needs, from north to south and from west to east."""
    north_first, west_first = np.argsort(-y, kind="stable"), np.argsort(x, kind="stable")
    part = window_of_axes(y[north_first], x[west_first], crs, grid)
    return None if part is None else (north_first[part[0]], west_first[part[1]])


def _slice(field: Any, slot: int, axes: Axes) -> npt.NDArray[np.float64]:
    """Read one entry of time over the part that is needed: (y, x), NaN where missing."""
    # One rectangle that contains the part: netCDF reads rectangles, and longitudes 0 to 360 may split it.
    spans = {"y": axes.rows, "x": axes.cols}
    picks: list[Any] = []
    order: list[str] = []
    for name in field.dimensions:
        kind = "y" if name.lower() in NORTH_NAMES else "x" if name.lower() in EAST_NAMES else ""
        if kind:
            picks.append(slice(int(spans[kind].min()), int(spans[kind].max()) + 1))
            order.append(kind)
        else:
            picks.append(slot if name.lower() in TIME_NAMES else 0)
    values = np.ma.filled(np.ma.asarray(field[tuple(picks)]).astype(np.float64), np.nan)
    values = values if order == ["y", "x"] else values.T
    part: npt.NDArray[np.float64] = values[np.ix_(axes.rows - axes.rows.min(), axes.cols - axes.cols.min())]
    return part


def _named(dataset: netCDF4.Dataset, names: tuple[str, ...], day: dt.date) -> Any | None:
    number = (day - dt.date(1900, 1, 1)).days
    for name in names:
        for candidate in (name, f"{name}{DAY_SUFFIX}{number}"):
            if candidate in dataset.variables:
                return dataset.variables[candidate]
    return None


def _mapping(dataset: netCDF4.Dataset, field: Any, path: Path) -> str:
    name = str(getattr(field, "grid_mapping", ""))
    try:
        about = dataset.variables[name]
        known = {key: np.array(about.getncattr(key)).tolist() for key in about.ncattrs()}
        return _projection(tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in known.items()))
    except (KeyError, CRSError, TypeError) as error:
        raise BadPredictors(
            f"{path} does not say the projection of {field.name}: get the provider's own file"
        ) from error


@functools.lru_cache(maxsize=16)
def _projection(attributes: tuple[tuple[str, Any], ...]) -> str:
    """Read a CF grid mapping. PROJ looks its ellipsoid up among all there are, which takes a third of a second."""
    return str(CRS.from_cf({key: list(v) if isinstance(v, tuple) else v for key, v in attributes}).to_wkt())
