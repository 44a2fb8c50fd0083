"""GeoCLIP's location encoder (Vivanco Cepeda et al. 2023), run by ONNX Runtime without torch."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel
from pm25map.base.files import sha256_of_bytes
from pm25map.base.shipped import find_folder
from pm25map.places.encoder import Vectors
from pm25map.places.network import Network

CARD = "card.json"


class Geoclip:
    """512 numbers a place, learnt from where photos were taken. One thread at a time may use it.

    Attributes:
        checksum: SHA-256 of the network's file.
    """

    name = "geoclip"

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        """Open the network.

        Args:
            folder: holds card.json and the network; the shipped one where None.
            threads: of ONNX Runtime.

        Raises:
            BadModel: the folder is damaged.
            BadInstall: ONNX Runtime is absent or doubled.
        """
        folder = folder or find_folder("models", "geoclip", CARD)
        again = "Install pm25map again"
        try:
            card = json.loads((folder / CARD).read_bytes())
            self.dimension = int(card["dimension"])
            network = (folder / card["file"]).read_bytes()
            expected = card["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadModel(f"the encoder in {folder} is not whole: {error!r}. {again}") from error
        self.checksum = sha256_of_bytes(network)
        if self.checksum != expected:
            raise BadModel(f"{folder / card['file']} is damaged: its checksum is not that of {CARD}. {again}")
        self._network = Network(network, self.dimension, np.float32, threads=threads)

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Give the vectors of some places; see LocationEncoder.encode."""
        vectors: Vectors = self._network.run(lat, lon)[0]
        return vectors
