"""Days that move: one picture a day, as a GIF or, where ffmpeg is at hand, as MP4."""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from matplotlib import rc_context, rcParamsDefault
from PIL import Image

from pm25map.base.aqi import CATEGORIES, Category
from pm25map.base.errors import BadInstall, BadOutput
from pm25map.base.files import check_output, replacing
from pm25map.view.colours import Palette
from pm25map.view.drawing import figure_of
from pm25map.view.layers import PM25, LookedAt
from pm25map.view.legend import INK
from pm25map.view.preview import picture_of

DPI = 100
"""1,140 pixels across."""

_SECONDS = 0.8
_LAST_SECONDS = 2.4
"""The last day stands longer, so that the eye sees where the film ends."""


def draw_animation(
    maps: list[LookedAt],
    out: Path,
    *,
    key: str = PM25,
    categories: tuple[Category, ...] = CATEGORIES,
    palette: Palette = "epa",
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Draw some days one after another.

    Args:
        maps: oldest first, of one grid.
        out: .gif or .mp4.
        key: of the layer.
        categories, palette: the classes of the index and their colours.
        overwrite: replace a file that is there.
        progress: takes the days that are done and all.

    Raises:
        BadMap: a map cannot be read or lacks the layer.
        BadOutput: the film cannot be written.
        BadInstall: an MP4 is asked for and there is no ffmpeg.
    """
    check_output(out, overwrite=overwrite)
    film = out.suffix.lower() == ".mp4"
    if film and shutil.which("ffmpeg") is None:
        raise BadInstall(f"cannot write {out}: ffmpeg is not installed. Install it, or make a GIF with --gif")
    frames = []
    for number, one in enumerate(maps):
        progress(number, len(maps))
        with rc_context(dict(rcParamsDefault) | {"font.family": "DejaVu Sans", "text.color": INK}):
            figure = figure_of(picture_of(one, key=key, categories=categories, palette=palette, dpi=DPI), DPI)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI)
        frames.append(Image.open(buffer).convert("RGB"))
    if len({frame.size for frame in frames}) > 1:
        raise BadOutput(f"cannot write {out}: the maps have different forms. Animate those of one grid")
    with replacing(out) as part:
        (_write_mp4 if film else _write_gif)(frames, part)


def _write_gif(frames: list[Image.Image], part: Path) -> None:
    # One table of colours for all days, made of all days: a colour means the same value in each.
    some = frames[:: max(1, len(frames) // 8)]
    width, height = some[0].size
    sheet = Image.new("RGB", (width, height * len(some)))
    for number, frame in enumerate(some):
        sheet.paste(frame, (0, number * height))
    table = sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small = [frame.quantize(palette=table, dither=Image.Dither.NONE) for frame in frames]
    times = [int(1000 * _SECONDS)] * (len(small) - 1) + [int(1000 * _LAST_SECONDS)]
    small[0].save(
        part, format="GIF", save_all=True, append_images=small[1:], duration=times, loop=0, optimize=False
    )


def _write_mp4(frames: list[Image.Image], part: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, frame in enumerate(frames):
            # The common form of H.264 wants even sides.
            frame.crop((0, 0, frame.width // 2 * 2, frame.height // 2 * 2)).save(f"{folder}/{number:05d}.png")
        words = [
            "ffmpeg",
            "-loglevel",
            "error",
            "-framerate",
            f"{1 / _SECONDS:g}",
            "-i",
            f"{folder}/%05d.png",
        ]
        words += [
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-r",
            "25",
            "-map_metadata",
            "-1",
            "-f",
            "mp4",
            str(part),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadOutput(
            f"ffmpeg could not write {part.name}: {' '.join(done.stderr.split())[-200:]}. Try --gif"
        )
