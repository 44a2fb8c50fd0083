"""One network of a study: its training on a fold, its estimates, and its attention and importance."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pm25map.laboratory.study.data import FoldData
from pm25map.model.config import TrainConfig
from pm25map.model.network import Attention, Network
from pm25map.model.train import TrainedNetwork, TrainingSet, train
from pm25map.predictors.variables import variable
from pm25map.windows.scaler import fit_scaler

Estimates = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]

TARGETS_AT_ONCE = 4096
EXPLAINED_TARGETS = 4000
"""Judged targets on which attention and importance are measured."""


def train_fold(
    data: FoldData,
    place: Vectors | None,
    config: TrainConfig,
    folder: Path,
    device: str,
    on_step: Callable[[int, int], None] | None = None,
) -> TrainedNetwork:
    """Train a network on what a fold may learn from; its scaler too is fitted on nothing else.

    Args:
        data: of the fold.
        place: (station, d), None for geolocation none.
        config: what to train.
        folder: of the checkpoint; a run that was stopped goes on from it.
        device: of torch.
        on_step: called with the steps done and the steps in all.
    """
    learned = data.learned
    cells = np.zeros(data.known.shape, dtype=np.bool_)
    back = np.arange(1 - config.window_days, 1)
    # Every day of the windows of what is learned.
    cells[learned[:, :1], learned[:, 1:] + back] = True
    units = tuple(variable(name).units for name in config.features)
    scaler = fit_scaler(data.samples.values[cells], config.features, units, config.indicators)
    return train(
        TrainingSet(data.samples, place, scaler, learned, data.validated),
        config,
        folder,
        device=device,
        on_step=on_step,
    )


def estimates_of(
    trained: TrainedNetwork, data: FoldData, place: Vectors | None, window_days: int, device: str
) -> Estimates:
    """Estimate the judged targets of a fold: (target,), ug m-3."""
    network = trained.network.to(device)
    out = np.empty(len(data.judged), dtype=np.float32)
    for first in range(0, len(out), TARGETS_AT_ONCE):
        part = data.judged[first : first + TARGETS_AT_ONCE]
        window = _windows(trained, data, part, window_days)
        out[first : first + len(part)] = _run(network, window, place, part, device)
    return out


@dataclass(frozen=True)
class Explanation:
    """Attention and importance of a network on judged targets.

    Attributes:
        attention: mean weight of each day of the window, the estimated day first (day,).
        importance: how much the RMSE (ug m-3) grows when one predictor, over its whole window, is exchanged
            between targets; by name, "place" for the vector of the place.
    """

    attention: npt.NDArray[np.float64]
    importance: dict[str, float]


def explain(
    trained: TrainedNetwork,
    data: FoldData,
    place: Vectors | None,
    window_days: int,
    device: str,
    seed: int,
) -> Explanation:
    """Measure attention and permutation importance on a draw of the judged targets."""
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(data.judged)[:EXPLAINED_TARGETS]
    network = trained.network.to(device)
    window = _windows(trained, data, drawn, window_days)
    truth = data.samples.truth[drawn[:, 0], drawn[:, 1]]

    def error(inputs: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> float:
        estimate = _run(network, inputs, place, targets, device)
        return float(np.sqrt(np.mean(np.square(estimate - truth))))

    plain, kept = _with_attention(network, lambda: error(window, drawn))
    importance = {}
    order = rng.permutation(len(drawn))
    for i, name in enumerate(trained.scaler.features):
        mixed = window.copy()
        mixed[:, :, i] = window[order, :, i]
        importance[name] = error(mixed, drawn) - plain
    if place is not None:
        elsewhere = np.column_stack([drawn[order, 0], drawn[:, 1]])
        importance["place"] = error(window, elsewhere) - plain
    return Explanation(kept.mean(axis=0)[::-1].astype(np.float64), importance)


def _with_attention(network: Network, call: Callable[[], float]) -> tuple[float, npt.NDArray[np.float32]]:
    """Call a function, and return its result with the attention's weights (cell, day)."""
    kept: list[npt.NDArray[np.float32]] = []

    def keep(attention: torch.nn.Module, inputs: tuple[torch.Tensor, ...], _out: torch.Tensor) -> None:
        if isinstance(attention, Attention):
            kept.append(attention.weights(inputs[0]).detach().cpu().numpy())

    handle = network.attention.register_forward_hook(keep)
    try:
        result = call()
    finally:
        handle.remove()
    return result, np.concatenate(kept)


def _windows(
    trained: TrainedNetwork, data: FoldData, targets: npt.NDArray[np.int64], window_days: int
) -> npt.NDArray[np.float32]:
    """Scale the windows (target, day, input) of targets."""
    return trained.scaler.apply(data.samples.windows(targets, window_days))


def _run(
    network: Network,
    window: npt.NDArray[np.float32],
    place: Vectors | None,
    targets: npt.NDArray[np.int64],
    device: str,
) -> Estimates:
    network.eval()
    with torch.no_grad():
        spots = None if place is None else torch.from_numpy(place[targets[:, 0]]).to(device)
        estimate = network(torch.from_numpy(window).to(device), spots)
    out: Estimates = estimate.cpu().numpy()
    return out
