"""What the values of a predictor are worth: one set of bits, for the flags in a store and for the mask of a map.

A store may hold, beside a daily variable, `<variable>_flag` (time, y, x): the bits of each value. A map's quality mask
is the union of the bits of all daily values, and of all climatologies, in the window of a cell.
"""

from enum import IntFlag

import numpy as np
import numpy.typing as npt

from pm25map.predictors.variables import Kind, variable

FLAG_SUFFIX = "_flag"


class Quality(IntFlag):
    """How a value came to be. A flag layer holds one or more of the first six bits.

    Attributes:
        OBSERVED: measured, or computed from measurements of its day.
        IMPUTED: filled from other places, variables or days by a model.
        CARRIED_FORWARD: the latest value of an earlier day.
        CLIMATOLOGY: a mean of many years.
        STALE: older than its source should be; it is used all the same.
        MISSING: there is none, which an indicator marks in the model's input.
        MISSING_TODAY: missing on the estimated day itself; of the mask alone.
    """

    OBSERVED = 1
    IMPUTED = 2
    CARRIED_FORWARD = 4
    CLIMATOLOGY = 8
    STALE = 16
    MISSING = 32
    MISSING_TODAY = 64


def flag_name(name: str) -> str:
    """Name the flag layer of a daily variable.

    >>> flag_name("aod_055")
    'aod_055_flag'
    """
    return f"{name}{FLAG_SUFFIX}"


def quality_mask(
    values: npt.NDArray[np.floating],
    features: tuple[str, ...],
    flags: dict[str, npt.NDArray[np.floating]] | None = None,
) -> npt.NDArray[np.uint8]:
    """Join the bits of all values in some windows.

    Args:
        values: (cell, day, feature), the estimated day last; NaN where missing.
        features: names from the table.
        flags: (cell, day) by feature, where a store has flags; NaN counts as no flag. A value without a flag is
            OBSERVED, or MISSING where it is NaN.

    Returns:
        uint8 (cell,). Static layers and what is computed from the calendar give no bit: they neither age nor fail,
        unless one is missing.
    """
    mask = np.zeros(len(values), dtype=np.uint8)
    for i, name in enumerate(features):
        if name.endswith(FLAG_SUFFIX):
            # Flags that a model reads describe another value, and have no quality of their own.
            continue
        missing = np.isnan(values[:, :, i])
        bits = np.where(missing, 0, _bit_of(variable(name).kind)).astype(np.uint8)
        if flags and name in flags:
            flag = flags[name]
            # A flag describes its value; MISSING follows from the value itself.
            bits = np.where(missing | np.isnan(flag), bits, np.nan_to_num(flag)).astype(np.uint8)
        mask |= np.bitwise_or.reduce(bits, axis=1)
        mask[missing.any(axis=1)] |= np.uint8(Quality.MISSING)
        mask[missing[:, -1]] |= np.uint8(Quality.MISSING_TODAY)
    return mask


def _bit_of(kind: Kind) -> int:
    """Return the bit of a value that is there, by the kind of its variable."""
    return {"daily": int(Quality.OBSERVED), "climatology": int(Quality.CLIMATOLOGY)}.get(kind, 0)
