"""How a field varies over the land of a grid: smoothing that stops at the shore, energy by wavelength, gradient per km.

Land has holes and shores, so nothing here is a plain Fourier transform: values off the land have no weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

CUTOFFS_KM = (45.0, 90.0, 200.0, 400.0)
"""Ends of the wavelength bands, km. GeoCLIP's finest capsule has its waves between 17 and 200 km, 5 % of them
below 28 and half below 56 (reference study); 10 km cells show none below 20 km."""

_HALF = np.sqrt(np.log(2) / 2) / np.pi
"""Standard deviation of the Gaussian that halves the height of a wave, in wavelengths: 0.187."""


@dataclass(frozen=True)
class SpectralProfile:
    """Energy of a field by wavelength.

    Attributes:
        cutoffs_km: ends of the bands: shorter than the first, between the first and the second, and so on;
            longer than the last.
        energy: (band,) mean square over the land, in squared units of the field; one more than cutoffs_km.
        gradient_per_km: mean length of the change over one km, over all leading axes together.
    """

    cutoffs_km: tuple[float, ...]
    energy: tuple[float, ...]
    gradient_per_km: float

    @property
    def share(self) -> tuple[float, ...]:
        """Share of the energy in each band; all zero for a constant field."""
        total = sum(self.energy)
        return tuple(part / total if total > 0 else 0.0 for part in self.energy)

    def share_below(self, km: float) -> float:
        """Share of the energy at wavelengths below one of the cutoffs."""
        return sum(self.share[: self.cutoffs_km.index(km) + 1])


def spectral_profile(
    field: npt.NDArray[np.floating],
    land: npt.NDArray[np.bool_],
    step_km: float,
    cutoffs_km: Sequence[float] = CUTOFFS_KM,
) -> SpectralProfile:
    """Split the variance of a field over the land by wavelength.

    The energy below a cutoff is that of the field less its low pass, a Gaussian that halves a wave of the
    cutoff's length. Ends of bands are soft: of a wave's energy, 25 % counts as shorter than its own length,
    88 % as shorter than twice, 3 % as shorter than half, 0.2 % as shorter than a quarter of it.

    Args:
        field: (..., y, x); leading axes, such as the numbers of a place vector, are added up.
        land: bool (y, x), where the field counts. NaN on land counts as no land.
        step_km: side of a cell.
        cutoffs_km: ends of the bands, rising.
    """
    layers = np.asarray(field, dtype=np.float32).reshape(-1, *land.shape)
    known = land & np.isfinite(layers).all(axis=0)
    below = np.zeros(len(cutoffs_km) + 1)
    gradient = np.zeros(land.shape)
    for layer in layers:
        for i, cutoff in enumerate(cutoffs_km):
            rest = layer - low_pass(layer, known, cutoff, step_km)
            below[i] += float(np.square(rest[known], dtype=np.float64).mean()) if known.any() else 0.0
        below[-1] += float(layer[known].var(dtype=np.float64)) if known.any() else 0.0
        gradient += np.nan_to_num(_squared_gradient(layer, known, step_km))
    energy = np.diff(np.maximum.accumulate(below), prepend=0.0)
    steep = float(np.sqrt(gradient)[known].mean()) if known.any() else 0.0
    return SpectralProfile(tuple(cutoffs_km), tuple(float(e) for e in energy), steep)


def low_pass(
    field: npt.NDArray[np.floating], land: npt.NDArray[np.bool_], cutoff_km: float, step_km: float
) -> npt.NDArray[np.float32]:
    """Keep what is longer than a cutoff: waves of its length are halved. As `masked_mean`."""
    return masked_mean(field, land, _HALF * cutoff_km / step_km)


def masked_mean(
    field: npt.NDArray[np.floating], land: npt.NDArray[np.bool_], sigma: float
) -> npt.NDArray[np.float32]:
    """Average with Gaussian weights over land alone (normalized convolution).

    Args:
        field: (y, x).
        land: bool (y, x): cells with a weight.
        sigma: standard deviation, in cells.

    Returns:
        float32 (y, x); NaN where no land is in reach.
    """
    on_land = np.where(land, field, 0.0).astype(np.float32)
    total = ndimage.gaussian_filter(on_land, sigma, mode="constant")
    weight = ndimage.gaussian_filter(land.astype(np.float32), sigma, mode="constant")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 1e-6, total / weight, np.nan).astype(np.float32)


def local_rms(
    field: npt.NDArray[np.floating], land: npt.NDArray[np.bool_], sigma: float
) -> npt.NDArray[np.float32]:
    """Root of the local mean square over land, as `masked_mean`."""
    return np.sqrt(np.maximum(masked_mean(np.square(np.where(land, field, 0.0)), land, sigma), 0.0))


def _squared_gradient(
    layer: npt.NDArray[np.float32], known: npt.NDArray[np.bool_], step_km: float
) -> npt.NDArray[np.float32]:
    """Square of the change over one km (y, x), from the neighbours to the south and east that are land."""
    squared = np.zeros(layer.shape, dtype=np.float32)
    for axis in (0, 1):
        change = np.diff(np.where(known, layer, np.nan), axis=axis) / step_km
        end = [slice(None), slice(None)]
        end[axis] = slice(None, -1)
        squared[tuple(end)] += np.nan_to_num(np.square(change))
    return np.where(known, squared, np.nan)
