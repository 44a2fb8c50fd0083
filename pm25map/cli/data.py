"""`pm25map data`: fill a store of predictors, look at it, and pack a part of it."""

import datetime as dt
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from pm25map.cli.data_now import now
from pm25map.cli.data_status import status
from pm25map.cli.fetch import fetch
from pm25map.cli.impute import impute
from pm25map.cli.opening import read_and_tell
from pm25map.cli.options import DAY, FILE, LOCATION, SourceType, progress_bar

if TYPE_CHECKING:
    from pm25map.grid import Grid
    from pm25map.predictors.ingest import Ingested
    from pm25map.predictors.sources import DailySource, LayerSource

STORE = FILE
OPEN_SET = ("neighbours", "static")
"""What the default model reads: --source all."""
OWN = (*OPEN_SET, "knnidw", "all")
"""Sources that read no provider's files."""


@click.group()
def command() -> None:
    """See which days are ready; fetch providers' files, bring them into a store of daily predictors, inspect it.

    status says which days and monitors the cache holds, or which days of a store are whole; fetch brings files from a
    provider into a folder; ingest brings a folder of files to a grid and into a store; impute fills what satellites
    did not see; now writes what the air is like at every monitor; verify reads everything again; pack makes one
    small file of some days.

    \b
    Try: pm25map data status
         pm25map data fetch --source hms --start 2020-08-23 --end 2020-09-12 --out hms
         pm25map data ingest --source hms --files hms --start 2020-08-23 --end 2020-09-12 --store predictors.zarr
         pm25map data status --store predictors.zarr
    """  # noqa: D301 - click reads \b


command.add_command(fetch)
command.add_command(impute)
command.add_command(now)
command.add_command(status)


@command.command()
@click.option(
    "--source",
    type=SourceType("file_sources", OWN),
    default="all",
    show_default=True,
    help="all: neighbours, static.",
)
@click.option("--start", type=DAY, required=True, help="First day.")
@click.option("--end", type=DAY, required=True, help="Last day, included.")
@click.option("--store", type=STORE, required=True, help="Folder *.zarr; made where absent.")
@click.option("--grid", "grid_name", default="conus-10km", show_default=True, help="Grid: name or folder.")
@click.option(
    "--monitors", type=STORE, help="EPA's daily files (.zip, .csv), a folder of them, or of the parquet."
)
@click.option(
    "--static",
    "static",
    type=STORE,
    help="Folder of your own static rasters (docs/static.md). Default: those that come with the package, over the "
    "contiguous United States and 200 km around.",
)
@click.option("--files", type=STORE, help="Folder of the provider's files, searched with the folders in it.")
@click.option(
    "--partial-tiles",
    is_flag=True,
    help="maiac: a day may lack some of the tiles; their cells are missing. Default: such a day is left out.",
)
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
    files: Path | None,
    partial_tiles: bool,
    as_json: bool,
) -> None:
    """Bring predictors to a grid and into a store; days that are whole are skipped.

    neighbours: PM2.5 around every cell (ug/m3, km) from --monitors; knnidw: the same as the reference study has
    it. static: elevation (m), land cover shares, vegetation, turbidity and climatologies, of the package or of your
    own rasters by --static. The other sources read the provider's own files from --files, offline. Calendar and
    sun are computed when read.

    Days of which a file is absent are left out, listed, and end the command with exit code 3. A damaged file is
    an error; what was written before it stays.

    \b
    Try: pm25map data ingest --source all --start 2020-08-16 --end 2020-09-20 --monitors aqs
           --store predictors.zarr
         pm25map data ingest --source hms --files hms --start 2020-08-16 --end 2020-09-20 --store predictors.zarr
    """  # noqa: D301 - click reads \b
    from pm25map.base.days import days_between
    from pm25map.base.files import check_output_folder
    from pm25map.grid import load_grid
    from pm25map.predictors.catalogue import sources
    from pm25map.predictors.ingest import Ingested, check_store

    in_tiles = [name for name, entry in sources().items() if entry.in_daily_tiles]
    if partial_tiles and source not in in_tiles:
        raise click.UsageError(
            f"--partial-tiles does not go with --source {source}: only {', '.join(in_tiles)} has days in tiles"
        )
    _check_origin(source, monitors, static, files)
    check_output_folder(store, filter(None, (monitors, static, files)))
    days = days_between(start, end)
    grid = load_grid(grid_name)
    check_store(store)
    passed_over: tuple[str, ...] = ()
    if source not in OWN:
        assert files is not None  # noqa: S101 - as checked
        layers, result, passed_over = _ingest_files(
            source, files, store, grid, days, partial_tiles=partial_tiles
        )
    else:
        layers, result = _ingest_own(source, monitors, static, store, grid, days)
    result = result or Ingested(0, {})
    lacking = {str(day): why for day, why in sorted(result.lacking.items())}
    if as_json:
        facts = {
            "store": str(store),
            "layers": layers,
            "days": result.written,
            "lacking": lacking,
            "passed_over": passed_over,
        }
        click.echo(json.dumps(facts))
    else:
        click.echo(f"{store}: {layers} layers and {result.written} days written")
        for line in passed_over:
            click.echo(f"passed over {line}")
        for day, why in lacking.items():
            click.echo(f"left out    {day}: {why}")
    if lacking:
        click.get_current_context().exit(3)


def _check_origin(source: str, monitors: Path | None, static: Path | None, files: Path | None) -> None:
    """Refuse what a source needs and does not get, and what it would pass over in silence."""
    takes = {
        "--monitors": (monitors, source in ("neighbours", "knnidw", "all"), True),
        "--static": (static, source in ("static", "all"), False),
        "--files": (files, source not in OWN, True),
    }
    for option, (given, reads, needs) in takes.items():
        if given is not None and not reads:
            raise click.UsageError(
                f"{option} does not go with --source {source}, which does not read it: leave it out"
            )
        if given is None and reads and needs:
            raise click.UsageError(f"--source {source if source != 'all' else 'neighbours'} needs {option}")


def _ingest_own(
    source: str, monitors: Path | None, static: Path | None, store: Path, grid: "Grid", days: list[dt.date]
) -> "tuple[int, Ingested | None]":
    """Fill what comes from monitors and from static rasters; return layers written, and days."""
    from pm25map.predictors.checks import check_features
    from pm25map.predictors.ingest import ingest_daily, ingest_layers, store_to_fill
    from pm25map.predictors.sources.knnidw import Knnidw
    from pm25map.predictors.sources.neighbours import Neighbours
    from pm25map.predictors.sources.static import static_layers
    from pm25map.predictors.store import open_predictors
    from pm25map.predictors.variables import variables_of

    # Read what is asked for before the store is made: a bad file leaves nothing behind.
    measured = None
    if monitors is not None and source != "static":
        measured = read_and_tell(monitors, days[0], days[-1])
    with store_to_fill(store, grid, days[0], days[-1]):
        layers = 0
        if source in ("static", "all"):
            total = len(variables_of("static"))
            with progress_bar("static layers", total) as progress:
                layers = ingest_layers(store, static_layers(static, grid), total, progress)
        if measured is None:
            return layers, None
        if source == "knnidw":
            daily: DailySource = Knnidw(measured)
        else:
            filled = open_predictors(store)
            check_features(store, filled.variables, ("elevation",))
            daily = Neighbours(measured, filled.layer("elevation"))
        with progress_bar(f"{daily.name}, days", len(days)) as progress:
            return layers, ingest_daily(store, daily, days, progress)


def _ingest_files(
    name: str, files: Path, store: Path, grid: "Grid", days: list[dt.date], *, partial_tiles: bool
) -> "tuple[int, Ingested | None, tuple[str, ...]]":
    """Fill what a source reads from a provider's files: layers written, days, and files of older versions."""
    from pm25map.predictors.catalogue import open_source, sources
    from pm25map.predictors.ingest import ingest_daily, ingest_layers, store_to_fill
    from pm25map.predictors.sources import HasVersions
    from pm25map.predictors.store import open_predictors

    entry = sources()[name]
    source = open_source(name, files, partial=partial_tiles)
    # Look at the files before the store is made: a wrong folder leaves nothing behind.
    made: list[tuple[str, Any]] = []
    if entry.has_days:
        cast("DailySource", source).lacking(grid, days[:1])
    else:
        made = list(cast("LayerSource", source).layers(grid))
    passed_over = source.passed_over if isinstance(source, HasVersions) else ()
    with store_to_fill(store, grid, days[0], days[-1]):
        if entry.has_days and entry.has_layers:
            given = cast("LayerSource", source)
            held = open_predictors(store).layers
            made = list(given.layers(grid)) if set(given.layer_names) - set(held) else []
        layers = ingest_layers(store, iter(made), len(made))
        if not entry.has_days:
            return layers, None, passed_over
        with progress_bar(f"{name}, days", len(days)) as progress:
            return layers, ingest_daily(store, cast("DailySource", source), days, progress), passed_over


@command.command()
@click.option("--store", type=LOCATION, required=True, help="Folder *.zarr, file *.zarr.zip or s3://...")
@click.option("--start", type=DAY, help="First day to verify. Default: of the store.")
@click.option("--end", type=DAY, help="Last day to verify. Default: of the store.")
@click.option(
    "--forget", is_flag=True, help="Mark what is damaged as missing, so that ingest writes it again."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(store: Any, start: dt.date | None, end: dt.date | None, forget: bool, as_json: bool) -> None:
    """Read all values of a store and compare their fingerprints with those of when they were written.

    Damage ends the command with exit code 3.

    \b
    Try: pm25map data verify --store predictors.zarr
    """  # noqa: D301 - click reads \b
    from pm25map.base.days import days_between
    from pm25map.base.errors import BadDate
    from pm25map.predictors.store import open_predictors
    from pm25map.predictors.verify import forget_damage, verify_store

    if forget and not isinstance(store, Path):
        raise click.UsageError("--forget writes into a folder on this machine: an object store is only read")
    held = open_predictors(store)
    begin, finish = held.span
    if start and end:
        days_between(start, end)
    if (start and start > finish) or (end and end < begin):
        raise BadDate(
            f"{store} holds no day from {start or begin} to {end or finish}: it has {begin} to {finish}"
        )
    first, last = max(start or begin, begin), min(end or finish, finish)
    with progress_bar("variables", len(held.variables)) as progress:
        found = verify_store(held, days_between(first, last), progress)
    if forget and found:
        forget_damage(store, found)
    if as_json:
        damage = [{"variable": d.variable, "day": d.day and str(d.day), "why": d.why} for d in found]
        click.echo(json.dumps({"store": str(store), "damage": damage, "forgotten": forget and bool(found)}))
    else:
        for one in found:
            click.echo(f"damaged     {one.variable} {one.day or 'layer'}: {one.why}")
        rest = "marked as missing" if forget and found else "damaged"
        click.echo(f"{store}: {len(held.variables)} variables verified, {len(found)} days or layers {rest}")
    if found:
        click.get_current_context().exit(3)


@command.command()
@click.option("--store", type=LOCATION, required=True, help="Store to copy from: a path or s3://...")
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
    store: Any,
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
    hint = "'--precision'"
    wrong = f"{text!r} is not NAME=STEP with a step above 0, such as neighbours_idw9=0.1"
    try:
        value = float(step)
    except ValueError as error:
        raise click.BadParameter(wrong, param_hint=hint) from error
    if not name or not 0 < value < math.inf:
        raise click.BadParameter(wrong, param_hint=hint)
    return name, value
