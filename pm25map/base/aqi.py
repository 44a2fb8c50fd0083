"""The Air Quality Index of a 24-hour PM2.5 mean (EPA-454/B-24-002, in force since 2024-05-06)."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Category:
    """One class of the index.

    Attributes:
        name: as EPA writes it.
        low, high: ug m-3, both included, truncated to 0.1; the last class has no upper end.
        aqi_low, aqi_high: the index at low and high. For the last class, the end of its slope.
        colour: hexadecimal RGB as EPA gives it.
    """

    name: str
    low: float
    high: float
    aqi_low: int
    aqi_high: int
    colour: str


CATEGORIES = (
    Category("Good", 0.0, 9.0, 0, 50, "#00E400"),
    Category("Moderate", 9.1, 35.4, 51, 100, "#FFFF00"),
    Category("Unhealthy for Sensitive Groups", 35.5, 55.4, 101, 150, "#FF7E00"),
    Category("Unhealthy", 55.5, 125.4, 151, 200, "#FF0000"),
    Category("Very Unhealthy", 125.5, 225.4, 201, 300, "#8F3F97"),
    # Above 325.4 the same slope goes on: 500.4 ug m-3 is 849, not 500.
    Category("Hazardous", 225.5, 325.4, 301, 500, "#7E0023"),
)

CATEGORIES_BEFORE_2024 = (
    Category("Good", 0.0, 12.0, 0, 50, "#00E400"),
    Category("Moderate", 12.1, 35.4, 51, 100, "#FFFF00"),
    Category("Unhealthy for Sensitive Groups", 35.5, 55.4, 101, 150, "#FF7E00"),
    Category("Unhealthy", 55.5, 150.4, 151, 200, "#FF0000"),
    Category("Very Unhealthy", 150.5, 250.4, 201, 300, "#8F3F97"),
    Category("Hazardous", 250.5, 500.4, 301, 500, "#7E0023"),
)
"""The classes in force from 2012 to May 2024 (78 FR 3086), to draw beside maps of that time."""

UPPER_ENDS = tuple(category.high for category in CATEGORIES[:-1])
"""ug m-3: the highest value of every class but the last."""

TRUNCATION_SLACK = 5e-4
"""Tenths: 128.4 ug m-3 in float32 is 1283.99994 tenths and counts as 1284; this covers it up to 1,000 ug m-3."""

CLASS_STARTS = (0.0, *(round(high + 0.1 - TRUNCATION_SLACK / 10, 6) for high in UPPER_ENDS))
"""ug m-3: from here on a value, cut to 0.1 as the index requires, is of the class."""


def truncate(pm25: float) -> float:
    """Cut a concentration to 0.1 ug m-3, as the index requires. Values below zero count as zero."""
    return math.floor(max(pm25, 0.0) * 10 + TRUNCATION_SLACK) / 10


def concentration_text(pm25: float) -> str:
    """Write a concentration for a headline or a picture: whole ug m-3 from 10 on, below cut to 0.1 as its class is.

    >>> concentration_text(396.58), concentration_text(9.06), concentration_text(10.5)
    ('397', '9.0', '11')
    """
    return str(math.floor(pm25 + 0.5)) if pm25 >= 10 else f"{truncate(pm25):.1f}"


def category_of(pm25: float) -> Category:
    """Name the class of one concentration, ug m-3."""
    value = truncate(pm25)
    return next((c for c in CATEGORIES if value <= c.high + 1e-9), CATEGORIES[-1])


def aqi(pm25: float) -> int:
    """Return the index of one concentration, ug m-3.

    >>> aqi(9.05), aqi(35.5), aqi(325.4), aqi(500.4)
    (50, 101, 500, 849)
    """
    value = truncate(pm25)
    c = category_of(value)
    slope = (c.aqi_high - c.aqi_low) / (c.high - c.low)
    return math.floor(c.aqi_low + slope * (value - c.low) + 0.5)


def class_index(pm25: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Number the class of every value: 0 Good to 5 Hazardous, 255 where the value is NaN."""
    index = np.digitize(np.nan_to_num(pm25, nan=0.0), CLASS_STARTS[1:]).astype(np.uint8)
    return np.where(np.isnan(pm25), np.uint8(255), index)
