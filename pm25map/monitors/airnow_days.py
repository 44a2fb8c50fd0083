"""From AirNow's hours to daily means, and AirNow's own daily means to compare them with.

A day is the local **standard** day of the site, as in AQS: an hour belongs to the day in which it begins. A mean needs
18 of the 24 hours, which is AQS's 75 %. The rules, in the order in which they are counted:

1. Monitors outside the United States are left out, unless they are requested.
2. Blank values and AirNow's mark for missing, -999 (anything from -99 down), are no values.
3. Values below -15 or above 2,000 ug/m3 are no measurement. Small negative values, which are what is left of
   instrument noise in clean air, are kept as in AQS.
4. A site's second row of an hour is dropped: HourlyData goes before HourlyAQObs and the tables. Within one kind of
   file rows that differ are averaged, as the instruments of a site are in AQS.
5. Sites without a position in any list are left out.
6. A day with fewer than 18 values is left out.
7. A day of a site on which every value is the same to the last digit is left out: the instrument is stuck, or the
   agency repeats its last value. The rule looks at one day alone, so no day depends on how many others are read.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.monitors.airnow_files import whole_lines

LOWEST_UGM3, HIGHEST_UGM3 = -15.0, 2000.0
MISSING_FROM_UGM3 = -99.0
HOURS_NEEDED = 18
DISAGREE_UGM3 = 0.5

Count = Callable[[str, int], None]


def valid_hours(rows: pd.DataFrame, count: Count) -> pd.DataFrame:
    """Keep one measured value a site and hour, by rules 2 to 4.

    Args:
        rows: site_id, utc, value, kind (0 goes before 1), file.
        count: called with a rule's name and the number of rows that it left out.

    Returns:
        the same columns, one row a site and hour.
    """
    missing = rows["value"].isna() | (rows["value"] <= MISSING_FROM_UGM3)
    count("rows without a value (blank or -999)", int(missing.sum()))
    absurd = ~missing & ~rows["value"].between(LOWEST_UGM3, HIGHEST_UGM3)
    count(f"values below {LOWEST_UGM3:g} or above {HIGHEST_UGM3:,.0f} ug/m3", int(absurd.sum()))
    rows = rows[~missing & ~absurd]
    rows = rows.assign(hour=rows["utc"].dt.floor("h"))
    twice = rows.duplicated(["site_id", "hour"], keep=False)
    if not twice.any():
        count("rows that repeat a site and hour", 0)
        return rows.drop(columns="hour")
    again = rows[twice]
    again = again[again["kind"] == again.groupby(["site_id", "hour"])["kind"].transform("min")]
    again = again.drop_duplicates(["site_id", "hour", "value"])
    means = again.groupby(["site_id", "hour"])["value"].transform("mean")
    again = again.assign(value=means).drop_duplicates(["site_id", "hour"])
    count("rows that repeat a site and hour", int(twice.sum()) - len(again))
    return pd.concat([rows[~twice], again]).sort_index().drop(columns="hour")


def daily_means(hours: pd.DataFrame, count: Count) -> pd.DataFrame:
    """Average the hours of every site and local standard day, by rules 6 and 7.

    Args:
        hours: site_id, date (datetime64[s]), value: one row a site and hour.
        count: called with a rule's name and the number of days that it left out.

    Returns:
        site_id, date, pm25_ugm3, hours (how many), by site_id and date.
    """
    groups = hours.groupby(["site_id", "date"])["value"]
    days = groups.agg(pm25_ugm3="mean", hours="size", least="min", most="max").reset_index()
    enough = days["hours"] >= HOURS_NEEDED
    count(f"days of a site with fewer than {HOURS_NEEDED} hours", int((~enough).sum()))
    days = days[enough]
    stuck = days["least"] == days["most"]
    count("days of a site on which all hours have one value", int(stuck.sum()))
    return days[~stuck].drop(columns=["least", "most"]).reset_index(drop=True)


def read_daily(paths: list[Path]) -> pd.DataFrame:
    """Read AirNow's daily files, daily_data.dat and daily_data_v2.dat: the rows of PM2.5-24hr.

    The fields: date (MM/DD/YY), AQSID, site name, parameter, unit, value, averaging hours, agency; version 2 goes on
    with AQI, category, latitude, longitude and the full AQSID.
    https://docs.airnowapi.org/docs/DailyDataFactSheet.pdf

    Returns:
        aqsid, date (datetime64[s]), value (ug m-3).

    Raises:
        BadMonitors: a row has too few fields, or no date or number (says the line).
    """
    rows = []
    for path in paths:
        for number, line in enumerate(whole_lines(path, path.read_bytes()), 1):
            fields = line.decode("latin-1").split("|")
            if line.strip() and len(fields) < 8:
                raise BadMonitors(
                    f"{path}, line {number}: it has {len(fields)} of 8 fields or more: get AirNow's file again"
                )
            if len(fields) >= 8 and fields[3] == "PM2.5-24hr":
                if not re.fullmatch(r"\d\d/\d\d/\d\d|", fields[0]) or not re.fullmatch(
                    r"-?\d+(\.\d*)?|", fields[5]
                ):
                    raise BadMonitors(
                        f"{path}, line {number}: {fields[0][:20]!r} and {fields[5][:20]!r} must be MM/DD/YY and a "
                        "number: get AirNow's file again"
                    )
                rows.append((fields[1], fields[0], fields[5]))
    table = pd.DataFrame(rows, columns=["aqsid", "date", "value"])
    dates = pd.to_datetime(table["date"], format="%m/%d/%y", errors="coerce").astype("datetime64[s]")
    values = pd.to_numeric(table["value"], errors="coerce").astype("float64")
    table = table.assign(date=dates, value=values)
    return table[(table["value"] > MISSING_FROM_UGM3) & table["date"].notna()].drop_duplicates()


def disagreements(days: pd.DataFrame, daily: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Compare daily means with AirNow's own.

    Args:
        days: as `daily_means` returns them.
        daily: site_id, date, value.

    Returns:
        site_id, date, pm25_ugm3, hours, airnow_ugm3 of the days that differ by more than 0.5 ug/m3; and how many days
        of a site were compared.
    """
    theirs = daily.rename(columns={"value": "airnow_ugm3"}).drop_duplicates(["site_id", "date"], keep="last")
    both = days.merge(theirs, on=["site_id", "date"])
    # AirNow states one decimal: half a unit of it is no difference.
    differ = np.abs(both["pm25_ugm3"] - both["airnow_ugm3"]) > DISAGREE_UGM3
    return both[differ].reset_index(drop=True), len(both)
