"""From the rows of EPA's files to one value a site and day: which rows count, and how they are joined.

EPA lists a monitor's day several times: once for each duration, standard and treatment of exceptional
events. The rules, in this order:

1. Rows that repeat another row exactly are dropped.
2. events="include" takes rows without an event and those that include it; "exclude" takes rows without an
   event and those that leave it out, so a day that is all event has no value.
3. One row a monitor (POC) and day: a 24-hour sample before EPA's block average before the bare mean of the
   hours, then the newest standard, then the latest change. Where two rows are alike in all of these and their
   values differ, the monitor has no value on that day: it is not known which is right.
4. Runs of one value are left out (see `examine`).
5. A monitor's day counts when at least `minimum_percent` of its observations are there. The lowest
   percentage of its repeated rows decides, for EPA writes 100 beside every block average.
6. Negative values, which are what is left of instrument noise in clean air, are kept, dropped or made zero.
7. The POCs of a site and parameter are averaged; of the parameters, the first listed with a value is taken.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.monitors.doubts import Examination, doubts_of
from pm25map.monitors.examine import examine_runs
from pm25map.monitors.rules import Rules

PARAMETERS = (88101, 88502)
"""PM2.5 by the reference method or its equal, then PM2.5 that is acceptable for the AQI."""

TWO_VALUES = "two values of one monitor and day"

Events = Literal["include", "exclude"]
Negatives = Literal["keep", "drop", "zero"]

_COUNTED_EVENTS: dict[Events, list[str]] = {
    "include": ["none", "included"],
    # EPA leaves out every flagged hour, or only those it concurred with: the first excludes more.
    "exclude": ["none", "excluded", "concurred"],
}
_MONITOR_DAY = ["site_id", "parameter_code", "poc", "date"]
_RANKS = ["event_rank", "duration", "year", "daily", "changed"]


def choose(
    rows: pd.DataFrame,
    *,
    events: Events,
    minimum_percent: float,
    negatives: Negatives,
    parameters: tuple[int, ...],
    rules: Rules | None,
) -> tuple[pd.DataFrame, dict[str, int], Examination]:
    """Reduce rows to one a site and day by the rules above.

    Args:
        rows: as `aqs.read_rows` gives them, site_id by place.
        events: whether values of exceptional events (wildfire smoke) count.
        minimum_percent: of the observations a day should have, 0 to 100.
        negatives: what to do with values below zero.
        parameters: AQS codes, the preferred first.
        rules: thresholds of the examination, None to leave it out.

    Returns:
        site_id, date, pm25_ugm3, parameter_code, changed; how many rows each rule took; and the doubts.
    """
    counts: dict[str, int] = {}

    def kept(rows: pd.DataFrame, after: pd.DataFrame, reason: str) -> pd.DataFrame:
        counts[reason] = len(rows) - len(after)
        return after

    said = [column for column in rows.columns if column not in ("file", "line")]
    rows = kept(rows, rows.drop_duplicates(said), "rows that repeat another exactly")
    wanted = rows[rows["event"].isin(_COUNTED_EVENTS[events])]
    other = "events included" if events == "exclude" else "events excluded"
    rows = kept(rows, wanted, f"rows with {other}")
    ordered = _best_first(rows, events)
    best = ordered.drop_duplicates(_MONITOR_DAY)
    examination = Examination()
    if rules is not None:
        unsure = _unsure(ordered)
        examination += doubts_of(ordered[unsure], TWO_VALUES, detail="{:g} ug/m3 and another")
        best = best.drop(index=ordered.index[unsure])
    rows = kept(rows, best[list(rows.columns)], "rows of the same measurement (duration or standard)")
    if rules is not None:
        rows, stuck = examine_runs(rows, rules)
        examination += stuck
    rows = kept(
        rows, rows[rows["percent"] >= minimum_percent], f"days with under {minimum_percent:g} % observed"
    )
    rows = settle_negatives(rows, negatives, counts)
    rows = rows.assign(changed=pd.to_datetime(rows["changed"], format="%Y-%m-%d", errors="coerce"))
    groups = rows.groupby(["site_id", "date", "parameter_code"], observed=True)
    means = groups.agg({"pm25_ugm3": "mean", "changed": "max"}).reset_index()
    means = kept(rows, means, "values averaged into another of the same site (POC)")
    values = kept(means, prefer(means, parameters), "values where a preferred parameter has one")
    return values, counts, examination


def settle_negatives(rows: pd.DataFrame, negatives: Negatives, counts: dict[str, int]) -> pd.DataFrame:
    """Keep, drop or set to zero the values below zero, and write into `counts` how many there were."""
    below = rows["pm25_ugm3"] < 0
    counts[f"negative values ({negatives})"] = int(below.sum())
    if negatives == "drop":
        return rows[~below]
    return rows.assign(pm25_ugm3=rows["pm25_ugm3"].clip(lower=0)) if negatives == "zero" else rows


def prefer(means: pd.DataFrame, parameters: tuple[int, ...]) -> pd.DataFrame:
    """Keep one parameter a site and day: the first in `parameters` that is there."""
    rank = np.argsort(parameters)[np.searchsorted(np.sort(parameters), means["parameter_code"])]
    site, day = pd.factorize(means["site_id"])[0], means["date"].to_numpy("datetime64[D]").astype(np.int64)
    # Numbers, for to sort a million texts takes seconds.
    order = np.lexsort((rank, day, site))
    site, day = site[order], day[order]
    first = np.ones(len(means), dtype=np.bool_)
    first[1:] = (site[1:] != site[:-1]) | (day[1:] != day[:-1])
    return means.iloc[np.sort(order[first])].reset_index(drop=True)


def _best_first(rows: pd.DataFrame, events: Events) -> pd.DataFrame:
    """Order the rows of each monitor and day, the one that counts first; the reasons are in `_RANKS`."""
    standard = rows["standard"].astype(str)
    event = rows["event"].map(
        {name: i for i, name in enumerate(("excluded", "concurred", "included", "none"))}
    )
    return rows.assign(
        event_rank=event.astype(int) if events == "exclude" else 0,
        # The year in "PM25 24-hour 2012": the newest standard is the one in force.
        year=standard.str.extract(r"(\d{4})\s*$", expand=False).fillna("0"),
        daily=standard.str.contains("24-hour", case=False),
        percent=rows.groupby(_MONITOR_DAY, observed=True)["percent"].transform("min"),
        changed=rows["changed"].astype(str),
    ).sort_values(
        [*_MONITOR_DAY, *_RANKS, "pm25_ugm3"], ascending=[True] * 6 + [False] * 3 + [True], kind="stable"
    )


def _unsure(ordered: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Mark the first row of each monitor and day whose second is its equal in all but the value."""
    alike = np.ones(len(ordered), dtype=np.bool_)
    after = ordered.shift(-1)
    for column in (*_MONITOR_DAY, *_RANKS):
        alike &= (ordered[column] == after[column]).to_numpy()
    first: npt.NDArray[np.bool_] = ~ordered.duplicated(_MONITOR_DAY).to_numpy()
    return first & alike & (ordered["pm25_ugm3"] != after["pm25_ugm3"]).to_numpy()
