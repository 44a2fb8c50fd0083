"""`pm25map grid`: build, list and describe grids, and embed their places."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import FILE, progress_bar
from pm25map.cli.words import Count, Number

if TYPE_CHECKING:
    from pm25map.grid.inside import LandRule


@click.group()
def command() -> None:
    """Build grids, and embed their places.

    \b
    Try: pm25map grid info conus-10km
    """  # noqa: D301 - click reads \b


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_grids(as_json: bool) -> None:
    """List the grids at hand and those that one command builds.

    \b
    Try: pm25map grid list
    """  # noqa: D301 - click reads \b
    from pm25map.grid import DEFINITIONS, grid_names

    shipped = grid_names()
    about = {
        name: DEFINITIONS[name].about if name in DEFINITIONS else "" for name in [*shipped, *DEFINITIONS]
    }
    if as_json:
        rows = [{"name": name, "shipped": name in shipped, "about": text} for name, text in about.items()]
        click.echo(json.dumps(rows, indent=2))
        return
    for name, text in about.items():
        state = "shipped" if name in shipped else f"build with: pm25map grid build {name}"
        click.echo(f"{name:<16} {text}\n{'':<16} {state}")


@command.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(name: str, as_json: bool) -> None:
    """Describe the grid NAME: a shipped grid or the folder of one.

    \b
    Try: pm25map grid info conus-10km --json
    """  # noqa: D301 - click reads \b
    from pm25map.grid import load_grid
    from pm25map.grid.outline import outline_of

    grid = load_grid(name)
    _, (west, south, east, north) = outline_of(grid.crs, grid.bounds)
    rows, cols = grid.shape
    facts = {
        "name": grid.name,
        "crs": grid.crs,
        "step": list(grid.step),
        "shape": [rows, cols],
        "bounds": list(grid.bounds),
        "lonlat_bounds": [round(value, 4) for value in (west, south, east, north)],
        "land_cells": grid.cell_count,
        "blocks": len(grid.blocks()),
        "block_size": grid.block_size,
        "checksum": grid.checksum,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    size = f"{grid.step[0]:.10g} x {grid.step[1]:.10g}"
    click.echo(f"{grid.name}: {rows} rows x {cols} columns of {size} on {grid.crs}")
    click.echo(f"land        {grid.cell_count:,} cells in {facts['blocks']} blocks of {grid.block_size}")
    over = ", over 180 degrees" if west > east else ""
    click.echo(f"longitude   {west:.2f} to {east:.2f}{over}\nlatitude    {south:.2f} to {north:.2f}")
    click.echo(f"checksum    {grid.checksum}")


@command.command()
@click.argument("name")
@click.option("--crs", help="Projected CRS in metres: EPSG:5070, WKT or PROJ. Default: as defined.")
@click.option("--step", "step_m", type=Number(), help="Side of a cell, metres. Default: as defined.")
@click.option(
    "--boundary",
    type=FILE,
    help="File of polygons. Default: CONUS.",
)
@click.option("--block-size", type=Count(min=1), default=64, show_default=True, help="Cells.")
@click.option(
    "--land",
    type=click.Choice(["centre", "touched"]),
    default="touched",
    show_default=True,
    help="A cell is land when its centre lies in the boundary, or when the boundary touches it.",
)
@click.option("--out", type=FILE, help="Folder of the grid. Default: ./NAME.")
@click.option("--overwrite", is_flag=True, help="Replace a grid that is there.")
def build(
    name: str,
    crs: str | None,
    step_m: float | None,
    boundary: Path | None,
    block_size: int,
    land: "LandRule",
    out: Path | None,
    overwrite: bool,
) -> None:
    """Build the grid NAME and write its folder; `--grid FOLDER` then uses it.

    conus-4km, conus-1km and conus-modis-1km are defined: their name is enough.

    \b
    Try: pm25map grid build conus-4km
         pm25map grid build oregon-2km --crs EPSG:32610 --step 2000 --boundary oregon.geojson
    """  # noqa: D301 - click reads \b
    from pm25map.grid.build import build_grid, read_boundary, recipe
    from pm25map.grid.regions import conus_boundary
    from pm25map.grid.store import check_folder, save_grid

    if Path(name).name != name:
        raise click.BadParameter("a name, not a path; name the folder with --out", param_hint="NAME")
    folder = out or Path(name)
    check_folder(folder, overwrite=overwrite, inputs=[boundary] if boundary else [])
    chosen = recipe(name, crs, step_m)
    outline = read_boundary(boundary) if boundary else conus_boundary()
    grid = build_grid(name, chosen.crs, chosen.step_m, outline, block_size, land=land)
    save_grid(grid, folder, overwrite=overwrite)
    click.echo(f"{folder}: {grid.shape[0]} x {grid.shape[1]} cells, {grid.cell_count:,} on land")


@command.command()
@click.option("--grid", "grid_name", default="conus-10km", show_default=True, help="Grid: name or folder.")
@click.option("--encoder", "encoder_name", default="geoclip", show_default=True, help="Or latlon, sincos.")
@click.option("--out", type=FILE, help="Store to write. Default: the user's cache.")
def embed(grid_name: str, encoder_name: str, out: Path | None) -> None:
    """Write the place vector of every land cell of a grid.

    \b
    Try: pm25map grid embed --grid conus-10km --encoder geoclip
    """  # noqa: D301 - click reads \b
    from pm25map.grid import load_grid
    from pm25map.places.catalogue import encoder
    from pm25map.places.store import default_store, embed_grid

    grid = load_grid(grid_name)
    chosen = encoder(encoder_name)
    with progress_bar(f"embedding {grid.cell_count:,} cells", grid.cell_count) as progress:
        path = embed_grid(grid, chosen, out, progress) if out else default_store(grid, chosen, progress).path
    click.echo(f"{path}: {grid.cell_count:,} cells x {chosen.dimension} features ({chosen.name})")
