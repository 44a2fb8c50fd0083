"""Maps as they are looked at: every band of some files as a layer, ours or another program's."""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling

from pm25map.base.days import parse_day
from pm25map.base.errors import BadDate, BadMap
from pm25map.base.files import sha256_of_bytes
from pm25map.grid import Grid
from pm25map.grid.geotiff import Raster, is_ugm3, open_raster, rasters_in
from pm25map.raster import bands
from pm25map.raster.info import MapDescription, describe
from pm25map.raster.item_checks import check_map
from pm25map.raster.map_files import files_beside

Kind = Literal["concentration", "number", "flags"]

PM25 = bands.PM25.name
"""Key of the estimate itself."""

MAXIMUM_CELLS = 1_500_000
"""A map of more cells is looked at through the mean of several: a page must stay light."""

_MADE_OF = tuple(
    f"PM25MAP_{name}"
    for name in (
        "CARD_CHECKSUM",
        "NETWORK_CHECKSUM",
        "PLACES_CHECKSUM",
        "PLACE_SMOOTHING_KM",
        "PREDICTORS_CHECKSUM",
        "GRID_CHECKSUM",
        "REGION",
    )
)


@dataclass(frozen=True)
class Layer:
    """One band.

    Attributes:
        key: what it is, in letters, digits and underscores: "pm25", "pm25_lower", "artifact_risk".
        label: what it is, in words.
        unit: of the values; empty for plain numbers, and where the file does not say.
        kind: a concentration of PM2.5 (drawn by class), flags (bits), or any other number.
        values: float32 (y, x), row 0 is north, NaN where there is none.
        path, band: the file, and the number of the band in it from 1 on.
        flags: bit and meaning of each flag, of CF's flag_masks and flag_meanings.
        checksum: of the values as they were read.
    """

    key: str
    label: str
    unit: str
    kind: Kind
    values: npt.NDArray[np.float32]
    path: Path
    band: int
    flags: tuple[tuple[int, str], ...] = ()
    checksum: str = ""


@dataclass(frozen=True)
class LookedAt:
    """One map, with what its file says of it.

    Attributes:
        path: the file.
        day: that it estimates; None where the file does not say.
        crs, transform, shape: where its cells are, as in MapDescription.
        coarser: how many cells, along a side, one shown cell is the mean of; 1 as a rule.
        layers: its bands.
        found: what a map of pm25map says of itself; None for another program's, or where tags are missing.
        made_of: checksums of what the values of a file of pm25map were made of; empty for another program's.
    """

    path: Path
    day: dt.date | None
    crs: str
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]
    coarser: int
    layers: tuple[Layer, ...]
    found: MapDescription | None
    made_of: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, tuple[float, ...], tuple[int, int]]:
        """Return where the cells are: equal for maps of one grid."""
        return self.crs, self.transform, self.shape

    def layer(self, key: str) -> Layer | None:
        """Return a layer by its key; None where the map lacks it."""
        return next((layer for layer in self.layers if layer.key == key), None)

    def holds(self, path: Path) -> bool:
        """Return whether a layer comes from a file."""
        return any(layer.path == path for layer in self.layers)

    def joins(self, other: "LookedAt") -> bool:
        """Return whether this map and another are one: of a day, on a grid, made of the same, with bands to add.

        A band that both have must be the same in both.
        """
        if self.day is None or self.day != other.day or self.place != other.place:
            return False
        if self.made_of and other.made_of and self.made_of != other.made_of:
            return False
        mine, theirs = ({layer.key: layer.checksum for layer in one.layers} for one in (self, other))
        return mine.keys() != theirs.keys() and all(
            mine[key] == theirs[key] for key in mine.keys() & theirs.keys()
        )

    def grid(self) -> Grid:
        """Make a grid of the map: its land is where the first band has a value."""
        land = np.isfinite(self.layers[0].values)
        return Grid(self.path.stem, self.crs, self.transform, self.shape, max(self.shape), land)


def list_maps(paths: Iterable[Path]) -> list[Path]:
    """List the files to look at: with a map those that stand beside it, of a folder all GeoTIFFs in it, by name.

    Raises:
        BadMap: a path does not exist, or a folder holds no GeoTIFF.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise BadMap(f"there is no map {path}: check the name, or make it with pm25map predict")
        if not path.is_dir():
            found += [path, *files_beside(path).values()]
            continue
        inside = rasters_in(path)
        if not inside:
            raise BadMap(
                f"folder {path} holds no map (*.tif): make some with pm25map predict --out {path}/cog.tif"
            )
        found += inside
    return list(dict.fromkeys(found))


def read_maps(paths: Iterable[Path]) -> tuple[list[LookedAt], dict[Path, str]]:
    """Read maps, and leave out what cannot be read.

    Bands of one day in several files on one grid that were made of the same, such as a map and its diagnostics, become
    one map; two files with the same bands stay two.

    Returns:
        the maps by day and name, those without a day last; and the files left out, each with its reason.

    Raises:
        BadMap: as `list_maps`, or nothing at all can be read; a single file is not left out but raised.
    """
    files = list_maps(paths)
    maps: list[LookedAt] = []
    left_out: dict[Path, str] = {}
    for file in files:
        try:
            maps.append(read_map(file))
        except BadMap as error:
            if len(files) == 1:
                raise
            left_out[file] = str(error)
    if not maps:
        first = next(iter(left_out.values()))
        raise BadMap(f"none of {len(files)} files can be shown; the first: {first}")
    return join_days(maps), left_out


def read_map(path: Path) -> LookedAt:
    """Read every band of one map.

    Raises:
        BadMap: the file is damaged, is no raster, does not say where it lies, or is not the one that the item beside
            it describes.
    """
    check_map(path)
    with open_raster(path) as raster:
        tags = raster.source.tags()
        ours = "PM25MAP_DAY" in tags and _holds_estimate(raster.source.tags(1))
        coarser = int(np.ceil(np.sqrt(raster.source.width * raster.source.height / MAXIMUM_CELLS)))
        layers = _read_layers(raster, coarser)
        if not any(np.isfinite(layer.values).any() for layer in layers):
            raise BadMap(f"{path} holds no value in any cell: there is nothing to show. Make the map again")
        # After the values: of a file that was cut short the place is lost as well.
        place = raster.place
        a, b, c, d, e, f = place.transform
        shape = layers[0].values.shape
        across, down = place.shape[1] / shape[1], place.shape[0] / shape[0]
        day = day_of(tags, path)
    return LookedAt(
        path=path,
        day=day,
        crs=place.crs,
        transform=(a * across, b, c, d, e * down, f),
        shape=(int(shape[0]), int(shape[1])),
        coarser=coarser,
        layers=layers,
        found=_described(path) if ours else None,
        made_of=tuple(tags.get(name, "") for name in _MADE_OF) if _MADE_OF[0] in tags else (),
    )


def read_joined(path: Path) -> LookedAt:
    """Read a map with the bands that stand beside it.

    Raises:
        BadMap: one of the files cannot be read.
    """
    return next(one for one in join_days([read_map(file) for file in list_maps([path])]) if one.holds(path))


def _described(path: Path) -> MapDescription | None:
    """Read what a map says of itself; None where its tags are not whole, as of another version of pm25map."""
    try:
        return describe(path)
    except BadMap:
        # All cells could be read: the map is shown, without what it lacks.
        return None


def _read_layers(raster: Raster, coarser: int) -> tuple[Layer, ...]:
    source = raster.source
    size = -(-source.height // coarser), -(-source.width // coarser)
    layers: list[Layer] = []
    keys = keys_of(raster)
    for number in raster.numbers:
        tags = source.tags(number)
        # A file of flags alone says their meaning once, for the file.
        flags = _flags(tags) or (_flags(source.tags()) if source.count == 1 else ())
        whole = flags or (np.dtype(source.dtypes[number - 1]).kind in "ui" and not raster.is_scaled(number))
        how = Resampling.nearest if whole else Resampling.average
        values = raster.values(number, shape=size, resampling=how).astype(np.float32)
        unit = unit_of(raster, number)
        description = (source.descriptions[number - 1] or "").strip()
        key = keys[number]
        label = tags.get("long_name", "") or description or f"Band {number}"
        # The bits are listed by the legend.
        label = label.partition(", bits:")[0] if flags else label
        kind: Kind = "flags" if flags else "concentration" if _is_level(tags, unit, values) else "number"
        checksum = sha256_of_bytes(np.ascontiguousarray(values).data.cast("B"))
        layers.append(Layer(key, label, unit, kind, values, raster.path, int(number), flags, checksum))
    if not layers:
        raise BadMap(f"{raster.path} holds no band of values: it is a mask or a picture")
    return tuple(layers)


def keys_of(raster: Raster) -> dict[int, str]:
    """Name the bands of values of a raster: key by number, as `Layer.key`."""
    keys: dict[int, str] = {}
    for number in raster.numbers:
        description = (raster.source.descriptions[number - 1] or "").strip()
        tags, unit = raster.source.tags(number), unit_of(raster, number)
        keys[number] = _key(number, description, tags, unit, set(keys.values()))
    return keys


def unit_of(raster: Raster, number: int) -> str:
    """Return the unit of a band; empty where it has none, or the file does not say."""
    # CF's "1" says that a number has no unit; behind a value it would be read as a digit.
    return "" if raster.unit(number) == "1" else raster.unit(number)


def _key(number: int, description: str, tags: dict[str, str], unit: str, taken: set[str]) -> str:
    known = tags.get("NAME", "")
    if not known and _holds_estimate(tags) and description in ("", bands.PM25.long_name):
        known = PM25
    if PM25 in (known, description.lower()) and not is_ugm3(unit):
        # Every use of the key takes ug m-3: a band of another unit, or of none, keeps its number for a name.
        known, description = "", ""
    key = re.sub(r"\W+", "_", (known or description).lower()).strip("_") or f"band_{number}"
    return key if key not in taken else f"{key}_{number}"


def _holds_estimate(tags: dict[str, str]) -> bool:
    """Return whether a band is the estimate itself; the bounds of its interval have the same standard name."""
    return _is_pm25(tags) and tags.get("NAME", PM25) == PM25


def _is_pm25(tags: dict[str, str]) -> bool:
    return tags.get("standard_name") == bands.PM25.standard_name


def _is_level(tags: dict[str, str], unit: str, values: npt.NDArray[np.float32]) -> bool:
    """Return whether values are concentrations, which the index has classes for, not a spread or a difference."""
    if not is_ugm3(unit):
        return False
    if "NAME" in tags or "standard_name" in tags:
        return _is_pm25(tags)
    return not bool(np.nanmin(values, initial=0.0) < 0)


def _flags(tags: dict[str, str]) -> tuple[tuple[int, str], ...]:
    masks = [int(m) for m in re.findall(r"\d+", tags.get("flag_masks", ""))]
    meanings = tags.get("flag_meanings", "").split()
    if not masks or len(masks) != len(meanings):
        return ()
    return tuple((mask, meaning.replace("_", " ")) for mask, meaning in zip(masks, meanings, strict=True))


def day_of(tags: dict[str, str], path: Path) -> dt.date | None:
    """Read the day from our tag or, of another program's file, from a date in its name."""
    text = tags.get("PM25MAP_DAY", "")
    if not text:
        match = re.search(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)", path.stem)
        text = match[1] if match else ""
    try:
        return parse_day(text) if text else None
    except BadDate:
        return None


def join_days(maps: list[LookedAt]) -> list[LookedAt]:
    """Join maps that are one (LookedAt.joins); sort by day and name, those without a day last."""
    joined: list[LookedAt] = []
    for one in sorted(maps, key=lambda m: (m.day is None, m.day or dt.date.max, m.path.name)):
        for number, other in enumerate(joined):
            if one.joins(other):
                # The estimate comes first: its file names the map.
                first, second = (one, other) if one.layer(PM25) and not other.layer(PM25) else (other, one)
                keys = {layer.key for layer in first.layers}
                more = tuple(layer for layer in second.layers if layer.key not in keys)
                joined[number] = dataclasses.replace(first, layers=first.layers + more)
                break
        else:
            joined.append(one)
    return joined
