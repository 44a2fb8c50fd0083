"""Verifying a store: the fingerprints of its values, worked out again."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pm25map.base.files import sha256_of_bytes
from pm25map.base.object_store import remote_errors, unreachable
from pm25map.base.zarr_metadata import damage, refuse_shortage
from pm25map.predictors import layout
from pm25map.predictors.reader import Predictors
from pm25map.predictors.store import forget

Progress = Callable[[int, int], None]
"""Told how many variables are done, and of how many."""


@dataclass(frozen=True)
class Damage:
    """Values that are not those that were written.

    Attributes:
        variable: name.
        day: of a daily variable; None for a layer.
        why: what is wrong with it, for people.
    """

    variable: str
    day: dt.date | None
    why: str


def verify_store(store: Predictors, days: list[dt.date], progress: Progress | None = None) -> list[Damage]:
    """List what is damaged among some days and all layers; days that are missing are not.

    Args:
        store: to read, whole.
        days: to verify, oldest first.
        progress: called with the number of variables.
    """
    damage: list[Damage] = []
    group = layout.open_group(store.path, "r")
    for done, name in enumerate(store.variables, start=1):
        if name in store.daily:
            whole = set(store.days_of((name,)))
            for chunk in store.chunks_of([day for day in days if day in whole]).values():
                damage += _verify_days(store, group, name, chunk)
        else:
            damage += _verify_layer(group, name)
        if progress is not None:
            progress(done, len(store.variables))
    return damage


def forget_damage(path: Path, damage: list[Damage]) -> None:
    """Mark damaged days and layers as missing, so that an ingest writes them again.

    Raises:
        BadOutput: the store cannot be written.
    """
    for name in dict.fromkeys(one.variable for one in damage):
        forget(path, name, [one.day for one in damage if one.variable == name and one.day is not None])


def _verify_days(store: Predictors, group: layout.Group, name: str, days: list[dt.date]) -> list[Damage]:
    """Verify days that one chunk holds."""
    array, marker = group[name], group[layout.FINGERPRINT]
    column = marker.attrs["variables"].index(name)
    slots = [(day - store.span[0]).days for day in days]
    first, last = slots[0], slots[-1]
    try:
        stored = np.asarray(array[first : last + 1])
    except remote_errors() as error:
        raise unreachable(name, error) from error
    except damage() as error:
        refuse_shortage(error)
        return [Damage(name, day, f"cannot be read ({type(error).__name__})") for day in days]
    prints = np.asarray(marker[first : last + 1, column])
    return [
        Damage(name, day, "its values are not those that were written")
        for day, slot in zip(days, slots, strict=True)
        if layout.fingerprint(stored[slot - first]) != int(prints[slot - first])
    ]


def _verify_layer(group: layout.Group, name: str) -> list[Damage]:
    array = group[name]
    try:
        stored = np.asarray(array[...])
    except remote_errors() as error:
        raise unreachable(name, error) from error
    except damage() as error:
        refuse_shortage(error)
        return [Damage(name, None, f"cannot be read ({type(error).__name__})")]
    if sha256_of_bytes(stored.tobytes()) == array.attrs[layout.FINGERPRINT]:
        return []
    return [Damage(name, None, "its values are not those that were written")]
