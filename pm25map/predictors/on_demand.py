"""Days on demand: the neighbours' fields of exactly the days that a map needs, computed once and kept in the cache.

The cache holds one store for a grid and a choice of monitors. It is filled as `pm25map data ingest` fills a store, by
the same functions, and so holds the same values. Each day has the fingerprint of the observations that it was computed
from: a revised file changes exactly the days that it concerns.
"""

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pm25map.base.cache import cache_folder, writing_the_cache
from pm25map.base.errors import BadPredictors
from pm25map.base.files import make_folder, sha256_of_bytes
from pm25map.grid import Grid
from pm25map.monitors import Monitors
from pm25map.predictors.ingest import (
    Ingested,
    Progress,
    ensure_store,
    ingest_daily,
    ingest_layers,
    is_revised,
)
from pm25map.predictors.lock import only_writer
from pm25map.predictors.neighbours import FIELDS, FIELDS_VERSION
from pm25map.predictors.reader import Predictors, open_predictors
from pm25map.predictors.sources.neighbours import Neighbours
from pm25map.predictors.sources.static import static_layers
from pm25map.predictors.sources.static_pack import pack_checksum
from pm25map.predictors.store import add_variables, forget
from pm25map.predictors.variables import variables_of
from pm25map.predictors.verify import forget_damage, verify_store

FIRST_DAY = dt.date(1998, 12, 1)
"""First day of the time axis: EPA's network of PM2.5 begins in January 1999, and a window reaches before it."""


@dataclass(frozen=True)
class OnDemand:
    """A store of the cache, with the days computed.

    Attributes:
        path: of the store in the cache.
        days: the result of computing the fields of the days.
    """

    path: Path
    days: Ingested


def store_on_demand(grid: Grid, origin: str) -> Path:
    """Name the store of the cache for a grid and a choice of monitors.

    Args:
        grid: of the map.
        origin: names where the monitors come from: full paths, or networks and mirrors.
    """
    # Other static layers make other heights, and so other fields.
    parts = (grid.checksum, str(FIELDS_VERSION), pack_checksum(), origin)
    key = sha256_of_bytes(*(f"{part}\n".encode() for part in parts))[:16]
    return days_folder() / f"{grid.name}-{key}.zarr"


def days_folder() -> Path:
    """Return the folder of the cache that holds days, a store for each grid and choice of monitors."""
    return cache_folder() / "days"


def days_to_compute(grid: Grid, monitors: Monitors, origin: str, days: list[dt.date]) -> list[dt.date]:
    """List the requested days whose fields are not in the cache yet; nothing is written.

    A day of revised observations counts; one without an observation does not.
    """
    silent = _silent(monitors, days)
    given = [day for day in days if day not in silent]
    store = _opened(store_on_demand(grid, origin))
    if store is None:
        return given
    source = Neighbours(monitors, store.layer("elevation"))
    inputs = source.inputs_of(grid, given)
    whole = set(store.days_of(FIELDS)) if set(FIELDS) <= set(store.daily) else set()
    return [day for day in given if day not in whole or is_revised(store, source, day, inputs)]


def forget_withdrawn(grid: Grid, monitors: Monitors, origin: str, days: list[dt.date]) -> None:
    """Remove from the cache the requested days that the monitors had before and have no longer.

    The cache is of these monitors alone: a day without an observation now is one that a newer file withdrew.
    """
    path = store_on_demand(grid, origin)
    store = _opened(path)
    silent = _silent(monitors, days)
    if store is None:
        return
    for name in (name for name in FIELDS if name in store.daily):
        if gone := sorted(silent & set(store.days_of((name,)))):
            forget(path, name, gone)


def _silent(monitors: Monitors, days: list[dt.date]) -> set[dt.date]:
    """Return the days on which no monitor measured."""
    return {
        day for day, values in zip(days, monitors.matrix(days), strict=True) if bool(np.isnan(values).all())
    }


def compute_on_demand(
    grid: Grid,
    monitors: Monitors,
    origin: str,
    days: list[dt.date],
    progress: Callable[[str], Progress] | None = None,
) -> OnDemand:
    """Compute the neighbours' fields of some days into the cache, where it does not hold them yet, or damaged.

    Args:
        grid: of the map.
        monitors: that feed the fields.
        origin: names where they come from, as `store_on_demand`.
        days: to have; those without an observation stay missing.
        progress: called with the name of a step; returns what is called with the done and the whole of that step.

    Raises:
        BadPredictors: the package has no static layers for the grid.
        BadOutput: the cache cannot be written: names PM25MAP_CACHE.
    """
    path = store_on_demand(grid, origin)
    with writing_the_cache():
        make_folder(path.parent)
        with only_writer(path):
            _remove_damage(path, days)
            ensure_store(path, grid, FIRST_DAY, dt.date(max([FIRST_DAY, *days]).year, 12, 31))
            _fill_layers(path, grid, progress)
        if not days:
            # A plan opens the store as a map does: with the names of the fields, and no day of them.
            add_variables(path, variables_of("neighbours"))
            return OnDemand(path, Ingested(0, {}))
        elevation = open_predictors(path).layer("elevation")
        step = None if progress is None else progress(f"fields of {len(days)} days from the monitors around")
        return OnDemand(path, ingest_daily(path, Neighbours(monitors, elevation), days, step))


def _remove_damage(path: Path, days: list[dt.date]) -> None:
    """Remove the damaged days from a store of the cache: all of them can be computed again.

    A user never has to repair a cache. A damaged file contains other days as well: where there is one, all days are
    checked.
    """
    store = _opened(path)
    try:
        if store is not None and verify_store(store, days):
            forget_damage(path, verify_store(store, store.days_of(tuple(store.daily))))
    except BadPredictors:
        store = None
    if store is None and path.exists():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _fill_layers(path: Path, grid: Grid, progress: Callable[[str], Progress] | None) -> None:
    """Write the static layers that a store of the cache lacks."""
    names = variables_of("static")
    if set(names) <= set(open_predictors(path).layers):
        return
    step = None if progress is None else progress("static layers of the grid, once")
    ingest_layers(path, static_layers(None, grid), len(names), step)


def _opened(path: Path) -> Predictors | None:
    """Open a store of the cache; None where there is none, or it is damaged, or it has no layers yet."""
    try:
        store = open_predictors(path)
    except BadPredictors:
        return None
    return store if "elevation" in store.layers else None
