"""`pm25map extract`: a table of maps at the addresses of people, or over areas."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pm25map.cli.options import FILE, progress_bar
from pm25map.cli.words import Number

if TYPE_CHECKING:
    from pm25map.exposure.points import Method


@click.command()
@click.argument("maps", nargs=-1, required=True, type=FILE)
@click.option(
    "--points",
    type=FILE,
    help="CSV or parquet: id, lat, lon in degrees; start_date, end_date for periods.",
)
@click.option(
    "--areas",
    help="county, state, or a file of polygons: GeoPackage, GeoJSON, shapefile, FlatGeobuf, GeoParquet.",
)
@click.option(
    "--id", "id_column", help="Column of the polygons that names an area. Default: GEOID, FIPS, id, name."
)
@click.option("--out", type=FILE, required=True, help="Table to write: .csv or .parquet.")
@click.option("--band", help="Band to read, as pm25map view names layers. Default: PM2.5.")
@click.option("--method", type=click.Choice(["nearest", "bilinear"]), default="nearest", show_default=True,
              help="Of a point: its own cell, or between the four cells around it.")  # fmt: skip
@click.option("--mean", is_flag=True, help="One row a period of a point, or an area, in place of one a day.")
@click.option("--min-coverage", type=Number(0, 1), default=0.75, show_default=True,
              help="Share of a period's days that must have a value for its mean to be given.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def command(
    *,
    maps: tuple[Path, ...],
    points: Path | None,
    areas: str | None,
    id_column: str | None,
    out: Path,
    band: str | None,
    method: "Method",
    mean: bool,
    min_coverage: float,
    overwrite: bool,
) -> None:
    """Read MAPS (files, or folders of days) into a table, PM2.5 in ug/m3: at points, or as means over areas.

    Areas get means by area and by people (Census of 2020), and how many people breathed air of each class. Rows go
    by day, then in the order of the points or areas. A point off the maps or on water has no value, and its status
    says why. A run that was stopped goes on where it was when it is started again.

    \b
    Try: pm25map extract maps --areas county --out counties.csv
    """  # noqa: D301 - click reads \b
    from pm25map.exposure.areas import SHIPPED, read_areas
    from pm25map.exposure.extract_areas import extract_areas
    from pm25map.exposure.extract_points import extract_points
    from pm25map.exposure.maps import find_maps
    from pm25map.exposure.points import read_points
    from pm25map.exposure.table import check_table, write_table

    if (points is None) == (areas is None):
        raise click.UsageError("give either --points or --areas")
    if id_column and (areas is None or areas in SHIPPED):
        raise click.UsageError("--id names a column of the polygons in a file: it goes with --areas FILE")
    read = [points] if points else [Path(areas)] if areas and areas not in SHIPPED else []
    check_table(out, [*maps, *read], overwrite=overwrite)
    if points is not None:
        cohort = read_points(points)
        found = find_maps(maps, band)
        asked = extract_points(found, cohort, method=method, mean=mean, min_coverage=min_coverage)
    else:
        outlines = read_areas(str(areas), id_column)
        found = find_maps(maps, band)
        asked = extract_areas(found, outlines, mean=mean, min_coverage=min_coverage)
    with progress_bar("reading maps") as progress:
        rows = write_table(out, asked.schema, asked.pieces, asked.about, keep=asked.daily, progress=progress)
    for note in asked.notes:
        click.echo(f"Note: {' '.join(note.split())}", err=True)
    click.echo(f"{out}: {rows:,} rows of {len(found.days)} maps, {found.days[0]} to {found.days[-1]}")
