"""Input of an audit: a pipeline that turns a world of stations into the rows of one fold.

A pipeline is any callable that, given stations with their truth and predictors, says what a network would be given:
rows to learn from and rows to judge by, each with its window, its place and its label. An audit changes the world and
watches what moves in the rows; it does not depend on how they are computed.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.base.files import sha256_of_bytes

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AuditWorld:
    """Stations and their data before any split.

    Attributes:
        site_ids: (station,), sorted.
        lat, lon: degrees (station,).
        days: oldest first, without a hole; the first of them only feed the windows of the others.
        truth: float32 (station, day), ug m-3, NaN where not measured.
        codes: EPA parameter int32 (station, day), 0 where not measured.
        predictors: float32 (station, day) by name: all features but those computed from the monitors.
    """

    site_ids: tuple[str, ...]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    days: list[dt.date]
    truth: Floats
    codes: npt.NDArray[np.int32]
    predictors: dict[str, Floats]

    def altered(self, stations: Bools, days: Bools, *, predictors: bool) -> "AuditWorld":
        """Change the truth, and the predictors if requested, of some stations on some days beyond any mistake."""
        where = stations[:, None] & days[None, :]
        truth = np.where(where, 60 + 2 * self.truth, self.truth).astype(np.float32)
        changed = self.predictors
        if predictors:
            changed = {
                name: np.where(where, 3 * field + 10 * np.nanstd(field) + 1, field).astype(np.float32)
                for name, field in self.predictors.items()
            }
        return dataclasses.replace(self, truth=truth, predictors=changed)

    def later(self, days: int) -> "AuditWorld":
        """Let everything happen so many days later."""
        return dataclasses.replace(self, days=[day + dt.timedelta(days=days) for day in self.days])

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of all fields."""
        numbers = (self.lat, self.lon, self.truth, self.codes, *self.predictors.values())
        words = f"{self.site_ids} {self.days[0]} {len(self.days)} {tuple(self.predictors)}"
        return sha256_of_bytes(words.encode(), *(np.ascontiguousarray(a).tobytes() for a in numbers))


@dataclass(frozen=True, eq=False)
class FoldRows:
    """The rows of one fold, before scaling; a row is a station and day that is learned from or judged.

    Attributes:
        site_ids: str (row,), as the fold knows the station.
        lat, lon: degrees (row,).
        days: datetime64[D] (row,), the estimated day.
        is_test: bool (row,): judged; the others are learned from.
        windows: float32 (row, day, input), oldest day first, NaN where missing.
        inputs: names of the last axis.
        place: float32 (row, d), or None for a network without a place.
        labels: float32 (row,), ug m-3.
        scaler: float64 (k,): every number that was fitted to scale inputs and labels.
    """

    site_ids: npt.NDArray[np.str_]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    days: npt.NDArray[np.datetime64]
    is_test: Bools
    windows: Floats
    inputs: tuple[str, ...]
    place: Floats | None
    labels: Floats
    scaler: npt.NDArray[np.float64]

    def rows(self, chosen: npt.NDArray[np.integer]) -> "FoldRows":
        """Return some rows, in this order; a row may come twice."""
        return dataclasses.replace(
            self,
            site_ids=self.site_ids[chosen],
            lat=self.lat[chosen],
            lon=self.lon[chosen],
            days=self.days[chosen],
            is_test=self.is_test[chosen],
            windows=self.windows[chosen],
            place=None if self.place is None else self.place[chosen],
            labels=self.labels[chosen],
        )


Pipeline = Callable[[AuditWorld], FoldRows]
"""Computes the rows of one fold; the same world gives the same rows, in the same order."""


def cached(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline that runs once for each world: ten plantings use the same few worlds."""
    by_world: dict[str, FoldRows] = {}

    def run(world: AuditWorld) -> FoldRows:
        key = world.checksum
        if key not in by_world:
            by_world[key] = pipeline(world)
        return by_world[key]

    return run
