"""The style of a study's pictures: as those of the view."""

from matplotlib import rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 140
INK, GREY, LAND = "#22272B", "#59636B", "#EDEFF1"
STYLE = dict(rcParamsDefault) | {
    "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip


def sheet(width: float, height: float, title: str, words: str) -> Figure:
    """Create a figure with its title and a line under it, inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.25 / width, 1 - 0.14 / height, title, fontsize=13, fontweight="bold", va="top")
    figure.text(0.25 / width, 1 - 0.46 / height, words, fontsize=9, color=GREY, va="top")
    return figure
