"""What several commands share: the types of their options, the options, and progress on stderr."""

import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pm25map.base.shipped import DEFAULT_MODEL
from pm25map.cli.words import Count, Number, UrlType, check_names

if TYPE_CHECKING:
    from rich.progress import Progress

    from pm25map.base.storage import Location

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


class DayType(click.ParamType):  # type: ignore[type-arg]  # newer click only
    """A day written YYYY-MM-DD, or today, yesterday, or -10d: ten days before today (Pacific standard time).

    Attributes:
        mapped: whether it is a day to make a map of: neither in the future nor before EPA's network.
    """

    name = "DAY"

    def __init__(self, *, mapped: bool = False) -> None:
        self.mapped = mapped

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Read the day; a text that is none is an error with exit code 1, as any other bad date."""
        from pm25map.base.days import check_day, parse_day, today_of_maps

        today = today_of_maps()
        day = value if isinstance(value, dt.date) else parse_day(str(value), today)
        if self.mapped:
            check_day(day, today)
        return day


class LocationType(click.ParamType):  # type: ignore[type-arg]  # as above
    """A path, or a place in an object store."""

    name = "PATH|URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Location":
        """Return whether a text is a URL rather than a path."""
        from pm25map.base.storage import location

        return location(value) if isinstance(value, str) else value


class FileType(click.Path):
    """A file or folder on this machine; an address of an object store is told apart from a path."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse an address, which would be taken for a folder of an odd name."""
        from pm25map.base.errors import BadOutput
        from pm25map.base.storage import Remote, location

        if isinstance(value, str) and isinstance(location(value), Remote):
            raise BadOutput(
                f"{_hint(param, ctx)} takes a path on this machine, not {value}. Only the maps of a backfill, and "
                "stores of predictors that are read, may be in an object store"
            )
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            check_names(str(path))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return path


def _hint(param: click.Parameter | None, ctx: click.Context | None) -> str:
    """Name an option or argument as its help does."""
    return "this" if param is None or ctx is None else param.get_error_hint(ctx)


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
MAP_DAY = DayType(mapped=True)
LOCATION = LocationType()
FILE = FileType()


class SourceType(click.ParamType):  # type: ignore[type-arg]  # as above
    """The name of a source; which there are is read when it is asked for, as other packages bring some too."""

    name = "source"

    def __init__(self, kind: str, further: tuple[str, ...] = ()) -> None:
        """Take the sources of one kind.

        Args:
            kind: the function of pm25map.predictors.catalogue that names them.
            further: names beside those.
        """
        self.kind, self.further = kind, further

    def names(self) -> tuple[str, ...]:
        """Name the sources."""
        from pm25map.predictors import catalogue

        return (*self.further, *getattr(catalogue, self.kind)())

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """List the names in the help."""
        return f"[{'|'.join(self.names())}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no source."""
        if value not in self.names():
            self.fail(f"{value!r} is not one of {', '.join(self.names())}", param, ctx)
        return value


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


workers_option = click.option("--workers", type=Count(min=1), help="Blocks at a time. Default: the cores.")

foreign_option = click.option(
    "--foreign-monitors",
    is_flag=True,
    help="Use monitors of Canada, Mexico and elsewhere too, where the monitors have some. Default: the United States.",
)

base_url_option = click.option(
    "--base-url",
    type=UrlType(),
    envvar="PM25MAP_FETCH_URL",
    show_envvar=True,
    help="Fetch monitors from a mirror with the providers' layout. Default: the providers.",
)

_MAP_OPTIONS: tuple[Decorator, ...] = (
    model_option(),
    click.option("--grid", "grid_name", help="Grid: name or folder. Default: the model's."),
    click.option(
        "--predictors",
        type=LOCATION,
        help="Store of predictors: *.zarr, *.zarr.zip or s3://... Default: the sample where it has the days, else "
        "monitors.",
    ),
    click.option(
        "--monitors",
        multiple=True,
        metavar="FILE|DIR|aqs|airnow|auto",
        help="Monitors in place of a store, PM2.5 in ug/m3; repeat. EPA's daily files or a folder of them, AirNow's "
        "hourly files, a table (site_id, latitude, longitude, date, pm25), or a network, whose files are fetched. "
        "Default where the sample lacks the days: auto, which is AQS as far as it reaches and AirNow after.",
    ),
    foreign_option,
    base_url_option,
    click.option(
        "--strict-window",
        is_flag=True,
        help="Refuse a day whose window of 21 days lacks one. Default: the next day that is there stands in.",
    ),
    click.option(
        "--bbox",
        type=Number(),
        nargs=4,
        metavar="W S E N",
        help="Only this box, degrees: west south east north.",
    ),
    click.option("--region", "region_name", help="Only a state or region: oregon, west-coast, OR ..."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
)


def with_options(function: Callable[..., None], options: tuple[Decorator, ...]) -> Callable[..., None]:
    """Add some options, in the order in which the help lists them."""
    for option in reversed(options):
        function = option(function)
    return function


def map_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose what maps are made of, and of which part of the grid."""
    return with_options(function, _MAP_OPTIONS)


@contextmanager
def progress_display() -> "Iterator[Progress]":
    """Show bars on stderr, one a task that is added, gone when done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        yield display


@contextmanager
def progress_bar(what: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """Show progress on stderr, gone when done; give a function that takes what is done and what is to do."""
    with progress_display() as display:
        task = display.add_task(what, total=total)
        yield lambda done, of: display.update(task, completed=done, total=of)
