"""Places as points on the unit sphere, where the straight way between two grows with the way along the ground."""

import numpy as np
import numpy.typing as npt


def on_sphere(lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return places as points on the sphere of radius 1.

    Args:
        lat, lon: degrees (...,).

    Returns:
        float64 (..., 3): towards latitude 0 at longitude 0, towards latitude 0 at longitude 90, towards the north pole.

    >>> on_sphere(90.0, 0.0).round(6).tolist()
    [0.0, 0.0, 1.0]
    """
    north, east = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64))
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)
