"""What `plan`, `backfill` and `verify` share: their options, the job these make, and how a plan is printed."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pm25map.cli.options import (
    DAY,
    LOCATION,
    Decorator,
    band_option,
    bands_asked,
    engine_option,
    intervals_option,
    map_options,
    open_for_maps,
    progress_bar,
    with_options,
    workers_option,
)

if TYPE_CHECKING:
    from pm25map.raster.backfill.forecast import Forecast
    from pm25map.raster.backfill.job import Job
    from pm25map.raster.backfill.plan import Plan
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
    """Give a command what a job and its verification both ask for."""
    return map_options(intervals_option(band_option(format_option(function))))


_JOB_OPTIONS: tuple[Decorator, ...] = (
    click.option("--start", type=DAY, required=True, help="First day."),
    click.option("--end", type=DAY, required=True, help="Last day, included."),
    click.option("--out", type=LOCATION, required=True, help="Folder of the maps: a path or s3://..."),
    part_options,
    engine_option,
    workers_option,
    click.option(
        "--block-size", type=click.IntRange(min=1), help="Side of a block, cells. Default: the grid's."
    ),
    click.option(
        "--run-days",
        type=click.IntRange(min=1),
        default=366,
        show_default=True,
        help="Days computed together; fewer need less room in the stage and read predictors more often.",
    ),
    click.option(
        "--calibrate",
        type=click.FloatRange(min=0),
        default=5.0,
        show_default=True,
        help="Seconds of real work to foretell time and memory from; 0 foretells neither.",
    ),
)


def job_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a job."""
    return with_options(function, _JOB_OPTIONS)


def days_asked(asked: dict[str, Any]) -> list[dt.date]:
    """List the days from --start to --end, and settle the number of workers."""
    from pm25map.base.cores import usable_cores
    from pm25map.base.days import days_between

    asked["workers"] = asked["workers"] or usable_cores()
    return days_between(asked["start"], asked["end"])


def make_job(asked: dict[str, Any]) -> "tuple[Job, Inputs]":
    """Open the inputs and name them so that any worker finds them."""
    from pm25map.base.storage import open_folder
    from pm25map.model.calibrate import resolve_engine
    from pm25map.raster.backfill.job import Job, engine_before

    bands = bands_asked(asked["bands"], intervals=asked["intervals"])
    inputs = open_for_maps(asked["model_name"], asked["grid_name"], asked["predictors"], [], bands=bands)
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
    return job, inputs


def print_plan(plan: "Plan", expected: "Forecast | None") -> None:
    """Print what will be done, in words."""
    counts = {state: len(plan.days_of(state)) for state in ("todo", "done", "impossible")}
    click.echo(
        f"days         {counts['todo']} to do, {counts['done']} done, {counts['impossible']} impossible"
    )
    for verdict in plan.days_of("impossible")[:3]:
        click.echo(f"             {verdict.day}: {verdict.reason}")
    changed = [v for v in plan.days_of("todo") if v.reason]
    for verdict in changed[:3]:
        click.echo(f"             {verdict.day} again: {verdict.reason}")
    if len(changed) > 3:
        click.echo(f"             and {len(changed) - 3} more again")
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
    """Say a number of bytes in the unit that reads best."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = 0
    while number >= 1000 and power < len(units) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.0f} {units[power]}" if power == 0 or number >= 100 else f"{number:.1f} {units[power]}"
