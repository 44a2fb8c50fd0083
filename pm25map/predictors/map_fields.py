"""The neighbours' fields of some days at many points, such as the cells of a map: every station counts.

The same kriging system as for stations (`neighbours.fields_left_out`), arranged for many points. The covariance of
points with stations does not change from day to day and is worked out once for all days; a day then costs a product of
matrices. Only the kriging variance needs more: it takes the stations nearest to a tile of the map alone, since what
they surround is screened from those beyond (Chiles & Delfiner 2012, section 3.6). The means take all stations.

The values of a day depend on its own observations and on the points, never on which other days are requested.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, lapack
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

from pm25map.base.cores import usable_cores
from pm25map.predictors.kriging import (
    MEMORY_DAYS,
    SPACES,
    Covariance,
    Floats,
    Ints,
    Rows,
    covariance_of_rows,
    rows_of_day,
)
from pm25map.predictors.neighbours import (
    FIELDS,
    KRIGED,
    NEAREST,
    SAME_PLACE_KM,
    SMOKE,
    Stations,
    globe,
    positions,
)

TILE_KM = 400.0
"""Side of the cubes that part the points into tiles: their stations are chosen together."""

TILE_STATIONS = 384
"""Stations of a tile's kriging variance. Of 2020's network 384 leave the standard deviation within 0.005 of all."""

POINTS_AT_ONCE = 4096
"""Bounds the memory: 4,096 points against 1,300 stations are 21 MB a covariance."""

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Kriging:
    """The solved system of one day and covariance, arranged for many points.

    Attributes:
        names: fields by the space that they are weighed in.
        weights: float32 (space, row): what a row's covariance in space with a point counts for.
        constant: (space,) what the unknown mean adds.
        system: (row, row) covariance of the rows with their noise; None where no variance is needed.
        fading, shift: float32 (row,): covariance with a point = fading * covariance in space + shift.
    """

    names: dict[str, str]
    weights: Singles
    constant: Floats
    system: Floats | None
    fading: Singles
    shift: Singles


@dataclass(frozen=True)
class _Day:
    """One day, ready for points.

    Attributes:
        station: (row,) number of the station of every row.
        kriging: of every covariance of KRIGED, in its order.
        tree: of the stations with a value on the day.
        values: (station with a value,) ug m-3, in the order of the tree.
    """

    station: Ints
    kriging: tuple[_Kriging, ...]
    tree: cKDTree
    values: Floats


def fields_at(
    values: Floats, codes: Ints, stations: Stations, lat: Floats, lon: Floats, elevation: Floats
) -> dict[str, Singles]:
    """Estimate every field at places where every monitor counts, such as the cells of a map.

    Args:
        values: ug m-3 (day, station), oldest first, NaN missing. The first MEMORY_DAYS rows only feed the others.
        codes: EPA parameter (day, station): 88101, 88502, 0 for none.
        stations: where the monitors are.
        lat, lon: degrees (point,).
        elevation: m (point,).

    Returns:
        One float32 (day - MEMORY_DAYS, point) a field, NaN on days without a value.
    """
    used = np.isfinite(values).any(axis=0)
    values, codes = values[:, used], codes[:, used]
    fewer = Stations(stations.lat[used], stations.lon[used], stations.elevation[used])
    at = positions(fewer.lat, fewer.lon, fewer.elevation, SMOKE)
    out = {name: np.full((len(values) - MEMORY_DAYS, len(lat)), np.nan, dtype=np.float32) for name in FIELDS}
    # One thread of BLAS: its sums then do not depend on the machine's cores, which work on tiles instead.
    with threadpool_limits(1, user_api="blas"):
        days = list(_days(values, codes, at))
        points = positions(lat, lon, elevation, SMOKE)

        def work(part: Ints) -> None:
            for name, field in _at_tile(days, at, points[part]).items():
                out[name][:, part] = field

        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(work, _tiles(globe(lat, lon))))
    return out


def _days(values: Floats, codes: Ints, at: Floats) -> Iterator[_Day | None]:
    """Solve the days one after another; None for a day without a value."""
    # The covariances share the weight of height, and so the distances.
    spaces = [covariance.between(at, at) for covariance, _ in KRIGED]
    for row in range(MEMORY_DAYS, len(values)):
        today = np.flatnonzero(np.isfinite(values[row]))
        if not len(today):
            yield None
            continue
        span = slice(row - MEMORY_DAYS, row + 1)
        rows = rows_of_day(values[span], codes[span], every=False)
        kriging = tuple(
            _solve(rows, covariance, names, space)
            for (covariance, names), space in zip(KRIGED, spaces, strict=True)
        )
        yield _Day(rows.station, kriging, cKDTree(at[today, :3]), values[row, today].astype(np.float64))


def _solve(rows: Rows, covariance: Covariance, names: dict[str, str], in_space: Floats) -> _Kriging:
    """Solve the system of one day for the weights of its values."""
    system = covariance_of_rows(rows, covariance, in_space[np.ix_(rows.station, rows.station)])
    factor, failed = lapack.dpotrf(system, lower=1, clean=0)
    transformed = np.stack([SPACES[space][0](rows.known) for space in names.values()], axis=1)
    solved, failed_too = lapack.dpotrs(factor, transformed, lower=1)  # (row, space)
    if failed or failed_too:
        raise np.linalg.LinAlgError("a covariance with noise on its diagonal must be positive definite")
    fading, shift = covariance.in_time(rows.age), covariance.of_mean(rows.age)
    return _Kriging(
        names,
        np.ascontiguousarray((fading[:, None] * solved).T, dtype=np.float32),
        shift @ solved,
        system if covariance is SMOKE else None,
        fading.astype(np.float32),
        shift.astype(np.float32),
    )


def _tiles(points: Floats) -> Iterator[Ints]:
    """Part points (point, 3) on the globe into tiles of TILE_KM, and these into at most POINTS_AT_ONCE.

    The parts follow from the points alone, so that a point has the same bits whatever the days.
    """
    # One number a tile, axis by axis: of a grid of 1 km, all at once takes half a gigabyte more.
    tile = np.zeros(len(points), dtype=np.int64)
    for axis in points.T:
        corner = np.floor(axis / TILE_KM).astype(np.int64)
        corner -= corner.min(initial=0)
        tile = tile * (corner.max(initial=0) + 1) + corner
    order = np.argsort(tile, kind="stable")
    edges = np.flatnonzero(np.diff(tile[order])) + 1
    for group in np.split(order, edges):
        for start in range(0, len(group), POINTS_AT_ONCE):
            yield group[start : start + POINTS_AT_ONCE]


def _at_tile(days: list[_Day | None], at: Floats, points: Floats) -> dict[str, Singles]:
    """Estimate all fields of all days at the points (point, 4) of a tile: float32 (day, point) by name."""
    out = {name: np.full((len(days), len(points)), np.nan, dtype=np.float32) for name in FIELDS}
    near_tile = ((at - points.mean(axis=0)) ** 2).sum(axis=1)
    near = _covariances(at, points)
    for number, day in enumerate(days):
        if day is None:
            continue
        fields = _nearest(day, points[:, :3])
        for kriging, in_space in zip(day.kriging, near, strict=True):
            mean = (kriging.weights @ in_space[day.station]) + kriging.constant[:, None]  # (space, point)
            for (name, space), values in zip(kriging.names.items(), mean, strict=True):
                fields[name] = SPACES[space][1](np.maximum(values, 0.0))
            if kriging.system is not None:
                fields["neighbours_sd"] = _deviation(kriging, day.station, in_space, near_tile)
        for name, values in fields.items():
            out[name][number] = values
    return out


def _covariances(at: Floats, points: Floats) -> list[Singles]:
    """Covariance in space of all stations with some points, float32 (station, point), of every covariance of KRIGED."""
    squared = (at**2).sum(1)[:, None] + (points**2).sum(1)[None, :] - 2.0 * (at @ points.T)
    apart = np.sqrt(np.maximum(squared, 0.0)).astype(np.float32)
    return [covariance.of_distance(apart) for covariance, _ in KRIGED]


def _deviation(kriging: _Kriging, station: Ints, in_space: Singles, near_tile: Floats) -> Floats:
    """Kriging standard deviation (point,), relative to the sill, from the stations nearest to the tile."""
    assert kriging.system is not None  # noqa: S101 - needed only where it is there
    away = near_tile[station]
    count = min(TILE_STATIONS, len(station))
    rows = np.sort(np.argpartition(away, count - 1)[:count])
    factor, failed = lapack.dpotrf(np.asfortranarray(kriging.system[np.ix_(rows, rows)]), lower=1, clean=0)
    if failed:
        raise np.linalg.LinAlgError("a covariance with noise on its diagonal must be positive definite")
    against = in_space[station[rows]] * kriging.fading[rows, None] + kriging.shift[rows, None]
    # variance = sill - |L^-1 c|^2 with the system L L'; c' and L' are in Fortran's order already.
    half = blas.strsm(np.float32(1.0), factor.astype(np.float32), against.T, side=1, lower=1, trans_a=1)
    explained = np.einsum("pr,pr->p", half, half, dtype=np.float64)
    sill = sum(SMOKE.shares) + SMOKE.mean
    deviation: Floats = np.sqrt(np.maximum(sill - explained, 0.0))
    return deviation


def _nearest(day: _Day, points: Floats) -> dict[str, Floats]:
    """Plain fields (point,) from the NEAREST stations with a value on the day."""
    count = min(NEAREST, len(day.values))
    apart_km, index = day.tree.query(points, k=list(range(1, count + 1)))  # (point, neighbour)
    values = day.values[index]
    weight = np.maximum(apart_km, SAME_PLACE_KM) ** -2.0
    return {
        "neighbours_idw9": (weight * values).sum(axis=1) / weight.sum(axis=1),
        "neighbours_spread": np.log1p(np.maximum(values, 0.0)).std(axis=1),
        "neighbours_distance": apart_km[:, 0],
    }
