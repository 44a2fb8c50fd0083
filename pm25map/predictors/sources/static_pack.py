"""The static rasters that come with the package: one file over the contiguous United States and 200 km around them.

A ZIP file of GeoTIFFs, named as the static source names them, and `pack.json`, which states of each what it is, from
whom, under which licence and how exactly it is kept. `grids/make_static_pack.py` makes it.
"""

import io
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
import numpy.typing as npt
from pyproj import Transformer
from scipy import ndimage

from pm25map.base.errors import BadInstall, BadPredictors
from pm25map.base.files import sha256_of_bytes
from pm25map.base.json_text import read_json
from pm25map.base.shipped import shipped_folder
from pm25map.grid import Grid
from pm25map.predictors.regrid import GEOGRAPHIC
from pm25map.predictors.sources.static_rasters import StaticRaster, read_content

PACK_NAME = "static-conus-1"
PACK_FILE = f"{PACK_NAME}.zip"
PACK_SHA256 = "ab9ab415d5849ee8b360726cd996c68e11d5404e177d481fd6be604fccf689f7"
"""SHA-256 of the file that this version of the package computes with."""

ABOUT = "pack.json"

WEST, SOUTH, EAST, NORTH = -127.5, 22.6, -64.4, 51.3
"""The box around everything within 200 km of the contiguous United States, degrees. Rasters reach a degree farther,
so that a cell at its edge is interpolated like any other."""

CONUS = (-125.5, 24.0, -66.5, 50.0)
"""A box around the land of every grid of the contiguous United States: west, south, east, north, degrees."""


class RasterFacts(TypedDict):
    """The entry of one raster in pack.json."""

    file: str
    layers: list[str]
    unit: str
    product: str
    package: str
    licence: str
    resolution: str
    precision: str
    note: str
    box_of_sample: list[float]


@dataclass(frozen=True)
class StaticPack:
    """The pack in memory, its checksum verified.

    Attributes:
        path: of its file.
        rasters: content of every GeoTIFF, by file name.
        facts: of every raster, in the order of the file.
        as_sample: rasters are cut to what those reached that the shipped sample was made of.
    """

    path: Path
    rasters: dict[str, bytes]
    facts: tuple[RasterFacts, ...]
    as_sample: bool = False

    def read(self, file: str) -> StaticRaster:
        """Read one raster; it is decoded anew each time.

        Raises:
            BadPredictors: the pack holds no such raster.
        """
        if file not in self.rasters:
            raise BadPredictors(f"{self.path} holds no {file}: it has {', '.join(self.rasters)}")
        west, south, east, north = next(one["box_of_sample"] for one in self.facts if one["file"] == file)
        box = (west, south, east, north) if self.as_sample else None
        return read_content(self.rasters[file], f"{file} of {self.path}", box)

    def over(self, grid: Grid) -> "StaticPack":
        """Return the pack as a grid reads it; refuse a grid that has land outside of the pack's box.

        A grid within the contiguous United States reads every raster as far as the one reached that the shipped
        sample was made of. It differs at the eastern tip of Maine, where those of the climate ended.

        Raises:
            BadPredictors: names the land cell that lies farthest out.
        """
        # The extremes of longitude and latitude lie on the rim of the land: a 1 km grid has 8 million cells on land,
        # and some ten thousand on its rim.
        rows, cols = np.nonzero(grid.land & ~ndimage.binary_erosion(grid.land))
        x, y = grid.xy()
        lon, lat = Transformer.from_crs(grid.crs, GEOGRAPHIC, always_xy=True).transform(x[cols], y[rows])
        beyond = _degrees_beyond((WEST, SOUTH, EAST, NORTH), lon, lat)  # (cell,)
        worst = int(np.argmax(beyond))
        if beyond[worst] > 0:
            raise BadPredictors(
                f"grid {grid.name} has land at {lat[worst]:.1f} N, {-lon[worst]:.1f} W, and the static layers of the "
                f"package cover the contiguous United States and 200 km around ({SOUTH} to {NORTH} N, {-EAST} to "
                f"{-WEST} W): name a folder of your own rasters with --static (docs/static.md)"
            )
        return replace(self, as_sample=bool(_degrees_beyond(CONUS, lon, lat).max() <= 0))


def _degrees_beyond(
    box: tuple[float, float, float, float],
    lon: npt.NDArray[np.float64],
    lat: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return how far points lie outside of a box, degrees (point,): at most 0 inside, infinite where undefined."""
    west, south, east, north = box
    beyond = np.max([west - lon, lon - east, south - lat, lat - north], axis=0)
    return np.where(np.isfinite(beyond), beyond, np.inf)


def pack_checksum() -> str:
    """Return the SHA-256 of the pack that this version computes with, for provenance; `open_pack` verifies it."""
    return PACK_SHA256


def open_pack(path: Path | None = None) -> StaticPack:
    """Read the pack and verify its checksum.

    Args:
        path: of its file; the one of the package where None.

    Raises:
        BadInstall: it is absent, or not what this version of the package was released with.
    """
    path = path or shipped_folder("grids") / PACK_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInstall(
            f"cannot read the static layers of the package, {path} ({error.strerror}): install pm25map again, or name "
            f"a folder of your own rasters with --static"
        ) from error
    checksum = sha256_of_bytes(content)
    if checksum != PACK_SHA256:
        raise BadInstall(
            f"{path} is damaged or of another version (SHA-256 {checksum[:12]}, expected {PACK_SHA256[:12]}): install "
            f"pm25map again, or name a folder of your own rasters with --static"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        facts = cast(list[RasterFacts], read_json(archive.read(ABOUT))["rasters"])
        return StaticPack(path, {one["file"]: archive.read(one["file"]) for one in facts}, tuple(facts))
