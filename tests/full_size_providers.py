"""Measure a day of all reference sources on conus-1km, from full-size invented files in the providers' formats.

Run: python tests/full_size_providers.py FOLDER [--grid GRID]. It writes about 2 GB once, then ingests two days by
the command line, one source after another, on the cores it is given, and prints time and peak memory of each.
"""

import argparse
import csv
import datetime as dt
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import shapely
from provider_files import (
    BEST,
    CLOUDY,
    write_daymet,
    write_gmted,
    write_gridmet,
    write_hms,
    write_maiac,
    write_nbar,
)

DAYS = [dt.date(2020, 9, 11), dt.date(2020, 9, 12)]
TILES = [(h, v) for v in (4, 5, 6) for h in range(8, 14)]
"""The tiles of CONUS; three of them hold no land of it and are left out by the reader."""

DAYMET_X = np.arange(-4560250, 3253251, 1000.0)
DAYMET_Y = np.arange(4984000, -3090001, -1000.0)
"""Daymet's whole North America: 7,814 x 8,075 cells."""

DAYMET = {"dayl": 45000, "prcp": 2, "srad": 400, "tmax": 25, "tmin": 10, "vp": 900}
DAYMET_UNITS = {
    "dayl": "s",
    "prcp": "mm/day",
    "srad": "W/m2",
    "tmax": "degrees C",
    "tmin": "degrees C",
    "vp": "Pa",
}
GRIDMET_LON, GRIDMET_LAT = -124.7667 + np.arange(1386) / 24, 49.4 - np.arange(585) / 24


def smooth(rows, cols, low, high, seed):
    """A field with waves of many sizes and some noise, so that compression is as hard as with true data."""
    rng = np.random.default_rng(seed)
    y, x = np.linspace(0, 9, rows)[:, None], np.linspace(0, 9, cols)[None]
    waves = sum(
        np.sin(x * k + rng.uniform(0, 6)) * np.cos(y * k + rng.uniform(0, 6)) / k for k in (1, 2, 5, 11)
    )
    values = (waves + 2.5) / 5 + rng.normal(0, 0.005, (rows, cols))
    return (low + (high - low) * np.clip(values, 0, 1)).astype(np.float32)


def write_maiac_files(folder):
    for day in DAYS:
        for tile in TILES:
            aod = np.stack([smooth(1200, 1200, 0.02, 1.5, seed) for seed in range(4)])
            rng = np.random.default_rng(tile[0] * 100 + tile[1])
            quality = np.where(rng.random(aod.shape) < 0.4, CLOUDY, BEST)
            write_maiac(folder, day, tile, aod, aod * 0.7, quality)


def write_ndvi_files(folder):
    for age in (0, 16):
        for tile in TILES:
            red, infrared = smooth(2400, 2400, 0.03, 0.2, 1), smooth(2400, 2400, 0.2, 0.5, 2)
            quality = np.where(smooth(2400, 2400, 0, 1, 3) > 0.8, 255, 0)
            write_nbar(folder, DAYS[0] - dt.timedelta(days=age), tile, red, infrared, quality)


def write_daymet_files(folder):
    for name, top in DAYMET.items():
        # Two decimals and an empty sea, as in the true files.
        values = [np.round(smooth(len(DAYMET_Y), len(DAYMET_X), 0, top, seed), 2) for seed in range(2)]
        for layer in values:
            layer[:, :1500] = layer[:, 6500:] = np.nan
        write_daymet(folder, name, 2020, DAYMET_X, DAYMET_Y, values, DAYS, DAYMET_UNITS[name])


def write_gridmet_files(folder):
    for short, top in (("th", 360), ("vs", 15)):
        values = np.stack([smooth(585, 1386, 0, top, seed) for seed in range(2)])
        write_gridmet(folder, short, 2020, GRIDMET_LON, GRIDMET_LAT, values, DAYS)


def write_gmted_files(folder):
    lon, lat = -127 + (np.arange(7440) + 0.5) / 120, 52 - (np.arange(3720) + 0.5) / 120
    write_gmted(folder / "conus_20101117_gmted_mea300.tif", lon, lat, smooth(3720, 7440, 0, 3000, 4))


def write_hms_files(folder):
    rng = np.random.default_rng(5)
    for day in DAYS:
        places = zip(
            rng.uniform(-122, -75, 60), rng.uniform(28, 48, 60), rng.uniform(0.5, 6, 60), strict=True
        )
        plumes = [
            (shapely.Point(x, y).buffer(size), ("Light", "Medium", "Heavy")[i % 3])
            for i, (x, y, size) in enumerate(places)
        ]
        write_hms(folder, day, plumes)


WRITERS = {
    "gmted": write_gmted_files,
    "gridmet": write_gridmet_files,
    "hms": write_hms_files,
    "maiac": write_maiac_files,
    "ndvi": write_ndvi_files,
    "daymet": write_daymet_files,
}


def write_all(folder):
    """Write what is not there yet, a source at a time."""
    for source, write in WRITERS.items():
        done = folder / f"{source}.written"
        if not done.exists():
            write(folder / source)
            done.touch()


def measured(words):
    """Run a command: seconds on the clock, seconds of processors, and peak memory in GB."""
    begin = time.perf_counter()
    code = (
        "import resource, sys; from pm25map.base.files import peak_memory; from pm25map.cli.main import main\n"
        "try:\n    main()\nfinally:\n    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    sys.stderr.write(f' {used.ru_utime + used.ru_stime} {peak_memory()}')"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    processor, memory = done.stderr.split()[-2:]
    return time.perf_counter() - begin, float(processor), int(memory) / 2**30


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--grid", default="conus-1km")
    parser.add_argument("--monitors", type=Path, help="EPA's daily files, for the source knnidw.")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    write_all(options.folder)
    store = options.folder / "store.zarr"
    table = csv.writer(sys.stdout)
    table.writerow(["source", "day", "seconds", "processor_seconds", "peak_gb"])
    total = {day: np.zeros(3) for day in DAYS}
    sources = [*WRITERS, *(["knnidw"] if options.monitors else [])]
    for source in sources:
        files = (
            ("--monitors", options.monitors) if source == "knnidw" else ("--files", options.folder / source)
        )
        for day in DAYS[:1] if source == "gmted" else DAYS:
            words = ("data", "ingest", "--source", source, "--start", day, "--end", day)
            words += ("--grid", options.grid, "--store", store, *files)
            took = np.array(measured([str(word) for word in words]))
            total[day] = np.array([*(total[day] + took)[:2], max(total[day][2], took[2])])
            table.writerow([source, day, *(f"{number:.1f}" for number in took)])
            sys.stdout.flush()
    for day, took in total.items():
        table.writerow(["all", day, *(f"{number:.1f}" for number in took)])


if __name__ == "__main__":
    main()
