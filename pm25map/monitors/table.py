"""The table of monitors: where each stands and what it measured, one row a site and day."""

import copy
import datetime as dt
import functools
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.base.files import sha256_of_bytes
from pm25map.monitors.doubts import Examination
from pm25map.monitors.facts import PRELIMINARY, count_name

_DAYS = 2**31
"""More than the days of any calendar: site number times this plus the day orders by site and day."""

SITE_COLUMNS = ["site_id", "latitude", "longitude"]
OBSERVATION_COLUMNS = ["site_id", "date", "pm25_ugm3", "parameter_code"]
OPTIONAL_COLUMNS = {
    "network": "category",
    "hours": "float32",
    "status": "category",
    "changed": "datetime64[ns]",
}
"""Columns that observations may have: the network ("AQS", "AirNow"), how many hours a mean has (NaN unknown),
"final" or "preliminary", and the day of EPA's last change (NaT unknown)."""


AQS = "AQS"


@dataclass(frozen=True)
class Reading:
    """What was read and what was left out, by reason: rows of the files, in the order the rules apply.

    Attributes:
        counts: by reason.
        examination: the doubts about what was read.
        checksum_before: of the table with the values of stuck monitors, where these alone were left out and no
            site with them; else empty.
    """

    counts: dict[str, int] = field(default_factory=dict)
    examination: Examination = field(default_factory=Examination)
    checksum_before: str = ""

    def with_examination(self, examination: Examination) -> "Reading":
        """Add doubts, and their counts by rule."""
        counts = dict(self.counts)
        for rule, count in examination.counts.items():
            counts[rule] = counts.get(rule, 0) + count
        return Reading(counts, self.examination + examination, self.checksum_before)

    def lines(self) -> list[str]:
        """Return a line for each count that is not zero, then the doubts, for a command to print."""
        counts = [f"{count:>12,} {what}" for what, count in self.counts.items() if count]
        return [*counts, *self.examination.lines()]


@dataclass(frozen=True)
class DaySummary:
    """What is known of one day of a table of monitors.

    Attributes:
        day: the day.
        count: sites with a value.
        by_parameter: of these, by AQS parameter code.
        by_network: by network, where the table has them.
        by_status: "final" and "preliminary", where the table has them.
        changed: EPA's latest date of last change among the values, None where unknown.
        doubts: what was left out or doubted, by rule.
    """

    day: dt.date
    count: int
    by_parameter: dict[int, int]
    by_network: dict[str, int]
    by_status: dict[str, int]
    changed: dt.date | None
    doubts: dict[str, int]


@dataclass(frozen=True, eq=False)
class Monitors:
    """Sites and their daily observations. Checked and sorted when created; treat the frames as read-only.

    Attributes:
        sites: one row a place, by site_id: site_id (str), latitude, longitude (degrees, WGS84). A site
            that moved stands once a place: "060010001", "060010001@2".
        observations: one row a site and day, by site_id and date: site_id (str), date (datetime64[ns], local
            standard day), pm25_ugm3 (float32, ug m-3), parameter_code (int32, 88101 or 88502); and those of
            OPTIONAL_COLUMNS that were given.
        reading: what the reader counted; empty where the table was not read from a file.
    """

    sites: pd.DataFrame
    observations: pd.DataFrame
    reading: Reading = field(default_factory=Reading)
    _site_number: npt.NDArray[np.intp] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sites = _with_columns(self.sites, SITE_COLUMNS, "sites")
        observations = _with_columns(
            self.observations, OBSERVATION_COLUMNS, "observations", tuple(OPTIONAL_COLUMNS)
        )
        kinds = {"latitude": "float64", "longitude": "float64"}
        sites = sites.astype({"site_id": "str", **kinds}).sort_values("site_id", ignore_index=True)
        if sites["site_id"].duplicated().any():
            twice = sites["site_id"][sites["site_id"].duplicated()].iloc[0]
            raise BadMonitors(f"site {twice} stands twice in the table of sites: keep one row a site")
        where = sites[["latitude", "longitude"]].abs()
        if not (where <= [90.0, 180.0]).all(axis=None):
            lost = sites["site_id"][~(where <= [90.0, 180.0]).all(axis=1)].iloc[0]
            raise BadMonitors(
                f"site {lost} has no place on Earth: give its latitude and longitude in degrees"
            )
        # Nanoseconds, which is how dates are kept here, reach from 1677 to 2262.
        year = observations["date"].astype("datetime64[s]").dt.year.to_numpy()
        if ((year < 1700) | (year > 2200)).any():
            row = observations.iloc[int(np.argmax((year < 1700) | (year > 2200)))]
            raise BadMonitors(
                f"site {row['site_id']} has a value of {row['date']:%Y-%m-%d}: correct the date"
            )
        kinds = {"date": "datetime64[ns]", "pm25_ugm3": "float32", "parameter_code": "int32"}
        kinds |= {name: kind for name, kind in OPTIONAL_COLUMNS.items() if name in observations}
        observations = observations.astype(kinds)
        # Sites by number: to sort and compare a million texts takes seconds.
        codes, names = pd.factorize(observations["site_id"])
        number = pd.Index(sites["site_id"]).get_indexer(pd.Index(names).astype("str"))[codes]
        if (number < 0).any():
            unknown = observations["site_id"].iloc[int(np.argmax(number < 0))]
            raise BadMonitors(f"site {unknown} has observations and no row among the sites")
        key = number * _DAYS + observations["date"].to_numpy("datetime64[D]").astype(np.int64)
        if not (key[1:] >= key[:-1]).all():
            order = np.argsort(key, kind="stable")
            observations, number, key = observations.iloc[order], number[order], key[order]
        double = np.flatnonzero(key[1:] == key[:-1])
        if len(double):
            row = observations.iloc[double[0]]
            raise BadMonitors(
                f"site {row['site_id']} has two observations on {row['date']:%Y-%m-%d}: keep one row a site and day"
            )
        observations = observations.assign(site_id=sites["site_id"].array.take(number)).reset_index(drop=True)
        strange = ~np.isfinite(observations["pm25_ugm3"].to_numpy())
        if strange.any():
            row = observations.iloc[int(np.argmax(strange))]
            raise BadMonitors(
                f"the observation of site {row['site_id']} on {row['date']:%Y-%m-%d} is not a finite number: leave a "
                f"missing day out of the table"
            )
        object.__setattr__(self, "sites", sites)
        object.__setattr__(self, "observations", observations)
        object.__setattr__(self, "_site_number", number)

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of sites and observations; the order of rows in the files does not matter."""
        places = self.sites[["latitude", "longitude"]].to_numpy("<f8").round(6)
        return sha256_of_bytes(
            "\n".join(self.sites["site_id"]).encode(),
            places.tobytes(),
            self._site_number.astype("<i4").tobytes(),
            self._day.astype("<i8").tobytes(),
            self.observations["pm25_ugm3"].to_numpy("<f4").tobytes(),
            self.observations["parameter_code"].to_numpy("<i4").tobytes(),
        )

    def matches(self, checksum: str) -> bool:
        """Return whether a checksum is of this table, as it is or before its examination: both have the same sites."""
        return checksum in (self.checksum, self.reading.checksum_before)

    @property
    def days(self) -> list[dt.date]:
        """List the days that have an observation, oldest first."""
        days: list[dt.date] = np.unique(self._day).tolist()
        return days

    def with_reading(self, reading: Reading) -> "Monitors":
        """Return the same table with another account of its reading."""
        twin = copy.copy(self)
        object.__setattr__(twin, "reading", reading)
        return twin

    def last_day(self, network: str | None = None, parameter: int | None = None) -> dt.date | None:
        """Return the last day with an observation, of one network or parameter code if given; None without any."""
        chosen = np.ones(len(self.observations), dtype=np.bool_)
        if network is not None:
            known = "network" in self.observations
            chosen &= (self.observations["network"] == network).to_numpy() if known else False
        if parameter is not None:
            chosen &= (self.observations["parameter_code"] == parameter).to_numpy()
        last: dt.date | None = self._day[chosen].max().item() if chosen.any() else None
        return last

    def day_summary(self, day: dt.date) -> DaySummary:
        """Count the monitors of a day by parameter, network and status."""
        observations = self._on(day)

        def by(column: str) -> dict[str, int]:
            if column not in observations:
                return {}
            counts = observations[column].value_counts(sort=False)
            return {str(name): int(count) for name, count in sorted(counts.items()) if count}

        changed = observations["changed"].max() if "changed" in observations else pd.NaT
        return DaySummary(
            day=day,
            count=len(observations),
            by_parameter={int(code): count for code, count in by("parameter_code").items()},
            by_network=by("network"),
            by_status=by("status"),
            changed=None if pd.isna(changed) else changed.date(),
            doubts=self.reading.examination.on(day),
        )

    def facts_of(self, day: dt.date) -> dict[str, float]:
        """Count the monitors that measured on a day, by network and parameter, and the preliminary values.

        The preliminary ones are left out where a value of another network than AQS has no status.

        Returns:
            {"monitors AQS 88101": 812, "monitors AirNow": 40, "preliminary": 40}: only AQS tells parameters apart.
        """
        rows = self._on(day)
        if rows.empty:
            return {}
        network = rows["network"].astype("object") if "network" in rows else pd.Series(AQS, index=rows.index)
        network = network.where(network.notna(), AQS).astype("str")
        name = network.where(network != AQS, network + " " + rows["parameter_code"].astype("str"))
        facts = {
            count_name(str(what)): float(count) for what, count in name.value_counts().sort_index().items()
        }
        status = rows["status"].astype("object") if "status" in rows else pd.Series(None, index=rows.index)
        # What AQS publishes is final; of another table without a status nothing is known.
        if not (status.notna() | (network == AQS)).all():
            return facts
        return {**facts, PRELIMINARY: float((status == PRELIMINARY).sum())}

    def daily_counts(self) -> tuple[list[dt.date], npt.NDArray[np.int64]]:
        """Return the days that have an observation, oldest first, and the number of sites on each (day,)."""
        days, counts = np.unique(self._day, return_counts=True)
        return days.tolist(), counts

    def day_checksum(self, day: dt.date) -> str:
        """SHA-256 of one day: the sites with a value, where they stand, their values and codes.

        A file that was revised changes it on just the days whose values, sites or places changed.
        """
        observations = self._on(day)
        places = self.sites.iloc[self._site_number[observations.index.to_numpy()]]
        return sha256_of_bytes(
            "\n".join(places["site_id"]).encode(),
            places[["latitude", "longitude"]].to_numpy("<f8").round(6).tobytes(),
            observations["pm25_ugm3"].to_numpy("<f4").tobytes(),
            observations["parameter_code"].to_numpy("<i4").tobytes(),
        )

    def _on(self, day: dt.date) -> pd.DataFrame:
        order, days = self._by_day
        first, last = np.searchsorted(days, [np.datetime64(day, "D"), np.datetime64(day, "D") + 1])
        return self.observations.iloc[order[first:last]]

    def matrix(self, days: list[dt.date]) -> npt.NDArray[np.float32]:
        """Return the observations as float32 (day, site), ug m-3, NaN where there is none.

        Args:
            days: the rows, in this order; columns follow `sites`.
        """
        rows, cols, chosen = self._positions(days)
        matrix = np.full((len(days), len(self.sites)), np.nan, dtype=np.float32)
        matrix[rows, cols] = self.observations["pm25_ugm3"].to_numpy()[chosen]
        return matrix

    def codes(self, days: list[dt.date]) -> npt.NDArray[np.int32]:
        """Return the parameter codes as int32 (day, site), 0 where there is no observation."""
        rows, cols, chosen = self._positions(days)
        codes = np.zeros((len(days), len(self.sites)), dtype=np.int32)
        codes[rows, cols] = self.observations["parameter_code"].to_numpy()[chosen]
        return codes

    def select(self, site_ids: Collection[str]) -> "Monitors":
        """Keep some sites and their observations.

        Raises:
            BadMonitors: one of them is not in the table.
        """
        wanted = set(map(str, site_ids))
        unknown = sorted(wanted - set(self.sites["site_id"]))
        if unknown:
            raise BadMonitors(f"{len(unknown)} sites are not in the table of monitors (first: {unknown[0]})")
        kept = self.observations[self.observations["site_id"].isin(wanted)]
        return Monitors(self.sites[self.sites["site_id"].isin(wanted)], kept, self.reading)

    def between(self, start: dt.date, end: dt.date) -> "Monitors":
        """Keep the observations from start to end, both included; every site stays, with or without one."""
        inside = (self._day >= np.datetime64(start, "D")) & (self._day <= np.datetime64(end, "D"))
        return Monitors(self.sites, self.observations[inside], self.reading)

    @functools.cached_property
    def _day(self) -> npt.NDArray[np.datetime64]:
        return self.observations["date"].to_numpy("datetime64[D]")

    @functools.cached_property
    def _by_day(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.datetime64]]:
        """Order the observations by day and site; and their days in this order."""
        order = np.argsort(self._day, kind="stable")
        return order, self._day[order]

    def _positions(
        self, days: list[dt.date]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Find the row and column of every observation on these days, and which observations those are."""
        requested = np.array(days, dtype="datetime64[D]")
        if len(np.unique(requested)) != len(requested):
            raise BadMonitors("a day is listed twice: list every day once")
        rows = pd.Index(requested.astype("datetime64[s]")).get_indexer(
            pd.Index(self._day.astype("datetime64[s]"))
        )
        chosen = rows >= 0
        return rows[chosen], self._site_number[chosen], chosen


def constant_column(text: str, rows: int) -> "pd.Categorical[Any]":
    """Return a categorical column with the same text in every row."""
    return pd.Categorical.from_codes(np.zeros(rows, dtype=np.int8), pd.Index([text]))


def _with_columns(
    frame: pd.DataFrame, columns: list[str], what: str, optional: tuple[str, ...] = ()
) -> pd.DataFrame:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise BadMonitors(f"the table of {what} lacks {', '.join(missing)}: it needs {', '.join(columns)}")
    return frame[[*columns, *(column for column in optional if column in frame)]]
