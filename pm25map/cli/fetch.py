"""`pm25map data fetch`: bring the files of a provider into a folder that `data ingest` reads."""

import datetime as dt
import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pm25map.cli.options import DAY, FILE, SourceType
from pm25map.cli.words import UrlType

if TYPE_CHECKING:
    from pm25map.predictors.catalogue import Provider
    from pm25map.predictors.fetch.earthdata import SearchResult
    from pm25map.predictors.fetch.fetch import Fetched, FetchJob


@click.command()
@click.option(
    "--source",
    type=SourceType("fetched_sources"),
    required=True,
    help="aqs, airnow: EPA's files for --monitors.",
)
@click.option("--start", type=DAY, help="First day. Of gmted there is none.")
@click.option("--end", type=DAY, help="Last day, included.")
@click.option("--out", "out", type=FILE, help="Folder; made where absent.")
@click.option("--grid", "grid_name", default="conus-10km", show_default=True, help="Grid: name or folder.")
@click.option(
    "--region", help="Only tiles that a state or region of the grid needs: oregon, west-coast, OR ..."
)
@click.option(
    "--variable",
    "variables",
    multiple=True,
    help="gridmet: th, vs (both are usual), tmmx ...; daymet: tmax ...; ndvi: MCD43A4 (usual) or MOD13A2; aqs: "
    "88101, 88502; airnow: hourly and sites (both are usual), daily. Repeat.",
)
@click.option("--dry-run", is_flag=True, help="List addresses and sizes, MB; fetch nothing.")
@click.option(
    "--base-url",
    type=UrlType(),
    envvar="PM25MAP_FETCH_URL",
    show_envvar=True,
    help="Ask a mirror with the provider's layout; https, or http on this machine. Default: the provider.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fetch(
    *,
    source: str,
    start: dt.date | None,
    end: dt.date | None,
    out: Path | None,
    grid_name: str,
    region: str | None,
    variables: tuple[str, ...],
    dry_run: bool,
    base_url: str | None,
    as_json: bool,
) -> None:
    """Fetch a provider's files into a folder, as data ingest --files (or --monitors) reads them.

    The same command goes on after a stop: what is whole is kept, a part is continued while the provider's file is
    the same. A day that the provider does not have is listed as absent and ends with exit code 3; what failed is
    listed with the reason and ends with 1.

    maiac, ndvi, daymet and merra2 come from NASA and need an Earthdata login, in EARTHDATA_TOKEN, in
    EARTHDATA_USERNAME and EARTHDATA_PASSWORD, or in .netrc; --dry-run needs none. The others need no login.
    Needs: pip install 'pm25map[fetch]'.

    \b
    Try: pm25map data fetch --source hms --start 2020-08-23 --end 2020-09-12 --out hms
         pm25map data fetch --source maiac --start 2020-08-23 --end 2020-09-12 --grid conus-1km --region oregon
           --out maiac --dry-run
    """  # noqa: D301 - click reads \b
    from pm25map.base.files import check_output_folder
    from pm25map.grid import load_grid
    from pm25map.predictors.catalogue import provider_of

    provider = provider_of(source)
    if out is None and not dry_run:
        raise click.UsageError("name a folder with --out, or look first with --dry-run")
    if out is not None:
        check_output_folder(out)
    first, last = _days(provider, source, start, end)
    grid = load_grid(grid_name)
    client = _client()
    http = client.HttpClient()
    with _one_line(http):
        plan = client.plan_fetch(
            provider, first, last, grid, http, region=region, variables=variables, base_url=base_url
        )
        if provider.needs_login and not dry_run and plan.files:
            http.login = client.earthdata_login(base_url)
        job = client.FetchJob(provider, out or Path(), http, dt.datetime.now(dt.UTC).date())
        if dry_run:
            _list(plan, job, client, as_json=as_json)
            return
        result = _run(source, plan, job, client)
    _report(source, result, job.folder, as_json=as_json)


def _days(
    provider: "Provider", source: str, start: dt.date | None, end: dt.date | None
) -> tuple[dt.date, dt.date]:
    from pm25map.base.days import days_between

    if provider.period == "static":
        return start or dt.date.min, end or dt.date.max
    if start is None or end is None:
        raise click.UsageError(f"--source {source} needs --start and --end")
    days = days_between(start, end)
    return days[0], days[-1]


class _Client:
    """What the command needs of the room that needs the extra."""

    def __init__(self) -> None:
        from pm25map.predictors.fetch import fetch as jobs
        from pm25map.predictors.fetch.http import HttpClient
        from pm25map.predictors.fetch.login import earthdata_login
        from pm25map.predictors.fetch.plan import plan_fetch

        self.FetchJob, self.fetch, self.sizes, self.is_there = (
            jobs.FetchJob,
            jobs.fetch,
            jobs.sizes,
            jobs.is_there,
        )
        self.earthdata_login, self.plan_fetch, self.HttpClient = earthdata_login, plan_fetch, HttpClient


def _client() -> _Client:
    from pm25map.base.errors import BadInstall

    for name in ("pooch", "requests"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise BadInstall(
                f"fetching needs the package {error.name}. Run: pip install 'pm25map[fetch]'"
            ) from error
    return _Client()


@contextmanager
def _one_line(http: Any) -> Iterator[None]:
    """Keep credentials out of every error, and let Ctrl-C end all threads."""
    from pm25map.base.errors import Pm25mapError

    try:
        yield
    except Pm25mapError as error:
        masked = http.login.mask(str(error))
        if masked == str(error):
            raise
        raise type(error)(masked) from None
    except KeyboardInterrupt:
        http.stop.set()
        click.echo("Stopped. What is whole stays; run the same command again to go on.", err=True)
        raise


def _list(plan: "SearchResult", job: "FetchJob", client: _Client, *, as_json: bool) -> None:
    """Print addresses and sizes."""
    rows = [(file, size, client.is_there(file, job)) for file, size in client.sizes(list(plan.files), job)]
    if as_json:
        files = [{"file": f.name, "url": f.url, "bytes": size, "there": there} for f, size, there in rows]
        click.echo(json.dumps({"files": files, "absent": dict(plan.absent)}, indent=2))
        return
    for file, size, there in rows:
        known = f"{size / 1e6:.1f} MB" if size else "absent" if size is None else "size unknown"
        click.echo(f"{'there' if there else known:>12}  {file.url}")
    for name, why in plan.absent.items():
        click.echo(f"{'absent':>12}  {name}: {why}")
    to_come = [size or 0 for _, size, there in rows if not there and size is not None]
    click.echo(f"{len(to_come)} files to fetch, {sum(to_come) / 1e6:.1f} MB as far as sizes are known")


def _run(source: str, plan: "SearchResult", job: "FetchJob", client: _Client) -> "Fetched":
    with _bars(source, len(plan.files)) as bars:
        result: Fetched = client.fetch(
            list(plan.files), client.FetchJob(job.provider, job.folder, job.client, job.today, bars)
        )
    result.absent.update(plan.absent)
    return result


def _report(source: str, result: "Fetched", folder: Path, *, as_json: bool) -> None:
    """Print what came, and what did not; exit with 1 where anything failed, with 3 where anything is absent."""
    if as_json:
        facts = {
            "source": source,
            "folder": str(folder),
            "new": sorted(result.new),
            "kept": sorted(result.kept),
            "bytes": result.bytes,
            "absent": result.absent,
            "failed": result.failed,
        }
        click.echo(json.dumps(facts, indent=2))
    else:
        counts = f"{len(result.new)} new ({result.bytes / 1e6:.1f} MB), {len(result.kept)} kept"
        click.echo(f"{folder}: {counts}, {len(result.absent)} absent, {len(result.failed)} failed")
        for word, entries in (("absent", result.absent), ("failed", result.failed)):
            for name, why in sorted(entries.items()):
                click.echo(f"{word:<11} {name}: {' '.join(why.split())}")
    if result.failed:
        click.echo("Run the same command again: it goes on where it was.", err=True)
        click.get_current_context().exit(1)
    if result.absent:
        if not result.new and not result.kept:
            click.echo(
                "Nothing is there: the provider may have moved its files (see docs/providers.md).", err=True
            )
        click.get_current_context().exit(3)


@contextmanager
def _bars(source: str, total: int) -> Iterator[Any]:
    """Show progress on stderr: files of the whole, and bytes of those under way; gone when done."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    class Bars:
        """Follows files by their names."""

        def __init__(self, files: Progress, parts: Progress) -> None:
            self.files, self.parts = files, parts
            self.whole = files.add_task(f"{source}, files", total=total)
            self.tasks: dict[str, Any] = {}

        def bytes_of(self, name: str, done: int, of: int | None) -> None:
            if name not in self.tasks:
                self.tasks[name] = self.parts.add_task(name, total=of)
            self.parts.update(self.tasks[name], completed=done, total=of)

        def ended(self, name: str) -> None:
            self.files.advance(self.whole)
            if name in self.tasks:
                self.parts.update(self.tasks.pop(name), visible=False)

    from rich.console import Group
    from rich.live import Live

    console = Console(stderr=True)
    text = TextColumn("{task.description}")
    files = Progress(
        text, BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"), TimeRemainingColumn()
    )
    parts = Progress(text, BarColumn(), DownloadColumn())
    with Live(Group(files, parts), console=console, transient=True, refresh_per_second=5):
        yield Bars(files, parts)
