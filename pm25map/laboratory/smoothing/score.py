"""Scores by smoothing of the place vectors: the accuracy that it costs, and the artifacts that it removes."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.files import make_folder
from pm25map.base.metrics import scores
from pm25map.diagnostics.diagnose import comparison_bands, examine
from pm25map.grid import Grid
from pm25map.model.runtime import Session, open_session
from pm25map.monitors import read_monitors
from pm25map.places.smooth import SmoothPlaces
from pm25map.places.store import PlaceStore
from pm25map.predictors.reader import open_predictors
from pm25map.raster.estimator import Options
from pm25map.raster.inputs import Inputs, open_inputs
from pm25map.raster.predict import predict_day
from pm25map.scores.evaluate import estimates
from pm25map.scores.held_out import gather_held_out
from pm25map.windows.samples import StationSamples

SETTINGS_KM = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 300.0)


@dataclass(frozen=True)
class Setting:
    """The scores of one smoothing length.

    Attributes:
        km: standard deviation of the smoothing; 0 is none.
        rmse, mae: ug m-3, on the stations that were held out.
        excess: energy of the place's part below 200 km, relative to the energy at a neutral place.
        texture_ugm3: mean texture of the map.
        risk: mean artifact risk of the map.
    """

    km: float
    rmse: float
    mae: float
    excess: float
    texture_ugm3: float
    risk: float


def score_smoothing(
    model_name: str, monitors: Path, predictors: Path, cache: Path, day: dt.date
) -> list[Setting]:
    """Measure a shipped model at SETTINGS_KM, at the stations that its training held out.

    Args:
        model_name: a model with a place.
        monitors: folder of EPA's daily files.
        predictors: store of static layers.
        cache: folder for the stations' samples.
        day: of the sample, to map.
    """
    inputs = open_inputs(model_name)
    card = inputs.model.card
    static = open_predictors(predictors)
    table = read_monitors(monitors)
    make_folder(cache)
    held_out = gather_held_out(card, table, static, (card.training.start, card.training.end), cache=cache)
    thin = _thinned(held_out.samples, held_out.judged)
    everyone = np.ones(len(thin.site_ids), dtype=np.bool_)
    return score_settings(inputs, open_session(inputs.model), thin, everyone, day, SETTINGS_KM)


def score_settings(
    inputs: Inputs,
    session: Session,
    samples: StationSamples,
    judged: npt.NDArray[np.bool_],
    day: dt.date,
    settings_km: Sequence[float],
    *,
    workers: int = 2,
) -> list[Setting]:
    """Score smoothing lengths on stations held out, and diagnose one day's map at each.

    Args:
        inputs: of the maps; the model takes a place.
        session: of the same model.
        samples: with the model's features; the judged stations were held out when they were gathered.
        judged: bool (station,), those to score.
        day: of the map.
        settings_km: standard deviations of the smoothing; 0 is none.
        workers: blocks at the same time.
    """
    grid, places = inputs.grid, inputs.places
    if places is None:
        raise ValueError("a model without a place has no place vectors to smooth")
    targets = samples.targets(judged, samples.days[0], samples.days[-1], session.card.window_days)
    settings = []
    for km in settings_km:
        setting = replace(inputs, smoothing_km=km, bands=comparison_bands(inputs))
        spots = at_stations(setting.vectors or places, grid, samples.lat, samples.lon)
        model = estimates(session, samples, targets, place=spots)
        day_map = predict_day(setting, day, options=Options(workers=workers))
        diagnostics = examine(day_map, grid, grid.land, inputs.model.card.place.encoder).scores
        ours = scores(samples.truth[targets[:, 0], targets[:, 1]], model)
        settings.append(
            Setting(
                km=km,
                rmse=ours["rmse"],
                mae=ours["mae"],
                excess=diagnostics["spectral_excess"],
                texture_ugm3=diagnostics["texture_ugm3_mean"],
                risk=diagnostics["artifact_risk_mean"],
            )
        )
    return settings


def at_stations(
    places: SmoothPlaces | PlaceStore,
    grid: Grid,
    lat: npt.NDArray[np.float64],
    lon: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """Return the vectors of the cells that hold some stations, all of them on land: float32 (station, d)."""
    row, col = grid.cells_at(lon, lat)
    return places.read(grid.land_index()[row, col])


def _thinned(samples: StationSamples, judged: np.ndarray) -> StationSamples:
    """Keep the judged stations alone: the values of all take a gigabyte when they are scaled."""
    return StationSamples(
        site_ids=tuple(np.array(samples.site_ids)[judged]),
        lat=samples.lat[judged],
        lon=samples.lon[judged],
        days=samples.days,
        features=samples.features,
        values=samples.values[judged],
        truth=samples.truth[judged],
    )
