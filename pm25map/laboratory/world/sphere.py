"""Places drawn evenly over the sphere, and blocks of about one size that hold them."""

import math

import numpy as np
import numpy.typing as npt

from pm25map.grid.sphere import on_sphere

Degrees = npt.NDArray[np.float64]

EARTH_KM = 6371.0
"""Radius of the sphere."""

KM_A_DEGREE = 111.195
"""Of latitude, on this sphere."""


def distance_km(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return the great-circle distance between two places, km."""
    apart = float(np.linalg.norm(on_sphere(lat, lon) - on_sphere(other_lat, other_lon)))
    return 2 * EARTH_KM * math.asin(min(apart / 2, 1.0))


def even_places(
    rng: np.random.Generator, count: int, south: float = -90.0, north: float = 90.0
) -> tuple[Degrees, Degrees]:
    """Draw places evenly over the sphere between two latitudes: lat, lon in degrees (place,)."""
    low, high = np.sin(np.deg2rad([south, north]))
    return np.rad2deg(np.arcsin(rng.uniform(low, high, count))), rng.uniform(-180.0, 180.0, count)


class Blocks:
    """The sphere cut into blocks of about one area: bands of latitude, each cut along its length.

    Attributes:
        count: of blocks.
    """

    def __init__(self, side_deg: float) -> None:
        """Divide the sphere into blocks of a side, degrees of latitude."""
        bands = max(1, round(180 / side_deg))
        self._height = 180 / bands
        middle = -90 + self._height * (np.arange(bands) + 0.5)
        self._across = np.maximum(1, np.round(360 * np.cos(np.deg2rad(middle)) / self._height)).astype(int)
        self._first = np.concatenate([[0], np.cumsum(self._across)])
        self.count = int(self._first[-1])

    def of(self, lat: Degrees, lon: Degrees) -> npt.NDArray[np.int64]:
        """Return the number of the block of each place (place,)."""
        band = np.clip(((lat + 90) / self._height).astype(int), 0, len(self._across) - 1)
        across = self._across[band]
        along = np.minimum(((lon + 180) / 360 * across).astype(int), across - 1)
        return np.asarray(self._first[band] + along, np.int64)

    def chosen(self, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
        """Choose a share of the blocks at random: bool (block,)."""
        out = np.zeros(self.count, bool)
        order = np.random.default_rng([seed, 0xB10C]).permutation(self.count)
        out[order[: max(1, round(fraction * self.count))]] = True
        return out
