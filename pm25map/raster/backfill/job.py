"""What a backfill shall make, in values that travel to workers; and what each worker opens of it, once."""

import functools
import json
import threading
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from pm25map.base.files import sha256_of_bytes
from pm25map.base.storage import WORKING, Folder, location, open_folder
from pm25map.grid import Block
from pm25map.model.runtime import ENGINES, Device, EngineName
from pm25map.raster.estimator import Estimator, EstimatorNames, Options
from pm25map.raster.inputs import InputNames, Inputs, band_words, specs_of
from pm25map.raster.part import Box, part_of

_ENGINE = f"{WORKING}/engine.json"

Format = Literal["cog", "netcdf"]

SUFFIXES: Final[dict[Format, str]] = {"cog": "tif", "netcdf": "nc"}
"""How the file of a day ends in each format."""


class Job(BaseModel):
    """Names and paths only: stores and sessions never travel.

    Attributes:
        inputs: what the maps are made of, by name.
        bands: names of further bands (raster.inputs.BANDS).
        out: folder of the maps, a path or a URL.
        bbox, region: the part of the grid, as the options of the same names.
        device, engine: what shall run the network.
        block_size: side of a block in cells; None takes the grid's.
        format: of the maps: a Cloud-Optimized GeoTIFF or a NetCDF file a day.
        checksum: of the inputs (Inputs.checksum) when the job was made: a worker must find the very same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: InputNames
    bands: tuple[str, ...] = ()
    out: str
    bbox: Box | None = None
    region: str | None = None
    device: Device = "auto"
    engine: EngineName = "onnxruntime"
    block_size: int | None = None
    format: Format = "cog"
    checksum: str

    @property
    def options(self) -> Options:
        """Return how blocks are computed."""
        return Options(self.device, self.engine, block_size=self.block_size)


@dataclass(frozen=True, eq=False)
class OpenJob:
    """What a process holds open for a job; its threads share it.

    Attributes:
        job: that it is open for.
        estimator: of the job's inputs and part.
        folder: of the maps.
    """

    job: Job
    estimator: Estimator
    folder: Folder

    @property
    def inputs(self) -> Inputs:
        """Return what the maps are made of."""
        return self.estimator.inputs

    @property
    def view(self) -> Block:
        """Return the rectangle that the maps cover."""
        return self.estimator.view

    @functools.cached_property
    def key(self) -> str:
        """Name what decides a staged value, apart from the day's window: 16 hexadecimal digits."""
        inputs, estimator = self.inputs, self.estimator
        places = inputs.places.checksum if inputs.places else ""
        # Blocks of another size have other cells under the same name.
        size = str(estimator.block_size)
        engine = estimator.session().engine
        parts = [
            inputs.model.card.checksum,
            inputs.grid.checksum,
            places,
            engine,
            estimator.part.words,
            size,
            *band_words(estimator.block_bands),
        ]
        return sha256_of_bytes(*(f"{part}\n".encode() for part in parts))[:16]


def engine_before(folder: Folder, inputs: Inputs) -> EngineName | None:
    """Return the engine that an earlier run on a folder chose for this model, so that all days are of one engine."""
    try:
        stated = json.loads(folder.read(_ENGINE) or b"{}")
        card, chosen = stated["card"], stated["engine"]
    except (ValueError, KeyError, TypeError):
        return None  # nothing is lost with it: the engine is chosen anew
    return chosen if card == inputs.model.card.checksum and chosen in ENGINES else None


def remember_engine(opened: OpenJob) -> None:
    """Write down the engine of a run, for `--engine auto` of the next."""
    stated = {"engine": opened.job.engine, "card": opened.inputs.model.card.checksum}
    opened.folder.write(_ENGINE, json.dumps(stated).encode())


def open_job(job: Job, inputs: Inputs | None = None) -> OpenJob:
    """Open what a job needs, or return what was opened for it already.

    Args:
        job: to open.
        inputs: of the job, where this process has opened them.

    Raises:
        BadPredictors: what is opened here is not what the job was made of.
        Else as open_inputs.
    """
    with _LOCK:
        if job not in _OPEN:
            if inputs is None:
                named = EstimatorNames(
                    job.inputs, specs_of(job.bands), job.bbox, job.region, job.options, job.checksum
                )
                estimator = named.open()
            else:
                estimator = Estimator(inputs, part_of(inputs.grid, job.bbox, job.region), job.options)
            _OPEN.clear()  # one job at a time: what an earlier one held is let go
            _OPEN[job] = OpenJob(job, estimator, open_folder(location(job.out)))
        return _OPEN[job]


_OPEN: dict[Job, OpenJob] = {}
_LOCK = threading.Lock()
