"""A location encoder from a folder that `pm25map lab places export` or `convert` wrote, run without torch."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.places.card import About, encoder_folder, read_card, read_network
from pm25map.places.location_encoder import Vectors
from pm25map.places.network import EncoderNetwork


class TrainedEncoder:
    """An encoder of this package's own form. One thread at a time may use it.

    Attributes:
        name: of its card.
        dimension: numbers a place.
        checksum: SHA-256 of the network's file.
        card: what it is and how it was trained.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Open the network of a folder.

        Raises:
            BadModel: the folder is damaged.
            BadInstall: ONNX Runtime is absent or doubled.
        """
        self.card = read_card(folder)
        network = read_network(folder / self.card.file, self.card.sha256)
        self.name, self.dimension = self.card.name, self.card.dimension
        self.checksum = self.card.sha256
        self._network = EncoderNetwork(network, self.dimension, np.float64, threads=threads, name=self.name)

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Return the vectors of some places; see LocationEncoder.encode."""
        vectors: Vectors = self._network.run(lat, lon)[0]
        return vectors

    def about(self) -> About:
        """See LocationEncoder.about."""
        return About(**{one.name: getattr(self.card, one.name) for one in fields(About)})


def open_trained(name: str, threads: int = 1) -> TrainedEncoder | None:
    """Open an encoder by its shipped name or by the path of its folder; None where neither is one.

    Raises:
        BadModel: it is damaged.
        BadInstall: ONNX Runtime is absent or doubled.
    """
    folder = encoder_folder(name)
    return None if folder is None else TrainedEncoder(folder, threads)
