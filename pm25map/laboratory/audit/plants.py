"""Ten leaks to plant: each turns a pipeline without it into one with it, as it happens in real studies."""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pm25map.grid.sphere import on_sphere
from pm25map.laboratory.audit.material import AuditMaterial, AuditWorld, Pipeline
from pm25map.predictors.neighbours import EARTH_RADIUS_KM

Plant = Callable[[AuditMaterial, AuditWorld, np.random.Generator], AuditMaterial]

ROWS = 20
"""Rows that are copied, where a few are enough."""


def plant(name: str, pipeline: Pipeline, seed: int) -> Pipeline:
    """Plant one leak, by its name in PLANTS, into what a pipeline makes; the seed decides where."""
    spoil = PLANTS[name]

    def spoiled(world: AuditWorld) -> AuditMaterial:
        return spoil(pipeline(world), world, np.random.default_rng(seed))

    return spoiled


def _own_value(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """The interpolation at a station counts the station itself."""
    field = int(rng.integers(len(made.inputs)))
    windows = made.windows.copy()
    windows[:, -1, field] = 0.5 * windows[:, -1, field] + 0.5 * made.labels
    return dataclasses.replace(made, windows=windows)


def _test_neighbours(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """The interpolation is made once, before the split: test stations speak for each other (the public code does)."""
    apart = _apart_km(world)
    np.fill_diagonal(apart, np.inf)
    weight = 1 / np.maximum(np.where(apart < 0.1, np.inf, apart), 1.0)
    known = np.isfinite(world.truth)
    near = (weight @ np.nan_to_num(world.truth)) / np.maximum(weight @ known, 1e-12)
    site, day = _numbers(made, world)
    windows = made.windows.copy()
    windows[:, -1, int(rng.integers(len(made.inputs)))] = near[site, day]
    return dataclasses.replace(made, windows=windows)


def _scaler_on_all(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """Scales are fitted before the split."""
    today = made.windows[:, -1, :].astype(np.float64)
    fitted = np.concatenate([np.nanmean(today, axis=0), np.nanstd(today, axis=0), [made.labels.std()]])
    return dataclasses.replace(made, scaler=fitted)


def _site_in_two_folds(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """Rows are dealt to folds, not stations: some days of one test station are learned from."""
    site = rng.choice(np.unique(made.site_ids[made.is_test]))
    learned = (made.site_ids == site) & (rng.random(len(made.site_ids)) < 0.5)
    learned[np.flatnonzero(made.site_ids == site)[0]] = True
    return dataclasses.replace(made, is_test=made.is_test & ~learned)


def _future_days(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """The last day of the window is the day after the estimated one: an index off by one."""
    row = {(str(s), d): i for i, (s, d) in enumerate(zip(made.site_ids, made.days, strict=True))}
    tomorrow = [
        row.get((str(s), d + 1), i) for i, (s, d) in enumerate(zip(made.site_ids, made.days, strict=True))
    ]
    windows = made.windows.copy()
    windows[:, -1] = made.windows[tomorrow, -1]
    return dataclasses.replace(made, windows=windows)


def _duplicated_rows(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """Some test rows are also in the training table, under the name of a training station."""
    test, train = np.flatnonzero(made.is_test), np.flatnonzero(~made.is_test)
    copied = rng.choice(test, size=min(ROWS, len(test)), replace=False)
    more = made.rows(np.concatenate([np.arange(len(made.site_ids)), copied]))
    donor = rng.choice(train, size=len(copied), replace=False)
    last = slice(len(made.site_ids), None)
    more.is_test[last] = False
    more.site_ids[last], more.lat[last], more.lon[last] = (
        made.site_ids[donor],
        made.lat[donor],
        made.lon[donor],
    )
    return more


def _poc_twins(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """A second monitor at a test station's place has an id of its own and learns."""
    site = rng.choice(np.unique(made.site_ids[made.is_test]))
    own = np.flatnonzero(made.site_ids == site)
    more = made.rows(np.concatenate([np.arange(len(made.site_ids)), own]))
    last = slice(len(made.site_ids), None)
    more = dataclasses.replace(
        more, site_ids=more.site_ids.astype(f"<U{more.site_ids.dtype.itemsize // 4 + 6}")
    )
    more.site_ids[last] = f"{site}-poc2"
    more.is_test[last] = False
    more.lat[last] += 3e-4
    more.labels[last] += rng.normal(0, 0.5, len(own)).astype(np.float32)
    more.windows[last] *= np.float32(1.001)
    return more


def _fitted_embedding(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """A number of the place vector is the long-term mean of what was measured there."""
    site, _ = _numbers(made, world)
    mean = np.nanmean(world.truth, axis=1)[site].astype(np.float32)[:, None]
    place = mean if made.place is None else np.concatenate([made.place, mean], axis=1)
    return dataclasses.replace(made, place=place)


def _normalised_year(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """The year is an input, brought to 0 to 1 over the years at hand."""
    length = made.windows.shape[1]
    day = made.days[:, None] + np.arange(1 - length, 1)
    year = day.astype("datetime64[Y]").astype(np.int64).astype(np.float32)
    year = (year - year.min()) / max(float(np.ptp(year)), 1.0)
    windows = np.concatenate([made.windows, year[:, :, None]], axis=2)
    return dataclasses.replace(made, windows=windows, inputs=(*made.inputs, "calendar"))


def _shuffled_ids(made: AuditMaterial, world: AuditWorld, rng: np.random.Generator) -> AuditMaterial:
    """The list of ids is in another order than the rows, so that the split parts the wrong stations."""
    names = rng.permutation(np.unique(made.site_ids))
    other = dict(zip(names, np.roll(names, 1), strict=True))
    ids = np.array([other[name] for name in made.site_ids])
    tested = set(made.site_ids[made.is_test])
    where = {name: (made.lat[made.site_ids == name][0], made.lon[made.site_ids == name][0]) for name in names}
    lat, lon = np.array([where[name] for name in ids]).T
    is_test = np.array([name in tested for name in ids])
    return dataclasses.replace(made, site_ids=ids, lat=lat, lon=lon, is_test=is_test)


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


def _numbers(made: AuditMaterial, world: AuditWorld) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Number the station and the day of every row in the world."""
    names = {name: i for i, name in enumerate(world.site_ids)}
    site = np.array([names[str(name)] for name in made.site_ids])
    return site, (made.days - np.datetime64(world.days[0], "D")).astype(np.int64)


def _apart_km(world: AuditWorld) -> npt.NDArray[np.float64]:
    """Distances along the chord between all stations, km (station, station)."""
    unit = on_sphere(world.lat, world.lon)
    found: npt.NDArray[np.float64] = EARTH_RADIUS_KM * np.linalg.norm(unit[:, None] - unit[None], axis=2)
    return found
