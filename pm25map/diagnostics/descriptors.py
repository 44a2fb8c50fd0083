"""Descriptors: the few numbers that represent a window and a place in comparisons with training data.

A window of 21 days is too long a vector to compare by distance. Its descriptors are the estimated day of every input,
the mean of the days before for daily predictors, and the leading principal components of the place vector. Each is
weighted by how much the model's estimate changes when that part alone is exchanged among targets.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.model.card import ModelCard
from pm25map.model.runtime import Session
from pm25map.predictors.variables import variable

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

COMPONENTS = 8
"""Principal components of the place vector. GeoCLIP's 512 numbers at the training stations are nearly as many
directions: eight hold 27 % of their spread, and to the default model their weights fall from 0.046 to 0.005."""


@dataclass(frozen=True, eq=False)
class Descriptors:
    """The descriptors of windows and places.

    Attributes:
        today: inputs whose value on the estimated day is one.
        before: inputs whose mean over the days before is one.
        names: of the inputs of the model.
        place_mean: (d,) of the training stations; empty for a model without a place.
        components: (component, d), rows of length 1.
    """

    today: tuple[int, ...]
    before: tuple[int, ...]
    names: tuple[str, ...]
    place_mean: Floats
    components: Floats

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of the descriptors, in order."""
        return (
            *(f"{self.names[i]} today" for i in self.today),
            *(f"{self.names[i]} before" for i in self.before),
            *(f"place {i + 1}" for i in range(len(self.components))),
        )

    def describe(self, window: Floats, place: Floats | None) -> Floats:
        """Return the descriptors of some cells.

        Args:
            window: float32 (cell, day, input), the estimated day last.
            place: float32 (cell, d), None for a model without a place.

        Returns:
            float32 (cell, descriptor).
        """
        parts = [window[:, -1, list(self.today)], window[:, :-1, list(self.before)].mean(axis=1)]
        if place is not None:
            parts.append((place - self.place_mean) @ self.components.T)
        return np.concatenate(parts, axis=1)

    def sensitivity(self, session: Session, window: Floats, place: Floats | None, seed: int) -> Doubles:
        """Measure how much the model's estimate depends on each descriptor.

        Args:
            session: the model.
            window: float32 (target, day, input) of some targets.
            place: float32 (target, d), or None.
            seed: of the exchange.

        Returns:
            (descriptor,): mean absolute change of the root of the estimate, (ug m-3)^0.5, when the part of the
            window or place that a descriptor stands for is exchanged at random among the targets.
        """
        rng = np.random.default_rng(seed)

        def roots(changed: Floats, spots: Floats | None) -> Doubles:
            root_estimates: Doubles = np.sqrt(np.maximum(session.run(changed, spots), 0)).astype(np.float64)
            return root_estimates

        base = roots(window, place)
        change = []
        for which, days in [(self.today, slice(-1, None)), (self.before, slice(None, -1))]:
            for i in which:
                changed = window.copy()
                changed[:, days, i] = window[rng.permutation(len(window)), days, i]
                change.append(np.abs(roots(changed, place) - base).mean())
        if place is not None:
            scores = (place - self.place_mean) @ self.components.T
            for k, component in enumerate(self.components):
                step = scores[rng.permutation(len(scores)), k] - scores[:, k]
                change.append(np.abs(roots(window, place + step[:, None] * component) - base).mean())
        return np.array(change)


def choose_descriptors(card: ModelCard, window: Floats, place: Floats | None) -> Descriptors:
    """Choose the descriptors of a model: all that vary among some training targets.

    Args:
        card: of the model.
        window: float32 (target, day, input) of training targets.
        place: float32 (target, d), or None.
    """
    inputs = card.scaler.inputs
    daily = [i for i, name in enumerate(card.scaler.features) if variable(name).kind == "daily"]
    varies = window.std(axis=(0, 1)) > 1e-6
    today = tuple(i for i in range(len(inputs)) if varies[i])
    before = tuple(i for i in daily if varies[i] and card.window_days > 1)
    if place is None:
        empty = np.empty((0,), dtype=np.float32)
        return Descriptors(today, before, inputs, empty, np.empty((0, 0), dtype=np.float32))
    middle = place.mean(axis=0)
    _, strength, rows = np.linalg.svd(place - middle, full_matrices=False)
    kept = strength[:COMPONENTS] > 1e-6 * strength[0]
    return Descriptors(today, before, inputs, middle, rows[:COMPONENTS][kept].astype(np.float32))
