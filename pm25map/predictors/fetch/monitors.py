"""The monitors of the days that a map needs, from EPA's servers into the cache: AQS by year, AirNow by hour."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from urllib3.util.retry import Retry

from pm25map.base.cache import writing_the_cache
from pm25map.base.errors import BadFetch
from pm25map.base.files import make_folder
from pm25map.predictors.catalogue import Provider, provider_of
from pm25map.predictors.fetch.fetch import (
    Fetched,
    FetchJob,
    Watcher,
    fetch,
    is_there,
    may_have_changed,
    sizes,
)
from pm25map.predictors.fetch.http import HttpClient, check_address
from pm25map.predictors.fetch.providers import (
    RemoteFile,
    files_of_hours,
    periods_of,
    plain_files,
    variables_wanted,
)
from pm25map.predictors.monitor_folder import Network, monitor_folder

_RETRIES = Retry(
    total=2,
    backoff_factor=1.0,
    backoff_jitter=1.0,
    status_forcelist=(408, 429, 500, 502, 503, 504),
)
"""A person waits for these files: on a machine without network the error comes after seconds."""

_EVERYWHERE = (-180.0, -90.0, 180.0, 90.0)

_LISTED = 3
"""Files that a message names; the others are counted."""


@dataclass(frozen=True)
class MonitorFiles:
    """The files of a network for some days.

    Attributes:
        network: aqs or airnow.
        folder: that holds them.
        files: that are there, by name.
        absent: names of those that the provider does not have.
        unconfirmed: files that are there and may have changed since: the provider could not be reached.
        cannot: one line that names the files that could not be fetched, where they are, and the option that takes them;
            empty where every file was fetched.
    """

    network: Network
    folder: Path
    files: tuple[Path, ...]
    absent: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = field(default=())
    cannot: str = ""


def fetch_monitors(
    network: Network,
    days: list[dt.date],
    today: dt.date,
    *,
    base_url: str | None = None,
    announce: Callable[[str], None] | None = None,
    watcher: Watcher | None = None,
) -> MonitorFiles:
    """Fetch the files of a network that hold some days; final files in the cache are not requested again.

    Where the provider cannot be reached, the files in the cache are returned with `cannot`.

    Args:
        network: aqs or airnow.
        days: that the files must cover.
        today: decides whether a file is so recent that it may have changed since it was fetched.
        base_url: of a mirror with the provider's layout; the provider itself where None.
        announce: called once, before the first file is fetched, with a text: which files, from where, and how many MB.
        watcher: called with the progress of the files.

    Raises:
        BadOutput: the cache cannot be written.
    """
    provider = provider_of(network)
    wanted = _files_of(provider, days, today, base_url)
    return _fetch_files(network, wanted, today, base_url, announce, watcher)


def fetch_hours(
    hours: list[dt.datetime],
    today: dt.date,
    *,
    base_url: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> MonitorFiles:
    """Fetch AirNow's files of some hours, and its newest list of sites.

    Args:
        hours: UTC, by their beginning, oldest first.
        today, base_url, announce: as `fetch_monitors`.

    Raises:
        BadOutput: as `fetch_monitors`.
    """
    provider = provider_of("airnow")
    names = variables_wanted(provider, ())
    # The list of a day is published some time after the day began: until then that of the day before is used.
    ends = sorted({hours[-1].date() - dt.timedelta(days=1), hours[-1].date()})
    wanted = files_of_hours(provider, hours, ends, names, (base_url or provider.base).rstrip("/"))
    return _fetch_files("airnow", wanted, today, base_url, announce, None)


def _fetch_files(
    network: Network,
    wanted: list[RemoteFile],
    today: dt.date,
    base_url: str | None,
    announce: Callable[[str], None] | None,
    watcher: Watcher | None,
) -> MonitorFiles:
    """Fetch some files of a network into the cache; arguments as `fetch_monitors`."""
    provider = provider_of(network)
    if base_url is not None:
        check_address(base_url)
    folder = monitor_folder(network)
    with writing_the_cache():
        make_folder(folder)
    job = FetchJob(provider, folder, HttpClient(retries=_RETRIES), today, watcher)
    new = [file for file in wanted if not is_there(file, job)]
    young = [file for file in wanted if file not in new and may_have_changed(file, job)]
    try:
        # Sizes first: without network hundreds of files would each be tried for seconds.
        megabytes = _megabytes((new or young)[:_LISTED], job)
    except BadFetch as error:
        result = Fetched(failed={file.name: str(error) for file in new + young})
    else:
        if new and announce is not None:
            size = f"about {megabytes * len(new):,.1f} MB" if megabytes else "of unknown size"
            where = f"from {base_url or provider.base} ({provider.title}), {size}, into {folder}"
            announce(f"fetching {_named(new)} {where}")
        with writing_the_cache():
            result = fetch(wanted, job)
    present = {file.name: folder / file.name for file in wanted if is_there(file, job)}
    lost = {name: why for name, why in result.failed.items() if name not in present}
    missed = [file for file in wanted if file.name in lost]
    return MonitorFiles(
        network,
        folder,
        tuple(present.values()),
        tuple(sorted(set(result.absent) - set(present))),
        tuple(sorted(name for name in result.failed if name in present)),
        _cannot(provider, missed, next(iter(lost.values()))) if missed else "",
    )


def _files_of(
    provider: Provider, days: list[dt.date], today: dt.date, base_url: str | None
) -> list[RemoteFile]:
    """List the files that hold some days, none of a day that has not begun."""
    past = [day for day in days if provider.begins <= day <= today]
    if not past:
        return []
    periods = sorted({period for day in past for period in periods_of(provider, day, day)})
    names = variables_wanted(provider, ())
    return plain_files(provider, periods, names, _EVERYWHERE, base_url or provider.base)


def _megabytes(files: list[RemoteFile], job: FetchJob) -> float:
    """Return the mean size of some files, MB; 0 where it is unknown. Files of one network are of similar size.

    Raises:
        BadFetch: the provider cannot be reached.
    """
    known = [size or 0 for _, size in sizes(files, job)]
    return sum(known) / max(len(known), 1) / 1e6


def _cannot(provider: Provider, files: list[RemoteFile], why: str) -> str:
    """Describe in one line which files cannot be fetched, where they are, and the option that takes them."""
    address = files[0].url.rsplit("/", 1)[0]
    return (
        f"cannot fetch {_named(files)} of {provider.title}: {' '.join(why.split())}. Get them from {address}/ by other "
        "means and name the files or their folder with --monitors, or name a mirror with --base-url"
    )


def _named(files: Iterable[RemoteFile]) -> str:
    """Name the first files, and count the others."""
    names = [file.name for file in files]
    more = f" and {len(names) - _LISTED} more files" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
