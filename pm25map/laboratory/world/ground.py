"""The world as a ground to draw on: Equal Earth, the land of all countries, the edge of the globe."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Polygon
from pyproj import Transformer

from pm25map.laboratory.world.countries import read_countries
from pm25map.laboratory.world.sphere import Degrees
from pm25map.view.drawing import path_of

_CRS = "EPSG:8857"
_SEA, _LAND, _BORDER = "#EEF2F5", "#D9DCDF", "#A9B0B6"
_FINE_DEG = 0.1

Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def on_map(lat: Degrees, lon: Degrees) -> Points:
    """Return places on the map: x, y in metres (place,)."""
    return _to_map().transform(lon, lat)


def draw_ground(axes: Axes, countries: Path | None) -> None:
    """Draw the globe and, where the folder of countries-50m.json is named, the land with its borders.

    Raises:
        BadRaster: the outlines of the countries are absent or damaged.
    """
    up, down = np.linspace(-90, 90, 181), np.linspace(90, -90, 181)
    edge = on_map(np.concatenate([up, down]), np.repeat([-180.0, 180.0], 181))
    axes.add_patch(
        Polygon(np.stack(edge, axis=1), facecolor=_SEA, edgecolor=_BORDER, linewidth=0.6, zorder=0)
    )
    for outline in read_countries(countries).values() if countries is not None else ():
        # Long straight sides, such as those of Antarctica in the file, are curves on the map.
        coarse = shapely.segmentize(outline.simplify(_FINE_DEG), 2.0)
        parts = [part for part in shapely.get_parts(coarse) if part.area > _FINE_DEG**2]
        if parts:
            shape = shapely.transform(
                shapely.MultiPolygon(parts), lambda at: np.stack(on_map(at[:, 1], at[:, 0]), axis=1)
            )
            axes.add_patch(
                PathPatch(path_of(shape), facecolor=_LAND, edgecolor=_BORDER, linewidth=0.25, zorder=1)
            )
    x, y = edge
    axes.set_xlim(1.01 * x.min(), 1.01 * x.max())
    axes.set_ylim(1.02 * y.min(), 1.02 * y.max())
    axes.set_aspect("equal")
    axes.axis("off")


def _to_map() -> Transformer:
    return Transformer.from_crs("OGC:CRS84", _CRS, always_xy=True)
