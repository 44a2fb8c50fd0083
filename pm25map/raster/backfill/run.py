"""The loop that does what a plan says: blocks of a run, then its days, on any executor, whatever workers die."""

import datetime as dt
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from pm25map.base.errors import DeviceUnavailable, DiskFull, Pm25mapError, StoreUnreachable
from pm25map.base.storage import Folder
from pm25map.raster.backfill.block import BlockReport, compute_block
from pm25map.raster.backfill.day import DayReport, assemble_day
from pm25map.raster.backfill.job import Job
from pm25map.raster.backfill.plan import Plan, Run, Task
from pm25map.raster.backfill.workers import Workers

DEATHS = 3
"""Of workers that had a piece of work in hand: so many, and it is not given out again."""

_LOOK_SECONDS = 2.0
"""How long the loop waits for a piece of work before it looks again who works."""

_PATIENCE_SECONDS = 120.0
"""How long a backfill waits for a worker when all are gone."""

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The work was stopped from outside: by the user, or by a full disk."""


class Listener(Protocol):
    """Is informed of what happens, as it happens."""

    def estimated(self, cells: int) -> None:
        """So many cells of one day each were just estimated."""

    def day_done(self, report: DayReport) -> None:
        """The map of a day stands in its folder."""

    def day_failed(self, day: dt.date, reason: str) -> None:
        """A day has no map."""

    def worker_died(self, what: str, deaths: int) -> None:
        """A worker died while it had a piece of work in hand; so many have by now."""

    def no_workers(self, seconds: float) -> None:
        """No worker is left; the backfill waits so long for one."""


@dataclass
class Outcome:
    """What a backfill came to.

    Attributes:
        done: reports of the days that were made.
        failed: the others, and why.
        deaths: of workers, by the piece of work that they had in hand.
        estimated, chunk_reads, read_bytes, stage_bytes: as in the plan, counted while it happened.
    """

    done: list[DayReport] = field(default_factory=list)
    failed: dict[dt.date, str] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)
    estimated: int = 0
    chunk_reads: int = 0
    read_bytes: int = 0
    stage_bytes: int = 0

    def count(self, report: BlockReport) -> None:
        """Add what came of a block."""
        self.estimated += report.estimated
        self.chunk_reads += report.chunks
        self.read_bytes += report.bytes
        self.stage_bytes += report.staged_bytes


@dataclass
class _Piece:
    """A piece of work that can be given out again; `deaths` counts the workers that died while they had it."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    finished: Callable[[Any], None]
    broken: Callable[[str], None]
    deaths: int = 0


class _RunState:
    """One run on its way: the blocks that are still out, the days that failed, the files that are staged."""

    def __init__(self, run: Run, staged: Mapping[dt.date, list[str]]) -> None:
        self.run = run
        self.left = len(run.tasks)
        self.failed: dict[dt.date, str] = {}
        self.names = {day: list(staged.get(day, ())) for day in run.days}


class Backfill:
    """Carries a plan out.

    Args:
        job: what it is for.
        plan: what is to be done.
        folder: of the maps.
        staged: what is in the stage already (stage.covered).
        workers: who works.
        listener: who is informed.
    """

    def __init__(
        self,
        job: Job,
        plan: Plan,
        folder: Folder,
        staged: Mapping[str, Mapping[dt.date, str]],
        workers: Workers,
        listener: Listener,
    ) -> None:
        self._job, self._plan, self._folder = job, plan, folder
        self._workers, self._listener = workers, listener
        self._staged: dict[dt.date, list[str]] = {}
        self._users: dict[str, set[dt.date]] = {}
        todo = {day for run in plan.runs for day in run.days}
        for names in staged.values():
            for day in todo & names.keys():
                self._staged.setdefault(day, []).append(names[day])
        self._urgent: deque[_Piece] = deque()
        self._suspects: deque[_Piece] = deque()
        self._alone_since: float | None = None
        self._stopped = threading.Event()
        self.outcome = Outcome()

    def work(self) -> Outcome:
        """Do all of it.

        Raises:
            DiskFull: there is no room; what is done stays, and the same command goes on from there.
            StoreUnreachable: an object store cannot be used; likewise.
            DeviceUnavailable: all workers are gone, and none comes.
        """
        pieces = self._pieces()
        out: dict[Future[Any], _Piece] = {}
        try:
            while True:
                for future in self._workers.look():
                    if (piece := out.pop(future, None)) is not None:
                        self._lose(piece)
                while (piece := self._next(pieces)) is not None:
                    # What a worker died of may be its own fault: it takes no other piece of work with it.
                    given = self._workers.submit(piece.function, *piece.arguments, alone=piece.deaths > 0)
                    if given is None:
                        self._urgent.appendleft(piece)
                        break
                    out[given] = piece
                if not out and piece is None:
                    return self.outcome
                self._check_workers()
                if out:
                    for future in wait(out, _LOOK_SECONDS, FIRST_COMPLETED).done:
                        self._take(future, out.pop(future))
                else:
                    time.sleep(_LOOK_SECONDS)
        finally:
            self._stopped.set()
            for future in out:
                future.cancel()

    def _next(self, pieces: Iterator[_Piece]) -> _Piece | None:
        """Return the next piece of work: maps first, they are what the user waits for, and they empty the stage."""
        if not self._urgent and (piece := next(pieces, None)) is not None:
            return piece
        # The last run may have had nothing but maps to make.
        for queue in (self._urgent, self._suspects):
            if queue:
                return queue.popleft()
        return None

    def _check_workers(self) -> None:
        """Wait for workers, but not for ever.

        Raises:
            DeviceUnavailable: there has been none for _PATIENCE_SECONDS.
        """
        if self._workers.count():
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = time.monotonic()
            self._listener.no_workers(_PATIENCE_SECONDS)
        elif time.monotonic() - self._alone_since > _PATIENCE_SECONDS:
            died = "".join(f"; {count} died on {name}" for name, count in self.outcome.deaths.items())
            raise DeviceUnavailable(
                f"all workers are gone, and none came for {_PATIENCE_SECONDS:g} s; {len(self.outcome.done)} maps were "
                f"made and stay{died}. Start workers and run the same command again"
            )

    def _take(self, future: Future[Any], piece: _Piece) -> None:
        try:
            result = future.result()
        except (DiskFull, StoreUnreachable):
            raise
        except Pm25mapError as error:
            piece.broken(" ".join(str(error).split()))
        except self._workers.killed:
            self._lose(piece)
        except Exception as error:  # noqa: BLE001 - whatever breaks one piece stops no other, and is named
            _log.debug("a piece of work broke", exc_info=error)
            piece.broken(f"unexpected {type(error).__name__}: {' '.join(str(error).split())}")
        else:
            piece.finished(result)

    def _lose(self, piece: _Piece) -> None:
        """Count the death of a worker against what it had in hand, and try that again later, or give it up."""
        piece.deaths += 1
        self.outcome.deaths[piece.name] = piece.deaths
        self._listener.worker_died(piece.name, piece.deaths)
        if piece.deaths < DEATHS:
            self._suspects.append(piece)
        else:
            piece.broken(
                f"{DEATHS} workers died while they worked on {piece.name}: give workers more memory, or take a smaller "
                "--run-days or --block-size, and run the same command again"
            )

    def _on_cells(self, cells: int) -> None:
        """Pass on how far a thread is; a thread that goes on after the end of the work ends here."""
        if self._stopped.is_set():
            raise _Stopped
        self._listener.estimated(cells)

    def _pieces(self) -> Iterator[_Piece]:
        """Hand out the blocks of one run after another; a run whose blocks are all staged goes to its days."""
        for run in self._plan.runs:
            state = _RunState(run, self._staged)
            if not run.tasks:
                self._assemble(state)
            for task in run.tasks:
                on_cells = (self._on_cells,) if self._workers.local else ()
                first, last = task.days[0], task.days[-1]
                yield _Piece(
                    f"block {task.block.id} of {first} to {last}",
                    compute_block,
                    (self._job, task.block, task.days, *on_cells),
                    partial(self._block_done, state),
                    partial(self._block_broken, state, task),
                )
            # The days of a run wait for all of its blocks: what a worker died of comes last among them.
            while self._suspects:
                yield self._suspects.popleft()

    def _block_done(self, state: _RunState, report: BlockReport) -> None:
        self.outcome.count(report)
        if not self._workers.local:
            self._listener.estimated(report.estimated)
        for name, days in report.staged.items():
            self._users.setdefault(name, set()).update(days)
            for day in days:
                state.names[day].append(name)
        for day, reason in report.failed.items():
            state.failed.setdefault(day, f"{reason} (block {report.block})")
        self._one_block_less(state)

    def _block_broken(self, state: _RunState, task: Task, reason: str) -> None:
        for day in task.days:
            state.failed.setdefault(day, f"{reason} (block {task.block.id})")
        self._one_block_less(state)

    def _one_block_less(self, state: _RunState) -> None:
        state.left -= 1
        if state.left == 0:
            self._assemble(state)

    def _assemble(self, state: _RunState) -> None:
        """Hand out the days of a run whose blocks are all there."""
        for day in state.run.days:
            if day in state.failed:
                self._day_failed(day, state.failed[day])
                continue
            self._urgent.append(
                _Piece(
                    f"the map of {day}",
                    assemble_day,
                    (self._job, day, tuple(sorted(state.names[day]))),
                    partial(self._day_done, state),
                    partial(self._day_failed, day),
                )
            )

    def _day_done(self, state: _RunState, report: DayReport) -> None:
        self.outcome.done.append(report)
        self._listener.day_done(report)
        for name in state.names[report.day]:
            # Files of an earlier run may hold days that this one was not asked for: they are left to stage.sweep.
            if (users := self._users.get(name)) is not None:
                users.discard(report.day)
                if not users:
                    self._folder.remove(name)

    def _day_failed(self, day: dt.date, reason: str) -> None:
        self.outcome.failed[day] = reason
        self._listener.day_failed(day, reason)
