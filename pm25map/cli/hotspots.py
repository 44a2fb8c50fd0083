"""`pm25map hotspots`: wildfire smoke and polluted cities in maps."""

from pathlib import Path

import click

from pm25map.cli.options import FILE
from pm25map.cli.words import Count

_FILE = FILE


@click.command()
@click.argument("maps", nargs=-1, required=True, type=_FILE)
@click.option("--out", type=_FILE, help="Folder for hotspots.csv, hotspots.geojson and a card (PNG) of each.")
@click.option("--predictors", type=_FILE, help="Store whose wildfire_smoke says where NOAA HMS drew smoke.")
@click.option(
    "--population",
    type=_FILE,
    help="Raster of people in each of its cells, on any grid; else the Census of 2020.",
)
@click.option(
    "--cards", type=Count(min=0), default=20, show_default=True, help="Cards at most, highest first."
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    maps: tuple[Path, ...],
    out: Path | None,
    predictors: Path | None,
    population: Path | None,
    cards: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find regions of MAPS (files, or folders of days) that stand out from the air around them.

    A cell is hot when it exceeds the 25th percentile within 300 km (at most 35.4 ug/m3) by 5 ug/m3 and by half
    of it; a region of hot cells counts from 300 km2 on and when one cell exceeds it by 10 ug/m3 and doubles it.
    Regions that overlap on two days in a row are one event. Areas are in km2, values in ug/m3.

    \b
    Try: pm25map hotspots cog.tif --out hotspots
    """  # noqa: D301 - click reads \b
    import json

    from pm25map.base.files import check_output_folder
    from pm25map.predictors.reader import open_predictors
    from pm25map.view.layers import read_maps
    from pm25map.view.spots import events_of, write_events

    if out:
        check_output_folder(out)
    found, left_out = read_maps(maps)
    for reason in left_out.values():
        click.echo(f"Left out: {' '.join(reason.split())}", err=True)
    store = open_predictors(predictors) if predictors else None
    events = events_of(found, predictors=store, population=population)
    made = write_events(events, found, out, cards=cards, overwrite=overwrite) if out else []
    if as_json:
        click.echo(json.dumps([event.properties() for event in events], ensure_ascii=False))
        return
    for number, event in enumerate(events, start=1):
        click.echo(f"{number:3d}  {event.title}: {event.summary}")
    if not events:
        click.echo("No region stands out from the air around it.")
    if made:
        click.echo(f"{out}: {', '.join(path.name for path in made[:2])} and {len(made) - 2} cards")
