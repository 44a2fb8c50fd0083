"""Maps of a study: errors at stations, and which fold judges which station."""

import functools

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator
from pyproj import Transformer

from pm25map.grid import states
from pm25map.laboratory.study.reading import Results
from pm25map.laboratory.study.style import INK, LAND, sheet
from pm25map.laboratory.study.summary import ENCODED, PLAIN, Summary
from pm25map.scores.paired import losses

CRS = "EPSG:5070"
_RMSE_ENDS = (0, 1, 2, 3, 4, 5, 7, 10, 15, 25)
_CHANGE_ENDS = (-5.0, -2.0, -1.0, -0.5, -0.2, -0.05, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
"""ug m-3: where the colours change; within 0.05 it is white."""
_MAPPED = ("stations-10", "checkerboard-8-2", "west-to-east")
TABLEAU = [f"C{i}" for i in range(10)]
_BY_DAY = ("random-10", "leave-year-out")
"""Splits that part days: drawn as days and stations."""
_STRIP_STATIONS = 60
"""Stations of the picture of a split that parts days."""


def draw_errors(results: Results, summary: Summary) -> Figure | None:
    """Map the RMSE of GeoCLIP at every station, and its difference from none."""
    done = {(row["split"], row["variant"]) for row in summary["folds"]}
    splits = [s for s in summary["splits"] if (s, ENCODED) in done and (s, PLAIN) in done]
    splits = [s for s in _MAPPED if s in splits] or splits[:2]
    if not splits:
        return None
    width, height = 11.4, 0.95 + 3.45 * len(splits) + 0.75
    figure = sheet(
        width, height, "Errors at stations",
        "Left: RMSE of geoclip-hadamard. Right: RMSE of geoclip-hadamard minus that of none on the same days "
        "(blue: the place helps)",
    )  # fmt: skip
    panels = [
        [
            _map_axes(figure, (0.2 + 5.6 * col, 0.8 + 3.45 * (len(splits) - 1 - row), 5.4, 3.0))
            for col in (0, 1)
        ]
        for row in range(len(splits))
    ]
    magma, diverging = colormaps["YlOrRd"], colormaps["RdBu_r"]
    norms = (
        BoundaryNorm(_RMSE_ENDS, magma.N, extend="max"),
        BoundaryNorm(_CHANGE_ENDS, diverging.N, extend="both"),
    )
    for (left, right), split in zip(panels, splits, strict=True):
        mine, other = (_station_rmse(results, split, name) for name in (ENCODED, PLAIN))
        both = pd.concat({"mine": mine, "other": other}, axis=1).dropna()
        x, y = _places(results, both.index.to_numpy())
        for axes, values, colormap, norm in (
            (left, both["mine"], magma, norms[0]),
            (right, both["mine"] - both["other"], diverging, norms[1]),
        ):
            order = np.argsort(values.abs().to_numpy())
            axes.scatter(
                x[order], y[order], c=values.to_numpy()[order], cmap=colormap, norm=norm, s=17, edgecolors=INK,
                linewidths=0.25, zorder=2,
            )  # fmt: skip
            axes.set_title(f"{split}: {len(both):,} stations", fontsize=9.5, loc="left", fontweight="bold")
    bars = ((0.9, _RMSE_ENDS, "RMSE, µg/m³"), (6.5, _CHANGE_ENDS, "Change of the RMSE, µg/m³"))
    for (left_in, ends, label), axes in zip(bars, panels[0], strict=True):
        cax = figure.add_axes((left_in / width, 0.5 / height, 4.0 / width, 0.13 / height))
        bar = figure.colorbar(axes.collections[-1], cax=cax, orientation="horizontal", ticks=ends)
        bar.ax.set_xticklabels([f"{end:g}" for end in ends], fontsize=7.5)
        bar.set_label(label, fontsize=8.5)
    return figure


def draw_splits(results: Results, summary: Summary) -> Figure | None:
    """Draw which fold judges which station, or which days of some stations where a split parts days."""
    judged = {split: _judged(results, split, summary["variants"]) for split in summary["splits"]}
    judged = {split: frame for split, frame in judged.items() if len(frame)}
    if not judged:
        return None
    days = np.unique(np.concatenate([frame["date"].unique() for frame in judged.values()]))
    columns = min(3, len(judged))
    rows = -(-len(judged) // columns)
    width, height = 0.4 + 3.85 * columns, 0.85 + 2.6 * rows
    figure = sheet(
        width, height, "Who is judged, split by split",
        "Colours: the folds that were run, each judged by a network that learned from none of it; grey: not judged, "
        "or in a fold that was not run",
    )  # fmt: skip
    for i, (split, frame) in enumerate(judged.items()):
        col, row = i % columns, i // columns
        box = (0.2 + 3.85 * col, height - 0.85 - 2.6 * (row + 1) + 0.15, 3.65, 2.2)
        folds = sorted(set(frame["fold"]))
        if split in _BY_DAY:
            axes = figure.add_axes(
                (box[0] / width + 0.02, box[1] / height + 0.02, 3.4 / width, 1.95 / height)
            )
            _strip(axes, frame, folds, days)
        else:
            axes = _map_axes(figure, box)
            one = frame.groupby("site")["fold"].first()
            others = np.setdiff1d(np.arange(len(results.stations)), one.index)
            axes.scatter(*_places(results, others), color="#A9B1B7", s=2.5, linewidths=0, zorder=2)
            for number, fold in enumerate(folds):
                at = one.index[one == fold].to_numpy()
                axes.scatter(
                    *_places(results, at), color=colormaps["tab10"](number % 10), s=5, linewidths=0, zorder=3
                )
        named = f"fold {folds[0]}" if len(folds) == 1 else f"folds {', '.join(map(str, folds))}"
        axes.set_title(f"{split}: {named}", fontsize=9, loc="left", fontweight="bold")
    return figure


def _judged(results: Results, split: str, variants: list[str]) -> pd.DataFrame:
    """Return site, date and fold of a split's judged targets, of the variant with most of them."""
    runs = results.done[results.done["split"] == split]
    if runs.empty:
        return pd.DataFrame()
    folds = runs.groupby("variant")["fold"].nunique()
    chosen = max(folds.index, key=lambda name: (folds[name], -variants.index(name)))
    return results.predictions(split, chosen)[["site", "date", "fold"]].drop_duplicates()


def _strip(axes: Axes, frame: pd.DataFrame, folds: list[int], days: npt.NDArray[np.datetime64]) -> None:
    """Draw days from left to right and some stations from top to bottom, each cell in its fold's colour."""
    sites = np.sort(frame["site"].unique())
    sites = sites[np.linspace(0, len(sites) - 1, min(_STRIP_STATIONS, len(sites))).astype(int)]
    part = frame[frame["site"].isin(sites)]
    image = np.full((len(sites), len(days)), np.nan)
    row, col = np.searchsorted(sites, part["site"]), np.searchsorted(days, part["date"])
    image[row, col] = np.searchsorted(folds, part["fold"]) % 10
    axes.set_facecolor("#D5D8DB")
    axes.imshow(
        image,
        aspect="auto",
        interpolation="nearest",
        cmap=ListedColormap(TABLEAU),
        vmin=-0.5,
        vmax=9.5,
    )
    axes.set_yticks([])
    axes.set_ylabel(f"{len(sites)} of the stations", fontsize=7.5)
    ticks = np.linspace(0, len(days) - 1, 4).astype(int).tolist()
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter([str(np.datetime64(days[i], "D")) for i in ticks]))
    axes.tick_params(labelsize=6.5, length=2)


def _station_rmse(results: Results, split: str, variant: str) -> "pd.Series[float]":
    """Return the RMSE of every station that was judged, ug m-3, by number."""
    mean = losses(results.predictions(split, variant)).groupby("site")["loss"].mean()
    rmse: pd.Series[float] = mean**0.5
    return rmse


def _places(
    results: Results, site: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the positions of stations on the map, m."""
    chosen = results.stations.iloc[site]
    to_map = Transformer.from_crs(4326, CRS, always_xy=True)
    x, y = to_map.transform(chosen["longitude"].to_numpy(), chosen["latitude"].to_numpy())
    return np.asarray(x), np.asarray(y)


@functools.cache
def _outlines() -> tuple[list[npt.NDArray[np.float64]], tuple[float, float, float, float]]:
    """Bring the states' borders onto the map: rings (point, 2) and left, bottom, right, top, m."""
    frame = states()
    shapes = frame.set_geometry(frame.geometry.segmentize(0.1)).to_crs(CRS).geometry
    rings = [np.asarray(p.exterior.coords) for shape in shapes for p in getattr(shape, "geoms", [shape])]
    left, bottom, right, top = map(float, shapes.total_bounds)
    return rings, (left, bottom, right, top)


def _map_axes(figure: Figure, box_in: tuple[float, float, float, float]) -> Axes:
    """Add an empty map of the states at a place of the figure: left, bottom, width, height, inches."""
    width, height = figure.get_size_inches()
    left, bottom, wide, high = box_in
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    rings, (west, south, east, north) = _outlines()
    for ring in rings:
        axes.fill(ring[:, 0], ring[:, 1], color=LAND, linewidth=0, zorder=0)
    axes.add_collection(LineCollection(rings, colors="#9AA3AA", linewidths=0.4, zorder=1))
    pad = 0.015 * (east - west)
    axes.set_xlim(west - pad, east + pad)
    axes.set_ylim(south - pad, north + pad)
    axes.set_aspect("equal")
    axes.axis("off")
    return axes
