"""EPA's PM2.5 NowCast: the current concentration, from the latest twelve hours.

The formula, from EPA's leaflet "PM NowCast" (nepis.epa.gov, P100X0J6): with the smallest and the largest of the
latest 12 hourly values, the weight factor is w = 1 - (largest - smallest) / largest, and 1/2 where that is less. The
NowCast is the mean of the hours weighted by w to the power of the hours ago. EPA states none unless two of the latest
three hours are there; an hour that is missing takes no part.
"""

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadMonitors

HOURS = 12
LATEST = 3
LATEST_NEEDED = 2
LEAST_WEIGHT = 0.5


def nowcast(hours: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Estimate the PM2.5 of now at every site.

    Where no value is above zero there is no rate of change, and every hour has the same weight. The result is not
    cut to 0.1 ug/m3, as EPA does on the way to an index.

    Args:
        hours: ug m-3, (..., 12): the latest hour last, NaN where an hour is missing.

    Returns:
        ug m-3, (...), NaN where fewer than two of the latest three hours are there.

    Raises:
        BadMonitors: the last axis is not of 12 hours.

    >>> float(nowcast([10.0] * 12))
    10.0
    """
    values = np.asarray(hours, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] != HOURS:
        raise BadMonitors(f"a NowCast needs {HOURS} hours a site, the latest last, not {values.shape}")
    present = np.isfinite(values)
    largest = np.where(present, values, -np.inf).max(axis=-1)
    smallest = np.where(present, values, np.inf).min(axis=-1)
    changing = np.isfinite(largest) & (largest > 0)
    weight = np.ones_like(largest)
    np.divide(smallest, largest, out=weight, where=changing)
    weight = np.maximum(weight, LEAST_WEIGHT)
    ago = np.arange(HOURS - 1, -1, -1)
    weights = np.where(present, weight[..., None] ** ago, 0.0)  # (..., 12)
    enough = present[..., -LATEST:].sum(axis=-1) >= LATEST_NEEDED
    total = np.where(present, values, 0.0) * weights
    result = np.full(largest.shape, np.nan)
    np.divide(total.sum(axis=-1), weights.sum(axis=-1), out=result, where=enough)
    return result
