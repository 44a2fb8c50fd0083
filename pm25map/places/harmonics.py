"""Real spherical harmonics at places on the sphere: a basis without seams or poles, of any degree.

A wave of degree L is about 40,000 / L km long. Everything is float64 and takes no trigonometric function of a
multiple of the longitude: the powers of (x + iy) carry it, so nothing divides by the cosine of a latitude.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import UnknownName
from pm25map.base.files import sha256_of_bytes
from pm25map.grid.sphere import on_sphere
from pm25map.places.card import About
from pm25map.places.formulas import about_formula, write_formula
from pm25map.places.location_encoder import INPUT, Vectors, checked

if TYPE_CHECKING:
    from pm25map.places.onnx_graph import OnnxGraph

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
    """Return the constants of the recursion up to a degree (Holmes and Featherstone 2002, equations 11 and 12).

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
    """Return the orthonormal real spherical harmonics of all degrees up to one.

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
        """Return all harmonics of some places; see LocationEncoder.encode."""
        north, east = checked(lat, lon)
        out = np.empty((north.size, self.dimension), np.float32)
        for first in range(0, north.size, _PLACES):
            part = slice(first, first + _PLACES)
            out[part] = harmonics(north[part], east[part], self.degree)
        return out

    def about(self) -> About:
        """See LocationEncoder.about."""
        return about_formula(
            self.name,
            f"real orthonormal spherical harmonics up to degree {self.degree}",
            "Russwurm et al. 2023 (arXiv 2310.06743); Holmes and Featherstone 2002, J. Geodesy 76, 279-299",
        )

    def network(self) -> bytes:
        """See HasNetwork.network."""

        def in_order(graph: "OnnxGraph") -> str:
            mixed, columns = add_harmonics(graph, self.degree)
            return graph.op("Gather", mixed, graph.array(np.argsort(columns), np.int64), axis=1)

        return write_formula(self.name, self.dimension, in_order)


def harmonics_named(name: str) -> Harmonics | None:
    """Return the encoder of a name such as harmonics-20; None for a name of another form.

    Raises:
        UnknownName: its degree is out of range.
    """
    match = re.fullmatch(re.escape(PREFIX) + r"(\d{1,4})", name)
    return Harmonics(int(match[1])) if match else None


def add_harmonics(graph: "OnnxGraph", degree: int) -> tuple[str, npt.NDArray[np.int64]]:
    """Add the harmonics; give their name and, for each of its columns, the column of `harmonics` it is."""
    # Numbers of shape (1,), not scalars: shipped networks are so, and the same weights must give the same bytes.
    radians = graph.op("Mul", INPUT, graph.array([np.pi / 180]))
    north, east = graph.columns(radians, 0, 1), graph.columns(radians, 1, 2)
    quarter = graph.array([np.pi / 2])  # ONNX Runtime has no cosine in float64 everywhere
    level = graph.op("Sin", graph.op("Add", north, quarter))
    z = graph.op("Sin", north)
    x = graph.op("Mul", level, graph.op("Sin", graph.op("Add", east, quarter)))
    y = graph.op("Mul", level, graph.op("Sin", east))
    nothing = graph.op("Mul", z, graph.array([0.0]))
    one = graph.op("Add", nothing, graph.array([1.0]))
    real, imaginary = [one], [nothing]
    for _ in range(degree):
        before = real[-1], imaginary[-1]
        real.append(graph.op("Sub", graph.op("Mul", before[0], x), graph.op("Mul", before[1], y)))
        imaginary.append(graph.op("Add", graph.op("Mul", before[0], y), graph.op("Mul", before[1], x)))
    cosines, sines = graph.op("Concat", *real, axis=1), graph.op("Concat", *imaginary, axis=1)
    constants = recurrence(degree)
    before_last = last = graph.op("Mul", cosines, graph.array([0.0]))
    parts: list[str] = []
    columns: list[int] = []
    for ell in range(degree + 1):
        up = graph.op("Mul", graph.op("Mul", last, z), graph.array(constants.up[ell]))
        back = graph.op("Mul", before_last, graph.array(constants.back[ell]))
        now = graph.op("Add", graph.op("Sub", up, back), graph.array(constants.start[ell]))
        before_last, last = last, now
        middle = ell * ell + ell
        parts.append(graph.columns(graph.op("Mul", now, cosines), 0, ell + 1))
        columns.extend(range(middle, middle + ell + 1))
        if ell:
            parts.append(graph.columns(graph.op("Mul", now, sines), 1, ell + 1))
            columns.extend(range(middle - 1, middle - ell - 1, -1))
    return graph.op("Concat", *parts, axis=1), np.array(columns)
