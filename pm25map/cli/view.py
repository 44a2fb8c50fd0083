"""`pm25map view`: look at maps."""

from pathlib import Path

import click


@click.command()
@click.argument("maps", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Page to write: one HTML file that opens offline.")
@click.option("--spots/--no-spots", default=True, show_default=True, help="List hot spots in the page.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, maps: tuple[Path, ...], out: Path | None, spots: bool, overwrite: bool, as_json: bool) -> None:
    """Look at MAPS: files, or folders of days, in ug/m3 and the colours of the Air Quality Index.

    The page holds every band of every map as a layer; it swipes between layers and days, tells the value,
    interval and history of a cell, and lists hot spots. It asks nothing of any network. A map that another
    program made is shown without what it lacks.

    \b
    Try: pm25map view cog.tif --out report.html
    """  # noqa: D301 - click reads \b
    import json

    from pm25map.base.files import check_output
    from pm25map.view.layers import read_maps
    from pm25map.view.page_data import page_data, title_of
    from pm25map.view.report import check_library, write_page
    from pm25map.view.spots import spots_of_each

    if out is None:
        raise click.UsageError("say what to make: --out report.html")
    check_library()
    check_output(out, overwrite=overwrite)
    found, left_out = read_maps(maps)
    for reason in left_out.values():
        click.echo(f"Left out: {' '.join(reason.split())}", err=True)
    notes = [f"Not shown: {' '.join(reason.split())}" for reason in left_out.values()]
    data = page_data(found, notes, spots_of_each(found) if spots else [[] for _ in found])
    size = write_page(out, data, title_of(found), overwrite=overwrite)
    if as_json:
        click.echo(json.dumps({"page": str(out), "bytes": size, "maps": len(found), "left_out": len(left_out)}))
        return
    click.echo(f"{out}: {len(found)} map{'s' * (len(found) != 1)}, {size / 1e6:.1f} MB. Open it in a browser")
