"""Dissimilarity index, area of applicability and local point density of Meyer and Pebesma.

Meyer & Pebesma 2021, Methods in Ecology and Evolution 12, 1620-1633, doi:10.1111/2041-210X.13650; the density of
local points after Schumacher et al. 2025 (Geoscientific Model Development 18, 10185). Every number is that of the R
package CAST 1.0 (functions trainDI and aoa, Euclidean distance): the threshold is the 75th percentile plus 1.5
interquartile ranges of the training points' index, and no more than the largest index.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

Doubles = npt.NDArray[np.float64]

_LEAF = 100
"""Points in a leaf of the tree: the counted points lie in few of them, and walking the tree takes most of the time."""

_ROWS_AT_ONCE = 512
"""Rows of the distance matrix in memory at a time when its mean is computed."""


@dataclass(frozen=True, eq=False)
class TrainingPoints:
    """Training data in the space of weighted predictors, and the statistics of their distances.

    Attributes:
        center, scale: mean and standard deviation (n - 1) of each predictor (predictor,).
        weight: importance of each predictor to the model (predictor,), not negative.
        points: float64 (point, predictor), standardized and weighted.
        mean_distance: over all pairs of points.
        threshold: largest index inside of the area of applicability.
        index: dissimilarity index of each training point to the points of other folds (point,).
        density: how many points of other folds lie nearer than the threshold (point,).
    """

    center: Doubles
    scale: Doubles
    weight: Doubles
    points: Doubles
    mean_distance: float
    threshold: float
    index: Doubles
    density: npt.NDArray[np.int64]

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points, leafsize=_LEAF)

    def weighted(self, values: npt.NDArray[np.floating]) -> Doubles:
        """Transform predictors (cell, predictor) into the space of the points."""
        coordinates: Doubles = (values.astype(np.float64) - self.center) / self.scale * self.weight
        return coordinates

    def index_of(self, values: npt.NDArray[np.floating]) -> Doubles:
        """Return the dissimilarity index (cell,) of predictors (cell, predictor); NaN where one is missing."""
        at = self.weighted(values)
        whole = np.isfinite(at).all(axis=1)
        index = np.full(len(at), np.nan)
        if whole.any():
            index[whole] = self._tree.query(at[whole])[0] / self.mean_distance
        return index

    def density_of(self, values: npt.NDArray[np.floating]) -> Doubles:
        """Count the training points nearer than the threshold (cell,); NaN where a predictor is missing."""
        at = self.weighted(values)
        whole = np.isfinite(at).all(axis=1)
        density = np.full(len(at), np.nan)
        if whole.any():
            # Nearer than the threshold, and not at it: as CAST counts.
            reach = np.nextafter(self.threshold * self.mean_distance, 0)
            density[whole] = self._tree.query_ball_point(at[whole], reach, return_length=True)
        return density


def training_points(
    values: npt.NDArray[np.floating],
    weight: npt.NDArray[np.floating],
    folds: npt.NDArray[np.integer] | None = None,
) -> TrainingPoints:
    """Standardize and weigh training data, and find the threshold of their area of applicability.

    Args:
        values: (point, predictor), all finite; every predictor varies.
        weight: (predictor,), not negative.
        folds: (point,), the fold in which a point is left out; None compares every point with all others.

    Raises:
        ValueError: fewer than two points or folds, a predictor that does not vary, a negative weight.
    """
    values = values.astype(np.float64)
    weighed: Doubles = weight.astype(np.float64)
    fold = np.arange(len(values)) if folds is None else np.asarray(folds)
    if len(values) < 2 or len(np.unique(fold)) < 2:
        raise ValueError("two training points, in two folds, are the least")
    center: Doubles = values.mean(axis=0)
    scale: Doubles = values.std(axis=0, ddof=1)
    if not (scale > 0).all() or (weighed < 0).any():
        raise ValueError("every predictor must vary, and no weight may be negative")
    points: Doubles = (values - center) / scale * weighed
    mean_distance = _mean_distance(points)
    nearest = np.full(len(points), np.nan)
    if folds is None:
        nearest = cKDTree(points).query(points, k=[2])[0][:, 0]
    for one in () if folds is None else np.unique(fold):
        left_out = fold == one
        nearest[left_out] = cKDTree(points[~left_out]).query(points[left_out])[0]
    index: Doubles = nearest / mean_distance
    low, high = np.percentile(index, [25, 75])
    threshold = float(min(high + 1.5 * (high - low), index.max()))
    density = _density(points, fold, np.nextafter(threshold * mean_distance, 0))
    return TrainingPoints(center, scale, weighed, points, mean_distance, threshold, index, density)


def _mean_distance(points: Doubles) -> float:
    """Average the distances of all pairs of different points, some rows at a time."""
    total = sum(
        float(cdist(points[first : first + _ROWS_AT_ONCE], points).sum())
        for first in range(0, len(points), _ROWS_AT_ONCE)
    )
    return total / (len(points) * (len(points) - 1))


def _density(points: Doubles, fold: npt.NDArray[np.integer], reach: float) -> npt.NDArray[np.int64]:
    """Count the points of other folds within reach of each point."""
    every = cKDTree(points).query_ball_point(points, reach, return_length=True)
    density = np.asarray(every, dtype=np.int64)
    for one in np.unique(fold):
        left_out = fold == one
        density[left_out] -= cKDTree(points[left_out]).query_ball_point(
            points[left_out], reach, return_length=True
        )
    return density
