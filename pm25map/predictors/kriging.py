"""Kriging of one day's PM2.5 from all monitors at once: its system, and the monitors with their place left out.

All stations are in one system, so the fields have no seams where one set of nearest neighbours gives way to
another. A monitor without a value on the day (many filters sample every third day) counts by its latest value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Curve = Callable[[Floats], Floats]

MEMORY_DAYS = 5
"""Days that a value lasts for a monitor that rests: filters sample every third or every sixth day."""
NOTHING_KNOWN = 1e4
"""Noise of a row for a station without a value: it carries no information, and can be predicted."""

SPACES: dict[str, tuple[Curve, Curve]] = {
    "raw": (np.array, np.array),
    "sqrt": (np.sqrt, np.square),
    "log": (np.log1p, np.expm1),
}
"""In which space values are weighed: there, and back again."""


@dataclass(frozen=True)
class Covariance:
    """Covariance of the transformed concentrations, relative to the sill of one day's field.

    Attributes:
        ranges_km, shares: exponential ranges (km) and their shares of the sill.
        noise, noise_88502: variance of what one monitor adds, and what the parameter 88502 adds to it.
        km_per_km_up: how many km of ground one km of height counts for; smoke and inversions follow valleys.
        carried: correlation of the field with that of the day before.
        kept: share of the field that does not change from day to day.
        mean, mean_carried: variance of the unknown mean, and its covariance between days.
    """

    ranges_km: tuple[float, float]
    shares: tuple[float, float]
    noise: float
    noise_88502: float
    km_per_km_up: float = 80.0
    carried: float = 0.5
    kept: float = 0.05
    mean: float = 5.0
    mean_carried: float = 4.5

    def between(self, a: Floats, b: Floats) -> Floats:
        """Covariance in space (n, m) of positions (n, 4) and (m, 4), km."""
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2.0 * (a @ b.T)
        return self.of_distance(np.sqrt(np.maximum(squared, 0.0)))

    def of_distance(self, apart_km: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Covariance in space of places some km apart, in the precision of the distances."""
        kind = apart_km.dtype.type
        total = np.zeros_like(apart_km)
        for share, range_km in zip(self.shares, self.ranges_km, strict=True):
            total += kind(share) * np.exp(apart_km / kind(-range_km))
        return total

    def in_time(self, days: Ints) -> Floats:
        """How much of the covariance in space is left between values some days apart."""
        left: Floats = self.kept + (1.0 - self.kept) * np.power(self.carried, days.astype(np.float64))
        return left

    def of_mean(self, days: Ints) -> Floats:
        """Covariance of the unknown means of values some days apart."""
        return np.where(days == 0, self.mean, self.mean_carried)


@dataclass(frozen=True)
class Rows:
    """The rows of one day's system: first the values of the day, then the latest of the stations without one.

    Attributes:
        station: (row,) number of the station.
        age: (row,) days since the value was measured.
        known: (row,) ug m-3, not negative; 0 where there is no value.
        has_value: bool (row,).
        is_88502: bool (row,) whether the value is of the parameter 88502.
    """

    station: Ints
    age: Ints
    known: Floats
    has_value: npt.NDArray[np.bool_]
    is_88502: npt.NDArray[np.bool_]

    def noise(self, covariance: Covariance) -> Floats:
        """Variance of the measurement (row,), relative to the sill."""
        noise = covariance.noise + covariance.noise_88502 * self.is_88502
        return np.where(self.has_value, noise, NOTHING_KNOWN)


def rows_of_day(values: Floats, codes: Ints, *, every: bool) -> Rows:
    """List the rows of one day's system.

    Args:
        values: ug m-3 (1 + MEMORY_DAYS, station), the day last, NaN missing; the day has a value.
        codes: EPA parameters of the values.
        every: give each station a row for the day; those without a value carry no information.
    """
    have = np.isfinite(values)
    today = np.arange(values.shape[1]) if every else np.flatnonzero(have[-1])
    resting = np.flatnonzero(~have[-1] & have.any(axis=0))
    latest = np.argmax(have[::-1], axis=0)
    station = np.concatenate([today, resting])
    age = np.concatenate([np.zeros(len(today), dtype=np.int64), latest[resting]])
    measured = values[len(values) - 1 - age, station].astype(np.float64)
    return Rows(
        station,
        age,
        np.maximum(np.nan_to_num(measured), 0.0),
        np.isfinite(measured),
        codes[len(values) - 1 - age, station] == 88502,
    )


def covariance_of_rows(rows: Rows, covariance: Covariance, in_space: Floats) -> Floats:
    """Covariance (row, row) of the measurements of a day's rows, from that of their places in space."""
    apart = np.abs(rows.age[:, None] - rows.age[None, :])
    ages = np.arange(MEMORY_DAYS + 1)
    system: Floats = in_space * covariance.in_time(ages)[apart]
    system += covariance.of_mean(ages)[apart]
    system[np.diag_indices_from(system)] += rows.noise(covariance)
    return system


@dataclass(frozen=True)
class Day:
    """The solved kriging system of one day.

    Attributes:
        station: (row,) number of the station.
        age: (row,) days since the value was measured.
        noise: (row,) variance of the measurement.
        weights: (row, row) inverse covariance.
        transformed: (row, space) values.
        solved: weights @ transformed.
    """

    station: Ints
    age: Ints
    noise: Floats
    weights: Floats
    transformed: Floats
    solved: Floats


def krige_day(
    values: Floats,
    codes: Ints,
    positions: Floats,
    covariance: Covariance,
    spaces: tuple[str, ...],
    *,
    every: bool,
    in_space: Floats | None = None,
) -> Day:
    """Set up one day.

    Args:
        values: ug m-3 (1 + MEMORY_DAYS, station), the day last, NaN missing; the day has a value.
        codes: EPA parameters of the values.
        positions: km (station, 4).
        covariance: of the field.
        spaces: in which to krige, names of SPACES.
        every: give each station a row for the day; those without a value carry no information.
        in_space: covariance in space between all stations, where it is known already.
    """
    rows = rows_of_day(values, codes, every=every)
    if in_space is None:
        between = covariance.between(positions[rows.station], positions[rows.station])
    else:
        between = in_space[np.ix_(rows.station, rows.station)]
    weights = inverse(covariance_of_rows(rows, covariance, between))
    transformed = np.stack([SPACES[space][0](rows.known) for space in spaces], axis=1)
    return Day(rows.station, rows.age, rows.noise(covariance), weights, transformed, weights @ transformed)


def left_out(day: Day, places: Ints) -> tuple[Floats, Floats]:
    """Krige at every station without the rows of its place: mean (station, space), variance of the field.

    Leaving rows B out needs no new system: the prediction is z_B - inv(W_BB) (W z)_B, with W the inverse
    covariance of all rows (Dubrule 1983; Ginsbourger & Schaerer 2023 for more than one row).

    Args:
        day: set up with `every`.
        places: (station,) number of its place.
    """
    mean, variance = np.empty((len(places), day.transformed.shape[1])), np.empty(len(places))
    place_of_row = places[day.station]
    order = np.argsort(place_of_row, kind="stable")
    starts = np.flatnonzero(np.diff(place_of_row[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        block = np.linalg.inv(day.weights[np.ix_(rows, rows)])
        predicted = day.transformed[rows] - block @ day.solved[rows]
        # The block holds the variance of a measurement, its noise included.
        spread = np.diag(block) - day.noise[rows]
        today = np.flatnonzero(day.age[rows] == 0)
        mean[day.station[rows[today]]] = predicted[today]
        variance[day.station[rows[today]]] = spread[today]
    return mean, variance


def inverse(system: Floats) -> Floats:
    """Invert a symmetric positive definite matrix; a third of the work of a general inverse."""
    factor, failed = lapack.dpotrf(system.T, lower=1, overwrite_a=1)
    half, failed_too = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise np.linalg.LinAlgError("a covariance with noise on its diagonal must be positive definite")
    lower: Floats = np.tril(half)
    lower += np.tril(half, -1).T
    return lower
