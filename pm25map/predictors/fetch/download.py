"""One file over HTTP, beneath pooch: it continues where an earlier attempt, or an earlier run, stopped.

pooch cannot resume: it writes every attempt to a new temporary file. Its downloaders may be any callable, so this
one keeps a part with its identity beside it, and hands pooch the complete file. A part is used only while the server
states that the file is the same (Range with If-Range, RFC 9110 sections 13.1.5 and 14): a strong ETag, else the date.
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
from pm25map.predictors.fetch.http import Fault, HttpClient, Stopped
from pm25map.predictors.fetch.login import WAYS, bare

CHUNK_BYTES = 1 << 15
"""Read at once. urllib3 discards an incomplete chunk when the connection drops, so chunks are small."""

STEADY_BYTES = 1 << 20
"""After an attempt that brought as much, all retries are available again."""

ByteProgress = Callable[[int, int | None], None]
"""Called with the bytes of a file that are there, and the bytes of the whole (None where unknown)."""


class Absent(Exception):
    """The server has no such file: 404 or 410."""


class Unchanged(Exception):
    """The file is still the one that was fetched before."""


@dataclass(frozen=True)
class FileIdentity:
    """The identity of one version of a file.

    Attributes:
        url: its address.
        etag, modified: as the server sent them; "" where it did not.
        length: bytes of the whole; None where unknown.
    """

    url: str
    etag: str = ""
    modified: str = ""
    length: int | None = None

    @property
    def validator(self) -> str:
        """Return the value of If-Range: a weak ETag does not identify bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class Resuming:
    """A downloader for pooch.retrieve.

    Attributes:
        identity: of the file that was fetched; None before.
    """

    def __init__(
        self,
        client: HttpClient,
        part: Path,
        *,
        most_bytes: int,
        known: FileIdentity | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Prepare a download.

        Args:
            client: for the requests.
            part: file of the bytes fetched so far; its identity is beside it, in PART.json.
            most_bytes: a file larger than this is refused.
            known: the version that is there already; it is not fetched again.
            progress: called with bytes.
        """
        self._client, self._part, self._most = client, part, most_bytes
        self._known, self._progress = known, progress
        self.identity: FileIdentity | None = None

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> bool | None:
        """Fetch a file; called by pooch.

        Raises:
            Absent: there is no such file.
            Unchanged: it is the known version.
            LoginFailed: the login is refused.
            DiskFull: there is no room.
            BadFetch: it cannot be fetched (says why).
            Stopped: the fetch was ended.
        """
        if check_only:
            return size_of(self._client, url) is not None
        policy, reached = self._client.retries, self._size()
        while True:
            try:
                self.identity = self._attempt(url)
                self._part.replace(output_file)
                self._note.unlink(missing_ok=True)
                return None
            except Fault as fault:
                if self._size() - reached >= STEADY_BYTES:
                    policy, reached = self._client.retries, self._size()
                policy = self._client.wait(policy, fault, url)
            except OSError as error:
                raise as_bad_output(self._part, error) from error

    @property
    def _note(self) -> Path:
        return self._part.with_name(f"{self._part.name}.json")

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _attempt(self, url: str) -> FileIdentity:
        """Request the missing bytes once, and append them to the part until it is complete."""
        resumed = self._resumable(url)
        headers = {}
        if resumed is not None:
            headers = {"Range": f"bytes={self._size()}-", "If-Range": resumed.validator}
        elif self._known is not None and self._known.etag:
            headers = {"If-None-Match": self._known.etag}
        elif self._known is not None and self._known.modified:
            headers = {"If-Modified-Since": self._known.modified}
        with self._client.request(url, headers) as response:
            if response.status_code == 304 and self._known is not None and resumed is None:
                raise Unchanged
            if response.status_code == 416:
                self._discard()
            check_status(self._client, response, url)
            encoding = response.headers.get("Content-Encoding", "identity").lower()
            if encoding not in ("", "identity"):
                raise BadFetch(
                    f"{bare(url)} comes compressed ({encoding}), though it was requested uncompressed"
                )
            if response.status_code == 206 and resumed is not None:
                identity = self._continued(resumed, response)
            elif response.status_code == 200:
                identity = self._begun(url, response)
            else:
                raise BadFetch(f"{bare(url)} answers {response.status_code}, which is no file")
            self._check_size(identity.length, url)
            self._check_room(identity.length)
            self._read(response, identity, appending=response.status_code == 206)
        return identity

    def _resumable(self, url: str) -> FileIdentity | None:
        """Return the identity of the part, None where it cannot be continued."""
        try:
            identity = FileIdentity(**json.loads(self._note.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        size = self._size()
        fits = size > 0 and (identity.length is None or size < identity.length)
        return identity if identity.url == url and identity.validator and fits else None

    def _begun(self, url: str, response: requests.Response) -> FileIdentity:
        """Start from the first byte: empty the part and write down the identity of the new one."""
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

    def _continued(self, identity: FileIdentity, response: requests.Response) -> FileIdentity:
        """Check that a response continues the part; some servers ignore If-Range."""
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        etag = response.headers.get("ETag", identity.etag)
        same = span is not None and int(span[1]) == self._size() and etag == identity.etag
        stated = int(span[2]) if span is not None and span[2] != "*" else identity.length
        if not same or identity.length not in (None, stated):
            self._discard()
            raise Fault(f"{bare(identity.url)} changed while it was fetched")
        return replace(identity, length=stated)

    def _discard(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _check_size(self, size: int | None, url: str) -> None:
        if size is not None and size > self._most:
            raise BadFetch(
                f"{bare(url)} is {size / 1e6:.0f} MB, more than the {self._most / 1e6:.0f} MB that it may be"
            )

    def _check_room(self, length: int | None) -> None:
        """Refuse a download for which the disk has no room."""
        missing = (length or 0) - self._size()
        if missing > shutil.disk_usage(self._part.parent).free:
            raise DiskFull(
                f"cannot write {self._part}: {missing / 1e6:.0f} MB are to come, and the disk has less. Free some "
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
                    if self._client.stop.is_set():
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


def size_of(client: HttpClient, url: str) -> int | None:
    """Return the size of a file, bytes; 0 where the server does not state it, None where there is no such file.

    Raises:
        LoginFailed, BadFetch, Stopped: as a download.
    """
    policy = client.retries
    while True:
        try:
            with client.request(url, method="HEAD") as response:
                if response.status_code in (405, 501):
                    return 0
                check_status(client, response, url)
                length = response.headers.get("Content-Length", "")
                return int(length) if length.isdigit() else 0
        except Absent:
            return None
        except Fault as fault:
            policy = client.wait(policy, fault, url)


def check_status(client: HttpClient, response: requests.Response, url: str) -> None:
    """Raise the error of an HTTP status, if it is one.

    Raises:
        Absent: 404, 410.
        LoginFailed: 401, and 403 where a login was sent.
        Fault: 408, 416, 429 and errors of the server, which another attempt may avoid.
        BadFetch: any other from 400 on.
    """
    status = response.status_code
    if status in (404, 410):
        raise Absent(f"HTTP {status}")
    if status == 401:
        where = client.login.where
        raise LoginFailed(
            f"{bare(url)} refuses the login of {where}: it may have expired. {WAYS}"
            if where
            else f"{bare(url)} wants a login. {WAYS}"
        )
    if status == 403 and client.login.where:
        raise LoginFailed(
            f"{bare(url)} refuses this login: accept the provider's application and agreements in your profile at "
            "https://urs.earthdata.nasa.gov (Applications, Authorized Apps), or make a new token"
        )
    if status == 416 or client.retries.is_retry("GET", status):
        raise Fault(f"{bare(url)} answers HTTP {status}", response)
    if status >= 400:
        raise BadFetch(f"{bare(url)} answers HTTP {status}, which another attempt would not mend")
