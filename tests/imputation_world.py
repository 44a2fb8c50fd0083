"""An invented sky: optical depth of temperature, elevation and a smooth field of the day; clouds hide half."""

import datetime as dt
import functools

import numpy as np
from scipy import ndimage

from pm25map.grid import Grid
from pm25map.predictors.store import create_store, write_days, write_layer

SHAPE = (36, 44)
DAYS = [dt.date(2020, 6, 11) + dt.timedelta(days=i) for i in range(40)]
ABSENT = DAYS[12]
"""Not in the store: its file was absent."""
BLIND = DAYS[24:29]
"""In the store, and nothing was observed."""
CORNER = DAYS[33]
"""Observed in one corner alone."""
NOISE = 0.01
WEATHER = ("gridmet_tmmx", "gridmet_th")


def sky_grid(land: np.ndarray | None = None) -> Grid:
    """Cells of 10 km, blocks of 16, a lake."""
    if land is None:
        land = np.ones(SHAPE, dtype=bool)
        land[5:9, 30:36] = False
    transform = (10_000.0, 0.0, -300_000.0, 0.0, -10_000.0, 2_000_000.0)
    return Grid("sky", "EPSG:5070", transform, SHAPE, 16, land)


@functools.cache
def sky() -> dict[str, np.ndarray]:
    """True optical depth, what is seen of it, weather (day, y, x), and elevation (y, x)."""
    rng = np.random.default_rng(5)

    def smooth(cells: float, *lead: int) -> np.ndarray:
        raw = ndimage.gaussian_filter(rng.normal(size=(*lead, *SHAPE)), (*(0 for _ in lead), cells, cells))
        return raw / raw.std()

    elevation = 800 + 300 * smooth(3)
    warm = 25 + 4 * smooth(3, len(DAYS)) + 3 * rng.normal(size=(len(DAYS), 1, 1))
    plume = 0.05 * smooth(10, len(DAYS)) + 0.05 * rng.normal(size=(len(DAYS), 1, 1))
    truth = 0.4 + 0.02 * (warm - 25) - 1e-4 * (elevation - 800) + plume
    truth = np.clip(truth + rng.normal(0, NOISE, truth.shape), 0, 3)
    cloudy = smooth(4, len(DAYS)) > 0.1
    seen = np.where(cloudy, np.nan, truth)
    for day in BLIND:
        seen[DAYS.index(day)] = np.nan
    corner = seen[DAYS.index(CORNER)]
    corner[:6, :6] = truth[DAYS.index(CORNER)][:6, :6]
    corner[6:], corner[:, 6:] = np.nan, np.nan
    wind = np.mod(180 + 90 * smooth(5, len(DAYS)), 360)
    fields = {
        "truth": truth,
        "aod_055": seen,
        "gridmet_tmmx": warm,
        "gridmet_th": wind,
        "elevation": elevation,
    }
    return {name: values.astype(np.float32) for name, values in fields.items()}


def sky_store(path, grid: Grid | None = None):
    """Write the world to a store."""
    create_store(path, grid or sky_grid(), ("aod_055", *WEATHER), DAYS[0], DAYS[-1])
    world = sky()
    write_days(path, DAYS, {name: world[name] for name in WEATHER})
    gap = DAYS.index(ABSENT)
    for part in (slice(0, gap), slice(gap + 1, None)):
        write_days(path, DAYS[part], {"aod_055": world["aod_055"][part]})
    write_layer(path, "elevation", world["elevation"])
    return path
