"""The wavelength profile of an encoder over a grid, by the one function that the artifact diagnostics use too."""

from typing import TYPE_CHECKING

import numpy as np

from pm25map.base.errors import BadGrid
from pm25map.grid import Grid
from pm25map.grid.spectrum import spectral_profile
from pm25map.places.card import WavelengthProfile
from pm25map.places.location_encoder import LocationEncoder

if TYPE_CHECKING:
    import numpy.typing as npt

CUTOFFS_KM = (50.0, 100.0, 200.0, 500.0)

_NUMBERS = 16
"""Numbers of the vectors laid out as maps at once: memory."""


def profile_of(encoder: LocationEncoder, grid: Grid) -> WavelengthProfile:
    """Measure how the vectors vary over the land of a grid, all numbers of a vector together.

    Raises:
        BadGrid: the grid is not in metres.
    """
    step_km = float(abs(grid.step[0])) / 1000
    if step_km < 0.1:
        raise BadGrid(f"the grid {grid.name} is not in metres: give a projected one, such as conus-10km")
    lon, lat = grid.lonlat()
    vectors = encoder.encode(lat, lon)
    energy, squared_gradient = np.zeros(len(CUTOFFS_KM) + 1), 0.0
    for first in range(0, encoder.dimension, _NUMBERS):
        part = vectors[:, first : first + _NUMBERS].T
        field: npt.NDArray[np.float32] = np.zeros((len(part), *grid.shape), np.float32)
        field[:, grid.land] = part - part.mean(axis=1, keepdims=True)
        spectrum = spectral_profile(field, grid.land, step_km, CUTOFFS_KM)
        energy += spectrum.energy
        squared_gradient += spectrum.gradient_per_km**2
    total = float(energy.sum())
    share = energy / total if total > 0 else energy
    length = float(np.sqrt(squared_gradient / total)) if total > 0 else 0.0
    return WavelengthProfile(
        grid=grid.name,
        cutoffs_km=CUTOFFS_KM,
        share=tuple(float(f"{part:.3g}") for part in share),
        gradient_per_km=float(f"{length:.3g}"),
    )
