"""`pm25map compare`: what one model gains over another on stations that neither saw."""

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import DAY, progress_bar

if TYPE_CHECKING:
    from pm25map.scores.compare import Comparison, Gain

PATH = click.Path(path_type=Path)


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

    Differences are model less --against, in ug/m3 (R2 without unit), with 95 % intervals from 2,000 draws of
    whole stations. Of several models on a side the errors are averaged, not the estimates.

    \b
    Try: pm25map compare --model conus-smoke --against models/without --monitors aqs --predictors smoke.zarr
           --above wildfire_smoke=0
    """  # noqa: D301 - click reads \b
    from pm25map.base.cores import usable_cores
    from pm25map.model.card import load_model
    from pm25map.model.runtime import open_session
    from pm25map.monitors import read_monitors
    from pm25map.predictors.reader import open_predictors
    from pm25map.scores.compare import compare

    levels = [_level(text) for text in above]
    threads = usable_cores()
    ours, theirs = (
        [open_session(load_model(name), "cpu", threads=threads) for name in side] for side in (first, second)
    )
    training = ours[0].card.training
    start, end = start or training.start, end or training.end
    with progress_bar("neighbours, then targets") as progress:
        rows = compare(
            ours,
            theirs,
            monitors=read_monitors(monitors),
            predictors=open_predictors(predictors),
            start=start,
            end=end,
            above=levels,
            cache=cache,
            progress=progress,
        )
    if as_json:
        facts = {"models": first, "against": second, "start": str(start), "end": str(end)}
        click.echo(json.dumps(facts | {"rows": [dataclasses.asdict(row) for row in rows]}, indent=1))
    else:
        other = ", ".join(second) or "interpolation"
        click.echo(f"{', '.join(first)} against {other}; {start} to {end}; ug/m3")
        click.echo("\n".join(_lines(rows)))


def _level(text: str) -> tuple[str, float]:
    name, _, level = text.partition("=")
    try:
        return name, float(level)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not NAME=LEVEL, such as wildfire_smoke=0") from error


def _lines(rows: "Sequence[Comparison]") -> list[str]:
    """Lay the comparison out as a table: three lines a stratum."""
    lines = [f"{'':<34}{'n':>7} {'score':<5}{'model':>8}{'against':>9}{'difference':>12}  95 % interval"]
    for row in rows:
        for name in ("rmse", "mae", "mbe", "r2"):
            gain: Gain = getattr(row, name)
            head = f"{row.stratum} ({row.stations} stations)" if name == "rmse" else ""
            count = str(row.n) if name == "rmse" else ""
            lines.append(
                f"{head:<34}{count:>7} {name:<5}{gain.first:>8.3f}{gain.second:>9.3f}{gain.difference:>+12.3f}"
                f"  {gain.low:+.3f} to {gain.high:+.3f}"
            )
    return lines
