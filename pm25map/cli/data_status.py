"""`pm25map data status`: which days and monitors are ready in the cache, or which days a store holds."""

import datetime as dt
import json
from typing import Any

import click

from pm25map.cli.options import DAY, LOCATION


@click.command()
@click.option(
    "--store",
    type=LOCATION,
    help="Folder *.zarr, s3://... or file *.zarr.zip. Default: the cache, which maps fill by themselves.",
)
@click.option("--start", type=DAY, help="First day to look at. Default: all.")
@click.option("--end", type=DAY, help="Last day to look at. Default: all.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    help="With --store: source that must be complete; repeat. Default: those that the store holds anything of.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(
    store: Any, start: dt.date | None, end: dt.date | None, sources: tuple[str, ...], as_json: bool
) -> None:
    """Print which days are ready, and which monitors are here.

    Without --store: the days of each grid that the cache holds, of which network, final or preliminary where that is
    known, and the files of EPA's monitors that were fetched. With --store: the variables and days of a store, and which
    days and layers are missing (exit code 3); the calendar has a line a month and source: # the day is whole, . it is
    missing.

    \b
    Try: pm25map data status
         pm25map data status --store predictors.zarr --start 2020-08-16 --end 2020-09-20
    """  # noqa: D301 - click reads \b
    if store is None:
        _of_the_cache(start, end, sources, as_json=as_json)
        return
    from pm25map.predictors.status import is_complete, status_lines, status_of
    from pm25map.predictors.store import open_predictors

    state = status_of(open_predictors(store), start, end, sources)
    click.echo(json.dumps(state, indent=2) if as_json else "\n".join(status_lines(state)))
    if not is_complete(state):
        click.get_current_context().exit(3)


def _of_the_cache(
    start: dt.date | None, end: dt.date | None, sources: tuple[str, ...], *, as_json: bool
) -> None:
    from pm25map.base.days import days_between
    from pm25map.predictors.cache_status import cache_lines, status_of_cache

    if sources:
        raise click.UsageError("--source goes with --store: the cache holds days of monitors alone")
    if start and end:
        days_between(start, end)
    held = status_of_cache(start or dt.date.min, end or dt.date.max)
    click.echo(json.dumps(held, indent=2) if as_json else "\n".join(cache_lines(held)))
