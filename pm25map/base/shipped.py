"""Where the grids, models and sample that come with the package are, in a clone and in a wheel."""

import difflib
from pathlib import Path
from typing import Literal

from pm25map.base.errors import UnknownName

Kind = Literal["grids", "models"]

DEFAULT_MODEL = "conus-ensemble"
"""The model that commands use where none is named; the reasons are in docs/model.md."""

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_folder(kind: Kind) -> Path:
    """Return the folder of shipped grids or models: inside an installed package, else beside it in a clone."""
    installed = _PACKAGE / "shipped" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def shipped_names(kind: Kind, marker: str) -> list[str]:
    """List the shipped grids or models: the folders that hold a marker file (grid.json, card.json)."""
    return sorted(path.parent.name for path in shipped_folder(kind).glob(f"*/{marker}"))


def find_folder(kind: Kind, name: str, marker: str) -> Path:
    """Find a grid or model by its shipped name or by the path of its folder.

    Raises:
        UnknownName: neither is there; the message lists the names that exist.
    """
    for folder in (Path(name), shipped_folder(kind) / name):
        if (folder / marker).is_file():
            return folder
    names = shipped_names(kind, marker)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UnknownName(
        f"unknown {kind[:-1]} {name!r}{hint}: shipped are {', '.join(names) or 'none'}; or give the path of a folder "
        f"that holds {marker}"
    )
