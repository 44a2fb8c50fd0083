"""`pm25map calibrate`: what a model needs to say where it can be trusted."""

import datetime as dt
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.opening import monitors_and_store
from pm25map.cli.options import DAY, FILE, model_option, progress_bar
from pm25map.cli.words import Count

if TYPE_CHECKING:
    from pm25map.model.intervals import IntervalCard

PATH = FILE


@click.command()
@model_option()
@click.option("--monitors", type=PATH, required=True, help="EPA's daily files, or a folder of them.")
@click.option(
    "--predictors", type=PATH, required=True, help="Store with the static layers (pm25map data ingest)."
)
@click.option("--start", type=DAY, help="First day of the targets. Default: of the model's training.")
@click.option("--end", type=DAY, help="Last day of the targets. Default: of the model's training.")
@click.option(
    "--cache", type=PATH, help="Folder for the stations' neighbours; a training run's folder will do."
)
@click.option(
    "--only", type=click.Choice(["applicability", "intervals"]), help="Make one of the two. Default: both."
)
@click.option("--seed", type=Count(), default=1, show_default=True, help="Of draws and halves.")
@click.option("--threads", type=Count(min=1), help="Of the CPU. Default: the cores.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    model_name: str,
    monitors: Path,
    predictors: Path,
    start: dt.date | None,
    end: dt.date | None,
    cache: Path | None,
    only: str | None,
    seed: int,
    threads: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write intervals.json and applicability.* into a model's folder, from stations.

    Intervals of 90 % (ug/m3) are calibrated on the whole stations that training held out; their coverage is
    counted on the half of them that calibration did not use, and crosswise. Applicability is the dissimilarity
    index of Meyer and Pebesma (2021) to the training stations.

    \b
    Try: pm25map calibrate --monitors aqs --predictors static.zarr --cache runs/a
    """  # noqa: D301 - click reads \b
    from pm25map.base.cores import usable_cores
    from pm25map.base.files import check_outputs
    from pm25map.diagnostics import applicability
    from pm25map.model import intervals
    from pm25map.model.card import load_model
    from pm25map.model.runtime import open_session
    from pm25map.scores.calibrate import FOLDS, calibrate_applicability, calibrate_intervals
    from pm25map.scores.calibration_data import gather_calibration_data

    model = load_model(model_name)
    folder = model.network.parent
    wanted = {
        "applicability": (applicability.CARD_FILE, applicability.DATA_FILE),
        "intervals": (intervals.CARD_FILE,),
    }
    written = [folder / file for name in ([only] if only else wanted) for file in wanted[name]]
    check_outputs(written, [monitors, predictors], overwrite=overwrite)
    intervals.check_fields(model)
    words = ["pm25map", "calibrate", "--model", model.card.name, "--monitors", monitors.name]
    words += ["--predictors", predictors.name]
    words += ["--start", str(start)] if start else []
    words += ["--end", str(end)] if end else []
    words += ["--seed", str(seed)] if seed != 1 else []
    session = open_session(model, "cpu", threads=threads or usable_cores())
    measured, opened = monitors_and_store(monitors, predictors, cache)
    card = None
    with progress_bar("neighbours, then targets") as progress:
        data = gather_calibration_data(session, measured, opened, start, end, cache, seed, progress)
        if only != "intervals":
            made = calibrate_applicability(data)
            stations = int((~data.held_out).sum())
            checksum = model.card.network_checksum
            found = applicability.save_applicability(
                folder, made, checksum, stations, FOLDS, shlex.join(words)
            )
        if only != "applicability":
            done = calibrate_intervals(data, progress)
            card = intervals.IntervalCard(
                network_checksum=model.card.network_checksum,
                widths=done.bounds.widths,
                probabilities=tuple(float(p) for p in done.bounds.probabilities),
                quantiles=tuple(float(q) for q in done.bounds.quantiles),
                tail=done.bounds.tail,
                start=data.start,
                end=data.end,
                stations=done.stations,
                targets=done.targets,
                coverage=done.coverage,
                coverage_training=done.coverage_training,
                reliability=done.reliability,
                command=shlex.join(words),
            )
            intervals.save_intervals(folder, card)
    if as_json:
        said = {"model": str(folder)} | (
            {"coverage": card.model_dump(mode="json")["coverage"]} if card else {}
        )
        said |= {"threshold": found.threshold, "points": found.points} if only != "intervals" else {}
        click.echo(json.dumps(said, indent=1))
        return
    if only != "intervals":
        click.echo(
            f"{folder / applicability.CARD_FILE}: {found.points:,} points of {found.stations} stations, threshold "
            f"{found.threshold:.3f}, {found.outside_percent:.1f} % of the points lie outside"
        )
    if card is not None:
        click.echo("\n".join(_lines(folder / intervals.CARD_FILE, card)))


def _lines(path: Path, card: "IntervalCard") -> list[str]:
    """Lay the coverage out as a table."""
    lines = [
        f"{path}: {card.targets:,} targets of {card.stations} stations held out, {card.start} to {card.end}"
    ]
    lines.append(f"{'90 % intervals, crosswise':<66}{'n':>8}{'stations':>10}{'inside %':>10}{'width':>8}")
    lines += [
        f"{row.stratum:<66}{row.n:>8}{row.stations:>10}{row.coverage_percent:>10.1f}{row.width_ugm3:>8.1f}"
        for row in card.coverage
    ]
    return lines
