"""The interface of an open model, the same for every engine, and the batching that all engines share."""

from abc import ABC, abstractmethod
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel, BadPredictors
from pm25map.model.card import ModelCard

FloatArray = npt.NDArray[np.float32]

EngineName = Literal[
    "onnxruntime", "onnxruntime-unrolled", "openvino", "openvino-f16", "openvino-bf16", "cuda"
]

BANDS_PLAIN = ("pm25",)
BANDS_MEMBERS = ("pm25", "pm25_spread", "pm25_members")
"""Mean and standard deviation over the members, ug m-3, and how many members there are."""


class Session(Protocol):
    """An open model. Sessions do not travel between processes: each worker opens its own.

    Attributes:
        card: of the model.
        engine: by its name, as --engine takes it.
        provider: what actually runs the network.
        bands: names of the layers that `estimate` returns.
        cells_a_call: cells that the engine takes at once; give it multiples of this where speed matters.
    """

    card: ModelCard
    engine: str
    provider: str
    bands: tuple[str, ...]
    cells_a_call: int

    def run(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Estimate PM2.5 of any number of cells: float32 (cell,), ug m-3; the mean of a model with members."""

    def estimate(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Estimate all bands of any number of cells: float32 (band, cell), in the order of `bands`."""

    def estimate_members(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Estimate PM2.5 by every member: float32 (cell, member), ug m-3."""


class BatchedSession(ABC):
    """The part that all engines share: check shapes, cut cells into calls, pad the last, summarize members.

    A kernel may sum in another order for few rows than for many: each call is padded to a multiple of
    `quantum` cells, so that a cell gets the same bits alone, among others and at the end of a block.
    """

    quantum = 32
    cells_a_call = 256

    def __init__(self, card: ModelCard, engine: str, provider: str) -> None:
        self.card = card
        self.engine = engine
        self.provider = provider
        self.bands: tuple[str, ...] = BANDS_MEMBERS if card.members else BANDS_PLAIN

    @abstractmethod
    def _infer(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Run one call of a multiple of `quantum` cells; return float32 (cell,) or (cell, member)."""

    def run(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Estimate PM2.5 of any number of cells.

        Args:
            window: float32 (cell, day, input), as Scaler.apply gives it.
            place: float32 (cell, d), or None for a model without a place.

        Returns:
            float32 (cell,), ug m-3.

        Raises:
            As `estimate_members`.
        """
        out: FloatArray = self.estimate(window, place)[0]
        return out

    def estimate(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Estimate all bands of any number of cells: float32 (band, cell). Otherwise as `run`."""
        estimates = self.estimate_members(window, place)
        return summarize_members(estimates) if self.card.members else estimates.T

    def estimate_members(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Estimate PM2.5 by every member: float32 (cell, member), ug m-3.

        Values that are not finite are refused before the engine runs: some engines turn them into plausible numbers.

        Raises:
            BadPredictors: a window holds a value that is not finite. Scaler.apply fills missing values.
            BadModel: a shape is not the card's, or a place vector or an estimate is not finite.
        """
        expected = (self.card.window_days, len(self.card.scaler.inputs))
        if window.shape[1:] != expected:
            raise BadModel(f"model {self.card.name} reads {expected} days and inputs, not {window.shape[1:]}")
        width = 0 if place is None else place.shape[1]
        if width != self.card.place.dimension:
            raise BadModel(
                f"model {self.card.name} takes {self.card.place.dimension} numbers a place, not {width}"
            )
        members = max(1, len(self.card.members))
        out = np.empty((len(window), members), dtype=np.float32)
        for start in range(0, len(window), self.cells_a_call):
            part = slice(start, min(start + self.cells_a_call, len(window)))
            count = part.stop - part.start
            size = -(-count // self.quantum) * self.quantum
            self._check_inputs(window[part], None if place is None else place[part], start)
            spot = None if place is None else _padded(place[part], size)
            estimates = self._infer(_padded(window[part], size), spot)
            out[part] = estimates.reshape(size, members)[:count]
        if not np.isfinite(out).all():
            member = int(np.argmin(np.isfinite(out).all(axis=0)))
            who = (
                f"member {member + 1} of model {self.card.name}"
                if self.card.members
                else f"model {self.card.name}"
            )
            raise BadModel(
                f"{who} gave {int((~np.isfinite(out[:, member])).sum())} values that are no numbers: its network is "
                "damaged. Export or fetch the model again"
            )
        return out

    def _check_inputs(self, window: FloatArray, place: FloatArray | None, first: int) -> None:
        """Refuse values that are not finite; `first` is the number of the first cell."""
        good = np.isfinite(window)
        if not good.all():
            cell, day, number = (int(index) for index in np.argwhere(~good)[0])
            raise BadPredictors(
                f"the window of cell {first + cell} holds {window[cell, day, number]} for "
                f"{self.card.scaler.inputs[number]} on its day {day + 1} of {self.card.window_days}: scale it by the "
                "scaler of the model's card, which says what a missing value becomes"
            )
        if place is not None and not (good := np.isfinite(place)).all():
            cell, number = (int(index) for index in np.argwhere(~good)[0])
            raise BadModel(
                f"the place vector of cell {first + cell} holds {place[cell, number]} as its number {number + 1}: "
                "embed the grid again with pm25map grid embed"
            )


def summarize_members(estimates: FloatArray) -> FloatArray:
    """Return mean, standard deviation and count of the members.

    Args:
        estimates: float32 (cell, member), all finite.

    Returns:
        float32 (3, cell). The deviation is the sample's (ddof 1), and 0 of one member.
    """
    count = estimates.shape[1]
    values = estimates.astype(np.float64)
    mean = values.sum(axis=1) / count
    spread = np.sqrt(((values - mean[:, None]) ** 2).sum(axis=1) / max(count - 1, 1))
    return np.stack([mean, spread, np.full(len(mean), count)]).astype(np.float32)


def _padded(rows: FloatArray, size: int) -> FloatArray:
    """Fill up to `size` rows with zeros; return contiguous float32."""
    if len(rows) == size:
        return np.ascontiguousarray(rows, dtype=np.float32)
    out = np.zeros((size, *rows.shape[1:]), dtype=np.float32)
    out[: len(rows)] = rows
    return out
