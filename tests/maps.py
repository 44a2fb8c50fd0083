"""Invented maps for the tests of the raster and view rooms: every value spells its row and column."""

import datetime as dt

import numpy as np

from pm25map.grid import Grid
from pm25map.raster.provenance import Provenance

CREATED = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def address_grid(rows: int = 40, cols: int = 60) -> Grid:
    """A grid of 10 km over Kansas and Oklahoma, with a lake in its north-western corner."""
    land = np.ones((rows, cols), dtype=bool)
    land[:3, :5] = False
    return Grid(
        "address", "EPSG:5070", (10_000.0, 0.0, -300_000.0, 0.0, -10_000.0, 1_700_000.0), land.shape, 16, land
    )


def address_map(grid: Grid) -> np.ndarray:
    """Value at row r and column c: r + c / 1000, ug m-3; NaN off land."""
    row, col = np.indices(grid.shape)
    return np.where(grid.land, row + col / 1000, np.nan).astype(np.float32)


def provenance(grid: Grid, **changes: object) -> Provenance:
    values = {
        "day": dt.date(2020, 9, 12),
        "model_name": "conus-open",
        "model_version": "1.0",
        "card_checksum": "ca" * 32,
        "network_checksum": "e0" * 32,
        "grid_name": grid.name,
        "grid_checksum": grid.checksum,
        "predictors_name": "sample.zarr.zip",
        "predictors_checksum": "dd" * 32,
        "command": "pm25map predict --date 2020-09-12 --out 'my cog.tif'",
        "licence": "MIT",
        "encoder": "geoclip",
        "encoder_checksum": "ec" * 32,
        "places_checksum": "b1" * 32,
        "predictor_coverage_percent": 99.5,
    }
    return Provenance(**(values | changes))
