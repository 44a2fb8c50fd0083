"""Who works on a backfill: threads of this process, or the workers of a Dask cluster."""

import contextlib
import importlib
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import Any

from pm25map.base.errors import DeviceUnavailable
from pm25map.raster.backfill.run import Workers

_CONNECT_SECONDS = 30.0


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
            yield Workers(pool, lambda: workers, local=True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    # Dask takes a second to load, and most backfills run on one machine.
    dask: Any = importlib.import_module("distributed")
    killed = importlib.import_module("distributed.scheduler").KilledWorker
    try:
        client = dask.Client(scheduler, timeout=_CONNECT_SECONDS)
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise DeviceUnavailable(
            f"--scheduler {scheduler}: no Dask scheduler with workers answers there ({type(error).__name__}). "
            "Start one: dask scheduler, and on every machine: dask worker ADDRESS"
        ) from error
    try:
        executor = client.get_executor(pure=False)
        yield Workers(executor, partial(_threads, client), local=False, lost=(killed, CancelledError))
    finally:
        client.close()


def _threads(client: Any) -> int:
    """Count the threads of a cluster as it is now: a batch system starts its workers one after another."""
    return max(1, int(sum(client.nthreads().values())))
