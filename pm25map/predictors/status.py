"""What a store holds and what it lacks, for people and for scripts."""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TypedDict

from pm25map.base.days import days_between
from pm25map.predictors.reader import Predictors
from pm25map.predictors.variables import Kind, variable


class Status(TypedDict):
    """The state of a store, as JSON holds it; days are written YYYY-MM-DD."""

    store: str
    grid: str
    grid_checksum: str
    checksum: str
    start: str
    end: str
    days: int
    missing: list[list[str]]
    variables: list[dict[str, str | int | float | None]]


@dataclass(frozen=True)
class VariableStatus:
    """One variable of a store: days that are whole between start and end; None for layers."""

    name: str
    kind: Kind
    units: str
    source: str
    precision: float | None
    days: int | None


def status_of(store: Predictors, start: dt.date | None = None, end: dt.date | None = None) -> Status:
    """Say what a store holds from start to end, or in all its span.

    Raises:
        BadDate: end lies before start.
    """
    start, end = start or store.span[0], end or store.span[1]
    days = days_between(start, end)
    whole = set(store.days)
    missing = runs([day for day in days if day not in whole])
    rows = []
    for name in store.variables:
        row = variable(name)
        count = len(set(store.days_of((name,))) & set(days)) if name in store.daily else None
        rows.append(VariableStatus(name, row.kind, row.units, row.source, store.precision(name), count))
    return Status(
        store=str(store.path),
        grid=store.grid.name,
        grid_checksum=store.grid.checksum,
        checksum=store.checksum,
        start=str(start),
        end=str(end),
        days=len(whole & set(days)),
        missing=[[str(first), str(last)] for first, last in missing],
        variables=[asdict(row) for row in rows],
    )


def status_lines(status: Status) -> list[str]:
    """Write a state for people, one fact a line."""
    wanted = (dt.date.fromisoformat(status["end"]) - dt.date.fromisoformat(status["start"])).days + 1
    lines = [
        f"{status['store']}: grid {status['grid']}, checksum {status['checksum'][:12]}",
        f"{status['days']} of {wanted} days are whole from {status['start']} to {status['end']}",
    ]
    lines += [f"missing     {first} to {last}" for first, last in status["missing"]]
    for row in status["variables"]:
        held = f"{row['days']} days" if row["days"] is not None else str(row["kind"])
        step = f"int16, step {row['precision']:g}" if row["precision"] is not None else "float32"
        lines.append(f"{row['name']:<28} {held:<12} {row['units']:<12} {step:<18} {row['source']}")
    return lines


def runs(days: list[dt.date]) -> list[tuple[dt.date, dt.date]]:
    """Join days that follow each other: first and last of every run.

    >>> runs([dt.date(2020, 9, 1), dt.date(2020, 9, 2), dt.date(2020, 9, 5)])[0][1].day
    2
    """
    joined: list[tuple[dt.date, dt.date]] = []
    for day in days:
        if joined and day == joined[-1][1] + dt.timedelta(days=1):
            joined[-1] = (joined[-1][0], day)
        else:
            joined.append((day, day))
    return joined
