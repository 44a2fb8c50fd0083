"""Several tables of monitors as one: the first that has a value for a site and day counts."""

from collections.abc import Sequence

import pandas as pd
from pyproj import Geod

from pm25map.base.errors import BadMonitors
from pm25map.monitors.sites import MOVED_M
from pm25map.monitors.table import NETWORK, Monitors, Reading

DISAGREE_UGM3 = 10.0
"""Two networks that differ by more for one site and day are counted; the first counts."""


def join(parts: Sequence[Monitors]) -> Monitors:
    """Join tables of monitors, the preferred first.

    A site that stands more than MOVED_M from the place that an earlier table gives it is another place, and gets the
    network's name behind its id.

    Args:
        parts: at least one; AQS before AirNow.

    Raises:
        BadMonitors: there is no table.
    """
    if not parts:
        raise BadMonitors("there is no table of monitors to read: name one with --monitors")
    joined = parts[0]
    for other in parts[1:]:
        joined = _joined(joined, other)
    return joined


def _joined(first: Monitors, second: Monitors) -> Monitors:
    sites, names = _named(first.sites, second)
    late = second.observations.assign(site_id=second.observations["site_id"].map(names))
    both = first.observations.merge(late, on=["site_id", "date"], suffixes=("", "_late"))
    apart = (both["pm25_ugm3"] - both["pm25_ugm3_late"]).abs() > DISAGREE_UGM3
    rows = pd.concat([_plain(first.observations), _plain(late)], ignore_index=True)
    kept = rows.drop_duplicates(["site_id", "date"], keep="first")
    counts = {
        **first.reading.counts,
        **second.reading.counts,
        "values of a site and day that an earlier table has": len(rows) - len(kept),
        f"of these, values that differ by more than {DISAGREE_UGM3:g} ug/m3": int(apart.sum()),
    }
    return Monitors(sites, kept, Reading(counts, first.reading.doubts + second.reading.doubts))


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Take the categories off, which differ between tables."""
    return rows.astype({NETWORK: "str", "status": "str"})


def _named(sites: pd.DataFrame, second: Monitors) -> tuple[pd.DataFrame, dict[str, str]]:
    """Name the sites of a second table, and list the sites of both."""
    geod = Geod(ellps="WGS84")
    known = {row.site_id: (row.longitude, row.latitude) for row in sites.itertuples(index=False)}
    network = str(second.observations[NETWORK].iloc[0]) if len(second.observations) else ""
    names = {}
    for row in second.sites.itertuples(index=False):
        site_id = str(row.site_id)
        moved = site_id in known and geod.inv(*known[site_id], row.longitude, row.latitude)[2] > MOVED_M
        names[site_id] = f"{site_id}@{network}" if moved else site_id
    new = second.sites.assign(site_id=second.sites["site_id"].map(names))
    new = new[~new["site_id"].isin(known)]
    return pd.concat([sites, new], ignore_index=True), names
