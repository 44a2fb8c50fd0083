"""Pairs of a place and a patch: from world rasters, drawn anew every step, or from a folder of GeoTIFF patches."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadConfig, BadRaster
from pm25map.laboratory.encoders.vision import Standardization
from pm25map.laboratory.pretrain.config import PretrainConfig
from pm25map.laboratory.world.rasters import Degrees, WorldRaster, open_world
from pm25map.laboratory.world.sphere import KM_A_DEGREE, Blocks, even_places
from pm25map.places.patches import Channel, Patches, Rasters

_MEASURED = 4096
"""Patches from which the mean and spread of a channel are taken."""

_LEAST_COSINE = 0.05
"""Of a latitude: beyond 87 degrees patches are narrower than they are tall."""


@dataclass(frozen=True)
class Pairs:
    """Some places and what they look like.

    Attributes:
        lat, lon: degrees (place,).
        patch: float32 (place, channel, y, x), standardized, row 0 is north.
    """

    lat: Degrees
    lon: Degrees
    patch: npt.NDArray[np.float32]


class PairSource(Protocol):
    """A source of pairs.

    Attributes:
        channels: names, in order.
        provenance: a line for each file or folder, for the card: name, sha256, source.
        standardization: of the channels of its patches.
    """

    channels: tuple[str, ...]
    provenance: tuple[dict[str, str], ...]
    standardization: Standardization

    def draw(self, rng: np.random.Generator, count: int, *, held_out: bool, shift_km: float = 0.0) -> Pairs:
        """Draw pairs from blocks that are held out, or from the others."""
        ...


class RasterPairs:
    """Patches around places drawn evenly over land, cut from world rasters."""

    def __init__(
        self,
        config: Rasters,
        folder: Path,
        blocks: Blocks,
        kept: npt.NDArray[np.bool_],
        standardization: Standardization | None = None,
    ) -> None:
        """Read the rasters, and measure the spread of their channels over land.

        Args:
            config: which rasters.
            folder: that holds them.
            blocks: of the sphere.
            kept: bool (block,): held out.
            standardization: where it is known already.

        Raises:
            BadRaster: a raster is absent or not of the whole world.
            BadConfig: no land is left to draw from.
        """
        self._config, self._blocks, self._kept = config, blocks, kept
        names = dict.fromkeys([config.land.raster, *(channel.raster for channel in config.channels)])
        self._rasters = {name: open_world(folder / name) for name in names}
        self.channels = tuple(name for channel in config.channels for name in _names(channel))
        sources = {channel.raster: channel.source for channel in config.channels}
        self.provenance = tuple(
            {"raster": name, "sha256": raster.sha256, "source": sources.get(name, "")}
            for name, raster in self._rasters.items()
        )
        self.standardization = standardization or self._measured()

    def _measured(self) -> Standardization:
        lat, lon = self._places(np.random.default_rng(0), _MEASURED, held_out=False)
        raw = self.cut(lat, lon)
        mean, spread = np.nanmean(raw, axis=(0, 2, 3)), np.nanstd(raw, axis=(0, 2, 3))
        mean, spread = np.where(np.isfinite(mean), mean, 0), np.where(spread > 0, spread, 1)
        return Standardization(tuple(map(float, mean)), tuple(map(float, spread)))

    def draw(self, rng: np.random.Generator, count: int, *, held_out: bool, shift_km: float = 0.0) -> Pairs:
        """See PairSource.draw; `shift_km` moves patches from their places, north up."""
        lat, lon = self._places(rng, count, held_out=held_out)
        shift = rng.uniform(-shift_km, shift_km, (2, count)) / KM_A_DEGREE
        patch = self.cut(lat + shift[0], lon + shift[1] / np.maximum(np.cos(np.deg2rad(lat)), _LEAST_COSINE))
        return Pairs(lat, lon, self.standardization.of(patch))

    def is_land(self, lat: Degrees, lon: Degrees) -> npt.NDArray[np.bool_]:
        """Return which places are land."""
        land = self._rasters[self._config.land.raster]
        return ~land.is_missing(land.at(lat, lon), self._config.land.not_land)

    def _places(self, rng: np.random.Generator, count: int, *, held_out: bool) -> tuple[Degrees, Degrees]:
        land = self._config.land
        parts: list[npt.NDArray[np.float64]] = []
        total = 0
        for _ in range(1000):
            lat, lon = even_places(rng, 4096 if not held_out else 65536, land.south, land.north)
            good = self.is_land(lat, lon) & (self._kept[self._blocks.of(lat, lon)] == held_out)
            parts.append(np.stack([lat, lon])[:, good])
            total += int(good.sum())
            if total >= count:
                north, east = np.concatenate(parts, axis=1)[:, :count]
                return north, east
        raise BadConfig(
            f"no land to draw places from: {land.raster} between {land.south:g} and {land.north:g} N has "
            f"{total} of {count} places wanted. Mend `land` or `holdout_fraction` in the configuration"
        )

    def cut(self, lat: Degrees, lon: Degrees) -> npt.NDArray[np.float32]:
        """Cut patches around places: float32 (place, channel, y, x), as they are; NaN where there is no value."""
        side = self._config.pixels
        down, along = steps_deg(self._config, lat)
        off = np.arange(side) - (side - 1) / 2
        north = lat[:, None] - off * down
        east = lon[:, None] + off * along[:, None]
        grid_lat = np.broadcast_to(north[:, :, None], (len(lat), side, side))
        grid_lon = np.broadcast_to(east[:, None, :], (len(lat), side, side))
        layers = []
        for channel in self._config.channels:
            raster = self._rasters[channel.raster]
            layers.extend(_layers(raster, channel, raster.at(grid_lat, grid_lon)))
        return np.stack(layers, axis=1)


def steps_deg(config: Rasters, lat: Degrees) -> tuple[float, Degrees]:
    """Return the sides of a pixel of patches in degrees: of latitude, and of longitude at each place."""
    down = config.step_km / KM_A_DEGREE
    return down, down / np.maximum(np.cos(np.deg2rad(lat)), _LEAST_COSINE)


def _names(channel: Channel) -> list[str]:
    stem = Path(channel.raster).stem
    return [f"{stem}: {group}" for group in channel.groups] if channel.kind == "class" else [stem]


def _layers(
    raster: WorldRaster, channel: Channel, values: npt.NDArray[np.generic]
) -> list[npt.NDArray[np.float32]]:
    if channel.kind == "class":
        return [np.isin(values, group).astype(np.float32) for group in channel.groups.values()]
    number = values.astype(np.float32)
    number[raster.is_missing(values, channel.missing)] = np.nan
    return [number]


class PatchPairs:
    """Patches in GeoTIFF files with an index: columns lat, lon, fn; files beside it or in `images`."""

    def __init__(self, config: Patches, folder: Path, blocks: Blocks, kept: npt.NDArray[np.bool_]) -> None:
        """Read all patches, averaged to the side that the configuration gives.

        Raises:
            BadRaster: the index or a patch is absent, a patch has no CRS, another band count or is too small.
            BadGrid: a place is outside the globe, or latitude and longitude are exchanged.
            BadConfig: no patch is held out, or none is left.
        """
        from pm25map.places.location_encoder import checked  # noqa: PLC0415

        index, names = read_index(folder)
        self._lat, self._lon = checked(index[:, 0], index[:, 1])
        stack = np.empty((len(names), config.bands, config.pixels, config.pixels), np.float32)
        digest = hashlib.sha256(index.tobytes())
        for row, name in zip(stack, names, strict=True):
            row[:] = read_patch(find_patch(folder, name), config.bands, config.pixels)
            digest.update(row.tobytes())
        stack /= config.divide
        self.channels = tuple(f"band {i + 1}" for i in range(config.bands))
        self.provenance: tuple[dict[str, str], ...] = (
            {
                "folder": folder.name,
                "patches": str(len(names)),
                "sha256": digest.hexdigest(),
                "source": config.source,
            },
        )
        out = kept[blocks.of(self._lat, self._lon)]
        self._at = {True: np.flatnonzero(out), False: np.flatnonzero(~out)}
        if min(map(len, self._at.values())) < 2:
            raise BadConfig(
                f"{folder}: {int((~out).sum())} patches to learn from and {int(out.sum())} held out. "
                "Give more patches, or change holdout_fraction or seed"
            )
        learned = stack[self._at[False]]
        mean, spread = np.nanmean(learned, axis=(0, 2, 3)), np.nanstd(learned, axis=(0, 2, 3))
        mean, spread = np.where(np.isfinite(mean), mean, 0), np.where(spread > 0, spread, 1)
        self.standardization = Standardization(tuple(map(float, mean)), tuple(map(float, spread)))
        self._patch = self.standardization.of(stack)

    def draw(self, rng: np.random.Generator, count: int, *, held_out: bool, shift_km: float = 0.0) -> Pairs:
        """See PairSource.draw; at most as many pairs as there are patches, none twice."""
        del shift_km  # the files end at their edges
        here = self._at[held_out]
        chosen = rng.permutation(here)[:count]
        return Pairs(self._lat[chosen], self._lon[chosen], self._patch[chosen])


def read_index(folder: Path) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Read index.csv of a folder of patches: float64 (patch, 2) of lat, lon; and the names of the files.

    Raises:
        BadRaster: it is absent, has no such column, or a value is not a number.
    """
    import pandas as pd  # noqa: PLC0415

    path = folder / "index.csv"
    try:
        table = pd.read_csv(path)
        places = table[["lat", "lon"]].to_numpy(np.float64)
        return places, [str(name) for name in table["fn"]]
    except (OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0][:120]
        raise BadRaster(f"cannot read {path}: {reason}. Give a CSV with the columns lat, lon, fn") from error


def find_patch(folder: Path, name: str) -> Path:
    """Find a patch beside the index or in `images`, as S2-100K has it."""
    nested = folder / "images" / name
    return nested if nested.is_file() else folder / name


def read_patch(path: Path, bands: int, pixels: int) -> npt.NDArray[np.float32]:
    """Read one patch and average it to `pixels` on a side: float32 (band, y, x), NaN where there is no value.

    Raises:
        BadRaster: it is absent, has no CRS, another band count, is not north up, or has fewer pixels.
    """
    from rasterio.enums import Resampling  # noqa: PLC0415

    from pm25map.grid.geotiff import open_raster  # noqa: PLC0415 - encoders that need no raster must not wait

    with open_raster(path, BadRaster, what="the patch") as raster:
        source = raster.source
        if source.crs is None:
            raise BadRaster(f"the patch {path} has no CRS. Write it with one: gdal_edit.py -a_srs")
        if source.count != bands:
            raise BadRaster(
                f"the patch {path} has {source.count} bands, not {bands}. Give patches of one kind, or set `bands`"
            )
        if source.transform.a <= 0 or source.transform.e >= 0:
            raise BadRaster(f"the patch {path} is not north up. Run: gdalwarp -t_srs EPSG:4326")
        if min(source.shape) < pixels:
            raise BadRaster(
                f"the patch {path} has {source.height} x {source.width} pixels, fewer than {pixels}. "
                "Set `pixels` lower"
            )
        shape = (bands, pixels, pixels)
        raw = source.read(out_shape=shape, resampling=Resampling.average, masked=True)
        return np.asarray(np.ma.filled(raw.astype(np.float32), np.nan))


def open_pairs(config: PretrainConfig, folder: Path) -> PairSource:
    """Open what a configuration names, in a folder. Raises as RasterPairs and PatchPairs."""
    blocks = Blocks(config.holdout_block_deg)
    kept = blocks.chosen(config.holdout_fraction, config.seed)
    if config.rasters is not None:
        return RasterPairs(config.rasters, folder, blocks, kept)
    if config.patches is not None:
        return PatchPairs(config.patches, folder, blocks, kept)
    raise BadConfig(f"the configuration {config.name} names neither rasters nor patches. Name one")
