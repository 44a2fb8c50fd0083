"""Fetch the files of a source into a folder: several at once, each whole or not there, resumable by the same call.

Beside the files stands `.fetch/`: a lock, a note and, while it is incomplete, a folder of every file. The note says
what came from where and when, or that it was absent. Two processes may fetch into one folder: who comes second to a
file waits and finds it there.
"""

import contextlib
import datetime as dt
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import filelock
import pooch

from pm25map.base.errors import BadFetch, BadOutput, LoginFailed, Pm25mapError
from pm25map.base.files import as_bad_output, replacing, sha256_of_file
from pm25map.predictors.catalogue import Provider, load
from pm25map.predictors.fetch.download import Absent, FileIdentity, Resuming, Unchanged, size_of
from pm25map.predictors.fetch.login import bare
from pm25map.predictors.fetch.polite import Polite, Stopped
from pm25map.predictors.fetch.providers import Wanted

WORKING = ".fetch"
MEGABYTE = 1_000_000

State = Literal["new", "kept", "absent", "failed"]


class Watcher(Protocol):
    """Is told how a fetch goes on, from several threads."""

    def bytes_of(self, name: str, done: int, total: int | None) -> None:
        """Hear how much of a file is there."""
        ...

    def ended(self, name: str) -> None:
        """Hear that a file is done with, well or not."""
        ...


@dataclass
class Fetched:
    """What a fetch did.

    Attributes:
        new, kept: names of files that came, and of those that were there.
        absent: files that the provider does not have, and how it said so.
        failed: files that could not be had, and why.
        bytes: that came.
    """

    new: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


@dataclass(frozen=True)
class FetchJob:
    """What all files of a fetch share.

    Attributes:
        provider: of the table.
        folder: that the files go to.
        polite: who asks.
        today: by which a file is young enough to be asked for again.
        watcher: is told; None where nobody listens.
    """

    provider: Provider
    folder: Path
    polite: Polite
    today: dt.date
    watcher: Watcher | None = None


def fetch(files: list[Wanted], job: FetchJob) -> Fetched:
    """Bring files; what fails does not keep the others from coming.

    Args:
        files: to have.
        job: what they share.

    Raises:
        LoginFailed: no file can be had without another login.
        BadOutput: the folder cannot be written, or the disk is full.
    """
    with _as_bad_output(job.folder):
        (job.folder / WORKING).mkdir(parents=True, exist_ok=True)
    # pooch announces every download; the watcher does so here.
    pooch.get_logger().setLevel(logging.WARNING)
    result = Fetched()
    with ThreadPoolExecutor(job.provider.parallel, thread_name_prefix="fetch") as pool:
        running = {pool.submit(_one, file, job): file for file in files}
        try:
            for future in as_completed(running):
                _count(result, running[future], future.result)
                if job.watcher is not None:
                    job.watcher.ended(running[future].name)
        except BaseException:
            # Those that are under way leave their part for the next run.
            job.polite.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return result


def sizes(files: list[Wanted], job: FetchJob) -> list[tuple[Wanted, int | None]]:
    """Ask for the sizes of files without fetching: bytes, 0 where nobody says, None where there is no such file.

    Raises:
        BadFetch: the provider cannot be asked.
    """

    def size(file: Wanted) -> int | None:
        if file.size is not None or job.provider.needs_login:
            # A size is not worth a login: the catalogue states almost all.
            return file.size or 0
        return size_of(job.polite, file.url)

    with ThreadPoolExecutor(job.provider.parallel) as pool:
        try:
            return list(zip(files, pool.map(size, files), strict=True))
        except BaseException:
            job.polite.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def is_there(file: Wanted, job: FetchJob) -> bool:
    """Tell whether a file is in the folder and whole, as its note says; it may be of use to ask again later."""
    note = _read_note(job, file)
    path = job.folder / file.name
    return path.is_file() and path.stat().st_size == note.get("bytes", path.stat().st_size)


def _count(result: Fetched, file: Wanted, outcome: Callable[[], tuple[State, int]]) -> None:
    """Add what became of a file to the result."""
    try:
        state, size = outcome()
    except Absent as absent:
        result.absent[file.name] = f"{absent} at {bare(file.url)}"
    except (LoginFailed, BadOutput):
        raise
    except Pm25mapError as error:
        result.failed[file.name] = str(error)
    else:
        (result.new if state == "new" else result.kept).append(file.name)
        result.bytes += size


def _one(file: Wanted, job: FetchJob) -> tuple[State, int]:
    """Bring one file: what became of it, and the bytes that came."""
    if job.polite.stop.is_set():
        raise Stopped
    with _alone(file, job), _as_bad_output(job.folder / file.name):
        target = job.folder / file.name
        note = _read_note(job, file)
        known = None
        if is_there(file, job):
            if not note:
                # Put there by hand: good if its reader says so.
                load(job.provider.check)(target)
                return "kept", 0
            if not may_have_changed(file, job):
                return "kept", 0
            known = FileIdentity(file.url, str(note.get("etag", "")), str(note.get("modified", "")))
        try:
            return "new", _bring(file, job, known)
        except Unchanged:
            _write_note(job, file, {**note, "fetched": str(job.today)})
            return "kept", 0
        except Absent:
            if not target.exists():
                _write_note(job, file, {"url": bare(file.url), "absent": str(job.today)})
            raise


def may_have_changed(file: Wanted, job: FetchJob) -> bool:
    """Tell whether a file was fetched before its provider had done with it; one put there by hand was not."""
    note = _read_note(job, file)
    if file.last is None or not note:
        return False
    fetched = dt.date.fromisoformat(str(note.get("fetched", dt.date.min)))
    return fetched <= file.last + dt.timedelta(days=job.provider.settles)


def _bring(file: Wanted, job: FetchJob, known: FileIdentity | None) -> int:
    """Download, verify and check a file, and move it into place: bytes."""
    place = job.folder / WORKING / f"{file.name}.partial"
    place.mkdir(exist_ok=True)
    (place / file.name).unlink(missing_ok=True)
    watcher = job.watcher
    downloader = Resuming(
        job.polite,
        place / "part",
        most_bytes=job.provider.most_mb * MEGABYTE,
        known=known,
        progress=None if watcher is None else lambda done, total: watcher.bytes_of(file.name, done, total),
    )
    try:
        pooch.retrieve(file.url, file.checksum, fname=file.name, path=place, downloader=downloader)
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise
        raise BadFetch(
            f"{file.name} has not the checksum that the catalogue states: run the same command again"
        ) from None
    except (Absent, Unchanged):
        shutil.rmtree(place, ignore_errors=True)
        raise
    whole = place / file.name
    try:
        load(job.provider.check)(whole)
    except Pm25mapError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise BadFetch(f"what came is not good: {str(error).replace(str(whole), file.name)}") from error
    identity = downloader.identity or FileIdentity(file.url)
    size = whole.stat().st_size
    note = {
        "url": bare(file.url),
        "fetched": str(job.today),
        "bytes": size,
        "sha256": sha256_of_file(whole),
        "etag": identity.etag,
        "modified": identity.modified,
    }
    with whole.open("rb") as handle:
        os.fsync(handle.fileno())
    whole.replace(job.folder / file.name)
    _write_note(job, file, note)
    shutil.rmtree(place, ignore_errors=True)
    return size


def _note_path(job: FetchJob, file: Wanted) -> Path:
    return job.folder / WORKING / f"{file.name}.json"


def _read_note(job: FetchJob, file: Wanted) -> dict[str, object]:
    """Read what is written down of a file; nothing where it was absent, or where that cannot be read."""
    try:
        note = json.loads(_note_path(job, file).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and "fetched" in note else {}


def _write_note(job: FetchJob, file: Wanted, note: dict[str, object]) -> None:
    with replacing(_note_path(job, file)) as part:
        part.write_text(json.dumps(note, indent=1))


@contextlib.contextmanager
def _alone(file: Wanted, job: FetchJob) -> Iterator[None]:
    """Keep other processes from the same file; whoever comes second waits, and can still be stopped."""
    lock = filelock.FileLock(job.folder / WORKING / f"{file.name}.lock")
    while True:
        try:
            lock.acquire(timeout=0.5, poll_interval=0.1)
        except filelock.Timeout:
            if job.polite.stop.is_set():
                raise Stopped from None
            continue
        except OSError as error:
            raise as_bad_output(job.folder, error) from error
        break
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _as_bad_output(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise as_bad_output(path, error) from error
