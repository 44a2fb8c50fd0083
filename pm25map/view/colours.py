"""The colours of the Air Quality Index, shaded within each class so that its structure shows."""

import numpy as np
import numpy.typing as npt
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb

from pm25map.base.aqi import CATEGORIES, UPPER_ENDS, Category

SHADES = 24
"""Steps of colour within a class."""

_SHADING = {
    "Good": (0.62, 0.30),
    "Moderate": (0.55, 0.10),
    "Unhealthy for Sensitive Groups": (0.35, 0.0),
    "Unhealthy": (0.30, -0.12),
    "Very Unhealthy": (0.12, -0.18),
    "Hazardous": (0.0, -0.75),
}
"""Share of white (above zero) or black (below) in EPA's colour, at the low and the high end of each class.
Clean air is paler, so that the eye goes to the smoke."""

_HAZARDOUS_END = 500.0
"""ug m-3: where the darkest shade of the last class is reached."""


def colours() -> tuple[ListedColormap, BoundaryNorm]:
    """Give the colours of the index: within each class they darken from its low end to its high end.

    The class of a value is exact: the ends of classes are ends of colours.
    """
    ends = [0.0, *(end + 0.1 for end in UPPER_ENDS), _HAZARDOUS_END]
    edges: list[float] = []
    shades: list[npt.NDArray[np.float64]] = []
    for category, low, high in zip(CATEGORIES, ends[:-1], ends[1:], strict=True):
        edges.extend(np.linspace(low, high, SHADES, endpoint=False))
        shades.extend(shades_of(category))
    colormap = ListedColormap(shades)
    colormap.set_over(tuple(shades[-1]))
    colormap.set_under(tuple(shades[0]))
    colormap.set_bad((0, 0, 0, 0))
    return colormap, BoundaryNorm([*edges, _HAZARDOUS_END], colormap.N)


def shades_of(category: Category) -> list[npt.NDArray[np.float64]]:
    """Blend EPA's colour of a class with white, then with black: list of RGB, 0 to 1."""
    own = np.array(to_rgb(category.colour))
    shifts = np.linspace(*_SHADING[category.name], SHADES)
    return [own + (1 - own) * shift if shift > 0 else own * (1 + shift) for shift in shifts]
