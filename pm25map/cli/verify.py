"""`pm25map verify`: is every map of a folder whole, and what its model makes of its predictors."""

import json
from pathlib import Path
from typing import Any

import click

from pm25map.cli.jobs import make_job, part_options
from pm25map.cli.options import LOCATION, progress_bar
from pm25map.cli.words import Count


@click.command()
@click.argument("out", metavar="DIR", type=LOCATION)
@part_options
@click.option(
    "--cells",
    type=Count(min=0),
    default=64,
    show_default=True,
    help="Cells of each map to compute again and compare, bit by bit; 0 for none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, out: Any, cells: int, as_json: bool, **asked: Any) -> None:
    """Check every map of a folder that `pm25map backfill` filled.

    Each file is compared with the checksum in its STAC item, the item with the model, grid, places and predictors
    as they are now, and some cells are computed again. Give the options that the backfill was given. Exit code
    3 if anything is wrong; nothing is changed.

    \b
    Try: pm25map verify maps
    """  # noqa: D301 - click reads \b
    from pm25map.base.errors import BadMap
    from pm25map.base.storage import open_folder
    from pm25map.raster.backfill.job import open_job
    from pm25map.raster.backfill.verify import days_in, verify_days

    if isinstance(out, Path) and not out.is_dir():
        raise BadMap(f"there is no folder {out}: name one that pm25map backfill filled")
    days = days_in(open_folder(out))
    if not days:
        raise BadMap(f"{out} holds no map of pm25map: name a folder that pm25map backfill filled")
    job, inputs, _ = make_job({**asked, "out": out, "block_size": None}, days)
    opened = open_job(job, inputs)
    with progress_bar("checking maps") as progress:
        problems = list(verify_days(opened, days, cells, progress))
    if as_json:
        told = [{"day": str(problem.day), "problem": problem.text} for problem in problems]
        click.echo(json.dumps({"maps": len(days), "problems": told}))
    else:
        for problem in problems:
            click.echo(f"{problem.day}: {problem.text}")
        click.echo(f"{out}: {len(days) - len(problems)} of {len(days)} maps are as they must be")
    if problems:
        raise SystemExit(3)
