"""Windows at stations, for training and evaluation: predictors of every station on every day, and the truth.

Fields of the neighbours and knnidw sources are left-one-out, whatever a store holds of them: no value of a station,
nor of a monitor at the same place, nor of any station held out, is in them.
"""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from pm25map.base.cores import usable_cores
from pm25map.base.days import days_between
from pm25map.base.errors import BadMonitors
from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.monitors import Monitors
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.neighbours import FIELDS, Stations, fields_left_out
from pm25map.predictors.reader import Predictors
from pm25map.predictors.sources.knnidw import KNNIDW_FIELDS, knnidw_left_out

Progress = Callable[[int, int], None]

DAYS_AT_ONCE = 30


@dataclass(frozen=True)
class StationSamples:
    """Predictors and truth at stations.

    Attributes:
        site_ids: (station,).
        lat, lon: degrees (station,).
        days: oldest first, each once.
        features: names of the last axis of values.
        values: float32 (station, day, feature) in the table's units, NaN where missing.
        truth: float32 (station, day), ug m-3, NaN where not measured.
    """

    site_ids: tuple[str, ...]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    days: list[dt.date]
    features: tuple[str, ...]
    values: npt.NDArray[np.float32]
    truth: npt.NDArray[np.float32]

    def targets(
        self, stations: npt.NDArray[np.bool_], start: dt.date, end: dt.date, window_days: int
    ) -> npt.NDArray[np.int64]:
        """List the targets that can be learned or scored: (sample, 2) of station and day numbers.

        A target was measured, lies between start and end, and has its whole window inside the days; every
        day of its window has an estimate from neighbours.
        """
        day = np.array([start <= d <= end for d in self.days])
        day[: window_days - 1] = False
        # The days may have gaps: a window never reaches over one.
        number = np.array(self.days, dtype="datetime64[D]").astype(np.int64)
        day[window_days - 1 :] &= (
            number[window_days - 1 :] - number[: len(day) - window_days + 1] < window_days
        )
        fit = np.isfinite(self.truth) & day[None, :] & stations[:, None]
        for name in {"neighbours_idw9", "knnidw_pm25_val"} & set(self.features):
            known = np.isfinite(self.values[:, :, self.features.index(name)])
            run = np.cumsum(known, axis=1)
            run[:, window_days:] = run[:, window_days:] - run[:, :-window_days]
            fit &= run >= window_days
        return np.argwhere(fit)

    def windows(self, targets: npt.NDArray[np.int64], window_days: int) -> npt.NDArray[np.float32]:
        """Return the windows of targets as `targets` lists them: float32 (target, day, feature), not scaled."""
        back = np.arange(1 - window_days, 1)
        windows: npt.NDArray[np.float32] = self.values[targets[:, :1], targets[:, 1:] + back]
        return windows


def gather_samples(
    monitors: Monitors,
    predictors: Predictors,
    features: tuple[str, ...],
    start: dt.date,
    end: dt.date,
    held_out: npt.NDArray[np.bool_],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> StationSamples:
    """Gather as `station_samples` does, or read from a folder what the same call gathered before.

    Four years of neighbours take a quarter of an hour on two cores; a second run of the same data takes a second.
    """
    if cache is None:
        return station_samples(monitors, predictors, features, start, end, held_out, progress)
    key = sha256_of_bytes(
        f"{monitors.checksum} {predictors.checksum} {features} {start} {end}".encode(), held_out.tobytes()
    )
    path = cache / f"samples-{key[:16]}.npz"
    if not path.is_file():
        samples = station_samples(monitors, predictors, features, start, end, held_out, progress)
        with replacing(path) as part, part.open("wb") as handle:
            np.savez(
                handle,
                site_ids=np.array(samples.site_ids),
                lat=samples.lat,
                lon=samples.lon,
                values=samples.values,
                truth=samples.truth,
            )
        return samples
    with np.load(path, allow_pickle=False) as arrays:
        return StationSamples(
            site_ids=tuple(str(name) for name in arrays["site_ids"]),
            lat=arrays["lat"],
            lon=arrays["lon"],
            days=days_between(start, end),
            features=features,
            values=arrays["values"],
            truth=arrays["truth"],
        )


def station_samples(
    monitors: Monitors,
    predictors: Predictors,
    features: tuple[str, ...],
    start: dt.date,
    end: dt.date,
    held_out: npt.NDArray[np.bool_],
    progress: Progress | None = None,
) -> StationSamples:
    """Gather the predictors of every station in the grid on every day.

    Args:
        monitors: the truth; stations outside of the predictors' grid are left out.
        predictors: a store that holds all features but those of the neighbours and knnidw sources.
        features: names from the table, in order.
        start, end: first and last day, window days included.
        held_out: bool (station,) of `monitors.sites`: stations whose values feed no estimate.
        progress: called with the days done and the days in all.

    Raises:
        BadMonitors: no station lies in the grid.
        BadPredictors, MissingDays: a feature or a day is missing in the store.
    """
    sites = monitors.sites
    row, col = predictors.grid.cells_at(sites["longitude"].to_numpy(), sites["latitude"].to_numpy())
    inside = row >= 0
    inside[inside] = predictors.grid.land[row[inside], col[inside]]
    if not inside.any():
        raise BadMonitors(
            f"no monitor lies on land of grid {predictors.grid.name}: check coordinates and grid"
        )
    days = days_between(start, end)
    values = np.empty((int(inside.sum()), len(days), len(features)), dtype=np.float32)
    stored = tuple(name for name in features if name not in (*FIELDS, *KNNIDW_FIELDS))
    if stored:
        at = [features.index(name) for name in stored]
        values[:, :, at] = predictors.at(stored, days, row[inside], col[inside])
    if set(KNNIDW_FIELDS) & set(features):
        around = knnidw_left_out(monitors, days, held_out)
        for i, name in enumerate(features):
            if name in KNNIDW_FIELDS:
                values[:, :, i] = around[name][:, inside].T
    if set(FIELDS) & set(features):
        elevation = predictors.at(("elevation",), days[:1], row[inside], col[inside])[:, 0, 0]
        stations = Stations(
            sites["latitude"].to_numpy()[inside],
            sites["longitude"].to_numpy()[inside],
            elevation.astype(float),
        )
        fields = _fields(monitors, days, inside, held_out[inside], stations, progress)
        for i, name in enumerate(features):
            if name in FIELDS:
                values[:, :, i] = fields[name].T
    return StationSamples(
        site_ids=tuple(sites["site_id"][inside]),
        lat=sites["latitude"].to_numpy()[inside],
        lon=sites["longitude"].to_numpy()[inside],
        days=days,
        features=features,
        values=values,
        truth=monitors.matrix(days)[:, inside].T.copy(),
    )


def _fields(
    monitors: Monitors,
    days: list[dt.date],
    inside: npt.NDArray[np.bool_],
    held_out: npt.NDArray[np.bool_],
    stations: Stations,
    progress: Progress | None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Estimate the neighbours' fields at the stations, (day, station) by name, a month at a time."""
    memory = days_between(days[0] - dt.timedelta(days=MEMORY_DAYS), days[-1])
    known = monitors.matrix(memory)[:, inside]
    codes = monitors.codes(memory)[:, inside]
    known[:, held_out] = np.nan
    spans = [
        slice(i, min(i + DAYS_AT_ONCE, len(days)) + MEMORY_DAYS) for i in range(0, len(days), DAYS_AT_ONCE)
    ]
    # A month a thread and one BLAS thread each: the systems of single days are too small to share.
    with threadpool_limits(1), ThreadPoolExecutor(usable_cores()) as pool:
        parts = []
        for span, part in zip(
            spans,
            pool.map(lambda span: fields_left_out(known[span], codes[span], stations), spans),
            strict=True,
        ):
            parts.append(part)
            if progress is not None:
                progress(span.stop - MEMORY_DAYS, len(days))
    return {name: np.concatenate([part[name] for part in parts]) for name in FIELDS}
