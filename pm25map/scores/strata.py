"""The strata that are scored separately: by distance to the monitors, level, season, region and smoke."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.aqi import CATEGORIES, class_index
from pm25map.grid import regions

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
StratumKey = tuple[str, str]
"""A kind of stratum and its name, such as ("season", "winter")."""

ALL = "all"
LEVEL = "level"
CONCENTRATIONS = ("0-9", "9-35.4", "35.4-55.4", "55.4-125.4", "above 125.4")
"""ug m-3, as observed, by the classes of the Air Quality Index; a study merges the two highest classes."""
SEASONS = ("winter", "spring", "summer", "autumn")
"""December to February, and so on."""
DISTANCE_CLASSES_KM = ((0, 10), (10, 50), (50, 100), (100, np.inf))
"""To the nearest monitor that feeds the estimate."""
STUDY_DISTANCES_KM = (*DISTANCE_CLASSES_KM[:-1], (DISTANCE_CLASSES_KM[-1][0], 200), (200, np.inf))
"""To the nearest training station: the last class is cut in two for splits by region."""
SMOKE = ("smoke", "no smoke", "smoke not known")
REGIONS = (
    "northeast", "southeast", "upper-midwest", "ohio-valley", "south", "northern-rockies", "southwest",
    "northwest", "west",
)  # fmt: skip
"""NOAA NCEI's nine climate regions: together they hold every state once."""


def region_of(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> Ints:
    """Return the number of the climate region of places, as in REGIONS; the nearest where a place lies off the land."""
    import geopandas  # noqa: PLC0415 - slow to import

    outlines = geopandas.GeoSeries([regions.region(name) for name in REGIONS], crs=4326).to_crs(5070)
    points = geopandas.GeoSeries(geopandas.points_from_xy(lon, lat), crs=4326).to_crs(5070)
    away = np.stack([points.distance(outline).to_numpy() for outline in outlines], axis=1)
    nearest: Ints = away.argmin(axis=1)
    return nearest


def distance_names(classes: tuple[tuple[float, float], ...] = DISTANCE_CLASSES_KM) -> tuple[str, ...]:
    """Return the names of classes of distance."""
    return tuple(f"{low}-{high} km" if np.isfinite(high) else f"over {low} km" for low, high in classes)


def distance_words() -> tuple[str, ...]:
    """Return the names of the classes of distance of a study."""
    return distance_names(STUDY_DISTANCES_KM)


def distance_class(
    distance_km: npt.NDArray[np.floating], classes: tuple[tuple[float, float], ...] = DISTANCE_CLASSES_KM
) -> Ints:
    """Return the number of the class of distances, in the order of `distance_names`; -1 where unknown."""
    number = np.digitize(np.nan_to_num(distance_km), [low for low, _ in classes[1:]])
    return np.where(np.isfinite(distance_km), number, -1)


def season_of(month: npt.NDArray[Any]) -> Ints:
    """Return the number of the season of months (1 to 12), as in SEASONS."""
    season: Ints = np.asarray(month, dtype=np.int64) % 12 // 3
    return season


def parts_of(
    truth: npt.NDArray[np.floating],
    distance_km: npt.NDArray[np.floating],
    month: npt.NDArray[Any],
    region: npt.NDArray[Any],
) -> dict[StratumKey, Bools]:
    """Divide match-ups into strata as `validate`, `evaluate` and `compare` print them.

    Args:
        truth: as observed, ug m-3 (match-up,).
        distance_km: to the nearest monitor that feeds the estimate; NaN where it is not known.
        month: 1 to 12.
        region: number in REGIONS.

    Returns:
        bool (match-up,) by kind and name: all, distance, level (class of the observation), season, region.
    """
    far, level = distance_class(distance_km), class_index(np.maximum(truth, 0))
    season = season_of(month)
    parts: dict[StratumKey, Bools] = {(ALL, ALL): np.ones(len(truth), dtype=np.bool_)}
    parts |= {("distance", f"nearest monitor {name}"): far == i for i, name in enumerate(distance_names())}
    parts |= {(LEVEL, f"observed {c.name}"): level == i for i, c in enumerate(CATEGORIES)}
    parts |= {("season", name): season == i for i, name in enumerate(SEASONS)}
    parts |= {("region", name): region == i for i, name in enumerate(REGIONS)}
    return parts


def strata(frame: pd.DataFrame, stations: pd.DataFrame) -> dict[StratumKey, Bools]:
    """Divide the predictions of a study into strata.

    Args:
        frame: as `Results.predictions` gives it.
        stations: of the results.

    Returns:
        bool (prediction,) by kind and name, such as ("season", "winter"); strata without a prediction are left out.
    """
    truth = np.maximum(frame["truth"].to_numpy(dtype=np.float64), 0.0)
    concentration = np.minimum(class_index(truth), len(CONCENTRATIONS) - 1)
    season = season_of(frame["date"].dt.month.to_numpy())
    names, number = np.unique(stations["region"].to_numpy(dtype=str), return_inverse=True)
    region = number[frame["site"]]
    urban = stations["urban"].to_numpy(dtype=bool)[frame["site"]]
    distance = distance_class(frame["distance_km"].to_numpy(dtype=np.float64), STUDY_DISTANCES_KM)
    # HMS is drawn for some years only: a column of nulls, or none, says that smoke was not analysed.
    smoke = np.full(len(frame), 2)
    if "smoke" in frame:
        smoke = frame["smoke"].map({True: 0, False: 1}).fillna(2).to_numpy(dtype=np.int64)
    parts: dict[StratumKey, Bools] = {(ALL, ALL): np.ones(len(frame), dtype=np.bool_)}
    parts |= {("concentration", name): concentration == i for i, name in enumerate(CONCENTRATIONS)}
    parts |= {("season", name): season == i for i, name in enumerate(SEASONS)}
    parts |= {("region", str(name)): region == i for i, name in enumerate(names)}
    parts |= {("smoke", name): smoke == i for i, name in enumerate(SMOKE)}
    parts |= {("setting", "urban"): urban, ("setting", "rural"): ~urban}
    parts |= {("distance", name): distance == i for i, name in enumerate(distance_words())}
    return {key: mask for key, mask in parts.items() if mask.any()}
