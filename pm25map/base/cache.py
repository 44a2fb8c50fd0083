"""Where what can be computed or fetched again is kept."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from pm25map.base.errors import BadOutput


def cache_folder() -> Path:
    """Return the folder of the cache: PM25MAP_CACHE, else the user's own."""
    named = os.environ.get("PM25MAP_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("pm25map")


@contextlib.contextmanager
def writing_the_cache() -> Iterator[None]:
    """Add to errors of writing that the folder is the cache, and which variable names another.

    Raises:
        BadOutput: of the same class as the one inside.
    """
    try:
        yield
    except BadOutput as error:
        why = str(error).rstrip(".").removesuffix("Choose another folder").rstrip(". ")
        raise type(error)(
            f"{why}. The cache is {cache_folder()}: name another folder in PM25MAP_CACHE"
        ) from error
