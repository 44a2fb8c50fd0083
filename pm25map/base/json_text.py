"""JSON from outside: read as strictly as the standard says it."""

import json
from typing import Any, NoReturn


def read_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is not JSON, has a key twice, is nested too deeply, or holds NaN or Infinity. Python's own reader
            takes the second of two keys in silence.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise ValueError(f"the key {key!r} stands there twice")
        mapping[key] = value
    return mapping


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")
