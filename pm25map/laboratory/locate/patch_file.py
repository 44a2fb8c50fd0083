"""Patches as GeoTIFF: cut from world rasters as a vision tower takes them, written, and read again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from pm25map.base.errors import BadGrid, BadRaster
from pm25map.base.files import check_output, replacing
from pm25map.laboratory.encoders.vision import Standardization
from pm25map.laboratory.pretrain.pairs import (
    PairSource,
    PatchPairs,
    RasterPairs,
    steps_deg,
)
from pm25map.laboratory.world.sphere import Blocks, Degrees, distance_km
from pm25map.places.card import PatchTower
from pm25map.places.location_encoder import checked

_AS_WIDE = 0.1
"""A patch may be wider or narrower than those of the tower by this share."""


@dataclass(frozen=True)
class Patch:
    """One patch.

    Attributes:
        values: float32 (channel, y, x) as the tower takes them before standardizing; NaN where there is no value.
        lat, lon: of its middle, degrees.
    """

    values: npt.NDArray[np.float32]
    lat: float
    lon: float


def pairs_of(card: PatchTower, folder: Path) -> PairSource:
    """Open the training pairs of a tower, with the blocks that were held out.

    Raises:
        BadRaster: a raster or patch is absent, or not what it must be.
    """
    blocks = Blocks(card.holdout_block_deg)
    kept = blocks.chosen(card.holdout_fraction, card.seed)
    if card.patches is not None:
        return PatchPairs(card.patches, folder, blocks, kept)
    assert card.rasters is not None  # noqa: S101 - the card was validated
    return RasterPairs(card.rasters, folder, blocks, kept, Standardization(card.mean, card.spread))


def cut_patch(card: PatchTower, name: str, folder: Path, lat: float, lon: float) -> Patch:
    """Cut the patch around a place from world rasters.

    Args:
        card: of the tower.
        name: of its encoder.
        folder: of the rasters.
        lat, lon: degrees.

    Raises:
        BadGrid: the place is outside the globe, exchanged, or no land.
        BadRaster: a raster is absent or not of the world, or the tower learned from files.
    """
    north, east = checked([lat], [lon])
    source = pairs_of(card, folder) if card.rasters is not None else None
    if not isinstance(source, RasterPairs):
        raise BadRaster(f"{name} learned from patches in files, not from rasters. Give one of these files")
    if not source.is_land(north, east)[0]:
        raise BadGrid(
            f"latitude {lat:g}, longitude {lon:g} is no land: {name} learned from patches of land alone. Give a place "
            "on land, latitude first"
        )
    return Patch(source.cut(north, east)[0], lat, lon)


def write_patch(patch: Patch, card: PatchTower, path: Path, *, overwrite: bool = False) -> None:
    """Write a patch as GeoTIFF: a band a channel, north up, EPSG:4326, NaN for no value.

    Raises:
        BadOutput: it cannot be written.
    """
    import rasterio  # noqa: PLC0415 - slow to import
    from rasterio.transform import from_origin  # noqa: PLC0415

    check_output(path, overwrite=overwrite)
    assert card.rasters is not None  # noqa: S101 - cut_patch makes patches of rasters alone
    side = card.pixels
    down, along = _steps(card, patch.lat)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": len(card.channels),
        "height": side,
        "width": side,
        "nodata": np.nan,
        "crs": "EPSG:4326",
        "transform": from_origin(patch.lon - side / 2 * along, patch.lat + side / 2 * down, along, down),
        "compress": "deflate",
    }
    with replacing(path) as part, rasterio.open(part, "w", **profile) as target:
        target.write(patch.values)
        target.descriptions = card.channels
        target.update_tags(sources="; ".join(c.source for c in card.rasters.channels if c.source))


def read_patch_file(path: Path, card: PatchTower, name: str) -> Patch:
    """Read a patch as a tower takes it; more pixels than it has are averaged.

    Args:
        path: GeoTIFF with the channels of the card, in order, as they are before standardizing.
        card: of the tower.
        name: of its encoder.

    Raises:
        BadRaster: it is absent, has no CRS, other bands, is not north up, has too few pixels, or covers more or less
            ground than the patches that the tower knows.
    """
    from rasterio.enums import Resampling  # noqa: PLC0415

    from pm25map.grid.geotiff import open_raster  # noqa: PLC0415 - encoders that need no raster must not wait

    shape = (len(card.channels), card.pixels, card.pixels)
    with open_raster(path, BadRaster, what="the patch") as raster:
        lat, lon = _check(raster.source, path, card, name)
        raw = raster.source.read(out_shape=shape, resampling=Resampling.average, masked=True)
    values = np.ma.filled(raw.astype(np.float32), np.nan)
    if not np.isfinite(values).any():
        raise BadRaster(f"the patch {path} has no value at all. {_cut_one(name)}")
    if card.patches is not None:
        values = values / np.float32(card.patches.divide)
    return Patch(values, lat, lon)


def _check(source: Any, path: Path, card: PatchTower, name: str) -> tuple[float, float]:
    """Check that a file is a patch of a tower; give its middle, latitude and longitude in degrees."""
    if source.crs is None:
        raise BadRaster(f"the patch {path} has no CRS. Write it with one: gdal_edit.py -a_srs")
    count, side = len(card.channels), card.pixels
    if source.count != count:
        raise BadRaster(
            f"the patch {path} has {source.count} bands, not the {count} of {name} ({card.channels[0]} to "
            f"{card.channels[-1]}). {_cut_one(name)}"
        )
    for number, (said, wanted) in enumerate(zip(source.descriptions, card.channels, strict=True), 1):
        # Bands without a description are taken in order.
        if card.rasters is not None and said and said != wanted:
            raise BadRaster(
                f"band {number} of the patch {path} is {said!r}, not {wanted!r}. {_cut_one(name)}"
            )
    t = source.transform
    if t.b or t.d or t.a <= 0 or t.e >= 0:
        raise BadRaster(f"the patch {path} is not north up. Run: gdalwarp -t_srs EPSG:4326")
    if min(source.shape) < side:
        raise BadRaster(
            f"the patch {path} has {source.height} x {source.width} pixels, fewer than the {side} x {side} of {name}. "
            f"{_cut_one(name)}"
        )
    # The middle of the patch, and of its west, east, north and south edge.
    cols = np.array([0.5, 0.0, 1.0, 0.5, 0.5]) * source.width
    rows = np.array([0.5, 0.5, 0.5, 0.0, 1.0]) * source.height
    to_degrees = Transformer.from_crs(source.crs, "OGC:CRS84", always_xy=True)
    lon, lat = to_degrees.transform(t.c + t.a * cols, t.f + t.e * rows)
    if not (np.isfinite(lat).all() and np.isfinite(lon).all() and (np.abs(lat) <= 90).all()):
        raise BadRaster(f"the patch {path} reaches beyond the globe. {_cut_one(name)}")
    if card.rasters is not None:
        wide, tall = distance_km(lat[1], lon[1], lat[2], lon[2]), distance_km(lat[3], lon[3], lat[4], lon[4])
        down, along = _steps(card, float(lat[0]))
        as_wide = distance_km(lat[0], 0, lat[0], side * along)
        as_tall = distance_km(0, 0, side * down, 0)
        if max(abs(wide / as_wide - 1), abs(tall / as_tall - 1)) > _AS_WIDE:
            raise BadRaster(
                f"the patch {path} covers {wide:.0f} x {tall:.0f} km, not the {as_wide:.0f} x {as_tall:.0f} km that "
                f"{name} knows. {_cut_one(name)}"
            )
    return float(lat[0]), float((lon[0] + 180) % 360 - 180)


def _steps(card: PatchTower, lat: float) -> tuple[float, float]:
    assert card.rasters is not None  # noqa: S101 - see the callers
    down, along = steps_deg(card.rasters, np.array([lat]))
    return down, float(along[0])


def _cut_one(name: str) -> str:
    return f"Cut one: pm25map lab places patch --model {name} --rasters FOLDER --lat LAT --lon LON --out patch.tif"


def held_out_patches(
    card: PatchTower, folder: Path, count: int, seed: int
) -> tuple[Degrees, Degrees, npt.NDArray[Any]]:
    """Draw pairs from the blocks that were held out: lat, lon (place,), patches standardized (place, channel, y, x).

    Raises:
        BadRaster: as pairs_of.
        BadConfig: there is no land in these blocks.
    """
    pairs = pairs_of(card, folder).draw(np.random.default_rng([seed, 0x10CA7E]), count, held_out=True)
    return pairs.lat, pairs.lon, pairs.patch
