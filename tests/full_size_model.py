"""Make a model of the reference's full size, untrained, to measure how long its map takes.

Try: python tests/full_size_model.py full-size && pm25map predict --model full-size --date 2020-09-12 --out a.tif
"""

import sys
from pathlib import Path

import numpy as np
import torch

from pm25map.model.card import NetworkShape, load_model
from pm25map.model.export import export_model
from pm25map.model.train import build_network


def main(folder: Path) -> None:
    """Write the model: the shipped one's inputs and place, widths 256/128/128."""
    card = load_model("conus-open").card
    shape = NetworkShape()
    torch.manual_seed(0)
    network = build_network(shape, card.scaler, card.place.encoder, card.place.dimension, card.target_scale)
    with torch.no_grad():
        # A fresh head answers to nothing: of engines that differ before it, no difference would be seen.
        for parameter in network.head.parameters():
            parameter.normal_(0, 0.3)
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(300, card.window_days, len(card.scaler.inputs))).astype(np.float32)
    places = rng.normal(size=(300, card.place.dimension)).astype(np.float32)
    named = card.model_copy(update={"name": "full-size", "network": shape, "scores": None, "graphs": {}})
    export_model(network.eval(), named, windows, places, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
