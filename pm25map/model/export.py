"""From a trained network to a model on disk: ONNX with its card inside and beside it, or nothing at all."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch

from pm25map.base.errors import ParityFailed
from pm25map.base.files import replacing
from pm25map.model.card import CARD_FILE, NETWORK_FILE, Model, ModelCard, Parity, write_card
from pm25map.model.network import Network
from pm25map.model.runtime import open_session

OPSET = 20
PARITY_WINDOWS = 10_000
PARITY_SCALED = 1e-4
"""Largest difference of torch and ONNX, in units of the target's standard deviation (about 9 ug m-3)."""


def to_onnx(network: Network, inputs: int, place: int, window_days: int) -> onnx.ModelProto:
    """Turn a network into an ONNX graph with inputs `window`, `place` (if any) and output `pm25`."""
    network.eval()
    example: tuple[torch.Tensor, ...] = (torch.zeros(2, window_days, inputs),)
    names = ["window"]
    if place:
        example += (torch.zeros(2, place),)
        names.append("place")
    cells = torch.export.Dim("cells", min=1, max=1 << 20)
    with warnings.catch_warnings():
        # The exporter warns of its own internals; what it makes is compared with the network below.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            example,
            input_names=names,
            output_names=["pm25"],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple({0: cells} for _ in names),
            verbose=False,
        )
    if program is None:
        raise ParityFailed("torch made no ONNX program of this network")
    graph = program.model_proto
    for node in graph.graph.node:
        # Stack traces of the exporting machine have no place in a file that travels.
        del node.metadata_props[:]
    return graph


def export_model(
    network: Network,
    card: ModelCard,
    windows: npt.NDArray[np.float32],
    place: npt.NDArray[np.float32] | None,
    folder: Path,
) -> Model:
    """Write a model: its network with the card inside, and the card beside it.

    Args:
        network: trained.
        card: of the model; parity, opset and checksum are filled in here.
        windows: float32 (cell, day, input), real ones, to compare torch and ONNX by.
        place: float32 (cell, d) of the same cells; None for a model without a place.
        folder: to write, whole or not at all.

    Raises:
        ParityFailed: the two differ by more than PARITY_SCALED; nothing is written.
    """
    graph = to_onnx(network, len(card.scaler.inputs), card.place.dimension, card.window_days)
    with replacing(folder) as part:
        part.mkdir()
        draft = card.model_copy(
            update={"opset": OPSET, "parity": Parity(windows=0, worst_scaled=0, worst_ugm3=0)}
        )
        model = _write(graph, draft, part)
        parity = measure_parity(network, model, windows, place)
        if not parity.worst_scaled <= PARITY_SCALED:
            raise ParityFailed(
                f"model {card.name} was not written: ONNX differs from torch by {parity.worst_scaled:.2g} scaled "
                f"units ({parity.worst_ugm3:.2g} ug/m3), more than {PARITY_SCALED:g}"
            )
        final = _write(graph, draft.model_copy(update={"parity": parity}), part)
    return Model(final.card, folder / NETWORK_FILE)


def _write(graph: onnx.ModelProto, card: ModelCard, folder: Path) -> Model:
    """Put the card into the graph and both into a folder."""
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {"card": card.identity(), "licence": card.licence})
    content = graph.SerializeToString(deterministic=True)
    (folder / NETWORK_FILE).write_bytes(content)
    card = card.model_copy(update={"network_checksum": hashlib.sha256(content).hexdigest()})
    write_card(card, folder / CARD_FILE)
    return Model(card, folder / NETWORK_FILE)


def measure_parity(
    network: Network,
    model: Model,
    windows: npt.NDArray[np.float32],
    place: npt.NDArray[np.float32] | None,
) -> Parity:
    """Compare torch and ONNX: on all windows, on windows with missing values, and on one window alone.

    A missing value is a zero where the predictor was, with its indicator set where the model has one.
    """
    card = model.card
    holes = windows.copy()
    holes[::7, ::3, :] = 0.0
    first_indicator = len(card.scaler.features)
    holes[::7, ::3, first_indicator:] = 1.0
    session = open_session(model, "cpu")
    worst = 0.0
    with torch.no_grad():
        for batch in (windows, holes, windows[:1]):
            spot = None if place is None else place[: len(batch)]
            ours = session.run(batch, spot)
            theirs = np.concatenate(
                [
                    network(
                        torch.from_numpy(batch[i : i + 512]),
                        None if spot is None else torch.from_numpy(spot[i : i + 512]),
                    ).numpy()
                    for i in range(0, len(batch), 512)
                ]
            )
            worst = max(worst, float(np.abs(ours - theirs).max()))
    return Parity(windows=len(windows), worst_scaled=worst / card.target_scale, worst_ugm3=worst)
