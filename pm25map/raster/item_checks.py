"""A map and the item beside it, each against its checksum."""

import json
import logging
from pathlib import Path
from typing import Any, Final

from pm25map.base.errors import BadMap
from pm25map.base.files import sha256_of_bytes, sha256_of_file

_log = logging.getLogger(__name__)

MULTIHASH_SHA256: Final = "1220"
"""What stands before a SHA-256 in a multihash: the algorithm, and 32 bytes."""

ITEM_CHECKSUM: Final = "pm25map:item_sha256"
"""Property of an item: SHA-256 over all else that it says, but for its links, which catalogues rewrite."""


def item_path(cog_path: Path) -> Path:
    """Name the item of a map: the same name with .json."""
    return cog_path.with_suffix(".json")


def item_text(item: dict[str, Any]) -> str:
    """Write an item with its checksum, as people read it."""
    stated = {**item, "properties": {**item["properties"], ITEM_CHECKSUM: _checksum(item)}}
    return json.dumps(stated, indent=2, ensure_ascii=False) + "\n"


def is_as_written(item: dict[str, Any]) -> bool:
    """Return whether an item says what it said when it was written; one of an older version has no checksum."""
    stated = item["properties"].get(ITEM_CHECKSUM)
    return stated is None or stated == _checksum(item)


def check_map(path: Path) -> None:
    """Compare a map, or a file with further bands, with the checksum in the item beside it, where one is whole.

    An item that was changed since it was written is told, and the file is taken as it is.

    Raises:
        BadMap: the file is not the one that the item describes.
    """
    # cog.json speaks of cog.tif and of cog.bands.tif.
    beside = item_path(path)
    beside = beside if beside.is_file() else path.with_name(f"{path.stem.rpartition('.')[0]}.json")
    try:
        item = json.loads(beside.read_bytes())
        assets = [one for one in item["assets"].values() if Path(str(one["href"])).name == path.name]
        stated = str(assets[0]["file:checksum"]).removeprefix(MULTIHASH_SHA256)
        unchanged = is_as_written(item)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return  # it is absent, or speaks of something else
    if not unchanged:
        _log.warning("%s was changed since it was written: %s is not compared with it", beside, path.name)
    elif path.is_file() and sha256_of_file(path) != stated:
        raise BadMap(
            f"{path} is damaged or was changed: its SHA-256 is not that of {beside.name} beside it. Make the map "
            f"again; or, where it was changed on purpose, take {beside.name} away"
        )


def _checksum(item: dict[str, Any]) -> str:
    said = {key: value for key, value in item.items() if key != "links"}
    said["properties"] = {key: value for key, value in item["properties"].items() if key != ITEM_CHECKSUM}
    return sha256_of_bytes(json.dumps(said, sort_keys=True).encode())
