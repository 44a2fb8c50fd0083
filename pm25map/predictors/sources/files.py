"""The files of a provider in a folder: found by the names that the provider gives them."""

import re
from pathlib import Path

from pm25map.base.errors import BadPredictors


def find_files(folder: Path, pattern: str) -> dict[Path, re.Match[str]]:
    """Find the files of a folder, and of the folders in it, whose whole name a pattern matches; not hidden ones.

    Args:
        folder: to look through.
        pattern: regular expression; case does not matter.

    Returns:
        the match of every file, in the order of their names: of two versions of one granule, the one that was
        produced later comes last.

    Raises:
        BadPredictors: there is no such folder.
    """
    if not folder.is_dir():
        raise BadPredictors(
            f"there is no folder {folder}: name the folder of the provider's files with --files"
        )
    name = re.compile(pattern, re.IGNORECASE)
    found = sorted(path for path in folder.rglob("*") if name.fullmatch(path.name))
    # A download that goes on stands in a hidden folder, so that what matches is whole or damaged.
    found = [path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts)]
    return {path: match for path in found if path.is_file() and (match := name.fullmatch(path.name))}


def first_line(error: BaseException) -> str:
    """Give the first line of an error of a library, for a message of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
