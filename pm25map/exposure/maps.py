"""The maps that a table is made of: one band, a day each, on one grid, read where it is needed."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from pm25map.base.errors import BadMap
from pm25map.grid.geotiff import Georeference, Raster, is_ugm3, open_raster
from pm25map.raster.item_checks import check_map
from pm25map.view.layers import PM25, day_of, keys_of, list_maps, unit_of

STRIP_CELLS = 4_000_000
"""Cells that are read at once, so that fine maps need little memory."""

Cells = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class DailyMaps(Protocol):
    """Maps of some days."""

    @property
    def place(self) -> Georeference:
        """Return where the cells of all maps are."""

    @property
    def key(self) -> str:
        """Name the band, such as pm25."""

    @property
    def unit(self) -> str:
        """Name the unit of its values; empty where the maps do not say."""

    @property
    def made_by(self) -> str:
        """Return what made them, for provenance."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the table must know of them."""

    @property
    def days(self) -> list[dt.date]:
        """List the days that there is a map of, oldest first."""

    def values(self, day: dt.date, cells: Cells) -> Floats:
        """Read some cells: float64 (cell,), NaN where there is no value.

        Args:
            day: one of `days`.
            cells: row times columns plus column, sorted.
        """

    def identity(self) -> list[list[str | int]]:
        """Return what changes when one of the maps does, as JSON takes it."""


@dataclass(frozen=True)
class MapFiles:
    """Maps in files; attributes as `DailyMaps`, and the file and number of the band of each day."""

    files: dict[dt.date, tuple[Path, int]]
    place: Georeference
    key: str
    unit: str
    made_by: str
    notes: tuple[str, ...]

    @property
    def days(self) -> list[dt.date]:
        """List the days that there is a map of, oldest first."""
        return sorted(self.files)

    def values(self, day: dt.date, cells: Cells) -> Floats:
        """Read some cells, as `DailyMaps.values`.

        Raises:
            BadMap: the file is damaged, or not the one that was found.
        """
        path, band = self.files[day]
        cols = self.place.shape[1]
        found = np.full(len(cells), np.nan)
        with open_raster(path) as raster:
            if raster.place != self.place or band not in raster.numbers:
                raise BadMap(f"{path} was replaced while it was read: start again")
            for first, height in _strips(raster, band, cells):
                low, high = np.searchsorted(cells, [first * cols, (first + height) * cols])
                if low < high:
                    read = raster.values(band, window=Window(0, first, cols, height))
                    found[low:high] = read.ravel()[cells[low:high] - first * cols]
        return found

    def identity(self) -> list[list[str | int]]:
        """Return what changes when one of the maps does."""
        return [
            [str(day), path.name, path.stat().st_size, path.stat().st_mtime_ns, band]
            for day, (path, band) in sorted(self.files.items())
        ]


def _strips(raster: Raster, band: int, cells: Cells) -> list[tuple[int, int]]:
    """Cut the rows that hold some cells into strips of whole blocks: first row and height."""
    if not len(cells):
        return []
    rows, cols = raster.place.shape
    block = int(raster.source.block_shapes[band - 1][0])
    height = max(STRIP_CELLS // cols // block, 1) * block
    start = int(cells[0]) // cols // block * block
    return [(row, min(height, rows - row)) for row in range(start, int(cells[-1]) // cols + 1, height)]


def find_maps(paths: Iterable[Path], band: str | None = None) -> MapFiles:
    """Find the maps in files and folders: by what they say of themselves, else by the date in their names.

    Args:
        paths: of maps, of pm25map or of another program, and of folders of them.
        band: key of the band, as `pm25map view` names layers; PM2.5 where None.

    Raises:
        BadMap: there is none, or none with that band and a day; a file cannot be read, or is not the one that the
            item beside it describes; two are of one day, of two grids, of two units or of two models.
    """
    files: dict[dt.date, tuple[Path, int]] = {}
    firsts: dict[str, tuple[Path, object]] = {}
    passed: list[str] = []
    beside: list[str] = []
    place = Georeference("", (0, 0, 0, 0, 0, 0), (0, 0))
    key, unit, made_by = "", "", ""
    for path in list_maps(paths):
        check_map(path)
        with open_raster(path) as raster:
            tags = raster.source.tags()
            number = _band_of(raster, band, ours=bool(model_of(tags)))
            day = day_of(tags, path)
            if number is None and model_of(tags):
                # The other bands of a map stand beside it: nobody misses them.
                beside.append(f"{path.name} (no such band)")
                continue
            if number is None or day is None:
                passed.append(f"{path.name} ({'no such band' if number is None else 'no day'})")
                continue
            place, key, unit = raster.place, keys_of(raster)[number], unit_of(raster, number)
        made_by = model_of(tags)
        for what, found in {"grids": place, "units": is_ugm3(unit) or unit, "models": made_by}.items():
            one, before = firsts.setdefault(what, (path, found))
            if before != found:
                raise BadMap(f"{one} and {path} are of two {what}: make a table of those of one at a time")
        if day in files:
            raise BadMap(f"{files[day][0]} and {path} are both of {day}: keep one map a day")
        files[day] = (path, number)
    if not files:
        passed += beside
        wanted = f"band {band}" if band else "a band of PM2.5 in ug/m3"
        raise BadMap(
            f"none of {len(passed)} files has {wanted} and a day, in its tags or as 2020-09-12 in its name: "
            f"{_some(passed)}. Name one with --band"
        )
    notes = [f"passed over {len(passed)} files: {_some(passed)}"] if passed else []
    return MapFiles(files, place, key, unit, made_by, tuple(notes))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _band_of(raster: Raster, wanted: str | None, *, ours: bool) -> int | None:
    """Choose the band of a raster, of pm25map or of another program; None where the raster does not have it."""
    keys = {key: number for number, key in keys_of(raster).items()}
    if wanted is not None:
        return keys.get(wanted)
    if PM25 in keys:
        return keys[PM25]
    if ours:
        return None
    # Another program's map of one quantity, whatever it calls it.
    only = list(keys.values())
    return only[0] if len(only) == 1 and is_ugm3(unit_of(raster, only[0])) else None


def model_of(tags: Mapping[str, str]) -> str:
    """Name the model that made a map, of its tags; empty for another program's."""
    name, version, card = (
        str(tags.get(f"PM25MAP_{name}", "")) for name in ("MODEL_NAME", "MODEL_VERSION", "CARD_CHECKSUM")
    )
    return f"model {name} {version}, card {card}" if name else ""
