"""Tables of several networks joined into one: the first that has a value for a site and day counts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pyproj import Geod

from pm25map.base.errors import BadMonitors
from pm25map.monitors.doubts import Examination, doubts_of
from pm25map.monitors.examine_places import disagree
from pm25map.monitors.sites import MOVED_M
from pm25map.monitors.table import OPTIONAL_COLUMNS, Monitors, Reading

REPEATED = "values where a table named before has one"
DIFFERS = "two tables that disagree"


def join(tables: Sequence[Monitors]) -> Monitors:
    """Join tables of monitors, such as AQS before AirNow.

    A value of a later table counts where no earlier one has a value of that site and day. Where both have one
    and they differ by more than 10 ug/m3 and more than half of the larger, the doubt is named, and the earlier
    table's value counts. A site of a later table is that of an earlier one if it has its id and stands within
    100 m of it; with the same id elsewhere it is one more place of that site, "060010001@2".

    Args:
        tables: the preferred first.

    Raises:
        BadMonitors: there is no table.
    """
    if not tables:
        raise BadMonitors("there are no monitors to join: name at least one file or folder")
    joined = tables[0]
    for table in tables[1:]:
        joined = _joined(joined, table)
    return joined


def _joined(first: Monitors, second: Monitors) -> Monitors:
    names = _places_in(first.sites, second.sites)
    more = second.sites.assign(site_id=second.sites["site_id"].map(names))
    added = second.observations.assign(site_id=second.observations["site_id"].map(names))
    both = first.observations[["site_id", "date", "pm25_ugm3"]].merge(
        added[["site_id", "date", "pm25_ugm3"]].reset_index(),
        on=["site_id", "date"],
        suffixes=("", "_second"),
    )
    apart = both[disagree(both["pm25_ugm3"].to_numpy(), both["pm25_ugm3_second"].to_numpy())]
    examination = doubts_of(apart, DIFFERS, "kept", "{:g} ug/m3 by the first of them")
    reading = Reading(_sum_of(first.reading.counts, second.reading.counts, {REPEATED: len(both)}))
    reading = Reading(reading.counts, first.reading.examination + second.reading.examination)
    added = added.drop(index=pd.Index(both["index"]))
    return Monitors(
        pd.concat([first.sites, more[~more["site_id"].isin(first.sites["site_id"])]]),
        pd.concat([_plain(first.observations), _plain(added)], ignore_index=True),
        reading.with_examination(examination if len(apart) else Examination()),
    )


def _plain(observations: pd.DataFrame) -> pd.DataFrame:
    """Turn categories into text, so that tables with other categories can be appended; missing values stay missing."""
    texts = [
        column for column, kind in OPTIONAL_COLUMNS.items() if kind == "category" and column in observations
    ]
    return observations.astype(dict.fromkeys(texts, "object"))


def _sum_of(*counts: dict[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in counts:
        for what, count in part.items():
            total[what] = total.get(what, 0) + count
    return total


def _places_in(known: pd.DataFrame, sites: pd.DataFrame) -> dict[str, str]:
    """Map the ids of some sites to those of the places they are in a table that is known."""
    places: dict[str, list[tuple[str, float, float]]] = {}
    for site_id, lat, lon in known[["site_id", "latitude", "longitude"]].itertuples(index=False):
        places.setdefault(site_id.partition("@")[0], []).append((site_id, lat, lon))
    geod, names = Geod(ellps="WGS84"), {}
    for site_id, lat, lon in sites[["site_id", "latitude", "longitude"]].itertuples(index=False):
        base = site_id.partition("@")[0]
        there = places.setdefault(base, [])
        away = [geod.inv(lon, lat, other_lon, other_lat)[2] for _, other_lat, other_lon in there]
        if away and min(away) <= MOVED_M:
            names[site_id] = there[int(np.argmin(away))][0]
            continue
        taken = {name for name, _, _ in there}
        number = next(n for n in range(1, len(taken) + 2) if _place(base, n) not in taken)
        names[site_id] = _place(base, number)
        there.append((names[site_id], lat, lon))
    return names


def _place(base: str, number: int) -> str:
    return base if number == 1 else f"{base}@{number}"
