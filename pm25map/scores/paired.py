"""Paired comparison of two variants on the same targets, stations resampled together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from pm25map.scores.resampling import LEAST_STATIONS, RESAMPLES, Resampled, interval, resamples

Floats = npt.NDArray[np.float64]

_TARGET = ["site", "date", "fold"]
_STRATA_COLUMNS = ("truth", "distance_km", "smoke")


@dataclass(frozen=True)
class PairedComparison:
    """A variant against another on the targets that both predicted.

    Attributes:
        n, stations: targets and stations that both have.
        rmse, rmse_other: ug m-3, on these targets.
        difference: of the RMSE, variant minus other, ug m-3; below zero the variant is better.
        gain_percent: by how much the variant's RMSE lies below the other's; above zero the variant is better.
        p_bootstrap: two-sided, that the difference is zero, from the resamples.
        p_wilcoxon: two-sided signed-rank test of the stations' mean squared errors; NaN with few stations.
    """

    n: int
    stations: int
    rmse: float
    rmse_other: float
    difference: Resampled
    gain_percent: Resampled
    p_bootstrap: float
    p_wilcoxon: float


def losses(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the squared error of every target, averaged over seeds, with site, date, fold and what strata need."""
    squared = (frame["prediction"].astype("float64") - frame["truth"].astype("float64")) ** 2
    frame = frame.assign(loss=squared)
    kept = [*_TARGET, "loss", *(name for name in _STRATA_COLUMNS if name in frame)]
    if frame["seed"].nunique() < 2:
        return frame[kept]
    mean = frame.groupby(_TARGET, sort=False)["loss"].mean().reset_index()
    columns = frame[kept].drop(columns="loss").drop_duplicates(_TARGET)
    return mean.merge(columns, on=_TARGET)


def pair(variant: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Join the losses of two variants on the targets that both have, in columns loss and loss_other."""
    return variant.merge(other[[*_TARGET, "loss"]], on=_TARGET, suffixes=("", "_other"))


def compare(paired: pd.DataFrame, draws: int = RESAMPLES, seed: int = 0) -> PairedComparison | None:
    """Compare two variants.

    Args:
        paired: as `pair` gives it, or some of its rows.
        draws: resamples of the stations.
        seed: of the draws.

    Returns:
        None where they share no target.
    """
    if paired.empty:
        return None
    site, names = pd.factorize(paired["site"])
    sums = np.stack(
        [
            np.bincount(site, minlength=len(names)).astype(np.float64),
            np.bincount(site, paired["loss"].to_numpy(), len(names)),
            np.bincount(site, paired["loss_other"].to_numpy(), len(names)),
        ],
        axis=1,
    )
    rmse, rmse_other = (float(value) for value in _rmse(sums.sum(axis=0)))
    nothing = Resampled(rmse - rmse_other, np.nan, np.nan)
    if len(names) < LEAST_STATIONS:
        gain = Resampled(float(_gain(rmse, rmse_other)), np.nan, np.nan)
        return PairedComparison(len(paired), len(names), rmse, rmse_other, nothing, gain, np.nan, np.nan)
    drawn, drawn_other = _rmse(resamples(len(names), draws, seed) @ sums)
    difference = drawn - drawn_other
    below = (np.sum(difference <= 0) + 1) / (draws + 1)
    above = (np.sum(difference >= 0) + 1) / (draws + 1)
    by_station = (sums[:, 1] - sums[:, 2]) / sums[:, 0]
    same = not np.any(by_station)
    return PairedComparison(
        n=len(paired),
        stations=len(names),
        rmse=rmse,
        rmse_other=rmse_other,
        difference=interval(rmse - rmse_other, difference),
        gain_percent=interval(float(_gain(rmse, rmse_other)), _gain(drawn, drawn_other)),
        p_bootstrap=float(min(1.0, 2 * min(below, above))),
        p_wilcoxon=1.0 if same else float(stats.wilcoxon(by_station).pvalue),
    )


def adjust(p_values: list[float]) -> list[float]:
    """Adjust p-values of a family of tests by Benjamini and Hochberg; NaN stays NaN."""
    adjusted_p = np.array(p_values, dtype=np.float64)
    known = np.isfinite(adjusted_p)
    if known.any():
        adjusted_p[known] = stats.false_discovery_control(adjusted_p[known])
    adjusted: list[float] = adjusted_p.tolist()
    return adjusted


def _rmse(sums: Floats) -> tuple[Floats, Floats]:
    return np.sqrt(sums[..., 1] / sums[..., 0]), np.sqrt(sums[..., 2] / sums[..., 0])


def _gain(rmse: Floats | float, other: Floats | float) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(100 * (1 - np.divide(rmse, other)))
