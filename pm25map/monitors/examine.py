"""Monitors are examined before they feed anything: values and places that no monitor can have are left out, by name.

- range: a value below LOWEST or above HIGHEST ug m-3 (-999 and its kin, counts of another unit) is left out.
- constant: STUCK_DAYS or more values in a row that are equal to the last digit (a dead monitor, or a filled gap) are
  left out.
- place: a site at (0, 0) or outside of North America (NORTH_AMERICA) is left out.
- sign: a table most of whose sites would lie in North America if their longitudes were negative is refused.
- collocated: two sites within SAME_PLACE_M whose values differ by more than COLLOCATED_UGM3 in the median of
  COLLOCATED_DAYS or more days are kept and named.
- network: a day with under NETWORK_SHARE of the monitors of the days around it is kept and named.

Real instruments reach about 1,000 ug m-3 in a wildfire, and give down to about -10 in clean air; a 24-hour mean that
repeats ten times to a tenth of a ug m-3 does not happen. One station of EPA's network says 0.0 on more than a thousand
days.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree

from pm25map.base.errors import BadMonitors

LOWEST, HIGHEST = -15.0, 2000.0
STUCK_DAYS = 10
SAME_PLACE_M = 100.0
COLLOCATED_UGM3, COLLOCATED_DAYS = 10.0, 10
NETWORK_SHARE, NETWORK_DAYS = 0.5, 15
"""A day is held against the NETWORK_DAYS days on both sides of it."""

NORTH_AMERICA = (-180.0, 5.0, -50.0, 84.0)
"""West, south, east, north in degrees: Hawaii, Alaska, Canada, Mexico and Puerto Rico lie in it, far or not."""

_NAMED = 3

Rule = Literal["range", "constant", "place", "collocated", "network"]


@dataclass(frozen=True)
class Doubt:
    """Something that an examination came upon.

    Attributes:
        rule: of the table above.
        site_id: of the site; empty where a day is doubted.
        first, last: first and last day concerned, YYYY-MM-DD; empty for a place.
        count: values concerned.
        text: what is wrong, for people.
        left_out: whether the values were left out.
    """

    rule: Rule
    site_id: str
    first: str
    last: str
    count: int
    text: str
    left_out: bool


def examine(
    sites: pd.DataFrame, rows: pd.DataFrame, where: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[Doubt]]:
    """Examine sites and their values by the rules above.

    Args:
        sites: site_id, latitude, longitude (degrees).
        rows: site_id, date, pm25_ugm3; one row a site and day.
        where: the file or folder, for the message.

    Returns:
        the sites and rows that are kept, and what was doubted.

    Raises:
        BadMonitors: the longitudes lack their minus.
    """
    _check_signs(sites, where)
    sites, rows, doubts = _places(sites, rows)
    rows = rows.sort_values(["site_id", "date"], ignore_index=True)
    rows, more = _range(rows)
    doubts += more
    rows, more = _constant(rows)
    doubts += more
    doubts += _collocated(sites, rows)
    doubts += _network(rows)
    return sites, rows, doubts


def summary(doubts: list[Doubt]) -> dict[str, int]:
    """Count the values that each rule left out or named, with the first sites and days by name."""
    counts: dict[str, int] = {}
    for rule in dict.fromkeys(doubt.rule for doubt in doubts):
        of_rule = [doubt for doubt in doubts if doubt.rule == rule]
        named = "; ".join(doubt.text for doubt in of_rule[:_NAMED])
        more = f"; and {len(of_rule) - _NAMED} more" if len(of_rule) > _NAMED else ""
        done = "left out" if of_rule[0].left_out else "kept, look at them"
        counts[f"values doubted by the rule '{rule}', {done} ({named}{more})"] = sum(
            doubt.count for doubt in of_rule
        )
    return counts


def _inside(lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    west, south, east, north = NORTH_AMERICA
    return (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)


def _check_signs(sites: pd.DataFrame, where: str) -> None:
    lat, lon = sites["latitude"].to_numpy(float), sites["longitude"].to_numpy(float)
    positive = (lon > 0) & _inside(-lon, lat)
    if len(sites) and positive.mean() > 0.5:
        site = sites[positive].iloc[0]
        raise BadMonitors(
            f"{where}: {int(positive.sum())} of {len(sites)} sites lie east of Greenwich (first: site "
            f"{site['site_id']} at longitude {site['longitude']:g}): write longitudes of the west with a minus"
        )


def _places(sites: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[Doubt]]:
    lat, lon = sites["latitude"].to_numpy(float), sites["longitude"].to_numpy(float)
    wrong = ~_inside(lon, lat)
    doubts = []
    for site in sites[wrong].itertuples(index=False):
        count = int((rows["site_id"] == site.site_id).sum())
        text = f"site {site.site_id} at {site.latitude:g}, {site.longitude:g} is not in North America"
        doubts.append(Doubt("place", str(site.site_id), "", "", count, text, left_out=True))
    lost = set(sites["site_id"][wrong])
    return (sites[~wrong], rows[~rows["site_id"].isin(lost)], doubts) if lost else (sites, rows, doubts)


def _range(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Doubt]]:
    values = rows["pm25_ugm3"].to_numpy(float)
    wrong = ~((values >= LOWEST) & (values <= HIGHEST))
    doubts = []
    for site_id, part in rows[wrong].groupby("site_id", observed=True):
        first, last = _days(part)
        text = f"site {site_id} has {part['pm25_ugm3'].iloc[0]:g} ug/m3 on {first}"
        doubts.append(Doubt("range", str(site_id), first, last, len(part), text, left_out=True))
    return rows[~wrong], doubts


def _constant(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Doubt]]:
    """Leave out runs of equal values; rows come by site and date."""
    if rows.empty:
        return rows, []
    values = rows["pm25_ugm3"].to_numpy(np.float32)
    site = pd.factorize(rows["site_id"])[0]
    begins = np.flatnonzero(np.r_[True, (np.diff(values) != 0) | (np.diff(site) != 0)])
    length = np.diff(np.r_[begins, len(values)])
    stuck = np.repeat(length >= STUCK_DAYS, length)
    doubts = []
    for begin, count in zip(begins[length >= STUCK_DAYS], length[length >= STUCK_DAYS], strict=True):
        part = rows.iloc[begin : begin + count]
        first, last = _days(part)
        site_id = str(part["site_id"].iloc[0])
        text = f"site {site_id} says {values[begin]:g} ug/m3 {count} times from {first} to {last}"
        doubts.append(Doubt("constant", site_id, first, last, int(count), text, left_out=True))
    return rows[~stuck], doubts


def _collocated(sites: pd.DataFrame, rows: pd.DataFrame) -> list[Doubt]:
    """Name pairs of sites at one point that disagree: which of the two is wrong is not for a rule to say."""
    lat, lon = np.radians(sites["latitude"].to_numpy(float)), np.radians(sites["longitude"].to_numpy(float))
    globe = 6_371_000.0 * np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1
    )  # (site, 3), m
    names = sites["site_id"].to_numpy(str)
    doubts = []
    for a, b in sorted(cKDTree(globe).query_pairs(SAME_PLACE_M)) if len(globe) else ():
        one, other = (rows[rows["site_id"] == names[i]].set_index("date")["pm25_ugm3"] for i in (a, b))
        apart = (one - other).dropna().abs()
        if len(apart) >= COLLOCATED_DAYS and float(apart.median()) > COLLOCATED_UGM3:
            text = f"sites {names[a]} and {names[b]} at one point differ by {apart.median():.1f} ug/m3"
            days = sorted(apart.index)
            span = (f"{days[0]:%Y-%m-%d}", f"{days[-1]:%Y-%m-%d}")
            doubts.append(Doubt("collocated", str(names[a]), *span, len(apart), text, left_out=False))
    return doubts


def _network(rows: pd.DataFrame) -> list[Doubt]:
    """Name days on which the monitors of all networks together halve against the days around."""
    days, counts = np.unique(rows["date"].to_numpy("datetime64[D]"), return_counts=True)
    if len(days) < NETWORK_DAYS:
        return []
    usual = pd.Series(counts).rolling(2 * NETWORK_DAYS + 1, center=True, min_periods=NETWORK_DAYS).median()
    doubts = []
    for i in np.flatnonzero(counts < NETWORK_SHARE * usual.to_numpy()):
        text = f"{days[i]} has {counts[i]} monitors, the days around it {usual[i]:.0f}"
        doubts.append(Doubt("network", "", str(days[i]), str(days[i]), int(counts[i]), text, left_out=False))
    return doubts


def _days(part: pd.DataFrame) -> tuple[str, str]:
    return f"{part['date'].iloc[0]:%Y-%m-%d}", f"{part['date'].iloc[-1]:%Y-%m-%d}"
