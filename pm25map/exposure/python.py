"""The Python call: `pm25map.extract`."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pm25map.base.errors import BadMap, BadPoints
from pm25map.exposure.areas import read_areas
from pm25map.exposure.columns import Extraction
from pm25map.exposure.extract_areas import extract_areas
from pm25map.exposure.extract_points import extract_points
from pm25map.exposure.maps import Cells, DailyMaps, Floats, find_maps, model_of
from pm25map.exposure.points import Method, points_of, read_points
from pm25map.grid.geotiff import Georeference
from pm25map.view.layers import PM25


@dataclass(frozen=True)
class DatasetMaps:
    """Maps of a dataset, as `pm25map.open` returns it; attributes as `DailyMaps`."""

    maps: xr.Dataset
    place: Georeference
    key: str
    unit: str
    made_by: str
    notes: tuple[str, ...] = ()

    @property
    def days(self) -> list[dt.date]:
        """List the days, oldest first."""
        found: list[dt.date] = sorted(self.maps.pm25map.days)
        return found

    def values(self, day: dt.date, cells: Cells) -> Floats:
        """Read some cells of a day, which is computed now."""
        band = self.maps[self.key]
        of_day = band.sel(day=np.datetime64(day)) if "day" in band.dims else band
        return np.asarray(of_day.values.ravel()[cells], dtype=np.float64)

    def identity(self) -> list[list[str | int]]:
        """Name the predictors that every day is made of."""
        return [
            [str(day), self.maps.pm25map.provenance(day, "map.tif").predictors_checksum] for day in self.days
        ]


def extract(
    maps: str | Path | Iterable[str | Path] | xr.Dataset,
    *,
    points: pd.DataFrame | str | Path | None = None,
    areas: str | Path | None = None,
    id_column: str | None = None,
    band: str | None = None,
    method: Method = "nearest",
    mean: bool = False,
    min_coverage: float = 0.75,
) -> pd.DataFrame:
    """Read maps into a table, as `pm25map extract` does.

    Args:
        maps: files, folders of days, or a dataset of `pm25map.open` or `pm25map.predict`.
        points: table with the columns id, lat, lon (degrees) and, for periods, start_date and end_date; or its file.
        areas: "county", "state", or a file of polygons. Give either this or points.
        id_column: column of the polygons that names an area.
        band: PM2.5 where None.
        method: of a point's value, "nearest" or "bilinear".
        mean: one row a period or an area, in place of one a day.
        min_coverage: share of a period's days that must have a value for its mean to be given.

    Returns:
        The rows, by day, then in the order of the points or areas. `attrs` has their provenance and units.

    Raises:
        Pm25mapError: a file or a line is wrong; the message says which, and what to do.
    """
    if (points is None) == (areas is None):
        raise BadPoints("give either points or areas")
    found: DailyMaps
    if isinstance(maps, xr.Dataset):
        found = _of_dataset(maps, band or PM25)
    else:
        paths = [maps] if isinstance(maps, str | Path) else maps
        found = find_maps([Path(path) for path in paths], band)
    asked: Extraction
    if areas is not None:
        asked = extract_areas(found, read_areas(str(areas), id_column), mean=mean, min_coverage=min_coverage)
    else:
        table = (
            points_of(points, "points")
            if isinstance(points, pd.DataFrame)
            else read_points(Path(str(points)))
        )
        asked = extract_points(found, table, method=method, mean=mean, min_coverage=min_coverage)
    rows = [make(lambda done, of: None).to_pandas() for _, make in asked.pieces]
    frame: pd.DataFrame = pd.concat(rows, ignore_index=True)
    about: dict[str, Any] = asked.about | {"notes": asked.notes}
    frame.attrs = {"pm25map": about}
    return frame


def _of_dataset(maps: xr.Dataset, band: str) -> DatasetMaps:
    if band not in maps or maps[band].dims[-2:] != ("y", "x"):
        raise BadMap(f"the dataset has no band {band}: it has {', '.join(map(str, maps.data_vars))}")
    grid, view = maps.pm25map.grid, maps.pm25map.view
    a, b, c, d, e, f = grid.transform
    place = Georeference(
        grid.crs, (a, b, c + a * view.col, d, e, f + e * view.row), (view.height, view.width)
    )
    tags = {str(name): str(value) for name, value in maps.attrs.items()}
    return DatasetMaps(maps, place, band, str(maps[band].attrs.get("units", "")), model_of(tags))
