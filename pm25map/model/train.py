"""Training: one function for every split, geolocation and width; an interrupted run is continued."""

import math
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pm25map.base.errors import BadMonitors
from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.model.card import NetworkShape
from pm25map.model.config import TrainConfig
from pm25map.model.network import Network, bases_of
from pm25map.model.splits import hold_out_stations, station_folds
from pm25map.predictors.variables import variable
from pm25map.windows.gaps import fill_missing_days
from pm25map.windows.samples import StationSamples
from pm25map.windows.scaler import Scaler, fit_scaler
from pm25map.windows.short import draw_present_days, kept_by_day

CHECKPOINT = "checkpoint.pt"
ROOT_DELTA = 0.3
"""Where the Huber loss of square roots turns linear: 1.9 ug m-3 at 9 ug m-3."""


@dataclass(frozen=True)
class Epoch:
    """The result of one epoch: mean loss of its steps; loss and errors (ug m-3) on the validation stations."""

    number: int
    loss: float
    validation_loss: float
    validation_rmse: float
    validation_mae: float


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network, and the size of its training data."""

    network: Network
    scaler: Scaler
    target_scale: float
    epochs: tuple[Epoch, ...]
    stations: int
    targets: int


def stops_by(samples: StationSamples, config: TrainConfig) -> npt.NDArray[np.bool_]:
    """Choose the stations by which training stops: bool (station,); it does not learn from them."""
    if config.folds:
        folds = station_folds(samples.lat, samples.lon, config.folds, config.holdout_seed)
        return np.asarray(folds == config.fold)
    return hold_out_stations(samples.lat, samples.lon, config.validation_fraction, config.seed + 1)


@dataclass(frozen=True)
class TrainingSet:
    """What there is to learn from.

    Attributes:
        samples: of all stations.
        place: float32 (station, d); None for a network without a place.
        scaler: fitted on the training values.
        targets: (target, 2) of station and day numbers, to learn from.
        judged: (target, 2), to stop by.
    """

    samples: StationSamples
    place: npt.NDArray[np.float32] | None
    scaler: Scaler
    targets: npt.NDArray[np.int64]
    judged: npt.NDArray[np.int64]


def training_set(
    samples: StationSamples,
    place: npt.NDArray[np.float32] | None,
    config: TrainConfig,
    held_out: npt.NDArray[np.bool_],
) -> TrainingSet:
    """Choose what to learn from: the stations that are not held out, but for those that training stops by.

    Args:
        samples: predictors and truth at all stations.
        place: (station, d) of the config's encoder; None for geolocation none.
        config: what to train.
        held_out: bool (station,): neither learned from nor used to stop.
    """
    validation = stops_by(samples, config)
    learning = ~held_out & ~validation
    targets = samples.targets(learning, config.start, config.end, config.window_days)
    judged = samples.targets(validation & ~held_out, config.start, config.end, config.window_days)
    units = tuple(variable(name).units for name in config.features)
    scaler = fit_scaler(samples.values[learning], config.features, units, config.indicators)
    return TrainingSet(samples, place, scaler, targets, judged)


def train(
    given: TrainingSet,
    config: TrainConfig,
    folder: Path,
    *,
    device: str = "cpu",
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainedNetwork:
    """Train a network.

    Args:
        given: what there is to learn from.
        config: what to train.
        folder: of the checkpoint, written after every epoch; a run of the same configuration and data goes on.
        device: of torch.
        on_step: called with the steps done and the steps in all.
        on_epoch: called after every epoch.

    Raises:
        BadMonitors: no target is left to learn from.
    """
    samples, place, scaler = given.samples, given.place, given.scaler
    targets, judged = given.targets, given.judged
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    if len(targets) == 0 or len(judged) == 0:
        raise BadMonitors(
            f"no windows to learn from between {config.start} and {config.end}: {len(targets)} targets, "
            f"{len(judged)} to validate. Widen the period, or give more monitors"
        )
    truth = np.maximum(samples.truth, 0.0)
    target_scale = float(np.nanstd(truth[targets[:, 0], targets[:, 1]]))
    daily = kept_by_day((*scaler.features, *scaler.indicators))
    feed = _Feed(scaler.apply(samples.values), truth, place, config.window_days, device, daily)
    network = build_network(config.network, scaler, config.geolocation, _width(place), target_scale).to(
        device
    )
    identity = _identity(config, samples, targets, place, network)
    run = _Run(network, config, len(targets), folder / CHECKPOINT, identity)
    epochs = run.resume()
    while len(epochs) < config.epochs and not _is_over(epochs, config.patience):
        epoch = run.epoch(len(epochs), targets, judged, feed, on_step)
        epochs.append(epoch)
        run.save(epochs)
        if on_epoch is not None:
            on_epoch(epoch)
    network.load_state_dict(run.best)
    network.eval()
    stations = len(np.unique(targets[:, 0]))
    return TrainedNetwork(network.cpu(), scaler, target_scale, tuple(epochs), stations, len(targets))


def build_network(
    shape: NetworkShape, scaler: Scaler, geolocation: str, place: int, target_scale: float
) -> Network:
    """Build an untrained network of a shape."""
    return Network(
        shape,
        len(scaler.inputs),
        place,
        as_predictors=geolocation in ("latlon", "sincos"),
        bases=bases_of(scaler),
        target_scale=target_scale,
    )


class _Feed:
    """Gathers batches of windows from the scaled stack (station, day, input), which is in memory once."""

    def __init__(
        self,
        scaled: npt.NDArray[np.float32],
        truth: npt.NDArray[np.float32],
        place: npt.NDArray[np.float32] | None,
        window_days: int,
        device: str,
        daily: npt.NDArray[np.bool_],
    ) -> None:
        self.daily = daily
        self.scaled = torch.from_numpy(scaled).to(device)
        self.truth = torch.from_numpy(truth).to(device)
        self.place = None if place is None else torch.from_numpy(place).to(device)
        self.back = torch.arange(1 - window_days, 1, device=device)

    def batches(
        self, targets: npt.NDArray[np.int64], size: int, present: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Yield windows (cell, day, input), places (cell, d) and truth (cell,), batch by batch.

        Args:
            targets: (target, 2) of station and day numbers.
            size: of a batch.
            present: bool (target, day): the other days of the windows are filled; None where none is missing.
        """
        device = self.scaled.device
        parts = torch.from_numpy(targets).to(device).split(size)  # type: ignore[no-untyped-call]
        for i, part in enumerate(parts):
            station, day = part[:, 0], part[:, 1]
            window = self.scaled[station[:, None], day[:, None] + self.back]
            if present is not None:
                there = present[i * size : (i + 1) * size]
                filled = fill_missing_days(window.cpu().numpy(), there, self.daily)
                window = torch.from_numpy(filled).to(device)
            yield window, None if self.place is None else self.place[station], self.truth[station, day]


class _Run:
    """The state of a run: weights, optimizer, the best weights so far."""

    def __init__(
        self, network: Network, config: TrainConfig, targets: int, path: Path, identity: str
    ) -> None:
        self.network = network
        self.config = config
        self.path = path
        self.identity = identity
        self.best = {name: value.clone() for name, value in network.state_dict().items()}
        self.targets = min(config.targets_an_epoch or targets, targets)
        self.steps = math.ceil(self.targets / config.batch)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def resume(self) -> list[Epoch]:
        """Load a checkpoint of the same configuration and data; start anew where there is none."""
        if not self.path.is_file():
            return []
        state = torch.load(self.path, weights_only=True, map_location="cpu")
        if state["identity"] != self.identity:
            return []
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = state["best"]
        torch.set_rng_state(state["random"])
        return [Epoch(*values) for values in state["epochs"]]

    def save(self, epochs: list[Epoch]) -> None:
        """Write the checkpoint, whole or not at all."""
        if epochs[-1].validation_loss <= min(epoch.validation_loss for epoch in epochs):
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
        with replacing(self.path) as part:
            torch.save(
                {
                    "identity": self.identity,
                    "network": self.network.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "best": self.best,
                    "random": torch.get_rng_state(),
                    "epochs": [list(astuple(epoch)) for epoch in epochs],
                },
                part,
            )

    def epoch(
        self,
        number: int,
        targets: npt.NDArray[np.int64],
        judged: npt.NDArray[np.int64],
        feed: _Feed,
        on_step: Callable[[int, int], None] | None,
    ) -> Epoch:
        """Train on one draw of the targets, then judge on the validation stations."""
        self.network.train()
        generator = np.random.default_rng([self.config.seed, number])
        order = generator.permutation(len(targets))[: self.targets]
        present = None
        if short := self.config.short_windows:
            present = draw_present_days(
                generator, len(order), self.config.window_days, short.share, short.gaps
            )
        total = 0.0
        for i, (window, place, truth) in enumerate(feed.batches(targets[order], self.config.batch, present)):
            done = number * self.steps + i
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.learning_rate * _schedule(done / (self.config.epochs * self.steps))
            loss = self._loss(self.network(window, place), truth)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_gradient)
            self.optimizer.step()
            total += loss.item()
            if on_step is not None:
                on_step(done + 1, self.config.epochs * self.steps)
        return Epoch(number + 1, total / self.steps, *self._judge(judged, feed))

    def _loss(self, estimate: Tensor, truth: Tensor) -> Tensor:
        if self.config.loss == "huber":
            return nn.functional.huber_loss(estimate, truth, delta=self.config.huber_ugm3)
        roots = torch.sqrt(estimate + 1.0), torch.sqrt(truth + 1.0)
        if self.config.loss == "sqrt-huber":
            return nn.functional.huber_loss(*roots, delta=ROOT_DELTA)
        return nn.functional.mse_loss(*roots)

    def _judge(self, judged: npt.NDArray[np.int64], feed: _Feed) -> tuple[float, float, float]:
        """Return loss, RMSE and MAE (ug m-3) on the validation targets."""
        self.network.eval()
        estimates, truths = [], []
        with torch.no_grad():
            for window, place, truth in feed.batches(judged, 4 * self.config.batch):
                estimates.append(self.network(window, place))
                truths.append(truth)
            estimate, truth = torch.cat(estimates), torch.cat(truths)
            error = estimate - truth
            rmse = float(error.square().mean().sqrt())
            return float(self._loss(estimate, truth)), rmse, float(error.abs().mean())


def _schedule(progress: float) -> float:
    """Return the share of the highest learning rate: a warm-up over a twentieth of the run, then half a cosine."""
    warm = 0.05
    return (
        progress / warm if progress < warm else 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))
    )


def _is_over(epochs: list[Epoch], patience: int) -> bool:
    """Return whether the validation error has not improved for too long."""
    errors = [epoch.validation_loss for epoch in epochs]
    return len(errors) > patience and min(errors[-patience:]) > min(errors)


def _width(place: npt.NDArray[np.float32] | None) -> int:
    return 0 if place is None else place.shape[1]


def _identity(
    config: TrainConfig,
    samples: StationSamples,
    targets: npt.NDArray[np.int64],
    place: npt.NDArray[np.float32] | None,
    network: Network,
) -> str:
    """Return the checksum of all that decides a run; another encoder or another form of the network starts anew."""
    form = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
    return sha256_of_bytes(
        repr(form).encode(),
        b"" if place is None else place.tobytes(),
        config.model_dump_json().encode(),
        samples.values.tobytes(),
        np.nan_to_num(samples.truth).tobytes(),
        targets.tobytes(),
    )
