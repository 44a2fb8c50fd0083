"""`pm25map plan`: what a backfill would do and cost, without touching anything."""

import json
from typing import Any

import click

from pm25map.cli.jobs import days_asked, job_options, make_job, print_plan


@click.command()
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool, **asked: Any) -> None:
    """Say what `pm25map backfill` with the same options would do: days to do, done and impossible, and the cost.

    Bytes are exact; time and memory come from some seconds of real work on this machine. Nothing is written.

    \b
    Try: pm25map plan --start 2020-09-05 --end 2020-09-20 --out maps
    """  # noqa: D301 - click reads \b
    import dataclasses

    from pm25map.raster.backfill.forecast import forecast
    from pm25map.raster.backfill.job import open_job
    from pm25map.raster.backfill.prepare import prepare

    days = days_asked(asked)
    job, inputs = make_job(asked)
    opened = open_job(job, inputs)
    plan = prepare(opened, days, longest=asked["run_days"]).plan
    expected = forecast(opened, plan, asked["workers"], asked["calibrate"])
    if as_json:
        told = {"planned": plan.to_json(), "forecast": expected and dataclasses.asdict(expected)}
        click.echo(json.dumps(told))
    else:
        print_plan(plan, expected)
