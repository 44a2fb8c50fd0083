"""`pm25map train`: from monitors and predictors to a trained network."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.opening import check_cache, monitors_and_store
from pm25map.cli.options import FILE, progress_bar
from pm25map.cli.words import Count

if TYPE_CHECKING:
    from pm25map.model.config import TrainConfig
    from pm25map.model.train import Epoch

PATH = FILE


@click.command()
@click.option("--config", "config_path", type=PATH, required=True, help="What to train: YAML.")
@click.option("--monitors", type=PATH, required=True, help="EPA's daily files, or a folder of them.")
@click.option(
    "--predictors", type=PATH, required=True, help="Store with the static layers (pm25map data ingest)."
)
@click.option("--out", type=PATH, required=True, help="Folder of the run; checkpoints make it go on.")
@click.option("--fold", type=Count(min=0), help="Of a model with members: this one alone. Default: all.")
@click.option("--cache", type=PATH, help="Folder for the stations' neighbours, to share. Default: --out.")
@click.option("--seed", type=Count(min=0), help="Of weights, order and draws. Default: of the configuration.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=Count(min=1), help="Of the CPU. Default: the cores.")
def command(
    *,
    config_path: Path,
    monitors: Path,
    predictors: Path,
    out: Path,
    fold: int | None,
    cache: Path | None,
    seed: int | None,
    device: str,
    threads: int | None,
) -> None:
    """Train a network on monitors. Stations held out feed nothing: no target, no neighbour, no scale.

    The run goes on where it stopped when the same command is given again. Errors are in ug/m3. Next comes
    pm25map export. A configuration with `folds` makes a run for each: OUT/fold-0, OUT/fold-1 and on, every one
    stopped by a part of the stations that it does not learn from; export joins them into one model.

    \b
    Try: pm25map train --config models/conus-ensemble.yaml --monitors aqs --predictors static.zarr --out runs/a
    """  # noqa: D301 - click reads \b
    import torch

    from pm25map.base.cores import usable_cores
    from pm25map.base.errors import DeviceUnavailable
    from pm25map.base.files import check_output_folder
    from pm25map.model.config import read_config
    from pm25map.model.fit import FitListeners, fit
    from pm25map.predictors.lock import only_writer

    check_output_folder(out, [config_path, monitors, predictors])
    check_cache(cache, [monitors, predictors])
    config = read_config(config_path)
    if seed is not None:
        config = config.model_copy(update={"seed": seed})
    runs = _runs(config, out, fold)
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("--device cuda: torch finds no CUDA device. Use --device cpu")
    torch.set_num_threads(threads or usable_cores())
    measured, opened = monitors_and_store(monitors, predictors, cache)
    out.mkdir(parents=True, exist_ok=True)
    words = ["pm25map", "train", "--config", config_path.name, "--monitors", monitors.name]
    words += ["--predictors", predictors.name, "--out", out.name]
    words += [] if seed is None else ["--seed", str(seed)]
    for run, one in runs.items():
        run.mkdir(exist_ok=True)
        with only_writer(run, wait_seconds=0.0), progress_bar("neighbours, then steps") as progress:
            listeners = FitListeners(progress, progress, _tell)
            trained = fit(one, measured, opened, run, shlex.join(words), device, cache or out, listeners)
        click.echo(
            f"{run}: {trained.stations} stations, {trained.targets:,} targets, {len(trained.epochs)} epochs"
        )
    what = " ".join(f"--member {run}" for run in runs) if config.folds else f"--run {out}"
    if len(runs) > 1 or not config.folds:
        click.echo(f"Next: pm25map export {what} --out models/{config.name}")


def _runs(config: "TrainConfig", out: Path, fold: int | None) -> "dict[Path, TrainConfig]":
    """List the runs of a configuration by their folders: one, or one a member."""
    from pm25map.base.errors import BadConfig

    if fold is not None and fold >= config.folds:
        raise BadConfig(f"--fold {fold}: the configuration {config.name} has {config.folds} folds, from 0")
    if not config.folds:
        return {out: config}
    folds = range(config.folds) if fold is None else [fold]
    return {out / f"fold-{number}": config.member(number) for number in folds}


def _tell(epoch: "Epoch") -> None:
    """Print on stderr what an epoch reached."""
    click.echo(
        f"epoch {epoch.number}: loss {epoch.loss:.4f}; validation stations: loss {epoch.validation_loss:.4f}, "
        f"RMSE {epoch.validation_rmse:.3f}, MAE {epoch.validation_mae:.3f} ug/m3",
        err=True,
    )
