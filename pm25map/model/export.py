"""Export of a trained network to a model on disk: ONNX with its card inside and beside it, or nothing at all."""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch

from pm25map.base.errors import BadModel, ParityFailed
from pm25map.base.files import replacing
from pm25map.model.card import CARD_FILE, NETWORK_FILE, Model, ModelCard, Parity, write_card
from pm25map.model.ensemble import check_members, common_scaler, merge_members, to_common
from pm25map.model.graphs import write_unrolled
from pm25map.model.network import Network
from pm25map.model.run_folder import TrainedRun
from pm25map.model.runtime import open_session

OPSET = 20
PARITY_WINDOWS = 10_000
GRAPH_WINDOWS = 1_000
"""Windows that the unrolled graph is compared with model.onnx by."""

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
        # The exporter warns of its own internals; its graph is compared with the network below.
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
    """Write a model: its network with the card inside, its unrolled graph, and the card beside them.

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
        model = write_network(graph, draft, part)
        parity = measure_parity(network, model, windows, place)
        if not parity.worst_scaled <= PARITY_SCALED:
            raise ParityFailed(
                f"model {card.name} was not written: ONNX differs from torch by {parity.worst_scaled:.2g} scaled "
                f"units ({parity.worst_ugm3:.2g} ug/m3), more than {PARITY_SCALED:g}"
            )
        written = write_network(graph, draft.model_copy(update={"parity": parity}), part)
        few = slice(GRAPH_WINDOWS)
        final = write_unrolled(written, windows[few], None if place is None else place[few])
    return Model(final.card, folder / NETWORK_FILE)


def export_members(runs: Sequence[TrainedRun], name: str, version: str, folder: Path) -> Model:
    """Write several trained runs as one model whose network returns the estimates of every member.

    Args:
        runs: of pm25map train, as load_run reads them; same features, window, place and grid.
        name, version: of the model.
        folder: to write, whole or not at all.

    Raises:
        BadModel: the runs do not fit together.
        ParityFailed: a member differs from its torch network by more than PARITY_SCALED; nothing is written.
    """
    runs_metadata = [run[0] for run in runs]
    common = common_scaler([metadata.scaler for metadata in runs_metadata])
    check_members(runs_metadata)
    first = runs_metadata[0].draft_card(version)
    graphs = [
        to_onnx(network, len(metadata.scaler.inputs), metadata.place.dimension, first.window_days)
        for metadata, network, _, _ in runs
    ]
    merged = merge_members(graphs, [metadata.scaler for metadata in runs_metadata], common)
    draft = first.model_copy(
        update={
            "name": name,
            "opset": OPSET,
            "scaler": common,
            "units": {feature: first.units[feature] for feature in common.features},
            "members": tuple(metadata.record for metadata in runs_metadata),
        }
    )
    with replacing(folder) as part:
        part.mkdir()
        model = write_network(merged, draft, part)
        parity = _members_parity(runs, model)
        if not parity.worst_scaled <= PARITY_SCALED:
            raise ParityFailed(
                f"model {name} was not written: a member differs from torch by {parity.worst_scaled:.2g} scaled "
                f"units ({parity.worst_ugm3:.2g} ug/m3), more than {PARITY_SCALED:g}"
            )
        written = write_network(merged, draft.model_copy(update={"parity": parity}), part)
        _, _, windows, place = runs[0]
        few = slice(GRAPH_WINDOWS)
        scaled_windows = to_common(windows[few], runs_metadata[0].scaler, common)
        final = write_unrolled(written, scaled_windows, None if place is None else place[few])
    return Model(final.card, folder / NETWORK_FILE)


def _members_parity(runs: Sequence[TrainedRun], model: Model) -> Parity:
    """Compare every member with its torch network, each on the windows of its own run."""
    session = open_session(model, "cpu")
    worst, count = [0.0], 0
    for number, (metadata, network, windows, place) in enumerate(runs):
        ours = session.estimate_members(to_common(windows, metadata.scaler, model.card.scaler), place)
        worst.append(float(np.abs(ours[:, number] - _torch(network, windows, place)).max()))
        count += len(windows)
    return _parity(count, worst, model.card)


def _torch(
    network: Network, windows: npt.NDArray[np.float32], place: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """Run a network under torch, 512 cells at a time."""
    with torch.no_grad():
        parts = [
            network(
                torch.from_numpy(windows[i : i + 512]),
                None if place is None else torch.from_numpy(place[i : i + 512]),
            ).numpy()
            for i in range(0, len(windows), 512)
        ]
    out: npt.NDArray[np.float32] = np.concatenate(parts)
    return out


def write_network(graph: onnx.ModelProto, card: ModelCard, folder: Path) -> Model:
    """Write a network with its card inside, and the card beside it.

    Raises:
        BadModel: a weight is not finite. Some engines would compute a plausible number from it.
    """
    for item in graph.graph.initializer:
        weights = onnx.numpy_helper.to_array(item)
        if weights.dtype.kind == "f" and not np.isfinite(weights).all():
            raise BadModel(
                f"the network of {card.name} holds what is no number in {item.name}: train it again"
            )
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
    worst = []
    for batch in (windows, holes, windows[:1]):
        spot = None if place is None else place[: len(batch)]
        theirs = _torch(network, batch, spot)
        worst.append(float(np.abs(session.run(batch, spot) - theirs).max()))
    return _parity(len(windows), worst, card)


def _parity(windows: int, differences: Sequence[float], card: ModelCard) -> Parity:
    """Return the largest difference; NaN where any is NaN, which Python's max would pass over."""
    worst = float(np.max(differences))
    return Parity(windows=windows, worst_scaled=worst / card.target_scale, worst_ugm3=worst)
