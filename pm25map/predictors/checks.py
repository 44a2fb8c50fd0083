"""What a predictor store is checked for, and what a user is told to do about it."""

import datetime as dt
import json
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from pm25map.base.errors import BadGrid, BadPredictors, DayOutsideStore, MissingDays
from pm25map.base.object_store import remote_errors
from pm25map.base.storage import Location, Remote
from pm25map.grid import Grid
from pm25map.predictors import layout
from pm25map.predictors.computed import NEEDS
from pm25map.predictors.variables import VARIABLES, Variable, variable, variables_of


def damage() -> tuple[type[Exception], ...]:
    """Give what opening or reading a damaged store may raise."""
    known = (OSError, ValueError, RuntimeError, LookupError, TypeError, zipfile.BadZipFile)
    return known + remote_errors()


def open_checked(path: Location) -> layout.Group:
    """Open the group of a store for reading.

    Raises:
        BadPredictors: there is nothing, or no Zarr store, or none that this package made.
    """
    make = f"Make one: pm25map data ingest --source all --start DAY --end DAY --store {store_to_write(path)}"
    if isinstance(path, Path) and not path.exists():
        raise BadPredictors(f"there is no predictor store {path}. {make}")
    try:
        group = layout.open_group(path, "r")
        framed = all(name in group for name in ("time", "y", "x", "land", "spatial_ref", layout.FINGERPRINT))
    except damage() as error:
        if isinstance(path, Remote):
            path.check()
        raise BadPredictors(
            f"{path} is not a Zarr store of predictors, or is damaged ({_first_line(error)}). {make}"
        ) from error
    if not framed or "grid_definition" not in group.attrs:
        raise BadPredictors(
            f"{path} is a Zarr group but not a store of predictors: it says no grid or axes. {make}"
        )
    return group


def read_grid(path: Location, group: layout.Group) -> Grid:
    """Make the grid of a store again from its definition, land mask and CRS, which must agree.

    Raises:
        BadPredictors: they do not; the store was damaged or changed by hand.
    """
    attributes = group.attrs
    again = "Make the store again with pm25map data ingest"
    try:
        told = json.loads(str(attributes["grid_definition"]))
        land = np.asarray(group["land"][:]) == 1
        a, b, c, d, e, f = map(float, told["transform"])
        rows, cols = map(int, told["shape"])
        grid = Grid(
            str(told["name"]),
            str(told["crs"]),
            (a, b, c, d, e, f),
            (rows, cols),
            int(told["block_size"]),
            land,
        )
        crs = CRS.from_wkt(str(group["spatial_ref"].attrs["crs_wkt"]))
    except (BadGrid, CRSError, KeyError, TypeError, ValueError, OSError) as error:
        raise BadPredictors(
            f"{path} does not say its grid as it must ({_first_line(error)}). {again}"
        ) from error
    if crs != CRS.from_user_input(grid.crs):
        raise BadPredictors(
            f"{path} has the CRS {crs.name!r}, and its grid {grid.name} is on {grid.crs}. {again}"
        )
    x, y = grid.xy()
    for name, values in (("x", x), ("y", y)):
        held = np.asarray(group[name][:])
        if held.shape != values.shape or not np.allclose(held, values):
            raise BadPredictors(
                f"{path}: its {name} axis is not that of grid {grid.name} {grid.shape}. {again}"
            )
    if attributes.get("grid_checksum") != grid.checksum:
        raise BadPredictors(
            f"{path}: its land or grid {grid.name} does not have the checksum it states. {again}"
        )
    return grid


def read_rows(path: Location, group: layout.Group, grid: Grid) -> dict[str, Variable]:
    """List the variables that a store holds and the table knows; layers that are half written are left out.

    Raises:
        BadPredictors: one has a wrong unit, shape or dimensions.
    """
    length = group["time"].shape[0]
    axes = {"daily": ("time", "y", "x"), "climatology": ("month", "y", "x"), "static": ("y", "x")}
    marked = list(group[layout.FINGERPRINT].attrs["variables"])
    rows = {}
    for name in sorted(group.array_keys(), key=lambda n: list(VARIABLES).index(n) if n in VARIABLES else -1):
        row = VARIABLES.get(name)
        if row is None or not row.stored:
            continue
        array = group[name]
        units = array.attrs.get("units")
        if units != row.units:
            raise BadPredictors(
                f"{path}: {name} is in {units!r}, and must be in {row.units!r}. Convert it first"
            )
        dims = tuple(array.metadata.dimension_names or ())
        # A store that was cut off while it grew has days beyond its time axis: they do not count.
        days = array.shape[0] if row.kind == "daily" else length
        sides = {"time": days, "month": 12, "y": grid.shape[0], "x": grid.shape[1]}
        wanted = axes[row.kind]
        if dims != wanted or days < length or array.shape != tuple(sides[d] for d in wanted):
            found = ", ".join(f"{d} {n}" for d, n in zip(dims, array.shape, strict=False))
            expected = ", ".join(f"{d} {sides[d] if d != 'time' else length}" for d in wanted)
            raise BadPredictors(f"{path}: {name} has the shape ({found}), and must have ({expected})")
        if (name in marked) if row.kind == "daily" else (layout.FINGERPRINT in array.attrs):
            rows[name] = row
    return rows


def check_features(path: Location, held: Collection[str], features: Collection[str]) -> None:
    """Refuse features that a store cannot give.

    Raises:
        UnknownName: the table has no such variable.
        BadPredictors: the store does not hold it, or what it is worked out from.
    """
    if lacking := _lacking(held, features):
        source = variable(lacking[0]).source
        raise BadPredictors(f"{path} lacks {', '.join(lacking)}. Run: {_command(source)} --store {path}")


def check_from_monitors(features: Collection[str]) -> None:
    """Refuse features that neither monitors give nor the layers that come with the package.

    Raises:
        UnknownName: the table has no such variable.
        BadPredictors: a model reads what other sources give.
    """
    if lacking := _lacking((*variables_of("neighbours"), *variables_of("static")), features):
        sources = ", ".join(dict.fromkeys(variable(name).source for name in lacking))
        raise BadPredictors(
            f"the model reads {', '.join(lacking)}, which monitors do not give: fill a store from {sources} "
            "(docs/providers.md) and name it with --predictors, or choose another model"
        )


def _lacking(held: Collection[str], features: Collection[str]) -> list[str]:
    """List what is stored of some features, or of what they are worked out from, and is not held."""
    needed = [need for name in features for need in (NEEDS.get(name, ()) if name in NEEDS else (name,))]
    return [name for name in dict.fromkeys(needed) if variable(name).stored and name not in held]


def check_days(path: Location, whole: Mapping[str, Collection[dt.date]], days: list[dt.date]) -> None:
    """Refuse a window whose days are not all in a store.

    Args:
        path: of the store.
        whole: for every daily feature, the days on which it is whole.
        days: of the window, the estimated day last.

    Raises:
        DayOutsideStore: the last day, or the begin of its window, lies outside; says which days there are.
        MissingDays: days inside are missing; says which, and the command that gets them.
    """
    absent = {name: [day for day in days if day not in held] for name, held in whole.items()}
    absent = {name: lacking for name, lacking in absent.items() if lacking}
    if not absent:
        return
    lacking = sorted(set().union(*absent.values()))
    sources = list(dict.fromkeys(variable(name).source for name in absent))
    run = "; ".join(
        f"{_command(source)} --start {lacking[0]} --end {lacking[-1]} --store {store_to_write(path)}"
        for source in sources
    )
    held = [held for name, held in whole.items() if name in absent]
    if not all(held):
        raise DayOutsideStore(
            f"cannot use {days[-1]}: {path} holds no day of {', '.join(absent)} yet. Run: {run}"
        )
    first, last = max(map(min, held)), min(map(max, held))
    if not first <= days[-1] <= last:
        raise DayOutsideStore(
            f"cannot use {days[-1]}: {path} has the days {first} to {last}. Choose one of them, or run: {run}"
        )
    if min(days) < first:
        earliest = first + (days[-1] - min(days))
        choose = (
            f"Choose a day from {earliest} to {last}" if earliest <= last else "No day has a whole window"
        )
        raise DayOutsideStore(
            f"cannot use {days[-1]}: its window begins on {min(days)}, and {path} has the days {first} to "
            f"{last}. {choose}, or run: {run}"
        )
    count = "1 day of its window is" if len(lacking) == 1 else f"{len(lacking)} days of its window are"
    raise MissingDays(f"cannot use {days[-1]}: {count} missing from {path} (first: {lacking[0]}). Run: {run}")


def check_monitored(label: str, whole: Mapping[str, Collection[dt.date]], days: list[dt.date]) -> None:
    """Refuse a day that the monitors of a map do not have, in words of days and monitors.

    Args:
        label: names the monitors.
        whole: for every daily feature, the days on which it is whole.
        days: that are needed, the estimated day last.

    Raises:
        DayOutsideStore: nothing measured on the estimated day.
        MissingDays: nothing measured on another of the days.
    """
    held = frozenset.intersection(*map(frozenset, whole.values())) if whole else frozenset(days)
    lacking = [day for day in days if day not in held]
    if not lacking:
        return
    if days[-1] in lacking:
        raise DayOutsideStore(
            f"no monitor measured on {days[-1]} ({label}): choose another day, or name other monitors with --monitors"
        )
    raise MissingDays(
        f"cannot use {days[-1]}: no monitor measured on {len(lacking)} days of its window ({lacking[0]} to "
        f"{lacking[-1]}; {label}). Name monitors of these days too, or leave out --strict-window"
    )


def store_to_write(path: Location) -> Location:
    """Name a store that a hint may propose to write: a packed one, such as the shipped sample, is read only.

    >>> str(store_to_write(Path("sample.zarr.zip")))
    'predictors.zarr'
    """
    return Path("predictors.zarr") if str(path).endswith(".zip") else path


def _command(source: str) -> str:
    """Say what fills the variables of a source: gaps are imputed by a model, all else is ingested."""
    return (
        f"pm25map data ingest --source {source}"
        if source != "imputation"
        else "pm25map data impute apply --model MODEL"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
