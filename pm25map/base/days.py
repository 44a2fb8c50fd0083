"""Days: read from text, listed, and the days of a window."""

import calendar
import datetime as dt
import os
import re

from pm25map.base.errors import BadDate

FIRST_DAY = dt.date(1999, 1, 1)
"""EPA's network of PM2.5 began in this year: no map can be made of a day before it."""

MOST_DAYS = 36_525
"""Of one period."""

_PACIFIC = dt.timezone(dt.timedelta(hours=-8))
"""Pacific standard time, in which the days of CONUS end last."""

_RELATIVE = {"today": 0, "yesterday": -1}

WINDOW_DAYS = 21
"""Length of a window, the estimated day last (Karimzadeh et al. 2025, section 3)."""


def parse_day(text: str, today: dt.date | None = None) -> dt.date:
    """Read a day written as YYYY-MM-DD, or, where today is given, as today, yesterday or days before today (-10d).

    Raises:
        BadDate: the text is not such a day.

    >>> parse_day("2020-09-12")
    datetime.date(2020, 9, 12)
    >>> parse_day("-10d", today=dt.date(2024, 4, 22))
    datetime.date(2024, 4, 12)
    """
    relative = re.fullmatch(r"-(\d{1,4})d", text)
    if today is not None and (relative or text in _RELATIVE):
        return today + dt.timedelta(days=-int(relative[1]) if relative else _RELATIVE[text])
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        more = "" if today is None else ", or as today, yesterday or -10d"
        raise BadDate(
            f"cannot read {text!r} as a day: write it as YYYY-MM-DD, for example 2020-09-12{more}"
        ) from error


def today_of_maps() -> dt.date:
    """Return the day that it is in Pacific standard time, where the local standard days of CONUS end last.

    For commands only: it reads the clock.
    """
    return dt.datetime.now(_PACIFIC).date()


def building_time() -> dt.datetime | None:
    """Return the instant that SOURCE_DATE_EPOCH names; None where it is not set.

    Raises:
        BadDate: it is no time.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch:
        return None
    try:
        if not (epoch.isascii() and epoch.isdigit()):
            raise ValueError
        return dt.datetime.fromtimestamp(int(epoch), dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadDate(
            f"SOURCE_DATE_EPOCH is {epoch[:40]!r}, and must be whole seconds since 1970 up to the year 9999, such as "
            "1600000000. Set it so, or unset it"
        ) from error


def check_day(day: dt.date, today: dt.date) -> None:
    """Refuse a day of which no map can be made.

    Raises:
        BadDate: it lies in the future, or before EPA's network.
    """
    if day > today:
        raise BadDate(
            f"{day} has not been yet: today is {today}. Maps are of days that were measured, no forecasts"
        )
    if day < FIRST_DAY:
        raise BadDate(f"{day} is too early: EPA measures PM2.5 since {FIRST_DAY}. Choose a later day")


def day_of_year(year: int, number: int) -> dt.date:
    """Return the day with a number in a year, 1 for the first of January.

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
        BadDate: end lies before start, or there are more days than measurements can be of.
    """
    if (end - start).days >= MOST_DAYS:
        raise BadDate(
            f"{start} to {end} are {(end - start).days + 1:,} days: the most are {MOST_DAYS:,}, a century"
        )
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
