"""A small world with all that maps need, on disk: grid, store, places and an untrained model."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import model_world
import numpy as np
import torch
from predictor_world import START, address, small_grid

from pm25map.grid import Block, Grid, save_grid
from pm25map.model.card import Model
from pm25map.model.export import export_members, export_model
from pm25map.model.intervals import IntervalCard, save_intervals
from pm25map.model.places import place_vectors
from pm25map.model.train import TrainedNetwork, build_network
from pm25map.model.widths import FIELDS, Widths, basis
from pm25map.places.catalogue import encoder
from pm25map.places.store import PlaceStore, embed_grid, open_store
from pm25map.predictors.reader import Predictors, open_predictors
from pm25map.predictors.store import create_store, write_days, write_layer
from pm25map.raster.inputs import Inputs
from pm25map.windows.scaler import fit_scaler

FEATURES = ("neighbours_idw9", "neighbours_distance", "elevation", "t2m_climatology")
UNITS = ("ug m-3", "km", "m", "degC")
DAILY = FEATURES[:2]
DOUBTS = ("neighbours_kriging", "neighbours_calm", "neighbours_spread", "neighbours_sd")
"""What intervals depend on besides."""
WINDOW = 21


@dataclass(frozen=True)
class World:
    """Where everything is, and opened."""

    folder: Path
    model: Model
    grid: Grid
    store: Predictors
    places: PlaceStore

    @property
    def inputs(self) -> Inputs:
        """What predict_day takes."""
        return Inputs(self.model, self.grid, self.store, self.places)

    def words(self) -> list[str]:
        """The options of the command line that name this world."""
        named = {"--model": "model", "--grid": "grid", "--predictors": "world.zarr"}
        return [word for option, name in named.items() for word in (option, str(self.folder / name))]


def days(number: int) -> list[dt.date]:
    """The days of the store."""
    return [START + dt.timedelta(days=i) for i in range(number)]


def first_day() -> dt.date:
    """The first day with a whole window."""
    return START + dt.timedelta(days=WINDOW - 1)


def write_store(path: Path, length: int, *, doubts: bool = False) -> Path:
    """A store of some days; values spell variable, day, row and column. With doubts, it has them as well."""
    slots = np.arange(length) % 64  # the values stay in their valid range
    daily = {name: address(name, slots) for name in DAILY}
    if doubts:
        daily |= {
            name: daily["neighbours_idw9"] * share for name, share in zip(DOUBTS[:2], (1, 0.8), strict=True)
        }
        daily |= {
            name: daily["neighbours_distance"] / many
            for name, many in zip(DOUBTS[2:], (300, 500), strict=True)
        }
    create_store(path, small_grid(), tuple(daily), START, days(length)[-1])
    write_days(path, days(length), daily)
    write_layer(path, "elevation", address("elevation"))
    write_layer(path, "t2m_climatology", address("t2m_climatology", np.arange(12)))
    return path


def calibrate(model: Model, slope: float = 0.02) -> None:
    """Give a model intervals, as pm25map calibrate would: every term makes them wider."""
    one = np.ones(1)
    terms = basis(one, dict.fromkeys(FIELDS, one), one, -100 * one, 40 * one).shape[1]
    widths = Widths(
        center=(0.0,) * terms,
        scale=(1.0,) * terms,
        below=(*(slope,) * terms, -2.0),
        above=(*(slope / 2,) * terms, -1.0),
    )
    card = IntervalCard(
        network_checksum=model.card.network_checksum,
        widths=widths,
        probabilities=(0.001, 0.25, 0.75, 0.999),
        quantiles=(-2.0, -0.5, 0.5, 2.0),
        tail=0.05,
        start=START,
        end=START,
        stations=1,
        targets=1,
        coverage=(),
        coverage_training=(),
        reliability=(),
        command="pm25map calibrate",
    )
    save_intervals(model.network.parent, card)


def build_world(folder: Path, length: int = 24, members: int = 0, *, calibrated: bool = False) -> World:
    """Make the world in an empty folder; with members, its model has so many; calibrated, it has intervals."""
    features = (*FEATURES, *DOUBTS) if calibrated else FEATURES
    units = (*UNITS, "ug m-3", "ug m-3", "1", "1") if calibrated else UNITS
    grid = small_grid()
    save_grid(grid, folder / "grid")
    store = open_predictors(write_store(folder / "world.zarr", length, doubts=calibrated))
    places = open_store(embed_grid(grid, encoder("sincos"), folder / "places.zarr"))
    block = Block(0, 0, *grid.shape)
    values = store.read(features, days(WINDOW), block)[:, :, grid.land].transpose(2, 0, 1)
    config = model_world.config(features=features, geolocation="sincos", window_days=WINDOW)
    scaler = fit_scaler(values, features, units, ())
    _, about = place_vectors("sincos", np.zeros(1), np.zeros(1))
    windows = scaler.apply(values)
    place = places.read(slice(0, len(windows)))
    runs = []
    for seed in range(max(1, members)):
        torch.manual_seed(seed)
        network = build_network(config.network, scaler, "sincos", 4, 9.0).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape))
        trained = TrainedNetwork(network, scaler, 9.0, (), 1, 1)
        metadata = model_world.run_metadata(trained, config, about, grid.name, grid.checksum)
        runs.append((metadata, network, windows, place))
    if members:
        model = export_members(runs, "tiny", "1", folder / "model")
    else:
        model = export_model(network, metadata.draft_card("1"), windows, place, folder / "model")
    if calibrated:
        calibrate(model)
    return World(folder, model, grid, store, places)
