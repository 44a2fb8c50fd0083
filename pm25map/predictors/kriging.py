"""Kriging of one day's PM2.5 from all monitors at once: at any point, or at the monitors with their place left out.

All stations are in one system, so the fields have no seams where one set of nearest neighbours gives way to
another. A monitor that rests on the day (many filters sample every third day) speaks through its latest value.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Curve = Callable[[Floats], Floats]

MEMORY_DAYS = 5
"""Days that a value lasts for a monitor that rests: filters sample every third or every sixth day."""
NOTHING_KNOWN = 1e4
"""Noise of a row that stands for a station without a value: it tells nothing, and can be predicted."""
POINTS_AT_ONCE = 4096
"""Bounds the memory of a map: 4,096 points against 1,000 stations are 33 MB a matrix."""

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

    def between(self, a: Floats, b: Floats, dtype: type[np.floating] = np.float64) -> Floats:
        """Covariance in space (n, m) of positions (n, 4) and (m, 4), km; distances are float64 in any case."""
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2.0 * (a @ b.T)
        apart = np.sqrt(np.maximum(squared, 0.0)).astype(dtype)
        total: Floats = np.zeros_like(apart)
        for share, range_km in zip(self.shares, self.ranges_km, strict=True):
            total += dtype(share) * np.exp(apart / dtype(-range_km))
        return total

    def in_time(self, days: Ints) -> Floats:
        """How much of the covariance in space is left between values some days apart."""
        left: Floats = self.kept + (1.0 - self.kept) * np.power(self.carried, days.astype(np.float64))
        return left

    def of_mean(self, days: Ints) -> Floats:
        """Covariance of the unknown means of values some days apart."""
        return np.where(days == 0, self.mean, self.mean_carried)


@dataclass(frozen=True)
class Day:
    """The kriging system of one day: first the values of the day, then the latest of the stations that rest.

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
        every: give each station a row for the day; those without a value know nothing.
        in_space: covariance in space between all stations, where it is known already.
    """
    have = np.isfinite(values)
    today = np.arange(len(positions)) if every else np.flatnonzero(have[-1])
    resting = np.flatnonzero(~have[-1] & have.any(axis=0))
    latest = np.argmax(have[::-1], axis=0)
    station = np.concatenate([today, resting])
    age = np.concatenate([np.zeros(len(today), dtype=np.int64), latest[resting]])
    measured = values[len(values) - 1 - age, station].astype(np.float64)
    noise = covariance.noise + covariance.noise_88502 * (codes[len(values) - 1 - age, station] == 88502)
    noise = np.where(np.isfinite(measured), noise, NOTHING_KNOWN)
    apart = np.abs(age[:, None] - age[None, :])
    fading = covariance.in_time(np.arange(MEMORY_DAYS + 1))
    if in_space is None:
        system = covariance.between(positions[station], positions[station]) * fading[apart]
    else:
        system = in_space[np.ix_(station, station)] * fading[apart]
    system += covariance.of_mean(apart)
    system[np.diag_indices_from(system)] += noise
    weights = inverse(system)
    known = np.maximum(np.nan_to_num(measured), 0.0)
    transformed = np.stack([SPACES[space][0](known) for space in spaces], axis=1)
    return Day(station, age, noise, weights, transformed, weights @ transformed)


def at_points(
    day: Day, stations: Floats, points: Floats, covariance: Covariance, *, with_variance: bool
) -> tuple[Floats, Floats]:
    """Krige at positions (point, 4): mean (point, space) and variance of the field (point,), NaN unless wanted.

    The covariances with a point are float32: 1e-5 of a concentration, and half of the time of a map.
    """
    # A point's covariance with a row is that in space times a factor of the row's age, plus the mean's.
    fading, shift = covariance.in_time(day.age), covariance.of_mean(day.age)
    alpha = np.vstack([fading[:, None] * day.solved, shift @ day.solved])
    inside = fading[:, None] * day.weights * fading
    edge = fading * (day.weights @ shift)
    corner = shift @ day.weights @ shift
    quadratic = np.block([[inside, edge[:, None]], [edge[None, :], corner]]).astype(np.float32)
    sill = sum(covariance.shares) + covariance.mean
    mean, variance = np.empty((len(points), alpha.shape[1])), np.full(len(points), np.nan)
    for start in range(0, len(points), POINTS_AT_ONCE):
        part = slice(start, start + POINTS_AT_ONCE)
        near = covariance.between(points[part], stations[day.station], np.float32)
        against = np.column_stack([near, np.ones(len(near), dtype=np.float32)])
        mean[part] = against.astype(np.float64) @ alpha
        if with_variance:
            variance[part] = sill - ((against @ quadratic) * against).sum(1, dtype=np.float64)
    return mean, variance


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
