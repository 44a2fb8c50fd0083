"""What a backfill will do: days, runs, blocks, and what they cost. Deciding is a pure function; nothing is touched."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pm25map.grid import Block
from pm25map.raster.backfill.day import Identity, StoredMap
from pm25map.raster.backfill.stage import by_segment, staged_size

State = Literal["todo", "done", "impossible"]

RUN_DAYS = 366
"""Longest run: a year of a block reads (366 + 20) / 366 = 1.05 days of predictors for each day it estimates."""


@dataclass(frozen=True)
class Verdict:
    """What shall become of a day.

    Attributes:
        day: local standard day.
        state: todo, done (its map is there, whole, and made of the very inputs) or impossible.
        reason: why it is to be made again, or cannot be made; empty where there is nothing to say.
    """

    day: dt.date
    state: State
    reason: str = ""


@dataclass(frozen=True)
class Task:
    """A block of a run, with the days of it that are not staged yet."""

    block: Block
    days: tuple[dt.date, ...]


@dataclass(frozen=True)
class Run:
    """Days that are computed together, block after block.

    Attributes:
        days: to make, oldest first.
        tasks: blocks with days to estimate; none where all is staged.
    """

    days: tuple[dt.date, ...]
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Plan:
    """The answer.

    Attributes:
        verdicts: of every day that was asked for, oldest first.
        runs: what is to be done.
        estimates: cells times days to run through the network.
        read_bytes: of daily predictors, as stored, decoded.
        chunk_reads: reads of a chunk of days of one variable and block.
        chunks: that are read; chunk_reads / chunks is the read amplification.
        most_reads: of any one chunk.
        stage_bytes: to write to the stage, and to remove again.
        map_bytes: of the maps before compression.
    """

    verdicts: tuple[Verdict, ...]
    runs: tuple[Run, ...]
    estimates: int
    read_bytes: int
    chunk_reads: int
    chunks: int
    most_reads: int
    stage_bytes: int
    map_bytes: int

    def days_of(self, state: State) -> list[Verdict]:
        """List the days of one state."""
        return [verdict for verdict in self.verdicts if verdict.state == state]

    def to_json(self) -> dict[str, Any]:
        """Return everything in values that JSON can hold."""
        names = ("estimates", "read_bytes", "chunk_reads", "chunks", "most_reads", "stage_bytes", "map_bytes")
        return {
            "days": {state: len(self.days_of(state)) for state in ("todo", "done", "impossible")},
            "todo": [{"day": str(v.day), "reason": v.reason} for v in self.days_of("todo")],
            "impossible": [{"day": str(v.day), "reason": v.reason} for v in self.days_of("impossible")],
            "runs": [
                {"first": str(r.days[0]), "last": str(r.days[-1]), "days": len(r.days)} for r in self.runs
            ],
            **{name: getattr(self, name) for name in names},
        }


def judge_days(
    days: Iterable[dt.date],
    wanted: Mapping[dt.date, Identity],
    stored: Mapping[dt.date, StoredMap],
    impossible: Mapping[dt.date, str],
) -> tuple[Verdict, ...]:
    """Judge every day.

    Args:
        days: that were asked for.
        wanted: what the map of a day shall be made of; the possible days.
        stored: the maps that are there.
        impossible: why a day cannot be made.
    """
    verdicts = []
    for day in days:
        there = stored.get(day)
        if day in impossible:
            verdicts.append(Verdict(day, "impossible", impossible[day]))
        elif there is None:
            verdicts.append(Verdict(day, "todo"))
        elif not there.whole or there.identity is None:
            verdicts.append(Verdict(day, "todo", "the map that is there is damaged"))
        elif there.identity != wanted[day]:
            verdicts.append(Verdict(day, "todo", f"other {there.identity.differs(wanted[day])} than before"))
        else:
            verdicts.append(Verdict(day, "done"))
    return tuple(verdicts)


def cut_runs(days: Sequence[dt.date], longest: int, window_days: int) -> list[tuple[dt.date, ...]]:
    """Cut days into runs: at gaps that no window spans, and into equal parts of at most `longest` days."""
    stretches: list[list[dt.date]] = []
    for day in days:
        if not stretches or (day - stretches[-1][-1]).days > window_days:
            stretches.append([])
        stretches[-1].append(day)
    runs = []
    for stretch in stretches:
        parts = -(-len(stretch) // longest)
        size = -(-len(stretch) // parts)
        runs += [tuple(stretch[i : i + size]) for i in range(0, len(stretch), size)]
    return runs


@dataclass(frozen=True)
class Costs:
    """What a plan must know of the store, the model and the grid to count.

    Attributes:
        window: gives the days of the window of a day.
        chunks_of: groups days by the chunks that hold them (Predictors.chunks_of).
        bytes_to_read: of some days of a block (Predictors.bytes_to_read).
        variables: daily variables that the model reads.
        bands: of a map.
        map_cells: cells of the map's rectangle.
        cells_of: cells to estimate in a block.
    """

    window: Callable[[dt.date], list[dt.date]]
    chunks_of: Callable[[list[dt.date]], dict[int, list[dt.date]]]
    bytes_to_read: Callable[[list[dt.date], Block], int]
    variables: int
    bands: int
    map_cells: int
    cells_of: Mapping[str, int]


def make_plan(
    verdicts: tuple[Verdict, ...],
    blocks: Sequence[Block],
    staged: Mapping[str, Collection[dt.date]],
    costs: Costs,
    longest: int = RUN_DAYS,
) -> Plan:
    """Plan a backfill.

    Args:
        verdicts: of judge_days.
        blocks: that hold cells to estimate.
        staged: days that are staged, by id of the block (stage.covered).
        costs: how to count.
        longest: days of a run.
    """
    todo = [verdict.day for verdict in verdicts if verdict.state == "todo"]
    window_days = len(costs.window(todo[0])) if todo else 0
    runs, reads = [], dict[tuple[str, int], int]()
    estimates = read_bytes = stage_bytes = 0
    for days in cut_runs(todo, longest, window_days):
        tasks = []
        needs: dict[tuple[dt.date, ...], dict[int, list[dt.date]]] = {}
        for block in blocks:
            left = tuple(day for day in days if day not in staged.get(block.id, ()))
            if not left:
                continue
            tasks.append(Task(block, left))
            if left not in needs:
                needs[left] = costs.chunks_of(sorted(set().union(*(costs.window(day) for day in left))))
            for number in needs[left]:
                reads[block.id, number] = reads.get((block.id, number), 0) + 1
            cells = costs.cells_of[block.id]
            estimates += cells * len(left)
            read_bytes += costs.bytes_to_read([day for group in needs[left].values() for day in group], block)
            stage_bytes += sum(
                staged_size(block, len(part), costs.bands, cells) for _, part in by_segment(left)
            )
        runs.append(Run(days, tuple(tasks)))
    return Plan(
        verdicts=verdicts,
        runs=tuple(runs),
        estimates=estimates,
        read_bytes=read_bytes,
        chunk_reads=sum(reads.values()) * costs.variables,
        chunks=len(reads) * costs.variables,
        most_reads=max(reads.values(), default=0),
        stage_bytes=stage_bytes,
        map_bytes=len(todo) * costs.bands * costs.map_cells * 4,
    )
