"""The vision tower of an encoder trained on pairs: a patch becomes a vector beside those of places. No torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel, BadRaster, UnknownName
from pm25map.base.onnx import open_network
from pm25map.places.card import PatchTower, encoder_folder, read_card, read_network
from pm25map.places.location_encoder import Vectors

_PATCHES = 64
"""Patches a call."""


@dataclass(frozen=True)
class Standardization:
    """Mean and spread of every channel over the land learned from (channel,); what has no value becomes the mean."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]

    def of(self, raw: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Standardize patches (place, channel, y, x) for a tower: mean 0 and spread 1, NaN become the mean."""
        mean, spread = (np.array(part, np.float32)[:, None, None] for part in (self.mean, self.spread))
        return np.asarray(np.where(np.isnan(raw), 0.0, (raw - mean) / spread), np.float32)


class Vision:
    """The vision tower of one encoder. One thread at a time may use it.

    Attributes:
        name: of the encoder.
        card: what the encoder's card says of the tower.
        temperature: cosines divided by it are logits.
    """

    def __init__(self, name: str, card: PatchTower, network: bytes, threads: int = 1) -> None:
        """Open a network for patches, checked against its card.

        Raises:
            BadModel: ONNX Runtime cannot read it.
            BadInstall: ONNX Runtime is absent or doubled.
        """
        self.name, self.card, self.temperature = name, card, card.temperature
        self._standardization = Standardization(card.mean, card.spread)

        def refuse(reason: str) -> BadModel:
            return BadModel(f"the vision tower of {name} cannot be opened: {reason}. Update ONNX Runtime")

        self._session: Any = open_network(network, threads, refuse)

    def see(self, patches: npt.NDArray[np.float32]) -> Vectors:
        """Return the unit vectors of patches (patch, channel, y, x) as `RasterPairs.cut` or a file gives them."""
        return self.see_standardized(self._standardization.of(patches))

    def see_standardized(self, patches: npt.NDArray[np.float32]) -> Vectors:
        """Return the unit vectors of patches that are of mean 0 and spread 1 already, without NaN.

        Raises:
            BadRaster: a patch holds what is no number: a network may make a number of it.
            BadModel: the network gives what is no number.
        """
        if not np.isfinite(patches).all():
            raise BadRaster("a patch holds infinite values: look at its raster, and set them to its nodata")
        parts = [
            self._session.run(None, {"patch": patches[first : first + _PATCHES]})[0]
            for first in range(0, len(patches), _PATCHES)
        ]
        vectors = np.concatenate(parts)
        if not np.isfinite(vectors).all():
            raise BadModel(
                f"the vision tower of {self.name} gives no numbers: it is damaged. Export it again"
            )
        return unit(vectors)


def unit(vectors: Vectors) -> Vectors:
    """Scale vectors (place, d) to length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def open_vision(name: str, threads: int = 1) -> Vision:
    """Open the vision tower of an encoder by its shipped name or by the path of its folder.

    Raises:
        UnknownName: there is no such encoder, or it has no vision tower.
        BadModel: it is damaged.
        BadInstall: ONNX Runtime is absent or doubled.
    """
    folder = encoder_folder(name)
    if folder is None:
        raise UnknownName(
            f"{name!r} is no encoder with a vision tower: give places-open, geoclip, or a folder that pm25map "
            "places export wrote"
        )
    card = read_card(folder)
    if card.patch is None:
        raise UnknownName(
            f"the encoder {card.name} has no vision tower. Export it again from its run: pm25map lab places export"
        )
    network = read_network(folder / card.patch.file, card.patch.sha256)
    return Vision(card.name, card.patch, network, threads)
