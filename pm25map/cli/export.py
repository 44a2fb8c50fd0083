"""`pm25map export`: from a training run to a model that predicts without torch."""

from pathlib import Path

import click

PATH = click.Path(path_type=Path)


@click.command()
@click.option("--run", "run", type=PATH, required=True, help="Folder of a finished pm25map train.")
@click.option("--out", type=PATH, required=True, help="Folder of the model: model.onnx and card.json.")
@click.option("--version", default="1", show_default=True, help="Of the model, for its card.")
@click.option("--overwrite", is_flag=True, help="Replace a model that is there.")
def command(*, run: Path, out: Path, version: str, overwrite: bool) -> None:
    """Turn a trained network into an ONNX model with its card, inside the file and beside it.

    Torch and ONNX are compared on 10,000 real windows, with values missing and one alone; no file is written
    when they differ by more than 1e-4 standard deviations of the truth.

    \b
    Try: pm25map export --run runs/a --out models/mine
    """  # noqa: D301 - click reads \b
    from pm25map.base.errors import BadOutput
    from pm25map.model.export import export_model
    from pm25map.model.handover import load_handover

    if out.exists() and not overwrite:
        raise BadOutput(f"{out} exists already. Add --overwrite to replace it, or choose another name")
    handover, network, windows, place = load_handover(run)
    model = export_model(network, handover.draft_card(version), windows, place, out)
    parity = model.card.parity
    click.echo(f"{model.network}: {model.network.stat().st_size / 1e6:.1f} MB, opset {model.card.opset}")
    click.echo(
        f"torch and ONNX differ by at most {parity.worst_scaled:.1e} scaled units ({parity.worst_ugm3:.1e} "
        f"ug/m3) over {parity.windows:,} windows"
    )
