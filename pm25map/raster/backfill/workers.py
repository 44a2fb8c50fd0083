"""Who works on a backfill: threads of this process, or the workers of a Dask cluster."""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import Any, Protocol

from pm25map.base.errors import DeviceUnavailable

_CONNECT_SECONDS = 30.0


class Workers(Protocol):
    """Who does the work.

    Attributes:
        local: whether workers share this process, and can report how far they are.
        killed: what a future raises when its worker died.
    """

    local: bool
    killed: tuple[type[BaseException], ...]

    def look(self) -> list[Future[Any]]:
        """Look who is there; return the pieces of work whose worker is gone, which are then given up."""

    def count(self) -> int:
        """Count the threads that are there, as of the last look."""

    def submit(
        self, function: Callable[..., Any], *arguments: Any, alone: bool = False
    ) -> Future[Any] | None:
        """Hand out a piece of work; None where no one has room for it.

        Args:
            function, arguments: values that travel.
            alone: on a worker that has nothing else to do, and gets nothing else until it is done.
        """


class ThreadWorkers:
    """Threads of this process, each with a piece of work to follow. None of them dies alone."""

    local = True
    killed: tuple[type[BaseException], ...] = ()

    def __init__(self, executor: Executor, threads: int) -> None:
        self._executor, self._threads = executor, threads
        self._out: set[Future[Any]] = set()

    def look(self) -> list[Future[Any]]:
        """Return nothing: threads are always there."""
        return []

    def count(self) -> int:
        """Count the threads."""
        return self._threads

    def submit(
        self, function: Callable[..., Any], *arguments: Any, alone: bool = False
    ) -> Future[Any] | None:
        """Hand out a piece of work; None where all threads have one, and one to follow."""
        self._out = {future for future in self._out if not future.done()}
        if len(self._out) >= 2 * self._threads:
            return None
        future = self._executor.submit(function, *arguments)
        self._out.add(future)
        return future


class ClusterWorkers:
    """The workers of a Dask cluster, which come, go and die as they like.

    Every piece of work is given to one worker by its address, as many as it has threads. Left to itself the
    scheduler passes what a dead worker had in hand on to the others, four workers one after another, together with
    pieces that only waited there; here a death is seen, and counts against the pieces that ran.

    Attributes:
        killed: what a future raises when the scheduler itself gave the work up.
    """

    local = False

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._threads: dict[str, int] = {}
        self._out: dict[Future[Any], tuple[str, bool]] = {}
        scheduler = importlib.import_module("distributed.scheduler")
        self.killed: tuple[type[BaseException], ...] = (scheduler.KilledWorker, CancelledError)

    def look(self) -> list[Future[Any]]:
        """Query the scheduler for its workers; return and cancel the pieces of work whose worker is gone."""
        try:
            # A client that lost its scheduler is not running until it has found it again.
            found = self._client.nthreads() if self._client.status == "running" else {}
        except (OSError, TimeoutError):
            found = {}
        self._threads = dict(found)
        self._out = {future: place for future, place in self._out.items() if not future.done()}
        lost = [future for future, (address, _) in self._out.items() if address not in self._threads]
        for future in lost:
            del self._out[future]
            future.cancel()
        return lost

    def count(self) -> int:
        """Count the threads of the cluster, as of the last look."""
        return sum(self._threads.values())

    def submit(
        self, function: Callable[..., Any], *arguments: Any, alone: bool = False
    ) -> Future[Any] | None:
        """Hand out a piece of work; None where no worker has room for it."""
        room = dict(self._threads)
        for future, (address, is_alone) in self._out.items():
            if not future.done() and address in room:
                room[address] = 0 if is_alone else room[address] - 1
        open_to = [
            address
            for address, left in room.items()
            if left > 0 and (not alone or left == self._threads[address])
        ]
        if not open_to:
            return None
        address = max(open_to, key=lambda address: room[address])
        given: Future[Any] = self._executor.submit(
            function, *arguments, workers=[address], allow_other_workers=False
        )
        self._out[given] = address, alone
        return given


@contextlib.contextmanager
def open_workers(scheduler: str | None, workers: int) -> Iterator[Workers]:
    """Return workers: threads, or those of the scheduler where one is named.

    Args:
        scheduler: address, such as tcp://host:8786; None for threads.
        workers: threads; a cluster has as many as it has.

    Raises:
        DeviceUnavailable: the scheduler does not answer, or has no workers.
    """
    if scheduler is None:
        pool = ThreadPoolExecutor(workers)
        try:
            yield ThreadWorkers(pool, workers)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    # Dask takes a second to load, and most backfills run on one machine.
    dask: Any = importlib.import_module("distributed")
    try:
        client = dask.Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise DeviceUnavailable(
            f"--scheduler {scheduler}: no Dask scheduler with workers answers there ({type(error).__name__}). "
            "Start one: dask scheduler, and on every machine: dask worker ADDRESS"
        ) from error
    try:
        yield ClusterWorkers(client)
    finally:
        client.close()
