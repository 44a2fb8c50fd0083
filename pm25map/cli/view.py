"""`pm25map view`: look at maps."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pm25map.cli.options import FILE, progress_bar
from pm25map.cli.words import Count

if TYPE_CHECKING:
    from pm25map.view.layers import LookedAt

_FILE = FILE


@click.command()
@click.argument("maps", nargs=-1, required=True, type=_FILE)
@click.option("--out", type=_FILE, help="Page to write: one HTML file that opens offline.")
@click.option("--png", type=_FILE, help="Figure to write, PNG; of several maps a folder of figures.")
@click.option("--pdf", type=_FILE, help="Figure to write, PDF; of several maps a folder of figures.")
@click.option("--gif", type=_FILE, help="Animation of several days to write, GIF.")
@click.option("--mp4", type=_FILE, help="Animation of several days to write, MP4; needs ffmpeg.")
@click.option("--layer", "key", default="pm25", show_default=True, help="Layer of figures and animation.")
@click.option(
    "--edition",
    type=click.Choice(["2024", "earlier"]),
    default="2024",
    show_default=True,
    help="Classes of figures and animation: in force since May 2024, or before.",
)
@click.option(
    "--palette",
    type=click.Choice(["epa", "safe"]),
    default="epa",
    show_default=True,
    help="Colours of figures and animation: EPA's, or colour-blind safe.",
)
@click.option("--dpi", type=Count(50, 1200), default=300, show_default=True, help="Of figures.")
@click.option("--spots/--no-spots", default=True, show_default=True, help="List hot spots in the page.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    maps: tuple[Path, ...],
    out: Path | None,
    png: Path | None,
    pdf: Path | None,
    gif: Path | None,
    mp4: Path | None,
    key: str,
    edition: str,
    palette: Any,
    dpi: int,
    spots: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Look at MAPS: files, or folders of days, in ug/m3 and the colours of the Air Quality Index.

    The page holds every band of every map as a layer; it swipes between layers and days, tells the value,
    interval and history of a cell, and lists hot spots. It asks nothing of any network. A map that another
    program made is shown without what it lacks.

    \b
    Try: pm25map view cog.tif --out report.html --png figure.png
    """  # noqa: D301 - click reads \b
    import json

    from pm25map.base.errors import BadMap
    from pm25map.base.files import check_outputs
    from pm25map.raster.item_checks import item_path
    from pm25map.raster.map_files import style_of
    from pm25map.view.animation import draw_animation
    from pm25map.view.layers import PM25, read_maps
    from pm25map.view.page_data import EDITIONS
    from pm25map.view.preview import draw_figure
    from pm25map.view.report import check_library

    if not any((out, png, pdf, gif, mp4)):
        # The page beside the first map is what somebody who only names maps wants to see.
        out = maps[0].with_name(f"{maps[0].name.removesuffix('.tif')}.html")
    if out:
        check_library()
    # What can be known before the maps are read is known before; the figures of a folder bear the maps' names.
    check_outputs(filter(None, (out, gif, mp4)), maps, overwrite=overwrite)
    found, left_out = read_maps(maps)
    for reason in left_out.values():
        click.echo(f"Left out: {' '.join(reason.split())}", err=True)
    if key != PM25 and not any(one.layer(key) for one in found):
        names = dict.fromkeys(layer.key for one in found for layer in one.layers)
        raise BadMap(f"--layer {key}: no map has such a layer. There are {', '.join(names)}")
    if len({one.place for one in found}) > 1:
        click.echo("The maps lie on different grids: each is drawn on its own cells.", err=True)
    figures = [
        pair
        for target, ending in ((png, ".png"), (pdf, ".pdf"))
        if target
        for pair in _figures(found, target, ending)
    ]
    files = [
        path for path in (*maps, *(layer.path for one in found for layer in one.layers)) if path.is_file()
    ]
    read = [*files, *map(item_path, files), *map(style_of, files)]
    outputs = [*filter(None, (out, gif, mp4)), *(figure for _, figure in figures)]
    check_outputs(outputs, read, overwrite=overwrite)
    made: list[Path] = []
    if out:
        _page(found, left_out, out, spots=spots, overwrite=overwrite)
        made.append(out)
    style: dict[str, Any] = {
        "key": key,
        "categories": EDITIONS[edition],
        "palette": palette,
        "overwrite": overwrite,
    }
    for one, figure in figures:
        draw_figure(one, figure, dpi=dpi, **style)
        made.append(figure)
    for film in filter(None, (gif, mp4)):
        with progress_bar("drawing days") as progress:
            draw_animation(found, film, progress=progress, **style)
        made.append(film)
    if as_json:
        sizes = {str(path): path.stat().st_size for path in made}
        click.echo(json.dumps({"maps": len(found), "left_out": len(left_out), "bytes": sizes}))
        return
    for path in made:
        click.echo(f"{path}: {len(found)} map{'s' * (len(found) != 1)}, {path.stat().st_size / 1e6:.1f} MB")


def _page(
    found: "list[LookedAt]", left_out: dict[Path, str], out: Path, *, spots: bool, overwrite: bool
) -> None:
    from pm25map.view.page_data import page_data, title_of
    from pm25map.view.report import write_page
    from pm25map.view.spots import spots_of_each

    notes = [f"Not shown: {' '.join(reason.split())}" for reason in left_out.values()]
    data = page_data(found, notes, spots_of_each(found) if spots else [[] for _ in found])
    write_page(out, data, title_of(found), overwrite=overwrite)


def _figures(found: "list[LookedAt]", target: Path, ending: str) -> "list[tuple[LookedAt, Path]]":
    """Pair each map with its figure: the file itself, or one of the map's name in a folder."""
    if len(found) == 1 and not target.is_dir():
        return [(found[0], target)]
    target.mkdir(parents=True, exist_ok=True)
    return [(one, target / f"{one.path.stem}{ending}") for one in found]
