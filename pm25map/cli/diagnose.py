"""`pm25map diagnose`: what to doubt in the map of one day."""

import datetime as dt
import json
from pathlib import Path

import click

from pm25map.cli.one_day import MapOptions, one_day_options
from pm25map.cli.options import FILE, MAP_DAY, progress_bar, workers_option
from pm25map.cli.words import Count


@click.command()
@click.option(
    "--date", "day", type=MAP_DAY, required=True, help="Day to estimate (AQS day, local standard time)."
)
@click.option("--out", type=FILE, required=True, help="Folder to write to; made if absent.")
@one_day_options
@workers_option
@click.option(
    "--top", type=Count(min=0), default=8, show_default=True, help="Suspects to print, worst first."
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    day: dt.date,
    out: Path,
    asked: MapOptions,
    workers: int | None,
    top: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Predict one day and look for what is wrong in its map.

    Written to the folder: PM2.5 (pm25.tif) and a band for each diagnostic as Cloud-Optimized GeoTIFFs, one unit a
    file: diagnostics.tif (ug/m3), shares.tif, counts.tif, distances.tif (km) and changes.tif (per km);
    suspects.geojson, the suspect regions by rank, each with its area (km2) and reason;
    scores.json; quality.tif, bits that say what the predictors of each cell are worth; and diagnostics.png.
    Where the model was calibrated, the bands hold 90 % intervals (ug/m3), probabilities of exceeding the classes
    of the Air Quality Index, and applicability. Seams, stripes, flat patches and holes are faults; ripples and textures
    are made by the location encoder; priors are places where the place, not the day, makes the value.

    \b
    Try: pm25map diagnose --date 2020-09-12 --out doubts
    """  # noqa: D301 - click reads \b
    from pm25map.base.cores import usable_cores
    from pm25map.cli.diagnosis import check_files, diagnose, print_findings, write_files
    from pm25map.raster.estimator import Options

    check_files(out, asked.files_read(), overwrite=overwrite)
    part = asked.part()
    inputs = asked.open(day)
    with progress_bar(f"PM2.5 of {day}") as progress:
        options = Options(asked.device, workers=workers or usable_cores(), progress=progress)
        found = diagnose(inputs, day, part, options)
    told = write_files(out, found, inputs, day, part, with_map=True)
    if as_json:
        click.echo(json.dumps(told))
        return
    print_findings(found, inputs, day, told, top)
