"""The cost of a short history: scores on held-out stations when only the last days of the windows are present."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel
from pm25map.model.runtime import Session
from pm25map.monitors import Monitors
from pm25map.predictors.reader import Predictors
from pm25map.scores.compare import DRAWS
from pm25map.scores.evaluate import estimates
from pm25map.scores.held_out import BASELINES, at_targets, gather_held_out, places_of
from pm25map.scores.resampling import Resampled, bootstrap
from pm25map.scores.sums import scores_of_sums
from pm25map.scores.table import sums_of_models
from pm25map.windows.samples import Progress
from pm25map.windows.short import last_days

Numbers = npt.NDArray[np.float64]


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
    rmse_ratios: dict[str, Resampled]
    mae_ratios: dict[str, Resampled]


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
    held_out = gather_held_out(
        session.card, monitors, predictors, (start, end), cache=cache, progress=progress
    )
    samples, targets = held_out.samples, held_out.targets()
    station, day = targets[:, 0], targets[:, 1]
    truth, place = samples.truth[station, day], places_of(samples)[station]
    # Both are of the estimated day, which is present.
    baselines = {
        name: error_sums(truth, values, place)
        for name, values in at_targets(samples, targets, BASELINES).items()
        if values is not None
    }
    by_count = {}
    for count in dict.fromkeys((length, *days_present)):
        ours = estimates(session, samples, targets, progress, last_days(count, length))
        by_count[count] = error_sums(truth, ours, place)
    baselines["whole window"] = by_count[length]
    stations = len(np.unique(station))
    return tuple(_score(count, by_count[count], stations, baselines) for count in days_present)


def error_sums(
    truth: npt.NDArray[np.floating], estimate: npt.NDArray[np.floating], place: npt.NDArray[np.integer]
) -> Numbers:
    """Sum what scores need by place: (place, 8), as `sums.station_sums`.

    Args:
        truth, estimate: ug m-3 (target,).
        place: number of the place of each target; monitors within 100 m are one place.
    """
    return sums_of_models(truth, estimate, place)


def error_ratios(ours: Numbers, other: Numbers, draws: int = DRAWS) -> tuple[Resampled, Resampled]:
    """Compare errors on the same targets: RMSE and MAE as ratios, with intervals over whole places.

    Args:
        ours, other: of `error_sums`, (place, 8).
        draws: of the bootstrap, seed 0.
    """
    ratios = bootstrap(np.concatenate([ours, other], axis=1), _ratios, draws, least=1)
    rmse, mae = (
        Resampled(*(round(value, 4) for value in (ratios[name].value, ratios[name].low, ratios[name].high)))
        for name in ("rmse", "mae")
    )
    return rmse, mae


def _ratios(sums: Numbers) -> dict[str, Numbers]:
    ours, other = (scores_of_sums(part) for part in np.split(sums, 2, axis=-1))
    return {name: ours[name] / other[name] for name in ("rmse", "mae")}


def _score(count: int, ours: Numbers, stations: int, baselines: dict[str, Numbers]) -> ShortScore:
    whole = scores_of_sums(ours.sum(axis=0))
    ratios = {name: error_ratios(ours, sums) for name, sums in baselines.items()}
    return ShortScore(
        days_present=count,
        n=int(ours[:, 0].sum()),
        stations=stations,
        rmse=round(float(whole["rmse"]), 4),
        mae=round(float(whole["mae"]), 4),
        rmse_ratios={name: rmse for name, (rmse, _) in ratios.items()},
        mae_ratios={name: mae for name, (_, mae) in ratios.items()},
    )
