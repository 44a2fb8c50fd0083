"""GMTED2010 elevation, m (USGS and NGA): one raster or several, as GeoTIFF or ESRI grid, in degrees.

USGS gives seven statistics of every tile in files that differ by a part of their names; only the mean is an elevation
here, and the others beside it are left alone. Several rasters, such as the tiles of 20 by 30 degrees, are joined
without a copy and warped once: no tile leaves a seam, and little of them is in memory.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject, transform_bounds

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.regrid import GEOGRAPHIC, TOLERANCE_CELLS
from pm25map.predictors.sources.files import find_files, first_line
from pm25map.predictors.sources.netcdf import check_values
from pm25map.predictors.sources.static import fill_nearest
from pm25map.predictors.variables import variable

FILES = r".*gmted.*\.tiff?|(?:be|mea|mn|mi|mx|md|ds|sd)\d\d_grd(?:\.tiff?)?|hdr\.adf"
"""10S060W_20101117_gmted_mea300.tif; mn30_grd, an ESRI grid as one ASCII file or as a folder with hdr.adf."""

MEAN = "mean"
STATISTICS = {
    **dict.fromkeys(("mea", "mn"), MEAN),
    **dict.fromkeys(("be", "bln"), "breakline emphasis"),
    **dict.fromkeys(("dsc", "ds"), "systematic subsample"),
    **dict.fromkeys(("med", "md"), "median"),
    **dict.fromkeys(("min", "mi"), "minimum"),
    **dict.fromkeys(("max", "mx"), "maximum"),
    **dict.fromkeys(("std", "sd"), "standard deviation"),
}
"""What USGS calls them in the names of GeoTIFF tiles and of ESRI grids (Danielson and Gesch 2011)."""

_IN_NAME = re.compile(rf"(?:.*gmted_?|^)({'|'.join(STATISTICS)})_?\d{{2,3}}(?:_|\.|$)", re.IGNORECASE)

NODATA = -32768
METRES = ("m", "metre", "meter", "metres", "meters")
_TYPES = {"int16": "Int16", "int32": "Int32", "float32": "Float32", "float64": "Float64", "uint8": "Byte"}


@dataclass(frozen=True)
class Tile:
    """One raster: path, columns and rows, transform, type as GDAL writes it, and what it calls no data."""

    path: Path
    width: int
    height: int
    transform: Affine
    dtype: str
    nodata: float


@dataclass(frozen=True)
class Gmted:
    """The elevation source.

    Attributes:
        folder: of the rasters.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Return the name of the source, as for --source."""
        return "gmted"

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Return the name of the layer."""
        return ("dem",)

    def layers(self, grid: Grid) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield the mean elevation of every land cell: (y, x).

        Raises:
            BadPredictors: there is no raster of the mean, or one is damaged, of another resolution, or too small for
                the grid.
        """
        tiles = [_describe(path) for path in mean_only(self.folder, find_files(self.folder, FILES))]
        values = np.full(grid.shape, np.nan, dtype=np.float32)
        try:
            with rasterio.open(join_tiles(tiles)) as joined:
                reproject(
                    rasterio.band(joined, 1),
                    values,
                    dst_transform=grid.affine,
                    dst_crs=grid.crs,
                    dst_nodata=np.nan,
                    resampling=_method(joined.transform, grid),
                    tolerance=TOLERANCE_CELLS,
                    warp_mem_limit=256,
                )
        except RasterioError as error:
            raise BadPredictors(
                f"cannot read the rasters in {self.folder} ({first_line(error)}): get them again"
            ) from error
        check_values(values, variable("dem"), f"{self.folder}")
        yield "dem", fill_nearest(values, grid, f"dem of {self.folder.name}")


def mean_only(folder: Path, paths: Iterable[Path]) -> list[Path]:
    """Keep the rasters of the mean.

    Args:
        folder: that contains them, for messages.
        paths: of rasters, as FILES finds them.

    Raises:
        BadPredictors: there is none of the mean, or the name of one does not state its statistic.
    """
    statistics: dict[Path, str] = {}
    for path in paths:
        named = path.parent if path.name.lower() == "hdr.adf" else path
        match = _IN_NAME.match(named.name)
        if match is None:
            raise BadPredictors(
                f"{named} does not say in its name which statistic of GMTED2010 it holds: name it as USGS does, "
                f"..._gmted_mea300.tif or mn30_grd for the mean, or take it out of the folder"
            )
        statistics[path] = STATISTICS[match[1].lower()]
    means = [path for path, statistic in statistics.items() if statistic == MEAN]
    if means:
        return means
    example = "such as ..._gmted_mea300.tif or mn30_grd"
    if not statistics:
        raise BadPredictors(f"{folder} holds no raster of GMTED2010, {example}: name its folder with --files")
    others = " and ".join(sorted(set(statistics.values())))
    raise BadPredictors(
        f"{folder} holds the {others} of GMTED2010, and not the mean, which alone counts as elevation: get the mean, "
        f"{example}"
    )


def join_tiles(tiles: list[Tile]) -> str:
    """Write rasters of one resolution as one virtual raster, in the XML that GDAL opens in place of a file.

    Raises:
        BadPredictors: they differ in resolution.
    """
    first = tiles[0].transform
    odd = next((t for t in tiles if abs(t.transform.a - first.a) > 1e-9), None)
    if odd is not None:
        raise BadPredictors(
            f"{odd.path} has cells of {odd.transform.a:g} degrees, {tiles[0].path} of {first.a:g}: keep rasters of one "
            f"resolution in the folder"
        )
    west, north = min(t.transform.c for t in tiles), max(t.transform.f for t in tiles)
    placed = [
        (t, round((t.transform.c - west) / first.a), round((t.transform.f - north) / first.e)) for t in tiles
    ]
    width = max(col + t.width for t, col, _ in placed)
    height = max(row + t.height for t, _, row in placed)
    parts = "".join(
        f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(str(t.path.absolute()))}</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="{t.width}" ySize="{t.height}"/>'
        f'<DstRect xOff="{col}" yOff="{row}" xSize="{t.width}" ySize="{t.height}"/><NODATA>{t.nodata:g}</NODATA>'
        f"</ComplexSource>"
        for t, col, row in placed
    )
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{GEOGRAPHIC}</SRS>'
        f"<GeoTransform>{west!r}, {first.a!r}, 0, {north!r}, 0, {first.e!r}</GeoTransform>"
        f'<VRTRasterBand dataType="{tiles[0].dtype}" band="1"><NoDataValue>{NODATA}</NoDataValue>{parts}'
        f"</VRTRasterBand></VRTDataset>"
    )


def _describe(path: Path) -> Tile:
    place = path.parent if path.name.lower() == "hdr.adf" else path
    try:
        with rasterio.open(place) as raster:
            if raster.crs is None or not raster.crs.is_geographic or raster.dtypes[0] not in _TYPES:
                raise BadPredictors(
                    f"{place} is {raster.dtypes[0]} on {raster.crs}: GMTED2010 is in degrees. Get it again"
                )
            if raster.scales[0] != 1 or raster.offsets[0] != 0:
                raise BadPredictors(
                    f"{place} declares a scale of {raster.scales[0]:g} and an offset of {raster.offsets[0]:g}, and "
                    f"GMTED2010 is in metres without them: get it again"
                )
            if (raster.units[0] or "m").strip().lower() not in METRES:
                raise BadPredictors(
                    f"{place} is in {raster.units[0]!r}, and GMTED2010 in metres: get it again"
                )
            nodata = NODATA if raster.nodata is None else float(raster.nodata)
            return Tile(
                place, raster.width, raster.height, raster.transform, _TYPES[raster.dtypes[0]], nodata
            )
    except RasterioError as error:
        raise BadPredictors(f"cannot read {place} ({first_line(error)}): get it again") from error


def _method(transform: Affine, grid: Grid) -> Resampling:
    """Average, or bilinear where the raster's cells are larger than the grid's."""
    left, _, right, _ = transform_bounds(grid.crs, GEOGRAPHIC, *grid.bounds)
    across = (right - left) / transform.a / grid.shape[1]
    return Resampling.average if across > 1 / 1.5 else Resampling.bilinear
