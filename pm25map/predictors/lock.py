"""One writer at a time: a lock beside a store, which other processes wait for."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pm25map.base.errors import BadOutput
from pm25map.base.files import as_bad_output

WAIT_SECONDS = 900.0
"""How long a write waits for another one: a day of a fine grid takes a minute or two."""


@contextlib.contextmanager
def only_writer(path: Path, wait_seconds: float | None = None) -> Iterator[None]:
    """Keep other processes from writing a store; whoever comes second waits. The same thread may enter again.

    The lock belongs to the process: it ends with it, however that ends. Readers do not take it.

    Raises:
        BadOutput: another process has been writing for too long, or the folder cannot be written.
    """
    store = Path(path).absolute()
    if not store.parent.is_dir():
        # The writer raises a better error than a lock can.
        yield
        return
    lock = FileLock(store.with_name(f".{store.name}.lock"), is_singleton=True)
    try:
        acquired = lock.acquire(timeout=WAIT_SECONDS if wait_seconds is None else wait_seconds)
    except Timeout as error:
        raise BadOutput(
            f"cannot write {path}: another process is writing it. Wait until it ends and run the same command again"
        ) from error
    except OSError as error:
        raise as_bad_output(store, error) from error
    with acquired:
        yield
