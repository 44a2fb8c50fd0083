"""The window of a block: 21 days of every land cell, oldest day first, as the network reads it."""

import datetime as dt

import numpy as np
import numpy.typing as npt

from pm25map.base.days import window_of
from pm25map.grid import Block
from pm25map.predictors.reader import Predictors
from pm25map.windows.scaler import Scaler


def block_window(
    predictors: Predictors,
    scaler: Scaler,
    day: dt.date,
    block: Block,
    cells: npt.NDArray[np.bool_],
    window_days: int,
) -> npt.NDArray[np.float32]:
    """Read and scale the window of some cells of a block.

    Args:
        predictors: an open store, checked for the window's days.
        scaler: of the model's card; names the features and their order.
        day: that is estimated, the last of the window.
        block: of the store's grid.
        cells: bool (y, x) of the block: which cells to give.
        window_days: length of the window.

    Returns:
        float32 (cell, day, input), cells row by row, oldest day first.

    Raises:
        As `block_predictors`.
    """
    return scaler.apply(block_predictors(predictors, scaler.features, day, block, cells, window_days))


def block_predictors(
    predictors: Predictors,
    features: tuple[str, ...],
    day: dt.date,
    block: Block,
    cells: npt.NDArray[np.bool_],
    window_days: int,
) -> npt.NDArray[np.float32]:
    """Read the window of some cells of a block as it is: before scaling, missing values still NaN.

    Args:
        features: names, in order. Else as `block_window`.

    Returns:
        float32 (cell, day, feature) in the table's units, cells row by row, oldest day first.

    Raises:
        MissingDays, DayOutsideStore: a day is missing in the store. Days are never skipped or repeated.
        BadPredictors: a value is out of its valid range.
    """
    # The stack is scaled once, after dropping cells off land: half of a coastal block.
    values = predictors.read(features, window_of(day, window_days), block)
    return values[:, :, cells].transpose(2, 0, 1)
