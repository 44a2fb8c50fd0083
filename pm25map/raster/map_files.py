"""The files of one map: the estimate in one band, and beside it what else was asked for, one unit a file.

Programs that know nothing of pm25map draw a file of three bands as red, green and blue, and one of one band as what it
is. `cog.tif` is PM2.5 alone. `cog.bands.tif` holds further bands in ug m-3, `cog.shares.tif` those without a unit,
`cog.counts.tif` counts and flags. The number of members, which is nearly always the same in all cells, is then a tag of
the map: a band of one value has no range to be drawn in.
"""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadOutput
from pm25map.base.files import check_outputs, replacing_all
from pm25map.grid import Block, Grid
from pm25map.raster.bands import PM25, PM25_MEMBERS, Band
from pm25map.raster.cog import COG_OPTIONS, WHOLE_OPTIONS, Statistics, dataset_tags, lay_out, statistics_of
from pm25map.raster.provenance import Provenance
from pm25map.raster.style import qgis_style

Layers = Mapping[Band, npt.NDArray[np.float32]]

MAP: Final = "map"
"""Kind of the file that holds the estimate, and the key of its asset."""

COUNTS: Final = "counts"

UNIT_KINDS: Final = ("bands", "shares", COUNTS, "distances", "changes")
"""Kinds of files with further bands; the last two are of diagnostics alone."""

_KINDS: Final = {PM25.units: "bands", "1": "shares", "km": "distances", "km-1": "changes"}
"""Kind of the file of bands of a unit."""

TITLES: Final = {
    MAP: PM25.long_name,
    "bands": "Further bands, ug m-3",
    "shares": "Further bands, shares and probabilities",
    COUNTS: "Further bands, counts and flags",
}

BESIDE: Final = ("bands", "shares", COUNTS)
"""Kinds of the files that may stand beside a map: the end of their names, and the keys of their assets."""

CONSTANT: Final = "PM25MAP_CONSTANT_BANDS"
"""Tag of a map with bands that have one value in all cells that hold an estimate: "pm25_members=5"."""


def kind_of(band: Band) -> str:
    """Name the kind of file that a band beside a map goes to."""
    return COUNTS if band.whole else _KINDS[band.units]


def file_of(path: Path, kind: str) -> Path:
    """Name a file of a map: the map itself, or cog.bands.tif beside cog.tif."""
    return path if kind == MAP else path.with_name(f"{path.stem}.{kind}{path.suffix or '.tif'}")


def style_of(path: Path) -> Path:
    """Name the style of a map, which QGIS finds by its name."""
    return path.with_suffix(".qml")


def names_beside(path: Path) -> tuple[Path, ...]:
    """Name every file that may be written along with a map, whatever bands are asked for."""
    return (*(file_of(path, kind) for kind in BESIDE), style_of(path))


def files_beside(path: Path) -> dict[str, Path]:
    """Find the files with further bands that stand beside a map, by kind."""
    return {kind: file for kind in BESIDE if (file := file_of(path, kind)).is_file()}


def by_kind(layers: Layers) -> dict[str, dict[Band, npt.NDArray[np.float32]]]:
    """Sort layers beside a map by the kind of file that they go to, and keep their order."""
    found: dict[str, dict[Band, npt.NDArray[np.float32]]] = {}
    for band, values in layers.items():
        found.setdefault(kind_of(band), {})[band] = values
    return found


def check_map_outputs(path: Path, *, overwrite: bool) -> None:
    """Refuse a map whose file, or one that may stand beside it, cannot be written.

    Raises:
        BadOutput: as `check_outputs`.
    """
    check_outputs((path, *names_beside(path)), overwrite=overwrite)


def write_map(
    path: Path,
    pm25: npt.NDArray[np.float32],
    grid: Grid,
    provenance: Provenance,
    *,
    more: Layers | None = None,
    overwrite: bool = False,
    block: Block | None = None,
    asked: npt.NDArray[np.bool_] | None = None,
) -> Statistics:
    """Write one day's map: its file, those of further bands and the style, all of them or none.

    What an earlier map of the same name had beside it is taken away.

    Args:
        path: the file to write; its folder must exist.
        pm25: float32 (y, x), ug m-3; NaN off land and where there is no estimate.
        grid: the grid of the map.
        provenance: what made it.
        more: further bands, float32 (y, x), in the order in which they shall stand.
        overwrite: replace files that are there.
        block: the part of the grid that pm25 covers, the whole where None.
        asked: bool (y, x), the land cells that were to be estimated; all land of the block where None.

    Returns:
        What the map holds.

    Raises:
        BadOutput: a file is there already, cannot be written, or would hold no estimate. What was there
            stays as it was.
    """
    check_map_outputs(path, overwrite=overwrite)
    contents, statistics = map_contents(
        path.name, pm25, grid, provenance, more=more, block=block, asked=asked
    )
    files = {file_of(path, kind): content for kind, content in contents.items()}
    write_together(files | {style_of(path): qgis_style().encode()}, names_beside(path))
    return statistics


def write_together(contents: Mapping[Path, bytes], others: Iterable[Path] = ()) -> None:
    """Write files of one folder, all of them or none; those of `others` that are not written are removed.

    Raises:
        BadOutput: the disk is full, or the place cannot be written.
    """
    with replacing_all(list(contents)) as parts:
        for part, content in zip(parts, contents.values(), strict=True):
            part.write_bytes(content)
    for path in others:
        if path not in contents:
            path.unlink(missing_ok=True)


def map_contents(
    name: str,
    pm25: npt.NDArray[np.float32],
    grid: Grid,
    provenance: Provenance,
    *,
    more: Layers | None = None,
    block: Block | None = None,
    asked: npt.NDArray[np.bool_] | None = None,
) -> tuple[dict[str, bytes], Statistics]:
    """Lay out one day's map in memory: the bytes of its files by kind, and what it holds. Arguments as `write_map`."""
    block = block or Block(0, 0, *grid.shape)
    land = grid.land[block.slices]
    layers = {PM25: pm25, **(more or {})}
    _check_layers(layers, land)
    statistics = statistics_of(pm25, land if asked is None else asked & land)
    if not statistics.cell_count:
        raise BadOutput(f"nothing to write to {name}: no land cell of the map has an estimate")
    layers, constant = without_constant(layers)
    tags = dataset_tags(grid, provenance, statistics)
    beside = {band: values for band, values in layers.items() if band is not PM25}
    contents = {MAP: lay_out({PM25: pm25}, grid, block, tags | constant)}
    return contents | contents_beside(beside, grid, block, tags), statistics


def contents_beside(layers: Layers, grid: Grid, block: Block, tags: Mapping[str, str]) -> dict[str, bytes]:
    """Lay out bands beside a map: the bytes of their files by kind.

    Args:
        layers: float32 (y, x) of the block.
        grid, block: where they lie.
        tags: of the map.
    """
    return {
        kind: lay_out(
            some,
            grid,
            block,
            {**tags, "title": f"{tags['title']}: {TITLES.get(kind, kind)}"},
            options=WHOLE_OPTIONS if kind == COUNTS else COG_OPTIONS,
        )
        for kind, some in by_kind(layers).items()
    }


def without_constant(layers: Layers) -> tuple[dict[Band, npt.NDArray[np.float32]], dict[str, str]]:
    """Take out the number of members where it is the same in all cells: the layers left, and the tag that says it."""
    known = np.isfinite(layers[PM25])
    constant = {
        band.name: float(values[known][0])
        for band, values in layers.items()
        if band == PM25_MEMBERS and np.array_equal(np.isfinite(values), known) and np.ptp(values[known]) == 0
    }
    left = {band: values for band, values in layers.items() if band.name not in constant}
    said = " ".join(f"{name}={value:g}" for name, value in constant.items())
    return left, {CONSTANT: said} if said else {}


def constant_bands(tags: Mapping[str, str]) -> dict[str, float]:
    """Read which bands of a map have one value in all cells that hold an estimate, by name."""
    found = {}
    for pair in tags.get(CONSTANT, "").split():
        name, _, value = pair.partition("=")
        with contextlib.suppress(ValueError):  # a tag that another program edited says nothing
            found[name] = float(value)
    return found


def _check_layers(layers: Layers, land: npt.NDArray[np.bool_]) -> None:
    for band, values in layers.items():
        if values.dtype != np.float32 or values.shape != land.shape:
            raise ValueError(
                f"{band.name}: float32 {land.shape} is wanted, not {values.dtype} {values.shape}"
            )
        if np.isinf(values).any() or np.isfinite(values[~land]).any():
            raise ValueError(f"{band.name}: a map holds NaN off land, and no infinity")
