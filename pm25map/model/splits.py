"""Splits of stations into those that train and those that judge: pure functions of coordinates and a seed."""

import numpy as np
import numpy.typing as npt

from pm25map.predictors.neighbours import Stations


def hold_out_stations(
    lat: npt.NDArray[np.floating], lon: npt.NDArray[np.floating], fraction: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Choose whole places at random; monitors within 100 m of each other stay together.

    Args:
        lat, lon: degrees (station,).
        fraction: of the places to hold out, 0 to 1.
        seed: of the draw; the same seed and stations give the same choice.

    Returns:
        bool (station,), True where held out.
    """
    place = Stations(lat, lon, np.zeros(len(lat))).places()
    places = np.unique(place)
    count = round(fraction * len(places))
    chosen = np.random.default_rng(seed).choice(places, size=count, replace=False)
    return np.isin(place, chosen)


def dealt(count: int, folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Assign items to folds at random, evenly: (count,)."""
    return rng.permutation(np.arange(count) % folds).astype(np.int64)


def station_folds(
    lat: npt.NDArray[np.floating], lon: npt.NDArray[np.floating], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Assign whole places to folds; monitors within 100 m of each other stay together.

    Args:
        lat, lon: degrees (station,).
        folds: how many.
        seed: of the draw.

    Returns:
        Fold of each station (station,), from 0.
    """
    _, place = np.unique(Stations(lat, lon, np.zeros(len(lat))).places(), return_inverse=True)
    return dealt(int(place.max()) + 1, folds, np.random.default_rng(seed))[place]
