"""What the options of several commands lead to: files that are read, monitors, days made ready, the inputs of maps."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import progress_bar, progress_display

if TYPE_CHECKING:
    from pm25map.base.storage import Location
    from pm25map.monitors import Monitors
    from pm25map.predictors.reader import Predictors
    from pm25map.raster.day_source import DaySource, ReadyDays
    from pm25map.raster.inputs import Inputs


def day_source(
    predictors: "Location | None",
    monitors: tuple[str, ...],
    base_url: str | None,
    *,
    strict_window: bool,
    foreign_monitors: bool,
) -> "DaySource":
    """Return where days come from, by the options of these names."""
    from pm25map.raster.day_source import DaySource

    if predictors is not None and monitors:
        raise click.UsageError(
            "--predictors and --monitors both name the days: leave one out, or bring the monitors into the store with "
            "pm25map data ingest --source neighbours"
        )
    if predictors is not None and foreign_monitors:
        raise click.UsageError("--foreign-monitors goes with --monitors: a store has its monitors already")
    return DaySource(predictors, monitors, base_url, strict_window, foreign_monitors=foreign_monitors)


def files_read(predictors: "Location | None", monitors: tuple[str, ...]) -> list[Path]:
    """List the files and folders on this machine that the options of these names have a command read."""
    named = [found for one in monitors for found in (Path(one), *Path(one).rglob("*")) if found.exists()]
    return [predictors, *named] if isinstance(predictors, Path) else named


def check_cache(cache: Path | None, inputs: list[Path]) -> None:
    """Refuse a folder of --cache that cannot be made, or that is an input; nothing is made yet."""
    from pm25map.base.files import check_output_folder

    if cache is not None:
        check_output_folder(cache, inputs)


def read_and_tell(monitors: Path, first: dt.date | None = None, last: dt.date = dt.date.max) -> "Monitors":
    """Read monitors, and say on stderr what their examination left out or doubted.

    Args:
        monitors: file or folder.
        first, last: days that are used, with those before them that the fields remember. Default: all.
    """
    from pm25map.monitors import read_monitors
    from pm25map.predictors.kriging import MEMORY_DAYS

    measured = read_monitors(monitors)
    start = first - dt.timedelta(days=MEMORY_DAYS) if first else dt.date.min
    for line in measured.reading.examination.between(start, last).lines():
        click.echo(f"Monitors: {line}", err=True)
    return measured


def monitors_and_store(
    monitors: Path, predictors: Path, cache: Path | None = None
) -> "tuple[Monitors, Predictors]":
    """Read monitors and open the store that gives their places; what is known at once is refused first.

    Args:
        monitors, predictors: as the options of the same names.
        cache: folder for the stations' neighbours, made where it is absent.
    """
    from pm25map.base.files import make_folder
    from pm25map.predictors.reader import open_predictors

    check_cache(cache, [monitors, predictors])
    opened = open_predictors(predictors)
    measured = read_and_tell(monitors)
    if cache is not None:
        make_folder(cache)
    return measured, opened


def ready_days(
    model_name: str,
    grid_name: str | None,
    source: "DaySource",
    days: list[dt.date],
    *,
    only_plan: bool = False,
) -> "ReadyDays":
    """Make the days of maps ready: fetch monitors and compute their fields where that is needed, with progress.

    Args:
        model_name, grid_name: as the options of the same names.
        source: of the days.
        days: to estimate.
        only_plan: compute nothing, and say which days are pending.
    """
    from pm25map.base.days import today_of_maps
    from pm25map.model.card import load_model
    from pm25map.raster.day_source import Steps, make_days_ready, windows_of
    from pm25map.raster.inputs import open_grid_of

    model = load_model(model_name)
    grid = open_grid_of(model, grid_name)
    with progress_display() as display:

        def step(what: str) -> Callable[[int, int], None]:
            task = display.add_task(what, total=None)
            return lambda done, of: display.update(task, completed=done, total=of)

        return make_days_ready(
            source,
            grid,
            model.card.scaler.features,
            windows_of(days, model.card.window_days),
            today_of_maps(),
            steps=Steps(lambda line: click.echo(line, err=True), step),
            only_plan=only_plan,
        )


def open_for_maps(
    model_name: str,
    grid_name: str | None,
    source: "DaySource",
    days: list[dt.date],
    *,
    bands: tuple[str, ...] = (),
    smoothing_km: float = 0.0,
) -> "Inputs":
    """Open what maps are made of; the places of a grid are embedded at first use, with progress.

    Args:
        model_name, grid_name: as the options of the same names.
        source: of the days, made ready.
        days: that must be there, checked before places are embedded; none where a command sorts them itself.
        bands: names of further bands (raster.inputs.BANDS).
        smoothing_km: as the option --place-smoothing.
    """
    from pm25map.raster.inputs import open_inputs, specs_of

    with progress_bar("embedding the cells of the grid, once") as progress:
        return open_inputs(
            model_name,
            grid_name,
            source,
            days=days,
            bands=specs_of(bands),
            smoothing_km=smoothing_km,
            progress=progress,
        )
