"""Training from monitors and predictors to a finished run on disk, in the one way that every model takes."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.model.card import TrainingRecord
from pm25map.model.config import TrainConfig
from pm25map.model.export import PARITY_WINDOWS
from pm25map.model.places import check_encoder, place_vectors
from pm25map.model.run_folder import RunMetadata, save_run
from pm25map.model.splits import hold_out_stations
from pm25map.model.train import Epoch, TrainedNetwork, train, training_set
from pm25map.monitors import Monitors
from pm25map.predictors.reader import Predictors
from pm25map.predictors.variables import variable
from pm25map.windows.samples import StationSamples, gather_samples
from pm25map.windows.scaler import Scaler

Progress = Callable[[int, int], None]

PROVENANCE = (
    "EPA AQS daily PM2.5, parameters 88101 and 88502 (public domain); static layers as in docs/data.md"
)
SOURCES = {
    "hms": "smoke polygons of NOAA's Hazard Mapping System (public domain)",
    "ncep": "2 m air temperature of the NCEP reanalysis (NOAA PSL, public domain)",
    "maiac": "MCD19A2.061 (NASA)",
    "ndvi": "MCD43A4.061 or MOD13A2.061 (NASA)",
    "daymet": "Daymet V4 (ORNL DAAC)",
    "gridmet": "gridMET (University of Idaho)",
    "gmted": "GMTED2010 (USGS, public domain)",
    "nclimgrid": "nClimGrid-Daily (NOAA, public domain)",
    "merra2": "MERRA-2 tavg1_2d_aer (NASA)",
}
"""Where the variables of further sources come from, for the card."""


@dataclass(frozen=True)
class FitListeners:
    """Callbacks that follow a run; each may be None."""

    gathering: Progress | None = None
    training: Progress | None = None
    epoch: Callable[[Epoch], None] | None = None


def fit(
    config: TrainConfig,
    monitors: Monitors,
    predictors: Predictors,
    folder: Path,
    command: str,
    device: str = "cpu",
    cache: Path | None = None,
    listeners: FitListeners = FitListeners(),
) -> TrainedNetwork:
    """Train a configuration and write into a folder everything that export needs.

    Args:
        config: what to train.
        monitors: the truth.
        predictors: a store with the static layers of the config's features.
        folder: of the run; an unfinished run of the same configuration and data is continued.
        command: that repeats this, for the card.
        device: of torch.
        cache: folder for the stations' neighbours, which runs of the same stations and days share; None: `folder`.
        listeners: that follow the run.

    Raises:
        BadMonitors: nothing is left to learn from.
        BadPredictors: the store has not all features.
        UnknownName: no location encoder has the name of the config's geolocation.
    """
    check_encoder(config.geolocation)
    sites = monitors.sites
    held_out = hold_out_stations(
        sites["latitude"].to_numpy(),
        sites["longitude"].to_numpy(),
        config.holdout_fraction,
        config.holdout_seed,
    )
    first = config.start - dt.timedelta(days=config.window_days - 1)
    samples = gather_samples(
        monitors,
        predictors,
        config.features,
        first,
        config.end,
        held_out,
        cache or folder,
        listeners.gathering,
    )
    sample_held_out = np.isin(samples.site_ids, sites["site_id"].to_numpy(dtype=str)[held_out])
    place, about = place_vectors(config.geolocation, samples.lat, samples.lon)
    trained = train(
        training_set(samples, place, config, sample_held_out),
        config,
        folder,
        device=device,
        on_step=listeners.training,
        on_epoch=listeners.epoch,
    )
    record = TrainingRecord(
        start=config.start,
        end=config.end,
        stations=trained.stations,
        targets=trained.targets,
        monitors_checksum=monitors.checksum,
        predictors_checksum=predictors.checksum,
        holdout_fraction=config.holdout_fraction,
        holdout_seed=config.holdout_seed,
        config=config.model_dump(mode="json"),
        epochs=len(trained.epochs),
        command=command,
        provenance=provenance_of(config.features),
    )
    metadata = RunMetadata(
        config=config,
        scaler=trained.scaler,
        target_scale=trained.target_scale,
        place=about,
        grid=predictors.grid.name,
        grid_checksum=predictors.grid.checksum,
        record=record,
    )
    windows, spots = real_windows(samples, place, trained.scaler, config)
    save_run(folder, metadata, trained.network, windows, spots)
    return trained


def provenance_of(features: tuple[str, ...]) -> str:
    """Describe where the truth and the predictors come from."""
    sources = dict.fromkeys(variable(name).source for name in features)
    return "; ".join([PROVENANCE, *(SOURCES[name] for name in sources if name in SOURCES)])


def real_windows(
    samples: StationSamples, place: npt.NDArray[np.float32] | None, scaler: Scaler, config: TrainConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Draw windows evenly over all targets, the smokiest among them: (cell, day, input) and places (cell, d)."""
    everyone = np.ones(len(samples.site_ids), dtype=np.bool_)
    targets = samples.targets(everyone, config.start, config.end, config.window_days)
    by_truth = targets[np.argsort(samples.truth[targets[:, 0], targets[:, 1]], kind="stable")]
    chosen = by_truth[np.unique(np.linspace(0, len(by_truth) - 1, PARITY_WINDOWS).astype(np.int64))]
    windows = scaler.apply(samples.windows(chosen, config.window_days))
    return windows, None if place is None else place[chosen[:, 0]]
