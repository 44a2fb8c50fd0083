"""AirNow: hours of preliminary PM2.5, as daily means of local standard days.

- **Stamps** are UTC and name the beginning of the hour. The fact sheets do not say so; the files do: of solar
  radiation, which the same files carry, sites have some in the hour stamped 12:00 in which their sun rises at 12:40
  (tests/test_airnow.py, on a real file).
- **A day** is the day of local standard time at the site, as in AQS: 24 hours from midnight by the GMT offset of the
  list of sites, which is that of standard time. Where that offset disagrees by more than an hour and a half with the
  longitude, the longitude decides.
- **A mean** needs HOURS_NEEDED valid hours, EPA's 75 %.
- **Values** below LOWEST or above HIGHEST ug m-3 are not of an instrument (-999 is AirNow's mark of a missing value);
  the negative ones above LOWEST are the noise of clean air and stay, as in AQS. A site whose hours are all equal for
  STUCK_HOURS or more is stuck: those hours do not count.
- **Sites** have ids of 9 digits, or of 12 that begin with the country (840 is the US); in the US the last nine are
  those of AQS. A site of another country is left out unless asked for. A site in no list has no place and is left out;
  an older list or an HourlyAQObs file serves where the newest list lacks a site. A site that moved stands where the
  newest list says.
- **Parameter**: AirNow does not tell 88101 from 88502. Most of its monitors are 88101; they are kept under that code
  with the network's name beside it.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.base.files import sha256_of_file
from pm25map.monitors import airnow_files
from pm25map.monitors.table import Monitors, Reading

NETWORK = "AirNow"
PARAMETER = 88101
HOURS_NEEDED = 18
LOWEST, HIGHEST = -15.0, 2000.0
STUCK_HOURS = 24

HOURS_TABLE = "pm25_hourly"
"""Begin of the name of a parquet table of hours: utc, aqsid, value (ug m-3), gmt (hours), unit."""
SITES_TABLE = "sites"
"""Begin of the name of its table of sites: aqsid, Latitude, Longitude, GMTOffset, CountryCode."""

_FIPS_US = {f"{n:02d}" for n in (*range(1, 57), 60, 66, 69, 72, 78)}


@dataclass(frozen=True)
class AirNow:
    """What was read of AirNow.

    Attributes:
        monitors: daily means, with the columns hours, network and status.
        files: SHA-256 of every hourly file that fed a day, by name.
    """

    monitors: Monitors
    files: dict[str, str]


def is_airnow(path: Path) -> bool:
    """Say whether a file or folder is AirNow's: by the names that AirNow gives, or a parquet table of hours."""
    if path.is_dir() and any(path.glob(f"{HOURS_TABLE}*.parquet")):
        return True
    return airnow_files.is_airnow(path)


def hours_of(days: Iterable[dt.date]) -> list[dt.datetime]:
    """List the hours (UTC, beginning) that some local standard days of the US have, oldest first.

    From the Atlantic (UTC-4) to Hawaii (UTC-10); Guam's day begins in the files of the day before and is not had.
    """
    hours: set[dt.datetime] = set()
    for day in days:
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        hours.update(midnight + dt.timedelta(hours=h) for h in range(4, 24 + 10))
    return sorted(hours)


def read_airnow(
    paths: Path | Sequence[Path], *, outside_us: bool = False, days: Sequence[dt.date] | None = None
) -> AirNow:
    """Read AirNow's files to one value a site and local standard day.

    Args:
        paths: hourly files and lists of sites, folders of them, or a folder with the two parquet tables.
        outside_us: keep monitors of other countries, under their AirNow id.
        days: local days to have; all that the hours hold where None.

    Raises:
        BadMonitors: a file is cut off or damaged (says the line), no list of sites is there, or no hour is of the days.
    """
    files = _files(paths)
    hours, sites = _read_all(files, days)
    counts = {"hourly values read": len(hours)}
    hours = hours.drop_duplicates(["airnow_id", "hour", "pm25_ugm3"])
    counts["hourly values that repeat another exactly"] = counts["hourly values read"] - len(hours)
    hours, sites, more = _in_country(hours, sites, outside_us=outside_us)
    counts |= more
    hours, more = _valid(hours)
    counts |= more
    daily, more = _daily(hours, sites, days)
    counts |= more
    stands = sites[sites["site_id"].isin(daily["site_id"].unique())][["site_id", "latitude", "longitude"]]
    monitors = Monitors(stands, daily, Reading({**counts, "values of a site and day": len(daily)}))
    used = {path.name: sha256_of_file(path) for path in files if airnow_files.stamp_of(path) is not None}
    return AirNow(monitors, used)


def _files(paths: Path | Sequence[Path]) -> list[Path]:
    """List the files of AirNow among paths and in folders, with the folders in them."""
    found: list[Path] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            found += [p for p in inside if airnow_files.is_airnow(p) or p.suffix == ".parquet"]
        elif path.is_file():
            found.append(path)
        else:
            raise BadMonitors(f"there is no file or folder {path}: give AirNow's files, or a folder of them")
    return found


def _read_all(files: list[Path], days: Sequence[dt.date] | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read all hours that the days need, and all sites, the newest list last."""
    needed = None if days is None else {hour.replace(tzinfo=None) for hour in hours_of(days)}
    hours: list[pd.DataFrame] = []
    sites: list[pd.DataFrame] = []
    for path in files:
        stamp = airnow_files.stamp_of(path)
        if stamp is not None:
            if needed is None or stamp.replace(tzinfo=None) in needed:
                hours.append(airnow_files.read_hours(path))
        elif path.suffix == ".parquet":
            table = _read_parquet(path)
            (hours if "hour" in table else sites).append(table)
        else:
            sites.append(airnow_files.read_sites(path))
    if not hours:
        stamps = sorted(stamp for path in files if (stamp := airnow_files.stamp_of(path)) is not None)
        reach = (
            f"they hold {stamps[0]:%Y-%m-%d} to {stamps[-1]:%Y-%m-%d} UTC"
            if stamps
            else "no hourly file is there"
        )
        wanted = f" of {days[0]} to {days[-1]}" if days else ""
        raise BadMonitors(f"no hour{wanted} is among AirNow's files: {reach}")
    joined = pd.concat(hours, ignore_index=True)
    places = [frame for frame in hours if "latitude" in frame]
    listed = [frame[airnow_files.SITE_COLUMNS] for frame in (*places, *sites)]
    if not listed:
        raise BadMonitors(
            "no list of sites is among AirNow's files: put monitoring_site_locations.dat of the same days beside them"
        )
    return joined[airnow_files.HOUR_COLUMNS], pd.concat(listed, ignore_index=True)


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read a parquet table of hours or of sites under the names used here."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise BadMonitors(
            f"cannot read {path} ({str(error).splitlines()[0]}): get the table again"
        ) from error
    names = {
        "aqsid": "airnow_id", "utc": "hour", "value": "pm25_ugm3", "gmt": "gmt_offset", "Latitude": "latitude",
        "Longitude": "longitude", "GMTOffset": "gmt_offset", "CountryCode": "country",
    }  # fmt: skip
    table = table.rename(columns=names)
    wanted = airnow_files.HOUR_COLUMNS if "hour" in table else airnow_files.SITE_COLUMNS
    missing = [name for name in wanted if name not in table]
    if missing:
        raise BadMonitors(f"{path} lacks {', '.join(missing)}: a table of AirNow has {', '.join(wanted)}")
    table = table[wanted].assign(gmt_offset=pd.to_numeric(table["gmt_offset"], errors="coerce"))
    return table.astype({"hour": "datetime64[s]"}) if "hour" in table else table


def aqs_id(airnow_id: str) -> str | None:
    """Return the id of AQS, nine digits, of a site in the US; None for a site elsewhere.

    >>> aqs_id("840060590007"), aqs_id("060590007"), aqs_id("124000020104"), aqs_id("000020104")
    ('060590007', '060590007', None, None)
    """
    nine = airnow_id[3:] if len(airnow_id) == 12 and airnow_id.startswith("840") else airnow_id
    return nine if len(nine) == 9 and nine.isdigit() and nine[:2] in _FIPS_US else None


def _in_country(
    hours: pd.DataFrame, sites: pd.DataFrame, *, outside_us: bool
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Name sites as AQS does, leave other countries out, and sites without a place."""
    names = {name: aqs_id(name) or (name if outside_us else None) for name in pd.unique(hours["airnow_id"])}
    ours = hours.assign(site_id=hours["airnow_id"].map(names))
    ours = ours[ours["site_id"].notna()]
    counts = {"hourly values outside of the US": len(hours) - len(ours)}
    known = sites.assign(site_id=[aqs_id(name) or name for name in sites["airnow_id"]])
    lost = known["latitude"].isna() | known["longitude"].isna()
    lost |= (known["latitude"] == 0) & (known["longitude"] == 0)
    known = known[~lost].drop_duplicates("site_id", keep="last")
    placed = ours[ours["site_id"].isin(known["site_id"])]
    gone = sorted(set(ours["site_id"]) - set(placed["site_id"]))
    named = f" ({', '.join(gone[:3])}{' ...' if len(gone) > 3 else ''})" if gone else ""
    counts[f"hourly values of sites in no list{named}"] = len(ours) - len(placed)
    return placed, known, counts


def _valid(hours: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leave out what no instrument gives: marks of missing values, absurd ones, and stuck monitors."""
    counts = {}
    values = hours["pm25_ugm3"]
    kept = hours[(values >= LOWEST) & (values <= HIGHEST)]
    counts[f"hourly values below {LOWEST:g} or above {HIGHEST:g} ug/m3"] = len(hours) - len(kept)
    # Two values for one site and hour: what came last in the files, as AirNow's own later version would be.
    once = kept.drop_duplicates(["site_id", "hour"], keep="last").sort_values(["site_id", "hour"])
    counts["hourly values given twice, the later kept"] = len(kept) - len(once)
    begins = (once["site_id"] != once["site_id"].shift()) | (once["pm25_ugm3"] != once["pm25_ugm3"].shift())
    length = once.groupby(begins.cumsum())["pm25_ugm3"].transform("size")
    moving = once[length < STUCK_HOURS]
    counts[f"hourly values of monitors stuck for {STUCK_HOURS} hours or more"] = len(once) - len(moving)
    return moving, counts


def _daily(
    hours: pd.DataFrame, sites: pd.DataFrame, days: Sequence[dt.date] | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Average hours over local standard days of enough hours."""
    stands = sites.set_index("site_id")
    offset = hours["site_id"].map(stands["gmt_offset"]).fillna(hours["gmt_offset"])
    solar = hours["site_id"].map(stands["longitude"]) / 15.0
    strange = offset.isna() | ((offset - solar).abs() > 1.5)
    offset = offset.where(~strange, solar.round())
    local = hours["hour"] + pd.to_timedelta((offset * 60).round(), unit="m")
    table = hours.assign(date=local.dt.floor("D"))
    groups = table.groupby(["site_id", "date"])["pm25_ugm3"]
    daily = pd.DataFrame({"pm25_ugm3": groups.mean(), "hours": groups.size()}).reset_index()
    counts = {"sites whose GMT offset contradicts their longitude": int(hours[strange]["site_id"].nunique())}
    whole = daily[daily["hours"] >= HOURS_NEEDED]
    counts[f"days of a site with under {HOURS_NEEDED} hours"] = len(daily) - len(whole)
    if days is not None:
        whole = whole[whole["date"].isin(pd.to_datetime(list(days)))]
    return whole.assign(
        parameter_code=np.int32(PARAMETER),
        network=NETWORK,
        status="preliminary",
        date=whole["date"].astype("datetime64[ns]"),
    ), counts
