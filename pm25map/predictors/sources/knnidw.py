"""Neighbours as in the reference study: the 9 nearest monitors by inverse distance to the power 1.

It differs where the study's own fields leaked and were skewed (see docs/model.md): every distance is the true one on
the sphere, and one rule serves all places. On the map every monitor counts (`Knnidw`). At the stations themselves, for
training and scores, no monitor at the same place counts, nor any held out (`knnidw_left_out`).
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from pm25map.grid import Grid
from pm25map.grid.sphere import on_sphere
from pm25map.monitors import Monitors
from pm25map.predictors.neighbours import Stations

NEIGHBOURS = 9
EARTH_KM = 6371.0
NEAREST_KM = 0.5
"""The least distance of a monitor, such as one in the cell itself: its weight stays finite."""

CELLS_AT_ONCE = 500_000
"""Bounds the memory that a fine grid needs."""

KNNIDW_FIELDS = ("knnidw_distance", "knnidw_pm25", "knnidw_pm25_val")

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Knnidw:
    """The source.

    Attributes:
        monitors: that the fields are computed from.
    """

    monitors: Monitors

    @property
    def name(self) -> str:
        """Return the name of the source, as for --source."""
        return "knnidw"

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the names of its fields."""
        return KNNIDW_FIELDS

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Return the days on which no monitor measured, each with the reason; `grid` does not matter."""
        silent = [bool(np.isnan(values).all()) for values in self.monitors.matrix(days)]
        return {day: "no monitor measured" for day, none in zip(days, silent, strict=True) if none}

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Compute the fields at the cell centres: (day, y, x) by name, NaN off land.

        Distance is the mean of that to the monitors used, km. The long-term mean is over all days of the table.
        """
        lon, lat = grid.lonlat()
        cells = on_sphere(lat, lon)
        sites = self.monitors.sites
        stations = on_sphere(sites["latitude"].to_numpy(float), sites["longitude"].to_numpy(float))
        values = self.monitors.matrix(days).astype(np.float64)
        means = _long_term(self.monitors)
        fields = {
            name: np.full((len(days), *grid.shape), np.nan, dtype=np.float32) for name in self.variables
        }
        for i, day_values in enumerate(values):
            known = np.isfinite(day_values)
            at_cells = {name: np.empty(len(cells), dtype=np.float32) for name in self.variables}
            for first in range(0, len(cells), CELLS_AT_ONCE):
                part = slice(first, first + CELLS_AT_ONCE)
                near = _nearest(stations[known], cells[part])
                for name, at_points in _fields(*near, means[known], day_values[known]).items():
                    at_cells[name][part] = at_points
            for name, values_at in at_cells.items():
                fields[name][i, grid.land] = values_at
        return fields


def knnidw_left_out(
    monitors: Monitors, days: list[dt.date], held_out: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[np.float32]]:
    """Compute the fields at the stations themselves, from monitors at other places: (day, station) by name.

    Args:
        monitors: whose sites the fields are for, in their order.
        days: to compute.
        held_out: bool (station,): stations whose values are not used.
    """
    lat, lon = (monitors.sites[name].to_numpy(float) for name in ("latitude", "longitude"))
    stations = on_sphere(lat, lon)
    place = Stations(lat, lon, np.zeros(len(lat))).places()
    means = _long_term(monitors)
    fields = {name: np.full((len(days), len(lat)), np.nan, dtype=np.float32) for name in KNNIDW_FIELDS}
    for i, day_values in enumerate(monitors.matrix(days).astype(np.float64)):
        known = np.isfinite(day_values) & ~held_out
        if known.any():
            near = _nearest(stations[known], stations, (place[known], place))
            for name, values_at in _fields(*near, means[known], day_values[known]).items():
                fields[name][i] = values_at
    return fields


def _fields(
    weights: FloatArray, index: IntArray, means: FloatArray, values: FloatArray
) -> dict[str, FloatArray]:
    """Compute one day's fields (point,) by name from the result of `_nearest`; NaN where there is no station."""
    used = weights > 0
    away = np.divide(1, weights, out=np.zeros_like(weights), where=used)
    with np.errstate(invalid="ignore"):
        return {
            "knnidw_distance": away.sum(axis=1) / used.sum(axis=1),
            "knnidw_pm25": (means[index] * weights).sum(axis=1) / weights.sum(axis=1),
            "knnidw_pm25_val": (values[index] * weights).sum(axis=1) / weights.sum(axis=1),
        }


def _nearest(
    stations: FloatArray, points: FloatArray, place: tuple[IntArray, IntArray] | None = None
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """Find the nearest stations of every point: weights in 1/km and numbers, (point, neighbour).

    Args:
        stations, points: on the unit sphere (station, 3) and (point, 3).
        place: numbers of the places of stations and of points; stations at a point's own place weigh nothing.
    """
    alike = 0 if place is None else int(np.bincount(place[0]).max())
    count = min(NEIGHBOURS + alike, len(stations))
    chord, index = cKDTree(stations).query(points, k=list(range(1, count + 1)))
    # From the chord through the sphere to the distance along its surface.
    distance = 2 * EARTH_KM * np.arcsin(np.minimum(chord / 2, 1))
    weights = 1 / np.maximum(distance, NEAREST_KM)
    if place is not None:
        weights[place[0][index] == place[1][:, None]] = 0
        weights[np.cumsum(weights > 0, axis=1) > NEIGHBOURS] = 0
    return weights, index


def _long_term(monitors: Monitors) -> FloatArray:
    """Return the mean of every station over all the days it measured (station,)."""
    table = monitors.matrix(monitors.days)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = np.nansum(table, axis=0) / np.isfinite(table).sum(axis=0)
    return mean
