"""Vegetation index: of MCD43A4 (reflectance at nadir, 500 m) or MOD13A2 (16-day composite, 1 km), collection 6.1.

The value of a day is that of the newest granule of each tile up to that day, not older than 15 days; where that
one has a gap (cloud, snow), of the one 16 days and 32 days before it: values are carried forward, never back. Both
products look ahead by themselves: MCD43A4 is dated on the ninth of its 16 days, MOD13A2 on its first.
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
from pm25map.predictors.sources.latlon import clipped_to_range
from pm25map.predictors.sources.modis import (
    Granule,
    Tile,
    check_granule,
    granule_versions,
    granules,
    mosaic,
    read_granule,
    tile_name,
    tiles_of,
)
from pm25map.predictors.variables import variable

PERIOD_DAYS = 16
CARRIED_PERIODS = 2
PRODUCTS = ("MCD43A4", "MOD13A2")

RED, NEAR_INFRARED = "Nadir_Reflectance_Band1", "Nadir_Reflectance_Band2"
QUALITY = "BRDF_Albedo_Band_Mandatory_Quality_Band"
PROCESSED = (0, 1)
"""Full and magnitude inversions (MCD43 user guide); 255 is no value."""

VI, RELIABILITY = "1 km 16 days NDVI", "1 km 16 days pixel reliability"
USABLE = (0, 1)
"""Good and marginal; 2 is snow or ice, 3 cloud, -1 no value (MOD13 user guide)."""


@dataclass(frozen=True)
class Ndvi:
    """The vegetation index source.

    Attributes:
        folder: of granules of one of the two products, at least one every 16 days.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Return the name of the source, as for --source."""
        return "ndvi"

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the name of the index."""
        return ("ndvi",)

    def lacking(self, grid: Grid, days: list[dt.date]) -> dict[dt.date, str]:
        """Return the days, with the reason, for which a tile with land has no granule of the 16 days up to the day."""
        absent = {}
        for day in days:
            gone = [tile for tile in tiles_of(grid) if not self._carried(tile, day)]
            if gone:
                absent[day] = (
                    f"no granule of {', '.join(map(tile_name, gone))} from {PERIOD_DAYS} days up to it"
                )
        return absent

    def fields(self, grid: Grid, days: list[dt.date]) -> dict[str, npt.NDArray[np.float32]]:
        """Read and regrid the index: (day, y, x).

        Raises:
            BadPredictors: a granule is damaged or does not match its name.
        """
        chosen = [tuple(g for tile in tiles_of(grid) for g in self._carried(tile, day)) for day in days]
        return {"ndvi": np.stack([_on_grid(sources, grid) for sources in chosen])}

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Name the granules that a later production replaces."""
        return tuple(
            line for product in PRODUCTS for line in granule_versions(self.folder, product).passed_over
        )

    def _carried(self, tile: Tile, day: dt.date) -> list[Granule]:
        """List the granules that give a tile on a day, newest first, each 16 days or more before the one above."""
        known = self._by_tile.get(tile, [])
        carried: list[Granule] = []
        for granule in reversed(known):
            latest = carried[-1].day - dt.timedelta(days=PERIOD_DAYS) if carried else day
            if granule.day <= latest:
                carried.append(granule)
            if len(carried) > CARRIED_PERIODS:
                break
        age = (day - carried[0].day).days if carried else PERIOD_DAYS
        oldest = day - dt.timedelta(days=PERIOD_DAYS * (CARRIED_PERIODS + 1))
        return [g for g in carried if g.day > oldest] if age < PERIOD_DAYS else []

    @functools.cached_property
    def _by_tile(self) -> dict[Tile, list[Granule]]:
        """Return the granules of every tile, oldest first, of the one product in the folder."""
        by_product = {product: granules(self.folder, product) for product in PRODUCTS}
        present = [product for product, known in by_product.items() if known]
        if len(present) != 1:
            why = "both" if present else "neither"
            raise BadPredictors(
                f"{self.folder} holds granules of {why} of {' and '.join(PRODUCTS)}: name a folder of one with --files"
            )
        tiles: dict[Tile, list[Granule]] = {}
        for granule in sorted(by_product[present[0]].values()):
            tiles.setdefault(granule.tile, []).append(granule)
        return tiles


@functools.lru_cache(maxsize=1)
def _on_grid(sources: tuple[Granule, ...], grid: Grid) -> npt.NDArray[np.float32]:
    """Bring granules to a grid, cached for the next day with the same ones: (y, x), read-only."""
    parts: dict[Tile, npt.NDArray[np.float32]] = {}
    for granule in sources:
        if granule.tile not in parts:
            parts[granule.tile] = read_index(granule)
        elif np.isnan(parts[granule.tile]).any():
            parts[granule.tile] = np.where(
                np.isnan(parts[granule.tile]), read_index(granule), parts[granule.tile]
            )
    joined, transform = mosaic(parts)
    row = variable("ndvi")
    values = clipped_to_range(regrid(joined, transform, MODIS_SINUSOIDAL, grid, row.resampling), row)
    values.setflags(write=False)
    return values


def read_index(granule: Granule) -> npt.NDArray[np.float32]:
    """Read the index of a granule: (y, x), -1 to 1, NaN where its quality is not good enough.

    Raises:
        BadPredictors: the granule is damaged or does not match its name.
    """
    if granule.product == "MOD13A2":
        bands = read_granule(granule, (VI, RELIABILITY))
        usable = np.isin(bands[RELIABILITY].stored, USABLE) & bands[VI].valid()
        # The product's scale_factor is 10000 and divides, unlike that of other MODIS products.
        values = bands[VI].stored / bands[VI].scale()
        return np.where(usable, values, np.nan).astype(np.float32)
    bands = read_granule(granule, (RED, NEAR_INFRARED, f"{QUALITY}1", f"{QUALITY}2"))
    red, infrared = bands[RED], bands[NEAR_INFRARED]
    usable = red.valid() & infrared.valid()
    for number in (1, 2):
        usable &= np.isin(bands[f"{QUALITY}{number}"].stored, PROCESSED)
    # Both bands have one scale, which the ratio does not feel.
    r, n = red.stored.astype(np.float32), infrared.stored.astype(np.float32)
    usable &= (r + n) > 0
    index: npt.NDArray[np.float32] = np.divide(
        n - r, n + r, out=np.full(r.shape, np.nan, dtype=np.float32), where=usable
    )
    return index


def check_file(path: Path) -> None:
    """Refuse a fetched granule that is cut off or something else; see `check_granule`."""
    if path.name.startswith("MOD13A2"):
        return check_granule(path, "MOD13A2", (VI, RELIABILITY))
    return check_granule(path, "MCD43A4", (RED, NEAR_INFRARED))
