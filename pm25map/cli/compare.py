"""`pm25map compare`: the gain of one model over another at stations that both held out."""

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.opening import check_cache, monitors_and_store
from pm25map.cli.options import DAY, FILE, progress_bar
from pm25map.cli.score_lines import score_lines

if TYPE_CHECKING:
    from pm25map.scores.compare import Comparison
    from pm25map.scores.table import Errors

PATH = FILE


@click.command()
@click.option(
    "--model", "first", multiple=True, required=True, help="Model: name or folder; repeat for further seeds."
)
@click.option(
    "--against",
    "second",
    multiple=True,
    help="Model to compare with; repeat likewise. Default: interpolation, inverse distance, 9 nearest stations.",
)
@click.option("--monitors", type=PATH, required=True, help="EPA's daily files, or a folder of them.")
@click.option("--predictors", type=PATH, required=True, help="Store with all features of both models.")
@click.option("--start", type=DAY, help="First day. Default: of the first model's training.")
@click.option("--end", type=DAY, help="Last day. Default: of the first model's training.")
@click.option(
    "--above",
    multiple=True,
    metavar="NAME=LEVEL",
    help="Part the station days by a variable of the store, in its units; repeat.",
)
@click.option(
    "--cache", type=PATH, help="Folder for the stations' neighbours; a training run's folder will do."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    first: tuple[str, ...],
    second: tuple[str, ...],
    monitors: Path,
    predictors: Path,
    start: dt.date | None,
    end: dt.date | None,
    above: tuple[str, ...],
    cache: Path | None,
    as_json: bool,
) -> None:
    """Compare two models, or one with interpolation, on stations that training held out: same days and neighbours.

    Scores of both, of interpolation and of kriging in ug/m3 (R2 without unit), and what the model has less than
    --against, with 95 % intervals from 2,000 draws of whole stations: in all, by distance to the nearest monitor that
    feeds the estimate, level, season and region. Of several models on a side the errors are averaged, not the
    estimates.

    \b
    Try: pm25map compare --model conus-smoke --against models/without --monitors aqs --predictors smoke.zarr
           --above wildfire_smoke=0
    """  # noqa: D301 - click reads \b
    from pm25map.base.cores import usable_cores
    from pm25map.model.card import load_model
    from pm25map.model.runtime import open_session
    from pm25map.scores.compare import AGAINST, INTERPOLATION, compare

    levels = [_level(text) for text in above]
    check_cache(cache, [monitors, predictors])
    threads = usable_cores()
    ours, theirs = (
        [open_session(load_model(name), "cpu", threads=threads) for name in side] for side in (first, second)
    )
    training = ours[0].card.training
    start, end = start or training.start, end or training.end
    measured, opened = monitors_and_store(monitors, predictors, cache)
    with progress_bar("neighbours, then targets") as progress:
        found = compare(
            ours,
            theirs,
            monitors=measured,
            predictors=opened,
            days=(start, end),
            above=levels,
            cache=cache,
            progress=progress,
        )
    if as_json:
        facts = {"models": first, "against": second, "start": str(start), "end": str(end)}
        click.echo(json.dumps(facts | dataclasses.asdict(found), indent=1))
    else:
        other = ", ".join(second) or "interpolation"
        click.echo(f"{', '.join(first)} against {other}; {start} to {end}; ug/m3")
        name = f"model less {AGAINST if second else INTERPOLATION}"
        click.echo(
            "\n".join(score_lines(found.strata, differences=(name, [_errors(row) for row in found.rows])))
        )


def _level(text: str) -> tuple[str, float]:
    name, _, level = text.partition("=")
    try:
        return name, float(level)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not NAME=LEVEL, such as wildfire_smoke=0") from error


def _errors(row: "Comparison") -> "Errors":
    """Take the differences out of a comparison."""
    from pm25map.scores.table import Errors, Interval

    rmse, mae, mbe = (Interval(gain.difference, gain.low, gain.high) for gain in (row.rmse, row.mae, row.mbe))
    r2 = None if row.r2 is None else Interval(row.r2.difference, row.r2.low, row.r2.high)
    return Errors(rmse, mae, mbe, r2)
