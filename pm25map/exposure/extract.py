"""Tables of maps at places and over areas: day by day, or means over periods."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from pm25map import __version__
from pm25map.base.aqi import CATEGORIES, class_index
from pm25map.base.days import days_between
from pm25map.base.files import sha256_of_bytes
from pm25map.exposure.areas import Areas, Weights, weigh
from pm25map.exposure.maps import DailyMaps, Floats
from pm25map.exposure.points import NO_POSITION, OFF_GRID, Gather, Method, Points, locate
from pm25map.exposure.table import Maker, Piece, Progress
from pm25map.grid.geotiff import is_ugm3
from pm25map.view.layers import PM25

ESTIMATED = "estimated"
NO_ESTIMATE = "no estimate"
NO_MAP = "no map"
TOO_FEW_DAYS = "too few days"
IN_PART = "in part"
MOST_MISSING = 0.5
"""Share of an area, or of its people, that may be without a value: the mean of less is not given."""

OFF = {OFF_GRID: "off the grid", NO_POSITION: "no position"}

STATUS = {
    ESTIMATED: "the maps have a value there",
    NO_ESTIMATE: "the maps have none there: water, or land that was not estimated",
    NO_MAP: "there is no map of the day, or of any day of the period",
    IN_PART: "the maps have values in less than half of the area, and where less than half of its people live",
    TOO_FEW_DAYS: "of fewer days of the period there is a value than --min-coverage asks for",
    OFF[OFF_GRID]: "the place lies outside of the maps",
    OFF[NO_POSITION]: "the table of places has no position",
}

_WORDS = pa.array(list(STATUS))


@dataclass(frozen=True)
class Extraction:
    """A table before it is made.

    Attributes:
        schema: its columns; units and meanings in their metadata.
        pieces: name and maker of every part, in order.
        about: provenance, as JSON takes it.
        notes: what a reader must know at once.
        daily: a row is of a day, so that a part of the pieces is worth keeping.
    """

    schema: pa.Schema
    pieces: list[Piece]
    about: dict[str, Any]
    notes: list[str]
    daily: bool


def extract_points(
    maps: DailyMaps,
    points: Points,
    *,
    method: Method = "nearest",
    mean: bool = False,
    min_coverage: float = 0.75,
) -> Extraction:
    """Prepare a table of places: by day, then in the order of the places; of means, in their order.

    Args:
        maps: to read.
        points: places and their periods.
        method: of a place's value: its own cell's, or bilinear between the four around it.
        mean: one row a period, in place of one a day.
        min_coverage: share of the days of a period, 0 to 1, that must have a value for its mean to be given.

    Raises:
        BadPoints: no place lies on the maps.
    """
    gather = locate(points, maps.place, method)
    value = _column(maps)
    calendar = days_between(maps.days[0], maps.days[-1])
    about = _about(maps, calendar) | {
        "method": method,
        "places": len(points.ids),
        "places_sha256": _checksum(points),
    }
    notes = _notes_of(maps, calendar, points, gather)
    own = [_field("id", pa.string(), "", "as in the table of places")]
    if not mean:
        fields = [*own, _DATE, value, _STATUS]
        of = _day_of_points(maps, points, gather, fields)
        pieces: list[Piece] = [(str(day), of(day)) for day in calendar]
    else:
        if points.dated:
            own += [
                _field("start_date", pa.date32(), "", "first day of the period"),
                _field("end_date", pa.date32(), "", "last day of the period, included"),
            ]
        about["min_coverage"] = min_coverage
        fields = [*own, *_COUNTS, value, _STATUS]

        def make(progress: Progress) -> pa.Table:
            return _means_of_points(maps, points, gather, calendar, fields, min_coverage, progress)

        pieces = [("means", make)]
    return _extraction(fields, pieces, about, notes, daily=not mean)


def _checksum(points: Points) -> str:
    text = "\n".join(points.ids).encode()
    return sha256_of_bytes(
        text, *(values.tobytes() for values in (points.lon, points.lat, points.start, points.end))
    )


def _extraction(
    fields: list[pa.Field], pieces: list[Piece], about: dict[str, Any], notes: list[str], *, daily: bool
) -> Extraction:
    columns = {
        field.name: {key.decode(): value.decode() for key, value in field.metadata.items()}
        for field in fields
    }
    return Extraction(pa.schema(fields), pieces, about | {"columns": columns}, notes, daily)


def _day_of_points(
    maps: DailyMaps, points: Points, gather: Gather, fields: list[pa.Field]
) -> Callable[[dt.date], Maker]:
    """Return what prepares the rows of a day."""
    there, ids = set(maps.days), pa.array(points.ids, pa.string())

    def of(day: dt.date) -> Maker:
        def make(_: Progress) -> pa.Table:
            on = _active(points, day)
            values = gather(maps.values(day, gather.cells)) if day in there else np.full(len(on), np.nan)
            status = _status_codes(gather.own, np.isfinite(values), NO_ESTIMATE if day in there else NO_MAP)
            rows = slice(None) if on.all() else on
            own = ids if on.all() else ids.filter(pa.array(on))
            dates = np.full(np.count_nonzero(on), np.datetime64(day, "D"))
            return _table([own, dates, values[rows], _WORDS.take(pa.array(status[rows]))], fields)

        return make

    return of


def _active(points: Points, day: dt.date) -> npt.NDArray[np.bool_]:
    if not points.dated:
        return np.ones(len(points.ids), dtype=np.bool_)
    at = np.datetime64(day, "D")
    return np.isnat(points.start) | ((points.start <= at) & (at <= points.end))


def _status_codes(
    own: npt.NDArray[np.int64], known: npt.NDArray[np.bool_], otherwise: str
) -> npt.NDArray[np.int8]:
    """Return what every value is, (line,), as numbers of the words in STATUS.

    Args:
        own: of `Gather`.
        known: whether there is a value.
        otherwise: why there is none, of a place that lies on the maps.
    """
    words = list(STATUS)
    codes = np.where(known, np.int8(words.index(ESTIMATED)), np.int8(words.index(otherwise)))
    for number, off in OFF.items():
        codes[own == number] = words.index(off)
    return codes


def _means_of_points(
    maps: DailyMaps,
    points: Points,
    gather: Gather,
    calendar: list[dt.date],
    fields: list[pa.Field],
    min_coverage: float,
    progress: Progress,
) -> pa.Table:
    lines = len(points.ids)
    total, days = np.zeros(lines), np.zeros(lines, dtype=np.int64)
    seen = np.zeros(lines, dtype=np.bool_)
    for number, day in enumerate(maps.days):
        progress(number, len(maps.days))
        values = gather(maps.values(day, gather.cells))
        on = _active(points, day)
        seen |= on
        known = on & np.isfinite(values)
        total[known] += values[known]
        days += known
    length = np.full(lines, len(calendar), dtype=np.int64)
    own_period = ~np.isnat(points.start)
    length[own_period] = (points.end - points.start)[own_period].astype(np.int64) + 1
    enough = (days > 0) & (days >= min_coverage * length)
    mean = np.full(lines, np.nan)
    mean[enough] = total[enough] / days[enough]
    status = np.where(enough, ESTIMATED, np.where(days > 0, TOO_FEW_DAYS, NO_ESTIMATE)).astype(object)
    status[~seen] = NO_MAP
    for off, words in OFF.items():
        status[gather.own == off] = words
    period = [points.start, points.end] if points.dated else []
    return _table([points.ids, *period, days, length, mean, status], fields)


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
    about = _about(maps, calendar) | {
        "areas": len(areas.ids),
        "areas_sha256": sha256_of_bytes("\n".join(areas.ids).encode(), *shapely.to_wkb(areas.planar)),
        "population": "Census of 2020 by block groups, each at its centre of population",
    }
    notes = [*maps.notes, *_missing(maps, calendar)]
    name = _column(maps).name
    unit = maps.unit
    by_people = _field(
        name.replace(maps.key, f"{maps.key}_of_people", 1), pa.float64(), unit, "mean over the people"
    )
    own = [
        _field("area", pa.string(), "", "as its file names it; FIPS of counties and states"),
        _field("name", pa.string(), "", "name of the area"),
    ]
    by_area = _field(name, pa.float64(), unit, "mean over the area, by km2 of every cell that lies in it")
    classes = _is_pm25(maps)
    if not mean:
        fields = [*own, _DATE, by_area, by_people, *_SHARES, *(_CLASS_PEOPLE if classes else []), _STATUS]
        pieces: list[Piece] = [
            (str(day), _day_of_areas(maps, areas, weights, day, fields, classes=classes)) for day in calendar
        ]
    else:
        about["min_coverage"] = min_coverage
        fields = [*own, *_COUNTS, by_area, by_people, *(_CLASS_DAYS if classes else []), _PEOPLE, _STATUS]

        def make(progress: Progress) -> pa.Table:
            return _means_of_areas(
                maps, areas, weights, calendar, fields, min_coverage, progress, classes=classes
            )

        pieces = [("means", make)]
    return _extraction(fields, pieces, about, notes, daily=not mean)


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
        return _table(columns, fields)

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
    enough = (days > 0) & (days >= min_coverage * len(calendar))
    means = [
        np.where(enough & (n > 0), sum_ / np.maximum(n, 1), np.nan)
        for sum_, n in ((total, area_days), (of_people, people_days))
    ]
    status = np.where(enough, ESTIMATED, np.where(days > 0, TOO_FEW_DAYS, NO_ESTIMATE)).astype(object)
    length = np.full(count, len(calendar))
    extra = list(above[1:]) if classes else []
    return _table([areas.ids, areas.names, days, length, *means, *extra, weights.all_people, status], fields)


def _field(name: str, kind: pa.DataType, unit: str, meaning: str) -> pa.Field:
    return pa.field(
        name, kind, metadata={"unit": unit, "description": meaning} if unit else {"description": meaning}
    )


_DATE = _field("date", pa.date32(), "", "day of the map")
_STATUS = _field(
    "status", pa.string(), "", "; ".join(f"{word}: {meaning}" for word, meaning in STATUS.items())
)
_COUNTS = [
    _field("days", pa.int64(), "d", "days of the period with a value"),
    _field("days_of_period", pa.int64(), "d", "days of the period, with a map or without"),
]
_PEOPLE = _field("people", pa.float64(), "people", "who live in the area, by the Census of 2020")
_SHARES = [
    _field("covered", pa.float64(), "1", "share of the area that has values, 0 to 1"),
    _PEOPLE,
    _field("people_known", pa.float64(), "people", "those of them who live in cells with a value"),
]


def _slug(name: str) -> str:
    return name.lower().replace(" ", "_")


_CLASS_PEOPLE = [
    _field(f"people_{_slug(one.name)}", pa.float64(), "people", f"who live in cells of the class {one.name}")
    for one in CATEGORIES
]
_CLASS_DAYS = [
    _field(
        f"days_{_slug(one.name)}_or_worse",
        pa.int64(),
        "d",
        f"days whose mean over the area is {one.name} or worse",
    )
    for one in CATEGORIES[1:]
]


def _is_pm25(maps: DailyMaps) -> bool:
    return maps.key == PM25 and is_ugm3(maps.unit)


def _column(maps: DailyMaps) -> pa.Field:
    name = f"{maps.key}_ugm3" if is_ugm3(maps.unit) else maps.key
    return _field(name, pa.float64(), maps.unit, "value of the maps")


def _table(columns: list[Any], fields: list[pa.Field]) -> pa.Table:
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, type=field.type, from_pandas=True)
        for values, field in zip(columns, fields, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _about(maps: DailyMaps, calendar: list[dt.date]) -> dict[str, Any]:
    """Return where the values come from: what changes when they do."""
    place = maps.place
    return {
        "software": f"pm25map {__version__}",
        "band": maps.key,
        "unit": maps.unit,
        "made_by": maps.made_by,
        "crs": place.crs,
        "transform": list(place.transform),
        "shape": list(place.shape),
        "first_day": str(calendar[0]),
        "last_day": str(calendar[-1]),
        "days_without_map": [str(day) for day in sorted(set(calendar) - set(maps.days))],
        "maps": maps.identity(),
    }


def _missing(maps: DailyMaps, calendar: list[dt.date]) -> list[str]:
    lacking = sorted(set(calendar) - set(maps.days))
    if not lacking:
        return []
    some = ", ".join(map(str, lacking[:3])) + (" ..." if len(lacking) > 3 else "")
    return [f"no map of {len(lacking)} of {len(calendar)} days from {calendar[0]} to {calendar[-1]}: {some}"]


def _notes_of(maps: DailyMaps, calendar: list[dt.date], points: Points, gather: Gather) -> list[str]:
    notes = [*maps.notes, *_missing(maps, calendar)]
    for number, words in OFF.items():
        count = int(np.count_nonzero(gather.own == number))
        if count:
            notes.append(f"{count:,} of {len(gather.own):,} places: {words}")
    first, last = np.datetime64(calendar[0], "D"), np.datetime64(calendar[-1], "D")
    beyond = int(np.count_nonzero((points.start < first) | (points.end > last)))
    if beyond:
        notes.append(f"{beyond:,} periods reach beyond the maps, which go from {first} to {last}")
    return notes
