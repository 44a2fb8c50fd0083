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
from pm25map.predictors.fetch.polite import Polite, check_address
from pm25map.predictors.fetch.providers import (
    Wanted,
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
"""A person waits for these files: a machine without a way out is told so after seconds."""

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
        unconfirmed: files that are there and may have changed since: the provider could not be asked.
        cannot: says in one line which files could not be had, where they are, and the option that takes them; empty
            where nothing was lost.
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
    """Bring the files of a network that hold some days; what is in the cache and settled is not asked for again.

    Where the provider cannot be asked, what is in the cache is returned with `cannot`.

    Args:
        network: aqs or airnow.
        days: to have.
        today: by which a file is young enough to have changed since it was fetched.
        base_url: of a mirror with the provider's layout; the provider itself where None.
        announce: called once, before the first file is fetched, with what comes, from where, and how many MB.
        watcher: follows the files.

    Raises:
        BadOutput: the cache cannot be written.
    """
    provider = provider_of(network)
    wanted = _files_of(provider, days, today, base_url)
    return _bring(network, wanted, today, base_url, announce, watcher)


def fetch_hours(
    hours: list[dt.datetime],
    today: dt.date,
    *,
    base_url: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> MonitorFiles:
    """Bring AirNow's files of some hours, and the newest list of sites that it has; arguments as `fetch_monitors`.

    Args:
        hours: UTC, by their beginning, oldest first.
        today, base_url, announce: as `fetch_monitors`.

    Raises:
        BadOutput: as `fetch_monitors`.
    """
    provider = provider_of("airnow")
    names = variables_wanted(provider, ())
    # The list of a day comes some time after it began: that of the day before serves until then.
    ends = sorted({hours[-1].date() - dt.timedelta(days=1), hours[-1].date()})
    wanted = files_of_hours(provider, hours, ends, names, (base_url or provider.base).rstrip("/"))
    return _bring("airnow", wanted, today, base_url, announce, None)


def _bring(
    network: Network,
    wanted: list[Wanted],
    today: dt.date,
    base_url: str | None,
    announce: Callable[[str], None] | None,
    watcher: Watcher | None,
) -> MonitorFiles:
    """Bring some files of a network into the cache; the rest as `fetch_monitors`."""
    provider = provider_of(network)
    if base_url is not None:
        check_address(base_url)
    folder = monitor_folder(network)
    with writing_the_cache():
        make_folder(folder)
    job = FetchJob(provider, folder, Polite(retries=_RETRIES), today, watcher)
    new = [file for file in wanted if not is_there(file, job)]
    young = [file for file in wanted if file not in new and may_have_changed(file, job)]
    try:
        # Asked first: without a way out hundreds of files would each be tried for seconds.
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
    there = {file.name: folder / file.name for file in wanted if is_there(file, job)}
    lost = {name: why for name, why in result.failed.items() if name not in there}
    missed = [file for file in wanted if file.name in lost]
    return MonitorFiles(
        network,
        folder,
        tuple(there.values()),
        tuple(sorted(set(result.absent) - set(there))),
        tuple(sorted(name for name in result.failed if name in there)),
        _cannot(provider, missed, next(iter(lost.values()))) if missed else "",
    )


def _files_of(provider: Provider, days: list[dt.date], today: dt.date, base_url: str | None) -> list[Wanted]:
    """List the files that hold some days, none of a day that has not begun."""
    past = [day for day in days if provider.begins <= day <= today]
    if not past:
        return []
    periods = sorted({period for day in past for period in periods_of(provider, day, day)})
    names = variables_wanted(provider, ())
    return plain_files(provider, periods, names, _EVERYWHERE, base_url or provider.base)


def _megabytes(files: list[Wanted], job: FetchJob) -> float:
    """Ask how large some files are, MB on average; 0 where nobody says. Files of one network are much alike.

    Raises:
        BadFetch: the provider cannot be asked.
    """
    known = [size or 0 for _, size in sizes(files, job)]
    return sum(known) / max(len(known), 1) / 1e6


def _cannot(provider: Provider, files: list[Wanted], why: str) -> str:
    """Say which files cannot be had, where they are, and the option that takes them."""
    address = files[0].url.rsplit("/", 1)[0]
    return (
        f"cannot fetch {_named(files)} of {provider.title}: {' '.join(why.split())}. Get them from {address}/ by other "
        "means and name the files or their folder with --monitors, or name a mirror with --base-url"
    )


def _named(files: Iterable[Wanted]) -> str:
    """Name the first files, and count the others."""
    names = [file.name for file in files]
    more = f" and {len(names) - _LISTED} more files" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
