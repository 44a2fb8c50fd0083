"""The rules about the positions of monitors (see `examine`): impossible ones, and sites at one point that disagree."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from pm25map.base.errors import BadMonitors
from pm25map.monitors.doubts import Examination, doubts_of
from pm25map.monitors.ground import in_united_states
from pm25map.monitors.rules import MINUS, NOWHERE, SWAPPED, TWINS, ZERO, Rules

_MEND = {
    MINUS: "western longitudes are negative: put a minus before them",
    SWAPPED: "latitude and longitude are swapped: exchange the two columns",
}


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
