"""Distances between stations, folds and the map: clusters, buffers, and nearest-neighbour distance matching."""

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree
from scipy.stats import wasserstein_distance

from pm25map.predictors.neighbours import globe

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CANDIDATES = 24
"""Numbers of clusters that kNNDM tries, spread evenly on a logarithmic scale."""
LARGEST_FOLD = 0.5
"""Share of the places that one fold of kNNDM may hold, as in CAST."""


def within_km(
    lat: Floats, lon: Floats, near_lat: Floats, near_lon: Floats, km: float
) -> npt.NDArray[np.bool_]:
    """Mark the points (point,) that lie within some km of any of the others."""
    return np.asarray(distance_km(lat, lon, near_lat, near_lon) <= km, dtype=np.bool_)


def distance_km(lat: Floats, lon: Floats, other_lat: Floats, other_lon: Floats) -> Floats:
    """Distance to the nearest of the others, km (point,); infinite where there is none."""
    if len(other_lat) == 0:
        return np.full(len(lat), np.inf)
    apart: Floats = cKDTree(globe(other_lat, other_lon)).query(globe(lat, lon))[0]
    return apart


def clusters_of(lat: Floats, lon: Floats, km: float) -> Ints:
    """Group points (point,) so that no two of a group are further apart than some km (complete linkage)."""
    if len(lat) < 2:
        return np.zeros(len(lat), dtype=np.int64)
    tree = linkage(globe(lat, lon), "complete")
    groups: Ints = fcluster(tree, km, "distance").astype(np.int64) - 1
    return groups


def balanced_folds(group: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Assign whole groups to folds, in random order, each to the fold that has the fewest points: (point,).

    Args:
        group: number of each point's group, from 0, none left out.
        folds: how many.
        rng: of the order and of ties.
    """
    sizes = np.bincount(group)
    fold_of_group = np.zeros(len(sizes), dtype=np.int64)
    sizes_of_folds = np.zeros(folds, dtype=np.int64)
    order = rng.permutation(len(sizes))
    # The largest first: dealt last, one of them would outweigh a fold.
    for one in order[np.argsort(-sizes[order], kind="stable")]:
        fold = int(rng.choice(np.flatnonzero(sizes_of_folds == sizes_of_folds.min())))
        fold_of_group[one] = fold
        sizes_of_folds[fold] += sizes[one]
    return fold_of_group[group]


def distances_between_folds(lat: Floats, lon: Floats, fold: Ints) -> Floats:
    """Distance of every point to the nearest point of another fold, km (point,)."""
    apart = np.empty(len(lat))
    for one in np.unique(fold):
        mine = fold == one
        apart[mine] = distance_km(lat[mine], lon[mine], lat[~mine], lon[~mine])
    return apart


def nearest_fold_match(
    lat: Floats, lon: Floats, map_lat: Floats, map_lon: Floats, folds: int, seed: int
) -> tuple[Ints, float]:
    """Choose folds whose distances to the other folds are spread as the map's distances to the points are.

    k-fold nearest-neighbour distance matching after Linnenbrink et al. 2024 (doi 10.5194/gmd-17-5897-2024):
    points are clustered, clusters are dealt to folds along their first principal component, and of several
    numbers of clusters that one is taken whose W statistic, the area between the two distributions of
    distances, is smallest.

    Args:
        lat, lon: degrees (point,).
        map_lat, map_lon: degrees (cell,) of the map.
        folds: how many.
        seed: of the clusters.

    Returns:
        The number of each point's fold, and W in km.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 - slow to import

    where = globe(lat, lon)
    wanted = distance_km(map_lat, map_lon, lat, lon)
    best, least = _dealt_along(where, np.arange(len(lat)), folds), np.inf
    counts = np.unique(np.geomspace(min(folds, len(lat)), len(lat), CANDIDATES).astype(np.int64))
    for count in counts:
        if count == len(lat):
            group = np.random.default_rng(seed).permutation(len(lat))
            fold = group % folds
        else:
            group = KMeans(int(count), n_init=1, random_state=seed).fit_predict(where).astype(np.int64)
            fold = _dealt_along(where, group, folds)
        sizes = np.bincount(fold, minlength=folds)
        if sizes.min() == 0 or sizes.max() > LARGEST_FOLD * len(lat):
            continue
        apart = float(wasserstein_distance(distances_between_folds(lat, lon, fold), wanted))
        if apart < least:
            best, least = fold.astype(np.int64), apart
    return best, least


def _dealt_along(where: npt.NDArray[np.floating], group: Ints, folds: int) -> Ints:
    """Assign groups to folds in turn, in the order of their centres along the widest direction: (point,)."""
    numbers, group = np.unique(group, return_inverse=True)
    sizes = np.bincount(group)
    centres = np.stack([np.bincount(group, where[:, i]) / sizes for i in range(3)], axis=1)
    axis = np.linalg.svd(centres - centres.mean(axis=0), full_matrices=False)[2][0]
    rank = np.argsort(np.argsort(centres @ axis, kind="stable"), kind="stable")
    dealt: Ints = (rank[group] % folds).astype(np.int64)
    return dealt if len(numbers) >= folds else rank[group].astype(np.int64)
