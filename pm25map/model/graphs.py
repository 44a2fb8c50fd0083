"""Add to a model on disk the graph that other engines run best, with its parity: no torch is needed."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from pm25map.base.errors import ParityFailed
from pm25map.base.files import replacing, sha256_of_file
from pm25map.model.card import (
    CARD_FILE,
    NETWORK_FILE,
    UNROLLED_FILE,
    GraphRecord,
    Model,
    Parity,
    load_model,
    write_card,
)
from pm25map.model.runtime import open_session
from pm25map.model.unroll import unroll
from pm25map.places.store import PlaceStore
from pm25map.predictors.reader import Predictors
from pm25map.windows.window import block_window

UNROLLED = "unrolled"

PARITY_UGM3 = 1e-2
"""Largest difference of two graphs of one network: rounding of float32, at the highest concentrations."""


def add_unrolled(
    folder: Path, windows: npt.NDArray[np.float32], place: npt.NDArray[np.float32] | None
) -> Model:
    """Write the unrolled graph of a model into its folder, and its record into the card.

    Args:
        folder: of model.onnx and card.json; other files there stay.
        windows: float32 (cell, day, input), to compare the graphs by: real ones, or like real ones.
        place: float32 (cell, d) of the same cells; None for a model without a place.

    Raises:
        BadModel: the network is not one that can be unrolled.
        ParityFailed: the graphs differ by more than PARITY_UGM3; nothing is written.
    """
    model = load_model(str(folder))
    with replacing(folder) as part:
        shutil.copytree(folder, part)
        written = write_unrolled(Model(model.card, part / NETWORK_FILE), windows, place)
    return Model(written.card, folder / NETWORK_FILE)


def write_unrolled(
    model: Model, windows: npt.NDArray[np.float32], place: npt.NDArray[np.float32] | None
) -> Model:
    """Write the unrolled graph beside a network that is not in use yet. Otherwise as `add_unrolled`."""
    folder = model.network.parent
    graph = unroll(onnx.load(model.network))
    (folder / UNROLLED_FILE).write_bytes(graph.SerializeToString(deterministic=True))
    none = Parity(windows=0, worst_scaled=0, worst_ugm3=0)
    record = GraphRecord(file=UNROLLED_FILE, checksum=sha256_of_file(folder / UNROLLED_FILE), parity=none)
    card = model.card.model_copy(update={"graphs": {UNROLLED: record}})
    parity = compare_graphs(Model(card, model.network), windows, place)
    if not parity.worst_ugm3 <= PARITY_UGM3:
        raise ParityFailed(
            f"the unrolled graph of {card.name} was not written: it differs from model.onnx by "
            f"{parity.worst_ugm3:.2g} ug/m3, more than {PARITY_UGM3:g}. Export the model again"
        )
    graphs = {UNROLLED: record.model_copy(update={"parity": parity})}
    card = card.model_copy(update={"graphs": graphs})
    write_card(card, folder / CARD_FILE)
    return Model(card, model.network)


def sample_windows(
    model: Model, predictors: Predictors, places: PlaceStore | None, cells: int = 10_000
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Read real windows from a store of predictors, of its last day and of land cells all over the grid.

    Returns:
        float32 (cell, day, input); float32 (cell, d), or None for a model without a place.
    """
    grid = predictors.grid
    index = grid.land_index()
    every = max(1, -(-grid.cell_count // cells))
    windows, spots = [], []
    for block in grid.blocks():
        chosen = grid.land[block.slices] & (index[block.slices] % every == 0)
        if not chosen.any():
            continue
        windows.append(
            block_window(
                predictors, model.card.scaler, predictors.days[-1], block, chosen, model.card.window_days
            )
        )
        if places is not None:
            spots.append(places.read(index[block.slices][chosen]))
    return np.concatenate(windows), np.concatenate(spots) if places is not None else None


def compare_graphs(
    model: Model, windows: npt.NDArray[np.float32], place: npt.NDArray[np.float32] | None
) -> Parity:
    """Compare the two graphs of a model on some windows, both run by ONNX Runtime on the CPU."""
    stock = open_session(model, "cpu").estimate(windows, place)
    other = open_session(model, "cpu", engine="onnxruntime-unrolled").estimate(windows, place)
    worst = float(np.abs(stock - other).max())
    return Parity(windows=len(windows), worst_scaled=worst / model.card.target_scale, worst_ugm3=worst)
