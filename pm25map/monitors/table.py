"""The table of monitors: where each stands and what it measured, one row a site and day."""

import datetime as dt
import functools
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.base.files import sha256_of_bytes
from pm25map.monitors.examine import Doubt

SITE_COLUMNS = ["site_id", "latitude", "longitude"]
OBSERVATION_COLUMNS = ["site_id", "date", "pm25_ugm3", "parameter_code"]

NETWORK, STATUS = "network", "status"
"""Columns that observations may have: who measured, and whether the value is final or preliminary."""

AQS = "AQS"
FINAL, PRELIMINARY = "final", "preliminary"


@dataclass(frozen=True)
class Reading:
    """What was read and what was left out.

    Attributes:
        counts: rows of the files by reason, in the order the rules apply.
        doubts: what the examination came upon, site by site.
    """

    counts: dict[str, int] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()

    def lines(self) -> list[str]:
        """Say each count that is not zero in a line, for a command to print."""
        return [f"{count:>12,} {what}" for what, count in self.counts.items() if count]


@dataclass(frozen=True, eq=False)
class Monitors:
    """Sites and their daily observations. Checked and put in order when made; treat the frames as read-only.

    Attributes:
        sites: one row a place, by site_id: site_id (str), latitude, longitude (degrees, WGS84). A site
            that moved stands once a place: "060010001", "060010001@2".
        observations: one row a site and day, by site_id and date: site_id (str), date (datetime64[ns], local
            standard day), pm25_ugm3 (float32, ug m-3), parameter_code (int32, 88101 or 88502), network (category, AQS
            where nobody says otherwise), status (category, final or preliminary).
        reading: what the reader counted; empty where the table was not read from a file.
    """

    sites: pd.DataFrame
    observations: pd.DataFrame
    reading: Reading = field(default_factory=Reading)

    def __post_init__(self) -> None:
        sites = _with_columns(self.sites, SITE_COLUMNS, "sites")
        seen = _with_columns(self.observations, OBSERVATION_COLUMNS, "observations")
        kinds = {"latitude": "float64", "longitude": "float64"}
        sites = sites.astype({"site_id": "str", **kinds}).sort_values("site_id", ignore_index=True)
        kinds = {"date": "datetime64[ns]", "pm25_ugm3": "float32", "parameter_code": "int32"}
        seen = seen.assign(
            **{
                name: self.observations.get(name, default)
                for name, default in ((NETWORK, AQS), (STATUS, FINAL))
            }
        )
        kinds |= {NETWORK: "category", STATUS: "category"}
        seen = seen.astype({"site_id": "str", **kinds}).sort_values(["site_id", "date"], ignore_index=True)
        if sites["site_id"].duplicated().any():
            twice = sites["site_id"][sites["site_id"].duplicated()].iloc[0]
            raise BadMonitors(f"site {twice} stands twice in the table of sites: keep one row a site")
        where = sites[["latitude", "longitude"]].abs()
        if not (where <= [90.0, 180.0]).all(axis=None):
            lost = sites["site_id"][~(where <= [90.0, 180.0]).all(axis=1)].iloc[0]
            raise BadMonitors(
                f"site {lost} has no place on Earth: give its latitude and longitude in degrees"
            )
        # Not isin: on a million arrow strings it takes seconds where an index takes a moment.
        unknown = pd.Index(sites["site_id"]).get_indexer(pd.Index(seen["site_id"])) < 0
        if unknown.any():
            raise BadMonitors(
                f"site {seen['site_id'][unknown].iloc[0]} has observations and no row among the sites"
            )
        double = seen.duplicated(["site_id", "date"])
        if double.any():
            site, date = seen.loc[double, ["site_id", "date"]].iloc[0]
            raise BadMonitors(
                f"site {site} has two observations on {date:%Y-%m-%d}: keep one row a site and day"
            )
        if not np.isfinite(seen["pm25_ugm3"]).all():
            raise BadMonitors("an observation is not a finite number: leave a missing day out of the table")
        object.__setattr__(self, "sites", sites)
        object.__setattr__(self, "observations", seen)

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

    @property
    def days(self) -> list[dt.date]:
        """List the days that have an observation, oldest first."""
        days: list[dt.date] = np.unique(self._day).tolist()
        return days

    def matrix(self, days: list[dt.date]) -> npt.NDArray[np.float32]:
        """Give the observations as float32 (day, site), ug m-3, NaN where there is none.

        Args:
            days: the rows, in this order; columns follow `sites`.
        """
        rows, cols, chosen = self._positions(days)
        matrix = np.full((len(days), len(self.sites)), np.nan, dtype=np.float32)
        matrix[rows, cols] = self.observations["pm25_ugm3"].to_numpy()[chosen]
        return matrix

    def codes(self, days: list[dt.date]) -> npt.NDArray[np.int32]:
        """Give the parameter codes as int32 (day, site), 0 where there is no observation."""
        rows, cols, chosen = self._positions(days)
        codes = np.zeros((len(days), len(self.sites)), dtype=np.int32)
        codes[rows, cols] = self.observations["parameter_code"].to_numpy()[chosen]
        return codes

    def facts_of(self, day: dt.date) -> dict[str, float]:
        """Count the monitors that measured on a day, by network and parameter, and the preliminary values.

        Returns:
            {"monitors AQS 88101": 812, "monitors AirNow": 40, "preliminary": 40}; AirNow does not tell parameters
            apart.
        """
        on_day = self.observations[self._day == np.datetime64(day, "D")]
        if on_day.empty:
            return {}
        network = on_day[NETWORK].astype("str")
        name = network.where(network != AQS, network + " " + on_day["parameter_code"].astype("str"))
        facts = {f"monitors {what}": float(count) for what, count in name.value_counts().sort_index().items()}
        return {**facts, PRELIMINARY: float((on_day[STATUS] == PRELIMINARY).sum())}

    def daily_counts(self) -> tuple[list[dt.date], npt.NDArray[np.int64]]:
        """Return the days that have an observation, oldest first, and the number of sites on each (day,)."""
        days, counts = np.unique(self._day, return_counts=True)
        return days.tolist(), counts

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
    def _site_number(self) -> npt.NDArray[np.intp]:
        number: npt.NDArray[np.intp] = pd.Index(self.sites["site_id"]).get_indexer(
            pd.Index(self.observations["site_id"])
        )
        return number

    @functools.cached_property
    def _day(self) -> npt.NDArray[np.datetime64]:
        return self.observations["date"].to_numpy("datetime64[D]")

    def _positions(
        self, days: list[dt.date]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Find the row and column of every observation on these days, and which observations those are."""
        asked = np.array(days, dtype="datetime64[D]")
        if len(np.unique(asked)) != len(asked):
            raise BadMonitors("a day is asked for twice: list every day once")
        rows = pd.Index(asked.astype("datetime64[s]")).get_indexer(
            pd.Index(self._day.astype("datetime64[s]"))
        )
        chosen = rows >= 0
        return rows[chosen], self._site_number[chosen], chosen


def _with_columns(frame: pd.DataFrame, columns: list[str], what: str) -> pd.DataFrame:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise BadMonitors(f"the table of {what} lacks {', '.join(missing)}: it needs {', '.join(columns)}")
    return frame[columns]
