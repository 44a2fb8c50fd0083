"""`pm25map lab places`: train, convert, compare and look at location encoders."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import FILE, progress_bar
from pm25map.cli.words import Count, Number
from pm25map.laboratory.cli.locating import locate, patch
from pm25map.laboratory.cli.place_card import card

if TYPE_CHECKING:
    from pm25map.laboratory.pretrain.run import Validation
    from pm25map.laboratory.probes.score import Head
    from pm25map.places.card import EncoderCard

PATH = FILE


@click.group()
def command() -> None:
    """Location encoders: what turns a place into numbers.

    \b
    Try: pm25map lab places probe --rasters global --encoder places-open
    """  # noqa: D301 - click reads \b


@command.command()
@click.option("--config", "config_path", type=PATH, required=True, help="What to train: YAML.")
@click.option("--data", type=PATH, required=True, help="Folder of the rasters, or of the patches.")
@click.option("--out", type=PATH, required=True, help="Folder of the run; its checkpoint makes it go on.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=Count(min=1), help="Of the CPU. Default: the cores.")
@click.option(
    "--minutes",
    type=Number(min=0),
    help="Stop at the first checkpoint after so long. Default: never.",
)
def pretrain(
    *, config_path: Path, data: Path, out: Path, device: str, threads: int | None, minutes: float | None
) -> None:
    """Train a location encoder on pairs of a place and the patch around it.

    Places are drawn evenly over land; patches are cut from world rasters, or read from GeoTIFF files with an
    index (lat, lon, fn). Blocks of the Earth are held out whole; top 1 is the share of 1,000 held-out patches
    whose own place is the most similar of the 1,000. The run goes on where it stopped when the same command
    is given again. Next comes pm25map lab places export.

    \b
    Try: pm25map lab places pretrain --config models/places-open.yaml --data global --out runs/places
    """  # noqa: D301 - click reads \b
    import time

    import torch

    from pm25map.base.cores import usable_cores
    from pm25map.base.errors import DeviceUnavailable
    from pm25map.base.files import check_output_folder, make_folder
    from pm25map.laboratory.pretrain.config import read_config
    from pm25map.laboratory.pretrain.pairs import open_pairs
    from pm25map.laboratory.pretrain.run import PretrainRun

    check_output_folder(out, [config_path, data])
    config = read_config(config_path)
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("--device cuda: torch finds no CUDA device. Use --device cpu")
    torch.set_num_threads(threads or usable_cores())
    source = open_pairs(config, data)
    make_folder(out)
    end = time.monotonic() + 60 * (float("inf") if minutes is None else minutes)
    run = PretrainRun(config, source, out, device)
    with progress_bar("steps") as progress:
        done = run.advance(lambda: time.monotonic() > end, progress, _tell)
    click.echo(f"{out}: {run.step} of {config.steps} steps in {run.seconds / 60:.0f} minutes")
    if done:
        click.echo(f"Next: pm25map lab places export --run {out} --out models/{config.name}")
    else:
        click.echo("Give the same command again to go on")


def _tell(scores: "Validation") -> None:
    """Print the scores of a run on stderr."""
    click.echo(
        f"step {scores.step}: loss {scores.loss:.4f}, temperature {scores.temperature:.4f}; of {scores.pairs} "
        f"held-out pairs: top 1 {scores.top1:.3f} ({scores.times_chance:.0f} times chance), "
        f"top 10 {scores.top10:.3f}",
        err=True,
    )


@command.command()
@click.option("--run", type=PATH, required=True, help="Folder of a run of pm25map lab places pretrain.")
@click.option("--out", type=PATH, required=True, help="Folder of the encoder.")
@click.option(
    "--data",
    type=PATH,
    help="Folder that the run learned from; only for runs that do not say how far their channels spread.",
)
@click.option(
    "--grid", "grid_name", default="conus-10km", show_default=True, help="Of the wavelength profile."
)
def export(*, run: Path, out: Path, data: Path | None, grid_name: str) -> None:
    """Write the location encoder of a run, and its tower for patches: ONNX networks, weights (safetensors), card.

    \b
    Try: pm25map lab places export --run runs/places --out models/places-mine
    """  # noqa: D301 - click reads \b
    from pm25map.base.files import check_output_folder
    from pm25map.grid import load_grid
    from pm25map.laboratory.encoders.write import write_encoder
    from pm25map.laboratory.pretrain.export import finished

    check_output_folder(out, [run] if data is None else [run, data], replaced=True)
    siren, about, patch = finished(run, data)
    _say_card(out, write_encoder(siren, about, out, load_grid(grid_name), patch))


@command.command()
@click.argument("checkpoint", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder of the encoder.")
@click.option(
    "--grid", "grid_name", default="conus-10km", show_default=True, help="Of the wavelength profile."
)
def convert(*, checkpoint: Path, out: Path, grid_name: str) -> None:
    """Convert a published CHECKPOINT of SatCLIP (L10 or L40) once: safetensors, ONNX network and card.

    Nothing in the file is executed. Double precision is kept.

    \b
    Try: pm25map lab places convert satclip-vit16-l40.ckpt --out models/satclip-l40
    """  # noqa: D301 - click reads \b
    from pm25map.base.files import check_output_folder
    from pm25map.grid import load_grid
    from pm25map.laboratory.encoders.satclip import about_satclip, read_satclip
    from pm25map.laboratory.encoders.write import write_encoder

    check_output_folder(out, [checkpoint], replaced=True)
    siren = read_satclip(checkpoint)
    _say_card(out, write_encoder(siren, about_satclip(siren, checkpoint), out, load_grid(grid_name)))


def _say_card(out: Path, card: "EncoderCard") -> None:
    """Print what was written."""
    size = (out / card.file).stat().st_size / 1e6
    ends = card.profile.cutoffs_km
    below = sum(card.profile.share[: ends.index(100.0) + 1])
    click.echo(f"{out}: {card.name}, {card.dimension} numbers a place, {size:.1f} MB")
    click.echo(f"relative RMS to float64: {card.parity}")
    if card.patch is not None:
        size = (out / card.patch.file).stat().st_size / 1e6
        click.echo(f"tower for patches: {size:.1f} MB, relative RMS to float64 {card.patch.parity}")
    click.echo(f"energy below 100 km over {card.profile.grid}: {100 * below:.3f} %")


@command.command()
@click.option("--rasters", type=PATH, required=True, help="Folder of world rasters and countries-50m.json.")
@click.option(
    "--encoder",
    "names",
    multiple=True,
    default=("latlon", "places-open"),
    show_default=True,
    help="Repeatable.",
)
@click.option("--target", "wanted", multiple=True, help="Repeatable. Default: all.")
@click.option(
    "--head", "heads", type=click.Choice(["linear", "mlp"]), multiple=True, help="Repeatable. Default: both."
)
@click.option(
    "--places", "count", type=Count(min=50), default=8000, show_default=True, help="Drawn over land."
)
@click.option("--folds", type=Count(min=2), default=5, show_default=True)
@click.option("--seed", type=Count(), default=0, show_default=True, help="Of places, folds and heads.")
@click.option(
    "--maps",
    type=PATH,
    help="Folder for maps of the errors: a PNG for each number, head and way to leave out.",
)
@click.option("--overwrite", is_flag=True, help="Replace maps.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def probe(
    *,
    rasters: Path,
    names: tuple[str, ...],
    wanted: tuple[str, ...],
    heads: tuple["Head", ...],
    count: int,
    folds: int,
    seed: int,
    maps: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Measure how well simple heads predict properties of a place from encoders' vectors.

    Classes are scored by the share classified correctly, numbers by R2, both on places left out: at random, and in
    whole blocks of 10 degrees. In brackets the 95 % interval by bootstrap. A star: the encoder saw that target
    in training, so it is no transfer.

    With --maps: predicted minus true at every place that was left out, over the world, a panel for each encoder.

    \b
    Try: pm25map lab places probe --rasters global --encoder latlon --encoder places-open --target country
    """  # noqa: D301 - click reads \b
    import json
    from dataclasses import asdict

    from pm25map.base.files import check_output_folder
    from pm25map.laboratory.probes import score, targets
    from pm25map.laboratory.probes.error_maps import ErrorMaps
    from pm25map.laboratory.probes.table import as_table
    from pm25map.places.catalogue import encoder

    if maps is not None:
        check_output_folder(maps, [rasters])
    encoders = {name: encoder(name) for name in names}
    lat, lon, country = targets.land_places(rasters, count, seed)
    chosen_targets = [
        targets.read_target(name, rasters, lat, lon, country) for name in wanted or targets.TARGETS
    ]
    drawn = ErrorMaps(maps, rasters, lat, lon, overwrite=overwrite) if maps is not None else None
    if drawn is not None:
        drawn.check(chosen_targets, heads or score.HEADS)
    vectors = {name: one.encode(lat, lon) for name, one in encoders.items()}
    seen = {name: one.about().seen for name, one in encoders.items()}
    scores = []
    total = len(names) * len(chosen_targets) * len(heads or score.HEADS) * len(score.SPLITS)
    with progress_bar("heads", total) as progress:
        for one in score.probe(
            vectors,
            seen,
            chosen_targets,
            (lat, lon),
            heads=heads or score.HEADS,
            folds=folds,
            seed=seed,
            on_score=drawn.add if drawn is not None else None,
        ):
            scores.append(one)
            progress(len(scores), total)
    for path in drawn.write() if drawn is not None else ():
        click.echo(path, err=True)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in scores], indent=2))
        return
    click.echo(as_table(scores))


@command.command()
@click.option(
    "--encoder",
    "names",
    multiple=True,
    default=("geoclip", "places-open"),
    show_default=True,
    help="Repeatable.",
)
@click.option(
    "--to",
    "words",
    multiple=True,
    help="latitude,longitude in degrees, or a name such as phoenix. Repeatable.",
)
@click.option("--grid", "grid_name", help="A grid, such as conus-10km. Default: the land of the world.")
@click.option("--rasters", type=PATH, help="Folder with countries-50m.json, for the world.")
@click.option("--out", type=PATH, required=True, help="Folder for the picture and the COGs; made if absent.")
@click.option("--overwrite", is_flag=True, help="Replace the picture and the COGs.")
def similarity(
    *,
    names: tuple[str, ...],
    words: tuple[str, ...],
    grid_name: str | None,
    rasters: Path | None,
    out: Path,
    overwrite: bool,
) -> None:
    """Draw how alike places are to encoders, side by side: one PNG, and two COGs for each encoder.

    Cosine similarity to each place, and three principal components as red, green and blue, on 100,000 land
    cells of one area (about 38 km, EPSG:6933) or on a grid.

    \b
    Try: pm25map lab places similarity --grid conus-10km --to phoenix --to manhattan --out similarity
    """  # noqa: D301 - click reads \b
    from pm25map.base.files import check_output_folder, check_outputs, make_folder
    from pm25map.grid import load_grid
    from pm25map.laboratory.similarity.draw import (
        draw_similarity,
        look_at,
        similarity_paths,
        write_similarity,
    )
    from pm25map.laboratory.similarity.similarity import read_place, world_grid
    from pm25map.places.catalogue import encoder

    if (grid_name is None) == (rasters is None):
        raise click.UsageError("give either --grid, or --rasters for the world")
    check_output_folder(out, [] if rasters is None else [rasters])
    places = [read_place(text) for text in words]
    grid = load_grid(str(grid_name)) if rasters is None else world_grid(rasters)
    encoders = [encoder(name) for name in names]
    make_folder(out)
    picture = out / f"similarity-{grid.name}.png"
    files = [
        path for one in encoders for path in similarity_paths(one.name, grid, out, similarity=bool(places))
    ]
    check_outputs([picture, *files], overwrite=overwrite)
    looks = [look_at(one, grid, places) for one in encoders]
    draw_similarity(looks, grid, places, picture, overwrite=overwrite)
    for look in looks:
        for path in write_similarity(look, grid, places, out, overwrite=overwrite):
            click.echo(path)
    click.echo(picture)


for one in (card, locate, patch):
    command.add_command(one)
