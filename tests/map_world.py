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
from pm25map.model.places import place_vectors
from pm25map.model.train import Trained, build_network
from pm25map.places.encoder import encoder
from pm25map.places.store import PlaceStore, embed_grid, open_store
from pm25map.predictors.reader import Predictors, open_predictors
from pm25map.predictors.store import create_store, write_days, write_layer
from pm25map.windows.scaler import fit_scaler

FEATURES = ("neighbours_idw9", "neighbours_distance", "elevation", "t2m_climatology")
UNITS = ("ug m-3", "km", "m", "degC")
DAILY = FEATURES[:2]
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
    def opened(self) -> tuple[Model, Grid, Predictors, PlaceStore]:
        """What predict_day takes."""
        return self.model, self.grid, self.store, self.places

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


def write_store(path: Path, length: int) -> Path:
    """A store of some days; values spell variable, day, row and column."""
    create_store(path, small_grid(), DAILY, START, days(length)[-1])
    slots = np.arange(length) % 64  # the values stay in their valid range
    write_days(path, days(length), {name: address(name, slots) for name in DAILY})
    write_layer(path, "elevation", address("elevation"))
    write_layer(path, "t2m_climatology", address("t2m_climatology", np.arange(12)))
    return path


def build_world(folder: Path, length: int = 24, members: int = 0) -> World:
    """Make the world in an empty folder; with members, its model has so many."""
    grid = small_grid()
    save_grid(grid, folder / "grid")
    store = open_predictors(write_store(folder / "world.zarr", length))
    places = open_store(embed_grid(grid, encoder("sincos"), folder / "places.zarr"))
    block = Block(0, 0, *grid.shape)
    values = store.read(FEATURES, days(WINDOW), block)[:, :, grid.land].transpose(2, 0, 1)
    config = model_world.config(features=FEATURES, geolocation="sincos", window_days=WINDOW)
    scaler = fit_scaler(values, FEATURES, UNITS, ())
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
        trained = Trained(network, scaler, 9.0, (), 1, 1)
        handed = model_world.handover(trained, config, about, grid.name, grid.checksum)
        runs.append((handed, network, windows, place))
    if members:
        model = export_members(runs, "tiny", "1", folder / "model")
    else:
        model = export_model(network, handed.draft_card("1"), windows, place, folder / "model")
    return World(folder, model, grid, store, places)
