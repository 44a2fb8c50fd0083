"""Fetch the files of a source into a folder: several at once, each complete or absent, resumable by the same call.

Beside the files stands `.fetch/`: a lock, a note and, while it is incomplete, a folder of every file. The note
records what was fetched, from where and when, or that it was absent. Two processes may fetch into one folder: the
second to request a file waits until the first has fetched it.
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
from pm25map.predictors.fetch.http import HttpClient, Stopped
from pm25map.predictors.fetch.login import bare
from pm25map.predictors.fetch.providers import RemoteFile

WORKING = ".fetch"
MEGABYTE = 1_000_000

State = Literal["new", "kept", "absent", "failed"]


class Watcher(Protocol):
    """Receives the progress of a fetch, from several threads."""

    def bytes_of(self, name: str, done: int, total: int | None) -> None:
        """Called with the number of bytes of a file that are there."""
        ...

    def ended(self, name: str) -> None:
        """Called when a file is finished, successfully or not."""
        ...


@dataclass
class Fetched:
    """What a fetch did.

    Attributes:
        new, kept: names of files that were fetched, and of those that were there.
        absent: files that the provider does not have, and its answer.
        failed: files that could not be fetched, and why.
        bytes: that were fetched.
    """

    new: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


@dataclass(frozen=True)
class FetchJob:
    """The settings that all files of a fetch share.

    Attributes:
        provider: of the table.
        folder: that the files go to.
        client: for the requests.
        today: decides whether a file is so recent that it is requested again.
        watcher: receives the progress; None for no one.
    """

    provider: Provider
    folder: Path
    client: HttpClient
    today: dt.date
    watcher: Watcher | None = None


def fetch(files: list[RemoteFile], job: FetchJob) -> Fetched:
    """Fetch files; one that fails does not stop the others.

    Args:
        files: to fetch.
        job: what they share.

    Raises:
        LoginFailed: no file can be fetched without another login.
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
            # Downloads under way leave their part for the next run.
            job.client.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return result


def sizes(files: list[RemoteFile], job: FetchJob) -> list[tuple[RemoteFile, int | None]]:
    """Return the sizes of files without fetching them: bytes, 0 where unknown, None where there is no such file.

    Raises:
        BadFetch: the provider cannot be reached.
    """

    def size(file: RemoteFile) -> int | None:
        if file.size is not None or job.provider.needs_login:
            # A size is not worth a login: the catalogue states almost all.
            return file.size or 0
        return size_of(job.client, file.url)

    with ThreadPoolExecutor(job.provider.parallel) as pool:
        try:
            return list(zip(files, pool.map(size, files), strict=True))
        except BaseException:
            job.client.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def is_there(file: RemoteFile, job: FetchJob) -> bool:
    """Return whether a file is in the folder and complete by its note; the provider may still change it."""
    note = _read_note(job, file)
    path = job.folder / file.name
    return path.is_file() and path.stat().st_size == note.get("bytes", path.stat().st_size)


def _count(result: Fetched, file: RemoteFile, outcome: Callable[[], tuple[State, int]]) -> None:
    """Add the outcome of a file to the result."""
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


def _one(file: RemoteFile, job: FetchJob) -> tuple[State, int]:
    """Fetch one file; return its state and the bytes that were fetched."""
    if job.client.stop.is_set():
        raise Stopped
    with _locked(file, job), _as_bad_output(job.folder / file.name):
        target = job.folder / file.name
        note = _read_note(job, file)
        known = None
        if is_there(file, job):
            if not note:
                # Put there by hand: accepted if its reader accepts it.
                load(job.provider.check)(target)
                return "kept", 0
            if not may_have_changed(file, job):
                return "kept", 0
            known = FileIdentity(file.url, str(note.get("etag", "")), str(note.get("modified", "")))
        try:
            return "new", _download(file, job, known)
        except Unchanged:
            _write_note(job, file, {**note, "fetched": str(job.today)})
            return "kept", 0
        except Absent:
            if not target.exists():
                _write_note(job, file, {"url": bare(file.url), "absent": str(job.today)})
            raise


def may_have_changed(file: RemoteFile, job: FetchJob) -> bool:
    """Return whether a file was fetched before it was final at its provider; False for a file put there by hand."""
    note = _read_note(job, file)
    if file.last is None or not note:
        return False
    fetched = dt.date.fromisoformat(str(note.get("fetched", dt.date.min)))
    return fetched <= file.last + dt.timedelta(days=job.provider.settles)


def _download(file: RemoteFile, job: FetchJob, known: FileIdentity | None) -> int:
    """Download, verify and check a file, and move it into place; return its bytes."""
    place = job.folder / WORKING / f"{file.name}.partial"
    place.mkdir(exist_ok=True)
    (place / file.name).unlink(missing_ok=True)
    watcher = job.watcher
    downloader = Resuming(
        job.client,
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


def _note_path(job: FetchJob, file: RemoteFile) -> Path:
    return job.folder / WORKING / f"{file.name}.json"


def _read_note(job: FetchJob, file: RemoteFile) -> dict[str, object]:
    """Read the note of a file; empty where the file was absent, or the note cannot be read."""
    try:
        note = json.loads(_note_path(job, file).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and "fetched" in note else {}


def _write_note(job: FetchJob, file: RemoteFile, note: dict[str, object]) -> None:
    with replacing(_note_path(job, file)) as part:
        part.write_text(json.dumps(note, indent=1))


@contextlib.contextmanager
def _locked(file: RemoteFile, job: FetchJob) -> Iterator[None]:
    """Lock a file against other processes; the second one waits, and can still be stopped."""
    lock = filelock.FileLock(job.folder / WORKING / f"{file.name}.lock")
    while True:
        try:
            lock.acquire(timeout=0.5, poll_interval=0.1)
        except filelock.Timeout:
            if job.client.stop.is_set():
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
