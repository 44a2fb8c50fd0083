"""`pm25map export`: from training runs to a model that predicts without torch."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import FILE

if TYPE_CHECKING:
    from pm25map.model.card import Model

PATH = FILE


@click.command()
@click.option("--run", "run", type=PATH, help="Folder of a finished pm25map train.")
@click.option(
    "--member", "members", type=PATH, multiple=True, help="Folder of one member's run; two or more."
)
@click.option("--unroll", type=PATH, help="Folder of a model: only give it its unrolled graph.")
@click.option(
    "--checksums",
    type=PATH,
    help="Folder of a model or encoder: only write checksums of its files into its card.",
)
@click.option("--out", type=PATH, help="Folder of the model: model.onnx, unrolled.onnx and card.json.")
@click.option("--version", default="1", show_default=True, help="Of the model, for its card.")
@click.option("--overwrite", is_flag=True, help="Replace a model that is there.")
def command(
    *,
    run: Path | None,
    members: tuple[Path, ...],
    unroll: Path | None,
    checksums: Path | None,
    out: Path | None,
    version: str,
    overwrite: bool,
) -> None:
    """Turn trained networks into an ONNX model with its card, inside the file and beside it.

    One --run gives a plain model. Several --member give one model that tells mean, spread (standard deviation)
    and number of its members. --unroll writes the second graph of a model that is there, without torch.
    --checksums lets a card of an older version cover the calibration beside it, and itself; of an encoder it compares
    the files with the card first.

    Torch and ONNX are compared on 10,000 real windows a network, with values missing and one alone; no file is
    written when they differ by more than 1e-4 standard deviations of the truth.

    \b
    Try: pm25map export --run runs/a --out models/mine
         pm25map export --member runs/a --member runs/b --member runs/c --out models/three
         pm25map export --unroll models/mine
         pm25map export --checksums models/mine
    """  # noqa: D301 - click reads \b
    from pm25map.base.errors import BadOutput
    from pm25map.base.files import check_output_folder
    from pm25map.model.card import CARD_FILE

    if sum(map(bool, (run, members, unroll, checksums))) != 1:
        raise click.UsageError("name one of --run, --member (several times), --unroll and --checksums")
    if checksums is not None:
        click.echo(_cover(checksums))
        return
    if unroll is not None:
        _say_graphs(_unroll(unroll))
        return
    if out is None:
        raise click.UsageError("name the folder to write with --out")
    if out.exists() and not overwrite:
        raise BadOutput(f"{out} exists already. Add --overwrite to replace it, or choose another name")
    if out.is_dir() and any(out.iterdir()) and not (out / CARD_FILE).is_file():
        raise BadOutput(f"{out} is a folder, and holds no model that may be replaced. Choose another name")
    check_output_folder(out, [run, *members] if run else members, replaced=True)
    from pm25map.model.export import export_members, export_model
    from pm25map.model.run_folder import load_run

    if run is not None:
        metadata, network, windows, place = load_run(run)
        model = export_model(network, metadata.draft_card(version), windows, place, out)
    else:
        model = export_members([load_run(folder) for folder in members], out.name, version, out)
    parity = model.card.parity
    click.echo(f"{model.network}: {model.network.stat().st_size / 1e6:.1f} MB, opset {model.card.opset}")
    if members:
        click.echo(f"{len(members)} members: bands pm25, pm25_spread, pm25_members")
    click.echo(
        f"torch and ONNX differ by at most {parity.worst_scaled:.1e} scaled units ({parity.worst_ugm3:.1e} "
        f"ug/m3) over {parity.windows:,} windows"
    )
    _say_graphs(model)


def _unroll(folder: Path) -> "Model":
    """Unroll a model; compare on windows of its grid's sample, or on invented ones where there is none."""
    from pm25map.grid import grid_names, load_grid
    from pm25map.model.card import load_model
    from pm25map.model.engines.independence import likely_windows
    from pm25map.model.graphs import add_unrolled, sample_windows
    from pm25map.places.catalogue import encoder
    from pm25map.places.store import default_store
    from pm25map.predictors.reader import open_predictors
    from pm25map.raster.day_source import sample_of

    model = load_model(str(folder))
    card = model.card
    store = sample_of(load_grid(card.grid)) if card.grid in grid_names() else None
    if store is None:
        windows, spots = likely_windows(card, 10_000)
    else:
        opened = open_predictors(store)
        name = card.place.encoder
        places = None if name == "none" else default_store(opened.grid, encoder(name), lambda *_: None)
        windows, spots = sample_windows(model, opened, places)
    return add_unrolled(model.network.parent, windows, spots)


def _cover(folder: Path) -> str:
    """Write checksums into the card of a model or an encoder; say of what."""
    from pm25map.base.card_file import reseal
    from pm25map.base.errors import BadModel
    from pm25map.model.card import CARD_FILE, NETWORK_FILE, cover_files, load_model, read_beside
    from pm25map.places.card import check_files

    if (folder / NETWORK_FILE).is_file():
        model = load_model(str(folder))
        for name in model.card.files:
            read_beside(model, name, "make it with pm25map calibrate")
        card = cover_files(folder)
        return f"{folder / CARD_FILE}: covers itself and {', '.join(card.files if card else ()) or 'no other file'}"
    if not (folder / CARD_FILE).is_file():
        raise BadModel(f"there is no {CARD_FILE} in {folder}: name the folder of a model or an encoder")
    covered = check_files(folder)
    reseal(folder / CARD_FILE)
    return f"{folder / CARD_FILE}: covers itself and {', '.join(covered)}"


def _say_graphs(model: "Model") -> None:
    for name, record in model.card.graphs.items():
        size = (model.network.parent / record.file).stat().st_size / 1e6
        click.echo(
            f"{record.file}: {size:.1f} MB, {name}; differs from model.onnx by at most "
            f"{record.parity.worst_ugm3:.1e} ug/m3 over {record.parity.windows:,} windows"
        )
