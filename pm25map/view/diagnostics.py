"""The picture of a diagnosis: the map, what the place makes of it, the risk and the suspects, on one page."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from pm25map.base.files import check_output, replacing
from pm25map.diagnostics.diagnose import (
    EXCESS,
    MONITOR_KM,
    PHOTOS,
    PRIOR,
    RISK,
    TEXTURE,
    Diagnosis,
)
from pm25map.diagnostics.finding import Field, Kind, Mask
from pm25map.diagnostics.suspects import FAULTS
from pm25map.grid import Grid, states
from pm25map.raster.bands import Band
from pm25map.view.colours import colours

DPI = 130
_WIDTH_IN = 15.0
_INK, _LAND, _SEA = "#22272B", "#D5D8DB", "#EEF2F5"

KIND_COLOURS: dict[Kind, str] = {
    "ripple": "#7B2CBF",
    "texture": "#D1495B",
    "prior": "#00798C",
    "seam": "#111111",
    "stripe": "#111111",
    "flat patch": "#111111",
    "hole": "#111111",
}
_LISTED = 7
"""Suspects that are written beside the map."""


@dataclass(frozen=True)
class _Panel:
    band: Band
    title: str
    unit: str
    colormap: str
    low: float | None
    high: float
    log: bool = False


_PANELS = (
    _Panel(PRIOR, "Made by the place, not the day", "µg/m³", "RdBu_r", None, 98),
    _Panel(TEXTURE, "Texture of the location encoder, waves below 200 km", "µg/m³", "magma_r", None, 0, True),
    _Panel(EXCESS, "Energy below 200 km that predictors do not justify", "share", "cividis", 0, 1),
    _Panel(RISK, "Artifact risk and suspect regions", "0 to 1", "YlOrRd", 0, 1),
    _Panel(PHOTOS, "Photos that GeoCLIP knows", "per 1,000 km²", "viridis", None, 0, True),
    _Panel(MONITOR_KM, "Distance to the nearest monitor of the day", "km", "viridis_r", 0, 250),
)


def draw_diagnostics(
    found: Diagnosis, grid: Grid, day: dt.date, path: Path, *, overwrite: bool = False
) -> None:
    """Draw the panels that a diagnosis has.

    Args:
        found: of one day.
        grid: of its map.
        day: of the map.
        path: PNG to write.
        overwrite: replace a file that is there.

    Raises:
        BadOutput: the picture cannot be written.
    """
    check_output(path, overwrite=overwrite)
    with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans", "text.color": _INK}):
        figure = _figure(found, grid, day)
        with replacing(path) as part:
            figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})


def _figure(found: Diagnosis, grid: Grid, day: dt.date) -> Figure:
    panels = [panel for panel in _PANELS if panel.band in found.bands]
    rows = -(-(len(panels) + 2) // 2)
    view = found.day_map.view
    left, _, _, top = grid.bounds
    dx, dy = grid.step
    extent = (
        left + dx * view.col,
        left + dx * (view.col + view.width),
        top - dy * (view.row + view.height),
        top - dy * view.row,
    )
    ratio = min(1.2, max(0.4, (extent[3] - extent[2]) / (extent[1] - extent[0])))
    height = rows * (_WIDTH_IN / 2 * ratio * 0.84 + 0.55) + 0.9
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    cells = figure.subplots(
        rows,
        2,
        squeeze=False,
        gridspec_kw={
            "left": 0.015,
            "right": 0.955,
            "top": 1 - 0.85 / height,
            "bottom": 0.012,
            "wspace": 0.09,
            "hspace": 0.14,
        },
    ).ravel()
    title = f"What to doubt in PM$_{{\\mathbf{{2.5}}}}$ of {day.day} {day:%B %Y}"
    figure.text(0.015, 1 - 0.12 / height, title, fontsize=17, fontweight="bold", va="top")
    neutral = f"Neutral place: {found.neutral}." if found.neutral else "The model takes no place."
    figure.text(0.015, 1 - 0.47 / height, neutral, fontsize=10, color="#3E474E", va="top")
    lines = _state_lines(grid, extent)
    colormap, norm = colours()
    image = _map(cells[0], found.day_map.pm25, extent, lines, "PM2.5, 24-hour mean", cmap=colormap, norm=norm)
    bar = figure.colorbar(
        image, ax=cells[0], fraction=0.03, pad=0.01, ticks=[0, 9, 35.4, 55.4, 125.4, 225.4, 500]
    )
    _label(bar, "µg/m³")
    for axes, panel in zip(cells[1:], panels, strict=False):
        values = found.bands[panel.band]
        image = _map(axes, values, extent, lines, panel.title, cmap=panel.colormap, norm=_norm(panel, values))
        _label(figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01), panel.unit)
        if panel.band is RISK:
            _outline_suspects(axes, found, extent)
    _list(cells[len(panels) + 1], found)
    for axes in cells[len(panels) + 2 :]:
        axes.axis("off")
    return figure


def _map(axes: Axes, values: Field, extent: Any, lines: Any, title: str, **how: Any) -> Any:
    axes.set_facecolor(_SEA)
    image = axes.imshow(np.ma.masked_invalid(values), extent=extent, interpolation="nearest", zorder=2, **how)
    axes.add_collection(LineCollection(lines, colors=_INK, linewidths=0.4, alpha=0.6, zorder=3))
    axes.set_xlim(extent[0], extent[1])
    axes.set_ylim(extent[2], extent[3])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=11, fontweight="bold", loc="left", pad=4)
    for side in axes.spines.values():
        side.set_color("#9AA3AA")
        side.set_linewidth(0.6)
    return image


def _norm(panel: _Panel, values: Field) -> Normalize:
    known = values[np.isfinite(values)]
    if panel.band is PRIOR:
        end = max(0.5, float(np.percentile(np.abs(known), panel.high)))
        return TwoSlopeNorm(0.0, -end, end)
    if panel.log:
        low, high = np.percentile(known, [2, 99.8])
        return LogNorm(max(float(low), 1e-2), max(float(high), 2e-2), clip=True)
    return Normalize(panel.low, panel.high)


def _label(bar: Any, unit: str) -> None:
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.ax.minorticks_off()
    if isinstance(bar.norm, LogNorm):
        ticks = [t for t in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300) if bar.vmin <= t <= bar.vmax]
        bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
    bar.outline.set_linewidth(0.5)


def _outline_suspects(axes: Axes, found: Diagnosis, extent: Any) -> None:
    height, width = found.day_map.pm25.shape
    x = np.linspace(extent[0], extent[1], 2 * width + 1)[1::2]
    y = np.linspace(extent[3], extent[2], 2 * height + 1)[1::2]
    for suspect in found.suspects:
        mask: Mask = suspect.finding.mask
        colour = KIND_COLOURS[suspect.finding.kind]
        axes.contour(x, y, mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.3, zorder=4)
        if suspect.rank <= _LISTED:
            row, col = np.nonzero(mask)
            axes.annotate(
                str(suspect.rank),
                (x[int(np.median(col))], y[int(np.median(row))]),
                fontsize=9,
                fontweight="bold",
                color="white",
                ha="center",
                va="center",
                zorder=6,
                bbox={"boxstyle": "circle,pad=0.2", "facecolor": colour, "edgecolor": "white", "lw": 0.8},
            )


def _list(axes: Axes, found: Diagnosis) -> None:
    """Write the suspects in words, each under its number and in its colour."""
    import textwrap  # noqa: PLC0415 - this list alone wraps words

    axes.axis("off")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_title("Suspect regions, worst first", fontsize=11, fontweight="bold", loc="left", pad=4)
    if not found.suspects:
        axes.text(0.01, 0.95, "None found.", fontsize=10, va="top")
        return
    y = 0.97
    for suspect in found.suspects[:_LISTED]:
        colour = KIND_COLOURS[suspect.finding.kind]
        what = "fault" if suspect.finding.kind in FAULTS else "encoder"
        lines = textwrap.wrap(f"{suspect.rank}. {suspect.words} ({suspect.finding.kind}, {what})", 92)
        axes.text(0.0, y, "\n".join(lines), fontsize=9.5, va="top", color=colour, linespacing=1.25)
        y -= 0.062 * len(lines) + 0.035
    left = len(found.suspects) - _LISTED
    if left > 0:
        axes.text(0.01, y, f"and {left} more in suspects.geojson", fontsize=9.5, va="top")


def _state_lines(grid: Grid, extent: Any) -> list[Any]:
    frame = states()
    dense = frame.set_geometry(frame.geometry.segmentize(0.1)).to_crs(grid.crs)
    box = shapely.box(extent[0], extent[2], extent[1], extent[3])
    return [
        shapely.get_coordinates(ring)
        for outline in dense.geometry
        if outline.intersects(box)
        for ring in shapely.get_rings(shapely.get_parts(outline))
    ]
