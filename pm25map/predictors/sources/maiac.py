"""MAIAC aerosol optical depth: MCD19A2 of collection 6.1, 1 km, all orbits of Terra and Aqua of a UTC day.

A granule holds (orbit, y, x) of the day's overpasses, stored as int16 in steps of 0.001. Only retrievals of best
quality count (AOD_QA, MCD19 user guide for collection 6.1, table of AOD QA bits): bits 8 to 11 are 0 (best) and
bits 0 to 2 are 1 (clear). Other values of bits 8 to 11 are those next to clouds (3, 4) or snow (6), climatology at
great heights (7), the coast (10) and what may be cloudy (11), so that bits 5 to 7 (adjacency) need no look of their
own; bits 13 and 14 (whether smoke or dust was the model) refuse nothing. What several orbits saw is averaged. Over
CONUS Terra and Aqua pass between 15 and 22 UTC, so that the UTC day is the local day. No orbit of best quality is a
missing value, marked by an indicator in the model's input.
"""

import datetime as dt
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.grid.build import MODIS_SINUSOIDAL
from pm25map.predictors.regrid import regrid
from pm25map.predictors.sources.files import Versions
from pm25map.predictors.sources.latlon import clipped_to_range
from pm25map.predictors.sources.modis import (
    Granule,
    Tile,
    check_granule,
    granule_versions,
    mosaic,
    read_granule,
    tile_name,
    tiles_of,
)
from pm25map.predictors.variables import variable

PRODUCT = "MCD19A2"
DATASETS = {"aod_047": "Optical_Depth_047", "aod_055": "Optical_Depth_055"}
QUALITY = "AOD_QA"

CLOUD_MASK_BITS, CLEAR = 0b111, 0b001
QUALITY_SHIFT, QUALITY_BITS, BEST = 8, 0b1111, 0


@dataclass(frozen=True)
class Maiac:
    """The MAIAC source.

    Attributes:
        folder: of granules such as MCD19A2.A2020256.h08v05.061.2023149072031.hdf.
        partial: a day may lack tiles that the grid needs, as in outages of the satellites: they are missing.
    """

    folder: Path
    partial: bool = False

    @property
    def name(self) -> str:
        """Return the name of the source, as for --source."""
        return "maiac"

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the names of the optical depths."""
        return tuple(DATASETS)

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Return the days without granules of tiles that contain land of the grid, each with the reason."""
        available, tiles = self._granules(grid), tiles_of(grid)
        absent = {day: [tile for tile in tiles if (day, tile) not in available] for day in days}
        return {
            day: f"no granule of {', '.join(map(tile_name, gone))}"
            for day, gone in absent.items()
            if gone and not (self.partial and len(gone) < len(tiles))
        }

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Read, filter, average and regrid the optical depths: (day, y, x) by name.

        Raises:
            BadPredictors: a granule is damaged or does not match its name.
        """
        available = self._granules(grid)
        fields: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in DATASETS}
        for day in days:
            parts = {
                tile: read_best(available[day, tile]) for tile in tiles_of(grid) if (day, tile) in available
            }
            for name in DATASETS:
                row = variable(name)
                joined, transform = mosaic({tile: part[name] for tile, part in parts.items()})
                fields[name].append(
                    clipped_to_range(regrid(joined, transform, MODIS_SINUSOIDAL, grid, row.resampling), row)
                )
        return {name: np.stack(values) for name, values in fields.items()}

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Name the granules that a later production replaces."""
        return self._versions.passed_over

    @functools.cached_property
    def _versions(self) -> Versions[tuple[dt.date, Tile]]:
        return granule_versions(self.folder, PRODUCT)

    def _granules(self, grid: Grid) -> dict[tuple[dt.date, Tile], Granule]:
        chosen = self._versions.chosen
        available = {(day, tile): Granule(day, tile, PRODUCT, path) for (day, tile), path in chosen.items()}
        if not available:
            raise BadPredictors(
                f"{self.folder} holds no granule of {PRODUCT}: name their folder with --files"
            )
        if not {tile for _, tile in available} & set(tiles_of(grid)):
            raise BadPredictors(
                f"{self.folder} holds tiles {', '.join(sorted({tile_name(tile) for _, tile in available}))}, and grid "
                f"{grid.name} needs {', '.join(map(tile_name, tiles_of(grid)))}: get those"
            )
        return available


def read_best(granule: Granule) -> dict[str, npt.NDArray[np.float32]]:
    """Read the mean of the orbits of best quality of a granule: (y, x) by name, NaN where there is none.

    Raises:
        BadPredictors: the granule is damaged or does not match its name.
    """
    bands = read_granule(granule, (*DATASETS.values(), QUALITY))
    quality = bands[QUALITY].stored
    best = (quality & CLOUD_MASK_BITS) == CLEAR
    best &= ((quality >> QUALITY_SHIFT) & QUALITY_BITS) == BEST
    means = {}
    for name, dataset in DATASETS.items():
        band = bands[dataset]
        if band.stored.shape != quality.shape or band.stored.ndim != 3:
            raise BadPredictors(
                f"{dataset} of {granule.path} has the shape {band.stored.shape} and not (orbit, y, x) as its "
                f"{QUALITY} {quality.shape}: get the granule again"
            )
        counts = best & band.valid()
        number = counts.sum(axis=0, dtype=np.float32)
        total = np.where(counts, band.stored, 0).sum(axis=0, dtype=np.float32)
        with np.errstate(invalid="ignore"):
            means[name] = total / number * band.scale()
    return means


def check_file(path: Path) -> None:
    """Refuse a fetched granule that is cut off or something else; see `check_granule`."""
    check_granule(path, PRODUCT, (*DATASETS.values(), QUALITY))
