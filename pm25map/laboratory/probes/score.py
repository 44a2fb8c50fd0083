"""Fit heads on vectors and score them on places they did not see. Needs scikit-learn."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pm25map.laboratory.probes.targets import Target
from pm25map.laboratory.world.sphere import Blocks
from pm25map.scores.resampling import bootstrap

Head = Literal["linear", "mlp"]
Split = Literal["random", "blocks"]

HEADS: tuple[Head, ...] = ("linear", "mlp")
SPLITS: tuple[Split, ...] = ("random", "blocks")

BLOCK_DEG = 10.0
"""Side of the blocks of a spatial split: about 1,100 km."""

_PERCEPTRON: dict[str, Any] = {
    "hidden_layer_sizes": (64,),
    "alpha": 1e-2,
    "batch_size": 256,
    "learning_rate_init": 3e-3,
    "max_iter": 25,
}
"""Of the head "mlp", for classes and for numbers."""


@dataclass(frozen=True)
class ProbeScore:
    """The score of one head that predicts one target from one encoder's vectors.

    Attributes:
        target, encoder, head, split: what was scored.
        score: share of the places classified correctly (classes) or R2 (numbers), over all folds together.
        low, high: 95 % interval, by bootstrap over places (random) or whole blocks (blocks).
        places: scored.
        seen: the encoder saw the target in training; this is no transfer.
    """

    target: str
    encoder: str
    head: Head
    split: Split
    score: float
    low: float
    high: float
    places: int
    seen: bool


def folds_of(
    split: Split, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64], count: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the fold of each place, and its unit of the bootstrap: the place itself, or its block."""
    rng = np.random.default_rng([seed, count])
    if split == "random":
        return rng.permutation(len(lat)) % count, np.arange(len(lat))
    blocks = Blocks(BLOCK_DEG)
    unit = blocks.of(lat, lon)
    return (rng.permutation(blocks.count) % count)[unit], unit


def predict_left_out(
    vectors: npt.NDArray[np.float32], target: Target, fold: npt.NDArray[np.int64], head: Head, seed: int
) -> npt.NDArray[Any]:
    """Predict each known place by a head trained on the other folds: (known place,)."""
    x, y, fold = vectors[target.known], target.values[target.known], fold[target.known]
    predicted = np.empty(len(y), y.dtype)
    for out in np.unique(fold):
        learn = fold != out
        mean, spread = x[learn].mean(axis=0), x[learn].std(axis=0)
        # A number that hardly varies over the land learned from must not explode elsewhere.
        scaled = (x - mean) / np.maximum(spread, 1e-3 * spread.max() + 1e-12)
        with warnings.catch_warnings():
            # An iteration limit reached is part of the recipe; a country with one place cannot be stratified.
            warnings.simplefilter("ignore")
            predicted[~learn] = _fit(scaled[learn], y[learn], target.kind, head, seed)(scaled[~learn])
    return predicted


def _fit(
    x: npt.NDArray[np.float32], y: npt.NDArray[Any], kind: str, head: Head, seed: int
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]:
    from sklearn.linear_model import LogisticRegression, RidgeCV  # noqa: PLC0415 - slow to import
    from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: PLC0415

    if len(np.unique(y)) == 1:
        return lambda rows: np.full(len(rows), y[0])
    if kind == "class":
        model: Any = (
            LogisticRegression(C=1.0, max_iter=150)
            if head == "linear"
            else MLPClassifier(**_PERCEPTRON, random_state=seed)
        )
        return model.fit(x, y).predict  # type: ignore[no-any-return]
    low, high = float(y.min()), float(y.max())
    middle, spread = float(y.mean()), float(y.std())
    model = (
        RidgeCV(alphas=np.logspace(-1, 4, 11))
        if head == "linear"
        else MLPRegressor(**_PERCEPTRON, random_state=seed)
    )
    model.fit(x, (y - middle) / spread)
    return lambda rows: np.clip(model.predict(rows) * spread + middle, low, high)


def score_with_interval(
    target: Target, predicted: npt.NDArray[Any], unit: npt.NDArray[np.int64], seed: int
) -> tuple[float, float, float]:
    """Return the score of predictions and its 95 % interval by bootstrap over units."""
    truth, unit = target.values[target.known], unit[target.known]
    _, which = np.unique(unit, return_inverse=True)
    count = which.max() + 1

    def total(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.asarray(np.bincount(which, weights=values.astype(np.float64), minlength=count), np.float64)

    if target.kind == "class":
        parts = np.stack([total(np.ones(len(truth))), total(truth == predicted)])
    else:
        # Around the mean, so that the sum of squares does not drown in rounding.
        about = truth - truth.mean()
        parts = np.stack(
            [total(np.ones(len(truth))), total((truth - predicted) ** 2), total(about), total(about**2)]
        )
    resampled = bootstrap(
        parts.T, lambda sums: {"score": _score(sums, target.kind)}, seed=(seed, 0xB007), least=1
    )
    return resampled["score"].value, resampled["score"].low, resampled["score"].high


def _score(sums: npt.NDArray[np.float64], kind: str) -> npt.NDArray[np.float64]:
    if kind == "class":
        return np.asarray(sums[..., 1] / sums[..., 0])
    return np.asarray(1 - sums[..., 1] / (sums[..., 3] - sums[..., 2] ** 2 / sums[..., 0]))


def probe(
    vectors: dict[str, npt.NDArray[np.float32]],
    seen: dict[str, tuple[str, ...]],
    targets: list[Target],
    places: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    *,
    heads: tuple[Head, ...] = HEADS,
    folds: int = 5,
    seed: int = 0,
    on_score: Callable[[ProbeScore, Target, npt.NDArray[Any]], None] | None = None,
) -> Iterator[ProbeScore]:
    """Score every head on every target from every encoder, both ways left out, one after another.

    Args:
        vectors: (place, d) by encoder.
        seen: targets that an encoder saw in training, by encoder.
        targets: at the same places.
        places: latitude and longitude, degrees.
        heads: which.
        folds: of a split.
        seed: of folds, heads and bootstrap.
        on_score: called with each score, its target, and the prediction of each known place when it was left out.
    """
    for split in SPLITS:
        fold, unit = folds_of(split, *places, folds, seed)
        for target in targets:
            for head in heads:
                for name, rows in vectors.items():
                    predicted = predict_left_out(rows, target, fold, head, seed)
                    score = score_with_interval(target, predicted, unit, seed)
                    count = int(target.known.sum())
                    probe_score = ProbeScore(
                        target.name, name, head, split, *score, count, target.name in seen[name]
                    )
                    if on_score is not None:
                        on_score(probe_score, target, predicted)
                    yield probe_score
