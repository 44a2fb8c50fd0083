"""A small invented world for the predictors: values that spell their own day, row, column and variable."""

import datetime as dt
from pathlib import Path

import numpy as np

from pm25map.grid import Grid
from pm25map.predictors.store import create_store, write_days, write_layer

START = dt.date(2020, 8, 30)
DAYS = [START + dt.timedelta(days=i) for i in range(24)]
DAILY = ("neighbours_idw9", "neighbours_distance")
STATIC = ("elevation", "relief")
CLIMATOLOGY = ("linke_turbidity", "t2m_climatology")
SHAPE = (11, 13)


REFERENCE_SET = (
    "aod_047",
    "aod_055",
    "day_cos",
    "day_sin",
    "month_cos",
    "month_sin",
    "year",
    "daymet_dayl",
    "daymet_lat",
    "daymet_lon",
    "daymet_prcp",
    "daymet_srad",
    "daymet_tmax",
    "daymet_tmin",
    "daymet_vp",
    "dem",
    "gridmet_th",
    "gridmet_vs",
    "knnidw_distance",
    "knnidw_pm25",
    "knnidw_pm25_val",
    "ndvi",
    "wildfire_smoke",
)
"""The predictors of the reference study (Karimzadeh et al. 2025), alphabetical as there."""


def small_grid() -> Grid:
    """Eleven rows, thirteen columns, blocks of 4: those at the edges are cut; a bay has no land."""
    land = np.ones(SHAPE, dtype=bool)
    land[3:6, 9:] = False
    return Grid("small", "EPSG:5070", (10_000.0, 0.0, -60_000.0, 0.0, -10_000.0, 2_000_000.0), SHAPE, 4, land)


def address(name: str, slot: int | np.ndarray = 0) -> np.ndarray:
    """Spell variable, day or month, row and column: (..., y, x), exact in float32 and unlike any other."""
    number = (*DAILY, *STATIC, *CLIMATOLOGY).index(name)
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    slots = np.asarray(slot)[..., np.newaxis, np.newaxis]
    if name == "linke_turbidity":
        return (2 + slots / 8 + row / 128 + col / 2048).astype(np.float32)
    if name == "t2m_climatology":
        return (slots + row / 16 + col / 256).astype(np.float32)
    return (number * 500 + slots * 16 + row + col / 16).astype(np.float32)


def address_store(path: Path, *, precision: dict[str, float] | None = None) -> Path:
    """Write the address world to a store."""
    create_store(path, small_grid(), DAILY, START, DAYS[-1], precision=precision)
    slots = np.arange(len(DAYS))
    write_days(path, DAYS, {name: address(name, slots) for name in DAILY})
    for name in STATIC:
        write_layer(path, name, address(name))
    for name in CLIMATOLOGY:
        write_layer(path, name, address(name, np.arange(12)))
    return path
