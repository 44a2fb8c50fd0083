"""One block over a run of days: every chunk of predictors is read once, its windows slide, estimates are staged."""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import Pm25mapError
from pm25map.grid import Block
from pm25map.predictors.cache import ReadCount
from pm25map.raster.backfill.job import Job, Workshop, open_workshop
from pm25map.raster.backfill.stage import segment_of, stage_rows

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

Hear = Callable[[int], None]
"""Called with the cells that were just estimated."""

_Fields = dict[dt.date, npt.NDArray[np.float32]]

CELLS_A_BATCH = 4096
"""Windows that are gathered at a time: small blocks gather several days, so that the network is never idle."""


@dataclass
class BlockReport:
    """What came of a block.

    Attributes:
        block: id.
        staged: days by name of the files that it left in the stage.
        failed: days that have no estimate, and why.
        estimated: cells times days.
        chunks, bytes: read of the daily predictors.
        staged_bytes: written to the stage.
        seconds: that it took.
    """

    block: str
    staged: dict[str, list[dt.date]] = field(default_factory=dict)
    failed: dict[dt.date, str] = field(default_factory=dict)
    estimated: int = 0
    chunks: int = 0
    bytes: int = 0
    staged_bytes: int = 0
    seconds: float = 0.0


@dataclass
class _Slide:
    """What is held of the last days of a block, by day.

    Attributes:
        values: scaled predictors, float32 (cell, input).
        fields: what intervals depend on, float32 (cell, field), of days to estimate; empty without intervals.
        lost: why a day cannot be read.
    """

    values: dict[dt.date, npt.NDArray[np.float32]] = field(default_factory=dict)
    fields: _Fields = field(default_factory=dict)
    lost: dict[dt.date, str] = field(default_factory=dict)

    def forget_before(self, day: dt.date) -> None:
        """Let go of what no later window holds."""
        for held in (self.values, self.fields):
            for old in [known for known in held if known < day]:
                del held[old]


def compute_block(job: Job, block: Block, days: tuple[dt.date, ...], hear: Hear | None = None) -> BlockReport:
    """Estimate a block on some days and stage the estimates, a segment of days at a time.

    Args:
        job: what it is for.
        block: of the job's grid.
        days: to estimate, oldest first.
        hear: called as the work goes on.

    Returns:
        What came of it; a day whose predictors cannot be read is in `failed` and stops no other.

    Raises:
        DiskFull, BadOutput: the stage cannot be written.
        BadModel, DeviceUnavailable: the model cannot run.
    """
    shop = open_workshop(job)
    began = time.monotonic()
    report = BlockReport(block.id)
    rows: dict[dt.date, tuple[str, npt.NDArray[np.float32]]] = {}
    inputs = shop.inputs
    for day, estimate in estimates(shop, block, days, report):
        if rows and segment_of(day) != segment_of(next(iter(rows))):
            _stage(shop, block, rows, report)
        rows[day] = inputs.predictors.window_checksum(inputs.features, inputs.window(day)), estimate
        report.estimated += estimate.shape[1]
        if hear is not None:
            hear(estimate.shape[1])
    if rows:
        _stage(shop, block, rows, report)
    report.seconds = time.monotonic() - began
    return report


def _stage(
    shop: Workshop,
    block: Block,
    rows: dict[dt.date, tuple[str, npt.NDArray[np.float32]]],
    report: BlockReport,
) -> None:
    name, size = stage_rows(shop.folder, shop.key, block, rows)
    report.staged[name] = list(rows)
    report.staged_bytes += size
    rows.clear()


def estimates(
    shop: Workshop, block: Block, days: tuple[dt.date, ...], report: BlockReport
) -> Iterator[tuple[dt.date, npt.NDArray[np.float32]]]:
    """Estimate day after day: float32 (band, cell), in the order of Workshop.bands."""
    inputs, session, bounds = shop.inputs, shop.session(), shop.inputs.intervals
    cells = shop.asked[block.slices]
    size = int(np.count_nonzero(cells))
    place = None if inputs.places is None else inputs.places.read(shop.land_index[block.slices][cells])
    windows = {day: inputs.window(day) for day in days}
    needed = sorted(set().union(*windows.values()))
    groups = inputs.predictors.chunks_of(needed).values()
    slide = _Slide()
    waiting = list(days)
    count = ReadCount()
    a_batch = max(1, CELLS_A_BATCH // size)

    def read(group: list[dt.date]) -> tuple[list[dt.date], npt.NDArray[np.float32] | str, _Fields]:
        try:
            values = inputs.predictors.read(inputs.features, group, block, count)
        except Pm25mapError as error:
            return group, " ".join(str(error).split()), {}
        found = values[:, :, cells].transpose(0, 2, 1)
        fields = (
            {}
            if bounds is None
            else {
                day: one[:, bounds.columns] for day, one in zip(group, found, strict=True) if day in windows
            }
        )
        return group, inputs.model.card.scaler.apply(found), fields

    def with_bounds(day: dt.date, estimate: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if bounds is None:
            return estimate
        more = bounds.on_day(day, block, cells, estimate[0], slide.fields[day])
        return np.vstack([estimate, *more.values()])

    for group, scaled, fields in _ahead(read, groups):
        if isinstance(scaled, str):
            slide.lost.update(dict.fromkeys(group, scaled))
        else:
            slide.values.update(zip(group, scaled, strict=True))
            slide.fields.update(fields)
        ready = [day for day in waiting if day <= group[-1]]
        waiting = waiting[len(ready) :]
        whole = []
        for day in ready:
            lost = next((slide.lost[d] for d in windows[day] if d in slide.lost), None)
            if lost is None:
                whole.append(day)
            else:
                report.failed[day] = lost
        for start in range(0, len(whole), a_batch):
            part = whole[start : start + a_batch]
            window = np.concatenate(
                [np.stack([slide.values[d] for d in windows[day]], axis=1) for day in part]
            )
            spot = None if place is None else np.tile(place, (len(part), 1))
            estimate = session.estimate(window, spot)
            for day, one in zip(part, np.split(estimate, len(part), axis=1), strict=True):
                yield day, with_bounds(day, one)
        report.chunks, report.bytes = count.chunks, count.bytes
        if waiting:
            slide.forget_before(windows[waiting[0]][0])


def _ahead(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Apply a function to items in order, one item ahead of the reader: reading overlaps computing."""
    with ThreadPoolExecutor(1) as reader:
        queue = iter(items)
        first = next(queue, None)
        if first is None:
            return
        future = reader.submit(function, first)
        for item in queue:
            following = reader.submit(function, item)
            yield future.result()
            future = following
        yield future.result()
