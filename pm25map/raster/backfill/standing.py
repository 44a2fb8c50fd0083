"""Finished maps that a backfill would replace because it was asked for something else: they are not lost unasked."""

import datetime as dt
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pm25map.base.storage import Folder
from pm25map.grid import Grid
from pm25map.model.card import Model
from pm25map.model.intervals import load_intervals
from pm25map.raster.backfill.day import format_of, item_name, read_item
from pm25map.raster.backfill.job import Format
from pm25map.raster.inputs import BANDS, specs_of
from pm25map.raster.part import Part

OPTION_OF = {band.name: option for option, spec in BANDS.items() for band in spec.bands}
"""Which option asks for a further band, by the band's name."""

FURTHER_BANDS, CALIBRATION = "further bands", "calibration"
"""Names of two choices."""

_READERS = 8


Choice = dict[str, tuple[str, str]]
"""What options choose of a map: name of each choice, what it is in words, and what tells two of one wording apart.

Predictors are none of it: they change under one name, and maps follow.
"""


@dataclass(frozen=True)
class Replaced:
    """Finished maps of something else.

    Attributes:
        days: of these maps, oldest first.
        there, asked: what the first of them is, and what was asked for, in words: only what differs.
    """

    days: tuple[dt.date, ...]
    there: str
    asked: str

    @property
    def words(self) -> str:
        """Describe in one line what would be replaced by what."""
        when = str(self.days[0]) + (f" to {self.days[-1]}" if len(self.days) > 1 else "")
        maps = "1 finished map" if len(self.days) == 1 else f"{len(self.days)} finished maps"
        return f"{maps} ({when}): they are of {self.there}, and {self.asked} is asked for"


def choice_of(model: Model, grid: Grid, part: Part, bands: Iterable[str], form: Format) -> Choice:
    """Return what the options of a backfill choose.

    Args:
        model, grid, part: opened.
        bands: names of further bands (raster.inputs.BANDS).
        form: of the maps.

    Raises:
        BadModel: intervals are asked for, and the model has none.
    """
    card = model.card
    calibrated = any(spec.calibrated for spec in specs_of(bands))
    return _choice(
        model=(f"{card.name} {card.version}", card.checksum + card.network_checksum),
        grid=(grid.name, grid.checksum),
        region=(part.words, part.words),
        bands=bands,
        intervals=load_intervals(model).checksum if calibrated else "",
        form=form,
    )


def find_replaced(folder: Folder, days: Iterable[dt.date], asked: Choice) -> Replaced | None:
    """Find the finished maps of some days that are of another choice; None where there is none.

    A day whose item is damaged or absent counts as not finished.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        contents = list(readers.map(lambda day: (day, folder.read(item_name(day))), days))
    others = []
    for day, content in contents:
        there = None if content is None else _choice_in(read_item(content))
        if there is not None and (names := _differing(there, asked)):
            others.append((day, there, names))
    if not others:
        return None
    _, there, names = others[0]
    return Replaced(
        tuple(day for day, _, _ in others), _tell(there, names, asked), _tell(asked, names, there)
    )


def _differing(one: Choice, other: Choice) -> list[str]:
    """Name what two choices differ in."""
    names = [name for name in one if one[name][1] != other[name][1]]
    if FURTHER_BANDS in names and CALIBRATION in names:
        names.remove(CALIBRATION)  # it follows from the bands
    return names


def _tell(choice: Choice, names: list[str], other: Choice) -> str:
    """Describe a part of a choice; what reads the same in the other, with the beginning of its checksum."""
    return ", ".join(
        f"{name} {words}" + (f" ({checksum[:8]})" if words == other[name][0] else "")
        for name, (words, checksum) in choice.items()
        if name in names
    )


def _choice_in(item: dict[str, Any] | None) -> Choice | None:
    """Read from the item of a map what was chosen for it; None where it does not say."""
    if item is None:
        return None
    try:
        properties = item["properties"]
        model, grid = properties["pm25map:model"], properties["pm25map:grid"]
        bands = {band["name"] for asset in item["assets"].values() for band in asset.get("bands", ())}
        return _choice(
            model=(f"{model['name']} {model['version']}", model["card_sha256"] + model["network_sha256"]),
            grid=(grid["name"], grid["sha256"]),
            region=(properties["pm25map:region"], properties["pm25map:region"]),
            bands={OPTION_OF[name] for name in bands if name in OPTION_OF},
            # Maps of before there were intervals say nothing of them.
            intervals=model.get("intervals_sha256") or "",
            form=format_of(item),
        )
    except (KeyError, TypeError, AttributeError):
        return None


def _choice(
    *,
    model: tuple[str, str],
    grid: tuple[str, str],
    region: tuple[str, str],
    bands: Iterable[str],
    intervals: str,
    form: Format,
) -> Choice:
    named = " and ".join(sorted(set(bands))) or "none"
    return {
        "model": model,
        "grid": grid,
        "region": region,
        FURTHER_BANDS: (named, named),
        CALIBRATION: (intervals[:8], intervals),
        "format": (form, form),
    }
