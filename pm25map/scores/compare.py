"""Two models on the same stations and days: what one gains over the other, and how sure that is."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel, BadMonitors, BadPredictors
from pm25map.model.card import ModelCard
from pm25map.model.places import place_vectors
from pm25map.model.runtime import Session
from pm25map.model.splits import hold_out_stations
from pm25map.monitors import Monitors
from pm25map.predictors.neighbours import Stations
from pm25map.predictors.reader import Predictors
from pm25map.scores.evaluate import HIGH_UGM3, estimates
from pm25map.windows.samples import Progress, StationSamples, gather_samples

INTERPOLATION = "neighbours_idw9"
"""What stands against a model where no other model does."""

DRAWS = 2_000
"""Bootstrap draws of the stations; the intervals hold 95 % of them."""


@dataclass(frozen=True)
class Gain:
    """A score of both sides, and the first less the second with its 95 % interval over stations.

    Attributes:
        first, second: the score itself.
        difference, low, high: first less second; below zero is a gain for errors, above zero for R2.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Both sides on some of the targets.

    Attributes:
        stratum: which targets.
        n, stations: how many station days, of how many stations (monitors within 100 m are one).
        rmse, mae, mbe: ug m-3. r2: against the mean of these observations.
    """

    stratum: str
    n: int
    stations: int
    rmse: Gain
    mae: Gain
    mbe: Gain
    r2: Gain


def compare(
    first: Sequence[Session],
    second: Sequence[Session],
    monitors: Monitors,
    predictors: Predictors,
    start: dt.date,
    end: dt.date,
    above: Sequence[tuple[str, float]] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Comparison, ...]:
    """Score two sides on the stations that the training of both held out.

    Args:
        first, second: a model each, or the same model trained from several seeds: the squared and absolute
            errors of a side are the means over its models, not the errors of their mean. With no second
            model interpolation stands there: inverse distance, 9 nearest stations, power 2.
        monitors: that feed the neighbours; those held out feed nothing.
        predictors: a store with every feature but the neighbours.
        start, end: days of the targets.
        above: variables and levels that the targets are parted by, as (name, level).
        cache: folder for the stations' neighbours; a training run's folder will do.
        progress: called with what is done and what is to do.

    Raises:
        BadModel: the models were not made with the same held-out stations, window and grid.
        BadPredictors: the store lies on another grid than the models'.
        BadMonitors: they are not those of the training, or there is nothing to judge.
    """
    card = _agree([*first, *second])
    if predictors.grid.checksum != card.grid_checksum:
        raise BadPredictors(
            f"{predictors.path} does not lie on grid {card.grid} of model {card.name}: make a store for it with "
            f"pm25map data ingest --grid {card.grid}"
        )
    if not monitors.matches(card.training.monitors_checksum):
        # The draw of the held-out places is one from all places of a table: of another table it is another.
        raise BadMonitors(
            f"model {card.name} was trained on other monitors (checksum {card.training.monitors_checksum[:12]}) than "
            f"these ({monitors.checksum[:12]}), so nobody can tell which stations it never saw: name its own"
        )
    sites = monitors.sites
    held_out = hold_out_stations(
        sites["latitude"].to_numpy(),
        sites["longitude"].to_numpy(),
        card.training.holdout_fraction,
        card.training.holdout_seed,
    )
    wanted = [name for name, _ in above] + ([] if second else [INTERPOLATION])
    features = _union([*(s.card.scaler.features for s in (*first, *second)), wanted])
    begin = start - dt.timedelta(days=card.window_days - 1)
    samples = gather_samples(monitors, predictors, features, begin, end, held_out, cache, progress)
    judged = np.isin(samples.site_ids, sites["site_id"].to_numpy(dtype=str)[held_out])
    targets = samples.targets(judged, start, end, card.window_days)
    if len(targets) == 0:
        raise BadMonitors(f"no station that is held out measured anything between {start} and {end}")
    station, day = targets[:, 0], targets[:, 1]
    sides = [
        np.stack([_estimates(session, samples, targets, progress) for session in side])
        if side
        else samples.values[station, day, features.index(INTERPOLATION)][None]
        for side in (first, second)
    ]
    place = Stations(samples.lat, samples.lon, np.zeros(len(samples.lat))).places()[station]
    truth = samples.truth[station, day]
    levels = {
        name: samples.values[station, day, features.index(name)].astype(np.float64) for name, _ in above
    }
    return tuple(
        gains(name, truth[chosen], sides[0][:, chosen], sides[1][:, chosen], place[chosen])
        for name, chosen in _strata(truth, levels, above).items()
        if chosen.any()
    )


def gains(
    stratum: str,
    truth: npt.NDArray[np.floating],
    first: npt.NDArray[np.floating],
    second: npt.NDArray[np.floating],
    station: npt.NDArray[np.integer],
    draws: int = DRAWS,
) -> Comparison:
    """Compare two sides on the same targets.

    Args:
        stratum: what the targets are called.
        truth: ug m-3 (target,).
        first, second: estimates, ug m-3 (model, target).
        station: number of the station of each target; whole stations are drawn, both sides together.
        draws: of the bootstrap, seed 0.
    """
    names, number = np.unique(station, return_inverse=True)

    def by_station(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        return np.bincount(number, weights=values, minlength=len(names)).astype(np.float64)

    seen = truth.astype(np.float64)
    columns = [by_station(np.ones_like(seen)), by_station(seen), by_station(seen**2)]
    for side in (first, second):
        error = side.astype(np.float64) - seen
        columns += [by_station(part.mean(axis=0)) for part in (error**2, np.abs(error), error)]
    sums = np.stack(columns, axis=1)
    generator = np.random.default_rng(0)
    weights = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    whole, drawn = _scores(sums.sum(axis=0)), _scores(weights @ sums)

    def gain(score: str) -> Gain:
        a, b = whole[f"{score} first"], whole[f"{score} second"]
        spread = drawn[f"{score} first"] - drawn[f"{score} second"]
        known = spread[np.isfinite(spread)]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
        return Gain(*(round(float(value), 4) for value in (a, b, a - b, low, high)))

    return Comparison(stratum, len(truth), len(names), gain("rmse"), gain("mae"), gain("mbe"), gain("r2"))


def _scores(sums: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Turn sums (..., column) of count, truth, its square, and three errors a side into scores (...)."""
    n = sums[..., 0]
    spread = sums[..., 2] - sums[..., 1] ** 2 / n
    found: dict[str, npt.NDArray[np.float64]] = {}
    for i, side in enumerate(("first", "second")):
        squared, absolute, signed = (sums[..., 3 + 3 * i + j] for j in range(3))
        found |= {
            f"rmse {side}": np.sqrt(squared / n),
            f"mae {side}": absolute / n,
            f"mbe {side}": signed / n,
            f"r2 {side}": 1 - squared / np.where(spread > 0, spread, np.nan),
        }
    return found


def _strata(
    truth: npt.NDArray[np.floating],
    levels: dict[str, npt.NDArray[np.float64]],
    above: Sequence[tuple[str, float]],
) -> dict[str, npt.NDArray[np.bool_]]:
    """Part the targets: all of them, each level from above and below, and by what was measured."""
    found = {"all": np.ones(len(truth), dtype=np.bool_)}
    for name, level in above:
        found[f"{name} above {level:g}"] = levels[name] > level
        found[f"{name} up to {level:g}"] = levels[name] <= level
    found[f"above {HIGH_UGM3:g} ug/m3"] = truth > HIGH_UGM3
    found[f"up to {HIGH_UGM3:g} ug/m3"] = truth <= HIGH_UGM3
    return found


def _estimates(
    session: Session,
    samples: StationSamples,
    targets: npt.NDArray[np.int64],
    progress: Progress | None,
) -> npt.NDArray[np.float32]:
    """Predict the targets with a model that reads some of the features: ug m-3 (target,)."""
    features = session.card.scaler.features
    read = [samples.features.index(name) for name in features]
    own = replace(samples, features=features, values=samples.values[:, :, read])
    place, _ = place_vectors(session.card.place.encoder, samples.lat, samples.lon)
    return estimates(session, own, place, targets, progress)


def _agree(sessions: Sequence[Session]) -> ModelCard:
    """Refuse models whose scores cannot stand side by side."""
    card = sessions[0].card
    for session in sessions[1:]:
        other = session.card
        for what, mine, theirs in (
            ("monitors", card.training.monitors_checksum[:12], other.training.monitors_checksum[:12]),
            ("held-out stations (seed)", card.training.holdout_seed, other.training.holdout_seed),
            ("held-out stations (share)", card.training.holdout_fraction, other.training.holdout_fraction),
            ("window (days)", card.window_days, other.window_days),
            ("grid", card.grid_checksum[:12], other.grid_checksum[:12]),
        ):
            if mine != theirs:
                raise BadModel(
                    f"models {card.name} and {other.name} cannot be compared: {what} {mine} and {theirs}. "
                    f"Train both with the same"
                )
    return card


def _union(parts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Join names, each once, in the order they come in."""
    return tuple(dict.fromkeys(name for part in parts for name in part))
