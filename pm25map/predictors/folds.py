"""The neighbours' fields of many folds at once: computed from the stations when some of them are hidden.

All stations of a day are in one solved system. A fold hides rows of it, and each station its own: leaving rows
out of a solved system is exact (Dubrule 1983), and costs the size of what is hidden instead of a new solution.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.predictors.kriging import MEMORY_DAYS, Covariance, Day, Floats, Ints, inverse, krige_day
from pm25map.predictors.neighbours import (
    FIELDS,
    KRIGED,
    SMOKE,
    Stations,
    as_fields,
    nearest_fields,
    no_fields,
    positions,
    search,
)

Bools = npt.NDArray[np.bool_]


def fields_of_folds(
    values: Floats, codes: Ints, stations: Stations, hidden: Sequence[Bools]
) -> list[dict[str, npt.NDArray[np.float32]]]:
    """Estimate every field at the stations, fold by fold, each without the monitors of its own place.

    For a fold that hides whole stations this equals `fields_left_out` with their values missing. A
    value hidden on single days is not replaced by an older one of the same monitor.

    Args:
        values: ug m-3 (day, station), oldest first, NaN missing. The first MEMORY_DAYS rows only feed the others.
        codes: EPA parameter (day, station): 88101, 88502, 0 for none.
        stations: where the monitors are.
        hidden: for each fold bool (day, station): values that are not used.

    Returns:
        For each fold one float32 (day - MEMORY_DAYS, station) a field, NaN on days without a value.
    """
    places = stations.places()
    searches = [_search_of(stations, places, ~np.all(gone, axis=0)) for gone in hidden]
    where = [positions(stations.lat, stations.lon, stations.elevation, cov) for cov, _ in KRIGED]
    spaces = [cov.between(one, one) for (cov, _), one in zip(KRIGED, where, strict=True)]
    days = len(values) - MEMORY_DAYS
    out = [
        {name: np.empty((days, len(places)), dtype=np.float32) for name in FIELDS} for _ in range(len(hidden))
    ]
    for number in range(days):
        row = number + MEMORY_DAYS
        span = slice(number, row + 1)
        by_fold = [
            nearest_fields(np.where(gone[row], np.nan, values[row]), *near) | no_fields(len(places))
            for gone, near in zip(hidden, searches, strict=True)
        ]
        for (covariance, names), at, space in zip(KRIGED, where, spaces, strict=True):
            if not np.isfinite(values[row]).any():
                break
            weighed = tuple(names.values())
            day = krige_day(values[span], codes[span], at, covariance, weighed, every=False, in_space=space)
            solved = _solve(day, space, places, covariance)
            gone_rows = (gone[row - day.age, day.station] for gone in hidden)
            for fold, kriged in enumerate(_without(solved, gone_rows, covariance is SMOKE)):
                # Where everything of the day is hidden there is no estimate, as on a day without a value.
                if np.isfinite(np.where(hidden[fold][row], np.nan, values[row])).any():
                    by_fold[fold] |= as_fields(*kriged, covariance, names)
        for fields, today in zip(out, by_fold, strict=True):
            for name in FIELDS:
                fields[name][number] = today[name]
    return out


def _search_of(stations: Stations, places: Ints, feeding: Bools) -> tuple[Ints, Floats]:
    """Find the nearest of the stations that feed others: numbers and km (station, searched); own place infinite."""
    numbers = np.flatnonzero(feeding)
    fewer = Stations(stations.lat[numbers], stations.lon[numbers], stations.elevation[numbers])
    index, apart_km = search(fewer, stations.lat, stations.lon)
    index = numbers[index]
    return index, np.where(places[index] == places[:, None], np.inf, apart_km)


@dataclass(frozen=True)
class _Solved:
    """One day's estimate at every station, nothing left out yet.

    Attributes:
        weights: (row, row) inverse covariance.
        solved: (row, space) weights times values.
        pull: (station, row) covariance of a station's field with the rows, times the weights.
        mean: (station, space).
        variance: of the field (station,).
        own: rows of each station's place (station, most), -1 where there are fewer.
    """

    weights: Floats
    solved: Floats
    pull: Floats
    mean: Floats
    variance: Floats
    own: Ints


def _solve(day: Day, space: Floats, places: Ints, covariance: Covariance) -> _Solved:
    """Krige every station from all rows; `space` is the covariance in space between stations."""
    with_rows = space[:, day.station] * covariance.in_time(day.age)
    with_rows += covariance.of_mean(day.age)
    pull = with_rows @ day.weights
    sill = sum(covariance.shares) + covariance.mean
    variance = sill - np.einsum("sr,sr->s", pull, with_rows)
    return _Solved(
        day.weights, day.solved, pull, with_rows @ day.solved, variance, _rows_of(places, day.station)
    )


def _rows_of(places: Ints, station: Ints) -> Ints:
    """List the rows of every station's place, (station, most), -1 where there are fewer."""
    order = np.argsort(places[station], kind="stable")
    there = places[station][order]
    first, last = np.searchsorted(there, places), np.searchsorted(there, places, side="right")
    steps = first[:, None] + np.arange(max(int((last - first).max()), 1))
    rows = np.append(order, -1)[np.minimum(steps, len(order))]
    return np.where(steps < last[:, None], rows, -1)


def _without(
    all_rows: _Solved, hidden: Iterator[Bools], with_variance: bool
) -> Iterator[tuple[Floats, Floats]]:
    """Leave hidden rows and own rows out, fold by fold: mean (station, space) and variance (station,)."""
    for gone in hidden:
        mean, variance = all_rows.mean.copy(), all_rows.variance.copy()
        out, kept = np.flatnonzero(gone), np.flatnonzero(~gone)
        weights, pull = all_rows.weights[np.ix_(kept, out)], all_rows.pull[:, out]
        block = inverse(all_rows.weights[np.ix_(out, out)]) if len(out) else np.zeros((0, 0))
        mean -= pull @ (block @ all_rows.solved[out])
        if with_variance:
            # Variances of order 1: float32 resolves them to 1e-6, in half of the time.
            single = pull.astype(np.float32)
            variance += np.einsum("sr,sr->s", single @ block.astype(np.float32), single, dtype=np.float64)
        carried = weights @ block
        solved = all_rows.solved[kept] - carried @ all_rows.solved[out]
        left = np.where(gone, -1, np.cumsum(~gone) - 1)
        own = np.where(all_rows.own >= 0, left[all_rows.own], -1)
        have = (own >= 0).sum(axis=1)
        own = np.take_along_axis(own, np.argsort(own < 0, axis=1, kind="stable"), axis=1)
        for size in range(1, own.shape[1] + 1):
            which = np.flatnonzero(have == size)
            rows = own[which, :size]
            # Of the system without the hidden rows: its weights between own rows, and its pull on them.
            between = all_rows.weights[kept[rows][:, :, None], kept[rows][:, None, :]]
            between -= np.einsum("sir,sjr->sij", carried[rows], weights[rows])
            towards = all_rows.pull[which[:, None], kept[rows]]
            towards -= np.einsum("sr,sir->si", pull[which], carried[rows])
            share = np.linalg.solve(between, towards[:, :, None])[:, :, 0]
            mean[which] -= np.einsum("si,sik->sk", share, solved[rows])
            if with_variance:
                variance[which] += np.einsum("si,si->s", share, towards)
        yield mean, variance
