"""Folders that maps and stores live in: on a disk, or in an object store (s3://, gs://, az://).

Both keep one promise: a name holds a whole file or none. On a disk a file is written beside and renamed; an
object store shows an object only once it was put as a whole.
"""

import importlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pm25map.base.errors import BadInstall, BadOutput
from pm25map.base.files import as_bad_output
from pm25map.base.object_store import NO_BUCKET, connection, first_line, remote_errors, unreachable

_URL = re.compile(r"^[a-z][a-z0-9+.-]+://[^/]")

_SECRET = re.compile(r"^[a-z0-9+.-]+://[^/@]*:[^/@]*@|[?#]")
"""What makes an address hold a credential, as user:password@ or as a signature behind a question mark."""

WORKING = ".pm25map"
"""Folder for work in progress inside a folder of maps."""

SCRATCH = f"{WORKING}/writing"
"""The folder of unfinished files."""


@dataclass(frozen=True)
class Remote:
    """A place in an object store, with those methods of a Path that this package uses.

    Attributes:
        url: such as s3://bucket/maps.
    """

    url: str

    @property
    def name(self) -> str:
        """Return the last part of the address."""
        return PurePosixPath(self.url.rstrip("/")).name

    @property
    def suffix(self) -> str:
        """Return the suffix of the last part."""
        return PurePosixPath(self.name).suffix

    def __str__(self) -> str:
        return self.url

    def open(self) -> Any:
        """Open the object store; address and credentials come from its provider's own environment variables.

        Raises:
            BadInstall: the library is missing.
            BadOutput: no store is known for such an address.
        """
        try:
            stores = importlib.import_module("obstore.store")
        except ImportError as error:
            raise BadInstall(f"{self.url} needs a package: python -m pip install 'pm25map[cloud]'") from error
        try:
            return stores.from_url(self.url, **connection(self.url))
        except Exception as error:  # its errors share no narrower class that is public
            raise BadOutput(
                f"cannot open {self.url} ({first_line(error)}). Name a bucket, such as s3://bucket/maps, and set "
                "the provider's variables (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL ...)"
            ) from error

    def check(self) -> None:
        """Refuse a store that does not answer, or a bucket that is not there.

        Raises:
            StoreUnreachable: so it is.
            BadInstall, BadOutput: as `open`.
        """
        store = self.open()
        try:
            next(iter(importlib.import_module("obstore").list(store)), None)
        except remote_errors() as error:
            raise unreachable(self.url, error) from error


Location = Path | Remote


def location(text: str | Path) -> Location:
    """Turn what a user wrote into a path, or into a place in an object store where it is a URL.

    Raises:
        BadOutput: the URL holds a password or a signature, which files and messages would repeat.
    """
    if _URL.match(str(text)) and _SECRET.search(str(text)):
        raise BadOutput(
            "the address of an object store may hold no password, signature or question mark: write "
            "s3://bucket/folder, and give credentials in the provider's variables (AWS_ACCESS_KEY_ID ...)"
        )
    return Remote(str(text).rstrip("/")) if _URL.match(str(text)) else Path(text)


class Folder(Protocol):
    """A folder of whole files; names use /."""

    @property
    def where(self) -> Location:
        """Return the address of the folder."""

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None where there is none."""

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Return some bytes of a file; FileNotFoundError where there is no such file."""

    def write(self, name: str, content: bytes) -> None:
        """Put a whole file, over one that may be there."""

    def create(self, name: str, content: bytes) -> bool:
        """Put a whole file where none is; False where there was one."""

    def remove(self, prefix: str) -> None:
        """Remove a file, or all files below a folder; nothing where there is none."""

    def names(self, prefix: str) -> Iterator[str]:
        """Name all files below a folder, in order."""


class LocalFolder:
    """A folder on a disk. Unfinished files lie in its working folder, never beside the finished ones."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def where(self) -> Location:
        """Return the address of the folder."""
        return self.path

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None where there is none."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Return some bytes of a file; FileNotFoundError where there is no such file."""
        with (self.path / name).open("rb") as handle:
            handle.seek(start)
            return handle.read(length)

    def write(self, name: str, content: bytes) -> None:
        """Put a whole file, over one that may be there.

        Raises:
            DiskFull: there is no room.
            BadOutput: the folder cannot be written.
        """
        target = self.path / name
        try:
            part = self._beside(content)
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        except OSError as error:
            raise as_bad_output(target, error) from error

    def create(self, name: str, content: bytes) -> bool:
        """Put a whole file where none is; False where there was one."""
        target = self.path / name
        try:
            part = self._beside(content)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                # A hard link fails where the name is taken; a rename would replace.
                os.link(part, target)
            finally:
                part.unlink(missing_ok=True)
        except FileExistsError:
            return False
        except OSError as error:
            raise as_bad_output(target, error) from error
        return True

    def remove(self, prefix: str) -> None:
        """Remove a file, or all files below a folder; nothing where there is none."""
        target = self.path / prefix
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    def names(self, prefix: str) -> Iterator[str]:
        """Name all files below a folder, in order."""
        for path in sorted((self.path / prefix).rglob("*")):
            if path.is_file():
                yield path.relative_to(self.path).as_posix()

    def _beside(self, content: bytes) -> Path:
        """Write a file into the working folder and flush it to the disk."""
        scratch = self.path / SCRATCH
        scratch.mkdir(parents=True, exist_ok=True)
        part = scratch / secrets.token_hex(8)
        try:
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return part


class ObjectFolder:
    """A folder in an object store."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._api = importlib.import_module("obstore")
        self._store = remote.open()
        self._errors = importlib.import_module("obstore.exceptions")

    @property
    def where(self) -> Location:
        """Return the address of the folder."""
        return self.remote

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None where there is none."""
        try:
            return bytes(self._api.get(self._store, name).bytes())
        except FileNotFoundError as error:
            if NO_BUCKET.search(str(error)):
                raise unreachable(self.remote.url, error) from error
            return None
        except self._errors.BaseError as error:
            raise unreachable(f"{self.remote.url}/{name}", error) from error

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Return some bytes of a file; FileNotFoundError where there is no such file."""
        try:
            return bytes(self._api.get_range(self._store, name, start=start, length=length))
        except FileNotFoundError:
            raise
        except self._errors.BaseError as error:
            raise unreachable(f"{self.remote.url}/{name}", error) from error

    def write(self, name: str, content: bytes) -> None:
        """Put a whole file, over one that may be there.

        Raises:
            StoreUnreachable: the store refuses.
        """
        try:
            self._api.put(self._store, name, content)
        except (self._errors.BaseError, FileNotFoundError) as error:
            raise unreachable(f"{self.remote.url}/{name}", error) from error

    def create(self, name: str, content: bytes) -> bool:
        """Put a whole file where none is; False where there was one."""
        try:
            self._api.put(self._store, name, content, mode="create")
        except self._errors.AlreadyExistsError:
            return False
        except (self._errors.BaseError, FileNotFoundError) as error:
            raise unreachable(f"{self.remote.url}/{name}", error) from error
        return True

    def remove(self, prefix: str) -> None:
        """Remove a file, or all files below a folder; nothing where there is none."""
        doomed = list(self.names(prefix)) or ([prefix] if self.read(prefix) is not None else [])
        try:
            if doomed:
                self._api.delete(self._store, doomed)
        except self._errors.BaseError as error:
            raise unreachable(f"{self.remote.url}/{prefix}", error) from error

    def names(self, prefix: str) -> Iterator[str]:
        """Name all files below a folder, in order."""
        try:
            pages = self._api.list(self._store, prefix=prefix or None)
            paths = [str(entry["path"]) for page in pages for entry in page]
        except self._errors.BaseError as error:
            raise unreachable(f"{self.remote.url}/{prefix}", error) from error
        yield from sorted(paths)


def open_folder(where: Location) -> Folder:
    """Open a folder of files; a folder on a disk need not exist yet."""
    return ObjectFolder(where) if isinstance(where, Remote) else LocalFolder(where)
