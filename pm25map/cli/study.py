"""The matrix of a study and its report: what `pm25map evaluate --config` and `evaluate report` do."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import progress_bar

if TYPE_CHECKING:
    from pm25map.study.matrix import Step

PATH = click.Path(path_type=Path)


def run_study(
    config_path: Path,
    monitors: Path,
    predictors: Path,
    out: Path,
    cache: Path | None,
    device: str,
    workers: int | None,
) -> None:
    """Make the runs of a protocol that are not made yet; a line on stderr for each, with the time left."""
    import torch

    from pm25map.base.cores import usable_cores
    from pm25map.base.errors import DeviceUnavailable
    from pm25map.monitors import read_monitors
    from pm25map.predictors.reader import open_predictors
    from pm25map.study.config import read_study
    from pm25map.study.matrix import Listeners, run_matrix

    config = read_study(config_path)
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise DeviceUnavailable("--device cuda: torch finds no CUDA device. Use --device cpu")
    where = "cuda" if has_gpu and device != "cpu" else "cpu"
    at_once = workers or (1 if where == "cuda" else usable_cores())
    measured, opened = read_monitors(monitors), open_predictors(predictors)
    with progress_bar("neighbours of every fold") as progress:
        made = run_matrix(
            config,
            measured,
            opened,
            out,
            fields=cache,
            device=where,
            workers=at_once,
            listeners=Listeners(progress, _tell, lambda line: click.echo(line, err=True)),
        )
    click.echo(f"{out}: {made} runs made")
    click.echo(f"Next: pm25map evaluate report --out {out}")


def _tell(step: "Step") -> None:
    """Say on stderr what a run gave and how long the others will take."""
    row = step.row
    said = f"not run: {row['reason']}" if row["status"] != "done" else f"RMSE {row['rmse']:.2f} ug/m3"
    if row["status"] == "done":
        said += f", R2 {row['r2']:.3f}, {row['seconds']:.0f} s"
    left = f"{step.seconds_left / 60:.0f} min left"
    click.echo(f"{step.done}/{step.total} {step.run.id}: {said}; {left}", err=True)


@click.command()
@click.option(
    "--out",
    type=PATH,
    default="study",
    show_default=True,
    help="Folder of the results (pm25map evaluate --config).",
)
@click.option("--page", type=PATH, default="docs/study.md", show_default=True, help="Page to write.")
def report(*, out: Path, page: Path) -> None:
    """Write the report of a study: tables and figures of the runs in a folder, whether all are made or not.

    Errors are in ug/m3. Where PAGE.in lies beside the page it gives the words, such as docs/study.md.in of the
    published study; any other page speaks of its own runs alone.

    \b
    Try: pm25map evaluate report --out study --page report.md
    """  # noqa: D301 - click reads \b
    from pm25map.study.report import write_report
    from pm25map.study.results import join_rows

    join_rows(out)
    for path in write_report(out, page):
        click.echo(path)
