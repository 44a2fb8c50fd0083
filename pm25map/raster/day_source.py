"""Where the days of maps come from: a store that was named, monitors, or, where neither is, whatever has the days.

Choosing needs no file but those named; making ready reads monitors, fetches what is lacking, and computes the
neighbours' fields of the days into the cache. What comes out names a store, which any worker can open.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pm25map.base.days import window_of
from pm25map.base.errors import BadMonitors, BadPredictors
from pm25map.base.shipped import shipped_folder
from pm25map.base.storage import Location
from pm25map.grid import Grid
from pm25map.monitors import Monitors
from pm25map.monitors.ground import in_united_states
from pm25map.predictors.checks import check_from_monitors
from pm25map.predictors.monitor_source import AUTO, MonitorSource, read_source
from pm25map.predictors.on_demand import (
    compute_on_demand,
    days_to_compute,
    forget_withdrawn,
    store_on_demand,
)
from pm25map.predictors.reader import open_predictors

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DaySource:
    """Where days come from, as a user chooses it.

    Attributes:
        predictors: store; None where no store was named.
        monitors: files and folders of monitors, or networks (monitor_source.NETWORKS); empty where none were named.
        base_url: of a mirror of the networks' files.
        strict_window: refuse a window with a missing day instead of filling it.
        words: of the command line that ask for the same days again.
        label: names the days' origin in the map, where the store's own name would say nothing.
        foreign_monitors: use monitors outside of the United States too, those in the rectangle of the grid.
    """

    predictors: Location | None = None
    monitors: tuple[str, ...] = ()
    base_url: str | None = None
    strict_window: bool = False
    words: tuple[str, ...] = ()
    label: str = ""
    foreign_monitors: bool = False


@dataclass(frozen=True)
class Steps:
    """Who hears of the work that makes days ready.

    Attributes:
        announce: called with a line before something is fetched.
        progress: called with the name of a step; returns what is called with the done and the whole of that step.
    """

    announce: Callable[[str], None] | None = None
    progress: Callable[[str], Progress] | None = None


@dataclass(frozen=True)
class ReadyDays:
    """Days that are ready, or what would make them so.

    Attributes:
        source: names the store that has them.
        pending: days whose fields are not computed yet; empty unless only a plan was asked for.
    """

    source: DaySource
    pending: tuple[dt.date, ...] = ()


def sample_of(grid: Grid) -> Path | None:
    """Find the sample of predictors that is shipped with a grid; None where there is none."""
    path = shipped_folder("grids") / grid.name / "sample.zarr.zip"
    return path if path.is_file() else None


def make_days_ready(
    source: DaySource,
    grid: Grid,
    features: tuple[str, ...],
    windows: list[list[dt.date]],
    today: dt.date,
    *,
    steps: Steps | None = None,
    only_plan: bool = False,
) -> ReadyDays:
    """Make the days of some windows ready, and name the store that has them.

    Args:
        source: as the user chose it.
        grid: of the maps.
        features: that the model reads.
        windows: of every day to estimate, oldest first, the estimated day last.
        today: no day after it is fetched.
        steps: who hears of it.
        only_plan: compute nothing, and say which days are pending.

    Raises:
        BadMonitors, BadFetch: no monitor can be had; says what was tried and which option takes files.
        BadPredictors: the model reads what monitors do not give.
        BadOutput: the cache cannot be written.
    """
    steps = steps or Steps()
    if source.predictors is not None:
        named = source.words or ("--predictors", _name(source.predictors))
        return ReadyDays(replace(source, words=named))
    sample = sample_of(grid)
    any_monitors = not source.monitors and not source.foreign_monitors
    if any_monitors and sample is not None and (not windows or _holds(sample, features, windows)):
        return ReadyDays(replace(source, predictors=sample))
    if not windows:
        raise BadPredictors(
            f"no days come with grid {grid.name}: name monitors with --monitors, or a store of predictors with "
            "--predictors"
        )
    check_from_monitors(features)
    monitors = MonitorSource(source.monitors or AUTO, source.base_url, source.foreign_monitors)
    return _from_monitors(source, monitors, grid, windows, today, steps, only_plan=only_plan)


def _from_monitors(
    source: DaySource,
    monitors: MonitorSource,
    grid: Grid,
    windows: list[list[dt.date]],
    today: dt.date,
    steps: Steps,
    *,
    only_plan: bool,
) -> ReadyDays:
    """Compute the fields of the windows' days from monitors."""
    days = sorted(set().union(*windows))
    found = read_source(monitors, days, today, announce=steps.announce)
    if monitors.foreign:
        found = without_far_ones(found, grid)
    measured = set(found.days)
    if len(windows) == 1 and windows[0][-1] not in measured:
        raise BadMonitors(
            f"no monitor of {monitors.label} measured on {windows[0][-1]}: of the days around they have "
            f"{found.days[0]} to {found.days[-1]}. Choose another day, or name other "
            "monitors with --monitors"
        )
    forget_withdrawn(grid, found, monitors.origin, days)
    pending = tuple(days_to_compute(grid, found, monitors.origin, days)) if only_plan else ()
    # Runs of days: between far apart ones nothing is computed. A plan computes no day, and opens the same store.
    for span in [[]] if only_plan else _spans(days):
        compute_on_demand(grid, found, monitors.origin, span, steps.progress)
    path = store_on_demand(grid, monitors.origin)
    ready = replace(source, predictors=path, words=monitors.words, label=f"monitors: {monitors.label}")
    return ReadyDays(ready, pending)


def without_far_ones(monitors: Monitors, grid: Grid) -> Monitors:
    """Leave out the foreign monitors outside of a grid's rectangle: an embassy in Asia says nothing of this map."""
    lon = monitors.sites["longitude"].to_numpy(np.float64)
    lat = monitors.sites["latitude"].to_numpy(np.float64)
    rows, _ = grid.cells_at(lon, lat)
    kept = in_united_states(lon, lat) | (rows >= 0)
    return monitors.select(monitors.sites["site_id"][kept].tolist())


def _holds(sample: Path, features: tuple[str, ...], windows: list[list[dt.date]]) -> bool:
    """Return whether the sample has every day of all windows."""
    store = open_predictors(sample)
    daily = tuple(name for name in features if name in store.daily)
    held = set(store.days_of(daily))
    return all(held.issuperset(window) for window in windows)


def _spans(days: list[dt.date]) -> list[list[dt.date]]:
    """Part days into spans without gaps."""
    spans: list[list[dt.date]] = []
    for day in days:
        if spans and day == spans[-1][-1] + dt.timedelta(days=1):
            spans[-1].append(day)
        else:
            spans.append([day])
    return spans


def _name(place: Location) -> str:
    return place.name


def windows_of(days: list[dt.date], length: int) -> list[list[dt.date]]:
    """List the windows of some days."""
    return [window_of(day, length) for day in days]
