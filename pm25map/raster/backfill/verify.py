"""Check a folder of maps: files against checksums, inputs against the store, some cells against the model."""

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.io import MemoryFile

from pm25map.base.errors import BadPredictors, DayOutsideStore, MissingDays
from pm25map.base.storage import Folder
from pm25map.predictors.cache import ReadCount
from pm25map.raster.backfill.day import StoredMap, find_map, identity_of, item_name, map_name
from pm25map.raster.backfill.job import OpenJob
from pm25map.raster.bands import PM25
from pm25map.raster.cog import GDAL_ERRORS
from pm25map.raster.netcdf import PACKED_WITHIN_UGM3, read_netcdf
from pm25map.raster.stream import estimate_days

OTHER_ENGINE_UGM3 = 0.1
"""How far another engine than the map's may be from it, ug m-3; the same engine must give the same bits."""

Layers = dict[str, npt.NDArray[np.float32]]
"""Bands of a map by name, (y, x)."""

_NAME = re.compile(r"^\d{4}/pm25_(\d{4}-\d{2}-\d{2})\.(tif|nc|json)$")


@dataclass(frozen=True)
class Problem:
    """Something wrong with the map of a day."""

    day: dt.date
    text: str


def days_in(folder: Folder) -> list[dt.date]:
    """List the days of which a folder holds a map or an item, oldest first."""
    days = set()
    for name in folder.names(""):
        if match := _NAME.match(name):
            with contextlib.suppress(ValueError):  # a name that is no day's is none of ours
                days.add(dt.date.fromisoformat(match[1]))
    return sorted(days)


def verify_days(
    opened: OpenJob, days: list[dt.date], cells: int, progress: Callable[[int, int], None] | None = None
) -> Iterator[Problem]:
    """Check maps.

    Args:
        opened: a job for the folder, with the model and store that the maps should be made of.
        days: to check.
        cells: to compute again in each map, in a block drawn by the day; 0 for none.
        progress: called with the days checked and the days in all.
    """
    for number, day in enumerate(days, start=1):
        text = _verify(opened, day, cells)
        if text:
            yield Problem(day, text)
        if progress is not None:
            progress(number, len(days))


def _verify(opened: OpenJob, day: dt.date, cells: int) -> str:
    """Return what is wrong with a map; nothing where all is well."""
    stored = find_map(opened.folder, day)
    if stored is None:
        name = map_name(day, opened.job.format)
        return f"{name} or {item_name(day)} is missing: run the same backfill again"
    if not stored.whole or stored.identity is None:
        return (
            f"the map of {item_name(day)} does not have the checksum of its item, or its item was changed: run the "
            "same backfill again"
        )
    try:
        opened.inputs.check(day)
    except (DayOutsideStore, MissingDays) as error:
        return f"its predictors are not there to compare with: {error}"
    if stored.identity != (wanted := identity_of(opened, day)):
        return f"it was made of other {stored.identity.differs(wanted)}: run the same backfill again, or name those"
    return _compare_cells(opened, day, cells, stored) if cells else ""


def _compare_cells(opened: OpenJob, day: dt.date, cells: int, stored: StoredMap) -> str:
    engine = stored.engine
    draw = np.random.default_rng(day.toordinal())
    estimator = opened.estimator
    blocks = estimator.blocks()
    block = blocks[int(draw.integers(len(blocks)))]
    inside = np.argwhere(estimator.asked[block.slices])
    chosen = inside[draw.permutation(len(inside))[:cells]]
    some = np.zeros(estimator.asked.shape, dtype=np.bool_)
    some[block.slices][tuple(chosen.T)] = True
    try:
        ((_, again),) = estimate_days(estimator.of_cells(some), block, (day,), count=ReadCount())
    except BadPredictors:
        return f"its predictors cannot be read in block {block.id}"
    form = opened.job.format
    values = _read(opened, day, stored)
    if isinstance(values, str):
        return values
    whole = np.full((len(again), *estimator.asked.shape), np.nan, dtype=np.float32)
    whole[:, *opened.view.slices] = values
    before = whole[:, some]
    # A cell without a value where there should be one is as far off as can be.
    apart = np.where(np.isnan(before) & np.isnan(again), 0, np.abs(before - again))
    apart = np.nan_to_num(apart, nan=np.inf)
    if engine != (mine := estimator.session()).engine:
        # Bounds may lie further apart than the estimates that they follow from.
        apart = apart[: len(mine.bands)]
    worst = float(apart.max())
    packed = PACKED_WITHIN_UGM3 if form == "netcdf" else 0.0
    same = worst <= packed + (0 if engine == mine.engine else OTHER_ENGINE_UGM3)
    if same:
        return ""
    return (
        f"{len(chosen)} cells of block {block.id} computed again differ by up to {worst:.3g} ug/m3: remove "
        f"{map_name(day, form)} and run the same backfill again"
    )


def _read(opened: OpenJob, day: dt.date, stored: StoredMap) -> npt.NDArray[np.float32] | str:
    """Read all bands of a map by name: float32 (band, y, x), or what is wrong."""
    wanted = [band.name for band in opened.estimator.bands]
    form = opened.job.format
    layers = _read_cog(opened, stored, wanted) if form == "cog" else _read_netcdf(opened, day, wanted)
    if isinstance(layers, str):
        return layers
    size = (opened.view.height, opened.view.width)
    wrong = next((layers[name].shape for name in wanted if layers[name].shape != size), None)
    if wrong:
        return f"{map_name(day, form)} has {wrong} cells, and {size[0]} x {size[1]} were asked for"
    return np.stack([layers[name] for name in wanted]).astype(np.float32)


def _read_netcdf(opened: OpenJob, day: dt.date, wanted: list[str]) -> Layers | str:
    name = map_name(day, "netcdf")
    try:
        return read_netcdf(opened.folder.read(name) or b"", wanted)
    except (OSError, IndexError, KeyError) as error:
        return f"{name} cannot be read ({error}): run the same backfill again"


def _read_cog(opened: OpenJob, stored: StoredMap, wanted: list[str]) -> Layers | str:
    layers: Layers = {}
    for name in stored.names.values():
        try:
            with MemoryFile(opened.folder.read(name) or b"") as memory, memory.open() as source:
                layers |= {source.tags(n).get("NAME", ""): source.read(n) for n in source.indexes}
        except GDAL_ERRORS as error:
            return f"{name} cannot be read ({error}): run the same backfill again"
    if PM25.name in layers:
        known = np.isfinite(layers[PM25.name])
        layers |= {name: np.where(known, np.float32(v), np.nan) for name, v in stored.constant.items()}
    absent = [name for name in wanted if name not in layers]
    return f"it lacks the band {absent[0]}: run the same backfill again" if absent else layers
