"""Layers that stay from day to day: elevation, land cover, vegetation, turbidity and climatologies."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject
from scipy import ndimage

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.regrid import regrid
from pm25map.predictors.sources.static_pack import REACH, pack_folder
from pm25map.predictors.variables import Variable, variable, variables_of

Bands = npt.NDArray[np.float32]
"""(band, y, x), NaN where missing."""

ELEVATION = "elevation_5arcmin.tif"
LAND_COVER = "landcover_igbp_2019_0p05.tif"
TURBIDITY = "linke_turbidity_x20_monthly_5arcmin.tif"
TURBIDITY_SCALE = 20
"""Linke turbidity is kept as bytes, times 20 (SoDa, as pvlib ships it)."""

IGBP_CLASSES = {
    "landcover_urban": (13,),
    "landcover_forest": (1, 2, 3, 4, 5, 8),
    "landcover_cropland": (12, 14),
    "landcover_grass_shrub": (6, 7, 9, 10),
    "landcover_barren": (15, 16),
    "landcover_water": (0, 11),
}
"""MODIS MCD12C1, IGBP legend; together they are every class, so that the shares add up to 1."""

RELIEF_RASTER_CELLS = 3
"""Side of the window of relief: 3 cells of 5 arc minutes are about 25 km."""

MAXIMUM_FILL_KM = 100.0
"""A gap on land farther than this from a valid cell is no coast: the raster does not cover the grid."""


def static_layers(folder: Path | None, grid: Grid) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Bring every layer of the static source to a grid, one after another.

    Args:
        folder: that holds the rasters, named as in FILES; None takes those that come with the package.
        grid: to bring them to.

    Yields:
        name, and (y, x) of a static variable or (month, y, x) of a climatology: finite on land, NaN off it.

    Raises:
        BadPredictors: a raster is absent, damaged, has the wrong bands, or does not cover the grid.
        BadInstall: the package has lost its rasters.
    """
    if folder is None:
        try:
            yield from static_layers(pack_folder(), grid)
        except BadPredictors as error:
            raise BadPredictors(
                f"grid {grid.name} has land outside of the static layers that come with the package, which reach "
                f"from {REACH}: name a folder of your own rasters with --static ({error})"
            ) from error
        return
    lacking = sorted({file for file, _ in FILES.values() if not (folder / file).is_file()})
    if lacking:
        raise BadPredictors(
            f"{folder} lacks the rasters {', '.join(lacking)}: name their folder with --static"
        )
    for row in map(variable, variables_of("static")):
        file, prepare = FILES[row.name]
        bands, transform, crs = _read(folder / file)
        if len(bands) != (12 if row.kind == "climatology" else 1):
            raise BadPredictors(f"{folder / file} has {len(bands)} bands, and {row.name} is {row.kind}")
        if file == ELEVATION:
            bands = _without_seabed(bands, transform, crs, folder / LAND_COVER)
        layers = [regrid(band, transform, crs, grid, row.resampling) for band in prepare(bands)]
        filled = np.stack([fill_nearest(layer, grid, f"{row.name} of {file}") for layer in layers])
        # Averages of weights may leave a share at 1.0000001.
        inside = filled if row.resampling != "average" else _held(filled, row)
        yield row.name, inside if row.kind == "climatology" else inside[0]


def fill_nearest(values: npt.NDArray[np.float32], grid: Grid, what: str) -> npt.NDArray[np.float32]:
    """Fill gaps on land, such as along coasts, from the nearest valid cell; NaN off land.

    Raises:
        BadPredictors: a gap is too far from any valid cell.
    """
    gaps = np.isnan(values) & grid.land
    filled = np.where(grid.land, values, np.float32(np.nan))
    if not gaps.any():
        return filled
    if np.isnan(values).all():
        raise BadPredictors(f"{what} does not reach grid {grid.name}: choose a raster that covers it")
    # In grid units, which are metres: no conversion of degrees, and every grid of this package is projected.
    distance, nearest = ndimage.distance_transform_edt(
        np.isnan(values), sampling=(grid.step[1], grid.step[0]), return_indices=True
    )
    farthest_km = float(distance[gaps].max()) / 1000
    if farthest_km > MAXIMUM_FILL_KM:
        raise BadPredictors(
            f"{what} leaves land of grid {grid.name} empty {farthest_km:.0f} km from its nearest value: "
            f"choose a raster that covers the grid"
        )
    filled[gaps] = values[tuple(axis[gaps] for axis in nearest)]
    return filled


def _read(path: Path) -> tuple[Bands, Affine, str]:
    """Read all bands of a raster as float32 in physical values, NaN where it says nodata."""
    try:
        with rasterio.open(path) as raster:
            if raster.crs is None:
                raise BadPredictors(f"{path} has no CRS: set it with gdal_edit or rio edit-info")
            stored = raster.read(masked=True).astype(np.float64).filled(np.nan)
            scales, offsets = np.array(raster.scales), np.array(raster.offsets)
            bands = (stored * scales[:, None, None] + offsets[:, None, None]).astype(np.float32)
            return bands, raster.transform, raster.crs.to_wkt()
    except RasterioError as error:
        raise BadPredictors(f"cannot read {path} ({str(error).splitlines()[0]}): get it again") from error


def _without_seabed(heights: Bands, transform: Affine, crs: str, land_cover: Path) -> Bands:
    """Set cells below sea level that are mostly water to 0: terrain tiles go on under the sea, to -450 m."""
    cover, cover_transform, cover_crs = _read(land_cover)
    water = np.full(heights.shape[1:], np.nan, dtype=np.float32)
    reproject(
        _share(IGBP_CLASSES["landcover_water"])(cover)[0],
        water,
        src_transform=cover_transform,
        src_crs=cover_crs,
        src_nodata=np.nan,
        dst_transform=transform,
        dst_crs=crs,
        dst_nodata=np.nan,
        resampling=Resampling.average,
    )
    return np.where((heights < 0) & (water > 0.5), 0, heights).astype(np.float32)


def _held(values: npt.NDArray[np.float32], row: Variable) -> npt.NDArray[np.float32]:
    """Take off what rounding adds at the ends of a valid range; more is left for the store to refuse."""
    clipped = np.clip(values, row.valid_min, row.valid_max)
    rounding = np.abs(values - clipped) <= 1e-5 * (row.valid_max - row.valid_min)
    return np.where(rounding, clipped, values).astype(np.float32)


def _as_it_is(bands: Bands) -> Bands:
    return bands


def _turbidity(bands: Bands) -> Bands:
    scaled: Bands = bands / np.float32(TURBIDITY_SCALE)
    return scaled


def _relief(bands: Bands) -> Bands:
    """Give the standard deviation of elevation over the window around every raster cell."""
    heights = bands[0].astype(np.float64)
    mean = ndimage.uniform_filter(heights, RELIEF_RASTER_CELLS, mode="nearest")
    square = ndimage.uniform_filter(heights**2, RELIEF_RASTER_CELLS, mode="nearest")
    relief: Bands = np.sqrt(np.maximum(square - mean**2, 0))[np.newaxis].astype(np.float32)
    return relief


def _share(classes: tuple[int, ...]) -> Callable[[Bands], Bands]:
    """Give a function that turns class numbers into 1 where a cell is of these classes, 0 elsewhere."""

    def is_of_classes(bands: Bands) -> Bands:
        return np.where(np.isnan(bands), np.nan, np.isin(bands, classes)).astype(np.float32)

    return is_of_classes


FILES: dict[str, tuple[str, Callable[[Bands], Bands]]] = {
    "elevation": (ELEVATION, _as_it_is),
    "relief": (ELEVATION, _relief),
    **{name: (LAND_COVER, _share(classes)) for name, classes in IGBP_CLASSES.items()},
    "ndvi_maximum": ("ndvi_maximum_0p05.tif", _as_it_is),
    "ndvi_minimum": ("ndvi_minimum_0p05.tif", _as_it_is),
    "linke_turbidity": (TURBIDITY, _turbidity),
    "t2m_climatology": ("t2m_monthly_climatology_0p25.tif", _as_it_is),
    "precipitation_climatology": ("precipitation_monthly_climatology_0p25.tif", _as_it_is),
}
"""Of every layer: its raster, and what is done to it before it comes to the grid."""
