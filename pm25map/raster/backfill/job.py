"""What a backfill shall make, in values that travel to workers; and what each worker opens of it, once."""

import functools
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from pm25map.base.errors import BadPredictors
from pm25map.base.files import sha256_of_bytes
from pm25map.base.storage import WORKING, Folder, location, open_folder
from pm25map.grid import Block
from pm25map.model.runtime import ENGINES, Device, EngineName, Session, count_cuda_devices, open_session
from pm25map.raster.bands import ESTIMATES, Band
from pm25map.raster.inputs import Inputs, Part, open_inputs, part_of

_ENGINE = f"{WORKING}/engine.json"


class Job(BaseModel):
    """Names and paths only: stores and sessions never travel.

    Attributes:
        model, grid, predictors, places: as open_inputs takes them; predictors is None for the sample.
        out: folder of the maps, a path or a URL.
        bbox, region: the part of the grid, as the options of the same names.
        device, engine: what shall run the network.
        block_size: side of a block in cells; None takes the grid's.
        intervals: whether maps shall have the 90 % interval as bands.
        seal: of the inputs (seal_of) when the job was made: a worker must find the very same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    grid: str | None
    predictors: str | None
    places: str | None
    out: str
    bbox: tuple[float, float, float, float] | None = None
    region: str | None = None
    device: Device = "auto"
    engine: EngineName = "onnxruntime"
    block_size: int | None = None
    intervals: bool = False
    seal: str


@dataclass(frozen=True)
class Workshop:
    """What a process holds open for a job; its threads share it, each with a session of its own.

    Attributes:
        job: that it is open for.
        inputs, part, folder: opened.
        asked: bool (y, x) of the grid, the cells to estimate.
        land_index: number of each land cell (y, x), as the place store counts them.
    """

    job: Job
    inputs: Inputs
    part: Part
    folder: Folder
    asked: npt.NDArray[np.bool_]
    land_index: npt.NDArray[np.int32]
    _own: threading.local
    _threads: Iterator[int]

    @property
    def view(self) -> Block:
        """Give the rectangle that the maps cover."""
        return self.part.view or Block(0, 0, *self.inputs.grid.shape)

    def session(self) -> Session:
        """Give the session of this thread, opened at its first use; threads share the CUDA devices evenly."""
        if not hasattr(self._own, "session"):
            number = next(self._threads) % max(1, count_cuda_devices())
            job = self.job
            self._own.session = open_session(
                self.inputs.model, job.device, engine=job.engine, device_id=number
            )
        session: Session = self._own.session
        return session

    @property
    def bands(self) -> tuple[Band, ...]:
        """Name the bands of a map: what the session gives, and the intervals where they are asked for."""
        intervals = self.inputs.intervals
        return (*(ESTIMATES[name] for name in self.session().bands), *(intervals.bands if intervals else ()))

    def blocks(self) -> list[Block]:
        """List the blocks that hold a cell to estimate, row by row."""
        found = self.inputs.grid.blocks(self.job.block_size)
        return [block for block in found if self.asked[block.slices].any()]

    def cells_of(self, block: Block) -> int:
        """Count the cells to estimate in a block."""
        return int(np.count_nonzero(self.asked[block.slices]))

    @functools.cached_property
    def key(self) -> str:
        """Name what decides a staged value, apart from the day's window: 16 hexadecimal digits."""
        card = self.inputs.model.card
        places = self.inputs.places.checksum if self.inputs.places else ""
        engine = self.session().engine
        # Blocks of another size have other cells under the same name.
        size = str(self.job.block_size or self.inputs.grid.block_size)
        parts = [card.checksum, self.inputs.grid.checksum, places, engine, self.part.words, size]
        if self.inputs.intervals:
            parts.append(self.inputs.intervals.checksum)
        return sha256_of_bytes(*(f"{part}\n".encode() for part in parts))[:16]


def engine_before(folder: Folder, inputs: Inputs) -> EngineName | None:
    """Give the engine that an earlier run on a folder chose for this model, so that all days are of one engine."""
    try:
        told = json.loads(folder.read(_ENGINE) or b"{}")
        card, chosen = told["card"], told["engine"]
    except (ValueError, KeyError, TypeError):
        return None  # nothing is lost with it: the engine is chosen anew
    return chosen if card == inputs.model.card.checksum and chosen in ENGINES else None


def remember_engine(shop: Workshop) -> None:
    """Write down the engine of a run, for `--engine auto` of the next."""
    told = {"engine": shop.job.engine, "card": shop.inputs.model.card.checksum}
    shop.folder.write(_ENGINE, json.dumps(told).encode())


def seal_of(inputs: Inputs) -> str:
    """Give a checksum over all that maps are made of."""
    places = inputs.places.checksum if inputs.places else ""
    intervals = inputs.intervals.checksum if inputs.intervals else ""
    parts = (inputs.model.card.checksum, inputs.grid.checksum, places, inputs.predictors.checksum, intervals)
    return sha256_of_bytes(*(f"{part}\n".encode() for part in parts))


def open_workshop(job: Job, inputs: Inputs | None = None) -> Workshop:
    """Open what a job needs, or give what was opened for it already.

    Raises:
        BadPredictors: what is opened here is not what the job was made of.
        Else as open_inputs.
    """
    with _LOCK:
        if job not in _OPEN:
            inputs = inputs or open_inputs(
                job.model,
                job.grid,
                None if job.predictors is None else location(job.predictors),
                None if job.places is None else Path(job.places),
                intervals=job.intervals,
            )
            if seal_of(inputs) != job.seal:
                raise BadPredictors(
                    f"{inputs.predictors.path}, the model or the places are not those that the backfill was planned "
                    "with: let all workers see the same files, and run the same command again"
                )
            part = part_of(inputs.grid, job.bbox, job.region)
            index = inputs.grid.land_index()
            folder = open_folder(location(job.out))
            asked = part.asked(inputs.grid)
            _OPEN.clear()  # one job at a time: what an earlier one held is let go
            own = threading.local()
            _OPEN[job] = Workshop(job, inputs, part, folder, asked, index, own, itertools.count())
        return _OPEN[job]


_OPEN: dict[Job, Workshop] = {}
_LOCK = threading.Lock()
