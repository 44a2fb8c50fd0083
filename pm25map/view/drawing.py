"""A picture drawn: the map in its own projection, state lines, scale bar, title, legend."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as MplPath
from matplotlib.patheffects import withStroke
from pyproj import CRS

from pm25map.base.aqi import CATEGORIES, TRUNCATION_SLACK, Category, concentration_text
from pm25map.grid import states
from pm25map.view.colours import Palette, colours, ramp, range_of
from pm25map.view.legend import INK, draw_bar, draw_classes

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

WIDTH_IN = 11.4
MARGIN_IN = 0.25

_WARNING = "#A3261B"

_HEAD_IN, _FOOT_IN = 0.85, 1.45
_HEIGHTS_IN = (4.0, 9.0)
"""The map itself is at least and at most this high; a map of another form is centred."""

_PAD = 0.015
"""Share of the map's width that is left free around it."""

_WATER, _NO_ESTIMATE = "#EEF2F5", "#D5D8DB"

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """What is drawn.

    Attributes:
        values: float32 (y, x), NaN where there is none.
        shown: the same, or means of several cells where the picture has fewer pixels than the map cells.
        crs, transform, bounds: as in MapDescription.
        title, subtitle, credit: the words around it.
        warning: a line under the subtitle, for what must be known before the map is believed; none where empty.
        label, unit, by_class: what the values are; drawn by class of the index or on a bar of colours.
        categories, palette: the classes and their colours.
    """

    values: npt.NDArray[np.float32]
    shown: npt.NDArray[np.float32]
    crs: str
    transform: tuple[float, float, float, float, float, float]
    bounds: Bounds
    title: str
    subtitle: str
    credit: str
    label: str = ""
    unit: str = ""
    by_class: bool = True
    categories: tuple[Category, ...] = CATEGORIES
    palette: Palette = "epa"
    warning: str = ""


def figure_of(picture: Picture, dpi: int) -> Figure:
    """Draw a picture."""
    left, bottom, right, top = picture.bounds
    pad = 2 * _PAD * (right - left)
    ratio = (top - bottom + pad) / (right - left + pad)
    height = float(np.clip((WIDTH_IN - 2 * MARGIN_IN) * ratio, *_HEIGHTS_IN))
    total = _HEAD_IN + height + _FOOT_IN
    figure = Figure(figsize=(WIDTH_IN, total), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    x, wide = MARGIN_IN / WIDTH_IN, 1 - 2 * MARGIN_IN / WIDTH_IN
    axes = figure.add_axes((x, _FOOT_IN / total, wide, height / total))
    colormap, norm, ends = _scheme(picture)
    draw_map(axes, picture, colormap, norm)
    # The head is as high with a warning as without: days of one film have one size.
    title, subtitle = (0.08, 0.43) if picture.warning else (0.16, 0.56)
    figure.text(x, 1 - title / total, picture.title, fontsize=17, fontweight="bold", va="top")
    figure.text(x, 1 - subtitle / total, picture.subtitle, fontsize=10, color="#3E474E", va="top")
    figure.text(x, 1 - 0.63 / total, picture.warning, fontsize=10, color=_WARNING, va="top")
    legend = figure.add_axes((x, 0.40 / total, wide, 0.92 / total))
    if picture.by_class:
        draw_classes(legend, picture.categories, picture.palette)
    else:
        words = f"{picture.label}, {picture.unit}" if picture.unit else picture.label
        draw_bar(legend, ramp(signed=ends[0] < 0), ends, words)
    lines = picture.credit.count("\n")
    figure.text(x, (0.14 - 0.08 * lines) / total, picture.credit, fontsize=7.5, color="#59636B", va="bottom")
    return figure


def _scheme(picture: Picture) -> tuple[ListedColormap, BoundaryNorm, tuple[float, float]]:
    if picture.by_class:
        return *colours(picture.categories, picture.palette), (0.0, 0.0)
    ends = range_of(picture.values)
    shades = ramp(signed=ends[0] < 0)
    return (
        ListedColormap(shades),
        BoundaryNorm(np.linspace(*ends, len(shades) + 1), len(shades), clip=True),
        ends,
    )


def draw_map(
    axes: Axes, picture: Picture, colormap: ListedColormap, norm: BoundaryNorm, view: Bounds | None = None
) -> None:
    """Draw the map itself: cells, land without estimate, water, state lines, the highest value, a scale bar.

    Args:
        axes: to draw on.
        picture: what to draw.
        colormap, norm: its colours.
        view: left, bottom, right, top in units of the CRS; all of the map, and its highest value marked, where
            None.
    """
    left, bottom, right, top = picture.bounds
    axes.set_facecolor(_WATER)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color("#9AA3AA")
        side.set_linewidth(0.6)
    values = picture.shown.astype(np.float64)
    if picture.by_class:
        # The index is of concentrations cut to 0.1 ug m-3: 9.09 is Good.
        values = np.floor(values * 10 + TRUNCATION_SLACK) / 10 + 0.05
    image = axes.imshow(
        np.ma.masked_invalid(values),
        cmap=colormap,
        norm=norm,
        extent=(left, right, bottom, top),
        interpolation="nearest",
        zorder=2,
    )
    outlines = _outlines(picture.crs, picture.bounds)
    if outlines:
        land = shapely.union_all(outlines)
        axes.add_patch(PathPatch(path_of(land), facecolor=_NO_ESTIMATE, edgecolor="none", zorder=1))
        if _holds(land, picture):
            image.set_clip_path(path_of(land), axes.transData)
        lines = [ring for outline in outlines for ring in _rings(outline)]
        # A pale rim keeps the lines in sight on the darkest smoke.
        axes.add_collection(LineCollection(lines, colors="white", linewidths=1.3, alpha=0.3, zorder=3))
        axes.add_collection(LineCollection(lines, colors=INK, linewidths=0.45, alpha=0.75, zorder=3))
    axes.set_aspect("equal")
    if view is None:
        pad = _PAD * (right - left)
        axes.set_xlim(left - pad, right + pad)
        axes.set_ylim(bottom - pad, top + pad)
    else:
        axes.set_xlim(view[0], view[2])
        axes.set_ylim(view[1], view[3])
    if picture.by_class and view is None:
        _mark_maximum(axes, picture)
    _draw_scale(axes, picture.crs, view or picture.bounds)


@functools.lru_cache(maxsize=4)
def _outlines(crs: str, bounds: Bounds) -> "list[BaseGeometry]":
    """Bring the states in view into the projection of the map."""
    frame = states()
    # Long straight borders, such as the 49th parallel, are curves on the map.
    dense = frame.set_geometry(frame.geometry.segmentize(0.1)).to_crs(crs)
    left, bottom, right, top = bounds
    view = shapely.box(left, bottom, right, top).buffer(2 * _PAD * (right - left))
    return [shape for shape in dense.geometry if shape.intersects(view)]


def _holds(land: "BaseGeometry", picture: Picture) -> bool:
    """Return whether the states hold all estimates, so that cutting at the shore hides none but its cells."""
    row, col = np.nonzero(np.isfinite(picture.values))
    a, _, c, _, e, f = picture.transform
    x, y = c + a * (col + 0.5), f + e * (row + 0.5)
    some = slice(None, None, max(1, x.size // 5_000))
    near = shapely.buffer(land.simplify(a), 2 * a)
    shapely.prepare(near)
    return bool(shapely.contains_xy(near, x[some], y[some]).all())


def _rings(shape: "BaseGeometry") -> list[npt.NDArray[np.float64]]:
    polygons = shapely.get_parts(shape)
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygons)]


def path_of(shape: "BaseGeometry") -> MplPath:
    """Return an outline with its holes as a path to fill."""
    rings = _rings(shape)
    codes = [[MplPath.MOVETO] + [MplPath.LINETO] * (len(ring) - 2) + [MplPath.CLOSEPOLY] for ring in rings]
    return MplPath(np.concatenate(rings), np.concatenate([np.array(c, np.uint8) for c in codes]))


def _mark_maximum(axes: Axes, picture: Picture) -> None:
    pm25 = picture.values
    row, col = np.unravel_index(int(np.nanargmax(pm25)), pm25.shape)
    a, _, c, _, e, f = picture.transform
    rows, cols = pm25.shape
    # The words stand on the side of the map's middle, where there is always room.
    across, up = (1 if col < cols / 2 else -1), (-1 if row < rows / 2 else 1)
    words = f"maximum {concentration_text(float(pm25[row, col]))} µg/m³"
    mark_place(axes, (c + a * (col + 0.5), f + e * (row + 0.5)), words, (across, up))


def mark_place(axes: Axes, place: tuple[float, float], words: str, side: tuple[int, int]) -> None:
    """Draw a ring around a place, in units of the CRS, and words beside it: side is -1 or 1 across and up."""
    for colour, width, order in (("white", 2.6, 5), (INK, 1.1, 6)):
        axes.plot(
            *place,
            marker="o",
            markersize=6.5,
            markerfacecolor="none",
            markeredgecolor=colour,
            mew=width,
            zorder=order,
        )
    drawn = axes.annotate(
        words,
        place,
        xytext=(14 * side[0], 10 * side[1]),
        textcoords="offset points",
        ha="left" if side[0] > 0 else "right",
        va="center",
        fontsize=8.5,
        fontweight="bold",
        zorder=7,
    )
    drawn.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _draw_scale(axes: Axes, where: str, bounds: Bounds) -> None:
    crs = CRS.from_user_input(where)
    if not crs.is_projected:
        return
    left, bottom, right, top = bounds
    metres = crs.axis_info[0].unit_conversion_factor
    wanted_km = (right - left) * metres / 1000 / 7
    unit = 10 ** np.floor(np.log10(wanted_km))
    km = float(max(n * unit for n in (1, 2, 5) if n * unit <= wanted_km * 1.2))
    length = km * 1000 / metres
    x, y = left + 0.025 * (right - left), bottom + 0.04 * (top - bottom)
    tick = 0.008 * (top - bottom)
    axes.plot([x, x, x + length, x + length], [y + tick, y, y, y + tick], color=INK, linewidth=1.1, zorder=6)
    axes.text(x + length / 2, y + 1.6 * tick, f"{km:g} km", ha="center", va="bottom", fontsize=8, zorder=6)
