"""The result of an examination of monitors: which values were doubted, by which rule, and what was done with them."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Action = Literal["left out", "kept"]

SHOWN = 10
"""Doubts that a command prints; the rest is a number."""


@dataclass(frozen=True)
class Doubt:
    """One rule that applied at one site, or to a whole network.

    Attributes:
        rule: the rule, one of the names in `examine`.
        site_id: the site by place; empty where the doubt concerns a network.
        first_day: the first day it applies to.
        last_day: the last one.
        count: values or rows that it applies to.
        action: what was done with them.
        detail: the values or positions concerned, for a reader.
        file: the file of the first row, empty where unknown.
        line: the line of the first row in that file (the header is line 1; of parquet the row, from 1), or 0.
    """

    rule: str
    site_id: str
    first_day: dt.date
    last_day: dt.date
    count: int
    action: Action
    detail: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        days = f"{self.first_day}"
        if self.last_day != self.first_day:
            days += f" to {self.last_day}"
        where = f"site {self.site_id}, {days}" if self.site_id else days
        if self.file:
            where += f" ({self.file}" + (f", line {self.line})" if self.line else ")")
        detail = f", {self.detail}" if self.detail else ""
        return f"{where}: {self.rule}{detail}; {self.count:,} {self.action}"


@dataclass(frozen=True)
class Examination:
    """All doubts about some monitors, and on which days.

    Attributes:
        doubts: in the order of the rules, then by site.
        days: of every day with a doubt, how many values each rule concerns.
    """

    doubts: tuple[Doubt, ...] = ()
    days: Mapping[dt.date, Mapping[str, int]] = field(default_factory=dict, repr=False)

    def __add__(self, other: "Examination") -> "Examination":
        return self.of([self, other])

    @classmethod
    def of(cls, parts: Iterable["Examination"]) -> "Examination":
        """Put several examinations together, in their order."""
        doubts: list[Doubt] = []
        days: dict[dt.date, Counter[str]] = {}
        for part in parts:
            doubts.extend(part.doubts)
            for day, rules in part.days.items():
                days.setdefault(day, Counter()).update(rules)
        return cls(tuple(doubts), {day: dict(rules) for day, rules in days.items()})

    @property
    def counts(self) -> dict[str, int]:
        """Count what each rule applied to."""
        total: Counter[str] = Counter()
        for doubt in self.doubts:
            total[doubt.rule] += doubt.count
        return dict(total)

    @property
    def left_out(self) -> int:
        """Count what was left out by all rules together."""
        return sum(doubt.count for doubt in self.doubts if doubt.action == "left out")

    def on(self, day: dt.date) -> dict[str, int]:
        """Count by rule what is doubted on one day."""
        return dict(self.days.get(day, {}))

    def between(self, start: dt.date, end: dt.date) -> "Examination":
        """Keep the doubts that concern a day from start to end, both included."""
        doubts = (doubt for doubt in self.doubts if doubt.first_day <= end and start <= doubt.last_day)
        return Examination(
            tuple(doubts), {day: rules for day, rules in self.days.items() if start <= day <= end}
        )

    def lines(self, shown: int = SHOWN) -> list[str]:
        """Write each doubt in a line; after `shown` of them only how many more there are."""
        lines = [str(doubt) for doubt in self.doubts[:shown]]
        more = len(self.doubts) - shown
        return [*lines, f"and {more:,} more"] if more > 0 else lines


def doubts_of(
    rows: pd.DataFrame, rule: str, action: Action = "left out", detail: str = "it says {:g} ug/m3"
) -> Examination:
    """Gather doubted rows into one doubt a site.

    Args:
        rows: only the doubted ones: site_id, date, pm25_ugm3, and where known file and line.
        rule: the rule that they are doubted by.
        action: what becomes of them.
        detail: a format that takes the first row's value.
    """
    if rows.empty:
        return Examination()
    rows = rows.assign(site_id=rows["site_id"].astype(str))
    first = rows.drop_duplicates("site_id").set_index("site_id")
    days = rows.groupby("site_id", sort=True)["date"].agg(["min", "max", "size"])
    doubts = tuple(
        Doubt(
            rule=rule,
            site_id=str(site),
            first_day=start.date(),
            last_day=end.date(),
            count=int(count),
            action=action,
            detail=detail.format(first.loc[site, "pm25_ugm3"]),
            file=str(first.loc[site, "file"]) if "file" in first else "",
            line=int(first.loc[site, "line"]) if "line" in first else 0,
        )
        for site, start, end, count in days.itertuples()
    )
    tally = rows["date"].dt.date.value_counts()
    return Examination(doubts, {day: {rule: int(count)} for day, count in tally.items()})
