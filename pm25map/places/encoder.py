"""Location encoders: what turns the latitude and longitude of a place into the numbers a network gets."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadGrid, BadModel, UnknownName
from pm25map.base.files import sha256_of_bytes

ENCODERS = ("latlon", "sincos", "geoclip")
"""Names that `encoder` knows, beside harmonics-0 to harmonics-40 and the folders of trained encoders."""

Degrees = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]


class LocationEncoder(Protocol):
    """Turns places into vectors; every encoder takes latitude first.

    Attributes:
        name: one of ENCODERS, harmonics-N, or that of a trained encoder's card.
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
        """Give the vectors of some places.

        Args:
            lat: degrees north (place,).
            lon: degrees east (place,), west negative.

        Returns:
            float32 (place, dimension). A place's vector does not depend on the places beside it.

        Raises:
            BadGrid: a coordinate is out of range or not a number.
        """
        ...


class Latlon:
    """Latitude and longitude themselves, scaled to [-1, 1]."""

    name = "latlon"
    dimension = 2
    checksum = sha256_of_bytes(b"lat/90, lon/180")

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Give (lat/90, lon/180); see LocationEncoder.encode."""
        north, east = checked(lat, lon)
        return np.stack([north / 90, east / 180], axis=1).astype(np.float32)


class Sincos:
    """Sine and cosine of latitude and of longitude, so that 180 W and 180 E are one."""

    name = "sincos"
    dimension = 4
    checksum = sha256_of_bytes(b"sin lat, cos lat, sin lon, cos lon")

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Give (sin lat, cos lat, sin lon, cos lon); see LocationEncoder.encode."""
        north, east = (np.deg2rad(degrees) for degrees in checked(lat, lon))
        return np.stack([np.sin(north), np.cos(north), np.sin(east), np.cos(east)], axis=1).astype(np.float32)


def encoder(name: str, threads: int = 1) -> LocationEncoder:
    """Make an encoder ready.

    Args:
        name: one of ENCODERS; harmonics-N for spherical harmonics up to degree N; geoclip-capsules-1-3 for the
            sum of some of GeoCLIP's capsules, the smoothest first; a shipped encoder such as
            places-open, or the path of a folder that `pm25map lab places export` or `convert` wrote.
        threads: that a network may use; the others need none.

    Raises:
        UnknownName: no encoder has that name.
        BadModel: a network is damaged.
        BadInstall: a network is asked for without ONNX Runtime.
    """
    if name == "latlon":
        return Latlon()
    if name == "sincos":
        return Sincos()
    if name == "geoclip":
        # Imports encoder itself, and predicting without GeoCLIP must not need it.
        from pm25map.places.geoclip import Geoclip  # noqa: PLC0415

        return Geoclip(threads=threads)
    # As above: all of them import this file.
    from pm25map.places.harmonics import harmonics_named  # noqa: PLC0415
    from pm25map.places.some_capsules import capsules_named  # noqa: PLC0415
    from pm25map.places.trained import open_trained  # noqa: PLC0415

    made = harmonics_named(name) or capsules_named(name) or open_trained(name, threads)
    if made is None:
        raise UnknownName(
            f"unknown encoder {name!r}: there are {', '.join(ENCODERS)}, harmonics-20 (or another degree to 40), "
            "geoclip-capsules-1-3 (or others of its three), and folders that pm25map lab places export wrote"
        )
    return made


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
    """Give coordinates as float64 vectors of one length.

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
