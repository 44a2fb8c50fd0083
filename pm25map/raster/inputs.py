"""What maps are made of, opened and checked together, and what a map says of it."""

import datetime as dt
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.days import window_of
from pm25map.base.errors import BadPredictors
from pm25map.base.storage import Location
from pm25map.grid import Block, Grid, cells_of_region
from pm25map.model.card import CARD_FILE, Model, load_model
from pm25map.places.encoder import encoder
from pm25map.places.store import PlaceStore, default_store, open_store
from pm25map.predictors.reader import Predictors, open_predictors
from pm25map.raster.intervals import Intervals, intervals_on
from pm25map.raster.predict import check_inputs, open_grid_of, sample_of
from pm25map.raster.provenance import MAP_LICENCE, Provenance


@dataclass(frozen=True)
class Part:
    """The part of a grid that a map shall show.

    Attributes:
        view: the rectangle that the file covers; None for all of the grid.
        region: bool (y, x) of the grid, the cells to estimate; None for all land.
        words: what the provenance says of it.
        options: the options of the command line that ask for it.
    """

    view: Block | None = None
    region: npt.NDArray[np.bool_] | None = None
    words: str = "all"
    options: tuple[str, ...] = ()

    def asked(self, grid: Grid) -> npt.NDArray[np.bool_]:
        """Give the land cells to estimate, bool (y, x) of the grid."""
        cells = np.zeros(grid.shape, dtype=np.bool_)
        rows, cols = (self.view or Block(0, 0, *grid.shape)).slices
        cells[rows, cols] = grid.land[rows, cols]
        return cells if self.region is None else cells & self.region


def part_of(grid: Grid, bbox: tuple[float, float, float, float] | None, region_name: str | None) -> Part:
    """Turn a box (west, south, east, north, degrees) and the name of a state or region into a part of a grid.

    Raises:
        BadRegion: the box is upside down or outside of the grid.
        UnknownName: there is no such region.
    """
    numbers = [f"{value:.15g}" for value in bbox] if bbox else []
    words = ([region_name] if region_name else []) + ([" ".join(numbers)] if numbers else [])
    options = (["--bbox", *numbers] if numbers else []) + (["--region", region_name] if region_name else [])
    return Part(
        view=grid.window_of_bounds(*bbox) if bbox else None,
        region=cells_of_region(grid, region_name) if region_name else None,
        words=" in ".join(words) or "all",
        options=tuple(options),
    )


@dataclass(frozen=True)
class Inputs:
    """Everything that a map is made of.

    Attributes:
        model, grid, predictors, places: opened; places is None for a model without a place.
        named: whether the user named the predictors, or took the sample.
        intervals: that maps shall have as bands; None for maps without.
    """

    model: Model
    grid: Grid
    predictors: Predictors
    places: PlaceStore | None
    named: bool
    intervals: Intervals | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Name the predictors that the model reads."""
        return self.model.card.scaler.features

    @property
    def card_path(self) -> Path:
        """Give the file of the model's card."""
        return self.model.network.parent / CARD_FILE

    @property
    def extra(self) -> tuple[Intervals, ...]:
        """Give what works out further bands of each block: `extra` of predict_day."""
        return (self.intervals,) if self.intervals else ()

    def window(self, day: dt.date) -> list[dt.date]:
        """List the days of the window of a day, oldest first."""
        return window_of(day, self.model.card.window_days)

    def check(self, day: dt.date) -> None:
        """Refuse a day that these inputs cannot give; raises as check_inputs."""
        check_inputs(self.model, self.grid, self.predictors, self.places, day)

    def provenance(self, day: dt.date, file_name: str, engine: str, part: Part) -> Provenance:
        """Say where the map of a day comes from, with the command that makes the very file again."""
        card, store = self.model.card, self.predictors.path.name
        words = ["pm25map", "predict", "--date", str(day), "--out", file_name, "--model", card.name]
        words += ["--grid", self.grid.name, *(["--predictors", store] if self.named else []), *part.options]
        words += ["--engine", engine] if engine != "onnxruntime" else []
        words += ["--intervals"] if self.intervals else []
        return Provenance(
            day=day,
            model_name=card.name,
            model_version=card.version,
            card_checksum=card.checksum,
            network_checksum=card.network_checksum,
            engine=engine,
            grid_name=self.grid.name,
            grid_checksum=self.grid.checksum,
            predictors_name=store,
            predictors_checksum=self.predictors.window_checksum(self.features, self.window(day)),
            command=shlex.join(words),
            licence=MAP_LICENCE,
            encoder=card.place.encoder,
            encoder_checksum=card.place.checksum or "",
            places_checksum=self.places.checksum if self.places else "",
            intervals_checksum=self.intervals.checksum if self.intervals else "",
            region=part.words,
        )


def open_inputs(
    model_name: str,
    grid_name: str | None = None,
    predictors: Location | None = None,
    places: Path | None = None,
    *,
    days: Iterable[dt.date] = (),
    intervals: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Inputs:
    """Open what maps are made of.

    Args:
        model_name: shipped name or folder of a model.
        grid_name: shipped name or folder of a grid; the model's where None.
        predictors: store; the sample that comes with the grid where None.
        places: place store of the grid, known to be whole; where None the one in the cache, verified, and
            embedded first where it is absent.
        days: that must be there, checked before anything is embedded.
        intervals: whether maps shall have the model's 90 % interval as bands.
        progress: called with the cells embedded and the cells in all.

    Raises:
        UnknownName, BadModel, BadGrid, BadPredictors, BadOutput: as the parts say.
    """
    model = load_model(model_name)
    grid = open_grid_of(model, grid_name)
    store = predictors or sample_of(grid)
    if store is None:
        raise BadPredictors(
            f"no sample of predictors comes with grid {grid.name}: name a store with --predictors, "
            f"or make one with pm25map data ingest --grid {grid.name} --store predictors.zarr"
        )
    opened = open_predictors(store)
    for day in days:
        opened.check(grid, model.card.scaler.features, window_of(day, model.card.window_days))
    bounds = intervals_on(model, grid, levels=()) if intervals else None
    name = model.card.place.encoder
    if name == "none":
        return Inputs(model, grid, opened, None, predictors is not None, bounds)
    if places is not None and places.is_dir():
        found = open_store(places, grid)
    else:
        found = default_store(grid, encoder(name), progress)
    return Inputs(model, grid, opened, found, predictors is not None, bounds)
