"""What a server may show: the maps of one folder, found once, asked for by name and never by path."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pm25map.base.errors import BadMap, BadServer
from pm25map.grid.geotiff import Raster, is_tiff, open_raster
from pm25map.view.layers import Layer, LookedAt, join_days, list_maps, read_map
from pm25map.view.pack import mercator_box

Stamp = tuple[int, int, int, int]
"""Of a file: device, number on it, bytes, and nanoseconds of the last change."""


@dataclass(frozen=True)
class Entry:
    """One map of the folder.

    Attributes:
        name: what a request calls it: the file's name without its ending.
        shown: the map without its values.
        box: what of the Mercator square it reaches, as `mercator_box` gives it.
        stamps: of its files when the catalogue was read.
    """

    name: str
    shown: LookedAt
    box: tuple[float, float, float, float]
    stamps: dict[Path, Stamp]

    def share(self, z: int, x: int, y: int) -> float:
        """Return the share of the map, 0 to 1, that a tile of the Mercator square covers; 0 where they only touch."""
        west, north, east, south = (2**z * edge for edge in self.box)
        across = max(0.0, min(x + 1, east) - max(x, west))
        down = max(0.0, min(y + 1, south) - max(y, north))
        return float(across * down / ((east - west) * (south - north)))

    @property
    def day(self) -> dt.date | None:
        """The day that the map estimates."""
        return self.shown.day

    def layer(self, key: str) -> Layer | None:
        """Return a layer, without its values, by its key."""
        return self.shown.layer(key)

    @contextlib.contextmanager
    def opened(self, layer: Layer) -> Iterator[Raster]:
        """Open the file of a layer.

        Raises:
            BadMap: it is not the file that it was when the catalogue was read, before or after the block: it was
                moved, replaced, cut short or written to.
        """
        self._check_same(layer.path)
        with open_raster(layer.path) as raster:
            yield raster
        self._check_same(layer.path)

    def whole(self) -> LookedAt:
        """Read the map again, with its values.

        Raises:
            BadMap: as `opened`.
        """
        self.check()
        read = join_days([read_map(path) for path in self.stamps])[0]
        self.check()
        return read

    def check(self) -> None:
        """Check that no file of the map was touched since the catalogue was read.

        Raises:
            BadMap: one was.
        """
        for path in self.stamps:
            self._check_same(path)

    def _check_same(self, path: Path) -> None:
        if stamp_of(path) != self.stamps[path]:
            raise BadMap(
                f"{path.name} cannot be read any more: it was moved, replaced or damaged since the server started"
            )


@dataclass(frozen=True)
class Catalogue:
    """The maps of a folder: by name, those of the earliest day first; and what was left out, with the reason."""

    folder: Path
    entries: dict[str, Entry]
    left_out: dict[str, str]


def read_catalogue(folder: Path, progress: Callable[[int, int], None] = lambda done, of: None) -> Catalogue:
    """Find the maps of a folder.

    A link that leads out of the folder, and a file that is no TIFF whatever its name says, are left out.

    Raises:
        BadServer: there is no such folder, or it holds no map that can be served.
    """
    if not folder.is_dir():
        raise BadServer(f"there is no folder {folder}: give the folder that holds the maps")
    root = folder.resolve()
    maps: list[LookedAt] = []
    stamps: dict[Path, Stamp] = {}
    left_out: dict[str, str] = {}
    try:
        files = list_maps([root])
    except BadMap as error:
        raise BadServer(f"nothing to serve: {error}") from error
    for number, path in enumerate(files):
        progress(number, len(files))
        name = path.relative_to(root).as_posix()
        if not path.resolve().is_relative_to(root):
            left_out[name] = "it is a link that leads out of the folder"
        elif not is_tiff(path):
            left_out[name] = "it is no TIFF"
        else:
            try:
                stamp = stamp_of(path)
                maps.append(_emptied(read_map(path)))
                if stamp is not None:
                    stamps[path] = stamp
            except BadMap as error:
                left_out[name] = str(error).replace(f"{root}/", "")
    if not maps:
        raise BadServer(
            f"nothing to serve: none of the {len(files)} files in {folder} is a map that can be read; "
            f"the first: {next(iter(left_out.values()), 'none is a GeoTIFF')}"
        )
    entries: dict[str, Entry] = {}
    for one in join_days(maps):
        name = one.path.stem
        while name in entries:
            name += "_"
        files_of = dict.fromkeys(layer.path for layer in one.layers)
        entries[name] = Entry(name, one, mercator_box(one), {path: stamps[path] for path in files_of})
    return Catalogue(root, entries, left_out)


def stamp_of(path: Path) -> Stamp | None:
    """Return what changes when a file is replaced or written to; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _emptied(one: LookedAt) -> LookedAt:
    """Drop the values: a folder may hold years."""
    nothing = np.empty((0, 0), dtype=np.float32)
    return dataclasses.replace(
        one, layers=tuple(dataclasses.replace(layer, values=nothing) for layer in one.layers)
    )
