"""One day's map as a Cloud-Optimized GeoTIFF: whole or absent, its tags set before it is laid out."""

import errno
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.shutil import copy as gdal_copy
from rasterio.transform import Affine

from pm25map.base.errors import BadOutput
from pm25map.base.files import check_output, replacing
from pm25map.grid import Block, Grid
from pm25map.raster.provenance import REFERENCE_DOI, Provenance

GDAL_ERRORS = (RasterioError, CPLE_BaseError)
"""What a failing read or write raises: rasterio lets some of GDAL's own errors through."""

STANDARD_NAME = "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air"
LONG_NAME = "PM2.5 at the surface, 24-hour mean"
UNITS = "ug m-3"
CONVENTIONS = "CF-1.11"

_COG_OPTIONS = {
    "COMPRESS": "DEFLATE",
    "PREDICTOR": "3",
    "BLOCKSIZE": "512",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
    "GEOTIFF_VERSION": "1.1",
}


@dataclass(frozen=True)
class Statistics:
    """What the cells of a map say together.

    Attributes:
        minimum, maximum, mean, stddev: ug m-3, over the cells that hold an estimate.
        valid_percent: share of all cells, sea included, that hold an estimate, as GDAL counts it.
        coverage_percent: share of the land cells that were asked for and hold an estimate.
        cell_count: cells that hold an estimate.
    """

    minimum: float
    maximum: float
    mean: float
    stddev: float
    valid_percent: float
    coverage_percent: float
    cell_count: int


def write_cog(
    path: Path,
    pm25: npt.NDArray[np.float32],
    grid: Grid,
    provenance: Provenance,
    *,
    overwrite: bool = False,
    block: Block | None = None,
    asked: npt.NDArray[np.bool_] | None = None,
) -> Statistics:
    """Write one day's map.

    Args:
        path: the file to write; its folder must exist.
        pm25: float32 (y, x), ug m-3; NaN off land and where there is no estimate.
        grid: the grid of the map.
        provenance: what made it.
        overwrite: replace a file that is there.
        block: the part of the grid that pm25 covers, the whole where None.
        asked: bool (y, x), the land cells that were to be estimated; all land of the block where None.

    Returns:
        What the map holds.

    Raises:
        BadOutput: the file is there already, cannot be written, or would hold no estimate. What was there
            stays as it was.
    """
    check_output(path, overwrite=overwrite)
    block = block or Block(0, 0, *grid.shape)
    land = grid.land[block.slices]
    if pm25.dtype != np.float32 or pm25.shape != land.shape:
        raise ValueError(f"a map of float32 {land.shape} is wanted, not {pm25.dtype} {pm25.shape}")
    if np.isinf(pm25).any() or np.isfinite(pm25[~land]).any():
        raise ValueError("a map holds NaN off land, and no infinity")
    statistics = statistics_of(pm25, land if asked is None else asked & land)
    if not statistics.cell_count:
        raise BadOutput(f"nothing to write to {path}: no land cell of the map has an estimate")
    tags = dataset_tags(grid, provenance, statistics), band_tags(grid, statistics)
    content = _lay_out(pm25, grid, block, tags)
    with replacing(path) as part:
        try:
            part.write_bytes(content)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # `replacing` has the words for a full disk
            raise BadOutput(f"cannot write {path}: {error.strerror}. Choose another folder") from error
    return statistics


def statistics_of(pm25: npt.NDArray[np.float32], asked: npt.NDArray[np.bool_]) -> Statistics:
    """Sum up a map.

    Args:
        pm25: (y, x), ug m-3, NaN where there is no estimate.
        asked: (y, x), the cells that were to be estimated.
    """
    valid = np.isfinite(pm25)
    # float64, and one order of summing: the same map always gives the same numbers.
    values = pm25[valid].astype(np.float64)
    count = int(values.size)
    wanted = int(np.count_nonzero(asked))
    return Statistics(
        minimum=float(values.min()) if count else float("nan"),
        maximum=float(values.max()) if count else float("nan"),
        mean=float(values.mean()) if count else float("nan"),
        stddev=float(values.std()) if count else float("nan"),
        valid_percent=100.0 * count / pm25.size,
        coverage_percent=100.0 * int(np.count_nonzero(valid & asked)) / wanted if wanted else 0.0,
        cell_count=count,
    )


def dataset_tags(grid: Grid, provenance: Provenance, statistics: Statistics) -> dict[str, str]:
    """Give the tags of the file: CF's global attributes, and where the map comes from."""
    p = provenance
    return {
        "Conventions": CONVENTIONS,
        "title": p.title,
        "source": f"model {p.model_name} {p.model_version} on predictors {p.predictors_name}",
        "history": f"pm25map {p.software_version}: {p.command}",
        "references": f"https://doi.org/{REFERENCE_DOI}",
        "license": p.licence,
        "comment": f"The day is the {p.day_definition}. Estimates, not measurements.",
        "time": p.day.isoformat(),
        "time_bnds": f"{p.day.isoformat()}T00:00:00/P1D local standard time",
        "OVERVIEW_RESAMPLING": "AVERAGE",
        **p.to_tags(),
        "PM25MAP_COVERAGE_PERCENT": repr(statistics.coverage_percent),
        "PM25MAP_CELL_COUNT": str(statistics.cell_count),
        "PM25MAP_GRID_SHAPE": f"{grid.shape[0]} {grid.shape[1]}",
    }


def band_tags(grid: Grid, statistics: Statistics) -> dict[str, str]:
    """Give the tags of the one band: CF's attributes of a variable, and GDAL's statistics."""
    return {
        "standard_name": STANDARD_NAME,
        "long_name": LONG_NAME,
        "units": UNITS,
        "cell_methods": "time: mean",
        "grid_mapping": "spatial_ref",
        "grid_mapping_name": str(CRS.from_user_input(grid.crs).to_cf().get("grid_mapping_name", "unknown")),
        "STATISTICS_MINIMUM": repr(statistics.minimum),
        "STATISTICS_MAXIMUM": repr(statistics.maximum),
        "STATISTICS_MEAN": repr(statistics.mean),
        "STATISTICS_STDDEV": repr(statistics.stddev),
        "STATISTICS_VALID_PERCENT": repr(statistics.valid_percent),
    }


def _lay_out(
    pm25: npt.NDArray[np.float32],
    grid: Grid,
    block: Block,
    tags: tuple[dict[str, str], dict[str, str]],
) -> bytes:
    """Give the content of the file."""
    a, b, c, d, e, f = grid.transform
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": 1,
        "height": block.height,
        "width": block.width,
        "crs": grid.crs,
        "transform": Affine(a, b, c + a * block.col, d, e, f + e * block.row),
        "nodata": float("nan"),
    }
    # Tags written to a COG afterwards break its layout (stac_floodplains_bc#33), so that they go into a
    # plain GeoTIFF first; one writer then lays out tiles and overviews (rioxarray#410). Both stay in memory:
    # on a full disk GDAL may lose the last bytes and only mutter, where Python's own writing stops.
    with rasterio.Env(GDAL_PAM_ENABLED=False), MemoryFile() as memory, MemoryFile(ext=".tif") as laid_out:
        with memory.open(**profile) as plain:
            plain.update_tags(AREA_OR_POINT="Area", **tags[0])
            plain.update_tags(1, **tags[1])
            plain.set_band_description(1, LONG_NAME)
            plain.set_band_unit(1, UNITS)
            plain.write(pm25, 1)
        with memory.open() as plain:
            gdal_copy(plain, laid_out.name, driver="COG", **_COG_OPTIONS)
        return bytes(laid_out.read())
