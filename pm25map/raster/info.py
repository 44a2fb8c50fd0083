"""What a map says of itself, read from the file alone."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS
from rasterio.io import DatasetReader
from rasterio.windows import Window

from pm25map.base.errors import BadMap
from pm25map.grid.geotiff import open_raster
from pm25map.raster.bands import PM25
from pm25map.raster.cog import Statistics
from pm25map.raster.map_files import constant_bands
from pm25map.raster.provenance import Provenance


@dataclass(frozen=True)
class BandDescription:
    """One band, as the file describes it.

    Attributes:
        name: short.
        long_name: for people.
        unit: of the values.
        minimum, maximum, mean, stddev: over its cells, valid_percent: share of cells that hold a value.
    """

    name: str
    long_name: str
    unit: str
    minimum: float
    maximum: float
    mean: float
    stddev: float
    valid_percent: float


@dataclass(frozen=True)
class MapDescription:
    """One map, as its file describes it.

    Attributes:
        path: the file.
        title: the product and the day.
        provenance: what made it.
        statistics: what the cells hold together.
        crs: "EPSG:5070", or WKT where no authority knows the system.
        transform: (a, b, c, d, e, f) in the order of Affine, at cell corners.
        shape: (rows, columns).
        bounds: left, bottom, right, top in units of the CRS.
        value_bounds: likewise of the rectangle around the cells that hold an estimate; of a map without one, bounds.
        unit: of the values.
        dtype: of the values.
        nodata: as declared in the file, "nan".
        overviews: how many times coarser each overview is; empty for a map of one tile.
        size_bytes: of the file.
        bands: all of them, the estimate first where the file holds it.
        constant_bands: bands with one value in all cells that hold an estimate, by name.
    """

    path: Path
    title: str
    provenance: Provenance
    statistics: Statistics
    crs: str
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]
    bounds: tuple[float, float, float, float]
    value_bounds: tuple[float, float, float, float]
    unit: str
    dtype: str
    nodata: str
    overviews: tuple[int, ...]
    size_bytes: int
    bands: tuple[BandDescription, ...]
    constant_bands: dict[str, float]

    @property
    def holds_estimate(self) -> bool:
        """Return whether the file is a map, and not one of the files with further bands beside a map."""
        return self.bands[0].name == PM25.name

    def to_json(self) -> dict[str, Any]:
        """Return everything in values that JSON can hold."""
        found = dataclasses.asdict(self)
        found["path"] = self.path.name
        found["provenance"]["day"] = self.provenance.day.isoformat()
        return found


def describe(path: Path) -> MapDescription:
    """Read what a map is, which model, data and code made it, and that all of its cells can be read.

    Raises:
        BadMap: there is no such file, it is cut short or damaged, another program made it, or it holds further bands
            of a map and no estimate.
    """
    found = describe_file(path)
    if not found.holds_estimate:
        names = ", ".join(band.name for band in found.bands)
        raise BadMap(
            f"{path} holds bands of a map ({names}) and no PM2.5: name the map beside it, without the word before "
            f"{path.suffix or 'the end'}"
        )
    return found


def describe_file(path: Path) -> MapDescription:
    """Read what a map is, or a file with further bands beside one; errors as `describe`, but for the last."""
    if not path.is_file():
        raise BadMap(f"there is no map {path}: check the name, or make it with pm25map predict --out {path}")
    with open_raster(path) as raster:
        source = raster.source
        # The cells lie behind the tags: a file that was cut short still opens. The last goes first, since
        # tags may be lost as well, and a damaged map is no map of another program.
        windows = [window for _, window in source.block_windows(1)]
        source.read(1, window=windows[-1])
        tags, band = source.tags(), source.tags(1)
        if "PM25MAP_DAY" not in tags or "NAME" not in band:
            raise BadMap(
                f"{path} is a raster, and not a map of pm25map: it lacks the tags that pm25map predict "
                "writes. Describe it with rio info or gdalinfo"
            )
        return _describe(path, source, tags, band, _value_bounds(source, windows))


def _value_bounds(source: DatasetReader, windows: list[Window]) -> tuple[float, float, float, float]:
    """Read all of the first band for the rectangle around its values: left, bottom, right, top; of a region, a part."""
    rows, cols = np.zeros(source.height, dtype=np.bool_), np.zeros(source.width, dtype=np.bool_)
    for window in windows:
        known = np.isfinite(source.read(1, window=window))
        row, col = int(window.row_off), int(window.col_off)
        rows[row : row + known.shape[0]] |= known.any(axis=1)
        cols[col : col + known.shape[1]] |= known.any(axis=0)
    if not rows.any():
        return tuple(float(v) for v in source.bounds)  # type: ignore[return-value]
    (down,), (along,) = np.nonzero(rows), np.nonzero(cols)
    left, top = source.transform * (along[0], down[0])
    right, bottom = source.transform * (along[-1] + 1, down[-1] + 1)
    return float(left), float(bottom), float(right), float(top)


def _describe(
    path: Path,
    source: DatasetReader,
    tags: dict[str, str],
    band: dict[str, str],
    value_bounds: tuple[float, float, float, float],
) -> MapDescription:
    try:
        provenance = Provenance.from_tags(tags)
        statistics = Statistics(
            minimum=float(band["STATISTICS_MINIMUM"]),
            maximum=float(band["STATISTICS_MAXIMUM"]),
            mean=float(band["STATISTICS_MEAN"]),
            stddev=float(band["STATISTICS_STDDEV"]),
            valid_percent=float(band["STATISTICS_VALID_PERCENT"]),
            coverage_percent=float(tags["PM25MAP_COVERAGE_PERCENT"]),
            cell_count=int(tags["PM25MAP_CELL_COUNT"]),
        )
        bands = tuple(_band(source.tags(number)) for number in source.indexes)
    except (BadMap, KeyError, ValueError) as error:
        raise BadMap(
            f"the tags of {path} are not whole ({error}). Make it again with pm25map predict"
        ) from error
    return MapDescription(
        path=path,
        title=tags.get("title", ""),
        provenance=provenance,
        statistics=statistics,
        crs=_name_of(source),
        transform=tuple(float(v) for v in source.transform[:6]),  # type: ignore[arg-type]
        shape=(int(source.height), int(source.width)),
        bounds=tuple(float(v) for v in source.bounds),  # type: ignore[arg-type]
        value_bounds=value_bounds,
        unit=source.units[0] or band.get("units", ""),
        dtype=str(source.dtypes[0]),
        nodata="nan" if source.nodata is not None and np.isnan(source.nodata) else str(source.nodata),
        overviews=tuple(source.overviews(1)),
        size_bytes=path.stat().st_size,
        bands=bands,
        constant_bands=constant_bands(tags),
    )


def _band(tags: dict[str, str]) -> BandDescription:
    numbers = {
        name: float(tags.get(f"STATISTICS_{name.upper()}", "nan"))
        for name in ("minimum", "maximum", "mean", "stddev", "valid_percent")
    }
    return BandDescription(tags["NAME"], tags["long_name"], tags["units"], **numbers)


def _name_of(source: DatasetReader) -> str:
    authority = source.crs.to_authority()
    return ":".join(authority) if authority else str(CRS.from_user_input(source.crs).to_wkt())
