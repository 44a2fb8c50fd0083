"""Draw what smoothing the vectors of places costs in accuracy and takes away in texture."""

from pathlib import Path

from matplotlib import rc_context, rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pm25map.base.files import check_output, replacing
from pm25map.laboratory.smoothing.score import Setting


def draw_smoothing(settings: list[Setting], path: Path, *, overwrite: bool = False) -> None:
    """Draw accuracy against texture, a point for each smoothing length.

    Raises:
        BadOutput: the picture cannot be written.
    """
    check_output(path, overwrite=overwrite)
    with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(9.6, 4.4), dpi=140, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        km = [f"{s.km:g}" for s in settings]
        for axes, values, words in (
            (left, [s.rmse for s in settings], "RMSE at stations held out, µg/m³"),
            (right, [s.mae for s in settings], "MAE at stations held out, µg/m³"),
        ):
            shares = [100 * s.excess for s in settings]
            axes.plot(shares, values, color="#00798C", marker="o", markersize=5, linewidth=1.2)
            for number, (share, value, name) in enumerate(zip(shares, values, km, strict=True)):
                below = number in (1, *range(2, len(settings) - 1, 2))
                axes.annotate(
                    f"{name} km" if name != "0" else "off",
                    (share, value),
                    # Neighbours on the curve are labelled on its two sides.
                    xytext=(-6, -5) if below else (7, 5),
                    textcoords="offset points",
                    ha="right" if below else "left",
                    va="top" if below else "bottom",
                    fontsize=8,
                )
            axes.set_xlabel("energy of the place's part below 200 km,\n% of what predictors justify")
            axes.set_ylabel(words)
            axes.margins(x=0.14, y=0.15)
            axes.grid(color="#D5D8DB", linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle("Smoothing of place vectors: accuracy against encoder artifacts", fontweight="bold")
        with replacing(path) as part:
            figure.savefig(part, format="png", metadata={"Software": None})
