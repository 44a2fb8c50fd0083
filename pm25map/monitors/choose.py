"""From the rows of EPA's files to one value a site and day: which rows count, and how they are joined.

EPA lists a monitor's day several times: once for each duration, standard and treatment of exceptional
events. The rules, in this order:

1. Rows that repeat another row exactly are dropped.
2. events="include" takes rows without an event and those that include it; "exclude" takes rows without an
   event and those that leave it out, so a day that is all event has no value.
3. One row a monitor (POC) and day: a 24-hour sample before EPA's block average before the bare mean of the
   hours, then the newest standard, then the latest change.
4. A monitor's day counts when at least `minimum_percent` of its observations are there. The lowest
   percentage of its repeated rows decides, for EPA writes 100 beside every block average.
5. Negative values, which are what is left of instrument noise in clean air, are kept, dropped or made zero.
6. The POCs of a site and parameter are averaged; of the parameters, the first listed with a value is taken.
"""

from typing import Literal

import pandas as pd

Events = Literal["include", "exclude"]
Negatives = Literal["keep", "drop", "zero"]

_COUNTED_EVENTS: dict[Events, list[str]] = {
    "include": ["none", "included"],
    # EPA leaves out every flagged hour, or only those it concurred with: the first excludes more.
    "exclude": ["none", "excluded", "concurred"],
}
_MONITOR_DAY = ["site_id", "parameter_code", "poc", "date"]
_SITE_DAY = ["site_id", "date"]


def choose(
    rows: pd.DataFrame,
    *,
    events: Events,
    minimum_percent: float,
    negatives: Negatives,
    parameters: tuple[int, ...],
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Reduce rows to one a site and day by the rules above.

    Args:
        rows: as `aqs.read_rows` gives them, site_id by place.
        events: whether values of exceptional events (wildfire smoke) count.
        minimum_percent: of the observations a day should have, 0 to 100.
        negatives: what to do with values below zero.
        parameters: AQS codes, the preferred first.

    Returns:
        site_id, date, pm25_ugm3, parameter_code; and how many rows each rule took.
    """
    counts: dict[str, int] = {}

    def kept(rows: pd.DataFrame, after: pd.DataFrame, reason: str) -> pd.DataFrame:
        counts[reason] = len(rows) - len(after)
        return after

    rows = kept(rows, rows.drop_duplicates(), "rows that repeat another exactly")
    wanted = rows[rows["event"].isin(_COUNTED_EVENTS[events])]
    other = "events included" if events == "exclude" else "events excluded"
    rows = kept(rows, wanted, f"rows with {other}")
    rows = kept(
        rows, _one_row_a_monitor_day(rows, events), "rows of the same measurement (duration or standard)"
    )
    rows = kept(
        rows, rows[rows["percent"] >= minimum_percent], f"days with under {minimum_percent:g} % observed"
    )
    rows = settle_negatives(rows, negatives, counts)
    groups = rows.groupby(["site_id", "date", "parameter_code"], observed=True)
    means = pd.DataFrame({"pm25_ugm3": groups["pm25_ugm3"].mean()}).reset_index()
    means = kept(rows, means, "values averaged into another of the same site (POC)")
    return kept(means, prefer(means, parameters), "values where a preferred parameter has one"), counts


def settle_negatives(rows: pd.DataFrame, negatives: Negatives, counts: dict[str, int]) -> pd.DataFrame:
    """Keep, drop or set to zero the values below zero, and write into `counts` how many there were."""
    below = rows["pm25_ugm3"] < 0
    counts[f"negative values ({negatives})"] = int(below.sum())
    if negatives == "drop":
        return rows[~below]
    return rows.assign(pm25_ugm3=rows["pm25_ugm3"].clip(lower=0)) if negatives == "zero" else rows


def prefer(means: pd.DataFrame, parameters: tuple[int, ...]) -> pd.DataFrame:
    """Keep one parameter a site and day: the first in `parameters` that is there."""
    rank = means["parameter_code"].map({code: i for i, code in enumerate(parameters)})
    ordered = means.assign(rank=rank).sort_values([*_SITE_DAY, "rank"], kind="stable")
    return ordered.drop_duplicates(_SITE_DAY)[[*_SITE_DAY, "pm25_ugm3", "parameter_code"]].reset_index(
        drop=True
    )


def _one_row_a_monitor_day(rows: pd.DataFrame, events: Events) -> pd.DataFrame:
    standard = rows["standard"].astype(str)
    event = rows["event"].map(
        {name: i for i, name in enumerate(("excluded", "concurred", "included", "none"))}
    )
    ordered = rows.assign(
        event_rank=event.astype(int) if events == "exclude" else 0,
        # The year in "PM25 24-hour 2012": the newest standard is the one in force.
        year=standard.str.extract(r"(\d{4})\s*$", expand=False).fillna("0"),
        daily=standard.str.contains("24-hour", case=False),
        percent=rows.groupby(_MONITOR_DAY, observed=True)["percent"].transform("min"),
        changed=rows["changed"].astype(str),
    ).sort_values(
        [*_MONITOR_DAY, "event_rank", "duration", "year", "daily", "changed", "pm25_ugm3"],
        ascending=[True] * 6 + [False] * 3 + [True],
        kind="stable",
    )
    return ordered.drop_duplicates(_MONITOR_DAY)[list(rows.columns)]
