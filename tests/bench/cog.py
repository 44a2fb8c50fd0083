"""How long a map takes to write, with statistics, overviews and tags: the default grid's size, and CONUS at 1 km."""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import maps

from pm25map.grid import load_grid
from pm25map.raster.map_files import write_map

ROUNDS = 5


def measure_all(shapes: tuple[tuple[int, int], ...] = (), rounds: int = ROUNDS) -> list[dict[str, object]]:
    """Write a smooth field with noise; give seconds and megabytes by shape."""
    shapes = shapes or (load_grid("conus-10km").shape, (3_000, 7_000))
    found = []
    for rows, cols in shapes:
        grid = maps.address_grid(rows, cols)
        rng = np.random.default_rng(0)
        y, x = np.mgrid[:rows, :cols]
        field = 10 + 5 * np.sin(y / 90) * np.cos(x / 130) + rng.normal(0, 0.2, grid.shape)
        values = np.where(grid.land, field, np.nan).astype(np.float32)
        seconds, busy = [], []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "map.tif"
            for _ in range(rounds):
                start, worked = time.perf_counter(), time.process_time()
                write_map(path, values, grid, maps.provenance(grid), overwrite=True)
                seconds.append(time.perf_counter() - start)
                busy.append(time.process_time() - worked)
            size = path.stat().st_size
        found.append(
            {
                "rows": rows,
                "cols": cols,
                "seconds": round(float(np.median(seconds)), 2),
                "cpu_seconds": round(float(np.median(busy)), 2),
                "mb": round(size / 1e6, 1),
            }
        )
    return found
