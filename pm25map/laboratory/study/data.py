"""The data of a study: stations and days, and the neighbours' fields of every fold.

A fold's fields come from the stations that it trains on, never from the one they are for, and are kept in a
folder: all variants of a fold read the same.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from pm25map.base.cores import usable_cores
from pm25map.base.errors import BadMonitors, BadStudy
from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.laboratory.study.config import StudyConfig
from pm25map.laboratory.study.splits import Fold, World
from pm25map.model.splits import hold_out_stations
from pm25map.monitors import Monitors
from pm25map.predictors.folds import fields_of_folds
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.neighbours import FIELDS, Stations
from pm25map.predictors.reader import Predictors
from pm25map.predictors.sources.knnidw import KNNIDW_FIELDS
from pm25map.windows.samples import Progress, StationSamples, station_samples

Bools = npt.NDArray[np.bool_]
Targets = npt.NDArray[np.int64]

DAYS_AT_ONCE = 8
"""Days that one thread takes at once: the fields of a few days are small, and a run shows how far it is."""
SHIPPED_HOLDOUT = (0.1, 2020)
"""Fraction and seed of the stations held out of models/conus-open."""
MAP_POINTS = 20_000
"""Cells that stand for the map in nearest-neighbour distance matching."""


@dataclass(frozen=True, eq=False)
class StudyData:
    """Stations and days of a study.

    Attributes:
        samples: every day of every block, its window and the MEMORY_DAYS before it included; the features of the
            neighbours source are NaN: they are those of a fold.
        codes: EPA parameter int32 (day, station), 0 where nothing was measured.
        blocks: the days of each block, as slices.
        is_target: bool (day,): days that may be learned or judged.
        elevation: m (station,).
        urban_share: of the station's cell (station,); NaN where the protocol does not use landcover_urban.
        held_out: bool (station,): stations that the training of conus-open held out.
        map_lat, map_lon: degrees (point,) of cells of the map.
        without_observation: how many stations of the grid were left out because they measured nothing.
        checksum: of monitors and predictors.
    """

    samples: StationSamples
    codes: npt.NDArray[np.int32]
    blocks: tuple[slice, ...]
    is_target: Bools
    elevation: npt.NDArray[np.float64]
    urban_share: npt.NDArray[np.float32]
    held_out: Bools
    map_lat: npt.NDArray[np.float64]
    map_lon: npt.NDArray[np.float64]
    without_observation: int
    checksum: str

    @property
    def world(self) -> World:
        """Return the stations, days and map cells that splits depend on."""
        one = self.samples
        return World(one.site_ids, one.lat, one.lon, one.days, self.map_lat, self.map_lon)


def read_study_data(config: StudyConfig, monitors: Monitors, predictors: Predictors) -> StudyData:
    """Gather stations and days, the fields of neighbours left open.

    Raises:
        BadMonitors: no station of the grid measured anything on these days.
        BadStudy: a feature is computed from all monitors, and not from those of a fold alone.
        BadPredictors, MissingDays: a feature or a day is missing in the store.
    """
    leaky = sorted(set(config.features) & set(KNNIDW_FIELDS))
    if leaky:
        raise BadStudy(
            f"{leaky[0]} is computed from all monitors, those that a fold judges among them: leave it out of the "
            "features, and name fields of the neighbours source instead"
        )
    stored = [name for name in config.features if name not in FIELDS]
    features = tuple(dict.fromkeys([*stored, "elevation"]))
    none_held_out = np.zeros(len(monitors.sites), dtype=np.bool_)
    before = dt.timedelta(days=config.window_days - 1 + MEMORY_DAYS)
    parts = [
        station_samples(monitors, predictors, features, block.start - before, block.end, none_held_out)
        for block in config.blocks
    ]
    first = parts[0]
    days = [day for part in parts for day in part.days]
    truth = np.concatenate([part.truth for part in parts], axis=1)
    measured = np.isfinite(truth).any(axis=1)
    if not measured.any():
        raise BadMonitors(f"no station measured anything between {config.start} and {config.end}")
    values = np.full((int(measured.sum()), len(days), len(config.features)), np.nan, dtype=np.float32)
    values_read = np.concatenate([part.values for part in parts], axis=1)[measured]
    for name in stored:
        values[:, :, config.features.index(name)] = values_read[:, :, features.index(name)]
    inside = np.isin(monitors.sites["site_id"].to_numpy(dtype=str), np.array(first.site_ids)[measured])
    nothing = np.full(int(measured.sum()), np.nan, dtype=np.float32)
    every_lat, every_lon = (monitors.sites[name].to_numpy() for name in ("latitude", "longitude"))
    stops = np.cumsum([len(part.days) for part in parts])
    lon, lat = predictors.grid.lonlat()
    step = max(1, len(lon) // MAP_POINTS)
    return StudyData(
        samples=StationSamples(
            site_ids=tuple(np.array(first.site_ids)[measured].tolist()),
            lat=first.lat[measured],
            lon=first.lon[measured],
            days=days,
            features=config.features,
            values=values,
            truth=truth[measured],
        ),
        codes=np.concatenate([monitors.codes(part.days)[:, inside] for part in parts]),
        blocks=tuple(
            slice(int(stop) - len(part.days), int(stop)) for part, stop in zip(parts, stops, strict=True)
        ),
        is_target=np.array([any(b.start <= day <= b.end for b in config.blocks) for day in days]),
        elevation=values_read[:, 0, features.index("elevation")].astype(np.float64),
        urban_share=(
            values_read[:, 0, features.index("landcover_urban")] if "landcover_urban" in features else nothing
        ),
        held_out=hold_out_stations(every_lat, every_lon, *SHIPPED_HOLDOUT)[inside],
        map_lat=lat[::step],
        map_lon=lon[::step],
        without_observation=int((~measured).sum()),
        checksum=sha256_of_bytes(monitors.checksum.encode(), predictors.checksum.encode()),
    )


def fields_path(folder: Path, data: StudyData, fold: Fold) -> Path:
    """Return the file of a fold's fields; folds that hide the same station-days share it."""
    one = data.samples
    hidden = np.packbits(fold.hidden_cells(len(one.days)))
    days = np.array(one.days, dtype="datetime64[D]").astype("<i8")
    key = sha256_of_bytes(
        data.checksum.encode(), days.tobytes(), ",".join(one.site_ids).encode(), hidden.tobytes()
    )
    return folder / f"fields-{key[:16]}.npy"


def prepare_fields(
    folder: Path,
    data: StudyData,
    folds: Sequence[Fold],
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Estimate the neighbours' fields of folds, those that are there already left alone.

    Args:
        folder: of the files; each holds float32 (field, station, day).
        data: of the study.
        folds: whose fields are wanted.
        threads: at once; None: as many as there are cores.
        progress: called with the days done and the days in all.
    """
    open_ones = {fields_path(folder, data, fold): fold for fold in folds}
    open_ones = {path: fold for path, fold in open_ones.items() if not path.is_file()}
    if not open_ones or not set(FIELDS) & set(data.samples.features):
        return
    one = data.samples
    hidden = [np.ascontiguousarray(fold.hidden_cells(len(one.days)).T) for fold in open_ones.values()]
    stations = Stations(one.lat, one.lon, data.elevation)
    values = one.truth.T
    spans = [
        slice(start, min(start + DAYS_AT_ONCE + MEMORY_DAYS, block.stop))
        for block in data.blocks
        for start in range(block.start, block.stop - MEMORY_DAYS, DAYS_AT_ONCE)
    ]
    out = np.full((len(hidden), len(FIELDS), *one.truth.shape), np.nan, dtype=np.float32)

    def fill(span: slice) -> slice:
        fields_of_each = fields_of_folds(
            values[span], data.codes[span], stations, [gone[span] for gone in hidden]
        )
        for number, fields in enumerate(fields_of_each):
            for i, name in enumerate(FIELDS):
                out[number, i, :, span.start + MEMORY_DAYS : span.stop] = fields[name].T
        return span

    # One BLAS thread each: the systems of single days are too small to share.
    with threadpool_limits(1), ThreadPoolExecutor(threads or usable_cores()) as pool:
        for done, _ in enumerate(pool.map(fill, spans), start=1):
            if progress is not None:
                progress(done, len(spans))
    folder.mkdir(parents=True, exist_ok=True)
    for path, fields in zip(open_ones, out, strict=True):
        with replacing(path) as part, part.open("wb") as handle:
            np.save(handle, fields)


@dataclass(frozen=True, eq=False)
class FoldData:
    """The data of the runs of one fold.

    Attributes:
        samples: with the fold's own fields.
        learned, validated: targets (target, 2) of station and day numbers, to learn from and to stop by.
        judged: targets (target, 2).
        known: bool (station, day): values that may be learned from, by whatever means.
        fold: which stations learn and which judge.
    """

    samples: StationSamples
    learned: Targets
    validated: Targets
    judged: Targets
    known: Bools
    fold: Fold


def read_fold(folder: Path, data: StudyData, config: StudyConfig, fold: Fold, seed: int) -> FoldData:
    """Join a fold's fields to the samples and list its targets.

    Args:
        seed: of a run; it draws the stations to stop by, as training does.
    """
    one = data.samples
    values = one.values.copy()
    if set(FIELDS) & set(config.features):
        fields = np.load(fields_path(folder, data, fold), mmap_mode="r", allow_pickle=False)
        for i, name in enumerate(FIELDS):
            if name in config.features:
                values[:, :, config.features.index(name)] = fields[i]
    samples = dataclasses.replace(one, values=values)
    everyone = np.ones(len(one.site_ids), dtype=np.bool_)
    targets = samples.targets(everyone, config.start, config.end, config.window_days)
    targets = targets[data.is_target[targets[:, 1]]]
    days = len(one.days)
    learns, judges = fold.learned_cells(days), fold.judged_cells(days)
    if fold.judged is not None and not fold.hides:
        learns &= ~_reached_from(judges, config.window_days + MEMORY_DAYS)
    stop_by = hold_out_stations(one.lat, one.lon, config.training.validation_fraction, seed + 1)

    def those(cells: Bools) -> Targets:
        chosen: Targets = targets[cells[targets[:, 0], targets[:, 1]]]
        return chosen

    return FoldData(
        samples=samples,
        learned=those(learns & ~stop_by[:, None]),
        validated=those(learns & stop_by[:, None]),
        judged=those(judges),
        known=np.isfinite(one.truth) & fold.learned_cells(days),
        fold=fold,
    )


def _reached_from(cells: Bools, days: int) -> Bools:
    """Mark the station-days that have a marked one among the so many days up to them."""
    before = np.cumsum(cells, axis=1)
    earlier = np.zeros_like(before)
    earlier[:, days:] = before[:, :-days]
    return np.asarray(before > earlier, dtype=np.bool_)
