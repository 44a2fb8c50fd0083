"""A small invented world for models: stations whose truth follows their neighbours, and a model made of it."""

import datetime as dt

import numpy as np

from pm25map.model.card import NetworkShape, PlaceInput, TrainingRecord
from pm25map.model.config import TrainConfig
from pm25map.model.run_folder import RunMetadata
from pm25map.windows.samples import StationSamples

FEATURES = ("neighbours_idw9", "neighbours_kriging", "elevation")
START = dt.date(2020, 1, 1)
TINY = NetworkShape(lstm=(6, 4, 4), attention=6, dense=6, dropout=0.1)


def config(**changes) -> TrainConfig:
    """A configuration that trains in a second."""
    base = {
        "name": "tiny",
        "description": "A model of an invented world.",
        "features": FEATURES,
        "geolocation": "latlon",
        "network": TINY,
        "window_days": 5,
        "start": START,
        "end": START + dt.timedelta(days=39),
        "holdout_fraction": 0.2,
        "holdout_seed": 7,
        "validation_fraction": 0.2,
        "batch": 64,
        "epochs": 3,
        "learning_rate": 1e-2,
        "seed": 3,
    }
    return TrainConfig.model_validate(base | changes)


def samples(seed: int = 0) -> StationSamples:
    """Thirty stations, forty days: the truth is 0.8 of the neighbours, plus noise."""
    rng = np.random.default_rng(seed)
    field = rng.gamma(2, 8, (30, 40)).astype(np.float32)
    high = np.repeat(rng.uniform(0, 2000, (30, 1)), 40, axis=1).astype(np.float32)
    truth = (0.8 * field + rng.normal(0, 0.5, field.shape)).astype(np.float32)
    days = [START + dt.timedelta(days=i) for i in range(40)]
    values = np.stack([field, field * 1.05, high], axis=2)
    lat, lon = rng.uniform(30, 48, 30), rng.uniform(-120, -75, 30)
    return StationSamples(tuple(f"s{i}" for i in range(30)), lat, lon, days, FEATURES, values, truth)


def run_metadata(
    trained, used: TrainConfig, place: PlaceInput, grid="small", checksum="0" * 64
) -> RunMetadata:
    """The metadata that training would write."""
    record = TrainingRecord(
        start=used.start,
        end=used.end,
        stations=trained.stations,
        targets=trained.targets,
        monitors_checksum="0" * 64,
        predictors_checksum="0" * 64,
        holdout_fraction=used.holdout_fraction,
        holdout_seed=used.holdout_seed,
        config=used.model_dump(mode="json"),
        epochs=len(trained.epochs),
        command="pm25map train",
        provenance="an invented world",
    )
    return RunMetadata(
        config=used,
        scaler=trained.scaler,
        target_scale=trained.target_scale,
        place=place,
        grid=grid,
        grid_checksum=checksum,
        record=record,
    )
