"""The picture of a search: where a patch may be from, over the world."""

from pathlib import Path

import numpy as np
from matplotlib import rc_context, rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from pm25map.base.files import check_output, replacing
from pm25map.laboratory.locate.search import LocatedPlaces
from pm25map.laboratory.world.ground import draw_ground, on_map

PLACES = 20_000
"""The most probable places of a gallery that are drawn."""

_LEAST = 1e-4
"""Places less probable than the best by this factor are left out."""


def draw_result(
    result: LocatedPlaces,
    title: str,
    path: Path,
    *,
    countries: Path | None = None,
    truth: tuple[float, float] | None = None,
    overwrite: bool = False,
) -> None:
    """Draw the probability of places for one patch, and where the file itself says that it is. PNG.

    Args:
        result: for one patch.
        title: above the map.
        path: to write.
        countries: folder of countries-50m.json, for the land.
        truth: latitude and longitude of the patch, degrees, where they are known.
        overwrite: replace a picture that is there.

    Raises:
        BadOutput: the picture cannot be written.
        BadRaster: the outlines of the countries are absent or damaged.
    """
    check_output(path, overwrite=overwrite)
    share = result.probability[0]
    # The best last, on top.
    shown = np.flatnonzero(share >= _LEAST * share[0])[::-1]
    x, y = on_map(result.lat[0, shown], result.lon[0, shown])
    with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(10.0, 5.35), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        draw_ground(axes, countries)
        drawn = axes.scatter(
            x, y, c=share[shown], s=7, linewidths=0, zorder=2, cmap="viridis_r",
            norm=LogNorm(_LEAST * share[0], share[0]),
        )  # fmt: skip
        best = on_map(result.lat[0, :1], result.lon[0, :1])
        axes.scatter(*best, marker="o", s=110, facecolors="none", edgecolors="#D1495B", linewidths=1.5, zorder=3,
                     label=f"most probable: {_place(result.lat[0, 0], result.lon[0, 0])}")  # fmt: skip
        if truth is not None:
            there = on_map(np.array([truth[0]]), np.array([truth[1]]))
            axes.scatter(*there, marker="x", s=60, color="#22272B", linewidths=1.6, zorder=4,
                         label=f"where the patch is: {_place(*truth)}")  # fmt: skip
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, fontsize=8, frameon=False)
        axes.set_title(title, fontsize=11)
        bar = figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=30, pad=0.01)
        bar.set_label(f"probability of one place among {result.places:,}", fontsize=8)
        bar.ax.tick_params(labelsize=8)
        with replacing(path) as part:
            figure.savefig(part, format="png", metadata={"Software": None})


def _place(lat: float, lon: float) -> str:
    return f"{abs(lat):.2f} {'N' if lat >= 0 else 'S'}, {abs(lon):.2f} {'E' if lon >= 0 else 'W'}"
