"""Hot spots: connected regions well above the air around them, named, measured, and classified by kind."""

import datetime as dt
import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Transformer
from rasterio.features import shapes
from scipy.ndimage import binary_dilation, find_objects, label
from shapely.geometry.base import BaseGeometry

from pm25map.base.aqi import CATEGORIES, category_of, concentration_text
from pm25map.diagnostics.background import (
    BACKGROUND_CAP,
    PEAK_SHARE,
    PEAK_UGM3,
    FloatArray,
    background_of,
    hot_cells,
    stands_out,
    step_of,
)
from pm25map.diagnostics.hotspot_kind import Kind, kind_of
from pm25map.grid import Grid, state_of_cells, states
from pm25map.grid.areas import cell_areas
from pm25map.grid.cities import cities, nearest_city
from pm25map.grid.grid import LONLAT

JOIN_KM = 25.0
"""Hot cells that lie this close belong together."""

MINIMUM_KM2 = 300.0
"""A smaller region is left out: three cells of 10 km."""

_NEAR_KM = 25.0
_HOLE_CELLS = 30


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
        daily_maxima: ug m-3, on each of its days.
        days_above: for every class but Good, the days on which some cell of it is in that class or a worse one.
        people: who live in its cells; None where that is not known.
        smoke_percent: share of its area and days under smoke that NOAA HMS drew; None without that record.
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
    daily_maxima: tuple[float, ...]
    days_above: dict[str, int]
    people: float | None
    smoke_percent: float | None
    outline: BaseGeometry

    @property
    def title(self) -> str:
        """Return its name, such as "Wildfire smoke near Detroit, Oregon"."""
        word = {"wildfire": "Wildfire smoke", "urban": "City air", "unclear": "Hot spot"}[self.kind]
        where = "near" if self.place_km < _NEAR_KM else f"{self.place_km:.0f} km from"
        return f"{word} {where} {self.place}, {self.state}"

    @property
    def summary(self) -> str:
        """Return its figures in one line."""
        words = [
            f"up to {concentration_text(self.maximum)} µg/m³ ({category_of(self.maximum).name})",
            f"{concentration_text(self.background)} around it",
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
        """Return everything but the outline as flat values, for a table and for GeoJSON."""
        rounded: dict[str, str | float | int | None] = {
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

    Hot cells within 25 km of each other are one region, islands among them; regions that share a cell on two
    days in a row are one event. A day that is not there ends an event.

    Args:
        pm25: (day, y, x), ug m-3, NaN where there is no estimate.
        grid: of the maps.
        days: oldest first; a single map may have None.
        smoke: (day, y, x), density of the smoke that NOAA HMS drew, ug m-3, 0 without; NaN where not known.
        population: (y, x), people in each cell, NaN where that is not known.
        minimum_km2: smaller regions are left out.

    Returns:
        the regions, by their maximum, highest first.
    """
    background = np.stack([background_of(field, grid) for field in pm25])
    # What counts as hot stands out from clean air: where smoke reaches over hundreds of km, it is the event itself.
    clean = np.minimum(background, BACKGROUND_CAP)
    hot = hot_cells(pm25, clean)
    near = _widened(hot, grid)
    numbers, count = label(_with_gaps(near, days), structure=_neighbours())
    numbers = np.where(hot, numbers[_slots(days)], 0)
    peaks = stands_out(pm25, clean, PEAK_UGM3, PEAK_SHARE)
    areas = cell_areas(grid)
    ground = _Ground(grid, areas, _owner(grid), smoke, population)
    spots = []
    for number, where in enumerate(find_objects(numbers, count), start=1):
        if where is None:
            continue
        cells = np.zeros(numbers.shape, dtype=np.bool_)
        cells[where] = numbers[where] == number
        if peaks[cells].any() and areas[cells.any(axis=0)].sum() >= minimum_km2:
            spots.append(_describe(cells, pm25, background, days, ground))
    return sorted(spots, key=lambda spot: -spot.maximum)


@dataclass(frozen=True)
class _Ground:
    """What lies below the maps: km2 and state of every cell, smoke and people where they are known."""

    grid: Grid
    areas: FloatArray
    owner: npt.NDArray[np.uint8]
    smoke: FloatArray | None
    population: FloatArray | None


def _describe(
    cells: npt.NDArray[np.bool_],
    pm25: FloatArray,
    background: FloatArray,
    days: list[dt.date | None],
    ground: _Ground,
) -> HotSpot:
    grid, areas, owner, smoke = ground.grid, ground.areas, ground.owner, ground.smoke
    ever: npt.NDArray[np.bool_] = np.any(cells, axis=0)
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
        known_smoke = cells & np.isfinite(smoke)
        weights = np.broadcast_to(areas, cells.shape)[known_smoke]
        smoky = 100 * float(np.average(smoke[known_smoke] > 0, weights=weights))
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
        daily_maxima=tuple(float(v) for v in daily),
        days_above={c.name: int(np.count_nonzero(daily >= c.low)) for c in CATEGORIES[1:]},
        people=_known_sum(ground.population, ever),
        smoke_percent=smoky,
        outline=_outline(ever, grid, to_lonlat),
    )


def _known_sum(population: FloatArray | None, cells: npt.NDArray[np.bool_]) -> float | None:
    if population is None or not np.isfinite(population[cells]).any():
        return None
    return float(np.nansum(population[cells]))


def _largest_inside(cells: npt.NDArray[np.bool_], grid: Grid) -> int:
    places = cities()
    row, col = grid.cells_at([c.lon for c in places], [c.lat for c in places])
    inside = (row >= 0) & cells[row, col]
    return max((places[int(i)].people for i in np.flatnonzero(inside)), default=0)


def _outline(cells: npt.NDArray[np.bool_], grid: Grid, to_lonlat: Transformer) -> BaseGeometry:
    polygons = shapes(cells.astype(np.uint8), mask=cells, connectivity=8, transform=grid.affine)
    whole = [_without_small_holes(polygon["coordinates"], grid) for polygon, _ in polygons]
    joined = shapely.union_all([shapely.make_valid(polygon) for polygon in whole])
    moved = shapely.transform(joined, lambda xy: np.column_stack(to_lonlat.transform(xy[:, 0], xy[:, 1])))
    valid: BaseGeometry = shapely.make_valid(moved)
    return valid


def _without_small_holes(rings: list[list[tuple[float, float]]], grid: Grid) -> shapely.Polygon:
    """Fill the holes of few cells, which look like noise. Areas are still counted without them."""
    width, height = grid.step
    large = [ring for ring in rings[1:] if shapely.Polygon(ring).area > _HOLE_CELLS * width * height]
    return shapely.Polygon(rings[0], large)


def _widened(hot: npt.NDArray[np.bool_], grid: Grid) -> npt.NDArray[np.bool_]:
    """Add the cells within half of the joining distance: what then touches is one region."""
    reach = round(JOIN_KM / 2 / step_of(grid))
    if not reach:
        return hot
    up, across = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc = up**2 + across**2 <= reach**2
    return np.stack([binary_dilation(day, disc) for day in hot])


def _slots(days: list[dt.date | None]) -> npt.NDArray[np.int64]:
    """Return the position of each day on a line without gaps."""
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


@functools.lru_cache(maxsize=4)
def _owner(grid: Grid) -> npt.NDArray[np.uint8]:
    return state_of_cells(grid)
