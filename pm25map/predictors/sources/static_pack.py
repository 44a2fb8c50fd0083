"""The rasters of the static layers that come with the package: over CONUS and its surroundings, checked when opened."""

import functools
import json
from pathlib import Path

from pm25map.base.errors import BadInstall
from pm25map.base.files import sha256_of_bytes, sha256_of_file
from pm25map.base.shipped import shipped_folder

MANIFEST = "static.json"

REACH = "23.5 to 50.5 N and 126 to 65.5 W"
"""What the rasters cover: CONUS and about 100 km around it. Coasts are filled from up to 100 km away."""


@functools.cache
def pack_folder() -> Path:
    """Return the folder of the shipped rasters, whose checksums are those of its manifest.

    Raises:
        BadInstall: a raster or the manifest is absent or damaged.
    """
    folder = shipped_folder("grids") / "static"
    try:
        rows = json.loads((folder / MANIFEST).read_text())["rasters"]
        stated = {str(row["file"]): str(row["sha256"]) for row in rows}
        damaged = [name for name, sha256 in stated.items() if sha256_of_file(folder / name) != sha256]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInstall(
            f"the static layers in {folder} cannot be read ({error}): reinstall pm25map"
        ) from error
    if damaged:
        raise BadInstall(
            f"{folder / damaged[0]} does not have the checksum it was shipped with: reinstall pm25map"
        )
    return folder


def pack_checksum() -> str:
    """Return the SHA-256 over all shipped rasters, by their checksums."""
    return sha256_of_bytes((pack_folder() / MANIFEST).read_bytes())
