"""What monitors said around hot spots of other years than the shipped sample's: python tests/around_hot_spots.py AQS

For each day of hot_spots.csv that the sample lacks, the neighbours' fields of its 21 days on those cells of
conus-10km that lie within AROUND_KM of a spot, as `pm25map data ingest --source neighbours` computes them from EPA's
monitors (public domain), packed to the steps of the variable table. The other predictors come from the sample.
"""

import csv
import datetime as dt
import sys
from pathlib import Path

import numpy as np

from pm25map.base.days import days_between, window_of
from pm25map.monitors.read import read_monitors
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.map_fields import fields_at
from pm25map.predictors.neighbours import FIELDS
from pm25map.predictors.sources.neighbours import stations_on
from pm25map.predictors.variables import variable
from pm25map.raster.inputs import open_inputs

SPOTS = Path(__file__).parent / "hot_spots.csv"
HELD = Path(__file__).parent / "around_hot_spots.npz"
AROUND_KM = 200.0
WINDOW_DAYS = 21


def hot_spots():
    """The rows of the list, by day."""
    with SPOTS.open() as lines:
        rows = list(csv.DictReader(lines))
    days = sorted({dt.date.fromisoformat(row["date"]) for row in rows})
    return {day: [row for row in rows if row["date"] == str(day)] for day in days}


def near(grid, spots):
    """Land cells near a spot, bool (y, x)."""
    y, x = np.indices(grid.shape)
    cells = np.zeros(grid.shape, dtype=bool)
    for spot in spots:
        row, col = grid.cells_at([float(spot["lon"])], [float(spot["lat"])])
        cells |= np.hypot(y - row[0], x - col[0]) * grid.step[0] / 1000 <= AROUND_KM
    return cells & grid.land


class Around:
    """Stands for a store of predictors on the days and cells that are held, in place of the sample."""

    def __init__(self, sample):
        self.sample, self.grid, self.path = sample, sample.grid, HELD
        self.held = {}
        with np.load(HELD) as arrays:
            for name in arrays.files:
                steps = np.array([variable(field).precision for field in FIELDS], dtype=np.float64)
                codes = np.cumsum(arrays[name], axis=2, dtype=np.int16)
                self.held[dt.date.fromisoformat(name)] = (codes * steps[:, None]).astype(np.float32)

    def check(self, grid, features, days):
        assert grid.checksum == self.grid.checksum
        assert days == window_of(days[-1], WINDOW_DAYS)
        assert days[-1] in self.held

    def read(self, features, days, block, count=None):
        """As Predictors.read; NaN on cells that are not held."""
        values = np.full((len(days), len(features), block.height, block.width), np.nan, dtype=np.float32)
        plain = [i for i, name in enumerate(features) if name not in FIELDS]
        values[:, plain] = self.sample.read(tuple(features[i] for i in plain), days, block)
        cells = near(self.grid, hot_spots()[days[-1]])
        whole = np.full((len(days), *self.grid.shape), np.nan, dtype=np.float32)
        for number, name in enumerate(FIELDS):
            if name in features:
                whole[:, cells] = self.held[days[-1]][:, number]
                values[:, features.index(name)] = whole[:, *block.slices]
        return values


def compute(folder, days, inputs, last=WINDOW_DAYS):
    """The fields of the last days of the windows of some days, as they are packed.

    {day: int16 (day, field, cell)}, in steps of the variable table, differences along the cells.
    """
    grid, elevation = inputs.grid, inputs.predictors.layer("elevation")
    monitors = read_monitors(folder)
    stations = stations_on(grid, elevation, monitors)
    lon, lat = (np.full(grid.shape, np.nan) for _ in range(2))
    lon[grid.land], lat[grid.land] = grid.lonlat()
    found = {}
    for day in days:
        cells = near(grid, hot_spots()[day])
        fed = days_between(day - dt.timedelta(days=last - 1 + MEMORY_DAYS), day)
        fields = fields_at(
            monitors.matrix(fed), monitors.codes(fed), stations, lat[cells], lon[cells], elevation[cells]
        )
        packed = [np.rint(fields[name] / variable(name).precision) for name in FIELDS]
        codes = np.stack(packed, axis=1).astype(np.int16)
        found[str(day)] = np.diff(codes, axis=2, prepend=np.int16(0))
        sys.stderr.write(f"{day}: {cells.sum()} cells\n")
    return found


def main():
    inputs = open_inputs("conus-open")
    held = set(inputs.predictors.days)
    wanted = [day for day in hot_spots() if day not in held]
    np.savez_compressed(HELD, **compute(Path(sys.argv[1]), wanted, inputs))


if __name__ == "__main__":
    main()
