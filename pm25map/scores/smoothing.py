"""The frequency dial: what smoothing the place vectors costs in accuracy, and what it takes away of artifacts."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pm25map.base.metrics import scores
from pm25map.diagnostics.diagnose import comparison_bands, examine
from pm25map.grid import Grid
from pm25map.model.runtime import Session
from pm25map.places.smooth import SmoothPlaces
from pm25map.places.store import PlaceStore
from pm25map.raster.estimator import Options
from pm25map.raster.inputs import Inputs
from pm25map.raster.predict import predict_day
from pm25map.scores.evaluate import match
from pm25map.windows.samples import StationSamples


@dataclass(frozen=True)
class Setting:
    """One position of the dial.

    Attributes:
        km: standard deviation of the smoothing; 0 is none.
        rmse, mae: ug m-3, on the stations that were held out.
        excess: energy of the place's part below 200 km, as a share of what predictors justify.
        texture_ugm3: mean texture of the map.
        risk: mean artifact risk of the map.
    """

    km: float
    rmse: float
    mae: float
    excess: float
    texture_ugm3: float
    risk: float


def turn_dial(
    inputs: Inputs,
    session: Session,
    samples: StationSamples,
    judged: npt.NDArray[np.bool_],
    day: dt.date,
    settings_km: Sequence[float],
    *,
    workers: int = 2,
) -> list[Setting]:
    """Score the dial's positions on stations held out, and diagnose one day's map at each.

    Args:
        inputs: of the maps; the model takes a place.
        session: of the same model.
        samples: with the model's features; the judged stations were held out when they were gathered.
        judged: bool (station,), those to score.
        day: of the map.
        settings_km: positions; 0 is none.
        workers: blocks at the same time.
    """
    grid, places = inputs.grid, inputs.places
    if places is None:
        raise ValueError("a model without a place has no dial")
    found = []
    for km in settings_km:
        setting = replace(inputs, smoothing_km=km, bands=comparison_bands(inputs))
        spots = at_stations(setting.vectors or places, grid, samples.lat, samples.lon)
        matches = match(session, samples, spots, judged, samples.days[0], samples.days[-1])
        made = predict_day(setting, day, options=Options(workers=workers))
        seen = examine(made, grid, grid.land, inputs.model.card.place.encoder).scores
        ours = scores(matches.truth, matches.model)
        found.append(
            Setting(
                km=km,
                rmse=ours["rmse"],
                mae=ours["mae"],
                excess=seen["spectral_excess"],
                texture_ugm3=seen["texture_ugm3_mean"],
                risk=seen["artifact_risk_mean"],
            )
        )
    return found


def at_stations(
    places: SmoothPlaces | PlaceStore,
    grid: Grid,
    lat: npt.NDArray[np.float64],
    lon: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """Give the vectors of the cells that hold some stations, all of them on land: float32 (station, d)."""
    row, col = grid.cells_at(lon, lat)
    return places.read(grid.land_index()[row, col])
