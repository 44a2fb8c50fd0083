"""A small invented country of stations with a model whose errors are known: they grow with spread and distance."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from pm25map.scores.calibration_data import CalibrationData
from pm25map.windows.samples import StationSamples
from pm25map.windows.scaler import fit_scaler

FEATURES = (
    "neighbours_idw9",
    "neighbours_kriging",
    "neighbours_calm",
    "neighbours_sd",
    "neighbours_spread",
    "neighbours_distance",
    "elevation",
)
UNITS = ("ug m-3", "ug m-3", "ug m-3", "1", "1", "km", "m")
START = dt.date(2020, 1, 1)
DAYS, STATIONS, WINDOW = 60, 240, 4
END = START + dt.timedelta(days=DAYS - 1)


def samples(seed: int = 0) -> StationSamples:
    """Roots of the truth lie around roots of the kriged value, with a spread that the fields tell."""
    rng = np.random.default_rng(seed)
    shape = (STATIONS, DAYS)
    kriging = rng.gamma(3, 3, shape)
    spread = rng.uniform(0.05, 0.8, shape)
    distance = np.repeat(rng.gamma(2, 20, (STATIONS, 1)), DAYS, axis=1)
    doubt = np.sqrt(distance / (distance + 60))
    elevation = np.repeat(rng.uniform(0, 2000, (STATIONS, 1)), DAYS, axis=1)
    width = 0.15 + 0.5 * spread + 0.4 * doubt
    truth = (np.maximum(np.sqrt(kriging) + width * rng.normal(0, 1, shape), 0)) ** 2
    calm = kriging * np.exp(rng.normal(0, 0.1, shape))
    values = np.stack([kriging, kriging, calm, doubt, spread, distance, elevation], axis=2)
    lat, lon = rng.uniform(30, 48, STATIONS), rng.uniform(-120, -75, STATIONS)
    days = [START + dt.timedelta(days=i) for i in range(DAYS)]
    names = tuple(f"s{i:02d}" for i in range(STATIONS))
    return StationSamples(
        names, lat, lon, days, FEATURES, values.astype(np.float32), truth.astype(np.float32)
    )


class Session:
    """Estimates the kriged value of the estimated day, plus a little of the day before and of the place."""

    def __init__(self, scaler) -> None:
        self.card = SimpleNamespace(
            name="tiny",
            window_days=WINDOW,
            scaler=scaler,
            network_checksum="n" * 64,
            units=UNITS,
            files={},
            place=SimpleNamespace(encoder="none"),
        )

    def run(self, window, place):
        scale = self.card.scaler.scales["neighbours_kriging"]
        today, before = (np.expm1(window[:, i, 1] * scale.scale + scale.center) for i in (-1, -2))
        shift = 0 if place is None else 0.3 * place[:, 0]
        return (0.98 * today + 0.02 * before + shift).astype(np.float32)


def material(seed: int = 0, *, with_place: bool = True) -> CalibrationData:
    """All that calibration works on; a quarter of the stations is held out."""
    made = samples(seed)
    scaler = fit_scaler(made.values, FEATURES, UNITS, ())
    rng = np.random.default_rng(seed)
    place = rng.normal(0, [1, 0.5, 0.1], (STATIONS, 3)).astype(np.float32) if with_place else None
    held_out = np.arange(STATIONS) % 4 == 0
    return CalibrationData(Session(scaler), made, place, held_out, START, END, 1)


def model_in(folder: Path, session: Session) -> SimpleNamespace:
    """A model as far as reading its calibration goes."""
    return SimpleNamespace(card=session.card, network=folder / "model.onnx")
