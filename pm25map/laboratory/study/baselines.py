"""Baselines that a user would choose instead of a network: inverse distance, kriging, and gradient boosting."""

import numpy as np
import numpy.typing as npt

from pm25map.laboratory.study.data import FoldData
from pm25map.predictors.neighbours import FIELDS, Stations

Estimates = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

LARGEST_DRAW = 200_000
"""Targets that gradient boosting learns from at most."""
GROUPS = 5
"""Where the monitors of a judged day feed the estimates, each fifth of the places is kriged from the other four."""
LAGS = 30
RIDGES = (1.0, 10.0, 100.0, 1000.0)


def field_estimates(data: FoldData, field: str) -> Estimates:
    """Read the estimates (target,) of a baseline that is a field of the neighbours source."""
    one = data.samples
    station, day = data.judged[:, 0], data.judged[:, 1]
    values: Estimates = one.values[station, day, one.features.index(field)]
    return np.maximum(values, 0.0)


def boosted_estimates(data: FoldData, seed: int) -> Estimates:
    """Estimate (target,) by gradient boosting (scikit-learn) from the predictors of the day, in square roots.

    Args:
        data: of the fold.
        seed: of the draw of its training targets.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - slow to import

    one = data.samples
    learned = data.learned
    if len(learned) > LARGEST_DRAW:
        learned = np.random.default_rng(seed).permutation(learned)[:LARGEST_DRAW]
    model = HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.1, min_samples_leaf=200, early_stopping=False, random_state=seed
    )
    truth = np.sqrt(np.maximum(one.truth[learned[:, 0], learned[:, 1]], 0.0))
    model.fit(one.values[learned[:, 0], learned[:, 1]], truth)
    roots = model.predict(one.values[data.judged[:, 0], data.judged[:, 1]])
    boosted: Estimates = np.square(np.maximum(roots, 0.0)).astype(np.float32)
    return boosted


def kriged_estimates(data: FoldData, seed: int) -> Estimates:
    """Estimate (target,) by regression kriging: a ridge regression a day, its residuals kriged by PyKrige.

    The regression takes the predictors that do not come from neighbours; the variogram is exponential, fitted
    to each day's residuals. Coordinates are those of EPSG:5070.

    Args:
        data: of the fold.
        seed: of the groups of places, see GROUPS.
    """
    from pyproj import Transformer  # noqa: PLC0415 - not every run needs it

    one = data.samples
    used = [i for i, name in enumerate(one.features) if name not in FIELDS]
    x, y = Transformer.from_crs(4326, 5070, always_xy=True).transform(one.lon, one.lat)
    where = np.stack([np.asarray(x), np.asarray(y)], axis=1) / 1000.0
    place = Stations(one.lat, one.lon, np.zeros(len(one.lat))).places()
    group = np.zeros(len(place), dtype=np.int64)
    if not data.fold.hides:
        numbers, index = np.unique(place, return_inverse=True)
        group = (np.random.default_rng(seed).permutation(len(numbers)) % GROUPS)[index] + 1
    out = np.full(len(data.judged), np.nan, dtype=np.float32)
    for day in np.unique(data.judged[:, 1]):
        rows = np.flatnonzero(data.judged[:, 1] == day)
        targets = data.judged[rows, 0]
        predictors = one.values[:, day][:, used].astype(np.float64)
        available = np.isfinite(one.truth[:, day]) if not data.fold.hides else data.known[:, day]
        for part in np.unique(group[targets]):
            speaks = available & (group != part) if part else available
            mine = group[targets] == part
            known = _one_a_place(np.flatnonzero(speaks), place)
            out[rows[mine]] = _krige(
                predictors[known],
                where[known],
                one.truth[known, day].astype(np.float64),
                predictors[targets[mine]],
                where[targets[mine]],
            )
    return np.maximum(out, 0.0)


def _one_a_place(stations: npt.NDArray[np.int64], place: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Keep the first station of every place: two values at one point make the system singular."""
    kept: npt.NDArray[np.int64] = stations[np.sort(np.unique(place[stations], return_index=True)[1])]
    return kept


def _krige(
    predictors: Floats, where: Floats, truth: Floats, at_targets: Floats, where_targets: Floats
) -> Floats:
    """Regression kriging of one day: (point,), ug m-3."""
    from pykrige.ok import OrdinaryKriging  # noqa: PLC0415 - not every run needs it
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415 - slow to import
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    # A layer without a value at a station tells the regression its mean.
    middle = np.nan_to_num(np.nanmean(predictors, axis=0))
    predictors = np.where(np.isfinite(predictors), predictors, middle)
    at_targets = np.where(np.isfinite(at_targets), at_targets, middle)
    regression = make_pipeline(StandardScaler(), RidgeCV(RIDGES)).fit(predictors, truth)
    system = OrdinaryKriging(
        where[:, 0],
        where[:, 1],
        truth - regression.predict(predictors),
        variogram_model="exponential",
        nlags=LAGS,
        weight=True,
        exact_values=False,
    )
    residual, _ = system.execute("points", where_targets[:, 0], where_targets[:, 1], backend="vectorized")
    estimate: Floats = regression.predict(at_targets) + np.asarray(residual)
    return estimate
