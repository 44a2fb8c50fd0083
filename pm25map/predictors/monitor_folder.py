"""Where the files of EPA's networks are kept."""

from pathlib import Path
from typing import Literal

from pm25map.base.cache import cache_folder

Network = Literal["aqs", "airnow"]


def monitor_folder(network: Network) -> Path:
    """Return the folder of the cache that holds a network's files."""
    return cache_folder() / "monitors" / network
