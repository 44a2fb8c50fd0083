"""`pm25map lab study`: the matrix of a study."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.opening import monitors_and_store
from pm25map.cli.options import FILE, progress_bar
from pm25map.cli.words import Count

if TYPE_CHECKING:
    from pm25map.laboratory.study.matrix import Step

PATH = FILE


@click.command()
@click.option("--config", "config_path", type=PATH, required=True, help="The protocol of the study, YAML.")
@click.option("--monitors", type=PATH, required=True, help="EPA's daily files, or a folder of them.")
@click.option(
    "--predictors", type=PATH, required=True, help="Store with the static layers (pm25map data ingest)."
)
@click.option(
    "--out",
    type=PATH,
    default="study",
    show_default=True,
    help="Folder of the results; runs there stay.",
)
@click.option(
    "--cache", type=PATH, help="Folder for the stations' neighbours; a training run's folder will do."
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where networks train; auto takes a GPU where there is one.",
)
@click.option("--workers", type=Count(min=1), help="Runs at once. Default: the cores; 1 on a GPU.")
def command(
    *,
    config_path: Path,
    monitors: Path,
    predictors: Path,
    out: Path,
    cache: Path | None,
    device: str,
    workers: int | None,
) -> None:
    """Train and score every variant of a study on every fold of its splits; errors are in ug/m3.

    What is done stays done, so the same command goes on after a stop. Then: pm25map lab report.

    \b
    Try: pm25map lab study --config docs/study.yaml --monitors aqs --predictors static.zarr --out study
    """  # noqa: D301 - click reads \b
    import torch

    from pm25map.base.cores import usable_cores
    from pm25map.base.errors import DeviceUnavailable
    from pm25map.base.files import check_output_folder
    from pm25map.laboratory.study.config import read_study
    from pm25map.laboratory.study.matrix import MatrixListeners, run_matrix

    check_output_folder(out, [config_path, monitors, predictors])
    config = read_study(config_path)
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise DeviceUnavailable("--device cuda: torch finds no CUDA device. Use --device cpu")
    where = "cuda" if has_gpu and device != "cpu" else "cpu"
    at_once = workers or (1 if where == "cuda" else usable_cores())
    measured, opened = monitors_and_store(monitors, predictors, cache)
    with progress_bar("neighbours of every fold") as progress:
        finished = run_matrix(
            config,
            measured,
            opened,
            out,
            fields=cache,
            device=where,
            workers=at_once,
            listeners=MatrixListeners(progress, _tell, lambda line: click.echo(line, err=True)),
        )
    click.echo(f"{out}: {finished} runs made")
    click.echo(f"Next: pm25map lab report --out {out}")


def _tell(step: "Step") -> None:
    """Print on stderr the scores of a run and how long the others will take."""
    row = step.row
    said = f"not run: {row['reason']}" if row["status"] != "done" else f"RMSE {row['rmse']:.2f} ug/m3"
    if row["status"] == "done":
        said += f", R2 {row['r2']:.3f}, {row['seconds']:.0f} s"
    left = f"{step.seconds_left / 60:.0f} min left"
    click.echo(f"{step.done}/{step.total} {step.run.id}: {said}; {left}", err=True)
