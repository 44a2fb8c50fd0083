"""Tables of maps over areas: day by day, or means over the period of the maps."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from pm25map.base.aqi import CATEGORIES, class_index
from pm25map.base.days import days_between
from pm25map.base.files import sha256_of_bytes
from pm25map.exposure.areas import Areas, Weights, weigh
from pm25map.exposure.columns import (
    COUNTS,
    DATE,
    ESTIMATED,
    IN_PART,
    NO_ESTIMATE,
    NO_MAP,
    PEOPLE,
    STATUS_COLUMN,
    Extraction,
    about_maps,
    enough_days,
    extraction_of,
    field,
    missing_days,
    table_of,
    value_column,
)
from pm25map.exposure.maps import DailyMaps, Floats
from pm25map.exposure.table import Maker, Piece, Progress
from pm25map.grid.geotiff import is_ugm3
from pm25map.view.layers import PM25

MOST_MISSING = 0.5
"""Share of an area, or of its people, that may be without a value: the mean of less is not given."""

_SHARES = [
    field("covered", pa.float64(), "1", "share of the area that has values, 0 to 1"),
    PEOPLE,
    field("people_known", pa.float64(), "people", "those of them who live in cells with a value"),
]


def _slug(name: str) -> str:
    return name.lower().replace(" ", "_")


_CLASS_PEOPLE = [
    field(f"people_{_slug(one.name)}", pa.float64(), "people", f"who live in cells of the class {one.name}")
    for one in CATEGORIES
]
_CLASS_DAYS = [
    field(
        f"days_{_slug(one.name)}_or_worse",
        pa.int64(),
        "d",
        f"days whose mean over the area is {one.name} or worse",
    )
    for one in CATEGORIES[1:]
]


def extract_areas(
    maps: DailyMaps,
    areas: Areas,
    *,
    mean: bool = False,
    min_coverage: float = 0.75,
) -> Extraction:
    """Prepare a table of areas: by day, then in the order of the areas; of means, in their order.

    Args:
        maps: to read.
        areas: the areas.
        mean, min_coverage: as `extract_points`; the period is that of the maps.

    Raises:
        BadAreas: no area lies on the maps.
    """
    weights = weigh(areas, maps.place)
    calendar = days_between(maps.days[0], maps.days[-1])
    about = about_maps(maps, calendar) | {
        "areas": len(areas.ids),
        "areas_sha256": sha256_of_bytes("\n".join(areas.ids).encode(), *shapely.to_wkb(areas.planar)),
        "population": "Census of 2020 by block groups, each at its centre of population",
    }
    notes = [*maps.notes, *missing_days(maps, calendar)]
    name = value_column(maps).name
    unit = maps.unit
    by_people = field(
        name.replace(maps.key, f"{maps.key}_of_people", 1), pa.float64(), unit, "mean over the people"
    )
    own = [
        field("area", pa.string(), "", "as its file names it; FIPS of counties and states"),
        field("name", pa.string(), "", "name of the area"),
    ]
    by_area = field(name, pa.float64(), unit, "mean over the area, by km2 of every cell that lies in it")
    classes = _is_pm25(maps)
    if not mean:
        fields = [
            *own,
            DATE,
            by_area,
            by_people,
            *_SHARES,
            *(_CLASS_PEOPLE if classes else []),
            STATUS_COLUMN,
        ]
        pieces: list[Piece] = [
            (str(day), _day_of_areas(maps, areas, weights, day, fields, classes=classes)) for day in calendar
        ]
    else:
        about["min_coverage"] = min_coverage
        fields = [*own, *COUNTS, by_area, by_people, *(_CLASS_DAYS if classes else []), PEOPLE, STATUS_COLUMN]

        def make(progress: Progress) -> pa.Table:
            return _means_of_areas(
                maps, areas, weights, calendar, fields, min_coverage, progress, classes=classes
            )

        pieces = [("means", make)]
    return extraction_of(fields, pieces, about, notes, daily=not mean)


@dataclass(frozen=True)
class _Sums:
    """What one day is in every area, (area,): means, and the area (km2) and people that they are of."""

    by_area: Floats
    by_people: Floats
    known_km2: Floats
    known_people: Floats

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Return which areas have a mean of either kind: one too small for an outline has people all the same."""
        return np.isfinite(self.by_area) | np.isfinite(self.by_people)


def _sums_of(values: Floats, weights: Weights) -> _Sums:
    known = np.isfinite(values)
    filled, there = np.where(known, values, 0.0), known.astype(np.float64)
    km2, people = weights.area @ there, weights.people @ there
    nothing = np.full(len(km2), np.nan)
    most_km2 = (km2 > 0) & (km2 >= MOST_MISSING * weights.area_km2)
    most_people = (people > 0) & (people >= MOST_MISSING * weights.all_people)
    return _Sums(
        by_area=np.divide(weights.area @ filled, km2, out=nothing.copy(), where=most_km2),
        by_people=np.divide(weights.people @ filled, people, out=nothing.copy(), where=most_people),
        known_km2=km2,
        known_people=people,
    )


def _day_of_areas(
    maps: DailyMaps, areas: Areas, weights: Weights, day: dt.date, fields: list[pa.Field], *, classes: bool
) -> Maker:
    there = set(maps.days)

    def make(_: Progress) -> pa.Table:
        count = len(areas.ids)
        values = maps.values(day, weights.cells) if day in there else np.full(len(weights.cells), np.nan)
        sums = _sums_of(values, weights)
        by_class = []
        if classes:
            of = class_index(values)
            by_class = [
                weights.people @ (of == number).astype(np.float64) for number in range(len(CATEGORIES))
            ]
        some = (sums.known_km2 > 0) | (sums.known_people > 0)
        status = np.where(sums.known, ESTIMATED, np.where(some, IN_PART, NO_ESTIMATE)).astype(object)
        if day not in there:
            status[:] = NO_MAP
        covered = np.full(count, np.nan)
        np.divide(sums.known_km2, weights.area_km2, out=covered, where=weights.area_km2 > 0)
        columns = [areas.ids, areas.names, np.full(count, np.datetime64(day, "D")), sums.by_area, sums.by_people,
                   np.minimum(covered, 1.0), weights.all_people, sums.known_people, *by_class, status]  # fmt: skip
        return table_of(columns, fields)

    return make


def _means_of_areas(
    maps: DailyMaps,
    areas: Areas,
    weights: Weights,
    calendar: list[dt.date],
    fields: list[pa.Field],
    min_coverage: float,
    progress: Progress,
    *,
    classes: bool,
) -> pa.Table:
    count = len(areas.ids)
    total, of_people = np.zeros(count), np.zeros(count)
    days, area_days, people_days = (np.zeros(count, np.int64) for _ in range(3))
    above = np.zeros((len(CATEGORIES), count), np.int64)
    for number, day in enumerate(maps.days):
        progress(number, len(maps.days))
        sums = _sums_of(maps.values(day, weights.cells), weights)
        days += sums.known
        total += np.nan_to_num(sums.by_area)
        area_days += np.isfinite(sums.by_area)
        of_people += np.nan_to_num(sums.by_people)
        people_days += np.isfinite(sums.by_people)
        of = class_index(sums.by_area)
        above += (of[None] >= np.arange(len(CATEGORIES))[:, None]) & np.isfinite(sums.by_area)
    length = np.full(count, len(calendar))
    enough, status = enough_days(days, length, min_coverage)
    means = [
        np.where(enough & (n > 0), sum_ / np.maximum(n, 1), np.nan)
        for sum_, n in ((total, area_days), (of_people, people_days))
    ]
    extra = list(above[1:]) if classes else []
    return table_of(
        [areas.ids, areas.names, days, length, *means, *extra, weights.all_people, status], fields
    )


def _is_pm25(maps: DailyMaps) -> bool:
    return maps.key == PM25 and is_ugm3(maps.unit)
