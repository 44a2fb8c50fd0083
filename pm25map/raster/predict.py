"""Maps as a lazy array: estimates of some days over a part of a grid, chunk by chunk under Dask, on any scheduler."""

import datetime as dt
import itertools
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as da
import dask.threaded
import numpy as np
import numpy.typing as npt
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

from pm25map.base.errors import BadRegion
from pm25map.grid import Block
from pm25map.raster.bands import PM25, Band
from pm25map.raster.estimator import Estimator, Options, SharedEstimator
from pm25map.raster.inputs import Inputs
from pm25map.raster.part import Part
from pm25map.raster.stream import estimate_days

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DayMap:
    """The map of one day, computed.

    Attributes:
        pm25: float32 (y, x) of `view`, ug m-3, NaN off land and outside of the region.
        view: the part of the grid that was asked for.
        cells: how many cells were estimated.
        engine: that ran the network.
        provider: what truly ran it.
        more: further bands, float32 (y, x) of `view`.
    """

    pm25: Floats
    view: Block
    cells: int
    engine: str
    provider: str
    more: dict[Band, Floats]


@dataclass(frozen=True)
class Chunk:
    """What one task estimates.

    Attributes:
        block: of the grid, whose predictors are read.
        part: of the block, which the chunk covers.
        days: oldest first.
    """

    block: Block
    part: Block
    days: tuple[dt.date, ...]


def predict_days(
    inputs: Inputs, days: Sequence[dt.date], part: Part | None = None, options: Options | None = None
) -> xr.Dataset:
    """Return the estimates of some days as a lazy array: nothing is read before it is computed.

    Each chunk is some days of a block. Its task reads the predictors and place vectors of the block and runs a session
    of its thread, on whichever scheduler computes it; no chunking changes a value.

    Args:
        inputs: what maps are made of, opened and checked.
        days: to estimate, oldest first.
        part: of the grid; all of it where None.
        options: how to compute.

    Returns:
        A variable (day, y, x) for every band, float32, NaN off land and outside of the part; PM2.5 first, ug m-3.

    Raises:
        BadRegion: no land cell is asked for. Else as Inputs.check and open_session.
    """
    return dataset_of(open_estimator(inputs, days, part, options), tuple(days))


def predict_day(
    inputs: Inputs, day: dt.date, part: Part | None = None, options: Options | None = None
) -> DayMap:
    """Compute the map of one day with threads of this process; arguments and errors as `predict_days`."""
    estimator = open_estimator(inputs, [day], part, options)
    maps = compute(dataset_of(estimator, (day,)), estimator.options.workers)
    layers = {band: maps[band.name].values[0] for band in estimator.bands}
    session = estimator.session()
    pm25 = layers.pop(PM25)
    return DayMap(pm25, estimator.view, estimator.cell_count, session.engine, session.provider, layers)


def compute(maps: xr.Dataset, workers: int) -> xr.Dataset:
    """Compute a lazy dataset with threads of this process, so many blocks at the same time."""
    # By its function, not by its name: for a name Dask looks whether a cluster is there, which loads distributed.
    return maps.compute(scheduler=dask.threaded.get, num_workers=workers)


def open_estimator(
    inputs: Inputs, days: Sequence[dt.date], part: Part | None, options: Options | None
) -> Estimator:
    """Open an Estimator, and say what is wrong with inputs, part, device and engine before any block."""
    for day in days:
        inputs.check(day)
    estimator = Estimator(inputs, part, options)
    if not estimator.cell_count:
        raise BadRegion(
            f"no land cell of grid {inputs.grid.name} lies in the box and region that were asked for"
        )
    estimator.session()
    return estimator


def dataset_of(estimator: Estimator, days: tuple[dt.date, ...]) -> xr.Dataset:
    """Lay the estimates of some days out as a lazy array; else as `predict_days`."""
    view, bands, size = estimator.view, estimator.bands, estimator.block_size
    rows = _cuts(view.row, view.height, size)
    cols = _cuts(view.col, view.width, size)
    runs = [
        days[i : i + estimator.options.chunk_days] for i in range(0, len(days), estimator.options.chunk_days)
    ]
    estimate = partial(estimate_chunk, SharedEstimator(estimator), _Count(estimator, len(days)))
    # A name of its own for each call: two stores with the same names never share what a cluster keeps.
    name = f"pm25-{uuid.uuid4().hex}"
    graph: dict[Any, Any] = {}
    for i, (row, height) in enumerate(rows):
        for j, (col, width) in enumerate(cols):
            part = Block(row, col, height, width)
            block = _block_around(part, size, estimator.inputs.grid.shape)
            known = estimator.cells_of(block) > 0
            for t, run in enumerate(runs):
                key = (name, 0, t, i, j)
                graph[key] = (
                    (estimate, Chunk(block, part, run))
                    if known
                    else (_no_cells, (len(bands), len(run), height, width))
                )
    chunks = (
        (len(bands),),
        tuple(len(run) for run in runs),
        tuple(height for _, height in rows),
        tuple(width for _, width in cols),
    )
    layers = HighLevelGraph.from_collections(name, graph)
    every = da.Array(layers, name, chunks, meta=np.empty((0,) * 4, np.float32))  # type: ignore[no-untyped-call]
    x, y = estimator.inputs.grid.xy()
    return xr.Dataset(
        {band.name: (("day", "y", "x"), every[i], band.attributes()) for i, band in enumerate(bands)},
        {
            "day": np.array(days, dtype="datetime64[ns]"),
            "y": y[view.slices[0]],
            "x": x[view.slices[1]],
        },
    )


def estimate_chunk(shared: SharedEstimator, count: "_Count", chunk: Chunk) -> Floats:
    """Estimate a chunk: float32 (band, day, y, x), NaN where no cell is asked for."""
    estimator = shared.get()
    block, part = chunk.block, chunk.part
    cells = estimator.asked[block.slices]
    out = np.full(
        (len(estimator.bands), len(chunk.days), block.height, block.width), np.nan, dtype=np.float32
    )
    for number, (_, layers) in enumerate(estimate_days(estimator, block, chunk.days)):
        out[:, number, cells] = layers
        count.add(layers.shape[1])
    rows, cols = part.row - block.row, part.col - block.col
    return out[:, :, rows : rows + part.height, cols : cols + part.width]


class _Count:
    """Counts the cells that tasks of this process have estimated, and reports them; elsewhere it does nothing."""

    def __init__(self, estimator: Estimator, days: int) -> None:
        self._progress = estimator.options.progress
        self._all, self._done = estimator.cell_count * days, 0
        self._lock = threading.Lock()

    def add(self, cells: int) -> None:
        """Count some more."""
        if self._progress is not None:
            with self._lock:
                self._done += cells
                self._progress(self._done, self._all)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Silent, ()


class _Silent(_Count):
    """Counts for nobody."""

    def __init__(self) -> None:
        self._progress = None


def _no_cells(shape: tuple[int, ...]) -> Floats:
    return np.full(shape, np.nan, dtype=np.float32)


def _cuts(start: int, length: int, size: int) -> list[tuple[int, int]]:
    """Cut a stretch of rows or columns where blocks of the grid end: start and length of each part."""
    edges = [start, *range((start // size + 1) * size, start + length, size), start + length]
    return [(first, last - first) for first, last in itertools.pairwise(edges)]


def _block_around(part: Block, size: int, shape: tuple[int, int]) -> Block:
    """Return the block of the grid that holds a part of it."""
    row, col = part.row // size * size, part.col // size * size
    return Block(row, col, min(size, shape[0] - row), min(size, shape[1] - col))
