"""Pictures of a study: scores, gains by distance, reliability, what networks look at."""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from pm25map.base.files import replacing
from pm25map.laboratory.study import maps
from pm25map.laboratory.study.phrases import pair_of, row_of
from pm25map.laboratory.study.reading import Results
from pm25map.laboratory.study.style import DPI, GREY, INK, STYLE, sheet
from pm25map.laboratory.study.summary import BASELINES, ENCODED, INTERPOLATION, PLAIN, Summary
from pm25map.scores.strata import distance_words

_NETWORK, _BASE, _LINE = "#0B5FA5", "#B5541C", "#C9CED2"
_SHOWN = {PLAIN: "#7A8A99", ENCODED: _NETWORK, INTERPOLATION: _BASE, "neighbours-kriging": "#4B8B3B"}
"""Variants that are drawn where not all can be."""
_EXPLAINED_SPLITS = ("stations-10", "checkerboard-8-2", "west-to-east")


def draw_all(results: Results, summary: Summary, folder: Path) -> list[Path]:
    """Draw every picture that the results have something for; give their paths.

    Args:
        results: for what is drawn by station.
        summary: the summary.
        folder: of the pictures; made if absent.

    Raises:
        BadOutput: a picture cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Figure | None] = {}
    with rc_context(STYLE):
        drawn["scores"] = draw_scores(summary)
        drawn["distance"] = draw_distance(summary)
        drawn["reliability"] = draw_reliability(summary)
        drawn["importance"] = draw_importance(summary)
        drawn["attention"] = draw_attention(summary)
        drawn["errors"] = maps.draw_errors(results, summary)
        drawn["splits"] = maps.draw_splits(results, summary)
        written = []
        for name, figure in drawn.items():
            if figure is not None:
                path = folder / f"{name}.png"
                with replacing(path) as part:
                    figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})
                written.append(path)
    return written


def draw_scores(summary: Summary) -> Figure:
    """Draw the RMSE of every variant with its interval, a panel a split."""
    splits = [split for split in summary["splits"] if any(row["split"] == split for row in summary["scores"])]
    variants = [v for v in summary["variants"] if any(row["variant"] == v for row in summary["scores"])]
    columns = min(4, len(splits))
    rows = -(-len(splits) // columns)
    width, height = 2.0 + 2.55 * columns, 1.15 + rows * (0.75 + 0.2 * len(variants))
    words = "RMSE over the targets of the folds that were run, µg/m³, with 95 % intervals over stations; scales differ"
    figure = sheet(width, height, "Errors by split and variant", words)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    figure.subplots_adjust(
        left=1.95 / width, right=1 - 0.2 / width, top=1 - 1.0 / height, bottom=0.6 / height, wspace=0.1,
        hspace=0.62 / (0.2 * len(variants) + 0.4),
    )  # fmt: skip
    for axes in panels.flat[len(splits) :]:
        axes.axis("off")
    for axes, split in zip(panels.flat, splits, strict=False):
        for y, variant in enumerate(variants):
            row = row_of(summary, split, variant)
            if row is None:
                across = axes.get_yaxis_transform()
                axes.text(
                    0.5, y, "not run", transform=across, fontsize=7, color=GREY, va="center", ha="center"
                )
                continue
            value, low, high = row["rmse"]
            colour = _BASE if variant in BASELINES else _NETWORK
            if low is not None:
                axes.plot([low, high], [y, y], color=colour, linewidth=1.4, zorder=2)
            axes.plot(value, y, "o", color=colour, markersize=4.5, zorder=3)
        plain = row_of(summary, split, PLAIN)
        if plain is not None:
            axes.axvline(plain["rmse"][0], color=INK, linewidth=0.8, linestyle=":", zorder=1)
        axes.set_title(split, fontsize=9, loc="left", fontweight="bold")
        axes.set_yticks(range(len(variants)), variants, fontsize=8)
        axes.set_ylim(len(variants) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(axis="x", labelsize=7.5)
        _bare(axes)
    figure.text(
        1.95 / width, 0.1 / height, "Blue: networks. Orange: baselines. Dotted: the network without a place (none).",
        fontsize=8, color=GREY,
    )  # fmt: skip
    return figure


def draw_distance(summary: Summary) -> Figure | None:
    """Draw the gain of GeoCLIP against none by distance to the nearest training station."""
    words = distance_words()
    lines = {}
    for split in summary["splits"]:
        pairs = [pair_of(summary, split, ENCODED, PLAIN, "distance", one) for one in words]
        if any(pairs):
            lines[split] = [pair["gain_percent"] if pair else None for pair in pairs]
    if not lines:
        return None
    width, height = 9.2, 5.0
    figure = sheet(
        width, height, "What GeoCLIP adds, by distance to the nearest training station",
        "RMSE of geoclip-hadamard below that of none on the same targets, per cent; above zero the place helps; "
        "95 % intervals over stations",
    )  # fmt: skip
    axes = figure.add_axes((0.8 / width, 0.65 / height, 5.9 / width, 3.5 / height))
    axes.axhline(0, color=INK, linewidth=0.9)
    colours = colormaps["tab20" if len(lines) > 10 else "tab10"]
    for i, (split, gains) in enumerate(lines.items()):
        shift = (i - (len(lines) - 1) / 2) * 0.07
        known = [(x + shift, *gain) for x, gain in enumerate(gains) if gain is not None]
        for x, _, low, high in known:
            if low is not None:
                axes.plot([x, x], [low, high], color=colours(i), linewidth=1.1, alpha=0.75)
        axes.plot(
            [k[0] for k in known], [k[1] for k in known], "o", color=colours(i), markersize=4.5, label=split
        )
    values = [v for gains in lines.values() for gain in gains if gain for v in gain if v is not None]
    low, high = np.percentile(values, [2, 98])
    pad = 0.15 * (high - low) + 1
    # The interval of a class with few stations must not flatten all others; no gain itself is cut.
    middles = [gain[0] for gains in lines.values() for gain in gains if gain]
    axes.set_ylim(min(low - pad, min(middles) - 1, -2), max(high + pad, max(middles) + 1, 2))
    axes.set_xticks(range(len(words)), words)
    axes.set_xlabel("Distance to the nearest training station")
    axes.set_ylabel("Gain in RMSE, %")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.02), frameon=False, fontsize=8.5)
    _bare(axes, "y")
    return figure


def draw_reliability(summary: Summary) -> Figure | None:
    """Draw mean observation against mean estimate by bins of the estimate."""
    splits = [s for s in _EXPLAINED_SPLITS if any(r["split"] == s for r in summary["reliability"])]
    splits = splits or summary["splits"][:3]
    rows = [
        r for r in summary["reliability"] if r["split"] in splits and r["variant"] in _SHOWN and r["bins"]
    ]
    if not rows:
        return None
    width, height = 0.9 + 3.5 * len(splits), 4.9
    figure = sheet(
        width, height, "Reliability: what was measured where so much was estimated",
        "Means in bins of the estimate that hold 20 targets or more; below the diagonal the estimates are too high",
    )  # fmt: skip
    panels = figure.subplots(1, len(splits), squeeze=False)[0]
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 0.2 / width, top=1 - 1.1 / height, bottom=0.7 / height, wspace=0.22
    )
    end = max(v for row in rows for one in row["bins"] for v in one[:2]) * 1.1
    ticks = [t for t in (0, 1, 5, 10, 20, 35, 55, 90, 125, 225, 350, 500) if t <= end]
    for axes, split in zip(panels, splits, strict=True):
        axes.plot([0, end], [0, end], color=INK, linewidth=0.9)
        for row in rows:
            if row["split"] == split:
                estimated, observed = ([max(one[i], 0) for one in row["bins"]] for i in (0, 1))
                colour, name = _SHOWN[row["variant"]], row["variant"]
                axes.plot(estimated, observed, "o-", color=colour, markersize=3.5, linewidth=1.2, label=name)
        for name in ("x", "y"):
            getattr(axes, f"set_{name}scale")("function", functions=(_root, np.square))
            getattr(axes, f"set_{name}lim")(0, end)
            getattr(axes, f"set_{name}ticks")(ticks, [str(t) for t in ticks], fontsize=8)
        axes.minorticks_off()
        axes.set_aspect("equal")
        axes.set_title(split, fontsize=9.5, loc="left", fontweight="bold")
        axes.set_xlabel("Mean estimate, µg/m³", fontsize=9)
        _bare(axes, "both")
    panels[0].set_ylabel("Mean observation, µg/m³", fontsize=9)
    panels[0].legend(loc="upper left", fontsize=8, frameon=True, framealpha=0.9)
    return figure


def draw_importance(summary: Summary, most: int = 15) -> Figure | None:
    """Draw how much the RMSE rises when one predictor is permuted among the test stations."""
    rows = summary["importance"]
    if not rows:
        return None
    names = list(dict.fromkeys(name for row in rows for name in list(row["rmse_increase"])[:most]))[
        : most + 5
    ]
    width, height = 1.0 + 2.1 + 2.6 * len(rows), 1.5 + 0.23 * len(names)
    figure = sheet(
        width, height, "Permutation importance",
        "Rise of the RMSE, µg/m³, when one predictor's windows are shuffled among the test targets",
    )  # fmt: skip
    panels = figure.subplots(1, len(rows), squeeze=False, sharey=True)[0]
    figure.subplots_adjust(
        left=2.5 / width, right=1 - 0.25 / width, top=1 - 1.1 / height, bottom=0.4 / height, wspace=0.12
    )
    for axes, row in zip(panels, rows, strict=True):
        values = [row["rmse_increase"].get(name) or 0.0 for name in names]
        axes.barh(range(len(names)), values, color=_SHOWN.get(row["variant"], _NETWORK), height=0.68)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_title(f"{row['variant']}\n{row['split']}", fontsize=8.5, loc="left", fontweight="bold")
        axes.tick_params(axis="x", labelsize=8)
        _bare(axes)
    return figure


def draw_attention(summary: Summary) -> Figure | None:
    """Draw the mean attention over the days of the window."""
    rows = summary["attention"]
    if not rows:
        return None
    width, height = 7.6, 4.3
    figure = sheet(
        width, height, "Attention over the window",
        "Mean weight of each day at the test targets; the estimated day is 0, the dotted line an even weight",
    )  # fmt: skip
    axes = figure.add_axes((0.8 / width, 0.65 / height, (width - 1.0) / width, (height - 1.6) / height))
    length = max(len(row["weight"]) for row in rows)
    axes.axhline(1 / length, color=INK, linewidth=0.8, linestyle=":")
    styles = dict(zip(dict.fromkeys(row["split"] for row in rows), ("-", "--", "-.", ":"), strict=False))
    for row in rows:
        axes.plot(
            range(len(row["weight"])), row["weight"], styles.get(row["split"], ":"), marker="o", markersize=3,
            color=_SHOWN.get(row["variant"], _NETWORK), linewidth=1.2, label=f"{row['variant']}, {row['split']}",
        )  # fmt: skip
    axes.set_xlim(length - 0.5, -0.5)
    axes.xaxis.set_major_locator(MultipleLocator(5))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Days before the estimated day")
    axes.set_ylabel("Attention")
    axes.legend(loc="upper center", fontsize=8, frameon=False)
    _bare(axes, "y")
    return figure


def _root(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    root: npt.NDArray[np.float64] = np.sqrt(np.maximum(values, 0))
    return root


def _bare(axes: Axes, grid: Literal["x", "y", "both"] = "x") -> None:
    """Leave a panel with what is read: no frame above and right, pale lines along the scale."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_LINE)
    axes.grid(axis=grid, color=_LINE, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=2.5, color=_LINE)
