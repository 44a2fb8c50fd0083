"""Measure what maps cost in two checkouts, in turns: python tests/bench/same_cost.py OTHER [--rounds 5] [--case NAME]

Processor seconds (user and system, with all that a command loads) and the largest resident memory of a map, of 16 days
and of a map with diagnostics, each command in a process of its own; then how long the graph of a year over a grid of
1 km takes to build here.
"""

import argparse
import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
ONE = ["predict", "--date", "2020-09-12", "--out", "map.tif", "--workers", "2"]
MANY = ["backfill", "--start", "2020-09-05", "--end", "2020-09-20", "--out", "maps", "--workers", "2"]
CASES = {
    "map": ONE,
    "map by conus-open": [*ONE, "--model", "conus-open"],
    "16 days by conus-open": [*MANY, "--model", "conus-open", "--calibrate", "0"],
    "map with diagnostics by conus-open": [*ONE, "--model", "conus-open", "--diagnostics"],
}


def run(checkout, words):
    """Run a command of a checkout: processor seconds and the largest resident memory, MB."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "pm25map", *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(line, cwd=folder, env=environment, **quiet)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(line)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def graph_seconds(chunk_days):
    """Processor seconds to build the graph of a year over a grid of 1 km, and how many tasks it has."""
    from dataclasses import replace

    from pm25map.grid import Grid
    from pm25map.raster.estimator import Estimator, Options
    from pm25map.raster.inputs import open_inputs
    from pm25map.raster.predict import dataset_of

    inputs = open_inputs("conus-open")
    coarse = inputs.grid
    a, b, c, d, e, f = coarse.transform
    land = np.kron(coarse.land, np.ones((10, 10), dtype=bool))
    fine = Grid("conus-1km", coarse.crs, (a / 10, b, c, d, e / 10, f), land.shape, 256, land)
    estimator = Estimator(replace(inputs, grid=fine), options=Options(chunk_days=chunk_days))
    estimator.session()
    began = time.process_time()
    maps = dataset_of(estimator, tuple(dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(366)))
    return time.process_time() - began, len(maps.pm25.__dask_graph__())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="the checkout to compare with")
    parser.add_argument("--case", action="append", choices=CASES, help="one case; all where none is named")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    for name in asked.case or CASES:
        found = {asked.other.resolve(): [], ROOT: []}
        for number in range(asked.rounds):
            for checkout in list(found) if number % 2 else list(found)[::-1]:
                found[checkout].append(run(checkout, CASES[name]))
        (theirs, mine) = found.values()
        before, now = (statistics.median(seconds for seconds, _ in one) for one in (theirs, mine))
        memory = [max(megabytes for _, megabytes in one) for one in (theirs, mine)]
        sys.stdout.write(
            f"{name}: {before:.2f} s there, {now:.2f} s here, ratio {now / before:.3f}; "
            f"{memory[0]:.0f} MB there, {memory[1]:.0f} MB here\n"
        )
        sys.stdout.flush()
    for chunk_days in (1, 8, 32):
        seconds, tasks = graph_seconds(chunk_days)
        sys.stdout.write(
            f"graph of a year over 1 km, {chunk_days} days a chunk: {seconds:.2f} s, {tasks} tasks\n"
        )


if __name__ == "__main__":
    main()
