"""Named regions: the outline of CONUS, its states and groups of them."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from shapely.geometry.base import BaseGeometry

from pm25map.base.errors import UnknownName
from pm25map.grid.grid import Grid
from pm25map.grid.inside import NONE, cells_inside, number_inside, project, project_all

if TYPE_CHECKING:
    import geopandas

GROUPS = {
    "west-coast": "CA OR WA",
    "northwest": "ID OR WA",
    "west": "CA NV",
    "northern-rockies": "MT ND NE SD WY",
    "southwest": "AZ CO NM UT",
    "upper-midwest": "IA MI MN WI",
    "midwest": "IA IL IN KS MI MN MO ND NE OH SD WI",
    "ohio-valley": "IL IN KY MO OH TN WV",
    "south": "AR KS LA MS OK TX",
    "southeast": "AL FL GA NC SC VA",
    "northeast": "CT DC DE MA MD ME NH NJ NY PA RI VT",
}
"""NOAA NCEI's nine climate regions (Karl and Koss 1984; DC added to the northeast) and, beside them, the
west coast and the Census Bureau's Midwest."""

NO_STATE = NONE

_BOUNDARIES = Path(__file__).parent / "boundaries"
COUNTIES = _BOUNDARIES / "us-counties.parquet"


@functools.cache
def states() -> "geopandas.GeoDataFrame":
    """Read the 48 states and the District of Columbia, by name: name, postal, fips, geometry (degrees, WGS84).

    Neighbours share the coordinates of their border. The frame is read once: copy it before changing it.
    """
    import geopandas  # noqa: PLC0415 - slow to import, and not every command draws or names a state

    frame = geopandas.read_file(_BOUNDARIES / "us-states.geojson")
    return frame.rename(columns={"id": "fips"})[["name", "postal", "fips", "geometry"]]


@functools.cache
def counties() -> "geopandas.GeoDataFrame":
    """Read the 3,108 counties of CONUS as of 2020, by number: fips, name, geometry (degrees, WGS84).

    Neighbours share the coordinates of their border. The frame is read once: copy it before changing it.
    """
    import geopandas  # noqa: PLC0415 - as in `states`

    return geopandas.read_parquet(COUNTIES)


@functools.cache
def conus_boundary() -> BaseGeometry:
    """Join all states to the outline of the contiguous United States, degrees (WGS84)."""
    outline: BaseGeometry = states().geometry.union_all()
    return outline


def region_names() -> list[str]:
    """List the names that `region` accepts: conus, the groups, then the states in lower case."""
    return ["conus", *GROUPS, *(str(name).lower() for name in states()["name"])]


def region(name: str) -> BaseGeometry:
    """Return the outline of a region in degrees (WGS84).

    Args:
        name: "conus", a group such as "west-coast", or a state by name or postal code; capitals do not
            matter, and a hyphen or underscore may stand for a space.

    Raises:
        UnknownName: there is no such region; suggests the closest.
    """
    chosen = states_of(name)
    outline: BaseGeometry = conus_boundary() if chosen.all() else states()[chosen].geometry.union_all()
    return outline


def states_of(name: str) -> npt.NDArray[np.bool_]:
    """Mark the rows of `states` that make up a region.

    Raises:
        UnknownName: as `region`.
    """
    wanted = " ".join(name.replace("-", " ").replace("_", " ").lower().split())
    frame = states()
    groups = {group.replace("-", " "): postals.split() for group, postals in GROUPS.items()}
    chosen = frame["postal"].isin(groups.get(wanted, []))
    chosen |= (frame["name"].str.lower() == wanted) | (frame["postal"].str.lower() == wanted)
    chosen |= wanted == "conus"
    if not chosen.any():
        raise UnknownName(_unknown(name, wanted))
    marked: npt.NDArray[np.bool_] = chosen.to_numpy(dtype=np.bool_)
    return marked


def cells_of(grid: Grid, outline: BaseGeometry) -> npt.NDArray[np.bool_]:
    """Mark the land cells of a grid whose centre lies in an outline: bool (y, x).

    Of a coastal cell the centre may lie in the water: `cells_of_region` takes those in, this does not.

    Args:
        grid: the grid.
        outline: polygons in degrees (WGS84), for example of `region`.
    """
    return cells_inside(project(outline, grid.crs), grid.transform, grid.shape) & grid.land


def state_of_cells(grid: Grid) -> npt.NDArray[np.uint8]:
    """Return the state of every land cell: its row in `states()`, uint8 (y, x); 255 off the land.

    It is the state that holds the cell's centre, or, where none does, that of the nearest cell which has one.
    A grid without a centre in any state has 255 everywhere.
    """
    outlines = list(project_all(list(states().geometry), grid.crs))
    index = np.where(grid.land, number_inside(outlines, grid.transform, grid.shape), np.uint8(NO_STATE))
    known = index != NO_STATE
    if known.any():
        nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
        index = np.where(grid.land, index[tuple(nearest)], np.uint8(NO_STATE))
    return index


def cells_of_region(grid: Grid, name: str) -> npt.NDArray[np.bool_]:
    """Mark the land cells of a named region, coastal cells included, by `state_of_cells`: bool (y, x).

    Raises:
        UnknownName: there is no such region; suggests the closest.
    """
    chosen = np.append(states_of(name), np.zeros(NO_STATE + 1 - len(states()), dtype=np.bool_))
    marked: npt.NDArray[np.bool_] = chosen[state_of_cells(grid)]
    return marked


def _unknown(name: str, wanted: str) -> str:
    from pm25map.grid.store import did_you_mean  # noqa: PLC0415 - only an error needs it

    known = region_names()
    hint = did_you_mean(wanted, [*known, *(k.replace("-", " ") for k in GROUPS)])
    groups = ", ".join(GROUPS)
    return f"unknown region {name!r}: known are conus, {groups}, and the 48 states and DC by name{hint}"
