"""Search for the location of a patch: its vector against a gallery of place vectors that need not fit in memory.

The gallery passes by in parts; what is kept of it are the best places of each patch and the sum over all, so that
probabilities are those of a softmax over the whole gallery.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadGrid, BadRaster
from pm25map.grid.sphere import on_sphere
from pm25map.laboratory.encoders.vision import unit
from pm25map.laboratory.similarity.similarity import WORLD_CELLS, world_grid
from pm25map.laboratory.world.sphere import EARTH_KM, Blocks, Degrees
from pm25map.places.location_encoder import LocationEncoder, Vectors, checked
from pm25map.places.store import SHARD, default_store
from pm25map.scores.resampling import bootstrap

RADII_KM = (25, 200, 750, 2500)
"""Of city, region, country and continent, as geo-localization is scored since Hays and Efros (2008)."""

LARGEST_GALLERY = 10_000_000
"""Places over the land of the world, 3.8 km apart: of 256 numbers each they take 5 GB of the cache."""


@dataclass(frozen=True)
class GalleryPart:
    """Some places of a gallery: degrees (place,), and unit vectors (place, d)."""

    lat: Degrees
    lon: Degrees
    vectors: Vectors


@dataclass(frozen=True)
class LocatedPlaces:
    """Candidate locations of patches, the most probable place first.

    Attributes:
        lat, lon: degrees (patch, k).
        probability: of each place among all of the gallery (patch, k).
        places: in the gallery.
    """

    lat: Degrees
    lon: Degrees
    probability: npt.NDArray[np.float64]
    places: int


def land_gallery(
    encoder: LocationEncoder,
    folder: Path,
    places: int = WORLD_CELLS,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[GalleryPart]:
    """Yield places spread evenly over the land of the world, with their vectors from the user's cache.

    Args:
        encoder: of the places.
        folder: that holds countries-50m.json.
        places: about how many.
        progress: called while vectors are computed, the first time.

    Raises:
        BadGrid: so many places are too many.
        BadRaster: the outlines of the countries are absent or damaged.
        BadOutput: the cache cannot be written.
    """
    if places > LARGEST_GALLERY:
        raise BadGrid(
            f"a gallery of {places:,} places is too large: it would take "
            f"{places * encoder.dimension * 2 / 1e9:,.0f} GB of the cache. Give at most {LARGEST_GALLERY:,}, 3.8 km "
            "apart"
        )
    grid = world_grid(folder, places)
    store = default_store(grid, encoder, progress)
    lon, lat = grid.lonlat()
    for first in range(0, store.cell_count, SHARD):
        part = slice(first, min(first + SHARD, store.cell_count))
        yield GalleryPart(lat[part], lon[part], unit(store.read(part)))


def gallery_of_file(encoder: LocationEncoder, path: Path) -> Iterator[GalleryPart]:
    """Yield the places of a CSV file with the columns lat and lon, such as GeoCLIP's gallery, a part at a time.

    Raises:
        BadRaster: the file is absent, has no such column or no row, or a value is not a number.
        BadGrid: a place is outside the globe, or latitude and longitude are exchanged.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    rows = 0
    try:
        for table in pd.read_csv(path, chunksize=SHARD):
            table.columns = table.columns.str.strip().str.lower()
            lat, lon = checked(table["lat"].to_numpy(np.float64), table["lon"].to_numpy(np.float64))
            rows += len(table)
            yield GalleryPart(lat, lon, unit(encoder.encode(lat, lon)))
    except (OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0][:120]
        raise BadRaster(
            f"cannot read the gallery {path}: {reason}. Give a CSV with the columns lat, lon"
        ) from error
    if not rows:
        raise BadRaster(f"the gallery {path} has no place. Give a CSV with the columns lat, lon")


class Search:
    """A search under way: parts of a gallery are added, one after another.

    Attributes:
        places: of the gallery so far.
    """

    def __init__(
        self,
        vectors: Vectors,
        temperature: float,
        top: int,
        truth: tuple[Degrees, Degrees] | None = None,
    ) -> None:
        """Start a search for patches.

        Args:
            vectors: unit vectors (patch, d).
            temperature: cosines divided by it are logits.
            top: places to keep for each patch.
            truth: where the patches are from, degrees; then the gallery itself is judged too.
        """
        count = len(vectors)
        self.places = 0
        self._scaled, self._top = vectors / np.float32(temperature), top
        self._lat, self._lon = np.empty((count, 0)), np.empty((count, 0))
        self._logit = np.empty((count, 0), np.float32)
        self._highest, self._sum = np.full(count, -np.inf), np.zeros(count)
        self._truth = None if truth is None else on_sphere(*truth)
        self._nearest = np.full(count, -1.0)
        self._near = np.zeros((len(RADII_KM), count), np.int64)

    def add(self, part: GalleryPart) -> None:
        """Compare the patches with some places."""
        if len(part.lat) == 0:
            return
        logit = np.asarray(self._scaled @ part.vectors.T, np.float32)
        highest = np.maximum(self._highest, logit.max(axis=1))
        self._sum = self._sum * np.exp(self._highest - highest)
        self._sum += np.exp(logit - highest[:, None].astype(np.float32)).sum(axis=1, dtype=np.float64)
        self._highest = highest
        self._keep(part, logit)
        self.places += len(part.lat)
        if self._truth is not None:
            cosine = self._truth @ on_sphere(part.lat, part.lon).T
            self._nearest = np.maximum(self._nearest, cosine.max(axis=1))
            for i, radius in enumerate(RADII_KM):
                self._near[i] += (cosine >= np.cos(radius / EARTH_KM)).sum(axis=1)

    def _keep(self, part: GalleryPart, logit: npt.NDArray[np.float32]) -> None:
        here = min(self._top, logit.shape[1])
        best = np.argpartition(-logit, here - 1, axis=1)[:, :here]
        logits = np.concatenate([self._logit, np.take_along_axis(logit, best, axis=1)], axis=1)
        lat = np.concatenate([self._lat, part.lat[best]], axis=1)
        lon = np.concatenate([self._lon, part.lon[best]], axis=1)
        # Stable, so that of equal places the first of the gallery stays.
        order = np.argsort(-logits, axis=1, kind="stable")[:, : self._top]
        self._logit, self._lat, self._lon = (
            np.take_along_axis(values, order, axis=1) for values in (logits, lat, lon)
        )

    def result(self) -> LocatedPlaces:
        """Return the best places so far."""
        probability = np.exp(self._logit - self._highest[:, None]) / self._sum[:, None]
        return LocatedPlaces(self._lat, self._lon, probability, self.places)

    def nearest_km(self) -> npt.NDArray[np.float64]:
        """Return the distance of each patch to the nearest place of the gallery (patch,)."""
        return np.asarray(EARTH_KM * np.arccos(np.clip(self._nearest, -1, 1)), np.float64)

    def near(self) -> npt.NDArray[np.float64]:
        """Return the share of the gallery within each of RADII_KM of each patch (radius, patch)."""
        return self._near / max(self.places, 1)


@dataclass(frozen=True)
class LocateScore:
    """Share of patches whose most probable place is near the true one.

    Attributes:
        radius_km: how near.
        share: of the patches.
        low, high: its 95 % interval, by bootstrap over the held-out blocks.
        chance: the share that a random place of the gallery reaches.
        possible: the share that the nearest place of the gallery reaches.
    """

    radius_km: int
    share: float
    low: float
    high: float
    chance: float
    possible: float


def score(
    search: Search, truth: tuple[Degrees, Degrees], block_deg: float, seed: int = 0
) -> list[LocateScore]:
    """Score a finished search; `truth` as given to it, `block_deg` the side of the held-out blocks."""
    result = search.result()
    away = EARTH_KM * np.arccos(
        np.clip((on_sphere(*truth) * on_sphere(result.lat[:, 0], result.lon[:, 0])).sum(axis=1), -1, 1)
    )
    _, block = np.unique(Blocks(block_deg).of(*truth), return_inverse=True)
    within = [away <= radius for radius in RADII_KM]
    sums = np.stack([np.bincount(block), *(np.bincount(block, weights=near) for near in within)], axis=1)
    shares = bootstrap(sums, _shares, seed=seed, least=1)
    out = []
    for i, radius in enumerate(RADII_KM):
        share, chance = shares[str(radius)], float(search.near()[i].mean())
        possible = float((search.nearest_km() <= radius).mean())
        out.append(LocateScore(radius, share.value, share.low, share.high, chance, possible))
    return out


def _shares(sums: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Turn sums (..., column) of patches, and of those within each radius, into shares."""
    return {str(radius): sums[..., 1 + i] / sums[..., 0] for i, radius in enumerate(RADII_KM)}
