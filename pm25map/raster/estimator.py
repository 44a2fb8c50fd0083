"""What a process holds open to estimate blocks, and the names by which another process opens the same."""

import copy
import dataclasses
import functools
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadOutput
from pm25map.grid import Block
from pm25map.model.runtime import Device, EngineName, Session, count_cuda_devices, open_session
from pm25map.raster.bands import ESTIMATES, Band
from pm25map.raster.block_bands import BandSpec
from pm25map.raster.inputs import InputNames, Inputs, open_named
from pm25map.raster.part import Box, Part, part_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How maps are computed. None of it changes a value, but for the last digits of another engine.

    Attributes:
        device: auto, cpu or cuda.
        engine: that shall run the network.
        workers: blocks at the same time, each with a session of one thread, where threads of this process work.
        block_size: side of a block in cells; None takes the grid's.
        chunk_days: days of a block that one task estimates; each task reads its predictors once, its window first.
        progress: called with the cells estimated and the cells in all; heard of threads of this process only.
    """

    device: Device = "auto"
    engine: EngineName = "onnxruntime"
    workers: int = 2
    block_size: int | None = None
    chunk_days: int = 8
    progress: Progress | None = None


@dataclass(frozen=True)
class EstimatorNames:
    """What travels to another process in place of an Estimator.

    Attributes:
        inputs: by their names.
        bands: that maps shall have beside those of the model.
        box, region: of the part of the grid.
        options: without progress.
        checksum: of the inputs (Inputs.checksum): the other process must find the very same.
    """

    inputs: InputNames
    bands: tuple[BandSpec, ...]
    box: Box | None
    region: str | None
    options: Options
    checksum: str

    def open(self) -> "Estimator":
        """Open what it names, or return what this process opened by these names already.

        Raises:
            BadPredictors: what is opened here is not what was named.
            Else as open_inputs.
        """
        with _LOCK:
            return _open(self)


class Estimator:
    """Inputs, part and options, opened to estimate blocks; threads share it, each with a session of its own.

    It pickles as names: neither stores nor sessions travel, and a process opens them at its first block.

    Attributes:
        inputs, part, options: as given.
        view: the rectangle that maps cover.
        asked: bool (y, x) of the grid, the cells to estimate.
        land_index: int32 (y, x), number of each land cell, as the place store counts them.
    """

    def __init__(self, inputs: Inputs, part: Part | None = None, options: Options | None = None) -> None:
        self.inputs = inputs
        self.part = part or Part()
        self.options = options or Options()
        self.view = self.part.view_on(inputs.grid)
        self.asked: npt.NDArray[np.bool_] = self.part.asked(inputs.grid)
        self.land_index = inputs.grid.land_index()
        self.block_bands = inputs.block_bands
        self.vectors = inputs.vectors
        self._own = threading.local()
        self._threads = itertools.count()

    def session(self) -> Session:
        """Return the session of this thread, opened at its first use; threads share the CUDA devices evenly."""
        if not hasattr(self._own, "session"):
            number = next(self._threads) % max(1, count_cuda_devices())
            options = self.options
            self._own.session = open_session(
                self.inputs.model, options.device, engine=options.engine, device_id=number
            )
        session: Session = self._own.session
        return session

    @functools.cached_property
    def bands(self) -> tuple[Band, ...]:
        """Name the bands of a map: those of the session first, PM2.5 foremost."""
        own = (ESTIMATES[name] for name in self.session().bands)
        return (*own, *(band for one in self.block_bands for band in one.bands))

    @property
    def block_size(self) -> int:
        """Return the side of a block in cells."""
        return self.options.block_size or self.inputs.grid.block_size

    @property
    def cell_count(self) -> int:
        """Count the cells to estimate on one day."""
        return int(np.count_nonzero(self.asked))

    def blocks(self) -> list[Block]:
        """List the blocks that hold a cell to estimate, row by row."""
        return [block for block in self.inputs.grid.blocks(self.block_size) if self.cells_of(block)]

    def cells_of(self, block: Block) -> int:
        """Count the cells to estimate in a block."""
        return int(np.count_nonzero(self.asked[block.slices]))

    def of_cells(self, asked: npt.NDArray[np.bool_]) -> "Estimator":
        """Return the same for some of its cells, bool (y, x) of the grid."""
        some = copy.copy(self)
        some.asked = asked
        return some

    @property
    def names(self) -> EstimatorNames:
        """Return what travels in its place.

        Raises:
            BadOutput: it was put together from open parts, which have no names.
        """
        if self.inputs.names is None or (self.part.names == (None, None) and self.part.words != "all"):
            raise BadOutput(
                "these inputs were put together by hand and cannot be sent to workers: open them by name, or "
                "compute in threads of this process"
            )
        options = dataclasses.replace(self.options, progress=None)
        box, region = self.part.names
        return EstimatorNames(
            self.inputs.names, self.inputs.bands, box, region, options, self.inputs.checksum
        )


class SharedEstimator:
    """Hands an Estimator to tasks: the very one in this process; names elsewhere, opened when a task first asks."""

    def __init__(self, estimator: Estimator | EstimatorNames) -> None:
        self._held = estimator

    def get(self) -> Estimator:
        """Return the open Estimator of this process."""
        if isinstance(self._held, EstimatorNames):
            self._held = self._held.open()
        return self._held

    def __reduce__(self) -> tuple[Any, ...]:
        held = self._held
        return SharedEstimator, (held if isinstance(held, EstimatorNames) else held.names,)


@functools.lru_cache(maxsize=2)
def _open(names: EstimatorNames) -> Estimator:
    inputs = open_named(names.inputs, names.bands, names.checksum)
    return Estimator(inputs, part_of(inputs.grid, names.box, names.region), names.options)


_LOCK = threading.Lock()
