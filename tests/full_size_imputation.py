"""Measure imputation on a grid of full size: an invented store, a model of it, and one day filled.

python tests/full_size_imputation.py FOLDER --grid conus-1km

Prints CSV: what, seconds on the clock, seconds of processors, peak memory in GB. About 1 GB is written for six days on
conus-1km. The values mean nothing; half of the cells have none.
"""

import argparse
import csv
import datetime as dt
import sys
from pathlib import Path

import numpy as np
from full_size_providers import measured
from scipy import ndimage

from pm25map.grid import load_grid
from pm25map.predictors.store import create_store, write_day, write_layer

DAYS = [dt.date(2020, 9, 7) + dt.timedelta(days=i) for i in range(6)]
WEATHER = ("gridmet_tmmx", "gridmet_th", "gridmet_vs", "daymet_prcp", "daymet_vp", "merra2_aod")
COARSE = 40
"""Cells of a field along the side of the grid before it is made smooth."""


def smooth(rng, shape):
    """A field from 0 to 1 in steps that compress: (y, x)."""
    small = rng.random((COARSE, COARSE))
    whole = ndimage.zoom(small, [n / COARSE for n in shape], order=1, output=np.float32)
    return np.round(whole * 500) / np.float32(500)


def write_store(path, grid):
    """Write weather, optical depth with clouds, and elevation."""
    rng = np.random.default_rng(0)
    create_store(path, grid, ("aod_055", *WEATHER), DAYS[0], DAYS[-1])
    write_layer(path, "elevation", smooth(rng, grid.shape) * 2000)
    for day in DAYS:
        fields = {name: smooth(rng, grid.shape) for name in WEATHER}
        clear = smooth(rng, grid.shape) < 0.5
        fields["aod_055"] = np.where(clear, fields["gridmet_tmmx"] * 0.5, np.float32(np.nan))
        write_day(path, day, fields)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grid", default="conus-1km")
    parser.add_argument("--threads", default=1, type=int)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    store, model = options.folder / "store.zarr", options.folder / "model"
    if not store.exists():
        write_store(store, load_grid(options.grid))
    common = ("data", "impute")
    learn = (*common, "train", "--store", store, "--variable", "aod_055", "--out", model, "--overwrite")
    fill = (*common, "apply", "--store", store, "--model", model, "--refill", "--threads", options.threads)
    jobs = {
        "train, 6 days": (*learn, "--start", DAYS[0], "--end", DAYS[-1], "--samples", 60_000),
        "apply, 1 day": (*fill, "--start", DAYS[2], "--end", DAYS[2]),
    }
    table = csv.writer(sys.stdout)
    table.writerow(["what", "seconds", "processor_seconds", "peak_gb"])
    for what, words in jobs.items():
        table.writerow([what, *(f"{number:.1f}" for number in measured([str(word) for word in words]))])
        sys.stdout.flush()


if __name__ == "__main__":
    main()
