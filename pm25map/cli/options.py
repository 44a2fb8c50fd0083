"""What several commands share: days and places as text, a progress bar on stderr, and the inputs of maps."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pm25map.base.shipped import DEFAULT_MODEL

if TYPE_CHECKING:
    from pm25map.base.storage import Location
    from pm25map.raster.inputs import Inputs

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


class DayType(click.ParamType):  # type: ignore[type-arg]  # newer click only
    """A day written YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Read the day; a text that is none is an error with exit code 1, as any other bad date."""
        from pm25map.base.days import parse_day

        return value if isinstance(value, dt.date) else parse_day(str(value))


class LocationType(click.ParamType):  # type: ignore[type-arg]  # as above
    """A path, or a place in an object store."""

    name = "PATH|URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Location":
        """Tell paths and URLs apart."""
        from pm25map.base.storage import location

        return location(value) if isinstance(value, str) else value


class EngineType(click.ParamType):  # type: ignore[type-arg]  # as above
    """An engine by its name, or "auto"; the names are looked up when they are needed."""

    name = "ENGINE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse a name that is no engine's."""
        from pm25map.model.runtime import ENGINES

        if value not in (*ENGINES, "auto"):
            self.fail(f"{value!r} is none of {', '.join(ENGINES)}, auto", param, ctx)
        return str(value)


class BandType(click.ParamType):  # type: ignore[type-arg]  # as above
    """A further band by its name; the names are looked up when they are needed."""

    name = "BAND"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse a name that is no band's."""
        from pm25map.raster.inputs import BANDS

        if value not in BANDS:
            self.fail(f"{value!r} is none of {', '.join(BANDS)}", param, ctx)
        return str(value)


DAY = DayType()
LOCATION = LocationType()


def model_option(words: str = "Model: name or folder.") -> Decorator:
    """Make the option that names a model, with what it is for."""
    return click.option("--model", "model_name", default=DEFAULT_MODEL, show_default=True, help=words)


engine_option = click.option(
    "--engine",
    type=EngineType(),
    default="onnxruntime",
    show_default=True,
    help="What runs the network: a name that pm25map doctor lists, or auto to take the fastest, measured for "
    "some seconds.",
)

intervals_option = click.option(
    "--intervals",
    is_flag=True,
    help="Add the model's 90 % interval as bands pm25_lower and pm25_upper (ug/m3), from the same read.",
)

band_option = click.option(
    "--band",
    "bands",
    type=BandType(),
    multiple=True,
    help="Add bands, from the same read: intervals, exceedance (probabilities of exceeding the classes of the Air "
    "Quality Index) or neutral_place (the estimate at the place vector of its region). May be repeated.",
)


def bands_asked(bands: tuple[str, ...], *, intervals: bool) -> tuple[str, ...]:
    """Name the further bands that --band and --intervals ask for."""
    return (*bands, *(("intervals",) if intervals else ()))


workers_option = click.option(
    "--workers", type=click.IntRange(min=1), help="Blocks at a time. Default: the cores."
)

_MAP_OPTIONS: tuple[Decorator, ...] = (
    model_option(),
    click.option("--grid", "grid_name", help="Grid: name or folder. Default: the model's."),
    click.option(
        "--predictors",
        type=LOCATION,
        help="Store of predictors: *.zarr, *.zarr.zip or s3://... Default: the sample that comes with the grid.",
    ),
    click.option(
        "--bbox",
        type=float,
        nargs=4,
        metavar="W S E N",
        help="Only this box, degrees: west south east north.",
    ),
    click.option("--region", "region_name", help="Only a state or region: oregon, west-coast, OR ..."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
)


def with_options(function: Callable[..., None], options: tuple[Decorator, ...]) -> Callable[..., None]:
    """Give a command some options, in the order in which its help lists them."""
    for option in reversed(options):
        function = option(function)
    return function


def map_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what maps are made of, and of which part of the grid."""
    return with_options(function, _MAP_OPTIONS)


@contextmanager
def progress_bar(what: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """Show progress on stderr, gone when done; give a function that takes what is done and what is to do."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def open_for_maps(
    model_name: str,
    grid_name: str | None,
    predictors: "Location | None",
    days: list[dt.date],
    *,
    bands: tuple[str, ...] = (),
    smoothing_km: float = 0.0,
) -> "Inputs":
    """Open what maps are made of; the places of a grid are embedded at first use, with progress.

    Args:
        model_name, grid_name, predictors: as the options of the same names.
        days: that must be there, checked before places are embedded; none where a command sorts them itself.
        bands: names of further bands (raster.inputs.BANDS).
        smoothing_km: as the option --place-smoothing.
    """
    from pm25map.raster.inputs import open_inputs, specs_of

    with progress_bar("embedding the cells of the grid, once") as progress:
        return open_inputs(
            model_name,
            grid_name,
            predictors,
            days=days,
            bands=specs_of(bands),
            smoothing_km=smoothing_km,
            progress=progress,
        )
