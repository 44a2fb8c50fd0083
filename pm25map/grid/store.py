"""A grid on disk: grids/NAME/grid.json and land.tif."""

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from pm25map.base.errors import BadGrid, BadOutput, BadRaster, UnknownName
from pm25map.base.files import check_output, check_outputs, replacing
from pm25map.base.json_text import read_json
from pm25map.base.shipped import find_folder, shipped_names
from pm25map.grid.build import DEFINITIONS
from pm25map.grid.geotiff import open_raster
from pm25map.grid.grid import Grid

MARKER = "grid.json"
_LAND = "land.tif"


def grid_names() -> list[str]:
    """List the grids that come with the package."""
    return shipped_names("grids", MARKER)


def load_grid(name_or_path: str | Path) -> Grid:
    """Open a grid by its shipped name or by the path of its folder.

    Raises:
        UnknownName: there is no such grid; the message names those that exist and the command that builds one.
        BadGrid: its files are damaged or do not belong together.
    """
    name = str(name_or_path)
    try:
        folder = find_folder("grids", name, MARKER)
    except UnknownName as error:
        if name in DEFINITIONS:
            raise UnknownName(
                f"grid {name!r} is not built yet. Build it first: pm25map grid build {name}"
            ) from error
        raise UnknownName(f"{error}{did_you_mean(name, [*grid_names(), *DEFINITIONS])}") from error
    return _read(folder)


def save_grid(grid: Grid, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a grid to a folder, created where absent; other files in it are kept.

    Raises:
        BadOutput: the folder cannot be written, or holds a grid already and may not be overwritten.
    """
    check_folder(folder, overwrite=overwrite)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise BadOutput(f"cannot make the folder {folder}: {error.strerror}. Choose another") from error
    # The mask first: a grid.json that disagrees with its mask is refused, so a crash between the two is noticed.
    with replacing(folder / _LAND) as part:
        _write_land(grid, part)
    entry = {**grid.definition(), "land_cells": grid.cell_count, "checksum": grid.checksum}
    with replacing(folder / MARKER) as part:
        part.write_text(json.dumps(entry, indent=2) + "\n")
    return folder


def check_folder(folder: Path, *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse a folder that `save_grid` cannot write, before the grid is built.

    Raises:
        BadOutput: its parent is absent or read-only, a grid is there and may not be overwritten, or a file of it is
            one of the inputs.
    """
    if not folder.is_dir():
        check_output(folder, overwrite=False)
        return
    check_outputs([folder / MARKER, folder / _LAND], inputs, overwrite=overwrite)


def did_you_mean(name: str, known: list[str]) -> str:
    """Suggest the closest known names: " - did you mean oregon?", or nothing."""
    close = difflib.get_close_matches(name.lower(), dict.fromkeys(known), n=3)
    return f". Did you mean {' or '.join(close)}?" if close else ""


def _read(folder: Path) -> Grid:
    path = folder / MARKER
    try:
        entry: dict[str, Any] = read_json(path.read_text())
        a, b, c, d, e, f = (float(number) for number in entry["transform"])
        rows, cols = (int(number) for number in entry["shape"])
        name, crs, block_size = str(entry["name"]), str(entry["crs"]), int(entry["block_size"])
        checksum = str(entry["checksum"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadGrid(f"cannot read {path}: {error!r}. Build the grid again: pm25map grid build") from error
    try:
        with open_raster(folder / _LAND, BadRaster) as raster:
            land = raster.source.read(1).astype(np.bool_)
    except BadRaster as error:
        raise BadGrid(f"{error}. Build the grid again: pm25map grid build") from error
    grid = Grid(name, crs, (a, b, c, d, e, f), (rows, cols), block_size, land)
    if grid.checksum != checksum:
        raise BadGrid(
            f"{path} and its land.tif do not belong together (checksums differ): build the grid again"
        )
    return grid


def _write_land(grid: Grid, path: Path) -> None:
    rows, cols = grid.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=rows,
        width=cols,
        count=1,
        dtype="uint8",
        crs=rasterio.crs.CRS.from_user_input(grid.crs),
        transform=grid.affine,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
    ) as raster:
        raster.write(grid.land.view(np.uint8), 1)
        raster.set_band_description(1, "land: 1 where the cell is inside the boundary")
