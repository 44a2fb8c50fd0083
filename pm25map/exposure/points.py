"""Places of people: a table of ids, positions and periods, checked line by line, and their cells."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.errors import BadPoints
from pm25map.exposure.maps import Cells, Floats
from pm25map.grid.geotiff import Georeference
from pm25map.grid.grid import LONLAT, transformer

Method = Literal["nearest", "bilinear"]
Days = npt.NDArray[np.datetime64]

_NAMES = {"id": ("id",), "lat": ("lat", "latitude"), "lon": ("lon", "longitude", "long", "lng")}
_PERIOD = ("start_date", "end_date")

OFF_GRID = -1
NO_POSITION = -2


@dataclass(frozen=True)
class Points:
    """Places of people, in the order of their table; several lines of one id are a history of residences.

    Attributes:
        ids: text (line,).
        lon, lat: float64 (line,), degrees (WGS84), NaN where the table has no position.
        start, end: days (line,), both included; not-a-time where the whole time of the maps is meant.
        dated: the table has periods.
    """

    ids: npt.NDArray[np.object_]
    lon: Floats
    lat: Floats
    start: Days
    end: Days
    dated: bool


def read_points(path: Path) -> Points:
    """Read a table of places.

    Args:
        path: CSV or parquet with the columns id, lat, lon (degrees, WGS84) and, for periods, start_date and end_date
            (YYYY-MM-DD, both included); other columns are passed over.

    Raises:
        BadPoints: as `points_of`, or the file cannot be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        else:
            # As text: an id keeps its zeros, and a position that is no number is told with its line.
            # No column is an index: else lines with a comma at their end move all values by one column.
            frame = pd.read_csv(
                path,
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
                skip_blank_lines=False,
                index_col=False,
            )
            filled = np.flatnonzero((frame.fillna("") != "").any(axis=1))
            frame = frame.iloc[: filled[-1] + 1 if len(filled) else 0]
    except FileNotFoundError as error:
        raise BadPoints(f"there is no table {path}: check its name") from error
    except (OSError, ValueError, pd.errors.ParserError) as error:
        why = str(error).splitlines()[0]
        raise BadPoints(f"cannot read the table {path} ({why}): give CSV in UTF-8, or parquet") from error
    return points_of(frame, str(path))


def points_of(frame: pd.DataFrame, name: str) -> Points:
    """Check a table of places.

    Args:
        frame: as `read_points` describes it.
        name: of the table, for errors.

    Raises:
        BadPoints: a column is absent, the table is empty, or a line cannot be true: a position that is no number or
            not in degrees, a period that cannot be read or ends before it starts, an id that stands twice without
            periods or with periods that overlap.
    """
    known = {str(column).strip().lower(): column for column in frame.columns}
    columns = {
        want: next((known[name] for name in names if name in known), None) for want, names in _NAMES.items()
    }
    absent = [want for want, column in columns.items() if column is None]
    if absent:
        raise BadPoints(
            f"{name} has no column {' and no column '.join(absent)}: it needs id, lat and lon, and has "
            f"{', '.join(map(str, frame.columns)) or 'none'}"
        )
    if frame.empty:
        raise BadPoints(f"{name} holds no line: give one place a line under id,lat,lon")
    ids = frame[columns["id"]].astype(str).str.strip().to_numpy(dtype=object)
    nameless = np.flatnonzero((ids == "") | (ids == "nan"))
    if len(nameless):
        raise BadPoints(f"{name}, {_line(nameless[0])} has no id: give every place one")
    lat, lon = (_numbers(frame[columns[axis]], name, axis) for axis in ("lat", "lon"))
    _check_degrees(lat, lon, name)
    start, end = (_days(frame[known[c]], name, c) if c in known else _never(len(frame)) for c in _PERIOD)
    _check_periods(ids, start, end, name)
    nowhere = np.isnan(lat) | np.isnan(lon)
    return Points(
        ids=ids,
        lon=np.where(nowhere, np.nan, lon),
        lat=np.where(nowhere, np.nan, lat),
        start=start,
        end=end,
        dated=any(column in known for column in _PERIOD),
    )


def _line(row: int) -> str:
    """Name a row of a table as an editor counts it: the header is line 1."""
    return f"line {row + 2}"


def _numbers(column: pd.Series, name: str, axis: str) -> Floats:
    text = column.astype(str).str.strip()
    empty = text.isin(["", "nan", "None", "NA", "<NA>"])
    found = pd.to_numeric(text.where(~empty), errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~empty & ~np.isfinite(found))
    if len(bad):
        raise BadPoints(
            f"{name}, {_line(bad[0])}: {axis} {text.iloc[bad[0]]!r} is no number. Leave it empty where nothing is known"
        )
    return found


def _check_degrees(lat: Floats, lon: Floats, name: str) -> None:
    bad = np.flatnonzero((np.abs(lat) > 90) | (np.abs(lon) > 180))
    if not len(bad):
        return
    row = bad[0]
    at = f"{name}, {_line(row)}: lat {lat[row]:g}, lon {lon[row]:g} is not in degrees"
    if np.abs([lat[row], lon[row]]).max() > 360:
        raise BadPoints(f"{at}, and looks like metres: transform the positions to WGS84 (EPSG:4326)")
    if abs(lat[row]) <= 180 and abs(lon[row]) <= 90:
        raise BadPoints(f"{at}: lat and lon are swapped, it seems. Swap the names of the columns")
    raise BadPoints(f"{at}: lat goes from -90 to 90, lon from -180 to 180, west negative")


def _never(lines: int) -> Days:
    return np.full(lines, np.datetime64("NaT", "D"))


def _days(column: pd.Series, name: str, what: str) -> Days:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.to_numpy().astype("datetime64[D]")
    text = column.astype(str).str.strip()
    empty = text.isin(["", "nan", "None", "NaT", "NA", "<NA>"])
    found = pd.to_datetime(text.where(~empty), format="%Y-%m-%d", errors="coerce")
    bad = np.flatnonzero(~empty & found.isna())
    if len(bad):
        raise BadPoints(
            f"{name}, {_line(bad[0])}: {what} {text.iloc[bad[0]]!r} is no day. Write it as YYYY-MM-DD"
        )
    return found.to_numpy().astype("datetime64[D]")


def _check_periods(ids: npt.NDArray[np.object_], start: Days, end: Days, name: str) -> None:
    half = np.flatnonzero(np.isnat(start) != np.isnat(end))
    if len(half):
        raise BadPoints(
            f"{name}, {_line(half[0])} has one of start_date and end_date: give both, or none of them"
        )
    turned = np.flatnonzero(end < start)
    if len(turned):
        row = turned[0]
        raise BadPoints(
            f"{name}, {_line(row)}: the period of {ids[row]!r} ends on {end[row]}, before {start[row]}"
        )
    # Whole time: from the first day that can be written to the last.
    begin = np.where(np.isnat(start), np.datetime64("0001-01-01", "D"), start)
    stop = np.where(np.isnat(end), np.datetime64("9999-12-31", "D"), end)
    order = np.lexsort((begin, pd.factorize(ids)[0]))
    one, next_one = order[:-1], order[1:]
    clash = np.flatnonzero((ids[one] == ids[next_one]) & (begin[next_one] <= stop[one]))
    if len(clash):
        first, second = sorted((int(one[clash[0]]), int(next_one[clash[0]])))
        undated = np.isnat(start[first]) or np.isnat(start[second])
        how = "without a period of its own" if undated else "and their periods overlap"
        raise BadPoints(
            f"{name}: the id {ids[first]!r} stands in {_line(first)} and in {_line(second)}, {how}: keep one line a "
            "person, or give each residence its days"
        )


@dataclass(frozen=True)
class Gather:
    """Where the values of some places are among the values of some cells.

    Attributes:
        cells: int64 (cell,), sorted: row times columns plus column.
        own: int64 (line,), which of the cells a place lies in; OFF_GRID or NO_POSITION where in none.
        around: int64 (line, 4), which cells stand around a place, -1 beyond the grid; None where `own` is all.
        weights: float64 (line, 4), of these cells.
    """

    cells: Cells
    own: Cells
    around: Cells | None
    weights: Floats | None

    def __call__(self, values: Floats) -> Floats:
        """Return the value of every place, (line,), of values (cell,); NaN where its own cell has none."""
        with_none = np.append(values, np.nan)
        own = with_none[np.maximum(self.own, -1)]
        if self.around is None or self.weights is None:
            return own
        near = with_none[self.around]
        known = np.isfinite(near)
        weight = np.where(known, self.weights, 0.0)
        total = weight.sum(axis=1)
        mean = np.divide(
            (np.where(known, near, 0.0) * weight).sum(axis=1), total, out=own.copy(), where=total > 0
        )
        # By the sea the cells beyond it are left out; a place whose own cell has no value gets none from others.
        return np.where(np.isfinite(own), mean, np.nan)


def locate(points: Points, place: Georeference, method: Method) -> Gather:
    """Find the cells of some places.

    Args:
        points: the places.
        place: of the maps.
        method: nearest for the cell that holds a place, bilinear for the mean of the four cells around it by distance.

    Raises:
        BadPoints: no place lies on the maps; says what may be wrong.
    """
    rows, cols = place.shape
    row, col = _rows_and_columns(points.lon, points.lat, place)
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    if not inside.any():
        raise BadPoints(_all_off(points, place))
    flat = np.where(
        inside, np.floor(np.where(inside, row, 0)) * cols + np.floor(np.where(inside, col, 0)), -1
    )
    flat = flat.astype(np.int64)
    around: Cells | None = None
    weights: Floats | None = None
    wanted = flat[inside]
    if method == "bilinear":
        up, left = (np.floor(np.where(inside, axis, 0) - 0.5).astype(np.int64) for axis in (row, col))
        down, across = np.where(inside, row, 0) - 0.5 - up, np.where(inside, col, 0) - 0.5 - left
        corner_row = np.stack([up, up, up + 1, up + 1], axis=1)
        corner_col = np.stack([left, left + 1, left, left + 1], axis=1)
        on = (
            (corner_row >= 0)
            & (corner_row < rows)
            & (corner_col >= 0)
            & (corner_col < cols)
            & inside[:, None]
        )
        around = np.where(on, corner_row * cols + corner_col, -1)
        weights = np.stack(
            [(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across], axis=1
        )
        wanted = np.concatenate([wanted, around[on]])
    cells = np.unique(wanted)
    own = np.where(
        inside, np.searchsorted(cells, flat), np.where(np.isnan(points.lat), NO_POSITION, OFF_GRID)
    )
    if around is not None:
        around = np.where(around >= 0, np.searchsorted(cells, around), -1)
    return Gather(cells, own, around, weights)


def _rows_and_columns(lon: Floats, lat: Floats, place: Georeference) -> tuple[Floats, Floats]:
    """Return where places lie in a raster, counted in cells from its corner; infinite or NaN where nowhere."""
    x, y = transformer(LONLAT, place.crs).transform(lon, lat)
    a, _, c, _, e, f = place.transform
    return (np.asarray(y) - f) / e, (np.asarray(x) - c) / a


def _all_off(points: Points, place: Georeference) -> str:
    def fits(lon: Floats, lat: Floats) -> bool:
        row, col = _rows_and_columns(lon, np.clip(lat, -90, 90), place)
        rows, cols = place.shape
        on = (row >= 0) & (row < rows) & (col >= 0) & (col < cols) & (np.abs(lat) <= 90)
        return bool(on.any())

    known = np.flatnonzero(np.isfinite(points.lat))
    if not len(known):
        return "no line has a position: geocode the addresses first, and give lat and lon in degrees (WGS84)"
    first = f"the first is lat {points.lat[known[0]]:g}, lon {points.lon[known[0]]:g}"
    if fits(points.lat, points.lon):
        return f"no place lies on the maps ({first}): lat and lon are swapped, it seems. Swap the names of the columns"
    if fits(-points.lon, points.lat):
        return f"no place lies on the maps ({first}): west is negative. Turn the sign of lon"
    return f"no place lies on the maps ({first}): check that the positions are degrees (WGS84), and the maps' region"
