"""The files of a provider in a folder: found by the names that the provider gives them."""

import filecmp
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pm25map.base.errors import BadPredictors

K = TypeVar("K", bound=Hashable)
"""The content that a file is for, such as its day and tile."""


def find_files(folder: Path, pattern: str) -> dict[Path, re.Match[str]]:
    """Find the files of a folder, and of the folders in it, whose whole name a pattern matches; not hidden ones.

    Args:
        folder: to look through.
        pattern: regular expression; case does not matter.

    Returns:
        the match of every file, by path. `choose_versions` decides which of two versions counts.

    Raises:
        BadPredictors: there is no such folder.
    """
    if not folder.is_dir():
        raise BadPredictors(
            f"there is no folder {folder}: name the folder of the provider's files with --files"
        )
    name = re.compile(pattern, re.IGNORECASE)
    paths = sorted(path for path in folder.rglob("*") if name.fullmatch(path.name))
    # A download under way is in a hidden folder, so that a file that matches is complete or damaged.
    paths = [path for path in paths if not any(p.startswith(".") for p in path.relative_to(folder).parts)]
    return {path: match for path in paths if path.is_file() and (match := name.fullmatch(path.name))}


@dataclass(frozen=True)
class Versions(Generic[K]):
    """The files of a source, each for another day, tile or variable.

    Attributes:
        chosen: the file of each, by its content.
        passed_over: a line for every file that an other version replaces, naming both.
    """

    chosen: dict[K, Path]
    passed_over: tuple[str, ...]


def choose_versions(
    files: dict[Path, re.Match[str]],
    key: Callable[[Path, re.Match[str]], K],
    version: Callable[[re.Match[str]], tuple[int | str, ...]],
) -> Versions[K]:
    """Choose one file where several have the same content: the latest version by its own name, wherever it lies.

    Args:
        files: from `find_files`.
        key: returns the content of a file, such as its day and tile.
        version: of a file by its name; the greatest counts.

    Raises:
        BadPredictors: two files are of one version and differ: it is not known which of them counts.
    """
    by_key: dict[K, list[Path]] = {}
    for path, match in files.items():
        by_key.setdefault(key(path, match), []).append(path)
    chosen: dict[K, Path] = {}
    passed_over: list[str] = []
    for what, paths in by_key.items():
        latest = max(version(files[path]) for path in paths)
        first, *same = (path for path in paths if version(files[path]) == latest)
        for other in same:
            if not filecmp.cmp(first, other, shallow=False):
                raise BadPredictors(
                    f"{first} and {other} differ, and by their names neither is the later version: keep one of them"
                )
        chosen[what] = first
        passed_over += [f"{first} counts, and not {path}" for path in paths if path != first]
    return Versions(chosen, tuple(passed_over))


def first_line(error: BaseException) -> str:
    """Return the first line of an error of a library, for a message of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
