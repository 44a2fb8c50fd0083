"""Local scatter of a field around each cell: the noise that a faint fault has to exceed there."""

import numpy as np
from scipy import ndimage

from pm25map.diagnostics.finding import Field, Mask

_NEAR, _FAR = 9, 41
"""Sides of the squares, in cells: the near one knows the edge of a plume, the far one steadies it."""

_LEAST = 1e-8
"""A variance that every field has: a float32 logarithm is no finer."""


def local_variance(apart: Field, known: Mask) -> Field:
    """Return the mean square of differences around each cell, half of it from nearby.

    One scatter for a whole line would be that of its roughest part, and hide what lies in the smooth ones.

    Args:
        apart: (y, x), differences whose mean is zero.
        known: bool (y, x), where there are any.

    Returns:
        float32 (y, x), above zero everywhere.
    """
    squares, there = np.where(known, np.square(apart), 0).astype(np.float32), known.astype(np.float32)
    parts = []
    for side in (_NEAR, _FAR):
        total, count = (ndimage.uniform_filter(layer, side, mode="constant") for layer in (squares, there))
        parts.append(np.maximum(total, 0) / np.maximum(count, 1e-6))
    variance: Field = np.maximum(np.mean(parts, axis=0), _LEAST).astype(np.float32)
    return variance
