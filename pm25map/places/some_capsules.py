"""GeoCLIP with some of its three capsules left out: the finest paints most of its artifacts."""

import re

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import UnknownName
from pm25map.base.files import sha256_of_bytes, sha256_of_file
from pm25map.base.shipped import find_folder
from pm25map.places.capsules import SIGMAS, Capsules
from pm25map.places.card import About
from pm25map.places.geoclip import CARD, about_geoclip, write_geoclip
from pm25map.places.location_encoder import Vectors
from pm25map.places.network import BATCH

PREFIX = "geoclip-capsules-"


class SomeCapsules:
    """The sum of some of GeoCLIP's capsules; named geoclip-capsules-1-3 for the first and the third.

    Attributes:
        rows: of the capsules among all three, 0 the smoothest.
    """

    dimension = 512

    def __init__(self, numbers: tuple[int, ...]) -> None:
        """Take capsules by number, 1 to 3, the smoothest first.

        Raises:
            UnknownName: a number is none, or is given twice.
            BadModel: the shipped network is damaged.
            BadInstall: ONNX Runtime is absent or doubled.
        """
        if len(set(numbers)) != len(numbers) or not set(numbers) <= set(range(1, len(SIGMAS) + 1)):
            raise UnknownName(f"GeoCLIP has the capsules 1 to {len(SIGMAS)}, each once: not {numbers}")
        chosen = sorted(numbers)
        self.name = PREFIX + "-".join(map(str, chosen))
        self.rows = [number - 1 for number in chosen]
        folder = find_folder("models", "geoclip", CARD)
        networks = "".join(sha256_of_file(path) for path in sorted(folder.glob("*.onnx")))
        self.checksum = sha256_of_bytes(self.name.encode(), networks.encode())
        self._capsules = Capsules()

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Return the vectors of some places; see LocationEncoder.encode."""
        north, east = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
        out = np.empty((north.size, self.dimension), np.float32)
        # In parts, as all capsules of a place are three times what is kept.
        for first in range(0, max(north.size, 1), BATCH):
            part = slice(first, first + BATCH)
            out[part] = self._capsules.encode(north[part], east[part])[self.rows].sum(axis=0)
        return out

    def about(self) -> About:
        """See LocationEncoder.about."""
        return about_geoclip(self.name, "GeoCLIP's location encoder, the sum of some of its capsules")

    def network(self) -> bytes:
        """See HasNetwork.network."""
        return write_geoclip(self.rows)


def capsules_named(name: str) -> SomeCapsules | None:
    """Return the encoder of a name such as geoclip-capsules-1-3; None for a name of another form.

    Raises:
        UnknownName: a number is no capsule's.
        BadModel, BadInstall: as SomeCapsules.
    """
    match = re.fullmatch(re.escape(PREFIX) + r"(\d(?:-\d)*)", name)
    return SomeCapsules(tuple(int(n) for n in match[1].split("-"))) if match else None
