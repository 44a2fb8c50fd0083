"""Days of one block, one after another: every chunk of predictors is read once, windows slide over what was read."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from pm25map.base.errors import Pm25mapError, StoreUnreachable
from pm25map.grid import Block
from pm25map.predictors.cache import ReadCount
from pm25map.raster.block_bands import BlockDay, Floats
from pm25map.raster.estimator import Estimator

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

CELLS_A_BATCH = 4096
"""Windows that are gathered at a time: small blocks gather several days, so that the network is never idle."""

Failed = Callable[[dt.date, Pm25mapError], None]
"""Called with a day whose predictors cannot be read, and why."""


@dataclass
class _Days:
    """What is held of the last days of a block, by day.

    Attributes:
        scaled: predictors as the network reads them, float32 (cell, input).
        raw: before scaling, float32 (cell, feature); only of the features that further bands read.
        lost: why a day cannot be read.
    """

    scaled: dict[dt.date, Floats] = field(default_factory=dict)
    raw: dict[dt.date, Floats] = field(default_factory=dict)
    lost: dict[dt.date, Pm25mapError] = field(default_factory=dict)

    def drop_before(self, scaled: dt.date, raw: dt.date) -> None:
        """Let go of what no later window reads."""
        for held, first in ((self.scaled, scaled), (self.raw, raw)):
            for old in [day for day in held if day < first]:
                del held[old]


_Read = tuple[Floats, Floats | None] | Pm25mapError
"""Scaled predictors (day, cell, input) and those that further bands read (day, cell, feature), or why not."""


class _Block:
    """A block on its way through some days."""

    def __init__(self, estimator: Estimator, block: Block, count: ReadCount | None) -> None:
        self.estimator, self.block, self.count = estimator, block, count
        inputs = estimator.inputs
        self.cells = estimator.asked[block.slices]
        self.numbers = estimator.land_index[block.slices][self.cells]
        self.place = None if estimator.vectors is None else estimator.vectors.read(self.numbers)
        read = {name for one in estimator.block_bands for name in one.raw_features}
        self.raw_features = tuple(name for name in inputs.features if name in read)
        self.raw_days = max((one.raw_days for one in estimator.block_bands), default=0)
        self.columns = [inputs.features.index(name) for name in self.raw_features]
        self.held = _Days()

    def read(self, days: list[dt.date]) -> _Read:
        """Read some days: scaled (day, cell, input) and what further bands read (day, cell, feature)."""
        inputs = self.estimator.inputs
        try:
            values = inputs.predictors.read(inputs.features, days, self.block, self.count)
        except StoreUnreachable:
            raise  # no other day could be read either
        except Pm25mapError as error:
            return error
        # Scaled after dropping cells off land: half of a coastal block.
        raw = values[:, :, self.cells].transpose(0, 2, 1)  # (day, cell, feature)
        scaled = inputs.model.card.scaler.apply(raw)
        return scaled, raw[:, :, self.columns] if self.columns else None

    def keep(self, days: list[dt.date], read: _Read) -> None:
        """Hold what was read, or why it could not be."""
        if isinstance(read, Pm25mapError):
            self.held.lost.update(dict.fromkeys(days, read))
            return
        scaled, raw = read
        self.held.scaled.update(zip(days, scaled, strict=True))
        if raw is not None:
            self.held.raw.update(zip(days, raw, strict=True))

    def estimate(self, windows: dict[dt.date, list[dt.date]]) -> Iterator[tuple[dt.date, Floats]]:
        """Estimate some days at once, all of whose windows are held: float32 (band, cell) each."""
        session, size = self.estimator.session(), len(self.numbers)
        stacks = [np.stack([self.held.scaled[d] for d in days], axis=1) for days in windows.values()]
        window = stacks[0] if len(stacks) == 1 else np.concatenate(stacks)  # (day and cell, day, input)
        place = self.place
        if place is not None and len(stacks) > 1:
            place = np.tile(place, (len(stacks), 1))
        estimates = session.estimate(window, place)
        for number, (day, days) in enumerate(windows.items()):
            rows = slice(number * size, (number + 1) * size)
            raw = [self.held.raw[d] for d in days[len(days) - self.raw_days :]] if self.columns else []
            at = BlockDay(
                day=day,
                block=self.block,
                cells=self.cells,
                numbers=self.numbers,
                window=window[rows],
                place=self.place,
                estimates=estimates[:, rows],
                session=session,
                raw_features=self.raw_features,
                raw=np.stack(raw, axis=1) if raw else np.empty((size, 0, 0), dtype=np.float32),
            )
            yield day, self._with_bands(at)

    def _with_bands(self, at: BlockDay) -> Floats:
        """Stack the estimates and the further bands, in the order of Estimator.bands."""
        makers = self.estimator.block_bands
        if not makers:
            return at.estimates
        more = [layers[band] for one in makers for layers in (one(at),) for band in one.bands]
        return np.vstack([at.estimates, *more])


def estimate_days(
    estimator: Estimator,
    block: Block,
    days: Sequence[dt.date],
    *,
    count: ReadCount | None = None,
    failed: Failed | None = None,
) -> Iterator[tuple[dt.date, Floats]]:
    """Estimate the cells of a block day after day.

    Args:
        estimator: opened; gives the cells to estimate.
        block: of its grid, with at least one such cell.
        days: to estimate, oldest first, passed by Inputs.check.
        count: counts what is read of daily predictors, which then passes by the cache.
        failed: called with a day that cannot be estimated; where None, the reason is raised.

    Yields:
        Each day with float32 (band, cell), in the order of Estimator.bands, cells row by row.

    Raises:
        BadPredictors: they cannot be read, unless `failed` is given.
        BadModel, DeviceUnavailable: the model cannot run.
    """
    inputs, at = estimator.inputs, _Block(estimator, block, count)
    windows = {day: inputs.window(day) for day in days}
    batch = max(1, CELLS_A_BATCH // len(at.numbers))
    waiting = list(days)
    for group, read in _reads(at, windows):
        at.keep(group, read)
        ready = [day for day in waiting if day <= group[-1]]
        waiting = waiting[len(ready) :]
        whole = []
        for day in ready:
            lost = next((at.held.lost[d] for d in windows[day] if d in at.held.lost), None)
            if lost is None:
                whole.append(day)
            elif failed is None:
                raise lost
            else:
                failed(day, lost)
        for start in range(0, len(whole), batch):
            yield from at.estimate({day: windows[day] for day in whole[start : start + batch]})
        if waiting:
            following = windows[waiting[0]]
            at.held.drop_before(following[0], following[len(following) - max(1, at.raw_days)])


def _reads(at: _Block, windows: dict[dt.date, list[dt.date]]) -> Iterator[tuple[list[dt.date], _Read]]:
    """Read the days of some windows, group by group."""
    if len(windows) == 1:
        # One day needs all of its window: there is nothing to read ahead for.
        (window,) = windows.values()
        yield window, at.read(window)
        return
    needed = sorted(set().union(*windows.values()))
    groups = list(at.estimator.inputs.predictors.chunks_of(needed).values())
    yield from zip(groups, _ahead(at.read, groups), strict=True)


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
