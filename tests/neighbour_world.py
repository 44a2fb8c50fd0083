"""Invented stations for the tests of the neighbours, with and without folds."""

import numpy as np

from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.neighbours import Stations

DAYS = MEMORY_DAYS + 3
COUNT = 40


def world(seed=0, missing=0.3):
    """Forty stations over Oregon; number 1 stands 50 m beside number 0; a third of the values is missing."""
    rng = np.random.default_rng(seed)
    lat, lon = rng.uniform(42, 46, COUNT), rng.uniform(-124, -117, COUNT)
    lat[1], lon[1] = lat[0] + 0.00045, lon[0]
    stations = Stations(lat, lon, rng.uniform(0, 2000, COUNT))
    values = rng.gamma(2, 10, (DAYS, COUNT)).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    codes = np.where(np.isnan(values), 0, rng.choice([88101, 88502], COUNT)[None, :])
    return values, codes, stations
