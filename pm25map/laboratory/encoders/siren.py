"""A SIREN on spherical harmonics (Russwurm et al. 2023, arXiv 2310.06743), as numbers: no torch, no ONNX.

SatCLIP and the encoders that this package trains are of this form: harmonics, some layers with a sine, a last
layer without.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel
from pm25map.places.harmonics import HIGHEST_DEGREE, harmonics

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Siren:
    """Weights of a SIREN on harmonics; checked on creation.

    Attributes:
        weights: (out, in) of every layer; the first takes (degree + 1)^2 harmonics in the order of `harmonics`.
        biases: (out,) of every layer.
        frequencies: factor inside the sine of every layer but the last.
        precision: that the weights are meant for.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    frequencies: tuple[float, ...]
    precision: type[np.float32] | type[np.float64] = np.float32

    def __post_init__(self) -> None:
        """Check that the layers fit each other.

        Raises:
            BadModel: they do not, or hold what is not a number.
        """
        inputs = self.weights[0].shape[1]
        if (self.degree + 1) ** 2 != inputs or self.degree > HIGHEST_DEGREE:
            raise BadModel(
                f"a first layer of {inputs} inputs takes no whole set of spherical harmonics up to degree "
                f"{HIGHEST_DEGREE}. Give the weights of an encoder on harmonics"
            )
        fits = len(self.weights) == len(self.biases) == len(self.frequencies) + 1
        fits &= all(after.shape[1] == before.shape[0] for before, after in pairwise(self.weights))
        fits &= all(b.shape == w.shape[:1] for w, b in zip(self.weights, self.biases, strict=False))
        if not fits:
            shapes = ", ".join(str(w.shape) for w in self.weights)
            raise BadModel(f"the layers of a SIREN do not fit each other: {shapes}. Give whole weights")
        if not all(np.isfinite(values).all() for values in (*self.weights, *self.biases)):
            raise BadModel(
                "the weights of a SIREN hold what is not a number. Train it again, or fetch it again"
            )

    @property
    def degree(self) -> int:
        """The highest degree of the harmonics."""
        return round(float(np.sqrt(self.weights[0].shape[1]))) - 1

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.weights[-1].shape[0])

    def encode_exactly(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Encode places by the equations, float64 (place, dimension): the reference of an exported network."""
        hidden = harmonics(lat, lon, self.degree)
        for weight, bias, frequency in zip(
            self.weights[:-1], self.biases[:-1], self.frequencies, strict=True
        ):
            hidden = np.sin(frequency * (hidden @ weight.T.astype(np.float64) + bias))
        return hidden @ self.weights[-1].T.astype(np.float64) + self.biases[-1]
