"""Short windows: which of their features go missing with a day, and draws of such days to train with."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pm25map.predictors.variables import variable


def kept_by_day(features: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which features a store keeps by day, so that they are missing where a day is: bool (feature,).

    Args:
        features: names from the variable table.

    Raises:
        UnknownName: a name is not in the table.
    """
    return np.array([variable(name).kind == "daily" for name in features], dtype=np.bool_)


def last_days(count: int, days: int) -> npt.NDArray[np.bool_]:
    """Mark the last `count` of a window's days as present: bool (day,), oldest day first."""
    return np.arange(days) >= days - count


def draw_present_days(
    generator: np.random.Generator, windows: int, days: int, share: float, gaps: float
) -> npt.NDArray[np.bool_]:
    """Draw which days of windows are present, for a network that is to learn from short windows too.

    Args:
        generator: of random numbers.
        windows: how many.
        days: length of a window, at least two.
        share: of the windows that are short. How many last days of one are left, from one to `days - 1`, is drawn
            with a probability in proportion to its reciprocal.
        gaps: probability that a further day of a short window is missing.

    Returns:
        bool (window, day), oldest day first; the last day is always present.
    """
    counts = np.arange(1, days)
    chance = 1 / counts
    left = generator.choice(counts, size=windows, p=chance / chance.sum())  # (window,)
    short = generator.random(windows) < share
    age = np.arange(days - 1, -1, -1)  # (day,): 0 is the estimated day
    missing = (age >= left[:, None]) | (generator.random((windows, days)) < gaps)  # (window, day)
    missing[:, -1] = False
    return np.asarray(~(missing & short[:, None]))
