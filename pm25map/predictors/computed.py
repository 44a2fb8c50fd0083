"""Variables worked out when they are read: climatologies on a day, the calendar, and the sun."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadPredictors
from pm25map.predictors.sources import calendar, sun

NEEDS = {"clear_sky_radiation": ("elevation", "linke_turbidity")}
"""Layers that a computed variable is worked out from."""

Layer = Callable[[str], npt.NDArray[np.float32]]
"""Returns a static layer (y, x) or a climatology (month, y, x) by name."""


def compute(
    name: str, days: list[dt.date], lat: npt.NDArray[np.float64], layer: Layer
) -> npt.NDArray[np.float32]:
    """Compute a calendar variable: float32 (day, y, x).

    Args:
        name: of a variable of the kind calendar.
        days: local standard days.
        lat: degrees (y, x).
        layer: returns the layers that it is computed from, for the same cells.

    Raises:
        BadPredictors: no rule computes it.
    """
    values = np.empty((len(days), *lat.shape), dtype=np.float32)
    if name in calendar.NAMES:
        for i, day in enumerate(days):
            values[i] = calendar.calendar_value(name, day)
    elif name == "day_length":
        for i, day in enumerate(days):
            values[i] = sun.day_length(day, lat)
    elif name == "clear_sky_radiation":
        altitude = layer("elevation")
        turbidity = calendar.at_days(layer("linke_turbidity"), days)
        for i, day in enumerate(days):
            values[i] = sun.clear_sky_radiation(day, lat, altitude, turbidity[i])
    else:
        raise BadPredictors(f"no rule computes the calendar variable {name}: add one to computed.py")
    return values
