"""Maps of the errors of probes: predicted minus true at every place left out, a panel for each encoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from pm25map.base.errors import BadTarget
from pm25map.base.files import check_output, make_folder, replacing
from pm25map.laboratory.probes.score import SPLITS, Head, ProbeScore, Split
from pm25map.laboratory.probes.targets import Target, units_of
from pm25map.laboratory.world.ground import draw_ground, on_map
from pm25map.laboratory.world.sphere import Degrees

_LEFT_OUT = {"random": "places left out at random", "blocks": "blocks of 10 degrees left out whole"}
_ENDS = 95
"""Percentile of the absolute errors of all encoders at which the colours end."""

Key = tuple[str, Split, Head]


@dataclass(frozen=True)
class _ErrorPanel:
    score: ProbeScore
    known: npt.NDArray[np.bool_]
    error: npt.NDArray[np.float64]


class ErrorMaps:
    """Maps under way: errors are added while probes are scored, then all are written."""

    def __init__(
        self, folder: Path, countries: Path, lat: Degrees, lon: Degrees, *, overwrite: bool = False
    ) -> None:
        """Prepare maps of some places in a folder.

        Args:
            folder: of the maps; made if absent.
            countries: folder of countries-50m.json.
            lat, lon: of the places, degrees.
            overwrite: replace maps that are there.
        """
        self._folder, self._countries, self._overwrite = folder, countries, overwrite
        self._at = on_map(lat, lon)
        self._panels: dict[Key, list[_ErrorPanel]] = {}

    def check(self, targets: list[Target], heads: tuple[Head, ...]) -> None:
        """Refuse what cannot be drawn, before anything is fitted.

        Raises:
            BadTarget: no target is a number.
            BadOutput: a map is there and may not be replaced, or the folder cannot be written.
        """
        numbers = [target.name for target in targets if target.kind == "number"]
        if not numbers:
            raise BadTarget(
                f"there is no map of errors of {', '.join(t.name for t in targets)}: classes have no difference. "
                "Ask for a number: --target precipitation"
            )
        make_folder(self._folder)
        for name in numbers:
            for split in SPLITS:
                for head in heads:
                    check_output(self._path((name, split, head)), overwrite=self._overwrite)

    def add(self, score: ProbeScore, target: Target, predicted: npt.NDArray[Any]) -> None:
        """Keep the errors of one head; classes have none."""
        if target.kind == "number":
            error = np.asarray(predicted - target.values[target.known], np.float64)
            key = (score.target, score.split, score.head)
            self._panels.setdefault(key, []).append(_ErrorPanel(score, target.known, error))

    def write(self) -> list[Path]:
        """Draw all maps, PNG, and give their paths.

        Raises:
            BadOutput: a map cannot be written.
        """
        for key, panels in self._panels.items():
            self._draw(key, panels)
        return [self._path(key) for key in self._panels]

    def _path(self, key: Key) -> Path:
        return self._folder / f"errors-{'-'.join(key)}.png"

    def _draw(self, key: Key, panels: list[_ErrorPanel]) -> None:
        target, split, head = key
        end = float(np.percentile(np.abs(np.concatenate([panel.error for panel in panels])), _ENDS)) or 1.0
        columns = min(2, len(panels))
        rows = -(-len(panels) // columns)
        with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans"}):
            figure = Figure(figsize=(5.6 * columns + 0.4, 2.95 * rows + 1.2), dpi=110, layout="constrained")
            canvas = FigureCanvasAgg(figure)
            axes = figure.subplots(rows, columns, squeeze=False)
            drawn = [self._panel(one, panel, end) for one, panel in zip(axes.flat, panels, strict=False)]
            for empty in list(axes.flat)[len(panels) :]:
                empty.axis("off")
            words = f"Errors of {target}, {head} head, {_LEFT_OUT[split]}"
            figure.suptitle(words, fontsize=11)
            bar = figure.colorbar(
                drawn[0], ax=axes, orientation="horizontal", shrink=0.5, aspect=40, pad=0.02, extend="both"
            )
            bar.set_label(
                f"predicted minus true, {units_of(target)} (blue: too low, red: too high)", fontsize=8.5
            )
            bar.ax.tick_params(labelsize=8)
            _write_png(canvas, self._path(key))

    def _panel(self, axes: Axes, panel: _ErrorPanel, end: float) -> Any:
        draw_ground(axes, self._countries)
        x, y = (part[panel.known] for part in self._at)
        # The largest errors last, on top.
        order = np.argsort(np.abs(panel.error))
        score = panel.score
        note = ", seen in training" if score.seen else ""
        axes.set_title(f"{score.encoder}: R2 {score.score:.2f}{note}", fontsize=9.5)
        return axes.scatter(
            x[order], y[order], c=panel.error[order], s=4, linewidths=0, zorder=2, cmap="RdBu_r",
            norm=Normalize(-end, end),
        )  # fmt: skip


def _write_png(canvas: FigureCanvasAgg, path: Path) -> None:
    """Write a figure as PNG with a palette of 256 colours: a third of the size, and hardly a difference.

    Raises:
        BadOutput: it cannot be written.
    """
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    whole = Image.fromarray(pixels[:, :, :3])
    few = whole.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    with replacing(path) as part:
        few.save(part, format="PNG", optimize=True)
