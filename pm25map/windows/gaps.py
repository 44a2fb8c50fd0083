"""Filling of missing days of a window: by the next day that is present, as the reader of a store does."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pm25map.windows.samples import StationSamples
from pm25map.windows.short import kept_by_day

Floats = npt.NDArray[np.float32]


def fill_missing_days(
    windows: Floats, present: npt.NDArray[np.bool_], daily: npt.NDArray[np.bool_]
) -> Floats:
    """Fill the missing days of windows by the next day that is present.

    The rule of Predictors.filling_gaps for windows that are in memory already, such as those of stations.

    Args:
        windows: (window, day, feature), oldest day first.
        present: bool (day,) or (window, day); the last day is always present.
        daily: bool (feature,): features that a store keeps by day. Calendar, sun and layers keep their own values.

    Returns:
        A copy, filled.

    Raises:
        ValueError: the last day of a window, which is the estimated one, is missing.
    """
    there = np.broadcast_to(present, windows.shape[:2])
    if not there[:, -1].all():
        raise ValueError("the estimated day of a window is missing: nothing can replace it")
    days = windows.shape[1]
    # The next present day at or after each: a running minimum from the end.
    number = np.where(there, np.arange(days), days)
    following = np.minimum.accumulate(number[:, ::-1], axis=1)[:, ::-1]  # (window, day)
    filled = windows.copy()
    picked = windows[np.arange(len(windows))[:, None], following]
    filled[:, :, daily] = picked[:, :, daily]
    return filled


def fill_silent_days(samples: StationSamples) -> StationSamples:
    """Fill the days on which no monitor measured, as the windows of a map are filled; days after the last stay missing.

    Args:
        samples: of stations, whose days follow each other.
    """
    daily = kept_by_day(samples.features)
    if not daily.any():
        return samples
    present: npt.NDArray[np.bool_] = np.any(np.isfinite(samples.values[:, :, daily]), axis=(0, 2))  # (day,)
    if present.all() or not present.any():
        return samples
    end = int(np.flatnonzero(present)[-1]) + 1
    values = samples.values.copy()
    values[:, :end] = fill_missing_days(values[:, :end], present[:end], daily)
    return replace(samples, values=values)
