"""Real spherical harmonics at places on the sphere: a basis without seams or poles, as long as its degree says.

A wave of degree L is about 40,000 / L km long. Everything is float64 and takes no trigonometric function of a
multiple of the longitude: the powers of (x + iy) carry it, so nothing divides by the cosine of a latitude.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import UnknownName
from pm25map.base.files import sha256_of_bytes
from pm25map.grid.sphere import on_sphere
from pm25map.places.encoder import Vectors, checked

HIGHEST_DEGREE = 40

PREFIX = "harmonics-"

_PLACES = 4096
"""Worked on together: the basis of degree 40 takes 13 kB a place."""


@dataclass(frozen=True)
class Recurrence:
    """Constants of Q[l] = up[l] * z * Q[l-1] - back[l] * Q[l-2] + start[l], each (degree + 1, degree + 1) by l, m.

    Q[l, m] is the normalized associated Legendre function of degree l and order m divided by the m-th power
    of the cosine of the latitude, with the factor sqrt(2) of a real harmonic where m > 0, and without the
    Condon-Shortley phase.
    """

    up: npt.NDArray[np.float64]
    back: npt.NDArray[np.float64]
    start: npt.NDArray[np.float64]


def recurrence(degree: int) -> Recurrence:
    """Give the constants up to a degree (Holmes and Featherstone 2002, equations 11 and 12).

    Raises:
        UnknownName: the degree is not from 0 to HIGHEST_DEGREE.
    """
    if not 0 <= degree <= HIGHEST_DEGREE:
        raise UnknownName(
            f"no spherical harmonics of degree {degree}: give 0 to {HIGHEST_DEGREE}, such as {PREFIX}20"
        )
    ell, m = np.meshgrid(np.arange(degree + 1.0), np.arange(degree + 1.0), indexing="ij")
    below = ell > m
    square = np.where(below, ell**2 - m**2, 1.0)
    up = np.where(below, np.sqrt((4 * ell**2 - 1) / square, where=below, out=np.zeros_like(ell)), 0.0)
    last = np.maximum(ell - 1, 1)
    back = up * np.sqrt(np.maximum(last**2 - m**2, 0) / (4 * last**2 - 1)) * (ell > m + 1)
    order = np.arange(1.0, degree + 1)
    diagonal = np.sqrt(np.concatenate([[1.0], np.cumprod((2 * order + 1) / (2 * order))]) / (4 * np.pi))
    diagonal[1:] *= np.sqrt(2)
    return Recurrence(up, back, np.diag(diagonal))


def harmonics(lat: npt.ArrayLike, lon: npt.ArrayLike, degree: int) -> npt.NDArray[np.float64]:
    """Give the orthonormal real spherical harmonics of all degrees up to one.

    Args:
        lat: degrees north (place,).
        lon: degrees east (place,).
        degree: the highest, 0 to 40.

    Returns:
        float64 (place, (degree + 1)^2); column l^2 + l + m holds degree l and order m, a cosine of m times the
        longitude where m >= 0 and a sine of -m times it below.

    Raises:
        BadGrid: a coordinate is out of range.
        UnknownName: the degree is.
    """
    x, y, z = np.ascontiguousarray(on_sphere(*checked(lat, lon)).T)
    constants = recurrence(degree)
    powers = np.cumprod(
        np.concatenate([np.ones((1, x.size)), np.tile(x + 1j * y, (degree, 1))]), axis=0
    ).T  # complex (place, m)
    out = np.empty((x.size, (degree + 1) ** 2))
    before, now = np.zeros((2, x.size, degree + 1))
    for ell in range(degree + 1):
        before, now = now, constants.up[ell] * z[:, None] * now - constants.back[ell] * before
        now += constants.start[ell]
        middle = ell * ell + ell
        out[:, middle : middle + ell + 1] = now[:, : ell + 1] * powers.real[:, : ell + 1]
        out[:, middle - ell : middle] = (now[:, 1 : ell + 1] * powers.imag[:, 1 : ell + 1])[:, ::-1]
    return out


class Harmonics:
    """The harmonics up to a degree as an encoder; named harmonics-20 for degree 20."""

    def __init__(self, degree: int) -> None:
        """Take a degree, 0 to 40.

        Raises:
            UnknownName: it is out of range.
        """
        recurrence(degree)
        self.degree = degree
        self.name = f"{PREFIX}{degree}"
        self.dimension = (degree + 1) ** 2
        self.checksum = sha256_of_bytes(f"orthonormal real spherical harmonics to {degree}".encode())

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Give all harmonics of some places; see LocationEncoder.encode."""
        north, east = checked(lat, lon)
        out = np.empty((north.size, self.dimension), np.float32)
        for first in range(0, north.size, _PLACES):
            part = slice(first, first + _PLACES)
            out[part] = harmonics(north[part], east[part], self.degree)
        return out


def harmonics_named(name: str) -> Harmonics | None:
    """Give the encoder that a name such as harmonics-20 means; None for a name of another form.

    Raises:
        UnknownName: its degree is out of range.
    """
    match = re.fullmatch(re.escape(PREFIX) + r"(\d{1,4})", name)
    return Harmonics(int(match[1])) if match else None
