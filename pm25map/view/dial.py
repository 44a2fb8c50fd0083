"""Draw the frequency dial: python -m pm25map.view.dial --monitors DIR --predictors STATIC --cache DIR --out PNG."""

import datetime as dt
import json
from pathlib import Path

import click
import numpy as np
from matplotlib import rc_context, rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pm25map.base.files import check_output, replacing
from pm25map.model.runtime import open_session
from pm25map.model.splits import hold_out_stations
from pm25map.monitors import read_monitors
from pm25map.predictors.reader import open_predictors
from pm25map.raster.inputs import open_inputs
from pm25map.scores.smoothing import Setting, turn_dial
from pm25map.windows.samples import StationSamples, gather_samples

SETTINGS_KM = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 300.0)


def draw_dial(settings: list[Setting], path: Path, *, overwrite: bool = False) -> None:
    """Draw accuracy against texture, a point a position of the dial.

    Raises:
        BadOutput: the picture cannot be written.
    """
    check_output(path, overwrite=overwrite)
    with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(9.6, 4.4), dpi=140, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        km = [f"{s.km:g}" for s in settings]
        for axes, values, words in (
            (left, [s.rmse for s in settings], "RMSE at stations held out, µg/m³"),
            (right, [s.mae for s in settings], "MAE at stations held out, µg/m³"),
        ):
            shares = [100 * s.excess for s in settings]
            axes.plot(shares, values, color="#00798C", marker="o", markersize=5, linewidth=1.2)
            for number, (share, value, name) in enumerate(zip(shares, values, km, strict=True)):
                below = number in (1, *range(2, len(settings) - 1, 2))
                axes.annotate(
                    f"{name} km" if name != "0" else "off",
                    (share, value),
                    # Neighbours on the curve are labelled on its two sides.
                    xytext=(-6, -5) if below else (7, 5),
                    textcoords="offset points",
                    ha="right" if below else "left",
                    va="top" if below else "bottom",
                    fontsize=8,
                )
            axes.set_xlabel("energy of the place's part below 200 km,\n% of what predictors justify")
            axes.set_ylabel(words)
            axes.margins(x=0.14, y=0.15)
            axes.grid(color="#D5D8DB", linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle("Smoothing of place vectors: accuracy against encoder artifacts", fontweight="bold")
        with replacing(path) as part:
            figure.savefig(part, format="png", metadata={"Software": None})


def _thinned(samples: StationSamples, judged: np.ndarray) -> StationSamples:
    """Keep the judged stations alone: the values of all take a gigabyte when they are scaled."""
    return StationSamples(
        site_ids=tuple(np.array(samples.site_ids)[judged]),
        lat=samples.lat[judged],
        lon=samples.lon[judged],
        days=samples.days,
        features=samples.features,
        values=samples.values[judged],
        truth=samples.truth[judged],
    )


@click.command()
@click.option(
    "--monitors", type=click.Path(path_type=Path), required=True, help="Folder of EPA's daily files."
)
@click.option("--predictors", type=click.Path(path_type=Path), required=True, help="Store of static layers.")
@click.option("--cache", type=click.Path(path_type=Path), required=True, help="Folder for stations' samples.")
@click.option("--model", "model_name", default="conus-open", show_default=True, help="A model with a place.")
@click.option("--day", default="2020-09-12", show_default=True, help="Day of the sample to map.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="PNG to write; JSON beside it.")
def main(monitors: Path, predictors: Path, cache: Path, model_name: str, day: str, out: Path) -> None:
    """Turn the dial of a model and draw what it costs."""
    inputs = open_inputs(model_name)
    card = inputs.model.card
    table, static = read_monitors(monitors), open_predictors(predictors)
    lat, lon = (table.sites[name].to_numpy() for name in ("latitude", "longitude"))
    held = hold_out_stations(lat, lon, card.training.holdout_fraction, card.training.holdout_seed)
    first = card.training.start - dt.timedelta(days=card.window_days - 1)
    samples = gather_samples(table, static, card.scaler.features, first, card.training.end, held, cache)
    judged = np.isin(samples.site_ids, table.sites["site_id"].to_numpy(dtype=str)[held])
    thin = _thinned(samples, judged)
    everyone = np.ones(len(thin.site_ids), dtype=np.bool_)
    found = turn_dial(
        inputs, open_session(inputs.model), thin, everyone, dt.date.fromisoformat(day), SETTINGS_KM
    )
    draw_dial(found, out, overwrite=True)
    with replacing(out.with_suffix(".json")) as part:
        part.write_text(json.dumps([vars(setting) for setting in found], indent=1) + "\n")
    for setting in found:
        click.echo(
            f"{setting.km:5g} km  RMSE {setting.rmse:.3f}  MAE {setting.mae:.3f}  "
            f"excess {setting.excess:.3f}  texture {setting.texture_ugm3:.3f} ug/m3  risk {setting.risk:.3f}"
        )


if __name__ == "__main__":
    main()
