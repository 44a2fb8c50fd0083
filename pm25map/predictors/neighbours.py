"""Fields of the PM2.5 of the monitors around a place: distances, inverse-distance means and kriging.

Two functions with the same numbers behind them:

- `map_fields.fields_at` for places without a monitor (the cells of a map): every station counts.
- `fields_left_out` for the stations themselves (training, evaluation): a station's own values, and those of
  any monitor at the same place, are never used for its own fields.

| field | unit | what |
|---|---|---|
| neighbours_idw9 | ug m-3 | mean of the 9 nearest stations with a value that day, weighted by distance^-2 |
| neighbours_kriging | ug m-3 | kriging of square roots, squared again; little noise: for days of smoke |
| neighbours_kriging_raw | ug m-3 | the same weights on the values: higher where neighbours disagree |
| neighbours_calm | ug m-3 | kriging of log(1 + value); local differences count as local: for ordinary days |
| neighbours_sd | 1 | kriging standard deviation, relative to the sill: 0.2 at a monitor, about 1 far from all |
| neighbours_spread | 1 | standard deviation of log(1 + value) among the 9 nearest |
| neighbours_distance | km | distance to the nearest station with a value that day |

The covariances were chosen by leave-one-station-out error on 2019-2020; docs/model.md has the figures.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from pm25map.grid.sphere import on_sphere
from pm25map.predictors.kriging import (
    MEMORY_DAYS,
    SPACES,
    Covariance,
    Floats,
    Ints,
    krige_day,
    left_out,
)

FIELDS_VERSION = 2
"""Raised when the fields of the same monitors change: days computed by another version are computed again."""

EARTH_RADIUS_KM = 6371.0088
SAME_PLACE_KM = 0.1
"""Monitors closer than this are one place: neither is a neighbour of the other in training."""
NEAREST = 9
"""Neighbours of the inverse-distance mean, as in the reference (k = 9); power 2 by cross-validation."""
SEARCHED = 64
"""Nearest stations looked through for nine with a value that day."""

SMOKE = Covariance(ranges_km=(300.0, 2400.0), shares=(0.9, 0.1), noise=0.03, noise_88502=0.06)
"""Best on days above 35 ug m-3: values are trusted, and plumes are wide."""
CALM = Covariance(ranges_km=(30.0, 600.0), shares=(0.15, 0.85), noise=0.06, noise_88502=0.1)
"""Best on ordinary days: monitors differ by noise and by what is near them."""

KRIGED: tuple[tuple[Covariance, dict[str, str]], ...] = (
    (SMOKE, {"neighbours_kriging": "sqrt", "neighbours_kriging_raw": "raw"}),
    (CALM, {"neighbours_calm": "log"}),
)
"""Every kriged field, under its covariance, with the space it is weighed in."""

FIELDS = (
    "neighbours_idw9",
    "neighbours_kriging",
    "neighbours_kriging_raw",
    "neighbours_calm",
    "neighbours_sd",
    "neighbours_spread",
    "neighbours_distance",
)

_KRIGED_NAMES = ("neighbours_kriging", "neighbours_kriging_raw", "neighbours_calm", "neighbours_sd")


@dataclass(frozen=True)
class Stations:
    """Where the monitors are.

    Attributes:
        lat, lon: degrees (station,).
        elevation: m (station,), of the cell that holds the station.
    """

    lat: Floats
    lon: Floats
    elevation: Floats

    def places(self) -> Ints:
        """Number the places (station,): monitors within SAME_PLACE_KM of each other share a number."""
        number = np.arange(len(self.lat))
        for a, b in sorted(cKDTree(globe(self.lat, self.lon)).query_pairs(SAME_PLACE_KM)):
            number[number == number[b]] = number[a]
        return number


def globe(lat: Floats, lon: Floats) -> Floats:
    """Positions (point, 3) on the globe, km. Chords: 0.1 % short of the arc at 500 km."""
    return EARTH_RADIUS_KM * on_sphere(lat, lon)


def positions(lat: Floats, lon: Floats, elevation: Floats, covariance: Covariance) -> Floats:
    """Positions (point, 4) in km: three on the globe, one for height."""
    up = np.maximum(elevation, 0.0) / 1000.0 * covariance.km_per_km_up
    return np.column_stack([globe(lat, lon), up])


def as_fields(
    mean: Floats, variance: Floats, covariance: Covariance, names: dict[str, str]
) -> dict[str, Floats]:
    """Turn kriged means (point, space) and variances (point,) into fields in their units."""
    back = {
        name: SPACES[space][1](np.maximum(mean[:, i], 0.0)) for i, (name, space) in enumerate(names.items())
    }
    if covariance is SMOKE:
        back["neighbours_sd"] = np.sqrt(np.maximum(variance, 0.0))
    return back


def no_fields(count: int) -> dict[str, Floats]:
    """Return the kriging fields of a day without a value: NaN."""
    return dict.fromkeys(_KRIGED_NAMES, np.full(count, np.nan))


def nearest_fields(values: Floats, index: Ints, apart_km: Floats) -> dict[str, Floats]:
    """Plain fields of one day from the nearest stations (point, searched); own places at infinity."""
    near = np.where(np.isfinite(apart_km), values[index], np.nan)
    have = np.isfinite(near)
    first = have & (np.cumsum(have, axis=1) <= NEAREST)
    apart = np.maximum(np.where(first, apart_km, np.inf), SAME_PLACE_KM)
    known = np.where(first, near, 0.0).astype(np.float64)
    weight = first / apart**2
    total = weight.sum(1)
    logs = np.log1p(np.maximum(known, 0.0))
    even = first / np.maximum(first.sum(1, keepdims=True), 1)
    centre = (even * logs).sum(1)
    spread = np.sqrt(np.maximum((even * logs**2).sum(1) - centre**2, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        idw = np.where(total > 0, (weight * known).sum(1) / total, np.nan)
    nothing = ~first.any(axis=1)
    return {
        "neighbours_idw9": idw,
        "neighbours_spread": np.where(nothing, np.nan, spread),
        "neighbours_distance": np.where(nothing, np.nan, np.where(first, apart_km, np.inf).min(axis=1)),
    }


def search(stations: Stations, lat: Floats, lon: Floats) -> tuple[Ints, Floats]:
    """Find the nearest stations: numbers and distances in km (point, searched), nearest first."""
    apart, index = cKDTree(globe(stations.lat, stations.lon)).query(
        globe(lat, lon), k=min(SEARCHED, len(stations.lat)), workers=-1
    )
    return index.reshape(len(lat), -1), apart.reshape(len(lat), -1)


def _collect(days: list[dict[str, Floats]]) -> dict[str, npt.NDArray[np.float32]]:
    return {name: np.stack([fields[name] for fields in days]).astype(np.float32) for name in FIELDS}


def fields_left_out(values: Floats, codes: Ints, stations: Stations) -> dict[str, npt.NDArray[np.float32]]:
    """Estimate every field at the stations themselves, each without the monitors of its own place.

    Args:
        values: ug m-3 (day, station), oldest first, NaN missing. The first MEMORY_DAYS rows only feed the others.
        codes: EPA parameter (day, station): 88101, 88502, 0 for none.
        stations: where the monitors are.

    Returns:
        One float32 (day - MEMORY_DAYS, station) a field, NaN on days without a value. A station without values
        gets the values of `fields_at` there, so held-out stations need no other function.
    """
    places = stations.places()
    index, apart_km = search(stations, stations.lat, stations.lon)
    apart_km = np.where(places[index] == places[:, None], np.inf, apart_km)
    out = []
    for row in range(MEMORY_DAYS, len(values)):
        fields = nearest_fields(values[row], index, apart_km) | no_fields(len(places))
        for covariance, names in KRIGED if np.isfinite(values[row]).any() else ():
            space = positions(stations.lat, stations.lon, stations.elevation, covariance)
            span = slice(row - MEMORY_DAYS, row + 1)
            day = krige_day(values[span], codes[span], space, covariance, tuple(names.values()), every=True)
            fields |= as_fields(*left_out(day, places), covariance, names)
        out.append(fields)
    return _collect(out)
