"""Invented maps with several bands, other programs' rasters and broken files, for the tests of the view room."""

import datetime as dt

import numpy as np
import rasterio
from maps import provenance

from pm25map.raster.map_files import write_map as write_map_files


def write_map(path, grid, pm25, day=dt.date(2020, 9, 12)):
    """A map of pm25map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_map_files(path, pm25.astype(np.float32), grid, provenance(grid, day=day))
    return path


def write_bands(path, bands, *, crs="EPSG:5070", transform=None, grid=None, ours=None, nodata=float("nan")):
    """A raster of named bands: {description: (values, unit)}, or with tags as a third.

    Args:
        ours: tags of a map of pm25map, which the raster is to carry.
    """
    first = next(iter(bands.values()))[0]
    profile = {
        "driver": "GTiff",
        "height": first.shape[0],
        "width": first.shape[1],
        "count": len(bands),
        "dtype": first.dtype,
        "crs": crs if grid is None else grid.crs,
        "transform": transform if grid is None else grid.affine,
        "nodata": nodata,
    }
    with rasterio.open(path, "w", **profile) as out:
        if ours:
            out.update_tags(**ours)
        for number, (name, (values, unit, *tags)) in enumerate(bands.items(), start=1):
            out.write(values, number)
            out.set_band_description(number, name)
            if unit:
                out.set_band_unit(number, unit)
            if tags:
                out.update_tags(number, **tags[0])
    return path


def write_map_with_bands(path, grid, pm25, extra, day=dt.date(2020, 9, 12)):
    """A map of pm25map with more bands beside it: {Band: values}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    more = {band: values.astype(np.float32) for band, values in extra.items()}
    write_map_files(path, pm25.astype(np.float32), grid, provenance(grid, day=day), more=more)
    return path


def bands_in(*paths):
    """Every band of some GeoTIFFs, by its name."""
    found = {}
    for path in paths:
        with rasterio.open(path) as source:
            found |= {source.tags(number)["NAME"]: source.read(number) for number in source.indexes}
    return found
