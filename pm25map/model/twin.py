"""A network that estimates twice in one run: with the place of a cell, and with a neutral place beside it.

Where the place joins late (GeoCLIP), all of the work on the 21 days is shared and the second estimate costs
next to nothing. Predicting does without the onnx package: the network's file is extended as bytes
(pm25map.base.wire).
"""

from pathlib import Path
from typing import Any

import numpy as np

from pm25map.base.errors import BadModel
from pm25map.base.wire import BYTES, Field, fields_of, written
from pm25map.model.card import ModelCard
from pm25map.model.engines.session import (
    BANDS_MEMBERS,
    BANDS_PLAIN,
    BatchedSession,
    FloatArray,
    summarize_members,
)

NEUTRAL_INPUT, NEUTRAL_OUTPUT = "neutral_place", "pm25_neutral_place"

_SUFFIX = "/neutral"

# Field numbers of onnx.proto (ONNX IR).
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME = 1, 2, 3
_VALUE_NAME = 1


class TwinSession:
    """A model that estimates every cell twice: a Session (see engines.session) with one more band, NEUTRAL_OUTPUT.

    It takes places (cell, 2 d): the vector of the place, then that of its neutral place. The bands before the last
    have the very bits of a plain session: calls are cut and padded alike. The last is the mean of the members.
    """

    engine = "onnxruntime"
    cells_a_call = BatchedSession.cells_a_call

    def __init__(self, card: ModelCard, inference: Any) -> None:
        self.card = card
        self.bands: tuple[str, ...] = (*(BANDS_MEMBERS if card.members else BANDS_PLAIN), NEUTRAL_OUTPUT)
        self.provider: str = inference.get_providers()[0]
        self._inference = inference

    def run(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Estimate PM2.5 of any number of cells: float32 (cell,), ug m-3."""
        own: FloatArray = self.estimate(window, place)[0]
        return own

    def estimate(self, window: FloatArray, place: FloatArray | None) -> FloatArray:
        """Estimate all bands of any number of cells: float32 (band, cell), ug m-3.

        Raises:
            BadModel: a shape is not the card's, or the network gives what is no number.
        """
        card, width = self.card, self.card.place.dimension
        expected = (card.window_days, len(card.scaler.inputs))
        if window.shape[1:] != expected or place is None or place.shape != (len(window), 2 * width):
            raise BadModel(
                f"model {card.name} reads {expected} days and inputs and 2 x {width} numbers a place, "
                f"not {window.shape[1:]} and {None if place is None else place.shape}"
            )
        out = np.empty((len(self.bands), len(window)), dtype=np.float32)
        for start in range(0, len(window), self.cells_a_call):
            rows = slice(start, start + self.cells_a_call)
            count = len(window[rows])
            short = -count % BatchedSession.quantum
            days = np.pad(window[rows], ((0, short), (0, 0), (0, 0)))
            spots = np.pad(place[rows], ((0, short), (0, 0)))
            feeds = {"window": days, "place": spots[:, :width], NEUTRAL_INPUT: spots[:, width:]}
            feeds = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in feeds.items()}
            own, neutral = self._inference.run(None, feeds)
            if card.members:
                own, neutral = summarize_members(own), summarize_members(neutral)[:1]
            out[:, rows] = np.vstack([own, neutral])[:, :count]
        if not np.isfinite(out).all():
            raise BadModel(
                f"model {card.name} gave values that are no numbers. Export or fetch the model again"
            )
        return out


def twin_of(network: Path) -> bytes:
    """Extend a network by a second place and a second estimate.

    Args:
        network: model.onnx, with the inputs window and place and one output, (cell,) or (cell, member).

    Returns:
        The network with one more input, NEUTRAL_INPUT, shaped as the place, and one more output,
        NEUTRAL_OUTPUT: what the network gives for the same window at that place.

    Raises:
        BadModel: the file is no network, or takes no place.
    """
    content = network.read_bytes()
    try:
        graph = next(value for number, _, value in fields_of(content) if number == _MODEL_GRAPH)
        delta = _second_branch(list(fields_of(graph)))
    except (ValueError, IndexError, StopIteration) as error:
        raise BadModel(
            f"{network} is no readable network with a place: {error}. Export or fetch the model again"
        ) from error
    return content + written((_MODEL_GRAPH, BYTES, delta))


def _second_branch(graph: list[Field]) -> bytes:
    """Copy every node that the place reaches, under other names."""
    inputs = [value for number, _, value in graph if number == _GRAPH_INPUT]
    (place,) = [value for value in inputs if _name(value) == b"place"]
    (output,) = [value for number, _, value in graph if number == _GRAPH_OUTPUT]
    renamed = {b"place": NEUTRAL_INPUT.encode()}
    parts = [(_GRAPH_INPUT, BYTES, _renamed_value(place, NEUTRAL_INPUT.encode()))]
    for node in (value for number, _, value in graph if number == _GRAPH_NODE):
        fields = list(fields_of(node))
        if any(number == _NODE_INPUT and value in renamed for number, _, value in fields):
            outputs = [value for number, _, value in fields if number == _NODE_OUTPUT and value]
            renamed |= {name: name + _SUFFIX.encode() for name in outputs}
            parts.append((_GRAPH_NODE, BYTES, b"".join(written(f) for f in _renamed_node(fields, renamed))))
    last = _name(output)
    if last not in renamed:
        raise ValueError("its estimate does not depend on the place")
    # The copy of the last node is the new output: it takes the output's name.
    before, after = renamed[last], NEUTRAL_OUTPUT.encode()
    number, wire, node = parts[-1]
    closing = _renamed_node(list(fields_of(node)), {before: after})
    parts[-1] = (number, wire, b"".join(written(f) for f in closing))
    parts.append((_GRAPH_OUTPUT, BYTES, _renamed_value(output, after)))
    return b"".join(written(part) for part in parts)


def _renamed_node(fields: list[Field], names: dict[bytes, bytes]) -> list[Field]:
    touched = []
    for number, wire, value in fields:
        if number in (_NODE_INPUT, _NODE_OUTPUT):
            touched.append((number, wire, names.get(value, value)))
        elif number == _NODE_NAME:
            touched.append((number, wire, value + _SUFFIX.encode()))
        else:
            touched.append((number, wire, value))
    return touched


def _renamed_value(value: bytes, name: bytes) -> bytes:
    fields = [(n, wire, name if n == _VALUE_NAME else old) for n, wire, old in fields_of(value)]
    return b"".join(written(field) for field in fields)


def _name(value: bytes) -> bytes:
    return next(content for number, _, content in fields_of(value) if number == _VALUE_NAME)
