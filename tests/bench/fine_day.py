"""One day of a fine grid, start to end, from an invented store and an untrained model: its peak memory.

Try: pm25map grid build conus-1km --out conus-1km
     python tests/bench/fine_day.py conus-1km --region oregon
"""

import argparse
import datetime as dt
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import map_world
import model_world
import torch
from backfill import _run

from pm25map.grid import Grid, load_grid
from pm25map.model.card import NetworkShape
from pm25map.model.export import export_model
from pm25map.model.places import place_vectors
from pm25map.model.train import TrainedNetwork, build_network
from pm25map.places.catalogue import encoder
from pm25map.places.store import default_store
from pm25map.predictors.store import create_store, write_days, write_layer
from pm25map.windows.scaler import fit_scaler

SHAPE = NetworkShape(lstm=(48, 32, 32), attention=48, dense=48)


def write_store(path: Path, grid: Grid, days: list[dt.date]) -> None:
    """Smooth fields that drift from day to day."""
    create_store(path, grid, map_world.DAILY, days[0], days[-1])
    rows, cols = grid.shape
    y, x = np.ogrid[:rows, :cols]
    for i in range(0, len(days), 8):
        part = days[i : i + 8]
        drift = np.arange(len(part))[:, None, None] + i
        field = (20 + 10 * np.sin(y / 300) * np.cos(x / 400) + drift).astype(np.float32)
        write_days(path, part, dict.fromkeys(map_world.DAILY, field))
    write_layer(path, "elevation", np.broadcast_to(500 + y * 0.1 + x * 0.1, grid.shape).astype(np.float32))
    months = np.broadcast_to(np.arange(12)[:, None, None], (12, rows, cols))
    write_layer(path, "t2m_climatology", months.astype(np.float32))


def main() -> None:
    """Make the world, draw the day, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("grid", type=Path, help="folder of the grid")
    parser.add_argument("--region", help="only these cells; the arrays of the grid are whole all the same")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    grid = load_grid(str(asked.grid))
    days = map_world.days(map_world.WINDOW)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_store(folder / "world.zarr", grid, days)
        default_store(grid, encoder("sincos"))
        config = model_world.config(
            features=map_world.FEATURES, geolocation="sincos", window_days=map_world.WINDOW, network=SHAPE
        )
        windows = np.random.default_rng(0).gamma(2, 10, (64, map_world.WINDOW, 4)).astype(np.float32)
        scaler = fit_scaler(windows, map_world.FEATURES, map_world.UNITS, ())
        torch.manual_seed(0)
        network = build_network(config.network, scaler, "sincos", 4, 9.0).eval()
        _, about = place_vectors("sincos", np.zeros(1), np.zeros(1))
        trained = TrainedNetwork(network, scaler, 9.0, (), 1, 1)
        metadata = model_world.run_metadata(trained, config, about, grid.name, grid.checksum)
        place = np.zeros((64, 4), np.float32)
        export_model(network, metadata.draft_card("1"), scaler.apply(windows), place, folder / "model")
        words = ["--model", str(folder / "model"), "--grid", str(asked.grid.absolute())]
        words += ["--predictors", str(folder / "world.zarr"), "--workers", str(asked.workers)]
        words += ["--start", str(days[-1]), "--end", str(days[-1]), "--out", str(folder / "maps")]
        words += ["--region", asked.region] if asked.region else []
        told = _run("backfill", *words, "--calibrate", "5", "--json")
    happened, expected = told["happened"], told["forecast"]
    report = {
        "grid": grid.name,
        "region": asked.region or "all",
        "cells": happened["estimates"],
        "seconds": [round(expected["seconds"], 1), round(happened["seconds"], 1)],
        "peak_gb": [round(expected["peak_bytes"] / 1e9, 2), round(happened["peak_bytes"] / 1e9, 2)],
        "file_mb": round(happened["file_bytes"] / 1e6, 1),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
