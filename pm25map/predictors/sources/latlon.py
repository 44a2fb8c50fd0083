"""Any source of netCDF files on latitude and longitude or a projection: what differs is a list of entries."""

import datetime as dt
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.regrid import Field, regrid_field
from pm25map.predictors.sources.files import Versions, choose_versions, find_files
from pm25map.predictors.sources.netcdf import check_values, days_in, open_netcdf, read_day
from pm25map.predictors.variables import Variable, variable

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NetcdfEntry:
    """One variable of the table as it is in a provider's files.

    Attributes:
        variable: name in the table.
        file: regular expression of the file's name, with the groups year, and month and day where a file holds
            less than a year.
        datasets: what is read, each under any of some names.
        combine: computes the variable from the datasets, each in the table's unit.
        daily_total: the unit in the file is of the whole day.
        entries_a_day: on the time axis.
        version: of a file by its name, where several are of the same time; the greatest counts.
    """

    variable: str
    file: str
    datasets: tuple[tuple[str, ...], ...]
    combine: Callable[[list[Array]], Array] | None = None
    daily_total: bool = False
    entries_a_day: int = 1
    version: Callable[[re.Match[str]], tuple[int | str, ...]] = lambda match: ()


@dataclass(frozen=True)
class NetcdfSource:
    """A daily source whose files are netCDF.

    Attributes:
        name: of the source, as --source.
        folder: of the files.
        table: all variables of the provider; the source has those of which the folder contains a file.
        no_such_day: returns whether the provider's calendar leaves a day out: it is NaN everywhere, not absent.
    """

    name: str
    folder: Path
    table: tuple[NetcdfEntry, ...]
    no_such_day: Callable[[dt.date], bool] = lambda day: False

    @functools.cached_property
    def entries(self) -> tuple[NetcdfEntry, ...]:
        """Return the entries of the table that have a file.

        Raises:
            BadPredictors: none has.
        """
        entries = tuple(entry for entry in self.table if find_files(self.folder, entry.file))
        if not entries:
            raise BadPredictors(
                f"{self.folder} holds no file of {self.name}: a name must match {self.table[0].file}. Name the "
                f"folder of the provider's files with --files"
            )
        return entries

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables of which the folder contains files."""
        return tuple(entry.variable for entry in self.entries)

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Return the days without a file, or in no file, each with the reason; `grid` does not matter."""
        absent: dict[dt.date, str] = {}
        for entry in self.entries:
            for day in days:
                if self.no_such_day(day):
                    continue
                path = self._file(entry, day)
                if path is None:
                    absent.setdefault(day, f"no file of {entry.variable}")
                elif self._days(path).count(day) < entry.entries_a_day:
                    absent.setdefault(day, f"{path.name} does not hold the whole day")
        return absent

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, Array]:
        """Read and regrid the variables: (day, y, x) by name.

        Raises:
            BadPredictors: a file is damaged, of another product or unit, or does not reach the grid.
        """
        return {
            entry.variable: np.stack([self._day(entry, day, grid) for day in days]) for entry in self.entries
        }

    def _day(self, entry: NetcdfEntry, day: dt.date, grid: Grid) -> Array:
        row = variable(entry.variable)
        if self.no_such_day(day):
            return np.full(grid.shape, np.nan, dtype=np.float32)
        path = self._file(entry, day)
        if path is None:
            raise BadPredictors(f"{self.folder} lacks the file of {entry.variable} on {day}: get it")
        parts = [
            read_day(path, names, day, row, grid, daily_total=entry.daily_total) for names in entry.datasets
        ]
        values = parts[0].values if entry.combine is None else entry.combine([part.values for part in parts])
        check_values(values, row, f"{path} on {day}")
        return clipped_to_range(
            regrid_field(Field(values, parts[0].y, parts[0].x, parts[0].crs), grid, row.resampling), row
        )

    def _file(self, entry: NetcdfEntry, day: dt.date) -> Path | None:
        return self._versions[entry.variable].chosen.get((day.year, day.month, day.day)[: self._depth(entry)])

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Name the files that another version replaces."""
        lines = (line for versions in self._versions.values() for line in versions.passed_over)
        return tuple(dict.fromkeys(lines))

    @functools.cached_property
    def _versions(self) -> dict[str, Versions[tuple[int, ...]]]:
        """Choose the file of every year, month or day, by variable."""
        return {entry.variable: self._chosen(entry) for entry in self.entries}

    def _chosen(self, entry: NetcdfEntry) -> Versions[tuple[int, ...]]:
        parts = ("year", "month", "day")[: self._depth(entry)]
        files = find_files(self.folder, entry.file)
        return choose_versions(files, lambda _, m: tuple(int(m[part]) for part in parts), entry.version)

    @functools.cached_property
    def _known_days(self) -> dict[Path, list[dt.date]]:
        return {}

    def _days(self, path: Path) -> list[dt.date]:
        if path not in self._known_days:
            with open_netcdf(path) as dataset:
                self._known_days[path] = days_in(dataset, path)
        return self._known_days[path]

    @staticmethod
    def _depth(entry: NetcdfEntry) -> int:
        return 1 + ("(?P<month>" in entry.file) + ("(?P<day>" in entry.file)


def clipped_to_range(values: Array, row: Variable) -> Array:
    """Clip values to the valid range: interpolation in float32 may exceed it by rounding."""
    return np.clip(values, row.valid_min, row.valid_max).astype(np.float32)
