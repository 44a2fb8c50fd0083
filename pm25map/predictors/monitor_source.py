"""Where the monitors of a map come from: files that the user has, or EPA's networks, fetched for the days in need."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from pm25map.base.days import days_between
from pm25map.base.errors import BadDate, BadFetch, BadMonitors
from pm25map.monitors import Monitors, Rules, join, read_monitors
from pm25map.monitors.nowcast import HOURS
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.monitor_folder import Network

if TYPE_CHECKING:
    from pm25map.predictors.fetch.monitors import MonitorFiles

NETWORKS = ("aqs", "airnow", "auto")
"""Names that --monitors takes in place of files."""

AUTO = ("auto",)

AQS_PUBLISHES_WITHIN = dt.timedelta(days=366)
"""A day older than this is AQS's for certain: AirNow's preliminary values must not replace it."""

LATE_HOURS = 3
"""An hour's file comes within an hour or two of its end."""


class NotPublished(BadMonitors):
    """A network has no file of the requested days."""


REACH_SHARE = 0.5
"""AQS reaches a day that has at least this share of the monitors of a usual day: the last months of a file that EPA
is still filling hold a state or two."""


@dataclass(frozen=True)
class MonitorSource:
    """Where monitors come from.

    Attributes:
        names: files and folders, or names of NETWORKS; where two have a value for a site and day, the first counts.
        base_url: of a mirror with the providers' layout; the providers themselves where None.
        foreign: keep monitors outside of the United States.
    """

    names: tuple[str, ...] = AUTO
    base_url: str | None = None
    foreign: bool = False

    @property
    def origin(self) -> str:
        """Name the source so that no other has the same name: full paths, networks and the mirror."""
        parts = [name if name in NETWORKS else str(Path(name).absolute()) for name in self.names]
        return "\n".join([*parts, self.base_url or "", *(["foreign"] if self.foreign else [])])

    @property
    def label(self) -> str:
        """Name the source for people and for the command that makes a map again: without folders of this machine."""
        return ", ".join(self.named) + (", foreign ones too" if self.foreign else "")

    @property
    def words(self) -> tuple[str, ...]:
        """List the words of the command line that name the same source."""
        named = [word for name in self.named for word in ("--monitors", name)]
        return (*named, *(["--foreign-monitors"] if self.foreign else []))

    @property
    def rules(self) -> Rules:
        """Return the rules of the examination: foreign places are left out unless they are requested."""
        return Rules(abroad=self.foreign)

    @property
    def named(self) -> list[str]:
        """List the names without this machine's folders; a folder named as a network is distinguished from it."""
        last = {name: Path(name).name for name in self.names}
        return [
            name if name in NETWORKS else f"./{last[name]}" if last[name] in NETWORKS else last[name]
            for name in self.names
        ]

    def check(self) -> None:
        """Refuse a name that means a network and a folder at once.

        Raises:
            BadMonitors: a file or folder here is called as a network that was named.
        """
        for name in self.names:
            if name in NETWORKS and Path(name).exists():
                raise BadMonitors(
                    f"--monitors {name} is a network's name, and {name} is here as well: write ./{name} for what is "
                    "here, or leave for another folder"
                )


def read_source(
    source: MonitorSource,
    days: list[dt.date],
    today: dt.date,
    *,
    announce: Callable[[str], None] | None = None,
) -> Monitors:
    """Read the monitors of some days, and of the days before them that the fields remember.

    Args:
        source: where they come from.
        days: whose fields are wanted, oldest first.
        today: no day after it is fetched.
        announce: called with what is fetched, from where and how large it is, before it is; then with what the
            examination of these days' monitors left out or doubted.

    Raises:
        BadMonitors: a file cannot be read, or nothing measured on any of the days.
        BadFetch: a file cannot be fetched (says which, where it is, and the option that takes it from elsewhere).
    """
    source.check()
    fed = days_between(days[0] - dt.timedelta(days=MEMORY_DAYS), days[-1])
    paths = [Path(name) for name in source.names if name not in NETWORKS]
    parts = [read_monitors(paths, rules=source.rules)] if paths else []
    for name in dict.fromkeys(name for name in source.names if name in NETWORKS):
        if name == "auto":
            parts.append(_read_auto(source, fed, today, announce))
        else:
            parts.append(_read_network(cast(Network, name), source, fed, today, announce))
    joined = join(parts)
    if announce is not None:
        for line in joined.reading.examination.between(fed[0], fed[-1]).lines():
            announce(f"Monitors: {line}")
    monitors = joined.between(fed[0], fed[-1])
    if not monitors.days:
        reach = f"they have {joined.days[0]} to {joined.days[-1]}" if joined.days else "they have no day"
        before = f", nor on the {len(days) - 1} days before" if len(days) > 1 else ""
        raise BadMonitors(
            f"no monitor of {source.label} measured on {days[-1]}{before}: {reach}. Choose another day, or name other "
            "monitors with --monitors"
        )
    return monitors


def fetch_latest(
    at: dt.datetime | None,
    clock: dt.datetime,
    *,
    base_url: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> list[Path]:
    """Fetch AirNow's files of the hours that a NowCast needs, and a list of sites.

    Args:
        at: beginning of the latest hour; where None, the latest that AirNow has, of the last LATE_HOURS.
        clock: the time that it is (aware).
        base_url, announce: as `fetch_monitors`.

    Raises:
        BadDate: the hour has not begun yet.
        BadFetch: a file cannot be had.
        NotPublished: AirNow has none of these hours.
    """
    from pm25map.predictors.fetch.monitors import fetch_hours  # noqa: PLC0415 - requests, where nothing is fetched

    last = (at or clock).astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    if last > clock:
        raise BadDate(f"the hour from {last:%Y-%m-%dT%H} UTC has not begun: choose an earlier one")
    count = HOURS if at else HOURS + LATE_HOURS
    hours = [last - dt.timedelta(hours=ago) for ago in range(count - 1, -1, -1)]
    fetched = fetch_hours(hours, clock.date(), base_url=base_url, announce=announce)
    if fetched.cannot:
        raise BadFetch(fetched.cannot)
    if not any(path.name.startswith("HourlyData") for path in fetched.files):
        raise NotPublished(
            f"airnow has no hour of {hours[0]:%Y-%m-%dT%H} to {last:%Y-%m-%dT%H} UTC: choose another with --at, or "
            "name files with --monitors"
        )
    return list(fetched.files)


def last_day_of_aqs(monitors: Monitors) -> dt.date | None:
    """Return the last day that AQS reaches: with at least REACH_SHARE of the median number of monitors of a day.

    Args:
        monitors: of AQS alone.
    """
    days, counts = monitors.daily_counts()
    if not len(days):
        return None
    reached = counts >= REACH_SHARE * np.median(counts)
    return days[int(np.flatnonzero(reached)[-1])]


def _read_auto(
    source: MonitorSource, days: list[dt.date], today: dt.date, announce: Callable[[str], None] | None
) -> Monitors:
    """Read AQS for the days that it reaches, and AirNow for those after."""
    try:
        settled = _read_network("aqs", source, days, today, announce)
    except NotPublished:
        return _read_after("AQS has no file of these days yet", source, days, today, announce)
    except BadFetch as error:
        if days[-1] < today - AQS_PUBLISHES_WITHIN:
            raise
        # These days may be AirNow's anyway, and its hours in the cache or within reach.
        try:
            monitors = _read_network("airnow", source, days, today, announce)
        except (BadFetch, NotPublished):
            raise BadFetch(
                f"{error}. Days that EPA has not published yet are AirNow's: --monitors airnow, or a folder of its "
                "hourly files"
            ) from error
        if announce is not None:
            announce(f"AQS could not be reached: AirNow alone is used. {error}")
        return monitors
    reach = last_day_of_aqs(settled)
    if reach is None:
        return _read_after("AQS has no value of these days", source, days, today, announce)
    after = [day for day in days if day > reach]
    if not after:
        return settled
    kept = settled.between(min(settled.days[0], days[0]), reach)
    return join([kept, _read_after(f"AQS ends on {reach}", source, after, today, announce)])


def _read_after(
    reach: str,
    source: MonitorSource,
    days: list[dt.date],
    today: dt.date,
    announce: Callable[[str], None] | None,
) -> Monitors:
    """Read AirNow for the days after AQS; `reach` says in the error how far AQS reaches."""
    try:
        return _read_network("airnow", source, days, today, announce)
    except NotPublished as error:
        raise NotPublished(f"{reach}, and auto takes AirNow for the days after: {error}") from error


def _read_network(
    network: Network,
    source: MonitorSource,
    days: list[dt.date],
    today: dt.date,
    announce: Callable[[str], None] | None,
) -> Monitors:
    """Fetch a network's files of some days and read them."""
    from pm25map.predictors.fetch.monitors import fetch_monitors  # noqa: PLC0415 - requests, where nothing is fetched

    fetched = fetch_monitors(network, days, today, base_url=source.base_url, announce=announce)
    if fetched.unconfirmed and announce is not None:
        announce(
            f"{fetched.unconfirmed[0]} could not be requested again: the copy in {fetched.folder} is used"
        )
    if fetched.cannot:
        return _read_kept(fetched, source, days[-1], announce)
    if not fetched.files:
        raise NotPublished(
            f"{network} has no file of {days[0]} to {days[-1]} ({', '.join(fetched.absent[:3]) or 'days to come'}): "
            "choose other days, or name files with --monitors"
        )
    if fetched.absent and announce is not None:
        more = f" and {len(fetched.absent) - 3} more" if len(fetched.absent) > 3 else ""
        announce(f"{network} does not have {', '.join(fetched.absent[:3])}{more}: the map is made without")
    return read_monitors(list(fetched.files), rules=source.rules)


def _read_kept(
    fetched: "MonitorFiles", source: MonitorSource, day: dt.date, announce: Callable[[str], None] | None
) -> Monitors:
    """Read the files in the cache where others could not be fetched, if they have the last day.

    Raises:
        BadFetch: they have not (says which files are missing).
    """
    try:
        monitors = read_monitors(list(fetched.files), rules=source.rules) if fetched.files else None
    except BadMonitors as error:
        raise BadFetch(f"{fetched.cannot}. The files in {fetched.folder} cannot be used: {error}") from error
    if monitors is None or day not in monitors.days:
        raise BadFetch(fetched.cannot)
    if announce is not None:
        announce(f"{fetched.cannot}. The map is made without them, from the files in {fetched.folder}")
    return monitors
