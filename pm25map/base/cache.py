"""Where what can be computed or fetched again is kept."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the folder of the cache: PM25MAP_CACHE, else the user's own."""
    named = os.environ.get("PM25MAP_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("pm25map")
