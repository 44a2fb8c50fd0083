"""Similarity of places to an encoder: cosine similarity to some places, and three components as colours."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from pm25map.base.errors import UnknownName
from pm25map.grid import Grid
from pm25map.laboratory.world.countries import read_countries
from pm25map.places.location_encoder import LocationEncoder, Vectors, checked

WORLD_CELLS = 100_000
"""Land cells of the world grid, all of one area."""

PLACES = {
    "hong-kong": (22.3, 114.2),
    "qinghai-tibet": (33.0, 88.0),
    "congo-basin": (-1.0, 22.0),
    "portland": (45.52, -122.68),
    "phoenix": (33.45, -112.07),
    "manhattan": (40.78, -73.97),
}
"""Latitude and longitude of the places of the fellowship poster."""

_CRS = "EPSG:6933"
_HALF_WIDTH, _HALF_HEIGHT = 17_367_530.0, 7_314_540.0
_LAND_KM2 = 145.5e6
_POINTS = 500_000


@dataclass(frozen=True)
class NamedPlace:
    """A place to compare with: its name and where it is, degrees."""

    name: str
    lat: float
    lon: float


def read_place(text: str) -> NamedPlace:
    """Read a place: a name of PLACES, or latitude,longitude in degrees.

    Raises:
        UnknownName: it is neither.
        BadGrid: it is outside the globe; latitude and longitude may be exchanged.
    """
    if text in PLACES:
        return NamedPlace(text, *PLACES[text])
    match = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*", text)
    if match is None:
        raise UnknownName(
            f"unknown place {text!r}: give latitude,longitude in degrees, or {', '.join(PLACES)}"
        )
    lat, lon = (float(number) for number in match.groups())
    checked([lat], [lon])
    return NamedPlace(
        f"{abs(lat):g}{'N' if lat >= 0 else 'S'}-{abs(lon):g}{'E' if lon >= 0 else 'W'}", lat, lon
    )


def world_grid(folder: Path, cells: int = WORLD_CELLS) -> Grid:
    """Build a grid of equal areas over the land of all countries, between 85 degrees south and north.

    Args:
        folder: that holds countries-50m.json.
        cells: about how many are land.

    Raises:
        BadRaster: the outlines of the countries are absent or damaged.
    """
    import shapely  # noqa: PLC0415

    outlines = list(read_countries(folder).values())
    step = 1000 * float(np.sqrt(_LAND_KM2 / cells))
    cols, rows = int(2 * _HALF_WIDTH / step), int(2 * _HALF_HEIGHT / step)
    left, top = -cols * step / 2, rows * step / 2
    x = left + step * (np.arange(cols) + 0.5)
    y = top - step * (np.arange(rows) + 0.5)
    to_degrees = Transformer.from_crs(_CRS, "OGC:CRS84", always_xy=True)
    tree = shapely.STRtree(outlines)
    land = np.zeros(rows * cols, bool)
    # Some rows at a time: points with outlines take a hundred bytes each.
    some = max(1, _POINTS // cols)
    for first in range(0, rows, some):
        here = y[first : first + some]
        lon, lat = to_degrees.transform(np.tile(x, len(here)), np.repeat(here, cols))
        inside = tree.query(shapely.points(lon, lat), predicate="within")[0]
        land[first * cols + inside] = True
    return Grid("world", _CRS, (step, 0, left, 0, -step, top), (rows, cols), 64, land.reshape(rows, cols))


def similarity_to(encoder: LocationEncoder, vectors: Vectors, place: NamedPlace) -> npt.NDArray[np.float32]:
    """Return the cosine similarity of vectors (cell, d) to one place, -1 to 1; means are not subtracted."""
    there = encoder.encode([place.lat], [place.lon])[0]
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(there)
    return np.asarray(vectors @ there / np.maximum(lengths, 1e-12), np.float32)


def as_colours(vectors: Vectors) -> npt.NDArray[np.uint8]:
    """Return three principal components as red, green and blue (cell, 3), 1 to 255, 2 % at each end clipped.

    Signs are set so that the largest entry of every component is positive: one encoder, one picture.
    """
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    first = axes[:, ::-1][:, :3]
    first = first * np.sign(first[np.abs(first).argmax(axis=0), np.arange(first.shape[1])])
    parts = np.zeros((len(vectors), 3))
    parts[:, : first.shape[1]] = centred @ first
    low, high = np.percentile(parts, [2, 98], axis=0)
    scaled = (parts - low) / np.maximum(high - low, 1e-12)
    return np.asarray(1 + np.round(254 * np.clip(scaled, 0, 1)), np.uint8)
