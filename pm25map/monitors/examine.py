"""Monitors examined before they are used: impossible values, dead monitors, impossible positions.

Every function here is pure: tables and rules in, what is kept and the doubts out. Each rule leaves out what it
applies to, but two: a day on which a network's count halves is named and kept, for half of the monitors are
still right; and positions of which most are wrong in the same way are refused, for then the table is wrong.

Rules, each with its threshold and why:

- No value: an empty field. It is no observation.
- Missing-value code: -999, -9999, 99999, 1e20, 1e308 and their kin, which programs write for "none".
- Range: below -15 or above 2,000 ug/m3. Noise in clean air stays above -15, the lowest that a beta attenuation
  monitor reports; the lowest day of EPA's files from 1999 to 2023 has -10 or more, the highest 824, and smoke
  beside a fire reaches beyond 1,000.
- Stuck: one monitor (POC) reports the same value on 10 or more of its days in succession. In 1.5 million station
  days of 2017 to 2022 five runs are that long, and none has from six to nine days.
- Dead: one monitor reports exactly 0 on more than half of its days of a year, and on at least 30, in
  succession or not. All its days of that year are left out. In 22 years of
  EPA's files no site is at 0 on more than 17 % of a year.
- Before 1999: EPA's network of PM2.5 begins then. After tomorrow: refused, for a date in the future is a date
  misread, and it is not known which others are.
- Place: (0, 0); longitude without its minus or latitude and longitude swapped, where that mends it (refused if
  more than half of the sites are so); anywhere else outside of the United States, or more than 5 km off shore.
- Two sites within 10 m of each other that differ on a day by more than 10 ug/m3 and by more than half of the
  larger value: neither counts on that day, for it is not known which is right. Instruments of two kinds at one
  place differ by a few ug/m3.
- Count: on a day fewer than half as many sites of a network report as on the median of the 7 days before and
  the 7 after. In 22 years of EPA's files no day is below 0.6, one-in-three-day samplers included.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from pm25map.base.errors import BadMonitors
from pm25map.monitors.doubts import Doubt, Examination, doubts_of
from pm25map.monitors.ground import in_united_states
from pm25map.monitors.table import Monitors

NO_VALUE = "no value"
CODE = "a code for a missing value"
RANGE = "a value no instrument gives"
EARLY = "a day before the network began"
STUCK = "a monitor that repeats one value"
DEAD = "a monitor that says 0 on most days of a year"
ZERO = "rows without a place (0, 0)"
MINUS = "a longitude without its minus"
SWAPPED = "latitude and longitude swapped"
NOWHERE = "a place at sea or outside the United States"
TWINS = "two sites at one point that disagree"
HALVED = "a network's count halves"

_MEND = {
    MINUS: "western longitudes are negative: put a minus before them",
    SWAPPED: "latitude and longitude are swapped: exchange the two columns",
}


@dataclass(frozen=True)
class Rules:
    """Thresholds of the examination; the reasons are in the docstring of the module.

    Attributes:
        lowest: ug m-3, smallest value that an instrument gives.
        highest: ug m-3, largest.
        first_day: the first day that counts.
        last_day: the last day that can be; None for tomorrow, because a day begins earlier in Guam.
        stuck_days: so many equal values in succession are a stuck monitor.
        dead_days: so many days of a year at 0, if they are more than half, are a dead monitor.
        abroad: keep sites outside of the United States, at sea too.
        twin_m: metres between two sites that stand at one point.
        around_days: days before and after, of whose counts the median is taken.
    """

    lowest: float = -15.0
    highest: float = 2000.0
    first_day: dt.date = dt.date(1999, 1, 1)
    last_day: dt.date | None = None
    stuck_days: int = 10
    dead_days: int = 30
    abroad: bool = False
    twin_m: float = 10.0
    around_days: int = 7


RULES = Rules()


def examine(
    monitors: Monitors, rules: Rules = RULES, land: BaseGeometry | None = None
) -> tuple[Monitors, Examination]:
    """Examine a table of one value a site and day by all rules.

    Args:
        monitors: the table.
        rules: thresholds.
        land: polygons in degrees in place of the package's outlines of the 48 states.

    Returns:
        what is kept, with the doubts added to its reading; and these doubts alone.

    Raises:
        BadMonitors: a day lies in the future, or most sites stand wrong in the same way.
    """
    rows, places = examine_places(monitors.observations, monitors.sites, rules, land)
    rows, values = examine_values(rows, rules)
    rows, stuck = examine_runs(rows, rules)
    rows, twins = examine_twins(rows, monitors.sites, rules)
    examination = places + values + stuck + twins + examine_counts(rows, rules)
    sites = monitors.sites[monitors.sites["site_id"].isin(rows["site_id"].unique())]
    reading = monitors.reading.with_examination(examination)
    if len(rows) == len(monitors.observations):
        return monitors.with_reading(reading), examination
    return Monitors(sites, rows, reading), examination


def examine_values(rows: pd.DataFrame, rules: Rules) -> tuple[pd.DataFrame, Examination]:
    """Leave out values that no instrument gives and days before the network began.

    Args:
        rows: site_id, date, pm25_ugm3 (ug m-3; NaN is no value), and where known file and line.
        rules: thresholds.

    Raises:
        BadMonitors: a day lies in the future.
    """
    value = rows["pm25_ugm3"].to_numpy(np.float64)
    day = rows["date"].to_numpy("datetime64[D]")
    last = rules.last_day or dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    future = day > np.datetime64(last, "D")
    if future.any():
        row = rows.iloc[int(np.argmax(future))]
        raise BadMonitors(
            f"{place_in_file(row)}site {row['site_id']} has a value of {row['date']:%Y-%m-%d}, a day that has not "
            f"been: correct the date"
        )
    with np.errstate(invalid="ignore"):
        outside = (value < rules.lowest) | (value > rules.highest)
    doubted = {
        NO_VALUE: np.isnan(value),
        CODE: outside & _is_code(value),
        RANGE: outside & ~_is_code(value),
        EARLY: day < np.datetime64(rules.first_day, "D"),
    }
    examination, out = Examination(), np.zeros(len(rows), dtype=np.bool_)
    for rule, bad in doubted.items():
        if (bad & ~out).any():
            detail = "" if rule == NO_VALUE else "it says {:g} ug/m3"
            examination += doubts_of(rows[bad & ~out], rule, detail=detail)
            out |= bad
    return (rows[~out] if out.any() else rows), examination


def examine_places(
    rows: pd.DataFrame, sites: pd.DataFrame, rules: Rules, land: BaseGeometry | None = None
) -> tuple[pd.DataFrame, Examination]:
    """Leave out the rows of sites that stand where no monitor can.

    Args:
        rows: with what identifies the sites, date and pm25_ugm3, and where known file and line.
        sites: site_id, latitude, longitude (degrees). One row a site, or one a site and position; then the rows
            have latitude and longitude too.
        rules: thresholds.
        land: as in `examine`.

    Raises:
        BadMonitors: more than half of the sites lack the minus of their longitude, or have latitude and
            longitude swapped.
    """
    rule = _place_rules(sites, rules, land)
    for name, mend in _MEND.items():
        wrong = rule == name
        if wrong.mean() > 0.5:
            named = ", ".join(sites["site_id"][wrong].astype(str).unique()[:3])
            raise BadMonitors(f"{int(wrong.sum())} of {len(sites)} sites (such as {named}): {mend}")
    bad = sites.assign(rule=rule)[rule != ""]
    if bad.empty:
        return rows, Examination()
    known_by = [column for column in ("site_id", "latitude", "longitude") if column in rows]
    # Only the rows of the sites in question are compared: a million texts would take seconds.
    suspects = rows[rows["site_id"].isin(bad["site_id"])]
    standing = suspects.reset_index().astype({"site_id": "str"})
    standing = standing.merge(bad[[*known_by, "rule"]].astype({"site_id": "str"}), on=known_by).set_index(
        "index"
    )
    parts = list[Examination]()
    for name in (ZERO, MINUS, SWAPPED, NOWHERE):
        for _, at_site in standing[standing["rule"] == name].groupby("site_id"):
            spot = bad[(bad["site_id"] == at_site["site_id"].iloc[0]) & (bad["rule"] == name)].iloc[0]
            where = f"at latitude {spot['latitude']:g}, longitude {spot['longitude']:g}"
            parts.append(doubts_of(at_site, name, detail=where))
    return rows.drop(index=standing.index), Examination.of(parts)


def _place_rules(sites: pd.DataFrame, rules: Rules, land: BaseGeometry | None) -> npt.NDArray[np.object_]:
    """Name the rule that each site breaks: object (site,), "" for none."""
    lat, lon = sites["latitude"].to_numpy(np.float64), sites["longitude"].to_numpy(np.float64)
    at_home = in_united_states(lon, lat, land)
    rule = np.where(at_home, "", NOWHERE).astype(object)
    away = ~at_home
    # Tried only where the position is wrong: a site in Guam has a positive longitude.
    rule[away & (lon > 0) & in_united_states(-lon, lat, land)] = MINUS
    rule[away & (np.abs(lon) <= 90) & in_united_states(lat, lon, land)] = SWAPPED
    if rules.abroad:
        rule[rule == NOWHERE] = ""
    rule[(lat == 0) & (lon == 0)] = ZERO
    return rule


def examine_runs(rows: pd.DataFrame, rules: Rules) -> tuple[pd.DataFrame, Examination]:
    """Leave out every run of equal values of one monitor, and the years in which it mostly reports 0.

    Args:
        rows: one a monitor and day: site_id, parameter_code, date, pm25_ugm3, and where known poc.
        rules: thresholds.
    """
    if len(rows) < rules.stuck_days:
        return rows, Examination()
    series, order = _by_series(rows)
    value = rows["pm25_ugm3"].to_numpy()[order]
    begins = np.ones(len(rows), dtype=np.bool_)
    begins[1:] = (value[1:] != value[:-1]) | (series[order][1:] != series[order][:-1])
    first = np.flatnonzero(begins)
    length = np.diff(first, append=len(rows))
    parts, out = list[Examination](), np.zeros(len(rows), dtype=np.bool_)
    for number in np.flatnonzero(length >= rules.stuck_days):
        run = order[first[number] : first[number] + length[number]]
        out[run] = True
        parts.append(doubts_of(rows.iloc[run], STUCK, detail="{:g} ug/m3 without change"))
    for days in _dead_years(rows, series, rules):
        gone = days[~out[days]]
        out[days] = True
        parts.append(doubts_of(rows.iloc[gone], DEAD))
    parts = [part for part in parts if part.doubts]
    parts.sort(key=lambda part: (part.doubts[0].site_id, part.doubts[0].first_day))
    return (rows[~out] if out.any() else rows), Examination.of(parts)


def _dead_years(
    rows: pd.DataFrame, series: npt.NDArray[np.int64], rules: Rules
) -> list[npt.NDArray[np.intp]]:
    """List the rows of each year in which a series is 0 on most days, by number."""
    zero = np.flatnonzero(rows["pm25_ugm3"].to_numpy() == 0)
    names, zeros = np.unique(series[zero], return_counts=True)
    dead = []
    # Few series have so many zeros at all; only theirs are looked at by year.
    for name in names[zeros >= rules.dead_days]:
        own = np.flatnonzero(series == name)
        year = rows["date"].to_numpy()[own].astype("datetime64[Y]")
        silent = rows["pm25_ugm3"].to_numpy()[own] == 0
        for one in np.unique(year):
            count = int(silent[year == one].sum())
            if count >= rules.dead_days and count > 0.5 * int((year == one).sum()):
                dead.append(own[year == one])
    return dead


def _by_series(rows: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Number the series of each row, int64 (row,), and order the rows by series and day."""
    series = np.zeros(len(rows), dtype=np.int64)
    for column in ("site_id", "parameter_code", "poc"):
        if column in rows:
            number, known = pd.factorize(rows[column])
            series = series * max(len(known), 1) + number
    day = rows["date"].to_numpy("datetime64[D]").astype(np.int64)
    day -= day.min()
    key = series * (int(day.max()) + 1) + day
    if bool((key[1:] >= key[:-1]).all()):
        return series, np.arange(len(rows))
    return series, np.argsort(key, kind="stable")


def disagree(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Mark where two values of one place and day, ug m-3, cannot both be right."""
    apart = np.abs(first - second)
    far: npt.NDArray[np.bool_] = (apart > 10.0) & (apart > 0.5 * np.maximum(first, second))
    return far


def examine_twins(rows: pd.DataFrame, sites: pd.DataFrame, rules: Rules) -> tuple[pd.DataFrame, Examination]:
    """Leave out all values of a day at a point where sites stand whose values disagree.

    Args:
        rows: one a site and day: site_id, date, pm25_ugm3.
        sites: site_id, latitude, longitude (degrees).
        rules: thresholds.
    """
    points = _points(sites, rules.twin_m)
    if not points:
        return rows, Examination()
    beside = rows[rows["site_id"].isin(points)]
    point = beside["site_id"].map(points)
    days = beside.groupby([point.rename("point"), "date"])["pm25_ugm3"]
    # Where any two values disagree, the largest and the smallest do.
    wrong = disagree(days.transform("max").to_numpy(), days.transform("min").to_numpy())
    parts = list[Examination]()
    for name, gone in beside[wrong].groupby(point[wrong]):
        names = [site for site, own in points.items() if own == name]
        detail = f"{', '.join(names[:3])}: {{:g}} ug/m3 by this one"
        parts.append(doubts_of(gone, TWINS, detail=detail))
    return rows.drop(index=beside.index[wrong]), Examination.of(parts)


def _points(sites: pd.DataFrame, metres: float) -> dict[str, str]:
    """Name the point of each site that has another within some metres: the first of its sites."""
    lat, lon = sites["latitude"].to_numpy(np.float64), sites["longitude"].to_numpy(np.float64)
    points: Any = shapely.points(lon, lat)
    # A degree of longitude is 34 km at 72 N, the northern end of the United States.
    left, right = shapely.STRtree(points).query(points, predicate="dwithin", distance=metres / 34_000)
    left, right = left[left < right], right[left < right]
    near = np.asarray(Geod(ellps="WGS84").inv(lon[left], lat[left], lon[right], lat[right])[2]) <= metres
    names = sites["site_id"].astype(str).to_numpy()
    point: dict[str, str] = {}
    for one, other in sorted(zip(names[left[near]], names[right[near]], strict=True)):
        point.setdefault(one, one)
        point.setdefault(other, point[one])
    return point


def examine_counts(rows: pd.DataFrame, rules: Rules) -> Examination:
    """Name the days on which fewer than half as many sites of a network report as on the days around.

    Args:
        rows: one a site and day: date, and where known network.
        rules: thresholds.
    """
    if rows.empty:
        return Examination()
    network, names = pd.factorize(rows["network"]) if "network" in rows else (np.zeros(len(rows), int), [""])
    day = rows["date"].to_numpy("datetime64[D]").astype(np.int64)
    first, days = int(day.min()), int(day.max() - day.min()) + 1
    counts = np.zeros((len(names), days), dtype=np.int64)  # (network, day)
    np.add.at(counts, (network, day - first), 1)
    parts = list[Examination]()
    for name, count in zip(names, counts, strict=True):
        for number, median in _halved(count, rules.around_days):
            date = (dt.date(1970, 1, 1)) + dt.timedelta(days=first + number)
            had = int(count[number])
            detail = f"{name} {had:,} of {median:g} sites".strip()
            doubt = Doubt(HALVED, "", date, date, had, "kept", detail)
            parts.append(Examination((doubt,), {date: {HALVED: had}}))
    return Examination.of(parts)


def _halved(count: npt.NDArray[np.int64], around: int) -> list[tuple[int, float]]:
    """List the days with under half of the median of the days around that have any: number of the day, median."""
    padded = np.pad(np.where(count > 0, count, np.nan).astype(np.float64), around, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * around + 1).copy()  # (day, days around)
    windows[:, around] = np.nan
    enough = np.isfinite(windows).sum(axis=1) >= around
    median = np.full(len(count), np.nan)
    median[enough] = np.nanmedian(windows[enough], axis=1)
    low = np.flatnonzero((count > 0) & (count < 0.5 * median))
    return [(int(number), float(median[number])) for number in low]


def _is_code(value: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Mark the numbers that programs write for "none": all nines, or beyond any measure."""
    size = np.abs(value)
    nines = np.zeros(len(value), dtype=np.bool_)
    for digits in range(2, 16):
        nines |= size == 10.0**digits - 1
    return nines | (size >= 1e15)


def place_in_file(row: pd.Series) -> str:
    """Return the file and line of a row, to begin an error with; empty where they are unknown."""
    if "file" not in row.index:
        return ""
    return f"{row['file']}, line {int(row['line'])}: "
