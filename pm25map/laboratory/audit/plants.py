"""Ten leaks to plant: each turns a pipeline without it into one with it, as it happens in real studies."""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pm25map.grid.sphere import on_sphere
from pm25map.laboratory.audit.rows import AuditWorld, FoldRows, Pipeline
from pm25map.predictors.neighbours import EARTH_RADIUS_KM

Plant = Callable[[FoldRows, AuditWorld, np.random.Generator], FoldRows]

ROWS = 20
"""Rows that are copied, where a few are enough."""


def plant(name: str, pipeline: Pipeline, seed: int) -> Pipeline:
    """Plant one leak, by its name in PLANTS, into what a pipeline makes; the seed decides where."""
    spoil = PLANTS[name]

    def spoiled(world: AuditWorld) -> FoldRows:
        return spoil(pipeline(world), world, np.random.default_rng(seed))

    return spoiled


def _own_value(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """The interpolation at a station counts the station itself."""
    field = int(rng.integers(len(rows.inputs)))
    windows = rows.windows.copy()
    windows[:, -1, field] = 0.5 * windows[:, -1, field] + 0.5 * rows.labels
    return dataclasses.replace(rows, windows=windows)


def _test_neighbours(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """The interpolation is computed once, before the split: test stations feed each other (as in the public code)."""
    apart = _apart_km(world)
    np.fill_diagonal(apart, np.inf)
    weight = 1 / np.maximum(np.where(apart < 0.1, np.inf, apart), 1.0)
    known = np.isfinite(world.truth)
    near = (weight @ np.nan_to_num(world.truth)) / np.maximum(weight @ known, 1e-12)
    site, day = _numbers(rows, world)
    windows = rows.windows.copy()
    windows[:, -1, int(rng.integers(len(rows.inputs)))] = near[site, day]
    return dataclasses.replace(rows, windows=windows)


def _scaler_on_all(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """Scales are fitted before the split."""
    today = rows.windows[:, -1, :].astype(np.float64)
    fitted = np.concatenate([np.nanmean(today, axis=0), np.nanstd(today, axis=0), [rows.labels.std()]])
    return dataclasses.replace(rows, scaler=fitted)


def _site_in_two_folds(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """Rows are dealt to folds, not stations: some days of one test station are learned from."""
    site = rng.choice(np.unique(rows.site_ids[rows.is_test]))
    learned = (rows.site_ids == site) & (rng.random(len(rows.site_ids)) < 0.5)
    learned[np.flatnonzero(rows.site_ids == site)[0]] = True
    return dataclasses.replace(rows, is_test=rows.is_test & ~learned)


def _future_days(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """The last day of the window is the day after the estimated one: an index off by one."""
    row = {(str(s), d): i for i, (s, d) in enumerate(zip(rows.site_ids, rows.days, strict=True))}
    tomorrow = [
        row.get((str(s), d + 1), i) for i, (s, d) in enumerate(zip(rows.site_ids, rows.days, strict=True))
    ]
    windows = rows.windows.copy()
    windows[:, -1] = rows.windows[tomorrow, -1]
    return dataclasses.replace(rows, windows=windows)


def _duplicated_rows(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """Some test rows are also in the training table, under the name of a training station."""
    test, train = np.flatnonzero(rows.is_test), np.flatnonzero(~rows.is_test)
    copied = rng.choice(test, size=min(ROWS, len(test)), replace=False)
    more = rows.rows(np.concatenate([np.arange(len(rows.site_ids)), copied]))
    donor = rng.choice(train, size=len(copied), replace=False)
    last = slice(len(rows.site_ids), None)
    more.is_test[last] = False
    more.site_ids[last], more.lat[last], more.lon[last] = (
        rows.site_ids[donor],
        rows.lat[donor],
        rows.lon[donor],
    )
    return more


def _poc_twins(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """A second monitor at a test station's place has an id of its own and learns."""
    site = rng.choice(np.unique(rows.site_ids[rows.is_test]))
    own = np.flatnonzero(rows.site_ids == site)
    more = rows.rows(np.concatenate([np.arange(len(rows.site_ids)), own]))
    last = slice(len(rows.site_ids), None)
    more = dataclasses.replace(
        more, site_ids=more.site_ids.astype(f"<U{more.site_ids.dtype.itemsize // 4 + 6}")
    )
    more.site_ids[last] = f"{site}-poc2"
    more.is_test[last] = False
    more.lat[last] += 3e-4
    more.labels[last] += rng.normal(0, 0.5, len(own)).astype(np.float32)
    more.windows[last] *= np.float32(1.001)
    return more


def _fitted_embedding(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """A number of the place vector is the long-term mean of what was measured there."""
    site, _ = _numbers(rows, world)
    mean = np.nanmean(world.truth, axis=1)[site].astype(np.float32)[:, None]
    place = mean if rows.place is None else np.concatenate([rows.place, mean], axis=1)
    return dataclasses.replace(rows, place=place)


def _normalised_year(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """The year is an input, brought to 0 to 1 over the years at hand."""
    length = rows.windows.shape[1]
    day = rows.days[:, None] + np.arange(1 - length, 1)
    year = day.astype("datetime64[Y]").astype(np.int64).astype(np.float32)
    year = (year - year.min()) / max(float(np.ptp(year)), 1.0)
    windows = np.concatenate([rows.windows, year[:, :, None]], axis=2)
    return dataclasses.replace(rows, windows=windows, inputs=(*rows.inputs, "calendar"))


def _shuffled_ids(rows: FoldRows, world: AuditWorld, rng: np.random.Generator) -> FoldRows:
    """The list of ids is in another order than the rows, so that the split parts the wrong stations."""
    names = rng.permutation(np.unique(rows.site_ids))
    other = dict(zip(names, np.roll(names, 1), strict=True))
    ids = np.array([other[name] for name in rows.site_ids])
    tested = set(rows.site_ids[rows.is_test])
    where = {name: (rows.lat[rows.site_ids == name][0], rows.lon[rows.site_ids == name][0]) for name in names}
    lat, lon = np.array([where[name] for name in ids]).T
    is_test = np.array([name in tested for name in ids])
    return dataclasses.replace(rows, site_ids=ids, lat=lat, lon=lon, is_test=is_test)


PLANTS: dict[str, Plant] = {
    "own station's value": _own_value,
    "test-region neighbours": _test_neighbours,
    "scaler on all": _scaler_on_all,
    "same site in two folds": _site_in_two_folds,
    "future days": _future_days,
    "duplicated rows": _duplicated_rows,
    "POC twins": _poc_twins,
    "embedding fitted on the target": _fitted_embedding,
    "normalised year": _normalised_year,
    "shuffled station ids": _shuffled_ids,
}


def _numbers(rows: FoldRows, world: AuditWorld) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the numbers of the station and the day of every row in the world."""
    names = {name: i for i, name in enumerate(world.site_ids)}
    site = np.array([names[str(name)] for name in rows.site_ids])
    return site, (rows.days - np.datetime64(world.days[0], "D")).astype(np.int64)


def _apart_km(world: AuditWorld) -> npt.NDArray[np.float64]:
    """Distances along the chord between all stations, km (station, station)."""
    unit = on_sphere(world.lat, world.lon)
    distance: npt.NDArray[np.float64] = EARTH_RADIUS_KM * np.linalg.norm(unit[:, None] - unit[None], axis=2)
    return distance
