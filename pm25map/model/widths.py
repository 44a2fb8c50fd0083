"""Widths of intervals: two smooth functions of what is known when the map is computed.

Distances are in roots, sqrt(ug m-3), where errors of clean and of smoky days are of one size. The functions give
the distance below and above the estimate within which, in training, nine of ten values lay; they adapt to level,
spread of the neighbours, kriging error, distance to monitors, season and part of the country, without any border.
"""

import datetime as dt

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Doubles = npt.NDArray[np.float64]

FIELDS = (
    "neighbours_spread",
    "neighbours_sd",
    "neighbours_distance",
    "neighbours_kriging",
    "neighbours_calm",
)
"""Features on the estimated day that the functions read; a model without one of them has no intervals."""

CENTRES = (
    (-71.5, 43.5), (-79.5, 40.5), (-82.5, 33.0), (-86.0, 39.0), (-92.0, 44.5), (-93.0, 33.5), (-101.0, 44.0),
    (-100.0, 32.0), (-107.0, 36.0), (-109.0, 44.5), (-115.5, 39.0), (-117.5, 45.5), (-122.3, 46.5), (-121.0, 37.5),
    (-117.0, 33.5),
)  # fmt: skip
"""Longitude and latitude of soft regions: each place is a mixture of those near it."""
REACH_KM = 350.0

_LEVELS = (1.5, 2.5, 3.5, 5.0, 7.0)
"""Roots of 2, 6, 12, 25 and 49 ug m-3, where the slope in the level may change."""
_DISTANCES_KM = (5.0, 25.0, 80.0)


def basis(
    pm25: npt.NDArray[np.floating],
    fields: dict[str, npt.NDArray[np.floating]],
    day_of_year: npt.NDArray[np.floating],
    lon: npt.NDArray[np.floating],
    lat: npt.NDArray[np.floating],
) -> Doubles:
    """Return the terms of the functions.

    Args:
        pm25: estimates (cell,), ug m-3.
        fields: the features in FIELDS on the estimated day, (cell,) each, in the table's units.
        day_of_year: 1 to 366 (cell,).
        lon, lat: degrees (cell,).

    Returns:
        (cell, term); NaN where a field is.
    """
    root = np.sqrt(np.maximum(pm25.astype(np.float64), 0))
    spread = np.minimum(fields["neighbours_spread"].astype(np.float64), 2.0)
    doubt = fields["neighbours_sd"].astype(np.float64)
    far = np.log1p(np.maximum(fields["neighbours_distance"].astype(np.float64), 0) / 10.0)
    kriging, calm = (
        np.sqrt(np.maximum(fields[name].astype(np.float64), 0))
        for name in ("neighbours_kriging", "neighbours_calm")
    )
    apart = np.minimum(np.abs(kriging - calm), 3.0)
    season = 2 * np.pi * day_of_year.astype(np.float64) / 365.25
    terms = [np.log1p(root), root, *(np.maximum(root - level, 0) for level in _LEVELS)]
    terms += [
        spread,
        spread**2,
        doubt,
        doubt**2,
        apart,
        np.abs(np.sqrt(np.maximum(root, 0)) - np.sqrt(kriging)),
    ]
    terms += [far, *(np.maximum(far - np.log1p(km / 10.0), 0) for km in _DISTANCES_KM)]
    terms += [spread * doubt, spread * np.log1p(root), far * doubt]
    terms += [np.cos(season), np.sin(season), np.cos(2 * season), np.sin(2 * season)]
    near = _nearness(lon, lat)
    terms += list(near.T)
    # Seasons differ between west and east: fires against inversions.
    west = near[:, 9:].sum(axis=1)
    terms += [west * np.cos(season), west * np.sin(season)]
    return np.stack(terms, axis=1)


def _nearness(lon: npt.NDArray[np.floating], lat: npt.NDArray[np.floating]) -> Doubles:
    """Return the weights of each place in the soft regions: (cell, centre), rows sum to 1."""
    centre = np.array(CENTRES)
    east = (lon[:, None] - centre[:, 0]) * np.cos(np.radians((lat[:, None] + centre[:, 1]) / 2)) * 111.2
    north = (lat[:, None] - centre[:, 1]) * 111.2
    squares = (east**2 + north**2) / (2 * REACH_KM**2)
    weight = np.exp(-(squares - squares.min(axis=1, keepdims=True)))
    share: Doubles = weight / weight.sum(axis=1, keepdims=True)
    return share


class Widths(BaseModel):
    """The two functions: exp(terms . coefficients), terms standardized.

    Attributes:
        center, scale: of the terms in training.
        below, above: coefficients of the terms, a constant last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    center: tuple[float, ...]
    scale: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]

    def of(self, terms: Doubles) -> tuple[Doubles, Doubles]:
        """Return the widths below and above the estimate, (cell,) each, in roots of ug m-3."""
        standard = (terms - np.array(self.center)) / np.array(self.scale)
        # Beyond four standard deviations of training nothing was learned: the widths stay as they are there.
        standard = np.clip(standard, -4, 4)
        return _exponential(standard, self.below), _exponential(standard, self.above)


def _exponential(standard: Doubles, coefficients: tuple[float, ...]) -> Doubles:
    """Return exp(standard . coefficients + constant): (cell,).

    Term after term: a product of matrices adds in an order that hangs on the number of cells, and a cell shall have
    the same bits in whatever block it comes.
    """
    total = np.full(len(standard), coefficients[-1])
    for term, coefficient in zip(standard.T, coefficients, strict=False):
        total += coefficient * term
    width: Doubles = np.exp(total)
    return width


def day_of_year(days: list[dt.date]) -> Doubles:
    """Return the number of days since 1 January: (day,)."""
    return np.array([day.timetuple().tm_yday for day in days], dtype=np.float64)
