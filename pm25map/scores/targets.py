"""Targets for calibration: what a model says at stations, what was measured, and all that intervals depend on."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from pm25map.grid import regions
from pm25map.model.runtime import Session
from pm25map.model.widths import FIELDS, basis, day_of_year
from pm25map.scores.evaluate import DISTANCE_CLASSES_KM, estimates
from pm25map.windows.samples import Progress, StationSamples

REGIONS = (
    "northeast", "southeast", "upper-midwest", "ohio-valley", "south", "northern-rockies", "southwest",
    "northwest", "west",
)  # fmt: skip
"""NOAA NCEI's nine climate regions: together they hold every state once."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets and what is known of them; every array runs over the targets.

    Attributes:
        station, day: numbers in the samples.
        truth: as measured, ug m-3.
        pm25: the model's estimate, ug m-3.
        distance: to the nearest station that speaks for this one on that day, km.
        terms: of the widths (target, term).
    """

    station: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    truth: npt.NDArray[np.float64]
    pm25: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float64]
    terms: npt.NDArray[np.float64]

    def select(self, chosen: npt.NDArray[np.bool_]) -> "Targets":
        """Keep some targets."""
        return Targets(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    @property
    def residual(self) -> npt.NDArray[np.float64]:
        """Give sqrt(truth) - sqrt(estimate); values below zero count as zero."""
        found: npt.NDArray[np.float64] = np.sqrt(np.maximum(self.truth, 0)) - np.sqrt(
            np.maximum(self.pm25, 0)
        )
        return found


def estimate_targets(
    session: Session,
    samples: StationSamples,
    place: npt.NDArray[np.float32] | None,
    chosen: npt.NDArray[np.int64],
    progress: Progress | None = None,
) -> Targets:
    """Predict some targets.

    Args:
        session: the model; it reads FIELDS.
        samples: with the model's features, left-one-out.
        place: (station, d), or None.
        chosen: (target, 2) of station and day numbers.
        progress: called with the targets done and in all.
    """
    station, day = chosen[:, 0], chosen[:, 1]
    pm25 = estimates(session, samples, place, chosen, progress).astype(np.float64)
    known = {name: samples.values[station, day, samples.features.index(name)] for name in FIELDS}
    season = day_of_year(samples.days)[day]
    terms = basis(pm25, known, season, samples.lon[station], samples.lat[station])
    return Targets(
        station,
        day,
        samples.truth[station, day].astype(np.float64),
        pm25,
        known["neighbours_distance"].astype(np.float64),
        terms,
    )


def draw(targets: npt.NDArray[np.int64], most_a_station: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw at most so many targets of every station at random, in order: (target, 2)."""
    order = np.random.default_rng(seed).permutation(len(targets))
    station = targets[order, 0]
    by_station = np.argsort(station, kind="stable")
    first = np.searchsorted(station[by_station], station[by_station])
    rank = np.arange(len(targets)) - first
    kept: npt.NDArray[np.int64] = targets[np.sort(order[by_station[rank < most_a_station]])]
    return kept


def region_of(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Number the climate region of places, as in REGIONS; the nearest where a place lies off the land."""
    import geopandas  # noqa: PLC0415 - slow to import

    outlines = geopandas.GeoSeries([regions.region(name) for name in REGIONS], crs=4326).to_crs(5070)
    points = geopandas.GeoSeries(geopandas.points_from_xy(lon, lat), crs=4326).to_crs(5070)
    away = np.stack([points.distance(outline).to_numpy() for outline in outlines], axis=1)
    nearest: npt.NDArray[np.int64] = away.argmin(axis=1)
    return nearest


def distance_names() -> tuple[str, ...]:
    """Name the classes of distance to the nearest station."""
    return tuple(
        f"{low}-{high} km" if np.isfinite(high) else f"over {low} km" for low, high in DISTANCE_CLASSES_KM
    )


def distance_class(distance: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Number the class of distances, km, as `distance_names` names them."""
    lows = [low for low, _ in DISTANCE_CLASSES_KM]
    found: npt.NDArray[np.int64] = np.digitize(distance, lows[1:])
    return found
