"""Neighbours as in the reference study: the 9 nearest monitors by inverse distance to the power 1.

What differs is what made the study's own fields leak and skew (see docs/model.md): on the map every monitor counts,
at its true distance on the sphere, and one rule serves all places. Training uses fields left out by station.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from pm25map.grid import Grid
from pm25map.monitors import Monitors

NEIGHBOURS = 9
EARTH_KM = 6371.0
NEAREST_KM = 0.5
"""A cell that holds a monitor is at this distance from it: its weight stays finite."""

CELLS_AT_ONCE = 500_000
"""So that a fine grid needs little memory."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Knnidw:
    """The source.

    Attributes:
        monitors: that the fields are computed from.
    """

    monitors: Monitors

    @property
    def name(self) -> str:
        """Name the source as --source does."""
        return "knnidw"

    @property
    def variables(self) -> tuple[str, ...]:
        """Name the fields."""
        return ("knnidw_distance", "knnidw_pm25", "knnidw_pm25_val")

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Say on which days no monitor measured; `grid` does not matter."""
        silent = [bool(np.isnan(values).all()) for values in self.monitors.matrix(days)]
        return {day: "no monitor measured" for day, none in zip(days, silent, strict=True) if none}

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Compute the fields at the cell centres: (day, y, x) by name, NaN off land.

        Distance is the mean of that to the monitors used, km. The long-term mean is over all days of the table.
        """
        lon, lat = grid.lonlat()
        cells = _on_sphere(lat, lon)
        sites = self.monitors.sites
        stations = _on_sphere(sites["latitude"].to_numpy(float), sites["longitude"].to_numpy(float))
        values = self.monitors.matrix(days).astype(np.float64)
        means = _long_term(self.monitors)
        made = {name: np.full((len(days), *grid.shape), np.nan, dtype=np.float32) for name in self.variables}
        for i, day_values in enumerate(values):
            known = np.isfinite(day_values)
            at_cells = {name: np.empty(len(cells), dtype=np.float32) for name in self.variables}
            for first in range(0, len(cells), CELLS_AT_ONCE):
                part = slice(first, first + CELLS_AT_ONCE)
                weights, index = _nearest(stations[known], cells[part])
                at_cells["knnidw_distance"][part] = (1 / weights).mean(axis=1)
                for name, of in (("knnidw_pm25", means), ("knnidw_pm25_val", day_values)):
                    at_cells[name][part] = (of[known][index] * weights).sum(axis=1) / weights.sum(axis=1)
            for name, values_at in at_cells.items():
                made[name][i, grid.land] = values_at
        return made


def _nearest(stations: FloatArray, cells: FloatArray) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Find the nearest stations of every cell: weights in 1/km and numbers, (cell, neighbour)."""
    count = min(NEIGHBOURS, len(stations))
    chord, index = cKDTree(stations).query(cells, k=list(range(1, count + 1)))
    # The straight way through the sphere, made the way along it.
    distance = 2 * EARTH_KM * np.arcsin(np.minimum(chord / 2, 1))
    return 1 / np.maximum(distance, NEAREST_KM), index


def _long_term(monitors: Monitors) -> FloatArray:
    """Give the mean of every station over all the days it measured (station,)."""
    held = monitors.days
    table = monitors.matrix(held)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = np.nansum(table, axis=0) / np.isfinite(table).sum(axis=0)
    return mean


def _on_sphere(lat: FloatArray, lon: FloatArray) -> FloatArray:
    """Place points on the unit sphere: (point, 3)."""
    phi, lam = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=1)
