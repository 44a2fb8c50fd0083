"""Scores of predictions at stations, whole and in parts, with bootstrap intervals over stations.

With o the truth, p the prediction, e = p - o, and a bar for the mean of one station (over its targets in the
stratum):

| score | definition |
|---|---|
| r2 | 1 - sum e^2 / sum (o - mean o)^2, the mean over the test targets themselves |
| rmse, mae, mbe | root of mean e^2; mean of abs(e); mean of e (above zero: too high) |
| rmse_between | root of the mean over targets of e_bar^2: how wrong the stations' means are |
| rmse_within | root of the mean of (e - e_bar)^2: how wrong the days are once the station's mean error is gone |
| r2_between | 1 - sum n e_bar^2 / sum n (o_bar - mean o)^2, sums over stations with n targets |
| r2_within | 1 - sum (e - e_bar)^2 / sum (o - o_bar)^2 |

rmse^2 = rmse_within^2 + rmse_between^2 exactly. Every one of these is a ratio of sums over stations, so a resample of
stations is a weight for each station's sums and a thousand resamples are one matrix product. Runs of several seeds
count a target once: a station's sums are the means of its seeds'.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.scores.resampling import RESAMPLES, Resampled, bootstrap

Floats = npt.NDArray[np.float64]

NAMES = ("r2", "rmse", "mae", "mbe", "rmse_within", "rmse_between", "r2_within", "r2_between")
_N, _O, _OO, _E, _EE, _AE, _BETWEEN, _O_BETWEEN = range(8)


def station_sums(
    site: npt.NDArray[np.integer],
    seed: npt.NDArray[np.integer],
    truth: npt.NDArray[np.floating],
    prediction: npt.NDArray[np.floating],
    stations: int,
    centre: float,
) -> Floats:
    """Sum what the scores need, station by station.

    Args:
        site: number of the station of every prediction.
        seed: of the run that made the prediction.
        truth, prediction: ug m-3 (prediction,), all finite.
        stations: how many there are.
        centre: taken from the truth first, so that sums of squares keep their digits: the mean of all targets.

    Returns:
        float64 (station, 8): count; sums of o, o^2, e, e^2, abs(e); (sum e)^2 / n and (sum o)^2 / n.
    """
    seeds, number = np.unique(seed, return_inverse=True)
    seeds_of_site = np.zeros(stations)
    group = site * len(seeds) + number
    size = stations * len(seeds)
    observed = np.asarray(truth, dtype=np.float64) - centre
    error = np.asarray(prediction, dtype=np.float64) - centre - observed
    parts = [np.ones_like(error), observed, observed**2, error, error**2, np.abs(error)]
    sums = np.stack([np.bincount(group, part, size) for part in parts], axis=1)
    count = np.maximum(sums[:, [_N]], 1)
    sums = np.concatenate([sums, sums[:, [_E, _O]] ** 2 / count], axis=1).reshape(stations, len(seeds), 8)
    seeds_of_site = np.maximum((sums[:, :, _N] > 0).sum(axis=1), 1)
    mean_over_seeds: Floats = sums.sum(axis=1) / seeds_of_site[:, None]
    return mean_over_seeds


def scores_of_sums(sums: Floats) -> dict[str, Floats]:
    """Turn sums over stations (..., 8) into scores (...,), NaN where undefined."""
    n = sums[..., _N]
    with np.errstate(invalid="ignore", divide="ignore"):
        within = np.maximum(sums[..., _EE] - sums[..., _BETWEEN], 0.0)
        of_mean = sums[..., _O] ** 2 / n
        total = sums[..., _OO] - of_mean
        total_between = sums[..., _O_BETWEEN] - of_mean
        total_within = sums[..., _OO] - sums[..., _O_BETWEEN]
        # A stratum where all observations agree has no R2; rounding must not produce one.
        least = 1e-9 * np.maximum(sums[..., _OO], 1e-12)

        def share(errors: Floats, spread: Floats) -> Floats:
            explained: Floats = np.where(spread > least, 1 - errors / spread, np.nan)
            return explained

        return {
            "r2": share(sums[..., _EE], total),
            "rmse": np.sqrt(sums[..., _EE] / n),
            "mae": sums[..., _AE] / n,
            "mbe": sums[..., _E] / n,
            "rmse_within": np.sqrt(within / n),
            "rmse_between": np.sqrt(sums[..., _BETWEEN] / n),
            "r2_within": share(within, total_within),
            "r2_between": share(sums[..., _BETWEEN], total_between),
        }


def scores_with_intervals(sums: Floats, draws: int = RESAMPLES, seed: int = 0) -> dict[str, Resampled]:
    """Score sums (station, 8) with intervals over the stations that have any.

    With fewer than LEAST_STATIONS stations the intervals are NaN.
    """
    return bootstrap(sums[sums[:, _N] > 0], scores_of_sums, draws, seed)


def sums_of(frame: pd.DataFrame, stations: int) -> Floats:
    """Sum predictions as `Results.predictions` gives them: (station, 8)."""
    return station_sums(
        frame["site"].to_numpy(),
        frame["seed"].to_numpy(),
        frame["truth"].to_numpy(),
        frame["prediction"].to_numpy(),
        stations,
        float(frame["truth"].mean()) if len(frame) else 0.0,
    )


def score(frame: pd.DataFrame) -> dict[str, float]:
    """Score one run: n, stations, and all of NAMES; what a row of runs.parquet holds.

    Args:
        frame: site_id, truth and prediction (ug m-3); rows without either are left out.
    """
    known = frame[frame["truth"].notna() & frame["prediction"].notna()]
    site, names = pd.factorize(known["site_id"])
    sums = sums_of(known.assign(site=site, seed=0), len(names))
    scores = scores_of_sums(sums.sum(axis=0))
    return {"n": len(known), "stations": len(names)} | {name: float(scores[name]) for name in NAMES}
