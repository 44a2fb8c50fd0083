"""What each location encoder does for PM2.5: one network each, the same stations, days and seed (docs/places.md).

    python tests/by_encoder.py --monitors aqs --predictors static.zarr --cache runs/a --out runs/by-encoder

Scores are of the stations that nobody saw; what an encoder paints is measured on the map of one day. Networks that
are there are not trained again. A table goes to stdout, the numbers to OUT/by-encoder.json.
"""

import datetime as dt
import json
from pathlib import Path

import click
import torch

from pm25map.base.shipped import shipped_folder
from pm25map.diagnostics.diagnose import diagnose_day
from pm25map.model.card import CARD_FILE
from pm25map.model.config import read_config
from pm25map.model.export import export_model
from pm25map.model.fit import fit
from pm25map.model.run_folder import load_run
from pm25map.model.runtime import open_session
from pm25map.monitors import read_monitors
from pm25map.predictors.reader import open_predictors
from pm25map.raster.estimator import Options
from pm25map.raster.inputs import open_inputs
from pm25map.scores.evaluate import judge

ENCODERS = ("none", "latlon", "sincos", "geoclip", "geoclip-capsules-1-2", "places-open")
DAY = dt.date(2020, 9, 12)
PATH = click.Path(path_type=Path)


@click.command()
@click.option("--monitors", type=PATH, required=True)
@click.option("--predictors", type=PATH, required=True)
@click.option("--cache", type=PATH, required=True, help="Folder for the stations' neighbours.")
@click.option("--config", "config_path", type=PATH, default=shipped_folder("models") / "conus-ensemble.yaml")
@click.option("--out", type=PATH, required=True)
def main(monitors: Path, predictors: Path, cache: Path, config_path: Path, out: Path) -> None:
    """Train, export, score and look, encoder by encoder."""
    torch.set_num_threads(1)
    measured, static = read_monitors(monitors), open_predictors(predictors)
    config = read_config(config_path)
    rows = []
    for name in ENCODERS:
        one = config.model_copy(update={"name": f"by-{name}", "geolocation": name, "folds": 0})
        run, folder = out / "runs" / name, out / name
        if not (folder / CARD_FILE).is_file():
            run.mkdir(parents=True, exist_ok=True)
            fit(one, measured, static, run, "tests/by_encoder.py", cache=cache)
            metadata, network, windows, place = load_run(run)
            export_model(network, metadata.draft_card("1.0"), windows, place, folder)
        inputs = open_inputs(str(folder))
        session = open_session(inputs.model, "cpu")
        found = {
            row.stratum: row for row in judge(session, measured, static, one.start, one.end, None, cache).rows
        }
        seen = diagnose_day(inputs, DAY, options=Options("cpu")).scores
        rows.append(
            {
                "encoder": name,
                "all": found["all"].model_dump(),
                "far": found["nearest station over 100 km"].model_dump(),
                "map": {key: value for key, value in seen.items() if isinstance(value, int | float)},
            }
        )
        click.echo(json.dumps(rows[-1]))
    (out / "by-encoder.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
