"""An encoder's network in ONNX Runtime: some places in, their vectors out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel
from pm25map.base.onnx import open_network
from pm25map.places.location_encoder import checked

BATCH = 1024
"""Places a call, always: the order of additions, and so the last bit, must not depend on the batch."""


def open_encoder(content: bytes, threads: int, name: str) -> Any:
    """Open an encoder's network in ONNX Runtime, on the CPU; `name` is for the error.

    Raises:
        BadModel: ONNX Runtime cannot read it.
        BadInstall: ONNX Runtime is absent or doubled.
    """

    def refuse(reason: str) -> BadModel:
        return BadModel(f"{name}'s network cannot be opened: {reason}. Update ONNX Runtime")

    return open_network(content, threads, refuse)


class EncoderNetwork:
    """An encoder's network, on the CPU. One thread at a time may use it."""

    def __init__(
        self,
        content: bytes,
        dimension: int,
        dtype: type[np.float32] | type[np.float64],
        *,
        threads: int = 1,
        name: str = "GeoCLIP",
        outputs: Sequence[str] = ("vector",),
    ) -> None:
        """Open a network.

        Args:
            content: ONNX; its input is latlon (place, 2) in degrees.
            dimension: length of a vector.
            dtype: of its input.
            threads: of ONNX Runtime.
            name: of the encoder, for the error.
            outputs: names of those to return, each float32 (place, dimension).

        Raises:
            BadModel: ONNX Runtime cannot read it.
            BadInstall: ONNX Runtime is absent or doubled.
        """
        self._session = open_encoder(content, threads, name)
        self._name, self._dimension, self._dtype, self._outputs = name, dimension, dtype, list(outputs)

    def run(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return float32 (output, place, dimension) of places; see LocationEncoder.encode.

        Raises:
            BadModel: the network returns something that is not a number.
            BadGrid: a coordinate is out of range or not a number.
        """
        north, east = checked(lat, lon)
        count = north.size
        places = np.zeros((-(-count // BATCH) * BATCH, 2), self._dtype)
        places[:count, 0], places[:count, 1] = north, east
        out = np.empty((len(self._outputs), count, self._dimension), np.float32)
        for start in range(0, count, BATCH):
            results = self._session.run(self._outputs, {"latlon": places[start : start + BATCH]})
            for row, vectors in zip(out, results, strict=True):
                row[start : start + BATCH] = vectors[: count - start]
        good = np.isfinite(out).all(axis=(0, 2))
        if not good.all():
            first = int(np.argmin(good))
            raise BadModel(
                f"the encoder {self._name} gives no number at latitude {north[first]:g}, longitude {east[first]:g}: "
                "its network is damaged. Export or fetch it again"
            )
        return out
