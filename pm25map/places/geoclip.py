"""GeoCLIP's location encoder (Vivanco Cepeda et al. 2023), run by ONNX Runtime without torch."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel
from pm25map.base.files import sha256_of_bytes
from pm25map.base.onnx import import_onnxruntime
from pm25map.base.shipped import find_folder
from pm25map.places.encoder import Vectors, checked

CARD = "card.json"

BATCH = 1024
"""Places a call, always: the order of additions, and so the last bit, must not depend on the batch."""


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
        again = "Install pm25map again, or run: python -m pm25map.places.geoclip_export --out models/geoclip"
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
        self._session = open_network(network, threads)

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Give the vectors of some places; see LocationEncoder.encode."""
        north, east = checked(lat, lon)
        count = north.size
        places = np.zeros((-(-count // BATCH) * BATCH, 2), np.float32)
        places[:count, 0], places[:count, 1] = north, east
        out = np.empty((count, self.dimension), np.float32)
        for start in range(0, count, BATCH):
            (vectors,) = self._session.run(None, {"latlon": places[start : start + BATCH]})
            out[start : start + BATCH] = vectors[: count - start]
        return out


def open_network(network: bytes, threads: int, name: str = "GeoCLIP") -> Any:
    """Open an encoder's network in ONNX Runtime, on the CPU; `name` is for the error.

    Raises:
        BadModel: ONNX Runtime cannot read it.
        BadInstall: ONNX Runtime is absent or doubled.
    """
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    errors = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    try:
        return runtime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except (errors.InvalidProtobuf, errors.InvalidGraph, errors.Fail, errors.InvalidArgument) as error:
        reason = str(error).splitlines()[0][:160]
        raise BadModel(f"{name}'s network cannot be opened: {reason}. Update ONNX Runtime") from error
