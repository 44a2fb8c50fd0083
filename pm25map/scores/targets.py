"""Targets for calibration: estimates at stations, observations, and everything that intervals depend on."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from pm25map.model.runtime import Session
from pm25map.model.widths import FIELDS, basis, day_of_year
from pm25map.scores.evaluate import estimates
from pm25map.scores.held_out import DISTANCE
from pm25map.windows.samples import Progress, StationSamples


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets with their estimates and observations; every array runs over the targets.

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
        """Return sqrt(truth) - sqrt(estimate); values below zero count as zero."""
        residual: npt.NDArray[np.float64] = np.sqrt(np.maximum(self.truth, 0)) - np.sqrt(
            np.maximum(self.pm25, 0)
        )
        return residual


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
    pm25 = estimates(session, samples, chosen, progress, place=place).astype(np.float64)
    return Targets(
        station,
        day,
        samples.truth[station, day].astype(np.float64),
        pm25,
        samples.values[station, day, samples.features.index(DISTANCE)].astype(np.float64),
        interval_terms(samples, chosen, pm25),
    )


def interval_terms(
    samples: StationSamples, targets: npt.NDArray[np.int64], pm25: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Compute the terms that the widths of intervals depend on: (target, term).

    Args:
        samples: with FIELDS.
        targets: (target, 2) of station and day numbers.
        pm25: estimates of the targets, ug m-3.
    """
    station, day = targets[:, 0], targets[:, 1]
    known = {name: samples.values[station, day, samples.features.index(name)] for name in FIELDS}
    season = day_of_year(samples.days)[day]
    return basis(pm25, known, season, samples.lon[station], samples.lat[station])


def draw(targets: npt.NDArray[np.int64], most_a_station: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw at most so many targets of every station at random, in order: (target, 2)."""
    order = np.random.default_rng(seed).permutation(len(targets))
    station = targets[order, 0]
    by_station = np.argsort(station, kind="stable")
    first = np.searchsorted(station[by_station], station[by_station])
    rank = np.arange(len(targets)) - first
    kept: npt.NDArray[np.int64] = targets[np.sort(order[by_station[rank < most_a_station]])]
    return kept
