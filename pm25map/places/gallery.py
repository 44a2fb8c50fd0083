"""Where GeoCLIP's photos are: how many of its gallery's 100,000 places lie around a cell.

The encoder learnt from photos; where few were taken its vectors are a guess. The package geoclip ships the
places of its gallery; what is kept here is their count on cells of a quarter of a degree, and no coordinates.
Made by models/geoclip/count_photos.py.
"""

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from scipy import ndimage

from pm25map.base.errors import BadInstall
from pm25map.grid import Grid
from pm25map.grid.spectrum import masked_mean

COUNTS = Path(__file__).parent / "gallery" / "geoclip-photos.tif"

CELL_DEG = 0.25
AROUND_KM = 50.0
"""Standard deviation of the weights by which photos around a cell count."""


def photo_density(grid: Grid) -> npt.NDArray[np.float32]:
    """Return the photos per 1,000 km2 around every land cell, from GeoCLIP's gallery: float32 (y, x), NaN off land.

    Over CONUS the mean is 4; in northern Nevada it is below 0.3, in Manhattan above 200.

    Raises:
        BadInstall: the counts are absent from this installation.
    """
    counts = _counts()
    lon, lat = grid.lonlat()
    row = np.clip(((90 - lat) / CELL_DEG).astype(int), 0, counts.shape[0] - 1)
    col = np.clip(((lon + 180) / CELL_DEG).astype(int), 0, counts.shape[1] - 1)
    side_km = CELL_DEG * 111.2
    density = np.zeros(grid.shape, dtype=np.float32)
    density[grid.land] = counts[row, col] * 1000 / (side_km**2 * np.cos(np.deg2rad(lat)))
    smooth = masked_mean(density, grid.land, AROUND_KM * 1000 / grid.step[0])
    return np.where(grid.land, smooth, np.nan).astype(np.float32)


def photos_around(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the photos per 1,000 km2 in the five by five cells around each place of the world: (place,)."""
    counts = ndimage.uniform_filter(_counts(), 5, mode=("nearest", "wrap"))
    row = np.clip(((90 - lat) / CELL_DEG).astype(int), 0, counts.shape[0] - 1)
    col = ((lon + 180) / CELL_DEG).astype(int) % counts.shape[1]
    side_km = CELL_DEG * 111.2
    area = side_km**2 * np.maximum(np.cos(np.deg2rad(90 - CELL_DEG * (row + 0.5))), 1e-3)
    return np.asarray(counts[row, col] * 1000 / area, np.float32)


@functools.cache
def _counts() -> npt.NDArray[np.float32]:
    if not COUNTS.is_file():
        raise BadInstall(f"the counts of GeoCLIP's photos are missing ({COUNTS.name}). Install pm25map again")
    with rasterio.open(COUNTS) as source:
        counts: npt.NDArray[np.float32] = source.read(1).astype(np.float32)
    return counts
