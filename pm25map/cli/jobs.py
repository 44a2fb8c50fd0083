"""What `plan`, `backfill` and `verify` share: their options, the job these make, and how a plan is printed."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pm25map.cli.opening import day_source, files_read, open_for_maps, ready_days
from pm25map.cli.options import (
    LOCATION,
    MAP_DAY,
    Decorator,
    band_option,
    bands_asked,
    engine_option,
    intervals_option,
    map_options,
    progress_bar,
    with_options,
    workers_option,
)
from pm25map.cli.words import Count, Number

if TYPE_CHECKING:
    from pm25map.raster.backfill.forecast import Forecast
    from pm25map.raster.backfill.job import Job
    from pm25map.raster.backfill.plan import Plan, Verdict
    from pm25map.raster.backfill.standing import Replaced
    from pm25map.raster.inputs import Inputs


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["cog", "netcdf"]),
    default="cog",
    show_default=True,
    help="A file a day: Cloud-Optimized GeoTIFF, or NetCDF after CF-1.11, concentrations in steps of 0.001 ug/m3.",
)


def part_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that a job and its verification share."""
    return map_options(intervals_option(band_option(format_option(function))))


_JOB_OPTIONS: tuple[Decorator, ...] = (
    click.option("--start", type=MAP_DAY, required=True, help="First day: YYYY-MM-DD, yesterday or -10d."),
    click.option("--end", type=MAP_DAY, required=True, help="Last day, included."),
    click.option(
        "--out",
        type=LOCATION,
        default="maps",
        show_default=True,
        help="Folder of the maps: a path or s3://...",
    ),
    part_options,
    click.option(
        "--overwrite",
        is_flag=True,
        help="Replace finished maps of another model, grid, region, bands or format.",
    ),
    engine_option,
    workers_option,
    click.option("--block-size", type=Count(min=1), help="Side of a block, cells. Default: the grid's."),
    click.option(
        "--run-days",
        type=Count(min=1),
        default=366,
        show_default=True,
        help="Days computed together; fewer need less room in the stage and read predictors more often.",
    ),
    click.option(
        "--calibrate",
        type=Number(min=0),
        default=5.0,
        show_default=True,
        help="Seconds of real work to foretell time and memory from; 0 foretells neither.",
    ),
)


def job_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a job."""
    return with_options(function, _JOB_OPTIONS)


def days_asked(asked: dict[str, Any]) -> list[dt.date]:
    """List the days from --start to --end, and settle the number of workers."""
    from pm25map.base.cores import usable_cores
    from pm25map.base.days import days_between

    asked["workers"] = asked["workers"] or usable_cores()
    return days_between(asked["start"], asked["end"])


def check_maps_folder(asked: dict[str, Any]) -> None:
    """Refuse a folder of maps that cannot be written or is an input, before any work.

    Raises:
        BadOutput: it is so.
    """
    from pm25map.base.errors import BadOutput
    from pm25map.base.files import check_output_folder

    out, predictors = asked["out"], asked["predictors"]
    if isinstance(out, Path):
        named = [
            Path(name) for name in (asked["model_name"], asked["grid_name"]) if name and Path(name).exists()
        ]
        check_output_folder(out, [*files_read(predictors, asked["monitors"]), *named])
    elif f"{out}/".startswith(f"{predictors}/"):
        raise BadOutput(f"cannot write into {out}: it is an input ({predictors}). Choose another name")


def maps_replaced(asked: dict[str, Any], days: list[dt.date]) -> "Replaced | None":
    """Find finished maps in the folder that are of something else than is asked for, before any day is made ready."""
    from pm25map.base.storage import open_folder
    from pm25map.model.card import load_model
    from pm25map.raster.backfill.standing import choice_of, find_replaced
    from pm25map.raster.inputs import open_grid_of
    from pm25map.raster.part import part_of

    model = load_model(asked["model_name"])
    grid = open_grid_of(model, asked["grid_name"])
    part = part_of(grid, asked["bbox"] or None, asked["region_name"])
    bands = bands_asked(asked["bands"], intervals=asked["intervals"])
    return find_replaced(open_folder(asked["out"]), days, choice_of(model, grid, part, bands, asked["form"]))


def refuse_to_replace(asked: dict[str, Any], days: list[dt.date]) -> None:
    """Refuse to replace finished maps of something else where --overwrite was not given, before any work.

    Raises:
        BadOutput: says what they are of, and what was asked for.
    """
    from pm25map.base.errors import BadOutput

    check_maps_folder(asked)
    if not asked["overwrite"] and (replaced := maps_replaced(asked, days)) is not None:
        raise BadOutput(
            f"{asked['out']} holds {replaced.words}. Add --overwrite to replace them, or name another folder with --out"
        )


def make_job(
    asked: dict[str, Any], days: list[dt.date], *, only_plan: bool = False
) -> "tuple[Job, Inputs, frozenset[dt.date]]":
    """Make the days ready, open the inputs and name them so that any worker finds them.

    Args:
        asked: the options of the command.
        days: to make.
        only_plan: compute no fields.

    Returns:
        the job, its inputs, and the days whose fields are still to be computed: none unless only a plan is wanted.
    """
    from pm25map.base.storage import open_folder
    from pm25map.model.calibrate import resolve_engine
    from pm25map.raster.backfill.job import Job, engine_before

    bands = bands_asked(asked["bands"], intervals=asked["intervals"])
    names = asked["model_name"], asked["grid_name"]
    chosen = day_source(
        asked["predictors"],
        asked["monitors"],
        asked["base_url"],
        strict_window=asked["strict_window"],
        foreign_monitors=asked["foreign_monitors"],
    )
    ready = ready_days(*names, chosen, days, only_plan=only_plan)
    inputs = open_for_maps(*names, ready.source, [], bands=bands)
    assert inputs.names is not None  # noqa: S101 - opened by their names
    folder = open_folder(asked["out"])
    engine = asked.get("engine", "onnxruntime")
    if engine == "auto":
        engine = engine_before(folder, inputs) or engine
    with progress_bar(f"checking engine {engine}"):
        engine = resolve_engine(inputs.model, engine, sessions=asked.get("workers") or 1)
    job = Job(
        inputs=inputs.names,
        bands=bands,
        out=str(asked["out"].absolute()) if isinstance(asked["out"], Path) else str(asked["out"]),
        bbox=asked["bbox"] or None,
        region=asked["region_name"],
        device=asked["device"],
        engine=engine,
        block_size=asked["block_size"],
        format=asked["form"],
        checksum=inputs.checksum,
    )
    return job, inputs, frozenset(ready.pending)


def print_plan(
    plan: "Plan", expected: "Forecast | None", pending: int = 0, replaced: "Replaced | None" = None
) -> None:
    """Print what will be done, in words; `pending` days have fields to be computed first."""
    if pending:
        click.echo(
            f"fields       {pending} days to compute from their monitors first, then kept in the cache"
        )
    counts = {state: len(plan.days_of(state)) for state in ("todo", "done", "impossible")}
    click.echo(
        f"days         {counts['todo']} to do, {counts['done']} done, {counts['impossible']} impossible"
    )
    for reason, days in by_reason(plan.days_of("impossible")).items():
        click.echo(f"             {days}: {reason}")
    changed = [v for v in plan.days_of("todo") if v.reason]
    for reason, days in by_reason(changed).items():
        click.echo(f"             {days} again: {reason}")
    if replaced is not None:
        click.echo(f"replace      {replaced.words}: pm25map backfill needs --overwrite")
    if not counts["todo"]:
        return
    lengths = ", ".join(str(len(run.days)) for run in plan.runs[:6]) + (" ..." if len(plan.runs) > 6 else "")
    click.echo(f"runs         {len(plan.runs)} of {lengths} days; {plan.estimates:,} cells to estimate")
    amplification = plan.chunk_reads / plan.chunks if plan.chunks else 0.0
    click.echo(
        f"read         {_bytes(plan.read_bytes)} of daily predictors, each chunk {amplification:.2f} times "
        f"(at most {plan.most_reads})"
    )
    click.echo(
        f"write        {_bytes(plan.map_bytes)} of maps before compression, {_bytes(plan.stage_bytes)} staged"
    )
    if expected is not None:
        click.echo(
            f"forecast     {expected.seconds:,.0f} s at {expected.cells_per_second:,.0f} cells/s, at most "
            f"{_bytes(expected.peak_bytes)} of memory, about {_bytes(expected.file_bytes)} of files"
        )


def by_reason(verdicts: "list[Verdict]") -> dict[str, str]:
    """Join the days of every reason: one day, or the first and the number of the others.

    Reasons that differ in days and numbers alone are one; that of the first day stands for all.
    """
    alike: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        alike.setdefault(re.sub(r"\d+", "0", verdict.reason), []).append(verdict)
    said = {}
    for held in alike.values():
        first, last = held[0], held[-1]
        if len(held) == 1:
            said[first.reason] = str(first.day)
            continue
        same = {verdict.reason.replace(str(verdict.day), "the day") for verdict in held}
        reason = same.pop() if len(same) == 1 else f"such as {first.reason}"
        said[reason] = f"{first.day} and {len(held) - 1} more to {last.day}"
    return said


def print_forecast(told: dict[str, Any]) -> None:
    """Print what happened beside what was foretold."""
    happened, planned, expected = told["happened"], told["planned"], told["forecast"]
    click.echo(f"read         {_bytes(happened['read_bytes'])}, planned {_bytes(planned['read_bytes'])}")
    if expected is not None:
        peak = happened["peak_bytes"]
        memory = f", {_bytes(peak)} of {_bytes(expected['peak_bytes'])} memory" if peak else ""
        click.echo(
            f"took         {happened['seconds']:,.0f} s of {expected['seconds']:,.0f} s foretold{memory}"
        )


def _bytes(number: float) -> str:
    """Write a number of bytes in the unit that reads best."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = 0
    while number >= 1000 and power < len(units) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.0f} {units[power]}" if power == 0 or number >= 100 else f"{number:.1f} {units[power]}"
