"""GeoCLIP's location encoder (Vivanco Cepeda et al. 2023), run by ONNX Runtime without torch."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.card_file import parse_card
from pm25map.base.errors import BadModel
from pm25map.base.files import sha256_of_bytes
from pm25map.base.shipped import find_folder
from pm25map.places.card import About, WavelengthProfile
from pm25map.places.location_encoder import INPUT, Vectors
from pm25map.places.network import EncoderNetwork

CARD = "card.json"

_AGAIN = "Install pm25map again"


def read_geoclip(folder: Path | None = None) -> tuple[dict[str, Any], bytes]:
    """Read the card of GeoCLIP and its network, which the card's checksum covers.

    Args:
        folder: holds card.json and the network; the shipped one where None.

    Raises:
        BadModel: the folder is damaged.
    """
    folder = folder or find_folder("models", "geoclip", CARD)
    try:
        card = parse_card((folder / CARD).read_bytes())
        int(card["dimension"])
        network = (folder / str(card["file"])).read_bytes()
        expected = str(card["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadModel(f"the encoder in {folder} is not whole: {error!r}. {_AGAIN}") from error
    if sha256_of_bytes(network) != expected:
        raise BadModel(f"{folder / card['file']} is damaged: its checksum is not that of {CARD}. {_AGAIN}")
    return card, network


class Geoclip:
    """512 numbers a place, learnt from where photos were taken. One thread at a time may use it.

    Its network is opened when a place is first embedded: a map whose places are in the cache needs only its checksum.

    Attributes:
        checksum: SHA-256 of the network's file.
    """

    name = "geoclip"

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        """Check the network's file against the card.

        Args:
            folder: holds card.json and the network; the shipped one where None.
            threads: of ONNX Runtime.

        Raises:
            BadModel: the folder is damaged.
        """
        card, _ = read_geoclip(folder)
        self.dimension, self.checksum = int(card["dimension"]), str(card["sha256"])
        self._folder, self._threads = folder, threads

    @functools.cached_property
    def _network(self) -> EncoderNetwork:
        network = read_geoclip(self._folder)[1]
        return EncoderNetwork(network, self.dimension, np.float32, threads=self._threads)

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Return the vectors of some places; see LocationEncoder.encode."""
        vectors: Vectors = self._network.run(lat, lon)[0]
        return vectors

    def about(self) -> About:
        """See LocationEncoder.about."""
        card = read_geoclip()[0]
        known = {name: float(card["parity"][f"{name}_relative_rms"]) for name in ("world", "conus")}
        return about_geoclip(
            self.name,
            "GeoCLIP's location encoder",
            parity=known,
            profile=WavelengthProfile.model_validate(card["profile"]),
        )

    def network(self) -> bytes:
        """See HasNetwork.network."""
        return write_geoclip()


def about_geoclip(name: str, description: str, **known: Any) -> About:
    """Return the texts of the shipped card, for GeoCLIP or a part of it; `known` are further fields of About."""
    card = read_geoclip()[0]
    words = {key: card[key] for key in ("licence", "citation", "source", "training_domain")}
    return About(name=name, description=description, seen=tuple(card["seen"]), **words, **known)


def write_geoclip(rows: Sequence[int] | None = None) -> bytes:
    """Write the shipped network with an input of float64 and, where only some capsules are requested, those alone.

    Args:
        rows: of the capsules among all three, 0 the smoothest; None for all.
    """
    import onnx  # noqa: PLC0415 - only where a network is written

    network = onnx.load(find_folder("models", "geoclip", CARD) / read_geoclip()[0]["file"])
    graph = network.graph
    if rows is not None:
        chosen = [graph.node[-1].input[row] for row in rows]
        del graph.node[-1].input[:]
        graph.node[-1].input.extend(chosen)
    narrow = f"{INPUT}_float32"
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == INPUT:
                node.input[i] = narrow
    graph.node.insert(0, onnx.helper.make_node("Cast", [INPUT], [narrow], to=onnx.TensorProto.FLOAT))
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    onnx.checker.check_model(network, full_check=True)
    content: bytes = network.SerializeToString(deterministic=True)
    return content
