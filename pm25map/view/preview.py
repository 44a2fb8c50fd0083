"""The picture of a map: state lines, the colours of the Air Quality Index, a legend in ug/m3, the date."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as MplPath
from matplotlib.patheffects import withStroke
from pyproj import CRS
from rasterio.enums import Resampling

from pm25map.base.aqi import CATEGORIES, Category, truncate
from pm25map.base.files import check_output, replacing
from pm25map.grid import states
from pm25map.raster.info import MapDescription, describe
from pm25map.view.colours import colours, shades_of

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

DPI = 160
WIDTH_IN = 11.4
"""Inches: 1,824 pixels."""
_PIXELS = 1_800

_MARGIN_IN, _HEAD_IN, _FOOT_IN = 0.25, 0.85, 1.45
_HEIGHTS_IN = (4.0, 9.0)
"""The map itself is at least and at most this high; a map of another form is centred."""

_PAD = 0.015
"""Share of the map's width that is left free around it."""

_LEGEND_GAP = 0.03
"""Between two classes in the legend, in widths of a class."""

_WATER, _NO_ESTIMATE, _INK = "#EEF2F5", "#D5D8DB", "#22272B"


def draw_preview(cog_path: Path, png_path: Path, *, overwrite: bool = False) -> None:
    """Draw a map in its own projection.

    Args:
        cog_path: a map that pm25map wrote.
        png_path: the picture to write, about 1,800 pixels wide.
        overwrite: replace a picture that is there.

    Raises:
        BadMap: the map cannot be read.
        BadOutput: the picture cannot be written.
    """
    check_output(png_path, overwrite=overwrite)
    found = describe(cog_path)
    with rasterio.open(cog_path) as source:
        pm25 = source.read(1)
        # A map of more cells than the picture has pixels is averaged, and not left to chance.
        coarser = max(1, source.width // _PIXELS, source.height // _PIXELS)
        size = -(-source.height // coarser), -(-source.width // coarser)
        shown = pm25 if coarser == 1 else source.read(1, out_shape=size, resampling=Resampling.average)
    # A user's own matplotlibrc must not change the picture.
    with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans", "text.color": _INK}):
        figure = _figure(pm25, shown, found)
        with replacing(png_path) as part:
            # No name and version of matplotlib: the same map always gives the same bytes.
            figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})


def _figure(pm25: npt.NDArray[np.float32], shown: npt.NDArray[np.float32], found: MapDescription) -> Figure:
    left, bottom, right, top = found.bounds
    pad = 2 * _PAD * (right - left)
    ratio = (top - bottom + pad) / (right - left + pad)
    height = float(np.clip((WIDTH_IN - 2 * _MARGIN_IN) * ratio, *_HEIGHTS_IN))
    total = _HEAD_IN + height + _FOOT_IN
    figure = Figure(figsize=(WIDTH_IN, total), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    wide = 1 - 2 * _MARGIN_IN / WIDTH_IN
    axes = figure.add_axes((_MARGIN_IN / WIDTH_IN, _FOOT_IN / total, wide, height / total))
    _draw_map(axes, pm25, shown, found)
    _draw_title(figure, found, total)
    legend = figure.add_axes((_MARGIN_IN / WIDTH_IN, 0.40 / total, wide, 0.92 / total))
    _draw_legend(legend)
    figure.text(
        _MARGIN_IN / WIDTH_IN, 0.14 / total, _credit(found), fontsize=7.5, color="#59636B", va="bottom"
    )
    return figure


def _draw_map(
    axes: Axes, pm25: npt.NDArray[np.float32], shown: npt.NDArray[np.float32], found: MapDescription
) -> None:
    left, bottom, right, top = found.bounds
    axes.set_facecolor(_WATER)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color("#9AA3AA")
        side.set_linewidth(0.6)
    colormap, norm = colours()
    # The index is of concentrations cut to 0.1 ug m-3: 9.09 is Good.
    values = np.ma.masked_invalid(np.floor(shown.astype(np.float64) * 10 + 1e-6) / 10 + 0.05)
    image = axes.imshow(
        values, cmap=colormap, norm=norm, extent=(left, right, bottom, top), interpolation="nearest", zorder=2
    )
    outlines = _outlines(found)
    if outlines:
        land = shapely.union_all(outlines)
        axes.add_patch(PathPatch(_path(land), facecolor=_NO_ESTIMATE, edgecolor="none", zorder=1))
        if _holds(land, found, pm25):
            image.set_clip_path(_path(land), axes.transData)
        lines = [ring for outline in outlines for ring in _rings(outline)]
        # A pale rim keeps the lines in sight on the darkest smoke.
        axes.add_collection(LineCollection(lines, colors="white", linewidths=1.3, alpha=0.3, zorder=3))
        axes.add_collection(LineCollection(lines, colors=_INK, linewidths=0.45, alpha=0.75, zorder=3))
    pad = _PAD * (right - left)
    axes.set_xlim(left - pad, right + pad)
    axes.set_ylim(bottom - pad, top + pad)
    axes.set_aspect("equal")
    _mark_maximum(axes, pm25, found)
    _draw_scale(axes, found)


def _outlines(found: MapDescription) -> "list[BaseGeometry]":
    """Bring the states in view into the projection of the map."""
    frame = states()
    # Long straight borders, such as the 49th parallel, are curves on the map.
    dense = frame.set_geometry(frame.geometry.segmentize(0.1)).to_crs(found.crs)
    left, bottom, right, top = found.bounds
    view = shapely.box(left, bottom, right, top).buffer(2 * _PAD * (right - left))
    return [shape for shape in dense.geometry if shape.intersects(view)]


def _holds(land: "BaseGeometry", found: MapDescription, pm25: npt.NDArray[np.float32]) -> bool:
    """Tell whether the states hold all estimates, so that cutting at the shore hides none but its cells."""
    row, col = np.nonzero(np.isfinite(pm25))
    a, _, c, _, e, f = found.transform
    x, y = c + a * (col + 0.5), f + e * (row + 0.5)
    some = slice(None, None, max(1, x.size // 5_000))
    near = shapely.buffer(land.simplify(a), 2 * a)
    shapely.prepare(near)
    return bool(shapely.contains_xy(near, x[some], y[some]).all())


def _rings(shape: "BaseGeometry") -> list[npt.NDArray[np.float64]]:
    polygons = shapely.get_parts(shape)
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygons)]


def _path(shape: "BaseGeometry") -> MplPath:
    rings = _rings(shape)
    codes = [[MplPath.MOVETO] + [MplPath.LINETO] * (len(ring) - 2) + [MplPath.CLOSEPOLY] for ring in rings]
    return MplPath(np.concatenate(rings), np.concatenate([np.array(c, np.uint8) for c in codes]))


def _mark_maximum(axes: Axes, pm25: npt.NDArray[np.float32], found: MapDescription) -> None:
    row, col = np.unravel_index(int(np.nanargmax(pm25)), pm25.shape)
    a, _, c, _, e, f = found.transform
    x, y = c + a * (col + 0.5), f + e * (row + 0.5)
    axes.plot(
        x, y, marker="o", markersize=6.5, markerfacecolor="none", markeredgecolor="white", mew=2.6, zorder=5
    )
    axes.plot(
        x, y, marker="o", markersize=6.5, markerfacecolor="none", markeredgecolor=_INK, mew=1.1, zorder=6
    )
    # The words stand on the side of the map's middle, where there is always room.
    rows, cols = pm25.shape
    across, up = (1 if col < cols / 2 else -1), (-1 if row < rows / 2 else 1)
    words = axes.annotate(
        f"maximum {truncate(float(pm25[row, col])):.0f} µg/m³",
        (x, y),
        xytext=(14 * across, 10 * up),
        textcoords="offset points",
        ha="left" if across > 0 else "right",
        va="center",
        fontsize=8.5,
        fontweight="bold",
        zorder=7,
    )
    words.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _draw_scale(axes: Axes, found: MapDescription) -> None:
    crs = CRS.from_user_input(found.crs)
    if not crs.is_projected:
        return
    left, bottom, right, top = found.bounds
    metres = crs.axis_info[0].unit_conversion_factor
    wanted_km = (right - left) * metres / 1000 / 7
    unit = 10 ** np.floor(np.log10(wanted_km))
    km = float(max(n * unit for n in (1, 2, 5) if n * unit <= wanted_km * 1.2))
    length = km * 1000 / metres
    x, y = left + 0.025 * (right - left), bottom + 0.04 * (top - bottom)
    tick = 0.008 * (top - bottom)
    axes.plot([x, x, x + length, x + length], [y + tick, y, y, y + tick], color=_INK, linewidth=1.1, zorder=6)
    axes.text(x + length / 2, y + 1.6 * tick, f"{km:g} km", ha="center", va="bottom", fontsize=8, zorder=6)


def _draw_title(figure: Figure, found: MapDescription, total: float) -> None:
    day = found.provenance.day
    x = _MARGIN_IN / WIDTH_IN
    title = f"PM$_{{\\mathbf{{2.5}}}}$, 24-hour mean, {day.day} {day:%B %Y}"
    figure.text(x, 1 - 0.16 / total, title, fontsize=17, fontweight="bold", va="top")
    s = found.statistics
    grey = "" if s.coverage_percent == 100 and found.provenance.region == "all" else "; grey: no estimate"
    words = f"Estimated at the surface; mean {s.mean:.1f}, maximum {s.maximum:.0f} µg/m³{grey}"
    figure.text(x, 1 - 0.56 / total, words, fontsize=10, color="#3E474E", va="top")


def _draw_legend(axes: Axes) -> None:
    axes.set_xlim(0, len(CATEGORIES) - _LEGEND_GAP)
    axes.set_ylim(0, 1)
    axes.axis("off")
    for number, category in enumerate(CATEGORIES):
        shades = shades_of(category)
        width = (1 - _LEGEND_GAP) / len(shades)
        for step, shade in enumerate(shades):
            # A hair wider than its place: no white seams between shades.
            axes.add_patch(
                Rectangle((number + step * width, 0.32), width * 1.04, 0.28, color=tuple(shade), lw=0)
            )
        axes.add_patch(
            Rectangle((number, 0.32), 1 - _LEGEND_GAP, 0.28, fill=False, edgecolor=_INK, linewidth=0.5)
        )
        middle = number + (1 - _LEGEND_GAP) / 2
        axes.text(middle, 0.68, _name(category), ha="center", va="bottom", fontsize=8.5, fontweight="bold")
        axes.text(middle, 0.22, _range(category), ha="center", va="top", fontsize=8.5)


def _name(category: Category) -> str:
    return category.name.replace("for Sensitive", "for\nSensitive")


def _range(category: Category) -> str:
    last = category is CATEGORIES[-1]
    return (
        f"{category.low:.1f} µg/m³ and above" if last else f"{category.low:.1f} to {category.high:.1f} µg/m³"
    )


def _credit(found: MapDescription) -> str:
    p = found.provenance
    facts = (
        f"pm25map {p.software_version}",
        f"model {p.model_name} {p.model_version} (card {p.card_checksum[:8]})",
        f"grid {p.grid_name}",
        f"day: {p.day_definition}",
        f"Air Quality Index classes: {p.aqi_edition}",
    )
    return "  |  ".join(facts)
