"""The parts of the predictions that are scored apart: by concentration, season, region, smoke, distance."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.aqi import class_index
from pm25map.scores.evaluate import DISTANCE_CLASSES_KM

Mask = npt.NDArray[np.bool_]

ALL = "all"
CONCENTRATIONS = ("0-9", "9-35.4", "35.4-55.4", "55.4-125.4", "above 125.4")
"""ug m-3, as observed, by the classes of the Air Quality Index; the two highest classes are one."""
SEASONS = ("winter", "spring", "summer", "autumn")
"""December to February, and so on."""
DISTANCES_KM = (*DISTANCE_CLASSES_KM[:-1], (DISTANCE_CLASSES_KM[-1][0], 200), (200, np.inf))
"""To the nearest training station: as a model's scores have them, the last class cut in two for splits by region."""
SMOKE = ("smoke", "no smoke", "smoke not known")


def distance_words() -> tuple[str, ...]:
    """Name the classes of distance."""
    return tuple(f"{low}-{high} km" if np.isfinite(high) else f"over {low} km" for low, high in DISTANCES_KM)


def distance_class(distance_km: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Number the class of distances; -1 where the distance is not known."""
    number = np.digitize(np.nan_to_num(distance_km), [low for low, _ in DISTANCES_KM[1:]])
    return np.where(np.isfinite(distance_km), number, -1)


def strata(frame: pd.DataFrame, stations: pd.DataFrame) -> dict[tuple[str, str], Mask]:
    """Mark the predictions of each stratum.

    Args:
        frame: as `Results.predictions` gives it.
        stations: of the results.

    Returns:
        bool (prediction,) by kind and name, such as ("season", "winter"); strata without a prediction are left out.
    """
    truth = np.maximum(frame["truth"].to_numpy(dtype=np.float64), 0.0)
    concentration = np.minimum(class_index(truth), len(CONCENTRATIONS) - 1)
    season = frame["date"].dt.month.to_numpy() % 12 // 3
    regions, number = np.unique(stations["region"].to_numpy(dtype=str), return_inverse=True)
    region = number[frame["site"]]
    urban = stations["urban"].to_numpy(dtype=bool)[frame["site"]]
    distance = distance_class(frame["distance_km"].to_numpy(dtype=np.float64))
    # HMS is drawn for some years only: a column of nulls, or none, says that nobody looked.
    smoke = np.full(len(frame), 2)
    if "smoke" in frame:
        smoke = frame["smoke"].map({True: 0, False: 1}).fillna(2).to_numpy(dtype=np.int64)
    parts: dict[tuple[str, str], Mask] = {(ALL, ALL): np.ones(len(frame), dtype=np.bool_)}
    parts |= {("concentration", name): concentration == i for i, name in enumerate(CONCENTRATIONS)}
    parts |= {("season", name): season == i for i, name in enumerate(SEASONS)}
    parts |= {("region", str(name)): region == i for i, name in enumerate(regions)}
    parts |= {("smoke", name): smoke == i for i, name in enumerate(SMOKE)}
    parts |= {("setting", "urban"): urban, ("setting", "rural"): ~urban}
    parts |= {("distance", name): distance == i for i, name in enumerate(distance_words())}
    return {key: mask for key, mask in parts.items() if mask.any()}
