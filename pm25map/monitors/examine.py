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

import numpy as np
import numpy.typing as npt
import pandas as pd
from shapely.geometry.base import BaseGeometry

from pm25map.base.errors import BadMonitors
from pm25map.monitors.doubts import Doubt, Examination, doubts_of
from pm25map.monitors.examine_places import examine_places, examine_twins
from pm25map.monitors.rules import CODE, DEAD, EARLY, HALVED, NO_VALUE, RANGE, RULES, STUCK, Rules
from pm25map.monitors.table import Monitors


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
