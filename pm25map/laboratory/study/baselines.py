"""What a user would pick instead of a network: inverse distance, kriging, and gradient boosting."""

import numpy as np
import numpy.typing as npt

from pm25map.laboratory.study.material import FoldMaterial
from pm25map.predictors.neighbours import FIELDS, Stations

Estimates = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

LARGEST_DRAW = 200_000
"""Targets that gradient boosting learns from at most."""
GROUPS = 5
"""Where the monitors of a judged day may speak, each fifth of the places is kriged from the other four."""
LAGS = 30
RIDGES = (1.0, 10.0, 100.0, 1000.0)


def field_estimates(material: FoldMaterial, field: str) -> Estimates:
    """Read the estimates (target,) of a baseline that is a field of the neighbours source."""
    one = material.samples
    station, day = material.judged[:, 0], material.judged[:, 1]
    values: Estimates = one.values[station, day, one.features.index(field)]
    return np.maximum(values, 0.0)


def boosted_estimates(material: FoldMaterial, seed: int) -> Estimates:
    """Estimate (target,) by gradient boosting (scikit-learn) from the predictors of the day, in square roots.

    Args:
        material: of the fold.
        seed: of the draw of what it learns from.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - slow to import

    one = material.samples
    learned = material.learned
    if len(learned) > LARGEST_DRAW:
        learned = np.random.default_rng(seed).permutation(learned)[:LARGEST_DRAW]
    model = HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.1, min_samples_leaf=200, early_stopping=False, random_state=seed
    )
    truth = np.sqrt(np.maximum(one.truth[learned[:, 0], learned[:, 1]], 0.0))
    model.fit(one.values[learned[:, 0], learned[:, 1]], truth)
    roots = model.predict(one.values[material.judged[:, 0], material.judged[:, 1]])
    found: Estimates = np.square(np.maximum(roots, 0.0)).astype(np.float32)
    return found


def kriged_estimates(material: FoldMaterial, seed: int) -> Estimates:
    """Estimate (target,) by regression kriging: a ridge regression a day, its residuals kriged by PyKrige.

    The regression takes the predictors that do not come from neighbours; the variogram is exponential, fitted
    to each day's residuals. Coordinates are those of EPSG:5070.

    Args:
        material: of the fold.
        seed: of the groups of places, see GROUPS.
    """
    from pyproj import Transformer  # noqa: PLC0415 - not every run needs it

    one = material.samples
    used = [i for i, name in enumerate(one.features) if name not in FIELDS]
    x, y = Transformer.from_crs(4326, 5070, always_xy=True).transform(one.lon, one.lat)
    where = np.stack([np.asarray(x), np.asarray(y)], axis=1) / 1000.0
    place = Stations(one.lat, one.lon, np.zeros(len(one.lat))).places()
    group = np.zeros(len(place), dtype=np.int64)
    if not material.fold.hides:
        numbers, index = np.unique(place, return_inverse=True)
        group = (np.random.default_rng(seed).permutation(len(numbers)) % GROUPS)[index] + 1
    out = np.full(len(material.judged), np.nan, dtype=np.float32)
    for day in np.unique(material.judged[:, 1]):
        rows = np.flatnonzero(material.judged[:, 1] == day)
        asked = material.judged[rows, 0]
        predictors = one.values[:, day][:, used].astype(np.float64)
        may_speak = np.isfinite(one.truth[:, day]) if not material.fold.hides else material.known[:, day]
        for part in np.unique(group[asked]):
            speaks = may_speak & (group != part) if part else may_speak
            mine = group[asked] == part
            known = _one_a_place(np.flatnonzero(speaks), place)
            out[rows[mine]] = _krige(
                predictors[known],
                where[known],
                one.truth[known, day].astype(np.float64),
                predictors[asked[mine]],
                where[asked[mine]],
            )
    return np.maximum(out, 0.0)


def _one_a_place(stations: npt.NDArray[np.int64], place: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Keep the first station of every place: two values at one point make the system singular."""
    kept: npt.NDArray[np.int64] = stations[np.sort(np.unique(place[stations], return_index=True)[1])]
    return kept


def _krige(predictors: Floats, where: Floats, truth: Floats, asked: Floats, asked_where: Floats) -> Floats:
    """Regression kriging of one day: (point,), ug m-3."""
    from pykrige.ok import OrdinaryKriging  # noqa: PLC0415 - not every run needs it
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415 - slow to import
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    # A layer without a value at a station tells the regression its mean.
    middle = np.nan_to_num(np.nanmean(predictors, axis=0))
    predictors = np.where(np.isfinite(predictors), predictors, middle)
    asked = np.where(np.isfinite(asked), asked, middle)
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
    residual, _ = system.execute("points", asked_where[:, 0], asked_where[:, 1], backend="vectorized")
    estimate: Floats = regression.predict(asked) + np.asarray(residual)
    return estimate
