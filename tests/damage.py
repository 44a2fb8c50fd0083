"""Damage to files as disks, cables and people do it: a bit flipped, a file cut short, emptied or gone."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pm25map.base.errors import Pm25mapError


@dataclass(frozen=True)
class Damage:
    """What happens to one file: its new content, None where it is gone."""

    file: Path
    what: str
    content: bytes | None


def damages(folder: Path, rng: np.random.Generator, flips: int) -> Iterator[Damage]:
    """Flip some bits of every file below a folder, then cut it, empty it and remove it."""
    for file in sorted(p for p in ([folder] if folder.is_file() else folder.rglob("*")) if p.is_file()):
        whole = file.read_bytes()
        for place in rng.integers(0, len(whole) * 8, flips if whole else 0):
            at, bit = divmod(int(place), 8)
            yield Damage(file, f"bit {bit} of byte {at}", flip(whole, at, bit))
        yield Damage(file, "cut to half", whole[: len(whole) // 2])
        yield Damage(file, "empty", b"")
        yield Damage(file, "gone", None)


def flip(content: bytes, at: int, bit: int) -> bytes:
    """Flip one bit."""
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


@contextlib.contextmanager
def damaged(one: Damage) -> Iterator[None]:
    """Damage a file for as long as the block lasts."""
    whole = one.file.read_bytes()
    try:
        if one.content is None:
            one.file.unlink()
        else:
            one.file.write_bytes(one.content)
        yield
    finally:
        one.file.write_bytes(whole)


def wrong(read: Callable[[], object], right: object, one: Damage) -> str:
    """Say what is wrong with what comes of a damaged file; empty where it is the same values, or one line."""
    with damaged(one):
        try:
            found = read()
        except Pm25mapError as error:
            line = str(error).strip()
            return (
                "" if line and "\n" not in line else f"{one.file.name}, {one.what}: several lines: {line!r}"
            )
        except Exception as error:  # noqa: BLE001 - whatever comes through is what is looked for
            return f"{one.file}, {one.what}: {type(error).__name__}: {str(error)[:200]}"
    return "" if same(found, right) else f"{one.file}, {one.what}: another value"


def same(found: object, right: object) -> bool:
    """Compare what was read: arrays bit by bit."""
    if isinstance(right, dict) and isinstance(found, dict):
        return right.keys() == found.keys() and all(same(found[key], right[key]) for key in right)
    if isinstance(right, np.ndarray) and isinstance(found, np.ndarray):
        return right.shape == found.shape and right.tobytes() == found.tobytes()
    return bool(found == right)
