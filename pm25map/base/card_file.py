"""Cards: JSON files that describe the files beside them, and carry a checksum of themselves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.base.json_text import read_json

CHECKSUM = "card_sha256"
"""Key of the checksum: SHA-256 over all other fields of a card."""


def card_text(said: Mapping[str, Any], indent: int = 1) -> str:
    """Write a card with its checksum, a line a value, as people read it."""
    kept = {key: value for key, value in said.items() if key != CHECKSUM}
    return json.dumps({**kept, CHECKSUM: _checksum(kept)}, indent=indent) + "\n"


def parse_card(content: bytes) -> dict[str, Any]:
    """Read a card, and compare it with its checksum. One of an older version has none, and is taken as it is.

    Raises:
        ValueError: it is no JSON, or is not as it was written.
    """
    said = read_json(content)
    if not isinstance(said, dict):
        raise ValueError("it does not name what it says")
    stated = said.pop(CHECKSUM, None)
    if stated is not None and stated != _checksum(said):
        raise ValueError("it is not as it was written: its checksum differs")
    return said


def reseal(path: Path) -> None:
    """Write a card of an older version again, with its checksum.

    Raises:
        ValueError: it is damaged.
        BadOutput: it cannot be written.
    """
    said = parse_card(path.read_bytes())
    with replacing(path) as part:
        part.write_text(card_text(said, indent=2))


def _checksum(said: Mapping[str, Any]) -> str:
    # Through JSON and back: a tuple and a list are one there.
    return sha256_of_bytes(json.dumps(json.loads(json.dumps(said)), sort_keys=True).encode())
