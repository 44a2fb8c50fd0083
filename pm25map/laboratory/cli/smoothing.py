"""`pm25map lab smoothing`: what smoothing the vectors of places costs and takes away."""

import datetime as dt
import json
from pathlib import Path

import click

from pm25map.cli.options import DAY, FILE

PATH = FILE


@click.command()
@click.option("--monitors", type=PATH, required=True, help="Folder of EPA's daily files.")
@click.option("--predictors", type=PATH, required=True, help="Store of static layers.")
@click.option("--cache", type=PATH, required=True, help="Folder for the stations' samples.")
@click.option("--model", "model_name", default="conus-open", show_default=True, help="A model with a place.")
@click.option("--day", type=DAY, default="2020-09-12", show_default=True, help="Day of the sample to map.")
@click.option("--out", type=PATH, required=True, help="PNG to write; JSON beside it.")
@click.option("--overwrite", is_flag=True, help="Replace them.")
def command(
    *,
    monitors: Path,
    predictors: Path,
    cache: Path,
    model_name: str,
    day: dt.date,
    out: Path,
    overwrite: bool,
) -> None:
    """Smooth the vectors of places more and more: errors at held-out stations (ug/m3), and texture of the map.

    \b
    Try: pm25map lab smoothing --monitors aqs --predictors static.zarr --cache cache --out place-smoothing.png
    """  # noqa: D301 - click reads \b
    from pm25map.base.files import check_outputs, replacing
    from pm25map.laboratory.smoothing.draw import draw_smoothing
    from pm25map.laboratory.smoothing.score import score_smoothing

    check_outputs([out, out.with_suffix(".json")], [monitors, predictors], overwrite=overwrite)
    settings = score_smoothing(model_name, monitors, predictors, cache, day)
    draw_smoothing(settings, out, overwrite=overwrite)
    with replacing(out.with_suffix(".json")) as part:
        part.write_text(json.dumps([vars(setting) for setting in settings], indent=1) + "\n")
    for one in settings:
        click.echo(
            f"{one.km:5g} km  RMSE {one.rmse:.3f}  MAE {one.mae:.3f}  "
            f"excess {one.excess:.3f}  texture {one.texture_ugm3:.3f} ug/m3  risk {one.risk:.3f}"
        )
