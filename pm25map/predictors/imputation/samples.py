"""Cell-days for training: observed values, hidden as clouds hide them, with what surrounds them.

Only hidden cells are trained on, and their buffers are computed from what is left: at a gap, too, the cell itself and
what lies under the same cloud are not known. What is hidden is what another day lacks; where that is hardly anything
or nearly all, random squares are.
"""

import datetime as dt
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.grid import Block, Grid
from pm25map.predictors.imputation.buffers import day_buffers
from pm25map.predictors.imputation.inputs import input_names, read_day, read_inputs
from pm25map.predictors.reader import Predictors

Progress = Callable[[int, int], None]

HELD_OUT = 0.2
"""Share of the days, and of the blocks, that are held out of training."""

_RUN_DAYS = 5
"""Days are held out in runs: a day between two training days is no test."""
_BLOCKS_A_SIDE = 6
"""Squares along the longer side of a grid from which blocks are held out: 700 to 800 km on CONUS."""
_MEMORY = 8
"""Days whose gaps may be put onto another day."""
_SHARE = (0.05, 0.95)
"""Share of the observed cells that the gaps of another day must hide."""
_SQUARES_SHARE = 0.3
"""Share of a grid that random squares hide."""


@dataclass(frozen=True)
class ImputationSplit:
    """The days and blocks that are held out.

    Attributes:
        days: that nothing is learned from.
        blocks: the same.
        size: cells along the side of these blocks.
    """

    days: frozenset[dt.date]
    blocks: tuple[Block, ...]
    size: int

    def holds_cells(self, grid: Grid) -> npt.NDArray[np.bool_]:
        """Return the mask of the held-out cells: bool (y, x)."""
        held_out = np.zeros(grid.shape, dtype=bool)
        for block in self.blocks:
            held_out[block.slices] = True
        return held_out


@dataclass(frozen=True)
class Samples:
    """Cell-days.

    Attributes:
        inputs: float32 (sample, input), buffers last.
        target: float32 (sample,), what was observed and hidden.
        held_out_day, held_out_block: bool (sample,).
        observed_days: days with an observation.
    """

    inputs: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    held_out_day: npt.NDArray[np.bool_]
    held_out_block: npt.NDArray[np.bool_]
    observed_days: int


def choose_split(grid: Grid, days: list[dt.date], rng: np.random.Generator) -> ImputationSplit:
    """Choose what to hold out: runs of days, and squares of the grid.

    Args:
        grid: of the store.
        days: that can be learned from, oldest first.
        rng: chooses.
    """
    length = max(1, min(_RUN_DAYS, len(days) // 10))
    runs = [days[i : i + length] for i in range(0, len(days), length)]
    chosen = rng.permutation(len(runs))[: max(1, round(HELD_OUT * len(runs)))]
    size = max(1, -(-max(grid.shape) // _BLOCKS_A_SIDE))
    blocks = grid.blocks(size)
    picked = sorted(rng.permutation(len(blocks))[: max(1, round(HELD_OUT * len(blocks)))])
    held_out = tuple(blocks[i] for i in picked) if len(blocks) > 1 else ()
    return ImputationSplit(frozenset(day for i in chosen for day in runs[i]), held_out, size)


def hide(
    observed_cells: npt.NDArray[np.bool_], donor: npt.NDArray[np.bool_] | None, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Choose which observed cells of a day to hide: (y, x).

    Args:
        observed_cells: bool (y, x), observed on the day.
        donor: bool (y, x), observed on another day; None where there is none yet.
        rng: chooses squares.
    """
    if donor is not None:
        hidden = observed_cells & ~donor
        if _SHARE[0] <= hidden.sum() / max(1, observed_cells.sum()) <= _SHARE[1]:
            return hidden
    squares = np.zeros(observed_cells.shape, dtype=bool)
    longest = max(2, max(observed_cells.shape) // 4)
    while squares.mean() < _SQUARES_SHARE:
        side = int(rng.integers(1, longest + 1))
        row, col = rng.integers(0, observed_cells.shape[0]), rng.integers(0, observed_cells.shape[1])
        squares[
            max(0, row - side // 2) : row + side // 2 + 1, max(0, col - side // 2) : col + side // 2 + 1
        ] = True
    return observed_cells & squares


@dataclass(frozen=True)
class ImputationTask:
    """The target and predictors of an imputation.

    Attributes:
        target: that is imputed.
        predictors: that it is imputed from.
        radii: of the buffers, in cells.
        days: for training and to hold out, oldest first.
    """

    target: str
    predictors: tuple[str, ...]
    radii: tuple[int, ...]
    days: list[dt.date]


def gather(
    store: Predictors,
    task: ImputationTask,
    split: ImputationSplit,
    size: int,
    rng: np.random.Generator,
    see: Callable[[dt.date, npt.NDArray[np.float32]], None],
    progress: Progress | None = None,
) -> Samples:
    """Gather cell-days at random, as many of each day; memory is that of one day and of the samples.

    Args:
        store: with target and predictors on all days.
        task: what is imputed from what.
        split: the held-out days and blocks.
        size: cell-days at most.
        rng: chooses cells.
        see: is given each day with an observation, (y, x).
        progress: called with the number of days.
    """
    grid, held_cells, days = store.grid, split.holds_cells(store.grid), task.days
    memory: deque[npt.NDArray[np.bool_]] = deque(maxlen=_MEMORY)
    quota = max(1, size // max(1, len(days)))
    width = len(input_names(task.predictors, task.radii))
    inputs, values = [np.empty((0, width), np.float32)], [np.empty(0, np.float32)]
    held_out_day, held_out_block = [np.empty(0, bool)], [np.empty(0, bool)]
    observed_days = 0
    for done, day in enumerate(days, start=1):
        observed = read_day(store, task.target, day)
        observed_cells = np.isfinite(observed)
        if observed_cells.any():
            observed_days += 1
            see(day, observed)
            hidden = hide(observed_cells, memory[int(rng.integers(len(memory)))] if memory else None, rng)
            memory.append(observed_cells)
            picked = _pick(hidden, quota, rng)
            inputs.append(
                _inputs_of(
                    store, task.predictors, day, picked, np.where(hidden, np.nan, observed), task.radii
                )
            )
            values.append(_by_blocks(grid, picked, observed))
            held_out_block.append(_by_blocks(grid, picked, held_cells))
            held_out_day.append(np.full(len(values[-1]), day in split.days))
        if progress is not None:
            progress(done, len(days))
    return Samples(
        np.concatenate(inputs), np.concatenate(values), np.concatenate(held_out_day), np.concatenate(held_out_block),
        observed_days,
    )  # fmt: skip


def _pick(hidden: npt.NDArray[np.bool_], quota: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Pick some of the hidden cells: bool (y, x)."""
    places = np.flatnonzero(hidden)
    picked = np.zeros(hidden.size, dtype=bool)
    picked[rng.choice(places, min(quota, len(places)), replace=False)] = True
    return picked.reshape(hidden.shape)


def _by_blocks(grid: Grid, picked: npt.NDArray[np.bool_], field: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values of picked cells, block by block, each row by row."""
    return np.concatenate([field[block.slices][picked[block.slices]] for block in grid.blocks()])


def _inputs_of(
    store: Predictors,
    predictors: tuple[str, ...],
    day: dt.date,
    picked: npt.NDArray[np.bool_],
    left: npt.NDArray[np.float32],
    radii: tuple[int, ...],
) -> npt.NDArray[np.float32]:
    """Return the inputs of picked cells in the order of `_by_blocks`; buffers are of what is left."""
    buffers = day_buffers(left, store.grid.land, radii)
    parts = []
    for block in store.grid.blocks():
        cells = picked[block.slices]
        if cells.any():
            row, col = np.nonzero(cells)
            around = buffers.at(row + block.row, col + block.col)
            parts.append(np.hstack([read_inputs(store, predictors, day, block, cells), around]))
    return np.concatenate(parts) if parts else np.empty((0, len(input_names(predictors, radii))), np.float32)
