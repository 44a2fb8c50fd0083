"""Event cards: a hot spot on one sheet, with its map, its figures and its days."""

import datetime as dt
import io
import textwrap
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pyproj import Transformer
from rasterio.warp import transform, transform_bounds

from pm25map.base.aqi import CATEGORIES, category_of, concentration_text
from pm25map.base.files import check_output, replacing
from pm25map.diagnostics.hotspots import HotSpot
from pm25map.grid.grid import LONLAT
from pm25map.view.colours import colours, shades_of
from pm25map.view.drawing import Picture, draw_map, mark_place
from pm25map.view.layers import PM25, LookedAt
from pm25map.view.legend import INK, draw_classes

_SIZE_IN = (9.0, 6.4)
_DPI = 150

_AROUND = 0.5
_LEAST_CELLS, _MOST_CELLS = 12, 25
"""Share of the region's size that is shown around it, and its limits."""


def draw_card(spot: HotSpot, maps: list[LookedAt], out: Path, *, overwrite: bool = False) -> None:
    """Draw the card of a hot spot.

    Args:
        spot: of `find_hotspots` over these maps.
        maps: in which it was found; the one of its highest value is drawn.
        out: PNG.
        overwrite: replace a file that is there.

    Raises:
        BadOutput: it cannot be written.
    """
    check_output(out, overwrite=overwrite)
    shown = next(one for one in maps if one.layer(PM25) and one.day == spot.peak_day)
    with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans", "text.color": INK}):
        figure = Figure(figsize=_SIZE_IN, dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.03, 0.965, spot.title, fontsize=15, fontweight="bold", va="top")
        day = f"{spot.peak_day.day} {spot.peak_day:%B %Y}: " if spot.peak_day else ""
        over = " over all its days" if spot.days > 1 else ""
        words = f"{day}PM2.5, 24-hour mean; the line is the rim of the region{over}"
        figure.text(0.03, 0.905, words, fontsize=9, color="#3E474E", va="top")
        _draw_place(figure.add_axes((0.03, 0.2, 0.55, 0.67)), spot, shown)
        _write_facts(figure, spot)
        if spot.days > 1:
            _draw_days(figure.add_axes((0.68, 0.25, 0.29, 0.21)), spot)
        draw_classes(figure.add_axes((0.03, 0.015, 0.94, 0.145)), size=6.5)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    with replacing(out) as part:
        part.write_bytes(buffer.getvalue())


def _draw_place(axes: Axes, spot: HotSpot, shown: LookedAt) -> None:
    layer = shown.layer(PM25)
    assert layer is not None  # noqa: S101 - the caller chose a map that has it
    a, _, c, _, e, f = shown.transform
    rows, cols = shown.shape
    left, bottom, right, top = transform_bounds(LONLAT, shown.crs, *spot.outline.bounds)
    pad = float(np.clip(_AROUND * max(right - left, top - bottom), _LEAST_CELLS * a, _MOST_CELLS * a))
    # The window has the form of the axes, so that the map fills them.
    half = max((right - left) / 2 + pad, ((top - bottom) / 2 + pad) * 1.15)
    x, y = (left + right) / 2, (bottom + top) / 2
    bounds = (x - half, y - half / 1.15, x + half, y + half / 1.15)
    picture = Picture(
        values=layer.values,
        shown=layer.values,
        crs=shown.crs,
        transform=shown.transform,
        bounds=(c, f + e * rows, c + a * cols, f),
        title="",
        subtitle="",
        credit="",
    )
    draw_map(axes, picture, *colours(), view=bounds)
    for ring in _rim(spot, shown.crs):
        axes.plot(*ring.T, color="white", linewidth=2.2, alpha=0.8, zorder=4)
        axes.plot(*ring.T, color=INK, linewidth=1.0, zorder=4.5)
    peak_x, peak_y = (float(v[0]) for v in transform(LONLAT, shown.crs, [spot.peak_lon], [spot.peak_lat]))
    side = (1 if peak_x < x else -1), (-1 if peak_y > y else 1)
    mark_place(axes, (peak_x, peak_y), f"{concentration_text(spot.maximum)} µg/m³", side)


def _rim(spot: HotSpot, crs: str) -> list[npt.NDArray[np.float64]]:
    """Return the rings of the region in units of the map."""
    to_map = Transformer.from_crs(LONLAT, crs, always_xy=True)
    moved = shapely.transform(spot.outline, lambda xy: np.column_stack(to_map.transform(xy[:, 0], xy[:, 1])))
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(moved))]


def _write_facts(figure: Figure, spot: HotSpot) -> None:
    facts = [
        ("Highest", f"{concentration_text(spot.maximum)} µg/m³, {category_of(spot.maximum).name}"),
        ("Around it", f"{concentration_text(spot.background)} µg/m³ (25th percentile\nwithin 300 km)"),
        ("Area", f"{spot.area_km2:,.0f} km²"),
    ]
    if spot.days > 1:
        facts.append(("Days", f"{spot.days}, {spot.first_day} to {spot.last_day}"))
        worse = [f"{name}: {days}" for name, days in spot.days_above.items() if days]
        facts.append(("Days in class\nor worse", "\n".join(worse) or "none above Good"))
    if spot.people is not None:
        facts.append(("People", f"{spot.people:,.0f}"))
    if spot.smoke_percent is not None:
        facts.append(("HMS smoke", f"over {spot.smoke_percent:.0f} % of its area and days"))
    facts.append(("Kind", f"{spot.kind}: {_wrapped(spot.reason)}"))
    y = 0.865
    for name, text in facts:
        figure.text(0.605, y, name, fontsize=8, color="#59636B", va="top")
        figure.text(0.695, y, text, fontsize=8, va="top")
        y -= 0.012 + 0.0245 * max(text.count("\n") + 1, name.count("\n") + 1)


def _draw_days(axes: Axes, spot: HotSpot) -> None:
    """Draw the highest value of the region, day by day."""
    values = list(spot.daily_maxima)
    tones = [tuple(shades_of(category_of(value))[12]) for value in values]
    axes.bar(range(len(values)), values, color=tones, edgecolor=INK, linewidth=0.4)
    ticks = np.unique(np.linspace(0, len(values) - 1, min(4, len(values))).round().astype(int))
    if spot.first_day:
        names = [f"{spot.first_day + dt.timedelta(days=int(i)):%m-%d}" for i in ticks]
        axes.set_xticks(ticks, names, fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylabel("highest value, µg/m³", fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    for category in CATEGORIES[1:]:
        if category.low < max(values):
            axes.axhline(category.low, color="#9AA3AA", linewidth=0.5, zorder=0)


def _wrapped(text: str, width: int = 40) -> str:
    return "\n".join(textwrap.wrap(text, width))
