"""Pictures of match-ups: estimate against observation, and where stations are over- or underestimated."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps, rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, LogNorm
from matplotlib.figure import Figure

from pm25map.base.aqi import UPPER_ENDS
from pm25map.base.files import check_output, replacing
from pm25map.base.metrics import scores
from pm25map.grid import states

DPI = 160
CRS = "EPSG:5070"
_INK, _GREY, _LAND = "#22272B", "#59636B", "#EDEFF1"
_STYLE = dict(rcParamsDefault) | {"font.family": "DejaVu Sans", "text.color": _INK, "axes.labelcolor": _INK}
_BIAS_ENDS = (-50.0, -20.0, -10.0, -5.0, -2.0, -1.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""ug m-3: where the colours of the bias map change; within 1 it is white."""
_LEAST_CELLS = 3000
"""Match-ups from which the scatter shows how many lie together instead of each."""


def draw_scatter(frame: pd.DataFrame, path: Path, days: str, what: str, *, overwrite: bool = False) -> None:
    """Draw estimates against observations on scales of square roots, with the 90 % intervals where few.

    Args:
        frame: match-ups that may be compared (pm25map.scores.validate.COLUMNS).
        path: the PNG to write.
        days: of the match-ups, in words.
        what: is compared, in words.
        overwrite: replace a picture that is there.

    Raises:
        BadOutput: the picture cannot be written.
    """
    check_output(path, overwrite=overwrite)
    seen = frame["observed_ugm3"].clip(lower=0).to_numpy(dtype=np.float64)
    made = frame["pm25_ugm3"].to_numpy(dtype=np.float64)
    with rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 7.4), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.11, 0.09, 0.80, 0.78))
        end = float(max(seen.max(), made.max(), 20.0)) * 1.08
        _root_scale(axes, end)
        axes.plot([0, end], [0, end], color=_INK, linewidth=1, zorder=3, label="estimate = observation")
        if len(frame) >= _LEAST_CELLS:
            _density(figure, axes, seen, made, end)
        else:
            _points(axes, frame, seen, made)
        axes.set_xlabel("Observed PM$_{2.5}$, 24-hour mean, µg/m³")
        axes.set_ylabel("Estimated PM$_{2.5}$, µg/m³")
        axes.legend(loc="upper left", frameon=True, framealpha=0.9, fontsize=8.5)
        found = scores(frame["observed_ugm3"].to_numpy(), made)
        n = f"{len(frame):,} match-ups of {frame['site_id'].nunique():,} stations"
        r2 = f"R² {found['r2']:.2f}, " if np.isfinite(found["r2"]) else ""
        words = (
            f"{n}; {r2}RMSE {found['rmse']:.2f}, MAE {found['mae']:.2f}, mean bias {found['mbe']:+.2f} µg/m³"
        )
        figure.text(
            0.11, 0.975, f"Estimates against monitors, {days}", fontsize=13, fontweight="bold", va="top"
        )
        figure.text(0.11, 0.937, f"{what[0].upper()}{what[1:]}", fontsize=9, color=_GREY, va="top")
        figure.text(0.11, 0.908, words, fontsize=9, color=_GREY, va="top")
        _save(figure, path)


def _root_scale(axes: Axes, end: float) -> None:
    ticks = [t for t in (0, 1, 5, 10, 20, 35, 55, 90, 125, 225, 350, 500, 800) if t <= end]
    axes.set_xscale("function", functions=(_root, np.square))
    axes.set_yscale("function", functions=(_root, np.square))
    axes.set_xlim(0, end)
    axes.set_ylim(0, end)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set_xticklabels([str(t) for t in ticks])
    axes.set_yticklabels([str(t) for t in ticks])
    axes.minorticks_off()
    for level in UPPER_ENDS:
        if level < end:
            axes.axvline(level, color="#D5D8DB", linewidth=0.7, zorder=0)
            axes.axhline(level, color="#D5D8DB", linewidth=0.7, zorder=0)


def _root(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.sqrt(np.maximum(values, 0))
    return found


def _density(
    figure: Figure, axes: Axes, seen: npt.NDArray[np.float64], made: npt.NDArray[np.float64], end: float
) -> None:
    edges = np.linspace(0, np.sqrt(end), 121) ** 2
    count, _, _ = np.histogram2d(seen, made, bins=[edges, edges])
    mesh = axes.pcolormesh(
        edges,
        edges,
        np.where(count > 0, count, np.nan).T,
        cmap="viridis",
        norm=LogNorm(1, max(count.max(), 2)),
    )
    bar = figure.colorbar(mesh, cax=figure.add_axes((0.925, 0.09, 0.018, 0.70)))
    bar.ax.tick_params(labelsize=7.5)
    bar.ax.set_title("match-\nups", fontsize=7.5, pad=4, loc="left")


def _points(
    axes: Axes, frame: pd.DataFrame, seen: npt.NDArray[np.float64], made: npt.NDArray[np.float64]
) -> None:
    low, high = (frame[name].to_numpy(dtype=np.float64) for name in ("pm25_lower_ugm3", "pm25_upper_ugm3"))
    if np.isfinite(low).any():
        share = 100 * frame["inside_interval"].mean()
        axes.vlines(
            seen, low, high, color="#7A8A99", linewidth=0.6, alpha=0.5, zorder=1,
            label=f"90 % interval: {share:.0f} % of observations inside",
        )  # fmt: skip
    axes.scatter(
        seen, made, s=11, color="#0B5FA5", alpha=0.75, linewidths=0, zorder=2, label="station and day"
    )


def draw_bias_map(frame: pd.DataFrame, path: Path, days: str, what: str, *, overwrite: bool = False) -> None:
    """Draw every station at its place, coloured by its mean error, as large as its error.

    Args:
        frame: match-ups that may be compared.
        path: the PNG to write.
        days: of the match-ups, in words.
        what: is compared, in words.
        overwrite: replace a picture that is there.

    Raises:
        BadOutput: the picture cannot be written.
    """
    check_output(path, overwrite=overwrite)
    import geopandas  # noqa: PLC0415 - slow to import

    error = (frame["pm25_ugm3"] - frame["observed_ugm3"]).rename("bias")
    by_site = frame.assign(bias=error).groupby("site_id")[["longitude", "latitude", "bias"]].mean()
    # The largest errors last, on top.
    by_site = by_site.loc[by_site["bias"].abs().sort_values().index]
    points = geopandas.GeoSeries(
        geopandas.points_from_xy(by_site["longitude"], by_site["latitude"]), crs=4326
    ).to_crs(CRS)
    frame_of_states = states()
    outlines = frame_of_states.set_geometry(frame_of_states.geometry.segmentize(0.1)).to_crs(CRS).geometry
    left, bottom, right, top = outlines.total_bounds
    with rc_context(_STYLE):
        figure = Figure(figsize=(10.5, 7.4), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.02, 0.13, 0.96, 0.76))
        outlines.plot(ax=axes, facecolor=_LAND, edgecolor="none", zorder=0)
        rings = [
            np.asarray(p.exterior.coords) for shape in outlines for p in getattr(shape, "geoms", [shape])
        ]
        axes.add_collection(LineCollection(rings, colors="#9AA3AA", linewidths=0.5, zorder=1))
        colormap = colormaps["RdBu_r"]
        drawn = axes.scatter(
            points.x, points.y, c=by_site["bias"], cmap=colormap,
            norm=BoundaryNorm(_BIAS_ENDS, colormap.N, extend="both"),
            s=np.clip(14 + 6 * by_site["bias"].abs(), 14, 90), edgecolors=_INK, linewidths=0.35, zorder=2,
        )  # fmt: skip
        pad = 0.015 * (right - left)
        axes.set_xlim(left - pad, right + pad)
        axes.set_ylim(bottom - pad, top + pad)
        axes.set_aspect("equal")
        axes.axis("off")
        bar = figure.colorbar(
            drawn, cax=figure.add_axes((0.2, 0.085, 0.6, 0.022)), orientation="horizontal", ticks=_BIAS_ENDS
        )
        bar.ax.set_xticklabels([f"{end:+g}" for end in _BIAS_ENDS], fontsize=8.5)
        bar.set_label("Mean of estimate minus observation, µg/m³ (blue: too low, red: too high)", fontsize=9)
        figure.text(0.02, 0.97, f"Mean error at monitors, {days}", fontsize=14, fontweight="bold", va="top")
        counts = f"{len(by_site):,} stations, {len(frame):,} match-ups; mean bias {error.mean():+.2f} µg/m³"
        words = f"{what[0].upper()}{what[1:]}; {counts}"
        figure.text(0.02, 0.93, words, fontsize=9.5, color=_GREY, va="top")
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})
