"""MODIS land granules: HDF4-EOS files of one tile each, read with pyhdf and joined to one mosaic.

The tile grid is sinusoidal on a sphere of 6371007.181 m: 36 tiles around the equator, 18 from pole to pole,
h00v00 in the north-west (MODIS Land). Names are PRODUCT.AYYYYDDD.hHHvVV.CCC.PRODUCTION.hdf.
"""

import datetime as dt
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyhdf.error import HDF4Error
from pyhdf.SD import SD, SDC
from pyproj import Transformer
from rasterio.transform import Affine

from pm25map.base.days import day_of_year
from pm25map.base.errors import BadDate, BadPredictors
from pm25map.grid import Grid
from pm25map.grid.build import MODIS_1KM_M, MODIS_SINUSOIDAL
from pm25map.grid.grid import LONLAT
from pm25map.predictors.sources.files import Versions, choose_versions, find_files, first_line

Tile = tuple[int, int]
"""Horizontal and vertical number of a tile: (8, 5) is h08v05."""

COLLECTION = 61
TILE_M = 1200 * MODIS_1KM_M
WEST_M, NORTH_M = -18 * TILE_M, 9 * TILE_M

_GRANULE = (
    r"\.A(?P<year>\d{4})(?P<yearday>\d{3})\.h(?P<h>\d\d)v(?P<v>\d\d)"
    r"\.(?P<collection>\d{3})\.(?P<produced>\d+)\.hdf"
)


@dataclass(frozen=True, order=True)
class Granule:
    """One file of one tile.

    Attributes:
        day: of the name.
        tile: of the name.
        product: such as MCD19A2.
        path: of the file.
    """

    day: dt.date
    tile: Tile
    product: str
    path: Path


@dataclass(frozen=True)
class GranuleBand:
    """One dataset of a granule, as it is stored.

    Attributes:
        stored: numbers, 2-d (y, x) or 3-d (orbit, y, x).
        attributes: such as scale_factor, _FillValue and valid_range.
        where: dataset and file, for errors.
    """

    stored: npt.NDArray[Any]
    attributes: Mapping[str, Any]
    where: str

    def scale(self) -> np.float32:
        """Return the scale factor that the provider states.

        Raises:
            BadPredictors: the granule states none.
        """
        return np.float32(self._stated("scale_factor"))

    def valid(self) -> npt.NDArray[np.bool_]:
        """Mark the values that are not the fill value and lie in the range that the provider states.

        Raises:
            BadPredictors: the granule states none.
        """
        low, high = self._stated("valid_range")
        inside = (self.stored >= low) & (self.stored <= high)
        return np.asarray(inside & (self.stored != self._stated("_FillValue")), dtype=np.bool_)

    def _stated(self, key: str) -> Any:
        if key not in self.attributes:
            raise BadPredictors(f"{self.where} says no {key}: get the granule again")
        return self.attributes[key]


def granules(folder: Path, product: str) -> dict[tuple[dt.date, Tile], Granule]:
    """Find the granules of a product: of two productions of one, the later. Errors as `granule_versions`."""
    versions = granule_versions(folder, product)
    return {(day, tile): Granule(day, tile, product, path) for (day, tile), path in versions.chosen.items()}


def granule_versions(folder: Path, product: str) -> Versions[tuple[dt.date, Tile]]:
    """Choose the granules of a product by day and tile: the time of production in the name decides which is later.

    Raises:
        BadPredictors: there is no folder, a granule is of another collection or of a day that its year lacks, or two
            of one production differ.
    """

    def day_and_tile(path: Path, match: re.Match[str]) -> tuple[dt.date, Tile]:
        if int(match["collection"]) != COLLECTION:
            raise BadPredictors(
                f"{path} is of collection {match['collection']}, and {product} must be of 0{COLLECTION}: its bits and "
                f"scales differ. Get that one"
            )
        try:
            day = day_of_year(int(match["year"]), int(match["yearday"]))
        except BadDate as error:
            raise BadPredictors(f"{path} names no day ({error}): get the granule again") from error
        return day, (int(match["h"]), int(match["v"]))

    files = find_files(folder, product + _GRANULE)
    return choose_versions(files, day_and_tile, lambda match: (int(match["produced"]),))


@functools.lru_cache(maxsize=4)
def tiles_of(grid: Grid) -> tuple[Tile, ...]:
    """List the tiles that hold a land cell of a grid, from north-west to south-east."""
    return tiles_at(*grid.lonlat())


def tiles_at(lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> tuple[Tile, ...]:
    """List the tiles that hold any of some places in degrees, from north-west to south-east."""
    x, y = Transformer.from_crs(LONLAT, MODIS_SINUSOIDAL, always_xy=True).transform(lon, lat)
    numbers = np.floor((x - WEST_M) / TILE_M).astype(int) + 36 * np.floor((NORTH_M - y) / TILE_M).astype(int)
    return tuple((int(number) % 36, int(number) // 36) for number in np.unique(numbers))


def tile_name(tile: Tile) -> str:
    """Write a tile as h08v05."""
    return f"h{tile[0]:02d}v{tile[1]:02d}"


def read_granule(granule: Granule, names: tuple[str, ...]) -> dict[str, GranuleBand]:
    """Read some datasets of a granule, after checking that it matches its name.

    Raises:
        BadPredictors: it is cut off or damaged, of another product, collection or tile, or lacks a dataset.
    """
    path = granule.path
    try:
        hdf = SD(str(path), SDC.READ)
    except HDF4Error as error:
        raise BadPredictors(_damaged(path, error)) from error
    try:
        _check_identity(granule, hdf.attributes())
        absent = [name for name in names if name not in hdf.datasets()]
        if absent:
            raise BadPredictors(
                f"{path} holds no {absent[0]}: it is no whole {granule.product} granule. Get it again"
            )
        return {name: _band(hdf.select(name), f"{name} of {path}") for name in names}
    except (HDF4Error, ValueError) as error:
        raise BadPredictors(_damaged(path, error)) from error
    finally:
        hdf.end()


def mosaic(parts: Mapping[Tile, npt.NDArray[np.float32]]) -> tuple[npt.NDArray[np.float32], Affine]:
    """Join tiles, NaN where there is none: (y, x) and its transform.

    Args:
        parts: (y, x) of every tile, all of one size; at least one.
    """
    side = next(iter(parts.values())).shape[0]
    columns, rows = [h for h, _ in parts], [v for _, v in parts]
    west, north = min(columns), min(rows)
    shape = (max(rows) - north + 1) * side, (max(columns) - west + 1) * side
    joined = np.full(shape, np.nan, dtype=np.float32)
    for (h, v), values in parts.items():
        row, col = (v - north) * side, (h - west) * side
        joined[row : row + side, col : col + side] = values
    pixel = TILE_M / side
    return joined, Affine(pixel, 0, WEST_M + west * TILE_M, 0, -pixel, NORTH_M - north * TILE_M)


def _band(dataset: Any, where: str) -> GranuleBand:
    return GranuleBand(np.asarray(dataset.get()), dataset.attributes(), where)


def _check_identity(granule: Granule, attributes: Mapping[str, Any]) -> None:
    core = str(attributes.get("CoreMetadata.0", ""))
    grids = str(attributes.get("StructMetadata.0", ""))
    product, collection = _value(core, "SHORTNAME"), _value(core, "VERSIONID")
    corner = re.search(r"UpperLeftPointMtrs=\(([-\d.]+),([-\d.]+)\)", grids)
    if product is None or collection is None or corner is None:
        raise BadPredictors(f"{granule.path} has no metadata of an HDF-EOS granule: get it again")
    if product != granule.product or int(collection) != COLLECTION:
        raise BadPredictors(
            f"{granule.path} is {product} of collection {collection} inside, and must be {granule.product} of "
            f"collection {COLLECTION}: get that one"
        )
    tile = round((float(corner[1]) - WEST_M) / TILE_M), round((NORTH_M - float(corner[2])) / TILE_M)
    if tile != granule.tile:
        raise BadPredictors(
            f"{granule.path} is tile {tile_name(tile)} inside: it was renamed. Get the granule again"
        )


def _value(core: str, name: str) -> str | None:
    match = re.search(rf"OBJECT\s*=\s*{name}\b.*?VALUE\s*=\s*\"?([\w.]+)", core, re.DOTALL)
    return match and match[1]


def _damaged(path: Path, error: BaseException) -> str:
    return f"cannot read {path} ({first_line(error)}): it is cut off or no HDF4 file. Get the granule again"


def check_granule(path: Path, product: str, names: tuple[str, ...]) -> None:
    """Read some datasets of a fetched granule: only that shows that the end of the file is there.

    Raises:
        BadPredictors: it is cut off, or another product.
    """
    for granule in granules(path.parent, product).values():
        # An HDF4 file keeps its list of datasets at its beginning.
        read_granule(granule, names)
