"""The pipeline of `pm25map train`, as an audit takes it: the same functions, on the stations of a world."""

import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.files import sha256_of_bytes
from pm25map.laboratory.audit.rows import AuditWorld, FoldRows, Pipeline
from pm25map.laboratory.audit.worlds import WINDOW_DAYS
from pm25map.model.card import Geolocation, NetworkShape
from pm25map.model.config import TrainConfig
from pm25map.model.places import place_vectors
from pm25map.model.splits import hold_out_stations
from pm25map.monitors import Monitors
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.windows.samples import StationSamples, station_samples
from pm25map.windows.scaler import Scaler

HELD_OUT = 0.3
"""Of the places: more than in training, so that an audit has many to look at."""


def train_pipeline(features: tuple[str, ...], geolocation: Geolocation, seed: int = 0) -> Pipeline:
    """Build the pipeline of `pm25map train` with some features and a geolocation.

    Samples, held-out stations and targets come from the functions that training calls; scaler and target scale from
    training itself, which here ends after one step of a tiny network.
    """

    def pipeline(world: AuditWorld) -> FoldRows:
        from pm25map.model.train import train, training_set  # noqa: PLC0415 - torch is slow to import

        held_out = hold_out_stations(world.lat, world.lon, HELD_OUT, seed)
        samples = gather(world, features, held_out)
        place, _ = place_vectors(geolocation, samples.lat, samples.lon)
        config = TrainConfig(
            name="audit",
            description="One step, for what is fitted before it.",
            features=features,
            geolocation=geolocation,
            network=NetworkShape(lstm=(2, 2, 2), attention=2, dense=2, head="plain"),
            window_days=WINDOW_DAYS,
            start=samples.days[WINDOW_DAYS - 1],
            end=samples.days[-1],
            holdout_fraction=HELD_OUT,
            holdout_seed=seed,
            batch=1,
            epochs=1,
            targets_an_epoch=1,
        )
        with tempfile.TemporaryDirectory() as folder:
            trained = train(training_set(samples, place, config, held_out), config, Path(folder))
        every = np.ones(len(held_out), dtype=np.bool_)
        targets = samples.targets(every, config.start, config.end, WINDOW_DAYS)
        return rows_of(samples, place, targets, held_out[targets[:, 0]], trained.scaler, trained.target_scale)

    return pipeline


def gather(world: AuditWorld, features: tuple[str, ...], held_out: npt.NDArray[np.bool_]) -> StationSamples:
    """Gather samples as training does, from the world in place of files."""
    return station_samples(
        monitors_of(world),
        WorldStore(world),  # type: ignore[arg-type]  # has the part of a store that samples read
        features,
        world.days[MEMORY_DAYS],
        world.days[-1],
        held_out,
    )


def monitors_of(world: AuditWorld) -> Monitors:
    """Write the world's truth as the table of monitors."""
    site, day = np.nonzero(np.isfinite(world.truth))
    names = np.array(world.site_ids)
    return Monitors(
        sites=pd.DataFrame({"site_id": names, "latitude": world.lat, "longitude": world.lon}),
        observations=pd.DataFrame(
            {
                "site_id": names[site],
                "date": np.array(world.days, dtype="datetime64[ns]")[day],
                "pm25_ugm3": world.truth[site, day],
                "parameter_code": world.codes[site, day],
            }
        ),
    )


class WorldStore:
    """A store of predictors that holds nothing but the stations of a world: one row of cells, one a station."""

    name = "the stations of an audit"
    path = Path("the stations of an audit")

    def __init__(self, world: AuditWorld) -> None:
        self._world = world
        self.land = np.ones((1, len(world.site_ids)), dtype=np.bool_)

    @property
    def grid(self) -> "WorldStore":
        """Return the grid, which is the store itself."""
        return self

    @property
    def checksum(self) -> str:
        """SHA-256 of the predictors alone, as a store has it."""
        fields = self._world.predictors.values()
        return sha256_of_bytes(*(np.ascontiguousarray(field).tobytes() for field in fields))

    def lonlat(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the cells' centres, degrees: longitude, latitude."""
        return self._world.lon, self._world.lat

    def cells_at(
        self, lon: npt.NDArray[np.floating], lat: npt.NDArray[np.floating]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Find the cell of each station: they are requested in the world's order."""
        if not (np.array_equal(lon, self._world.lon) and np.array_equal(lat, self._world.lat)):
            raise ValueError("an audit was given other places than its stations")
        return np.zeros(len(lon), dtype=np.int64), np.arange(len(lon))

    def at(
        self,
        names: Sequence[str],
        days: list[dt.date],
        row: npt.NDArray[np.integer],
        col: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.float32]:
        """Return predictors as float32 (station, day, feature)."""
        first = (days[0] - self._world.days[0]).days
        span = slice(first, first + len(days))
        return np.stack([self._world.predictors[name][col, span] for name in names], axis=2)


def rows_of(
    samples: StationSamples,
    place: npt.NDArray[np.float32] | None,
    targets: npt.NDArray[np.int64],
    is_test: npt.NDArray[np.bool_],
    scaler: Scaler,
    target_scale: float,
) -> FoldRows:
    """Turn targets (row, 2) of station and day numbers into the rows of a fold."""
    station, day = targets[:, 0], targets[:, 1]
    back = np.arange(1 - WINDOW_DAYS, 1)
    numbers = [number for scale in scaler.scales.values() for number in (scale.center, scale.scale)]
    return FoldRows(
        site_ids=np.array(samples.site_ids)[station],
        lat=samples.lat[station],
        lon=samples.lon[station],
        days=np.array(samples.days, dtype="datetime64[D]")[day],
        is_test=is_test,
        windows=samples.values[station[:, None], day[:, None] + back],
        inputs=samples.features,
        place=None if place is None else place[station],
        labels=samples.truth[station, day],
        scaler=np.array([*numbers, target_scale]),
    )
