"""Days: read from text, listed, and the days of a window."""

import calendar
import datetime as dt

from pm25map.base.errors import BadDate

WINDOW_DAYS = 21
"""Length of a window, the estimated day last (Karimzadeh et al. 2025, section 3)."""


def parse_day(text: str) -> dt.date:
    """Read a day written as YYYY-MM-DD.

    Raises:
        BadDate: the text is not such a day.

    >>> parse_day("2020-09-12")
    datetime.date(2020, 9, 12)
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise BadDate(
            f"cannot read {text!r} as a day: write it as YYYY-MM-DD, for example 2020-09-12"
        ) from error


def day_of_year(year: int, number: int) -> dt.date:
    """Give a day by its number in its year, 1 for the first of January.

    Raises:
        BadDate: the year has no such day.

    >>> day_of_year(2020, 366)
    datetime.date(2020, 12, 31)
    """
    if not dt.MINYEAR <= year <= dt.MAXYEAR:
        raise BadDate(f"there is no year {year}: write it with four digits, such as 2020")
    length = 365 + calendar.isleap(year)
    if not 1 <= number <= length:
        raise BadDate(f"there is no day {number} in {year}, which has the days 1 to {length}")
    return dt.date(year, 1, 1) + dt.timedelta(days=number - 1)


def days_between(start: dt.date, end: dt.date) -> list[dt.date]:
    """List the days from start to end, both included.

    Raises:
        BadDate: end lies before start.
    """
    if end < start:
        raise BadDate(f"the period ends on {end}, before it starts on {start}: swap --start and --end")
    return [start + dt.timedelta(days=i) for i in range((end - start).days + 1)]


def window_of(day: dt.date, length: int = WINDOW_DAYS) -> list[dt.date]:
    """List the days of the window that ends on a day, oldest first.

    Raises:
        BadDate: the window begins before the calendar does.
    """
    if day.toordinal() < length:
        raise BadDate(f"{day} is too early: the {length} days that end on it begin before the year 1")
    return days_between(day - dt.timedelta(days=length - 1), day)
