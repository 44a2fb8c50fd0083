"""The rules of the examination of monitors: their names, as doubts and counts state them, and their thresholds."""

import datetime as dt
from dataclasses import dataclass

NO_VALUE = "no value"
CODE = "a code for a missing value"
RANGE = "a value no instrument gives"
EARLY = "a day before the network began"
STUCK = "a monitor that repeats one value"
DEAD = "a monitor that says 0 on most days of a year"
ZERO = "rows without a place (0, 0)"
MINUS = "a longitude without its minus"
SWAPPED = "latitude and longitude swapped"
NOWHERE = "a place at sea or outside the United States"
TWINS = "two sites at one point that disagree"
HALVED = "a network's count halves"


@dataclass(frozen=True)
class Rules:
    """Thresholds of the examination; the reasons are in `examine`.

    Attributes:
        lowest: ug m-3, smallest value that an instrument gives.
        highest: ug m-3, largest.
        first_day: the first day that counts.
        last_day: the last day that can be; None for tomorrow, because a day begins earlier in Guam.
        stuck_days: so many equal values in succession are a stuck monitor.
        dead_days: so many days of a year at 0, if they are more than half, are a dead monitor.
        abroad: keep sites outside of the United States, at sea too.
        twin_m: metres between two sites that stand at one point.
        around_days: days before and after, of whose counts the median is taken.
    """

    lowest: float = -15.0
    highest: float = 2000.0
    first_day: dt.date = dt.date(1999, 1, 1)
    last_day: dt.date | None = None
    stuck_days: int = 10
    dead_days: int = 30
    abroad: bool = False
    twin_m: float = 10.0
    around_days: int = 7


RULES = Rules()
