"""Daily fields of PM2.5 around every cell, from the monitors. Every monitor counts: this is for maps."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pm25map.base.days import days_between
from pm25map.base.errors import BadMonitors
from pm25map.base.files import sha256_of_bytes
from pm25map.grid import Grid
from pm25map.monitors import Monitors
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.map_fields import fields_at
from pm25map.predictors.neighbours import FIELDS, FIELDS_VERSION, Stations
from pm25map.predictors.sources import DayInputs


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The neighbours source.

    Attributes:
        monitors: that the fields are computed from.
        elevation: m (y, x) of the grid's cells, NaN off land: the static layer of the store.
        days_together: the covariance of cells with monitors is shared by the days of a batch.
    """

    days_together: ClassVar[bool] = True

    monitors: Monitors
    elevation: npt.NDArray[np.float32]

    @property
    def name(self) -> str:
        """Return the name of the source, as for --source."""
        return "neighbours"

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the names of its fields."""
        return tuple(FIELDS)

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Return the days on which no monitor measured, each with the reason; `grid` does not matter."""
        silent = [bool(np.isnan(values).all()) for values in self.monitors.matrix(days)]
        return {day: "no monitor measured" for day, none in zip(days, silent, strict=True) if none}

    def inputs_of(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, DayInputs]:
        """Return the fingerprints of some days: of the monitors of the day and of MEMORY_DAYS before it.

        The facts count the monitors that measured on the day, by network and parameter.
        """
        if not days:
            return {}
        fed = days_between(days[0] - dt.timedelta(days=MEMORY_DAYS), days[-1])
        row = {day: i for i, day in enumerate(fed)}
        values, codes = self.monitors.matrix(fed), self.monitors.codes(fed)
        sites = self.monitors.sites
        names = sites["site_id"].to_numpy(dtype=str)
        where = sites[["latitude", "longitude"]].to_numpy("<f8").round(6)
        place = sha256_of_bytes(
            grid.checksum.encode(),
            np.ascontiguousarray(self.elevation, "<f4").tobytes(),
            str(FIELDS_VERSION).encode(),
        )
        inputs = {}
        for day in days:
            span = slice(row[day] - MEMORY_DAYS, row[day] + 1)
            used = np.isfinite(values[span]).any(axis=0)
            digest = sha256_of_bytes(
                place.encode(),
                "\n".join(names[used]).encode(),
                where[used].tobytes(),
                values[span][:, used].astype("<f4").tobytes(),
                codes[span][:, used].astype("<i4").tobytes(),
            )
            inputs[day] = DayInputs(int(digest[:16], 16) >> 1 or 1, self.monitors.facts_of(day))
        return inputs

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Compute the fields of some days at the cell centres: (day, y, x) by name, NaN off land.

        Raises:
            BadMonitors: no monitor measured on one of the days.
        """
        # The days before only feed the first ones: a monitor without a value today counts by that of yesterday.
        fed = days_between(days[0] - dt.timedelta(days=MEMORY_DAYS), days[-1])
        values = self.monitors.matrix(fed)
        silent = [day for day in days if np.isnan(values[fed.index(day)]).all()]
        if silent:
            measured = self.monitors.days
            reach = f"they have the days {measured[0]} to {measured[-1]}" if measured else "they hold no day"
            raise BadMonitors(
                f"no monitor measured on {silent[0]} ({len(silent)} such days): {reach}. "
                f"Get EPA's daily files of that year and name their folder with --monitors"
            )
        lon, lat = grid.lonlat()
        at_cells = fields_at(
            values,
            self.monitors.codes(fed),
            stations_on(grid, self.elevation, self.monitors),
            lat,
            lon,
            self.elevation[grid.land],
        )
        fields = {}
        for name in self.variables:
            fields[name] = np.full((len(days), *grid.shape), np.nan, dtype=np.float32)
            fields[name][:, grid.land] = at_cells[name]
        return fields


def stations_on(grid: Grid, elevation: npt.NDArray[np.float32], monitors: Monitors) -> Stations:
    """Return the positions of the monitors, with the elevation of the land cell that contains each or is nearest to it.

    Args:
        grid: of the elevation.
        elevation: m (y, x), NaN off land.
        monitors: in the order of their sites. Outside of the grid they get 0 m: they are too far to matter.
    """
    lat = monitors.sites["latitude"].to_numpy(np.float64)
    lon = monitors.sites["longitude"].to_numpy(np.float64)
    row, col = grid.cells_at(lon, lat)
    nearest = ndimage.distance_transform_edt(np.isnan(elevation), return_distances=False, return_indices=True)
    heights = elevation[nearest[0], nearest[1]][row, col].astype(np.float64)
    return Stations(lat, lon, np.where(row < 0, 0.0, heights))
