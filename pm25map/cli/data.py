"""`pm25map data`: fill a store of predictors, look at it, and pack a part of it."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click


class DayType(click.ParamType):  # type: ignore[type-arg]  # newer click only
    """A day written YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Read the day; a text that is none is an error with exit code 1, as any other bad date."""
        from pm25map.base.days import parse_day

        return value if isinstance(value, dt.date) else parse_day(str(value))


DAY = DayType()
STORE = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Fill and inspect the store of daily predictors.

    \b
    Try: pm25map data status --store predictors.zarr
    """  # noqa: D301 - click reads \b


@command.command()
@click.option(
    "--source", type=click.Choice(["neighbours", "static", "all"]), default="all", show_default=True
)
@click.option("--start", type=DAY, required=True, help="First day.")
@click.option("--end", type=DAY, required=True, help="Last day, included.")
@click.option("--store", type=STORE, required=True, help="Folder *.zarr; made where absent.")
@click.option("--grid", "grid_name", default="conus-10km", show_default=True, help="Grid: name or folder.")
@click.option(
    "--monitors", type=STORE, help="EPA's daily files (.zip, .csv), a folder of them, or of the parquet."
)
@click.option("--static", "static", type=STORE, help="Folder of the static rasters.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ingest(
    *,
    source: str,
    start: dt.date,
    end: dt.date,
    store: Path,
    grid_name: str,
    monitors: Path | None,
    static: Path | None,
    as_json: bool,
) -> None:
    """Bring predictors to a grid and into a store; days that are whole are skipped.

    neighbours: PM2.5 around every cell (ug/m3, km) from --monitors. static: elevation (m), land cover shares,
    vegetation, turbidity and climatologies from --static. Calendar and sun are computed when read.

    \b
    Try: pm25map data ingest --source all --start 2020-08-16 --end 2020-09-20 --monitors aqs --static static
           --store predictors.zarr
    """  # noqa: D301 - click reads \b
    from pm25map.base.days import days_between
    from pm25map.grid import load_grid
    from pm25map.monitors import read_monitors
    from pm25map.predictors.checks import check_features
    from pm25map.predictors.ingest import ensure_store, ingest_daily, ingest_layers
    from pm25map.predictors.sources.neighbours import Neighbours
    from pm25map.predictors.sources.static import static_layers
    from pm25map.predictors.store import open_predictors
    from pm25map.predictors.variables import variables_of

    if source in ("neighbours", "all") and monitors is None:
        raise click.UsageError("--source neighbours needs --monitors")
    if source in ("static", "all") and static is None:
        raise click.UsageError("--source static needs --static")
    days = days_between(start, end)
    grid = load_grid(grid_name)
    written = {"layers": 0, "days": 0}
    # Read what is asked for before the store is made: a bad file leaves nothing behind.
    measured = read_monitors(monitors) if monitors is not None and source != "static" else None
    ensure_store(store, grid, start, end)
    if static is not None and source != "neighbours":
        total = len(variables_of("static"))
        with _bar("static layers", total) as progress:
            written["layers"] = ingest_layers(store, static_layers(static, grid), total, progress)
    if measured is not None:
        filled = open_predictors(store)
        check_features(store, filled.variables, ("elevation",))
        neighbours = Neighbours(measured, filled.layer("elevation"))
        with _bar("neighbours, days", len(days)) as progress:
            written["days"] = ingest_daily(store, neighbours, days, progress)
    if as_json:
        click.echo(json.dumps({"store": str(store), **written}))
    else:
        click.echo(f"{store}: {written['layers']} layers and {written['days']} days written")


@command.command()
@click.option("--store", type=STORE, required=True, help="Folder *.zarr or file *.zarr.zip.")
@click.option("--start", type=DAY, help="First day to look at. Default: of the store.")
@click.option("--end", type=DAY, help="Last day to look at. Default: of the store.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(store: Path, start: dt.date | None, end: dt.date | None, as_json: bool) -> None:
    """Say which variables and days a store holds, and which days are missing (exit code 3).

    \b
    Try: pm25map data status --store predictors.zarr --start 2020-08-16 --end 2020-09-20
    """  # noqa: D301 - click reads \b
    from pm25map.predictors.status import status_lines, status_of
    from pm25map.predictors.store import open_predictors

    state = status_of(open_predictors(store), start, end)
    click.echo(json.dumps(state, indent=2) if as_json else "\n".join(status_lines(state)))
    if state["missing"]:
        click.get_current_context().exit(3)


@command.command()
@click.option("--store", type=STORE, required=True, help="Store to copy from.")
@click.option("--out", type=STORE, required=True, help="File to write, *.zarr.zip; read only from then on.")
@click.option("--start", type=DAY, required=True, help="First day.")
@click.option("--end", type=DAY, required=True, help="Last day, included.")
@click.option("--variable", "names", multiple=True, help="Variable to keep; repeat. Default: all.")
@click.option(
    "--precision",
    "steps",
    multiple=True,
    metavar="NAME=STEP",
    help="Step of a variable's values, in its units; repeat. Default: of the variable table.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def pack(
    *,
    store: Path,
    out: Path,
    start: dt.date,
    end: dt.date,
    names: tuple[str, ...],
    steps: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Pack some days of a store to int16, in steps of a stated precision, in one zip file.

    \b
    Try: pm25map data pack --store predictors.zarr --out sample.zarr.zip --start 2020-08-16 --end 2020-09-20
    """  # noqa: D301 - click reads \b
    from pm25map.predictors.pack import pack_sample
    from pm25map.predictors.store import open_predictors

    precision = dict(_step(text) for text in steps)
    packed = pack_sample(
        open_predictors(store),
        out,
        start,
        end,
        variables=names or None,
        precision=precision,
        overwrite=overwrite,
    )
    click.echo(f"{packed}: {packed.stat().st_size / 1e6:.1f} MB, {start} to {end}")


def _step(text: str) -> tuple[str, float]:
    name, _, step = text.partition("=")
    try:
        return name, float(step)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not NAME=STEP, such as neighbours_idw9=0.1") from error


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Show progress on stderr; give a function that moves it."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)
