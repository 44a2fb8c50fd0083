"""The colours of the Air Quality Index, shaded within each class so that its structure shows."""

from typing import Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colors import BoundaryNorm, ListedColormap, to_hex, to_rgb

from pm25map.base.aqi import CATEGORIES, Category

Palette = Literal["epa", "safe"]
"""EPA's own colours, or colours that people with a colour vision deficiency tell apart as well."""

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


_SAFE = "magma_r"
"""From pale to black, evenly in lightness: it is read without any hue, and in grey print."""

_SAFE_GAP = 0.35
"""Share of a class's part of that palette that is left out between two classes, so that their border shows."""


def colours(
    categories: tuple[Category, ...] = CATEGORIES, palette: Palette = "epa"
) -> tuple[ListedColormap, BoundaryNorm]:
    """Return the colours of the index: within each class they darken from its low end to its high end.

    The class of a value is exact: the ends of classes are ends of colours.

    Args:
        categories: the classes in force, or those of before 2024.
        palette: which colours.
    """
    edges: list[float] = []
    shades: list[npt.NDArray[np.float64]] = []
    ends = [0.0, *(category.high + 0.1 for category in categories[:-1]), _HAZARDOUS_END]
    for category, low, high in zip(categories, ends[:-1], ends[1:], strict=True):
        edges.extend(np.linspace(low, high, SHADES, endpoint=False))
        shades.extend(shades_of(category, palette))
    colormap = ListedColormap(shades)
    colormap.set_over(tuple(shades[-1]))
    colormap.set_under(tuple(shades[0]))
    colormap.set_bad((0, 0, 0, 0))
    return colormap, BoundaryNorm([*edges, _HAZARDOUS_END], colormap.N)


def shades_of(category: Category, palette: Palette = "epa") -> list[npt.NDArray[np.float64]]:
    """Return the shades of a class, low end first: list of RGB, 0 to 1.

    EPA's colour is blended with white, then with black; of the safe palette each class takes its part.
    """
    if palette == "safe":
        part = 1 / len(_SHADING)
        begin = list(_SHADING).index(category.name) * part
        places = np.linspace(begin, begin + part * (1 - _SAFE_GAP), SHADES)
        return [np.array(colour[:3]) for colour in mpl.colormaps[_SAFE](places)]
    own = np.array(to_rgb(category.colour))
    shifts = np.linspace(*_SHADING[category.name], SHADES)
    return [own + (1 - own) * shift if shift > 0 else own * (1 + shift) for shift in shifts]


def ramp(signed: bool) -> list[str]:
    """Return 64 colours for a layer that is no concentration, hexadecimal.

    Args:
        signed: the layer has values on both sides of zero; the middle of the colours stands for zero.
    """
    colormap = mpl.colormaps["PuOr_r" if signed else "viridis"]
    return [to_hex(colour) for colour in colormap(np.linspace(0, 1, 64))]


def range_of(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Choose the ends of a bar of colours: the 1st and 99th percentile, around zero where there is a sign.

    Args:
        values: any shape, NaN where there is none. Shares from 0 to 1 keep these ends.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, [1, 99]))
    if low < 0:
        high = max(-low, high)
        return -high, high
    if known.max() <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1.0
