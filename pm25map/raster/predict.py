"""Predict one day: block by block under Dask, land cells only, one ONNX Runtime session a worker."""

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from dask.base import compute
from dask.delayed import delayed

from pm25map.base.days import window_of
from pm25map.base.errors import BadGrid, BadModel, BadRegion
from pm25map.base.shipped import shipped_folder
from pm25map.grid import Block, Grid, load_grid
from pm25map.model.card import Model
from pm25map.model.runtime import Device, EngineName, Session, TwinSession, open_session, open_twin
from pm25map.places.store import PlaceStore
from pm25map.predictors.reader import Predictors
from pm25map.raster.bands import ESTIMATES, PM25, Band
from pm25map.windows.window import block_predictors

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DayMap:
    """The map of one day.

    Attributes:
        pm25: float32 (y, x) of `view`, ug m-3, NaN off land and outside of the region.
        view: the part of the grid that was asked for.
        cells: how many cells were predicted.
        engine: that ran the network.
        provider: what truly ran it.
        more: further bands that the model gives, float32 (y, x) of `view`.
    """

    pm25: npt.NDArray[np.float32]
    view: Block
    cells: int
    engine: str
    provider: str
    more: dict[Band, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class SeenBlock:
    """What is at hand while a block is predicted, for bands that are worked out in the same pass.

    Attributes:
        day: that is estimated.
        block: of the grid.
        cells: bool (y, x) of the block: the cells of the arrays below, row by row.
        window: float32 (cell, day, input), scaled, oldest day first.
        place: float32 (cell, d); None for a model without a place.
        pm25: float32 (cell,), ug m-3: the estimate.
        raw: float32 (cell, day, feature) in the table's units, NaN where missing: the window before scaling.
    """

    day: dt.date
    block: Block
    cells: npt.NDArray[np.bool_]
    window: npt.NDArray[np.float32]
    place: npt.NDArray[np.float32] | None
    pm25: npt.NDArray[np.float32]
    raw: npt.NDArray[np.float32]


class BlockBands(Protocol):
    """Works out further bands of a block. Several threads may call it at the same time.

    Attributes:
        bands: that it gives.
    """

    @property
    def bands(self) -> tuple[Band, ...]: ...  # noqa: D102 - see the class

    def __call__(self, seen: SeenBlock) -> Mapping[Band, npt.NDArray[np.float32]]:
        """Give float32 (cell,) for every band of `bands`, NaN where it cannot tell."""
        ...


class Places(Protocol):
    """Gives place vectors of land cells: a place store, or one that is smoothed."""

    def read(self, cells: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Give float32 (cell, d) of cells numbered as in Grid.land_index."""
        ...


class _Worker(threading.local):
    """One session a thread: it is opened by the first block that the thread gets."""

    session: Session | TwinSession | None = None


def check_inputs(
    model: Model, grid: Grid, predictors: Predictors, places: PlaceStore | None, day: dt.date
) -> None:
    """Refuse what does not fit together, before anything is computed.

    Raises:
        BadModel: the place store is not of the card's encoder, or features have other units.
        BadGrid: the place store is of another grid.
        BadPredictors, DayOutsideStore, MissingDays: the store cannot give the window.
    """
    card = model.card
    wanted = (card.place.encoder, card.place.checksum)
    given = ("none", None) if places is None else (places.encoder, places.encoder_checksum)
    if wanted[0] != given[0] or (places is not None and wanted[1] != given[1]):
        raise BadModel(
            f"model {card.name} was trained with encoder {wanted[0]} ({str(wanted[1])[:12]}), the place store is "
            f"of {given[0]} ({str(given[1])[:12]}). Run: pm25map grid embed --grid {grid.name} --encoder {wanted[0]}"
        )
    if places is not None and places.grid_checksum != grid.checksum:
        raise BadGrid(
            f"the place store belongs to another grid than {grid.name}. "
            f"Run: pm25map grid embed --grid {grid.name} --encoder {card.place.encoder}"
        )
    predictors.check(grid, card.scaler.features, window_of(day, card.window_days))


def predict_day(
    model: Model,
    grid: Grid,
    predictors: Predictors,
    places: PlaceStore | None,
    day: dt.date,
    *,
    view: Block | None = None,
    region: npt.NDArray[np.bool_] | None = None,
    device: Device = "auto",
    engine: EngineName = "onnxruntime",
    workers: int = 2,
    block_size: int | None = None,
    progress: Progress | None = None,
    smooth: Places | None = None,
    neutral: Places | None = None,
    extra: Sequence[BlockBands] = (),
) -> DayMap:
    """Predict PM2.5 of one day.

    Args:
        model: checked by load_model.
        grid: of the map.
        predictors: an open store on that grid.
        places: per-cell store of the model's encoder; None for a model without a place.
        day: to estimate.
        view: part of the grid to give; None gives all of it.
        region: bool (y, x) of the grid: only these land cells.
        device: auto, cpu or cuda.
        engine: that shall run the network.
        workers: blocks at the same time, each with a session of one thread.
        block_size: side of a block in cells; None takes the grid's. It does not change a value.
        progress: called with the cells done and the cells in all.
        smooth: vectors to take instead of those of `places`, made from them.
        neutral: vectors of a neutral place, whose estimate becomes the band NEUTRAL; for a model with a place.
        extra: what to work out beside the estimate, block by block.

    Raises:
        BadRegion: no land cell is asked for. Else as check_inputs and open_session.
    """
    check_inputs(model, grid, predictors, places, day)
    view = view or Block(0, 0, *grid.shape)
    asked = np.zeros(grid.shape, dtype=np.bool_)
    asked[view.slices] = grid.land[view.slices]
    if region is not None:
        asked &= region
    total = int(asked.sum())
    if total == 0:
        raise BadRegion(f"no land cell of grid {grid.name} lies in the box and region that were asked for")
    land_index = grid.land_index()
    # Opened here first: what is wrong with device or file is said once, before any block.
    worker, lock, done = _Worker(), threading.Lock(), [0]

    def open_worker() -> Session | TwinSession:
        return open_session(model, device, engine=engine) if neutral is None else open_twin(model)

    first = open_worker()
    bands = [ESTIMATES[name] for name in first.bands] + [band for one in extra for band in one.bands]
    out = {band: np.full(grid.shape, np.nan, dtype=np.float32) for band in bands}
    vectors = places if smooth is None else smooth

    def run_block(block: Block) -> None:
        cells = asked[block.slices]
        if worker.session is None:
            worker.session = open_worker()
        scaler = model.card.scaler
        raw = block_predictors(predictors, scaler.features, day, block, cells, model.card.window_days)
        window = scaler.apply(raw)
        number = land_index[block.slices][cells]
        place = None if vectors is None else vectors.read(number)
        told = place if place is None or neutral is None else np.hstack([place, neutral.read(number)])
        found = dict(zip(bands, worker.session.estimate(window, told), strict=False))
        for one in extra:
            found |= one(SeenBlock(day, block, cells, window, place, found[PM25], raw))
        for band, values in found.items():
            out[band][block.slices][cells] = values
        with lock:
            done[0] += int(cells.sum())
            if progress is not None:
                progress(done[0], total)

    blocks = [block for block in grid.blocks(block_size) if asked[block.slices].any()]
    tasks = [delayed(run_block)(block) for block in blocks]
    compute(*tasks, scheduler="threads", num_workers=workers)  # type: ignore[no-untyped-call]
    shown = {band: values[view.slices] for band, values in out.items()}
    return DayMap(shown.pop(PM25), view, total, first.engine, first.provider, shown)


def open_grid_of(model: Model, name: str | None) -> Grid:
    """Load the grid of a map: the one that was named, else the model's own.

    A model may draw on any grid; the shipped one must be the very grid that it was trained on.

    Raises:
        UnknownName: there is no such grid.
        BadGrid: the grid has the model's grid's name and another checksum.
    """
    grid = load_grid(name or model.card.grid)
    if grid.name == model.card.grid and grid.checksum != model.card.grid_checksum:
        raise BadGrid(
            f"grid {grid.name} has checksum {grid.checksum[:12]}, the model {model.card.name} was trained on "
            f"{model.card.grid_checksum[:12]}. Install the grid that belongs to the model, or give yours a new name"
        )
    return grid


def sample_of(grid: Grid) -> Path | None:
    """Find the sample of predictors that is shipped with a grid; None where there is none."""
    path = shipped_folder("grids") / grid.name / "sample.zarr.zip"
    return path if path.is_file() else None
