"""What a short history costs: scores on held-out stations when only the last days of the windows are present."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel, BadMonitors
from pm25map.model.runtime import Session
from pm25map.monitors import Monitors
from pm25map.predictors.neighbours import Stations
from pm25map.predictors.reader import Predictors
from pm25map.scores.compare import DRAWS
from pm25map.scores.evaluate import estimates, gather_judged
from pm25map.windows.samples import Progress
from pm25map.windows.short import last_days

BASELINES = {"interpolation": "neighbours_idw9", "kriging": "neighbours_kriging"}
"""What stands beside the model, and the feature that has it; both are of the estimated day, which is present."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """An error as a ratio of another one on the same targets, with its 95 % interval over places."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ShortScore:
    """The model with some of its window's days.

    Attributes:
        days_present: how many last days of the window were there.
        n, stations: how many station-days, of how many stations.
        rmse, mae: ug m-3.
        rmse_ratios, mae_ratios: by what they are ratios of: the baselines, and "whole window", the same model with
            every day of its window.
    """

    days_present: int
    n: int
    stations: int
    rmse: float
    mae: float
    rmse_ratios: dict[str, Ratio]
    mae_ratios: dict[str, Ratio]


def judge_short(
    session: Session,
    monitors: Monitors,
    predictors: Predictors,
    start: dt.date,
    end: dt.date,
    days_present: Sequence[int],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> tuple[ShortScore, ...]:
    """Score a model on the stations that its training held out, with the last days of their windows alone.

    The missing days are filled as they are on a map (windows.gaps).

    Args:
        days_present: how many last days are present, one score each; at most the window's length.
        Else as `evaluate.judge`.

    Raises:
        BadModel: its window has fewer days than shall be present.
        BadMonitors: there is nothing to judge.
        BadPredictors: the store lies on another grid than the model's.
    """
    length = session.card.window_days
    for count in days_present:
        if not 1 <= count <= length:
            raise BadModel(
                f"model {session.card.name} reads {length} days, so it cannot have {count} of them: give 1 to {length}"
            )
    samples, judged, place = gather_judged(
        session, monitors, predictors, start, end, cache=cache, progress=progress
    )
    targets = samples.targets(judged, start, end, length)
    if len(targets) == 0:
        raise BadMonitors(f"no station that is held out measured anything between {start} and {end}")
    station, day = targets[:, 0], targets[:, 1]
    truth = samples.truth[station, day]
    spot = Stations(samples.lat, samples.lon, np.zeros(len(samples.lat))).places()[station]
    baselines = {
        name: error_sums(truth, samples.values[station, day, samples.features.index(field)], spot)
        for name, field in BASELINES.items()
        if field in samples.features
    }
    by_count = {}
    for count in dict.fromkeys((length, *days_present)):
        ours = estimates(session, samples, place, targets, progress, last_days(count, length))
        by_count[count] = error_sums(truth, ours, spot)
    baselines["whole window"] = by_count[length]
    stations = len(np.unique(station))
    return tuple(_score(count, by_count[count], stations, baselines) for count in days_present)


def error_sums(
    truth: npt.NDArray[np.floating], estimate: npt.NDArray[np.floating], place: npt.NDArray[np.integer]
) -> Numbers:
    """Sum up by place: (place, 3) of targets, squared and absolute errors.

    Args:
        truth, estimate: ug m-3 (target,).
        place: number of the place of each target; monitors within 100 m are one place.
    """
    error = estimate.astype(np.float64) - truth
    number = np.unique(place, return_inverse=True)[1]
    parts = (np.ones(len(error)), error**2, np.abs(error))
    return np.stack([np.bincount(number, weights=part) for part in parts], axis=1)


def error_ratios(ours: Numbers, other: Numbers, draws: int = DRAWS) -> tuple[Ratio, Ratio]:
    """Compare errors on the same targets: RMSE and MAE as ratios, with intervals.

    Args:
        ours, other: of `error_sums`, (place, 3).
        draws: of the bootstrap over whole places, seed 0.
    """
    places = len(ours)
    drawn = np.random.default_rng(0).multinomial(places, np.full(places, 1 / places), size=draws)
    weights = np.vstack([np.ones(places), drawn])  # (1 + draw, place): the first is every place once
    # The targets are the same on both sides, so that their number cancels.
    squared, absolute = ((weights @ ours[:, i]) / (weights @ other[:, i]) for i in (1, 2))
    return _ratio(np.sqrt(squared)), _ratio(absolute)


def _ratio(values: Numbers) -> Ratio:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Ratio(*(round(float(value), 4) for value in (values[0], low, high)))


def _score(count: int, ours: Numbers, stations: int, baselines: dict[str, Numbers]) -> ShortScore:
    n, squared, absolute = ours.sum(axis=0)
    ratios = {name: error_ratios(ours, sums) for name, sums in baselines.items()}
    return ShortScore(
        days_present=count,
        n=int(n),
        stations=stations,
        rmse=round(float(np.sqrt(squared / n)), 4),
        mae=round(float(absolute / n), 4),
        rmse_ratios={name: rmse for name, (rmse, _) in ratios.items()},
        mae_ratios={name: mae for name, (_, mae) in ratios.items()},
    )
