"""Files of the geoclip package, located without importing it, which would load a vision model."""

import importlib.metadata
from pathlib import Path

from pm25map.base.errors import BadInstall


def packaged(name: str) -> Path:
    """Find a file that the geoclip package brings.

    Raises:
        BadInstall: the package is absent, or does not bring it.
    """
    try:
        files = importlib.metadata.files("geoclip") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise BadInstall(
            "the geoclip package is not installed. Run: pip install 'pm25map[laboratory]'"
        ) from error
    record = next((file for file in files if file.name == name), None)
    if record is None:
        raise BadInstall(f"the geoclip package does not bring {name}. Run: pip install 'geoclip>=1.2.3,<2'")
    return Path(str(record.locate()))
