"""Targets that probes predict at a place: countries, climate, terrain, land cover, photos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadTarget, UnknownName
from pm25map.laboratory.world.countries import read_countries
from pm25map.laboratory.world.rasters import Degrees, open_world
from pm25map.laboratory.world.sphere import even_places

NO_COUNTRY = "Antarctica"
"""In the file of countries, but identified by its latitude alone: probes leave it out."""


@dataclass(frozen=True)
class TargetLayer:
    """A target that a world raster holds.

    Attributes:
        raster: name of the file.
        kind: "class" or "number".
        units: of the number.
        missing: values that mean none.
        factor: from the file's numbers to `units`, before the logarithm.
        highest: above it there is no value; NaN for no end.
        logarithm: of base 10, taken of the number.
        about: for the table.
    """

    raster: str
    kind: Literal["class", "number"]
    about: str
    units: str = ""
    missing: tuple[int, ...] = ()
    factor: float = 1.0
    highest: float = np.nan
    logarithm: bool = False


PRECIPITATION = "precipitation_annual_mm_0p25.tif"

LAYERS = {
    # ERA5 rains far too much on tropical mountains, up to 28 m: 1 in 250 places has more than 5,000 mm.
    "precipitation": TargetLayer(
        PRECIPITATION, "number", "annual precipitation, to 5,000 mm (ERA5)", "mm", highest=5000
    ),
    "log-precipitation": TargetLayer(
        PRECIPITATION, "number", "logarithm of annual precipitation (ERA5)", "log10 mm", logarithm=True
    ),
    "temperature": TargetLayer(
        "t2m_annual_x10_degC_0p25.tif", "number", "annual mean temperature (ERA5)", "deg C", factor=0.1
    ),
    "elevation": TargetLayer("elevation_5arcmin.tif", "number", "elevation (terrain tiles)", "m"),
    "landcover": TargetLayer(
        "landcover_igbp_2019_0p05.tif", "class", "land cover, 17 IGBP classes (MODIS)", missing=(0, 255)
    ),
    # Class 32 of the file is the sea.
    "koppen": TargetLayer(
        "koppen_geiger_5arcmin.tif", "class", "Koppen-Geiger climate, 31 classes", missing=(32,)
    ),
}

TARGETS = ("country", *LAYERS, "photos")
"""Beside the layers: country (Natural Earth, 1:50 million); photos of GeoCLIP, log10 of 1 + count per 1,000 km2."""


@dataclass(frozen=True)
class Target:
    """One target at some places.

    Attributes:
        name: of TARGETS.
        kind: "class" or "number".
        values: (place,) integers of classes, or float64.
        known: bool (place,): there is a value.
    """

    name: str
    kind: Literal["class", "number"]
    values: npt.NDArray[Any]
    known: npt.NDArray[np.bool_]


def units_of(name: str) -> str:
    """Return the units of a number that is a target."""
    return LAYERS[name].units if name in LAYERS else "log10 of 1 + photos per 1,000 km2"


def land_places(folder: Path, count: int, seed: int) -> tuple[Degrees, Degrees, npt.NDArray[np.int64]]:
    """Draw places evenly over the land of all countries: lat, lon (degrees) and the number of each one's country.

    Antarctica is left out.

    Raises:
        BadRaster: the outlines of the countries are absent or damaged.
    """
    import shapely  # noqa: PLC0415

    outlines = [outline for name, outline in read_countries(folder).items() if name != NO_COUNTRY]
    tree, rng = shapely.STRtree(outlines), np.random.default_rng(seed)
    parts: list[npt.NDArray[np.float64]] = []
    while sum(part.shape[1] for part in parts) < count:
        lat, lon = even_places(rng, 4 * count)
        inside, country = tree.query(shapely.points(lon, lat), predicate="within")
        # Where outlines overlap, a place has the first of its countries.
        inside, first = np.unique(inside, return_index=True)
        parts.append(np.stack([lat[inside], lon[inside], country[first].astype(float)]))
    lat, lon, country = np.concatenate(parts, axis=1)[:, :count]
    return lat, lon, country.astype(np.int64)


def read_target(
    name: str, folder: Path, lat: Degrees, lon: Degrees, country: npt.NDArray[np.int64]
) -> Target:
    """Read a target at places.

    Args:
        name: of TARGETS.
        folder: of the rasters.
        lat, lon, country: as `land_places` gives them.

    Raises:
        UnknownName: there is no such target.
        BadRaster: its raster is absent or not of the world.
        BadTarget: it has no value, or one class or number alone.
    """
    if name == "country":
        return _checked(Target(name, "class", country, np.ones(len(country), bool)))
    if name == "photos":
        from pm25map.places.gallery import photos_around  # noqa: PLC0415

        values = np.log10(1 + photos_around(lat, lon).astype(np.float64))
        return _checked(Target(name, "number", values, np.ones(len(values), bool)))
    if name not in LAYERS:
        raise UnknownName(f"unknown probe target {name!r}: there are {', '.join(TARGETS)}")
    layer = LAYERS[name]
    raster = open_world(folder / layer.raster)
    raw = raster.at(lat, lon)
    known = ~raster.is_missing(raw, layer.missing)
    if layer.kind == "class":
        return _checked(Target(name, "class", raw.astype(np.int64), known))
    values = raw.astype(np.float64) * layer.factor
    known &= ~(values > layer.highest)
    if layer.logarithm:
        known &= values > 0
        values = np.log10(np.where(known, values, 1.0))
    return _checked(Target(name, "number", values, known))


def _checked(target: Target) -> Target:
    values = np.unique(target.values[target.known])
    if len(values) < 2:
        what = "no value" if len(values) == 0 else f"one {target.kind} alone, {values[0]}"
        raise BadTarget(
            f"the probe target {target.name} has {what} at the {len(target.values)} places: there is nothing to tell "
            "apart. Give another raster, or more places"
        )
    return target
