"""One backfill on a folder at a time: a file lock on a disk, a beating object in an object store."""

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator

import filelock

from pm25map.base.errors import BadOutput, StoreUnreachable
from pm25map.base.storage import SCRATCH, WORKING, Folder, LocalFolder

_log = logging.getLogger(__name__)

_LOCK = f"{WORKING}/lock"
_BEAT_SECONDS = 5.0
_PATIENCE_SECONDS = 20.0
"""How long a lock in an object store is watched before it counts as left behind: four beats."""


@contextlib.contextmanager
def only_one(folder: Folder, patience: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Hold a folder of maps for one backfill.

    No clock is compared with another: a lock in an object store counts as left behind when it does not change
    while somebody watches it.

    Raises:
        BadOutput: another backfill works on the folder.
    """
    if isinstance(folder, LocalFolder):
        with _file_lock(folder):
            yield
    else:
        with _object_lock(folder, patience):
            yield


@contextlib.contextmanager
def _file_lock(folder: LocalFolder) -> Iterator[None]:
    path = folder.path / _LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path)
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise BadOutput(
            f"another backfill is working on {folder.path}: wait until it ends, or choose another folder"
        ) from error
    except OSError as error:
        raise BadOutput(f"cannot write {folder.path}: {error.strerror}. Choose another folder") from error
    try:
        # Whatever a killed run left behind in writing is nobody's now.
        folder.remove(SCRATCH)
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _object_lock(folder: Folder, patience: float) -> Iterator[None]:
    mine = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    if not folder.create(_LOCK, _beat(mine, 0)):
        before = folder.read(_LOCK)
        time.sleep(patience)
        if folder.read(_LOCK) != before:
            raise BadOutput(
                f"another backfill is working on {folder.where}: wait until it ends, or choose another folder"
            )
        folder.remove(_LOCK)
        taken = folder.create(_LOCK, _beat(mine, 0))
        if taken:
            # Two that watched the same lock may both have removed it: the last one to make its own has it.
            time.sleep(min(_BEAT_SECONDS, patience))
        if not taken or folder.read(_LOCK) != _beat(mine, 0):
            raise BadOutput(f"another backfill has just begun on {folder.where}: wait until it ends")
    stop = threading.Event()

    def beat() -> None:
        count = 0
        while not stop.wait(_BEAT_SECONDS):
            count += 1
            try:
                folder.write(_LOCK, _beat(mine, count))
            except BadOutput as error:
                _log.warning("the lock of %s missed a beat: %s", folder.where, error)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        try:
            folder.remove(_LOCK)
        except StoreUnreachable as error:
            # It beats no more: the next backfill takes it over.
            _log.warning("the lock of %s is left behind: %s", folder.where, error)


def _beat(owner: str, count: int) -> bytes:
    return json.dumps({"owner": owner, "beat": count}).encode()
