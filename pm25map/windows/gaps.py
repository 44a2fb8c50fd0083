"""What stands in for a missing day of a window: the next day that is present, as the reader of a store has it."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def fill_missing_days(
    windows: Floats, present: npt.NDArray[np.bool_], daily: npt.NDArray[np.bool_]
) -> Floats:
    """Fill the missing days of windows by the next day that is present.

    The rule of Predictors.filling_gaps for windows that are held already, as those of stations.

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
        raise ValueError("the estimated day of a window is missing: nothing can stand in for it")
    days = windows.shape[1]
    # The next present day at or after each: a running minimum from the end.
    number = np.where(there, np.arange(days), days)
    following = np.minimum.accumulate(number[:, ::-1], axis=1)[:, ::-1]  # (window, day)
    filled = windows.copy()
    picked = windows[np.arange(len(windows))[:, None], following]
    filled[:, :, daily] = picked[:, :, daily]
    return filled
