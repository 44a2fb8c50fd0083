"""`pm25map serve`: maps as tiles, time series, statistics and a page."""

from pathlib import Path

import click

from pm25map.cli.options import FILE
from pm25map.cli.words import Count, Number


@click.command()
@click.argument("folder", type=FILE)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; this machine only by default.",
)
@click.option(
    "--port", type=Count(0, 65535), default=8000, show_default=True, help="Port; 0 for any free one."
)
@click.option(
    "--rate",
    type=Number(min=1),
    default=200.0,
    show_default=True,
    help="Requests a second that one client may make, after a first 400.",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    help="Address or network of a proxy whose X-Forwarded-For says who asks; may be given again.",
)
def command(*, folder: Path, host: str, port: int, rate: float, proxies: tuple[str, ...]) -> None:
    """Serve the maps of FOLDER, in ug/m3: tiles, time series at a point, statistics over a polygon, and a page.

    Only maps found in FOLDER at the start can be read, by name; start again to see new ones. Nothing protects
    the server beyond its limits of size and rate: put a proxy with a login before it where others can reach it.

    \b
    Try: pm25map serve maps --port 8000
    """  # noqa: D301 - click reads \b
    from pm25map.base.errors import BadInstall
    from pm25map.cli.options import progress_bar
    from pm25map.view.report import check_library

    check_library()
    try:
        from pm25map.view.server.app import LOOPBACK, make_app
        from pm25map.view.server.run import check_proxies, listen, run
    except ImportError as error:
        raise BadInstall(
            f"the server needs the package {error.name}: pip install 'pm25map[serve]'"
        ) from error
    from pm25map.view.server.catalogue import read_catalogue

    check_proxies(proxies)
    socket = listen(host, port)
    with progress_bar("reading maps") as progress:
        catalogue = read_catalogue(folder, progress)
    for name, reason in catalogue.left_out.items():
        click.echo(f"Left out: {name}: {' '.join(reason.split())}", err=True)
    here = host in ("127.0.0.1", "localhost", "::1")
    if not here:
        click.echo(f"Anyone who reaches {host} can read these maps.", err=True)
    address, number = socket.getsockname()[:2]
    click.echo(f"{len(catalogue.entries)} maps of {folder} at http://{address}:{number} - stop with Ctrl+C")
    run(make_app(catalogue, rate=rate, hosts=LOOPBACK if here else ("*",)), socket, proxies)
