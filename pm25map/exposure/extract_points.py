"""Tables of maps at places: day by day, or means over periods."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pm25map.base.days import days_between
from pm25map.base.files import sha256_of_bytes
from pm25map.exposure.columns import (
    COUNTS,
    DATE,
    ESTIMATED,
    NO_ESTIMATE,
    NO_MAP,
    OFF,
    STATUS,
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
from pm25map.exposure.maps import DailyMaps
from pm25map.exposure.points import Gather, Method, Points, locate
from pm25map.exposure.table import Maker, Piece, Progress

_WORDS = pa.array(list(STATUS))


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
    value = value_column(maps)
    calendar = days_between(maps.days[0], maps.days[-1])
    about = about_maps(maps, calendar) | {
        "method": method,
        "places": len(points.ids),
        "places_sha256": _checksum(points),
    }
    notes = _notes_of(maps, calendar, points, gather)
    own = [field("id", pa.string(), "", "as in the table of places")]
    if not mean:
        fields = [*own, DATE, value, STATUS_COLUMN]
        of = _day_of_points(maps, points, gather, fields)
        pieces: list[Piece] = [(str(day), of(day)) for day in calendar]
    else:
        if points.dated:
            own += [
                field("start_date", pa.date32(), "", "first day of the period"),
                field("end_date", pa.date32(), "", "last day of the period, included"),
            ]
        about["min_coverage"] = min_coverage
        fields = [*own, *COUNTS, value, STATUS_COLUMN]

        def make(progress: Progress) -> pa.Table:
            return _means_of_points(maps, points, gather, calendar, fields, min_coverage, progress)

        pieces = [("means", make)]
    return extraction_of(fields, pieces, about, notes, daily=not mean)


def _checksum(points: Points) -> str:
    text = "\n".join(points.ids).encode()
    return sha256_of_bytes(
        text, *(values.tobytes() for values in (points.lon, points.lat, points.start, points.end))
    )


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
            return table_of([own, dates, values[rows], _WORDS.take(pa.array(status[rows]))], fields)

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
    enough, status = enough_days(days, length, min_coverage)
    mean = np.full(lines, np.nan)
    mean[enough] = total[enough] / days[enough]
    status[~seen] = NO_MAP
    for off, words in OFF.items():
        status[gather.own == off] = words
    period = [points.start, points.end] if points.dated else []
    return table_of([points.ids, *period, days, length, mean, status], fields)


def _notes_of(maps: DailyMaps, calendar: list[dt.date], points: Points, gather: Gather) -> list[str]:
    notes = [*maps.notes, *missing_days(maps, calendar)]
    for number, words in OFF.items():
        count = int(np.count_nonzero(gather.own == number))
        if count:
            notes.append(f"{count:,} of {len(gather.own):,} places: {words}")
    first, last = np.datetime64(calendar[0], "D"), np.datetime64(calendar[-1], "D")
    beyond = int(np.count_nonzero((points.start < first) | (points.end > last)))
    if beyond:
        notes.append(f"{beyond:,} periods reach beyond the maps, which go from {first} to {last}")
    return notes
