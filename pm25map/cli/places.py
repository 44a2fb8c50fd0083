"""`pm25map places`: train, convert, compare and look at location encoders."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import progress_bar

if TYPE_CHECKING:
    from pm25map.places.pretrain.run import Validation

PATH = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Location encoders: what turns a place into numbers.

    \b
    Try: pm25map places probe --rasters global --encoder places-open
    """  # noqa: D301 - click reads \b


@command.command()
@click.option("--config", "config_path", type=PATH, required=True, help="What to train: YAML.")
@click.option("--data", type=PATH, required=True, help="Folder of the rasters, or of the patches.")
@click.option("--out", type=PATH, required=True, help="Folder of the run; its checkpoint makes it go on.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Of the CPU. Default: the cores.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    help="Stop at the first checkpoint after so long. Default: never.",
)
def pretrain(
    *, config_path: Path, data: Path, out: Path, device: str, threads: int | None, minutes: float | None
) -> None:
    """Train a location encoder on pairs of a place and the patch around it.

    Places are drawn evenly over land; patches are cut from world rasters, or read from GeoTIFF files with an
    index (lat, lon, fn). Blocks of the Earth are held out whole; top 1 is the share of 1,000 held-out patches
    whose own place is the most similar of the 1,000. The run goes on where it stopped when the same command
    is given again. Next comes pm25map places export.

    \b
    Try: pm25map places pretrain --config models/places-open.yaml --data global --out runs/places
    """  # noqa: D301 - click reads \b
    import os
    import time

    import torch

    from pm25map.base.errors import DeviceUnavailable
    from pm25map.places.pretrain.config import read_config
    from pm25map.places.pretrain.pairs import open_pairs
    from pm25map.places.pretrain.run import Run

    config = read_config(config_path)
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("--device cuda: torch finds no CUDA device. Use --device cpu")
    torch.set_num_threads(threads or os.cpu_count() or 1)
    source = open_pairs(config, data)
    out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * (float("inf") if minutes is None else minutes)
    run = Run(config, source, out, device)
    with progress_bar("steps") as progress:
        done = run.advance(lambda: time.monotonic() > end, progress, _tell)
    click.echo(f"{out}: {run.step} of {config.steps} steps in {run.seconds / 60:.0f} minutes")
    if done:
        click.echo(f"Next: pm25map places export --run {out} --out models/{config.name}")
    else:
        click.echo("Give the same command again to go on")


def _tell(found: "Validation") -> None:
    """Say on stderr what a run reached."""
    click.echo(
        f"step {found.step}: loss {found.loss:.4f}, temperature {found.temperature:.4f}; of {found.pairs} "
        f"held-out pairs: top 1 {found.top1:.3f} ({found.times_chance:.0f} times chance), "
        f"top 10 {found.top10:.3f}",
        err=True,
    )
