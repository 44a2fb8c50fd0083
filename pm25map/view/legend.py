"""The legends of pictures: the classes of the index, or a bar of colours with its unit."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pm25map.base.aqi import CATEGORIES, Category
from pm25map.view.colours import Palette, shades_of

_LEGEND_GAP = 0.03
"""Between two classes, in widths of a class."""

INK = "#22272B"


def draw_classes(
    axes: Axes, categories: tuple[Category, ...] = CATEGORIES, palette: Palette = "epa", size: float = 8.5
) -> None:
    """Draw the classes of the index side by side, each with its shades, its name, and its range in µg/m³.

    Args:
        axes: to draw on.
        categories, palette: the classes and their colours.
        size: of the letters, in points.
    """
    axes.set_xlim(0, len(categories) - _LEGEND_GAP)
    axes.set_ylim(0, 1)
    axes.axis("off")
    for number, category in enumerate(categories):
        shades = shades_of(category, palette)
        width = (1 - _LEGEND_GAP) / len(shades)
        for step, shade in enumerate(shades):
            # A hair wider than its place: no white seams between shades.
            axes.add_patch(
                Rectangle((number + step * width, 0.32), width * 1.04, 0.28, color=tuple(shade), lw=0)
            )
        axes.add_patch(
            Rectangle((number, 0.32), 1 - _LEGEND_GAP, 0.28, fill=False, edgecolor=INK, linewidth=0.5)
        )
        middle = number + (1 - _LEGEND_GAP) / 2
        axes.text(middle, 0.68, _name(category), ha="center", va="bottom", fontsize=size, fontweight="bold")
        axes.text(
            middle,
            0.22,
            _range(category, last=category is categories[-1]),
            ha="center",
            va="top",
            fontsize=size,
        )


def _name(category: Category) -> str:
    return category.name.replace("for Sensitive", "for\nSensitive")


def _range(category: Category, *, last: bool) -> str:
    return (
        f"{category.low:.1f} µg/m³ and above" if last else f"{category.low:.1f} to {category.high:.1f} µg/m³"
    )


def draw_bar(axes: Axes, shades: list[str], ends: tuple[float, float], words: str) -> None:
    """Draw a bar of colours with its ends, its middle, and what it is, with the unit."""
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.axis("off")
    low, high = ends
    left, right = 0.15, 0.85
    width = (right - left) / len(shades)
    for step, shade in enumerate(shades):
        axes.add_patch(Rectangle((left + step * width, 0.32), width * 1.04, 0.28, color=shade, lw=0))
    axes.add_patch(Rectangle((left, 0.32), right - left, 0.28, fill=False, edgecolor=INK, linewidth=0.5))
    for share in np.linspace(0, 1, 5):
        value = float(f"{low + share * (high - low):.3g}")
        axes.text(left + share * (right - left), 0.22, f"{value:g}", ha="center", va="top", fontsize=8.5)
    axes.text(0.5, 0.68, words, ha="center", va="bottom", fontsize=8.5, fontweight="bold")
