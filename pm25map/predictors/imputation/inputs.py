"""What a gap is filled from: which predictors of a store, and the numbers of some cells on a day."""

import datetime as dt

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadPredictors
from pm25map.grid import Block
from pm25map.predictors.quality import FLAG_SUFFIX
from pm25map.predictors.reader import Predictors
from pm25map.predictors.variables import VARIABLES, variable

FILLED_SUFFIX = "_filled"

SOURCE = "imputation"
"""Source of what is filled, in the variable table."""

PLACE = ("latitude", "longitude")
"""Of the cell centre, degrees; every imputation reads them."""

CALENDAR = ("day_of_year_cos", "day_of_year_sin", "day_length")
"""No year: trees do not extrapolate beyond the years of their training."""

_SOURCES = ("daymet", "gridmet", "nclimgrid", "merra2", "ncep", "hms", "gmted", "static")
"""Whose variables fill gaps unless a user chooses others."""

_MONITORED = ("neighbours", "knnidw")
"""PM2.5 of monitors fills no gap: else held-out stations would reach the inputs of a model of PM2.5."""


def filled_name(name: str) -> str:
    """Return the name of a variable with its gaps filled.

    >>> filled_name("aod_055")
    'aod_055_filled'
    """
    return f"{name}{FILLED_SUFFIX}"


def check_target(name: str) -> None:
    """Refuse a variable that cannot be imputed.

    Raises:
        UnknownName: the table lacks it.
        BadPredictors: it is no daily variable with gaps, or the table has no room for what is filled.
    """
    row = variable(name)
    able = [n.removesuffix(FILLED_SUFFIX) for n, r in VARIABLES.items() if r.source == SOURCE]
    able = [n for n in able if not n.endswith(FLAG_SUFFIX)]
    if name not in able:
        why = (
            "is not daily" if row.kind != "daily" else f"has no row {filled_name(name)} in the variable table"
        )
        raise BadPredictors(f"cannot impute {name}: it {why}. Choose one of {', '.join(able)}")


def choose_predictors(store: Predictors, target: str, wanted: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Choose what a target is imputed from: what a user wants, else all of the store that may.

    Never of the target's own source: values of the same retrieval are missing where the target is.

    Raises:
        UnknownName: the table lacks a predictor.
        BadPredictors: the store lacks one, or has none, or a wanted one comes with the target or from monitors.
    """
    own = variable(target).source
    kin = [name for name in wanted if variable(name).source in (own, SOURCE)]
    if kin:
        raise BadPredictors(
            f"cannot impute {target} from {', '.join(kin)}, which is missing where {target} is: leave it out"
        )
    monitored = [name for name in wanted if variable(name).source in _MONITORED]
    if monitored:
        raise BadPredictors(
            f"cannot impute {target} from {', '.join(monitored)}: a model of PM2.5 would read in {target} the "
            f"measurements that it is to find out. Leave it out"
        )
    if wanted:
        return tuple(dict.fromkeys(wanted))
    usable = tuple(n for n in store.variables if variable(n).source in _SOURCES and variable(n).source != own)
    if not any(variable(name).kind == "daily" for name in usable):
        raise BadPredictors(
            f"{store.path} holds no daily predictor to impute {target} from. Ingest one of daymet, gridmet, "
            f"nclimgrid, merra2, ncep first: pm25map data ingest --source gridmet --store {store.path}"
        )
    return (*usable, *CALENDAR)


def input_names(predictors: tuple[str, ...], radii: tuple[int, ...]) -> tuple[str, ...]:
    """Name the inputs of the trees, in order: predictors, place, then buffers; radii in cells.

    >>> input_names(("elevation", "gridmet_th"), (3,))[:3]
    ('elevation', 'gridmet_th_sin', 'gridmet_th_cos')
    """
    names: list[str] = []
    for name in predictors:
        names += [f"{name}_sin", f"{name}_cos"] if variable(name).resampling == "vector" else [name]
    buffers = [f"within_{radius}_{what}" for radius in radii for what in ("mean", "share")]
    return (*names, *PLACE, *buffers)


def read_inputs(
    store: Predictors,
    predictors: tuple[str, ...],
    day: dt.date,
    block: Block,
    cells: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    """Read all inputs but the buffers of some cells.

    Args:
        store: that holds the predictors.
        predictors: names from the table.
        day: to read.
        block: of the grid.
        cells: bool (y, x) of the block, on land.

    Returns:
        float32 (cell, input) as `input_names` without radii, cells row by row, NaN where missing.

    Raises:
        MissingDays, DayOutsideStore: the store lacks the day of a predictor.
        BadPredictors: a value is out of its valid range.
    """
    read = store.read(predictors, [day], block)[0]
    columns: list[npt.NDArray[np.floating]] = []
    for name, field in zip(predictors, read, strict=True):
        values = field[cells]
        if variable(name).resampling == "vector":
            angle = np.deg2rad(values.astype(np.float64))
            columns += [np.sin(angle), np.cos(angle)]
        else:
            columns.append(values)
    lon, lat = store.grid.lonlat(block)
    chosen = cells[store.grid.land[block.slices]]
    return np.stack([*columns, lat[chosen], lon[chosen]], axis=1).astype(np.float32)


def read_day(store: Predictors, name: str, day: dt.date) -> npt.NDArray[np.float32]:
    """Read a whole day of a daily variable, block by block: float32 (y, x)."""
    field = np.full(store.grid.shape, np.nan, dtype=np.float32)
    for block in store.grid.blocks():
        field[block.slices] = store.read((name,), [day], block)[0, 0]
    return field
