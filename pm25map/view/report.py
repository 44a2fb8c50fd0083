"""The page of `pm25map view`: one file that opens without a network."""

import json
from pathlib import Path
from typing import Any

from pm25map.base.errors import BadInstall
from pm25map.base.files import check_output, replacing

_PAGE = Path(__file__).parent / "page"
_VENDOR = _PAGE / "vendor"
_SCRIPTS = (
    "values.js",
    "colours.js",
    "raster.js",
    "cell.js",
    "spots.js",
    "polygon.js",
    "area.js",
    "app.js",
)
"""In this order they become one script."""


def write_page(path: Path, data: dict[str, Any], title: str, *, overwrite: bool = False) -> int:
    """Write the page.

    Args:
        path: the HTML file.
        data: of `page_data`.
        title: of the page.
        overwrite: replace a file that is there.

    Returns:
        Its size in bytes.

    Raises:
        BadOutput: it cannot be written.
        BadInstall: the map library is not there.
    """
    check_output(path, overwrite=overwrite)
    text = page_text(data, title)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path.stat().st_size


def page_text(data: dict[str, Any], title: str, *, served: bool = False) -> str:
    """Put the page together: markup, style, map library, script and data in one text.

    Args:
        data: of `page_data`.
        title: of the page.
        served: the page may ask its own server for values; else the browser refuses every request.

    Raises:
        BadInstall: the map library is not there.
    """
    check_library()
    # A "<" in the data could end the script; as \\u003c it is the same text and ends nothing.
    told = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "@CONNECT@": "'self'" if served else "'none'",
        "@TITLE@": _escaped(title),
        "@MAPLIBRE_CSS@": _read(_VENDOR / "maplibre-gl.css"),
        "@STYLE@": _read(_PAGE / "page.css"),
        "@HEADING@": _escaped(title),
        "@DATA@": told,
        "@MAPLIBRE_LICENCE@": _escaped(_read(_VENDOR / "LICENSE.txt")),
        "@MAPLIBRE_JS@": _read(_VENDOR / "maplibre-gl.js"),
        "@SCRIPT@": "\n".join(_read(_PAGE / name) for name in _SCRIPTS),
    }
    text = _read(_PAGE / "page.html")
    done = []
    for mark, content in parts.items():
        before, _, text = text.partition(mark)
        done += [before, content]
    return "".join([*done, text])


def check_library() -> None:
    """Refuse to make a page without the map library, before any work is done.

    Raises:
        BadInstall: it is not there; says how to get it.
    """
    absent = [name for name in ("maplibre-gl.js", "maplibre-gl.css") if not (_VENDOR / name).is_file()]
    if absent:
        raise BadInstall(
            f"the page needs {' and '.join(absent)} of MapLibre GL JS, which this installation has lost: reinstall "
            "pm25map. Pictures need no such thing: --png, --pdf, --gif"
        )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
