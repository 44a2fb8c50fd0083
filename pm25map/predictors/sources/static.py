"""Layers that do not change from day to day: elevation, land cover, vegetation, turbidity and climatologies."""

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.warp import Resampling, reproject
from scipy import ndimage

from pm25map.base.errors import BadPredictors, UnknownName
from pm25map.grid import Grid
from pm25map.predictors.regrid import kernel_of_conus, regrid
from pm25map.predictors.sources.static_pack import open_pack
from pm25map.predictors.sources.static_rasters import (
    Bands,
    RasterFolder,
    StaticRaster,
    StaticRasters,
    in_units_of,
)
from pm25map.predictors.variables import Variable, check_range, variable, variables_of

ELEVATION = "elevation_5arcmin.tif"
LAND_COVER = "landcover_igbp_2019_0p05.tif"
TURBIDITY = "linke_turbidity_x20_monthly_5arcmin.tif"
TURBIDITY_SCALE = 20
"""Linke turbidity is kept as bytes, times 20 (SoDa, as pvlib ships it), where the raster declares no scale."""

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


def static_layers(
    folder: Path | None, grid: Grid, names: Collection[str] | None = None
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Bring the layers of the static source to a grid, one after another.

    Rasters are read, and their layers regridded, only when their turn comes: of a grid of 1 km, keep no more than
    one layer at a time.

    Args:
        folder: that holds the rasters, named as in FILES; None for those that come with the package.
        grid: to bring them to.
        names: of the layers; None for all of the static source.

    Yields:
        name, and (y, x) of a static variable or (month, y, x) of a climatology, in the units of the variable table:
        finite on land, NaN off it. In the order of the table.

    Raises:
        BadPredictors: a raster is absent, damaged, has the wrong bands, unit or values, or does not cover the grid.
        UnknownName: a name is not of the static source.
        BadInstall: what comes with the package is absent or damaged.
    """
    known = variables_of("static")
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise UnknownName(f"no static layer is called {unknown[0]!r}: choose of {', '.join(known)}")
    rows = [variable(name) for name in known if names is None or name in names]
    rasters = _open_rasters(folder, grid, {FILES[row.name][0] for row in rows})
    for file, of_file in itertools.groupby(rows, lambda row: FILES[row.name][0]):
        yield from _layers_of_raster(rasters, file, list(of_file), grid)


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


def _open_rasters(folder: Path | None, grid: Grid, files: Collection[str]) -> StaticRasters:
    if folder is None:
        return open_pack().over(grid)
    lacking = sorted(file for file in files if not (folder / file).is_file())
    if lacking:
        raise BadPredictors(
            f"{folder} lacks the rasters {', '.join(lacking)}: name their folder with --static, or leave it out for "
            f"the layers that come with the package (docs/static.md)"
        )
    return RasterFolder(folder)


def _layers_of_raster(
    rasters: StaticRasters, file: str, rows: list[Variable], grid: Grid
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Bring the layers that come of one raster to a grid."""
    raster = _physical(rasters, file, rows[0])
    for row in rows:
        if len(raster.bands) != (12 if row.kind == "climatology" else 1):
            raise BadPredictors(f"{raster.where} has {len(raster.bands)} bands, and {row.name} is {row.kind}")
    kernel = kernel_of_conus(raster.transform, raster.crs, grid)
    for resampling, alike in itertools.groupby(rows, lambda row: row.resampling):
        together = list(alike)
        parts = [FILES[row.name][1](raster.bands) for row in together]
        # One pass of the warper for all of them: what takes its time is to find where every cell is.
        brought = regrid(np.concatenate(parts), raster.transform, raster.crs, grid, resampling, kernel)
        for row, bands in zip(together, np.split(brought, len(together)), strict=True):
            for band in bands:  # (y, x)
                band[:] = fill_nearest(band, grid, f"{row.name} of {file}")
                if resampling == "average":
                    # Averages of weights may leave a share at 1.0000001.
                    band[:] = _without_rounding(band, row)
            yield row.name, bands if row.kind == "climatology" else bands[0]


def _physical(rasters: StaticRasters, file: str, row: Variable) -> StaticRaster:
    """Read a raster in the unit of its layers, and refuse values that they cannot have.

    Args:
        rasters: to read from.
        file: name of the raster.
        row: the first of its layers; of elevation and of what has one layer it gives unit and range.
    """
    if file == LAND_COVER:
        return _land_cover(rasters)
    raster = in_units_of(rasters.read(file), row)
    if file == TURBIDITY and not raster.scaled:
        raster = replace(raster, bands=raster.bands / np.float32(TURBIDITY_SCALE))
    if file == ELEVATION:
        raster = _without_seabed(raster, _land_cover(rasters))
    # Before they are averaged: a -9999 that is not declared as nodata may hide in a mean that is in range.
    check_range(variable("elevation") if file == ELEVATION else row, raster.bands, raster.where)
    return raster


def _land_cover(rasters: StaticRasters) -> StaticRaster:
    """Read the classes of land cover, and refuse unknown ones, whose every share would be 0."""
    raster = rasters.read(LAND_COVER)
    known = sum(IGBP_CLASSES.values(), ())
    wrong = raster.bands[np.isfinite(raster.bands) & ~np.isin(raster.bands, known)]
    if wrong.size:
        raise BadPredictors(
            f"{raster.where} holds class {wrong[0]:g} in {wrong.size} cells, and IGBP has 0 to 16: declare it as "
            f"nodata, or reclassify it"
        )
    return raster


def _without_seabed(heights: StaticRaster, cover: StaticRaster) -> StaticRaster:
    """Set cells below sea level that are mostly water to 0: terrain tiles continue under the sea, to -450 m."""
    water = np.full(heights.bands.shape[1:], np.nan, dtype=np.float32)
    reproject(
        _share(IGBP_CLASSES["landcover_water"])(cover.bands)[0],
        water,
        src_transform=cover.transform,
        src_crs=cover.crs,
        src_nodata=np.nan,
        dst_transform=heights.transform,
        dst_crs=heights.crs,
        dst_nodata=np.nan,
        resampling=Resampling.average,
    )
    bands = np.where((heights.bands < 0) & (water > 0.5), 0, heights.bands).astype(np.float32)
    return replace(heights, bands=bands)


def _without_rounding(values: npt.NDArray[np.float32], row: Variable) -> npt.NDArray[np.float32]:
    """Clip rounding errors at the ends of a valid range; a larger excess is left for the store to refuse."""
    clipped = np.clip(values, row.valid_min, row.valid_max)
    rounding = np.abs(values - clipped) <= 1e-5 * (row.valid_max - row.valid_min)
    return np.where(rounding, clipped, values).astype(np.float32)


def _as_it_is(bands: Bands) -> Bands:
    return bands


def _relief(bands: Bands) -> Bands:
    """Return the standard deviation of elevation over the window around every raster cell."""
    heights = bands[0].astype(np.float64)
    mean = ndimage.uniform_filter(heights, RELIEF_RASTER_CELLS, mode="nearest")
    square = ndimage.uniform_filter(heights**2, RELIEF_RASTER_CELLS, mode="nearest")
    relief: Bands = np.sqrt(np.maximum(square - mean**2, 0))[np.newaxis].astype(np.float32)
    return relief


def _share(classes: tuple[int, ...]) -> Callable[[Bands], Bands]:
    """Return a function that turns class numbers into 1 where a cell is of these classes, 0 elsewhere."""

    def is_of_classes(bands: Bands) -> Bands:
        return np.where(np.isnan(bands), np.nan, np.isin(bands, classes)).astype(np.float32)

    return is_of_classes


FILES: dict[str, tuple[str, Callable[[Bands], Bands]]] = {
    "elevation": (ELEVATION, _as_it_is),
    "relief": (ELEVATION, _relief),
    **{name: (LAND_COVER, _share(classes)) for name, classes in IGBP_CLASSES.items()},
    "ndvi_maximum": ("ndvi_maximum_0p05.tif", _as_it_is),
    "ndvi_minimum": ("ndvi_minimum_0p05.tif", _as_it_is),
    "linke_turbidity": (TURBIDITY, _as_it_is),
    "t2m_climatology": ("t2m_monthly_climatology_0p25.tif", _as_it_is),
    "precipitation_climatology": ("precipitation_monthly_climatology_0p25.tif", _as_it_is),
}
"""For every layer its raster, and the function that is applied to it before it is regridded."""
