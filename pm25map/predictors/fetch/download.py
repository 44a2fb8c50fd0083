"""One file over HTTP, beneath pooch: goes on where an earlier attempt, or an earlier run, stopped.

pooch cannot resume: it writes every attempt to a new temporary file. Its downloaders may be any callable, so this
one keeps a part and what identifies it beside, and hands pooch the whole. A part counts only while the server says
that the file is the same (Range with If-Range, RFC 9110 sections 13.1.5 and 14): a strong ETag, else the date.
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import requests

from pm25map.base.errors import BadFetch, DiskFull, LoginFailed
from pm25map.base.files import as_bad_output
from pm25map.predictors.fetch.login import WAYS, bare
from pm25map.predictors.fetch.polite import Fault, Polite, Stopped

CHUNK_BYTES = 1 << 15
"""Read at once. urllib3 loses what it has of a chunk when the connection drops, so it is short."""

STEADY_BYTES = 1 << 20
"""An attempt that brings as much has earned all retries again."""

ByteProgress = Callable[[int, int | None], None]
"""Told how many bytes of a file are there, and how many there will be (None where nobody says)."""


class Absent(Exception):
    """The server says that there is no such file: 404 or 410."""


class Unchanged(Exception):
    """The file is still the one that was fetched before."""


@dataclass(frozen=True)
class FileIdentity:
    """What tells one version of a file from another.

    Attributes:
        url: its address.
        etag, modified: as the server sent them; "" where it did not.
        length: bytes of the whole; None where nobody says.
    """

    url: str
    etag: str = ""
    modified: str = ""
    length: int | None = None

    @property
    def validator(self) -> str:
        """Give what If-Range may say: a weak ETag names no bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class Resuming:
    """A downloader for pooch.retrieve.

    Attributes:
        identity: of the file that came; None before.
    """

    def __init__(
        self,
        polite: Polite,
        part: Path,
        *,
        most_bytes: int,
        known: FileIdentity | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Hold what a download needs.

        Args:
            polite: who asks.
            part: file of what came so far; what identifies it stands beside, in PART.json.
            most_bytes: a file larger than this is refused.
            known: the version that is there already; it is not sent again.
            progress: told of bytes.
        """
        self._polite, self._part, self._most = polite, part, most_bytes
        self._known, self._progress = known, progress
        self.identity: FileIdentity | None = None

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> bool | None:
        """Bring a file, as pooch asks for it.

        Raises:
            Absent: there is no such file.
            Unchanged: it is the one that is known.
            LoginFailed: the login is refused.
            DiskFull: there is no room.
            BadFetch: it cannot be had, says why.
            Stopped: the fetch was ended.
        """
        if check_only:
            return size_of(self._polite, url) is not None
        policy, reached = self._polite.retries, self._size()
        while True:
            try:
                self.identity = self._attempt(url)
                self._part.replace(output_file)
                self._note.unlink(missing_ok=True)
                return None
            except Fault as fault:
                if self._size() - reached >= STEADY_BYTES:
                    policy, reached = self._polite.retries, self._size()
                policy = self._polite.wait(policy, fault, url)
            except OSError as error:
                raise as_bad_output(self._part, error) from error

    @property
    def _note(self) -> Path:
        return self._part.with_name(f"{self._part.name}.json")

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _attempt(self, url: str) -> FileIdentity:
        """Ask once for what lacks, and write it to the part until it is whole."""
        held = self._resumable(url)
        headers = {}
        if held is not None:
            headers = {"Range": f"bytes={self._size()}-", "If-Range": held.validator}
        elif self._known is not None and self._known.etag:
            headers = {"If-None-Match": self._known.etag}
        elif self._known is not None and self._known.modified:
            headers = {"If-Modified-Since": self._known.modified}
        with self._polite.ask(url, headers) as response:
            if response.status_code == 304 and self._known is not None and held is None:
                raise Unchanged
            if response.status_code == 416:
                self._forget()
            check_status(self._polite, response, url)
            encoding = response.headers.get("Content-Encoding", "identity").lower()
            if encoding not in ("", "identity"):
                raise BadFetch(f"{bare(url)} comes compressed ({encoding}), though it was asked for as it is")
            if response.status_code == 206 and held is not None:
                identity = self._continued(held, response)
            elif response.status_code == 200:
                identity = self._begun(url, response)
            else:
                raise BadFetch(f"{bare(url)} answers {response.status_code}, which is no file")
            self._check_size(identity.length, url)
            self._check_room(identity.length)
            self._read(response, identity, appending=response.status_code == 206)
        return identity

    def _resumable(self, url: str) -> FileIdentity | None:
        """Give the identity of the part, None where it is of no use."""
        try:
            held = FileIdentity(**json.loads(self._note.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        size = self._size()
        fits = size > 0 and (held.length is None or size < held.length)
        return held if held.url == url and held.validator and fits else None

    def _begun(self, url: str, response: requests.Response) -> FileIdentity:
        """Start from the first byte: forget the part and write down what the new one is of."""
        length = response.headers.get("Content-Length", "")
        identity = FileIdentity(
            url,
            response.headers.get("ETag", ""),
            response.headers.get("Last-Modified", ""),
            int(length) if length.isdigit() else None,
        )
        self._part.write_bytes(b"")
        self._note.write_text(json.dumps(asdict(identity)))
        return identity

    def _continued(self, held: FileIdentity, response: requests.Response) -> FileIdentity:
        """Check that an answer goes on with the part; some servers do not look at If-Range."""
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        etag = response.headers.get("ETag", held.etag)
        same = span is not None and int(span[1]) == self._size() and etag == held.etag
        stated = int(span[2]) if span is not None and span[2] != "*" else held.length
        if not same or held.length not in (None, stated):
            self._forget()
            raise Fault(f"{bare(held.url)} changed while it was fetched")
        return replace(held, length=stated)

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _check_size(self, size: int | None, url: str) -> None:
        if size is not None and size > self._most:
            raise BadFetch(
                f"{bare(url)} is {size / 1e6:.0f} MB, more than the {self._most / 1e6:.0f} MB that it may be"
            )

    def _check_room(self, length: int | None) -> None:
        """Say before a long download that it cannot end well."""
        lacking = (length or 0) - self._size()
        if lacking > shutil.disk_usage(self._part.parent).free:
            raise DiskFull(
                f"cannot write {self._part}: {lacking / 1e6:.0f} MB are to come, and the disk has less. Free some "
                "space or choose another folder"
            )

    def _read(self, response: requests.Response, identity: FileIdentity, *, appending: bool) -> None:
        size = self._size()
        try:
            with self._part.open("ab" if appending else "wb") as handle:
                for chunk in response.iter_content(CHUNK_BYTES):
                    handle.write(chunk)
                    size += len(chunk)
                    self._check_size(size, identity.url)
                    if self._progress is not None:
                        self._progress(size, identity.length)
                    if self._polite.stop.is_set():
                        raise Stopped
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise Fault(self._ended(size, identity)) from error
        if identity.length is not None and size != identity.length:
            raise Fault(self._ended(size, identity))

    @staticmethod
    def _ended(size: int, identity: FileIdentity) -> str:
        of = "" if identity.length is None else f" of {identity.length}"
        return f"{bare(identity.url)} ended after {size}{of} bytes"


def size_of(polite: Polite, url: str) -> int | None:
    """Ask how large a file is, bytes; 0 where the server does not say, None where there is no such file.

    Raises:
        LoginFailed, BadFetch, Stopped: as a download.
    """
    policy = polite.retries
    while True:
        try:
            with polite.ask(url, method="HEAD") as response:
                if response.status_code in (405, 501):
                    return 0
                check_status(polite, response, url)
                length = response.headers.get("Content-Length", "")
                return int(length) if length.isdigit() else 0
        except Absent:
            return None
        except Fault as fault:
            policy = polite.wait(policy, fault, url)


def check_status(polite: Polite, response: requests.Response, url: str) -> None:
    """Tell apart what a status says: no such file, not yours, not now.

    Raises:
        Absent: 404, 410.
        LoginFailed: 401, and 403 where a login was sent.
        Fault: 408, 416, 429 and the server's own errors, which another attempt may mend.
        BadFetch: any other from 400 on.
    """
    status = response.status_code
    if status in (404, 410):
        raise Absent(f"HTTP {status}")
    if status == 401:
        where = polite.login.where
        raise LoginFailed(
            f"{bare(url)} refuses the login of {where}: it may have expired. {WAYS}"
            if where
            else f"{bare(url)} wants a login. {WAYS}"
        )
    if status == 403 and polite.login.where:
        raise LoginFailed(
            f"{bare(url)} refuses this login: accept the provider's application and agreements in your profile at "
            "https://urs.earthdata.nasa.gov (Applications, Authorized Apps), or make a new token"
        )
    if status == 416 or polite.retries.is_retry("GET", status):
        raise Fault(f"{bare(url)} answers HTTP {status}", response)
    if status >= 400:
        raise BadFetch(f"{bare(url)} answers HTTP {status}, which another attempt would not mend")
