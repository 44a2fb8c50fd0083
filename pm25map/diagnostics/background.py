"""The air around each cell, and which cells stand out from it."""

import math

import numpy as np
import numpy.typing as npt
from scipy.ndimage import zoom

from pm25map.base.aqi import CATEGORIES
from pm25map.grid import Grid
from pm25map.grid.areas import cell_areas

FloatArray = npt.NDArray[np.floating]

BACKGROUND_KM = 300.0
"""The background is the lower quartile of the estimates within this distance."""

BACKGROUND_PERCENTILE = 25.0

BACKGROUND_CAP = CATEGORIES[1].high
"""ug m-3: cells are hot above at most this; where the air is unhealthy over hundreds of km, that is the event."""

_COARSE_KM = 50.0
"""Cells are first joined to medians of squares of this side: the background has no finer structure."""

EXCESS_UGM3, EXCESS_SHARE = 5.0, 0.5
"""A cell is hot when it exceeds its background by 5 ug m-3 and by half of it."""

PEAK_UGM3, PEAK_SHARE = 10.0, 1.0
"""A region of hot cells counts when one of them exceeds its background by 10 ug m-3 and by all of it."""


def hot_cells(pm25: FloatArray, background: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which cells stand out from their background: bool, as pm25."""
    return stands_out(pm25, background, EXCESS_UGM3, EXCESS_SHARE)


def stands_out(pm25: FloatArray, background: FloatArray, ugm3: float, share: float) -> npt.NDArray[np.bool_]:
    """Return which cells exceed their background by an amount, ug m-3, and by a share of it."""
    with np.errstate(invalid="ignore"):
        standing_out: npt.NDArray[np.bool_] = pm25 - background >= np.maximum(ugm3, share * background)
    return standing_out


def background_of(pm25: FloatArray, grid: Grid) -> FloatArray:
    """Compute the background of each cell: float32 (y, x), ug m-3; NaN where no cell within reach has an estimate.

    It is the 25th percentile within 300 km. A percentile does not
    follow a plume or a city that covers less than three quarters of the circle.

    Args:
        pm25: (y, x), ug m-3, NaN where there is no estimate.
        grid: of the map.
    """
    step_km = step_of(grid)
    size = max(1, round(_COARSE_KM / step_km))
    coarse = _medians(pm25, size)
    reach = max(1, round(BACKGROUND_KM / (size * step_km)))
    padded = np.pad(coarse, reach, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    up, across = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    around = windows[:, :, up**2 + across**2 <= reach**2]
    level = _percentile(around)
    level = np.where(np.isnan(level), np.nanmedian(level) if np.isfinite(level).any() else np.nan, level)
    fine = zoom(level, size, order=1, mode="nearest", grid_mode=True)[: pm25.shape[0], : pm25.shape[1]]
    return np.where(np.isfinite(pm25), fine, np.nan).astype(np.float32)


def step_of(grid: Grid) -> float:
    """Return the side of a square as large as the middle one of the cells on land, km."""
    return math.sqrt(float(np.median(cell_areas(grid)[grid.land])))


def _medians(pm25: FloatArray, size: int) -> FloatArray:
    rows, cols = (-(-n // size) for n in pm25.shape)
    padded = np.full((rows * size, cols * size), np.nan)
    padded[: pm25.shape[0], : pm25.shape[1]] = pm25
    return _percentile(
        padded.reshape(rows, size, cols, size).transpose(0, 2, 1, 3).reshape(rows, cols, -1), 50.0
    )


def _percentile(values: FloatArray, percent: float = BACKGROUND_PERCENTILE) -> FloatArray:
    """Return a percentile along the last axis, over the values that are present; NaN where none is.

    NumPy's own nanpercentile goes row by row in Python; sorting puts NaN last, and is fast.
    """
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(values).sum(axis=-1)
    place = np.maximum(count - 1, 0) * percent / 100
    low = np.floor(place).astype(np.int64)[..., None]
    high = np.ceil(place).astype(np.int64)[..., None]
    below, above = np.take_along_axis(ordered, low, -1)[..., 0], np.take_along_axis(ordered, high, -1)[..., 0]
    return np.where(count > 0, below + (above - below) * (place - low[..., 0]), np.nan)
