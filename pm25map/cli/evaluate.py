"""`pm25map evaluate`: scores at held-out stations."""

import datetime as dt
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.opening import monitors_and_store, read_and_tell
from pm25map.cli.options import DAY, FILE, model_option, progress_bar
from pm25map.cli.score_lines import score_lines
from pm25map.cli.words import Count

if TYPE_CHECKING:
    from pm25map.scores.short import ShortScore

PATH = FILE


@click.command()
@model_option()
@click.option(
    "--holdout",
    type=click.Choice(["stations"]),
    default="stations",
    show_default=True,
    help="Judge the stations that training held out.",
)
@click.option("--targets", type=PATH, help="Judge the stations of these files instead.")
@click.option(
    "--monitors",
    type=PATH,
    required=True,
    help="EPA's daily files, or a folder of them: those of the training, unless --targets names others to judge.",
)
@click.option(
    "--predictors", type=PATH, required=True, help="Store with the static layers (pm25map data ingest)."
)
@click.option("--start", type=DAY, default="2019-01-01", show_default=True, help="First day.")
@click.option("--end", type=DAY, default="2020-12-31", show_default=True, help="Last day.")
@click.option(
    "--cache", type=PATH, help="Folder for the stations' neighbours; a training run's folder will do."
)
@click.option(
    "--days-present",
    type=Count(min=1),
    multiple=True,
    help="Score with only so many last days of each window present; more than once for several.",
)
@click.option("--write-card", is_flag=True, help="Write the scores into the model's card.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    model_name: str,
    holdout: str,
    targets: Path | None,
    monitors: Path,
    predictors: Path,
    start: dt.date,
    end: dt.date,
    cache: Path | None,
    days_present: tuple[int, ...],
    write_card: bool,
    as_json: bool,
) -> None:
    """Score a model at held-out stations, beside interpolation and kriging from the same stations.

    RMSE, MAE and bias (ug/m3) with 95 % intervals over stations: in all, by distance to the nearest monitor that
    feeds the estimate, level, season and region. Interpolation is inverse distance, 9 nearest stations with a value
    that day, power 2. No value of a judged station, nor of one within 100 m, feeds its estimate.

    With --days-present, the days of a window before its last few count as missing, as they are where fewer days of
    monitors are at hand than a window has: RMSE and MAE with the 95 % interval over stations of their ratios to
    interpolation, to kriging and to the same model with its whole window.

    \b
    Try: pm25map evaluate --holdout stations --monitors aqs --predictors static.zarr
    """  # noqa: D301 - click reads \b
    if days_present and (targets is not None or write_card):
        raise click.UsageError("--days-present goes with neither --targets nor --write-card")
    from pm25map.base.cores import usable_cores
    from pm25map.base.files import replacing
    from pm25map.model.card import CARD_FILE, Scores, load_model
    from pm25map.model.card import write_card as save_card
    from pm25map.model.runtime import open_session
    from pm25map.scores.evaluate import judge
    from pm25map.scores.short import judge_short

    model = load_model(model_name)
    session = open_session(model, "cpu", threads=usable_cores())
    measured, opened = monitors_and_store(monitors, predictors, cache)
    if days_present:
        with progress_bar("neighbours, then targets") as progress:
            short = judge_short(
                session,
                measured,
                opened,
                start,
                end,
                days_present,
                cache,
                progress,
            )
        rows_of = [asdict(score) for score in short]
        click.echo(json.dumps(rows_of, indent=1) if as_json else "\n".join(_short_lines(short)))
        return
    others = read_and_tell(targets, start, end) if targets else None
    with progress_bar("neighbours, then targets") as progress:
        found = judge(session, measured, opened, start, end, others, cache, progress)
    words = ["pm25map", "evaluate", "--model", model.card.name]
    words += ["--targets", targets.name] if targets else ["--holdout", holdout]
    words += ["--monitors", monitors.name, "--predictors", predictors.name]
    words += ["--start", str(start), "--end", str(end)]
    card_scores = Scores(
        start=start, end=end, stations=found.stations, command=shlex.join(words), rows=found.rows
    )
    if write_card:
        with replacing(model.network.parent / CARD_FILE) as part:
            save_card(model.card.model_copy(update={"scores": card_scores}), part)
    if as_json:
        strata = [asdict(row) for row in found.strata]
        click.echo(json.dumps(card_scores.model_dump(mode="json") | {"strata": strata}, indent=1))
        return
    which = "to be judged" if targets else "held out"
    click.echo(
        f"model {model.card.name}, {found.stations} stations {which}, {start} to {end}; below, monitors within 100 m "
        "count as one station"
    )
    click.echo("\n".join(score_lines(found.strata)))


def _short_lines(found: "Sequence[ShortScore]") -> list[str]:
    """Lay scores with few days out as two tables, RMSE and MAE."""
    lines = [
        f"{found[0].n:,} station-days of {found[0].stations} stations; ug/m3; ratios with 95 % intervals"
    ]
    for title in ("RMSE", "MAE"):
        ratios = {s.days_present: s.rmse_ratios if title == "RMSE" else s.mae_ratios for s in found}
        names = ratios[found[0].days_present]
        lines.append(f"{'days present':<14}{title:>6}" + "".join(f"{'of ' + name:>24}" for name in names))
        for score in found:
            error = score.rmse if title == "RMSE" else score.mae
            cells = (
                f"{r.value:.3f} ({r.low:.3f} to {r.high:.3f})" for r in ratios[score.days_present].values()
            )
            lines.append(f"{score.days_present:<14}{error:>6.2f}" + "".join(f"{cell:>24}" for cell in cells))
    return lines
