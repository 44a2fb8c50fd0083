"""Predictors that depend on the day alone: parts of the month and of the year."""

import datetime as dt
import math

import numpy as np
import numpy.typing as npt

DAYS_OF_YEAR = 365.25
DAYS_OF_MONTH = 31
MONTHS = 12

NAMES = ("day_cos", "day_sin", "month_cos", "month_sin", "year", "day_of_year_cos", "day_of_year_sin")


def calendar_value(name: str, day: dt.date) -> float:
    """Return a calendar predictor of one day.

    >>> calendar_value("year", dt.date(2020, 9, 12))
    2020.0
    >>> round(calendar_value("month_sin", dt.date(2020, 3, 12)), 6)
    1.0
    """
    turns = {
        "day": day.day / DAYS_OF_MONTH,
        "month": day.month / MONTHS,
        "day_of_year": day.timetuple().tm_yday / DAYS_OF_YEAR,
    }
    if name == "year":
        return float(day.year)
    cycle, _, wave = name.rpartition("_")
    return math.cos(2 * math.pi * turns[cycle]) if wave == "cos" else math.sin(2 * math.pi * turns[cycle])


def month_weights(day: dt.date) -> tuple[int, int, float]:
    """Return the two months between whose middles a day lies, and the weight of the later.

    The middle of a month is midnight of its sixteenth day, of February its fifteenth.
    December is followed by January.

    Returns:
        index of the earlier month (0 January to 11 December), of the later, and the later's weight, 0 to 1.

    >>> month_weights(dt.date(2021, 7, 16))
    (6, 7, 0.0)
    """
    after = day >= _middle(day.year, day.month)
    year, month = (day.year, day.month) if after else _month_before(day.year, day.month)
    later_year, later_month = (year + 1, 1) if month == MONTHS else (year, month + 1)
    begin, end = _middle(year, month), _middle(later_year, later_month)
    return month - 1, later_month - 1, (day - begin).days / (end - begin).days


def at_days(monthly: npt.NDArray[np.float32], days: list[dt.date]) -> npt.NDArray[np.float32]:
    """Evaluate a climatology (month, y, x) on days, linear and cyclic between mid-months: (day, y, x)."""
    values = np.empty((len(days), *monthly.shape[1:]), dtype=np.float32)
    for i, day in enumerate(days):
        earlier, later, weight = month_weights(day)
        values[i] = monthly[earlier] * np.float32(1 - weight) + monthly[later] * np.float32(weight)
    return values


def _middle(year: int, month: int) -> dt.date:
    return dt.date(year, month, 15 if month == 2 else 16)


def _month_before(year: int, month: int) -> tuple[int, int]:
    return (year - 1, MONTHS) if month == 1 else (year, month - 1)
