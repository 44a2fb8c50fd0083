"""GeoTIFFs of any program, read in one way: masked, scaled, placed, and without a look at any other file.

GDAL reads formats that name other files or addresses (a VRT), and reads files beside a raster (.aux.xml)
that do the same. What is opened here is a TIFF by its first bytes, through GDAL's GTiff driver alone, with all that
lies beside it left unread. Where a file beside it states what the values mean, the raster is refused.
"""

import contextlib
import dataclasses
import functools
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window

from pm25map.base.errors import BadMap, BadRaster

GDAL_ERRORS = (RasterioError, CPLE_BaseError)
"""What a failing read or write raises: rasterio lets some of GDAL's own errors through."""

ALONE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_DEBUG": "OFF",
}
"""GDAL looks at no other file than the one that it is to read."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF begins."""

_MEANINGS = re.compile(rb"<(Scale|Offset|NoDataValue|UnitType|MaskBand|SRS|GeoTransform|GCPList)\b")
"""What an .aux.xml may say that changes the values or their place; statistics do not."""

_MOST_AUX_BYTES = 1 << 20

_UGM3 = {"ug m-3", "ug/m3", "µg/m³", "ug m^-3", "ugm-3", "microgram m-3", "ug.m-3"}

_HIGHEST_UGM3 = 9000.0
"""Above all of what was ever measured as the mean of a day, and below the codes for no value: 9999, 99999, 1e20."""

_LOWEST_UGM3, _LOWEST_PM25_UGM3 = -900.0, -90.0
"""Differences of two concentrations may be far below zero, an estimate may not; the codes are -999, -9999 and -99."""

Refusal = type[BadMap] | type[BadRaster]


@dataclasses.dataclass(frozen=True)
class Georeference:
    """Where the cells of a raster are.

    Attributes:
        crs: "EPSG:5070", or WKT where no authority knows the system.
        transform: (a, b, c, d, e, f) in the order of Affine, at cell corners, north up.
        shape: (rows, columns).
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]

    @property
    def affine(self) -> Affine:
        """Return the transform as rasterio takes it."""
        return Affine(*self.transform)


class Raster:
    """An open GeoTIFF. Bands are numbered from 1 on, as GDAL does.

    Attributes:
        path: of the file.
        source: as rasterio opened it; its values are as stored, and `values` are what they mean.
    """

    def __init__(self, path: Path, source: DatasetReader, refusal: Refusal) -> None:
        self.path = path
        self.source = source
        self._refusal = refusal

    @functools.cached_property
    def place(self) -> Georeference:
        """Return where the cells are.

        Raises:
            BadMap or BadRaster: the file does not say it, or in a way that no command here follows: by ground
                control points, rotated, south up, beyond 180 degrees, or in a system that is not of the earth.
        """
        transform = tuple(float(number) for number in self.source.transform[:6])
        reason = _misplaced(self.source, transform)
        if reason:
            raise self._refusal(f"{self.path} {reason}")
        authority = self.source.crs.to_authority()
        name = ":".join(authority) if authority else str(CRS.from_user_input(self.source.crs).to_wkt())
        a, b, c, d, e, f = transform
        return Georeference(name, (a, b, c, d, e, f), (int(self.source.height), int(self.source.width)))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of the bands that hold values; a band of transparency holds none."""
        return tuple(
            int(number)
            for number, what in zip(self.source.indexes, self.source.colorinterp, strict=True)
            if what != ColorInterp.alpha
        )

    def name(self, number: int) -> str:
        """Return the name of a band: its tag NAME, or its description; empty where it has neither."""
        tags = self.source.tags(number)
        return str(tags.get("NAME", "") or self.source.descriptions[number - 1] or "").strip()

    def unit(self, number: int) -> str:
        """Return the unit of a band's values; empty where the file does not say."""
        return str(self.source.units[number - 1] or self.source.tags(number).get("units", "")).strip()

    def is_scaled(self, number: int) -> bool:
        """Return whether the stored numbers of a band must be scaled to be values."""
        return (self.source.scales[number - 1], self.source.offsets[number - 1]) != (1.0, 0.0)

    def values(
        self,
        number: int,
        *,
        window: Window | None = None,
        shape: tuple[int, int] | None = None,
        resampling: Resampling = Resampling.nearest,
    ) -> npt.NDArray[np.floating]:
        """Read the values of a band.

        Args:
            number: of the band.
            window: part of the raster, all of it where None.
            shape: rows and columns to return, as stored where None.
            resampling: how cells are joined where `shape` is smaller.

        Returns:
            float32 or float64 (y, x), scaled, NaN where the file holds no value, by nodata, mask or infinity.

        Raises:
            BadMap or BadRaster: the band is scaled by a number that is none, or holds a concentration that no air
                has, such as a code for no value that the file does not declare.
        """
        read = self.source.read(number, window=window, out_shape=shape, resampling=resampling, masked=True)
        return self.meaning(number, read)

    def meaning(self, number: int, stored: "np.ma.MaskedArray[Any, Any]") -> npt.NDArray[np.floating]:
        """Turn stored numbers of a band into values, as `values` returns them."""
        scale, offset = float(self.source.scales[number - 1]), float(self.source.offsets[number - 1])
        if not (np.isfinite([scale, offset]).all() and scale):
            raise self._refusal(
                f"band {number} of {self.path} has the scale {scale:g} and the offset {offset:g}"
            )
        if stored.dtype.kind == "c":
            raise self._refusal(f"{self.path} holds complex numbers, which are no values of a map")
        small = stored.dtype == np.float32 or stored.dtype.itemsize <= 2
        values: npt.NDArray[np.floating]
        if self.is_scaled(number):
            values = np.ma.filled(stored.astype(np.float64), np.nan) * scale + offset
        else:
            values = np.ma.filled(stored.astype(np.float32 if small else np.float64), np.nan)
        values[~np.isfinite(values)] = np.nan
        if is_ugm3(self.unit(number)):
            self._check_concentrations(number, values)
        return values

    def _check_concentrations(self, number: int, values: npt.NDArray[np.floating]) -> None:
        lowest = _LOWEST_PM25_UGM3 if self.name(number).lower() == "pm25" else _LOWEST_UGM3
        absurd = values[(values < lowest) | (values > _HIGHEST_UGM3)]
        if absurd.size:
            code = f"{absurd[0]:g}"
            raise self._refusal(
                f"band {number} of {self.path} holds {code} ug/m3, which no air has. If that stands for no value, say "
                f"so in the file: rio edit-info --nodata {code} {self.path}"
            )


@contextlib.contextmanager
def open_raster(path: Path, refusal: Refusal = BadMap, *, what: str = "") -> Iterator[Raster]:
    """Open a GeoTIFF; errors of reads within the block are refusals as well.

    Args:
        path: of the file.
        refusal: class of the errors.
        what: a word for the file in errors, such as "the patch".

    Raises:
        BadMap or BadRaster: there is no such file, it is no TIFF whatever its name says, it was cut short or
            damaged, or a file beside it says what its values mean.
    """
    file = f"{what} {path}".lstrip()
    reason = _not_alone(path)
    if reason:
        raise refusal(f"cannot read {file}: {reason}")
    try:
        # The settings hold until the file is closed: GDAL looks for masks and overviews when they are asked for.
        with warnings.catch_warnings(), rasterio.Env(**ALONE):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path.absolute(), driver="GTiff") as source:
                yield Raster(path, source, refusal)
    except GDAL_ERRORS as error:
        words = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise refusal(
            f"cannot read {file}: it is no GeoTIFF, or it was cut short or damaged ({words}). Copy it again, or "
            "make it again"
        ) from error


def is_ugm3(unit: str) -> bool:
    """Return whether a text stands for micrograms per cubic metre."""
    return unit.lower() in _UGM3


def rasters_in(folder: Path) -> list[Path]:
    """List the files *.tif of a folder and of the folders in it, by path; not hidden ones: those are half written."""
    return sorted(
        path
        for path in folder.rglob("*.tif")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def is_tiff(path: Path) -> bool:
    """Return whether a file is a TIFF by its first bytes. GDAL reads more formats; some name other files to read."""
    try:
        with path.open("rb") as handle:
            return handle.read(4) in _TIFF
    except OSError:
        return False


def _not_alone(path: Path) -> str:
    """Return the reason why a raster cannot be read by itself; empty where it can."""
    if not path.is_file():
        return "there is no such file. Check the name"
    if not is_tiff(path):
        return "it is no GeoTIFF, or it was cut short or damaged. Copy it again, or convert it: gdal_translate -of COG"
    mask, aux = path.with_name(f"{path.name}.msk"), path.with_name(f"{path.name}.aux.xml")
    if mask.exists():
        return (
            f"its mask lies beside it ({mask.name}), and files beside a raster are not read. Store it inside: "
            "gdal_translate --config GDAL_TIFF_INTERNAL_MASK YES"
        )
    if aux.is_file():
        with aux.open("rb") as handle:
            match = _MEANINGS.search(handle.read(_MOST_AUX_BYTES))
        if match:
            return (
                f"{aux.name} beside it says its {match[1].decode()}, and files beside a raster are not read. Store it "
                "inside with gdal_translate, or take that file away"
            )
    return ""


def _misplaced(source: DatasetReader, transform: tuple[float, ...]) -> str:
    """Return the reason why the position of the cells is unknown; empty where it is known."""
    points, _ = source.gcps
    if points:
        return f"is placed by {len(points)} ground control points: warp it first, for example with gdalwarp -order 1"
    if source.crs is None:
        return "does not say where it lies (no CRS): add one, for example rio edit-info --crs"
    if source.transform.is_identity:
        return (
            "does not say where its cells lie (no transform in the file itself): add one, for example "
            "rio edit-info --transform"
        )
    a, b, c, d, e, f = transform
    if not np.isfinite(transform).all() or b or d or a <= 0 or e >= 0:
        return "is not north up and west left: warp it first, for example with gdalwarp"
    return _off_the_earth(source, a, c, e, f)


def _off_the_earth(source: DatasetReader, a: float, c: float, e: float, f: float) -> str:
    """Return the reason why the CRS of a raster, or its extent in degrees, is not on the earth; empty where it is."""
    try:
        known = CRS.from_user_input(source.crs)
    except CRSError as error:
        return f"has a CRS that PROJ cannot read ({error}): set another, for example rio edit-info --crs"
    if not known.is_geographic and not known.is_projected:
        return (
            f"has the CRS {known.name!r}, which is not tied to the earth: set one that is, for example "
            "rio edit-info --crs"
        )
    if not known.is_geographic:
        return ""
    east, south = c + a * source.width, f + e * source.height
    if abs(known.axis_info[0].unit_conversion_factor - np.pi / 180) > 1e-9:
        return f"counts in {known.axis_info[0].unit_name}s: warp it to EPSG:4326, for example with gdalwarp"
    # Rasters of points reach half a cell beyond the poles and the meridian of 180 degrees.
    if c < -180 - a or east > 180 + a or f > 90 - e or south < -90 + e:
        return (
            f"reaches from {c:g} to {east:g} degrees east and from {south:g} to {f:g} north, and must lie between "
            "-180 and 180, -90 and 90: warp it there first, for example with gdalwarp -t_srs EPSG:4326 -te"
        )
    return ""
