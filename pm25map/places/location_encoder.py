"""What a location encoder is: it turns the latitude and longitude of a place into the numbers a network gets."""

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadGrid, BadModel
from pm25map.places.card import About

Degrees = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

INPUT, OUTPUT = "latlon", "vector"
"""Of the network of every encoder."""


class LocationEncoder(Protocol):
    """Turns places into vectors; every encoder takes latitude first.

    Attributes:
        name: by which `places.catalogue.encoder` opens it.
        dimension: length of a vector.
        checksum: SHA-256 of what decides the vectors, in hexadecimal digits.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class

    @property
    def dimension(self) -> int: ...  # noqa: D102

    @property
    def checksum(self) -> str: ...  # noqa: D102

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Return the vectors of some places.

        Args:
            lat: degrees north (place,).
            lon: degrees east (place,), west negative.

        Returns:
            float32 (place, dimension). A place's vector does not depend on the places beside it.

        Raises:
            BadGrid: a coordinate is out of range or not a number.
        """
        ...

    def about(self) -> About:
        """Return the card of the encoder: what it is, its source, and where it was trained."""
        ...


@runtime_checkable
class HasNetwork(Protocol):
    """An encoder that can be written as an ONNX network."""

    def network(self) -> bytes:
        """Write the network: latlon float64 (place, 2) in degrees, latitude first; vector float32 (place, d)."""
        ...


def stored_vectors(
    encoder: LocationEncoder, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64], first: int = 0
) -> npt.NDArray[np.float16]:
    """Encode places as a place store holds them; what is trained on vectors sees the same rounding.

    Args:
        encoder: that makes the vectors.
        lat, lon: degrees (place,).
        first: number of the first place, for the error.

    Returns:
        Little-endian float16 (place, dimension), all finite.

    Raises:
        BadModel: the encoder gives what is no number, or a number that float16 cannot hold.
        BadGrid: a coordinate is out of range or not a number.
    """
    vectors = encoder.encode(lat, lon)
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(vectors, np.dtype("<f2"))
    good = np.isfinite(stored)
    if not good.all():
        place, number = (int(index) for index in np.argwhere(~good)[0])
        value = vectors[place, number]
        if np.isfinite(value):
            why = f"a place store holds at most {np.finfo(np.float16).max:,.0f}. Scale its vectors, and"
        else:
            why = "that is no number. Train it again, and"
        raise BadModel(
            f"the encoder {encoder.name} gives {value:g} as number {number + 1} of {vectors.shape[1]} for cell "
            f"{first + place} (latitude {lat[place]:.4f}, longitude {lon[place]:.4f}), and {why} export it again"
        )
    return stored


def checked(lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[Degrees, Degrees]:
    """Return checked coordinates as float64 vectors of one length.

    Raises:
        BadGrid: they are out of range, not numbers, or of two lengths.
    """
    north, east = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
    if north.ndim != 1 or north.shape != east.shape:
        raise BadGrid(
            f"latitudes {north.shape} and longitudes {east.shape} must be two vectors of one length"
        )
    # A comparison with NaN is false: what is not a number falls out here too.
    good = (np.abs(north) <= 90) & (np.abs(east) <= 180)
    if not good.all():
        first = int(np.argmin(good))
        raise BadGrid(
            f"no place on Earth: latitude {north[first]:g}, longitude {east[first]:g} (number {first}). "
            "Give degrees, latitude first; latitude and longitude may be swapped"
        )
    return north, east
