"""What maps are made of, opened and checked together, and what a map says of it."""

import datetime as dt
import functools
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from pm25map.base.days import window_of
from pm25map.base.errors import BadGrid, BadModel, BadPredictors, UnknownName
from pm25map.base.files import sha256_of_bytes
from pm25map.base.storage import Location, location
from pm25map.grid import Grid, load_grid
from pm25map.model.card import CARD_FILE, Model, load_model
from pm25map.model.runtime import precision_of
from pm25map.places.catalogue import encoder
from pm25map.places.smooth import SmoothPlaces
from pm25map.places.store import PlaceStore, default_store, open_store
from pm25map.predictors.reader import Predictors, open_predictors
from pm25map.raster.block_bands import BandSpec, BlockBands, NamedBands
from pm25map.raster.day_source import DaySource, sample_of
from pm25map.raster.intervals import EXCEEDANCES, INTERVALS, Intervals
from pm25map.raster.neutral import NeutralBand
from pm25map.raster.part import Part
from pm25map.raster.provenance import MAP_LICENCE, Provenance
from pm25map.raster.support import Support, support_of

BANDS: Final[dict[str, NamedBands]] = {
    "intervals": INTERVALS,
    "exceedance": EXCEEDANCES,
    "neutral_place": NeutralBand(),
}
"""Further bands that a user may ask for by name: of single maps, backfills and the Python call alike."""


class InputNames(BaseModel):
    """Names and paths of inputs: what travels to workers in place of open stores.

    Attributes:
        model: folder.
        grid: name or folder; None for the model's own.
        predictors: store; None for the sample that comes with the grid.
        places: place store, known to be whole; None for a model without a place.
        smoothing_km: as in Inputs.
        strict_window, words, label: as in DaySource.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    grid: str | None
    predictors: str | None
    places: str | None
    smoothing_km: float = 0.0
    strict_window: bool = False
    words: tuple[str, ...] = ()
    label: str = ""

    @property
    def source(self) -> DaySource:
        """Return where the days come from."""
        store = None if self.predictors is None else location(self.predictors)
        return DaySource(store, strict_window=self.strict_window, words=self.words, label=self.label)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything that a map is made of.

    Attributes:
        model, grid, predictors, places: opened; places is None for a model without a place.
        source: where the days come from.
        bands: that maps shall have beside those of the model.
        smoothing_km: standard deviation over which place vectors are averaged; 0 where they are not.
        names: what they were opened by; None where somebody put them together from open parts.
    """

    model: Model
    grid: Grid
    predictors: Predictors
    places: PlaceStore | None
    source: DaySource = field(default_factory=DaySource)
    bands: tuple[BandSpec, ...] = ()
    smoothing_km: float = 0.0
    names: InputNames | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Name the predictors that the model reads."""
        return self.model.card.scaler.features

    @property
    def card_path(self) -> Path:
        """Return the file of the model's card."""
        return self.model.network.parent / CARD_FILE

    @functools.cached_property
    def block_bands(self) -> tuple[BlockBands, ...]:
        """Open what works out the further bands."""
        return tuple(spec.open(self) for spec in self.bands)

    @functools.cached_property
    def vectors(self) -> PlaceStore | SmoothPlaces | None:
        """Open the place vectors that the model shall read: those of the store, or averages of them."""
        if self.places is None or not self.smoothing_km:
            return self.places
        return SmoothPlaces(self.places, self.grid, self.smoothing_km)

    @property
    def intervals_checksum(self) -> str:
        """Return the checksum of the calibration of the intervals; empty where maps have none."""
        return next((one.checksum for one in self.block_bands if isinstance(one, Intervals)), "")

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 over all that maps are made of."""
        parts = [
            self.model.card.checksum,
            self.grid.checksum,
            self.places.checksum if self.places else "",
            self.predictors.checksum,
            f"{self.smoothing_km:g}",
            *band_words(self.block_bands),
        ]
        return sha256_of_bytes(*(f"{part}\n".encode() for part in parts))

    def window(self, day: dt.date) -> list[dt.date]:
        """List the days of the window of a day, oldest first."""
        return window_of(day, self.model.card.window_days)

    def check(self, day: dt.date) -> None:
        """Refuse what does not fit together and a day that these inputs cannot give, before anything is computed.

        Raises:
            BadModel: the place store is not of the card's encoder, or features have other units.
            BadGrid: the place store is of another grid.
            BadPredictors, DayOutsideStore, MissingDays: the store cannot give the window.
        """
        card, grid, places = self.model.card, self.grid, self.places
        wanted = (card.place.encoder, card.place.checksum)
        given = ("none", None) if places is None else (places.encoder, places.encoder_checksum)
        if wanted[0] != given[0] or (places is not None and wanted[1] != given[1]):
            raise BadModel(
                f"model {card.name} was trained with encoder {wanted[0]} ({str(wanted[1])[:12]}), the place store is "
                f"of {given[0]} ({str(given[1])[:12]}). Run: pm25map grid embed --grid {grid.name} "
                f"--encoder {wanted[0]}"
            )
        if places is not None and places.grid_checksum != grid.checksum:
            raise BadGrid(
                f"the place store belongs to another grid than {grid.name}. "
                f"Run: pm25map grid embed --grid {grid.name} --encoder {card.place.encoder}"
            )
        self.predictors.check(grid, self.features, self.window(day))

    @property
    def derived_from(self) -> Location | None:
        """Return the store that a map's item may link to; None where it lies in the cache, which no reader has."""
        return None if self.source.label else self.predictors.path

    def support(self, day: dt.date, part: Part) -> Support:
        """Return which monitors the map of a day stands on, and how many days of its window there were."""
        return support_of(self.predictors, day, self.window(day), part.asked(self.grid))

    def words(self, engine: str, part: Part) -> list[str]:
        """List the options of the command line that name these inputs, without folders of this machine."""
        words = ["--model", self.model.card.name, "--grid", self.grid.name, *self.source.words, *part.options]
        words += ["--strict-window"] if self.source.strict_window else []
        words += ["--place-smoothing", f"{self.smoothing_km:g}"] if self.smoothing_km else []
        words += ["--engine", engine] if engine != "onnxruntime" else []
        for name, spec in BANDS.items():
            if spec in self.bands:
                words += ["--intervals"] if name == "intervals" else ["--band", name]
        return words

    def provenance(self, day: dt.date, file_name: str, engine: str, part: Part) -> Provenance:
        """Return where the map of a day comes from, with the command that makes the very file again."""
        card, tags = self.model.card, self.support(day, part).tags()
        words = ["pm25map", "predict", "--date", str(day), "--out", file_name, *self.words(engine, part)]
        smoothing = f"{self.smoothing_km:g}" if self.smoothing_km else ""
        return Provenance(
            day=day,
            model_name=card.name,
            model_version=card.version,
            card_checksum=card.checksum,
            network_checksum=card.network_checksum,
            engine=engine,
            precision=precision_of(engine),
            grid_name=self.grid.name,
            grid_checksum=self.grid.checksum,
            predictors_name=self.source.label or self.predictors.path.name,
            predictors_checksum=self.predictors.window_checksum(self.features, self.window(day)),
            command=shlex.join(words),
            licence=MAP_LICENCE,
            encoder=card.place.encoder,
            encoder_checksum=card.place.checksum or "",
            places_checksum=self.places.checksum if self.places else "",
            intervals_checksum=self.intervals_checksum,
            place_smoothing_km=smoothing,
            region=part.words,
            monitors=tags["monitors"],
            monitor_distance_km=tags["monitor_distance_km"],
            window=tags["window"],
            warnings=tags["warnings"],
        )


def band_words(makers: Iterable[BlockBands]) -> list[str]:
    """Return what decides further bands, a line for each that works some out."""
    return [" ".join([one.checksum, *(band.name for band in one.bands)]) for one in makers]


def specs_of(names: Iterable[str]) -> tuple[NamedBands, ...]:
    """Look further bands up by name, in the order of BANDS.

    Raises:
        UnknownName: there is no such band.
    """
    wanted = set(names)
    unknown = sorted(wanted - BANDS.keys())
    if unknown:
        raise UnknownName(f"unknown band {unknown[0]!r}: there are {', '.join(BANDS)}")
    return tuple(spec for name, spec in BANDS.items() if name in wanted)


def open_inputs(
    model_name: str,
    grid_name: str | None = None,
    predictors: Location | DaySource | None = None,
    places: Path | None = None,
    *,
    days: Iterable[dt.date] = (),
    bands: tuple[BandSpec, ...] = (),
    smoothing_km: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Inputs:
    """Open what maps are made of.

    Args:
        model_name: shipped name or folder of a model.
        grid_name: shipped name or folder of a grid; the model's where None.
        predictors: store, or where the days come from, made ready (day_source.make_days_ready); the sample that comes
            with the grid where None.
        places: place store of the grid, known to be whole; where None the one in the cache, verified, and
            embedded first where it is absent.
        days: that must be there, checked before anything is embedded.
        bands: that maps shall have beside those of the model.
        smoothing_km: standard deviation over which to average place vectors; 0 for not at all.
        progress: called with the cells embedded and the cells in all.

    Raises:
        UnknownName, BadModel, BadGrid, BadPredictors, BadOutput: as the parts say.
    """
    model = load_model(model_name)
    grid = open_grid_of(model, grid_name)
    source = predictors if isinstance(predictors, DaySource) else DaySource(predictors)
    if source.predictors is not None and not source.words and source.predictors != sample_of(grid):
        source = replace(source, words=("--predictors", source.predictors.name))
    opened = _open_days(source, grid, model.card.scaler.features)
    # Of no day as well: a store of another grid is known before the cells of this one are embedded.
    opened.check(grid, model.card.scaler.features, [])
    for day in days:
        opened.check(grid, model.card.scaler.features, window_of(day, model.card.window_days))
    for spec in bands:
        spec.check(model)
    name = model.card.place.encoder
    if name == "none" and smoothing_km:
        raise BadModel(f"model {model.card.name} takes no place: leave out --place-smoothing")
    vectors = None
    if name != "none":
        named = places is not None and places.is_dir()
        vectors = (
            open_store(places, grid) if places and named else default_store(grid, encoder(name), progress)
        )
    names = InputNames(
        model=str(model.network.parent.absolute()),
        grid=_absolute(grid_name),
        predictors=None if source.predictors is None else _absolute(str(source.predictors)),
        places=None if vectors is None else str(vectors.path.absolute()),
        smoothing_km=smoothing_km,
        strict_window=source.strict_window,
        words=source.words,
        label=source.label,
    )
    return Inputs(model, grid, opened, vectors, source, bands, smoothing_km, names)


def _open_days(source: DaySource, grid: Grid, features: tuple[str, ...]) -> Predictors:
    """Open the store of the days; a missing day of a window is filled there unless windows are strict."""
    store = source.predictors or sample_of(grid)
    if store is None:
        raise BadPredictors(
            f"no days come with grid {grid.name}: name monitors with --monitors, or a store of predictors with "
            "--predictors"
        )
    opened = open_predictors(store)
    opened.label = source.label
    return opened if source.strict_window else opened.filling_gaps(features)


def open_named(names: InputNames, bands: tuple[BandSpec, ...], checksum: str) -> Inputs:
    """Open in a worker what another process opened by the same names.

    Raises:
        BadPredictors: it is not the very same (Inputs.checksum).
        Else as open_inputs.
    """
    inputs = open_inputs(
        names.model,
        names.grid,
        names.source,
        None if names.places is None else Path(names.places),
        bands=bands,
        smoothing_km=names.smoothing_km,
    )
    if inputs.checksum != checksum:
        raise BadPredictors(
            f"{inputs.predictors.path}, the model or the places are not those that the work was planned "
            "with: let all workers see the same files, and run the same command again"
        )
    return inputs


def open_grid_of(model: Model, name: str | None) -> Grid:
    """Load the grid of a map: the one that was named, else the model's own.

    A model may draw on any grid; the shipped one must be the very grid that it was trained on.

    Raises:
        UnknownName: there is no such grid.
        BadGrid: the grid has the model's grid's name and another checksum.
    """
    grid = load_grid(model.card.grid if name is None else name)
    if grid.name == model.card.grid and grid.checksum != model.card.grid_checksum:
        raise BadGrid(
            f"grid {grid.name} has checksum {grid.checksum[:12]}, the model {model.card.name} was trained on "
            f"{model.card.grid_checksum[:12]}. Install the grid that belongs to the model, or give yours a new name"
        )
    return grid


def _absolute(name: str | None) -> str | None:
    """Return the full path of what is on this disk, for workers that start elsewhere; another name stays as it is."""
    return str(Path(name).absolute()) if name and Path(name).exists() else name
