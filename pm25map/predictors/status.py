"""What a store holds and what it lacks, for people and for scripts."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

from pm25map.base.days import days_between
from pm25map.base.errors import UnknownName
from pm25map.predictors.reader import Predictors
from pm25map.predictors.variables import VARIABLES, Kind, variable, variables_of


class SourceStatus(TypedDict):
    """The days of one source on which all its variables in the store are whole; and layers that it lacks."""

    source: str
    days: int
    missing: list[list[str]]
    layers_missing: list[str]


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
    sources: list[SourceStatus]


@dataclass(frozen=True)
class VariableStatus:
    """One variable of a store: days that are whole between start and end; None for layers."""

    name: str
    kind: Kind
    units: str
    source: str
    precision: float | None
    days: int | None


def status_of(
    store: Predictors,
    start: dt.date | None = None,
    end: dt.date | None = None,
    sources: Sequence[str] = (),
) -> Status:
    """Return the status of a store from start to end, or in all its span.

    Args:
        store: to look at.
        start, end: first and last day; of the store where None.
        sources: that must be complete; those that the store holds anything of where empty.

    Raises:
        BadDate: end lies before start.
        UnknownName: the variable table has no such source.
    """
    start, end = start or store.span[0], end or store.span[1]
    days = days_between(start, end)
    chosen = tuple(sources) or tuple(dict.fromkeys(variable(name).source for name in store.variables))
    by_source = [_source_status(store, source, days) for source in chosen]
    lacking = {day for state in by_source for day in expand(state["missing"])}
    whole = [day for day in days if day not in lacking]
    missing = runs(sorted(lacking))
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
        days=len(whole),
        missing=[[str(first), str(last)] for first, last in missing],
        variables=[asdict(row) for row in rows],
        sources=by_source,
    )


def _source_status(store: Predictors, source: str, days: list[dt.date]) -> SourceStatus:
    names = variables_of(source)
    if not names:
        known = ", ".join(dict.fromkeys(row.source for row in VARIABLES.values()))
        raise UnknownName(f"unknown source {source!r}: the variable table has {known}")
    daily = tuple(name for name in names if name in store.daily)
    gives_days = any(variable(name).kind == "daily" for name in names)
    whole = set(store.days_of(daily)) if gives_days else set(days)
    layers = [name for name in names if variable(name).kind in ("static", "climatology")]
    missing = runs([day for day in days if day not in whole])
    return SourceStatus(
        source=source,
        days=len(whole & set(days)) if gives_days else 0,
        missing=[[str(first), str(last)] for first, last in missing],
        layers_missing=[name for name in layers if name not in store.layers],
    )


def is_complete(status: Status) -> bool:
    """Return whether nothing is missing: no day, and no layer of a source."""
    return not status["missing"] and not any(state["layers_missing"] for state in status["sources"])


def status_lines(status: Status) -> list[str]:
    """Write a state for people: one fact a line, then a calendar of every source."""
    wanted = (dt.date.fromisoformat(status["end"]) - dt.date.fromisoformat(status["start"])).days + 1
    lines = [
        f"{status['store']}: grid {status['grid']}, checksum {status['checksum'][:12]}",
        f"{status['days']} of {wanted} days are whole from {status['start']} to {status['end']}",
    ]
    lines += [f"missing     {first} to {last}" for first, last in status["missing"]]
    for state in status["sources"]:
        lines += [f"missing     {name} of {state['source']}" for name in state["layers_missing"]]
    for row in status["variables"]:
        extent = f"{row['days']} days" if row["days"] is not None else str(row["kind"])
        step = f"int16, step {row['precision']:g}" if row["precision"] is not None else "float32"
        lines.append(f"{row['name']:<28} {extent:<12} {row['units']:<12} {step:<18} {row['source']}")
    return lines + calendar_lines(status)


def calendar_lines(status: Status) -> list[str]:
    """Draw a line a month and source: # where the day is whole, . where it is missing, blank where not requested."""
    start, end = (dt.date.fromisoformat(status[key]) for key in ("start", "end"))
    months: dict[tuple[int, int], list[dt.date]] = {}
    for day in days_between(start, end):
        months.setdefault((day.year, day.month), []).append(day)
    lines = [f"{'':<20}{'1':<9}{'10':<10}{'20':<10}30"]
    for state in status["sources"]:
        if state["days"] == 0 and not state["missing"]:
            continue
        gone = set(expand(state["missing"]))
        for (year, month), days in months.items():
            marks = [" "] * 31
            for day in days:
                marks[day.day - 1] = "." if day in gone else "#"
            lines.append(f"{state['source']:<11} {year:04d}-{month:02d} {''.join(marks)}".rstrip())
    return lines if len(lines) > 1 else []


def expand(spans: list[list[str]]) -> list[dt.date]:
    """List the days of spans that are written as first and last day."""
    return [
        day
        for first, last in spans
        for day in days_between(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
    ]


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
