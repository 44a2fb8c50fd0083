"""What tables of places and of areas share: their columns, the status of a line, and what they say of the maps."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pm25map import __version__
from pm25map.exposure.maps import DailyMaps
from pm25map.exposure.points import NO_POSITION, OFF_GRID
from pm25map.exposure.table import Piece
from pm25map.grid.geotiff import is_ugm3

ESTIMATED = "estimated"
NO_ESTIMATE = "no estimate"
NO_MAP = "no map"
TOO_FEW_DAYS = "too few days"
IN_PART = "in part"
OFF = {OFF_GRID: "off the grid", NO_POSITION: "no position"}

STATUS: Final[dict[str, str]] = {
    ESTIMATED: "the maps have a value there",
    NO_ESTIMATE: "the maps have none there: water, or land that was not estimated",
    NO_MAP: "there is no map of the day, or of any day of the period",
    IN_PART: "the maps have values in less than half of the area, and where less than half of its people live",
    TOO_FEW_DAYS: "of fewer days of the period there is a value than --min-coverage asks for",
    OFF[OFF_GRID]: "the place lies outside of the maps",
    OFF[NO_POSITION]: "the table of places has no position",
}


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


def extraction_of(
    fields: list[pa.Field], pieces: list[Piece], about: dict[str, Any], notes: list[str], *, daily: bool
) -> Extraction:
    """Return a table before it is made, with the units and meanings of its columns in its provenance."""
    columns = {
        one.name: {key.decode(): value.decode() for key, value in one.metadata.items()} for one in fields
    }
    return Extraction(pa.schema(fields), pieces, about | {"columns": columns}, notes, daily)


def enough_days(
    days: npt.NDArray[np.int64], length: npt.NDArray[np.int64], min_coverage: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.object_]]:
    """Return which lines have a value on enough days of their periods, and the status of each line.

    Args:
        days: with a value, (line,).
        length: of the periods, days (line,).
        min_coverage: share of the days that must have one; one day at least must.
    """
    enough = (days > 0) & (days >= min_coverage * length)
    status = np.where(enough, ESTIMATED, np.where(days > 0, TOO_FEW_DAYS, NO_ESTIMATE)).astype(object)
    return enough, status


def field(name: str, kind: pa.DataType, unit: str, meaning: str) -> pa.Field:
    """Return a column; its unit, empty where it has none, and its meaning are its metadata."""
    return pa.field(
        name, kind, metadata={"unit": unit, "description": meaning} if unit else {"description": meaning}
    )


DATE: Final[pa.Field] = field("date", pa.date32(), "", "day of the map")
STATUS_COLUMN: Final[pa.Field] = field(
    "status", pa.string(), "", "; ".join(f"{word}: {meaning}" for word, meaning in STATUS.items())
)
COUNTS: Final[list[pa.Field]] = [
    field("days", pa.int64(), "d", "days of the period with a value"),
    field("days_of_period", pa.int64(), "d", "days of the period, with a map or without"),
]
PEOPLE: Final[pa.Field] = field(
    "people", pa.float64(), "people", "who live in the area, by the Census of 2020"
)


def value_column(maps: DailyMaps) -> pa.Field:
    """Return the column of the maps' values, its unit in its name where that is ug m-3."""
    name = f"{maps.key}_ugm3" if is_ugm3(maps.unit) else maps.key
    return field(name, pa.float64(), maps.unit, "value of the maps")


def table_of(columns: list[Any], fields: list[pa.Field]) -> pa.Table:
    """Return a table of columns, in the order of their fields."""
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, type=one.type, from_pandas=True)
        for values, one in zip(columns, fields, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def about_maps(maps: DailyMaps, calendar: list[dt.date]) -> dict[str, Any]:
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


def missing_days(maps: DailyMaps, calendar: list[dt.date]) -> list[str]:
    """Describe the days without a map in one note; none where every day has one."""
    lacking = sorted(set(calendar) - set(maps.days))
    if not lacking:
        return []
    some = ", ".join(map(str, lacking[:3])) + (" ..." if len(lacking) > 3 else "")
    return [f"no map of {len(lacking)} of {len(calendar)} days from {calendar[0]} to {calendar[-1]}: {some}"]
