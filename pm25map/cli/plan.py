"""`pm25map plan`: what a backfill would do and cost, without touching anything."""

import json
from typing import Any

import click

from pm25map.cli.jobs import check_maps_folder, days_asked, job_options, make_job, maps_replaced, print_plan


@click.command()
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool, **asked: Any) -> None:
    """Show what `pm25map backfill` with the same options would do: days to do, done and impossible, and the cost.

    Bytes are exact; time and memory come from some seconds of real work on this machine. No map is written. Monitors
    are read, and fetched into the cache where none are named; their fields are left for the backfill to compute.

    \b
    Try: pm25map plan --start 2020-09-05 --end 2020-09-20 --out maps
    """  # noqa: D301 - click reads \b
    import dataclasses

    from pm25map.raster.backfill.forecast import forecast
    from pm25map.raster.backfill.job import open_job
    from pm25map.raster.backfill.prepare import prepare

    days = days_asked(asked)
    check_maps_folder(asked)
    replaced = None if asked["overwrite"] else maps_replaced(asked, days)
    job, inputs, pending = make_job(asked, days, only_plan=True)
    opened = open_job(job, inputs)
    plan = prepare(opened, days, longest=asked["run_days"], pending=pending).plan
    # What is not computed yet cannot be tried out.
    expected = None if pending else forecast(opened, plan, asked["workers"], asked["calibrate"])
    if as_json:
        answer = {
            "planned": plan.to_json(),
            "needs_overwrite": [] if replaced is None else [str(day) for day in replaced.days],
            "fields_to_compute": [str(day) for day in sorted(pending)],
            "forecast": expected and dataclasses.asdict(expected),
        }
        click.echo(json.dumps(answer))
    else:
        print_plan(plan, expected, len(pending), replaced)
