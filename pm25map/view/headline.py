"""What a map says in three lines: who suffers most and what to doubt, where it is highest, whom it concerns."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.warp import transform

from pm25map.base.aqi import UPPER_ENDS, category_of, class_index, concentration_text
from pm25map.grid import Block, Grid, state_of_cells, states
from pm25map.grid.grid import LONLAT
from pm25map.grid.people import in_words, people_of_cells

MINIMUM_CELLS = 20
"""Fewer cells do not speak for a state: the edge of one in a small map, or the District of Columbia."""

WHOLE_MAP = "The map's"

MODERATE = 1
"""Number of the class above which everybody sensitive is concerned."""


@dataclass(frozen=True)
class Headline:
    """The state with the highest median, and the highest value.

    Attributes:
        state: its name; "The map's" where no state has enough cells in view.
        median: ug m-3, over the state's land cells in view that hold an estimate.
        maximum: ug m-3, of the map.
        maximum_state: the state at or nearest to the highest value.
        maximum_lon, maximum_lat: degrees (WGS84), its cell centre.
        people_above: who live, by the Census of 2020, in cells in view above the class Moderate; None on a map that
            nobody of the contiguous United States lives on.
        warnings: what must be known before the map is believed (Provenance.warnings); empty where there is nothing.
    """

    state: str
    median: float
    maximum: float
    maximum_state: str
    maximum_lon: float
    maximum_lat: float
    people_above: float | None
    warnings: str = ""

    @property
    def text(self) -> str:
        """Write it as a newspaper would: Oregon median 312 ug/m3, Hazardous."""
        said = f"{self.state} median {concentration_text(self.median)} ug/m3, {category_of(self.median).name}"
        return f"{said}. {beware(self.warnings)}" if self.warnings else said

    @property
    def maximum_text(self) -> str:
        """Write the maximum and where it is: Maximum 812 ug/m3 in Oregon (44.12 N, 122.30 W), Hazardous."""
        north = f"{abs(self.maximum_lat):.2f} {'N' if self.maximum_lat >= 0 else 'S'}"
        west = f"{abs(self.maximum_lon):.2f} {'W' if self.maximum_lon < 0 else 'E'}"
        what = f"{concentration_text(self.maximum)} ug/m3 in {self.maximum_state} ({north}, {west})"
        return f"Maximum {what}, {category_of(self.maximum).name}"

    @property
    def people_text(self) -> str:
        """Write whom it concerns: 47.6 million people above 35.4 ug/m3; empty where that is not known."""
        if self.people_above is None:
            return ""
        return f"{in_words(self.people_above)} people above {UPPER_ENDS[MODERATE]} ug/m3"

    def __str__(self) -> str:
        return self.text


def beware(warnings: str) -> str:
    """Return the sentence that warns of a map, wherever its headline stands; empty where there is nothing to say."""
    return f"Beware: {warnings}" if warnings else ""


def headline(
    pm25: npt.NDArray[np.float32], grid: Grid, block: Block | None = None, warnings: str = ""
) -> Headline:
    """Find the state with the highest median and the highest value of a map.

    Args:
        pm25: (y, x), ug m-3, NaN where there is no estimate; at least one is there.
        grid: the grid of the map.
        block: the part of the grid that pm25 covers, the whole where None.
        warnings: as in Headline.
    """
    block = block or Block(0, 0, *grid.shape)
    names = [str(name) for name in states()["name"]]
    owner = state_of_cells(grid)[block.slices]
    medians = {}
    for number, name in enumerate(names):
        values = pm25[(owner == number) & np.isfinite(pm25)]
        if values.size >= MINIMUM_CELLS:
            medians[name] = float(np.median(values))
    state = max(medians, key=lambda name: medians[name]) if medians else WHOLE_MAP
    row, col = np.unravel_index(int(np.nanargmax(pm25)), pm25.shape)
    x, y = grid.xy()
    lon, lat = transform(grid.crs, LONLAT, [x[block.col + col]], [y[block.row + row]])
    return Headline(
        state=state,
        median=medians[state] if medians else float(np.nanmedian(pm25)),
        maximum=float(pm25[row, col]),
        maximum_state=nearest_state(lon[0], lat[0]),
        maximum_lon=float(lon[0]),
        maximum_lat=float(lat[0]),
        people_above=_people_above(pm25, people_of_cells(grid)[block.slices]),
        warnings=warnings,
    )


def _people_above(pm25: npt.NDArray[np.float32], people: npt.NDArray[np.float64]) -> float | None:
    classes = class_index(pm25)
    known = classes <= len(UPPER_ENDS)
    if not np.nansum(people[known]):
        return None
    return float(np.nansum(people[known & (classes > MODERATE)]))


def nearest_state(lon: float, lat: float) -> str:
    """Name the state at a point or, a cell off its shore, the nearest one (in degrees: good enough there)."""
    frame = states()
    away = shapely.distance(frame.geometry.to_numpy(), shapely.Point(lon, lat))
    return str(frame["name"].iloc[int(np.argmin(away))])
