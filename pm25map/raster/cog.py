"""Arrays laid out as a Cloud-Optimized GeoTIFF, its tags set before it is laid out, and written whole or not at all."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS
from rasterio.io import MemoryFile
from rasterio.shutil import copy as gdal_copy
from rasterio.transform import Affine

from pm25map.base.errors import BadOutput
from pm25map.base.files import replacing
from pm25map.grid import Block, Grid, geotiff
from pm25map.raster.bands import Band
from pm25map.raster.provenance import Provenance

GDAL_ERRORS = geotiff.GDAL_ERRORS

CONVENTIONS = "CF-1.11"

COG_OPTIONS = {
    "COMPRESS": "DEFLATE",
    "PREDICTOR": "3",
    "BLOCKSIZE": "512",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
    "GEOTIFF_VERSION": "1.1",
}

WHOLE_OPTIONS = {**COG_OPTIONS, "OVERVIEW_RESAMPLING": "NEAREST"}
"""For counts and flags in float32: no mean is taken of them."""


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


def write_whole(path: Path, content: bytes) -> None:
    """Write the content of a file, whole or not at all.

    Raises:
        BadOutput: the disk is full, or the place cannot be written.
    """
    with replacing(path) as part:
        try:
            part.write_bytes(content)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # `replacing` has the words for a full disk
            raise BadOutput(f"cannot write {path}: {error.strerror}. Choose another folder") from error


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
    """Return the tags of the file: CF's global attributes, and where the map comes from."""
    p = provenance
    return {
        "Conventions": CONVENTIONS,
        "title": p.title,
        "source": p.source,
        "history": f"pm25map {p.software_version}: {p.command}",
        "references": p.references,
        "license": p.licence,
        "comment": p.comment,
        "time": p.day.isoformat(),
        "time_bnds": f"{p.day.isoformat()}T00:00:00/P1D local standard time",
        **p.to_tags(),
        "PM25MAP_COVERAGE_PERCENT": repr(statistics.coverage_percent),
        "PM25MAP_CELL_COUNT": str(statistics.cell_count),
        "PM25MAP_GRID_SHAPE": f"{grid.shape[0]} {grid.shape[1]}",
    }


def band_tags(band: Band, values: npt.NDArray[np.float32], mapping: str) -> dict[str, str]:
    """Return the tags of a band: CF's attributes of a variable, and GDAL's statistics."""
    found = statistics_of(values, np.isfinite(values))
    tags = {**band.tags(), "grid_mapping": "spatial_ref", "grid_mapping_name": mapping}
    if not found.cell_count:
        return tags
    return tags | {
        "STATISTICS_MINIMUM": repr(found.minimum),
        "STATISTICS_MAXIMUM": repr(found.maximum),
        "STATISTICS_MEAN": repr(found.mean),
        "STATISTICS_STDDEV": repr(found.stddev),
        "STATISTICS_VALID_PERCENT": repr(found.valid_percent),
    }


def lay_out(
    layers: Mapping[Band, npt.NDArray[Any]],
    grid: Grid,
    block: Block,
    tags: dict[str, str],
    *,
    nodata: float = float("nan"),
    options: Mapping[str, str] = COG_OPTIONS,
) -> bytes:
    """Return the content of a Cloud-Optimized GeoTIFF.

    Args:
        layers: arrays (y, x) of one dtype, in the order of the bands.
        grid: that they lie on.
        block: the part of the grid that they cover.
        tags: of the file.
        nodata: to declare.
        options: of GDAL's COG driver; a map of classes takes NEAREST or MODE overviews and no PREDICTOR 3.
    """
    a, b, c, d, e, f = grid.transform
    first = next(iter(layers.values()))
    profile = {
        "driver": "GTiff",
        "dtype": str(first.dtype),
        "count": len(layers),
        "height": block.height,
        "width": block.width,
        "crs": grid.crs,
        "transform": Affine(a, b, c + a * block.col, d, e, f + e * block.row),
        "nodata": nodata,
    }
    mapping = str(CRS.from_user_input(grid.crs).to_cf().get("grid_mapping_name", "unknown"))
    # Tags written to a COG afterwards break its layout (stac_floodplains_bc#33), so that they go into a
    # plain GeoTIFF first; one writer then lays out tiles and overviews (rioxarray#410). Both stay in memory:
    # on a full disk GDAL may lose the last bytes and only mutter, where Python's own writing stops.
    with rasterio.Env(GDAL_PAM_ENABLED=False), MemoryFile() as memory, MemoryFile(ext=".tif") as laid_out:
        with memory.open(**profile) as plain:
            if max(block.height, block.width) > int(options["BLOCKSIZE"]):
                tags = {"OVERVIEW_RESAMPLING": options["OVERVIEW_RESAMPLING"], **tags}
            plain.update_tags(AREA_OR_POINT="Area", **tags)
            for number, (band, values) in enumerate(layers.items(), start=1):
                shown = values if np.isnan(nodata) else np.where(values == nodata, np.nan, values)
                plain.update_tags(number, **band_tags(band, shown, mapping))
                plain.set_band_description(number, band.name)
                plain.set_band_unit(number, band.units)
                plain.write(values, number)
        with memory.open() as plain:
            gdal_copy(plain, laid_out.name, driver="COG", **options)
        return bytes(laid_out.read())
