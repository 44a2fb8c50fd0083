"""Tables in files and zip archives: opened one after another, never unpacked to disk, and never beyond a bound."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from pm25map.base.errors import BadMonitors

MAX_ARCHIVE_BYTES = 8 * 2**30
"""What an archive may hold in all. No year of EPA's daily files is a tenth of this."""

MAX_RATIO = 200
"""How many times larger a table may be inside than in its archive. EPA's daily files are 15 to 40 times."""

SMALL_BYTES = 16 * 2**20
"""A table up to this size is read whatever its ratio: reading it costs nothing."""

T = TypeVar("T")


def is_leftover(name: str) -> bool:
    """Return whether a name is of a file that an operating system adds: `._x.csv`, `__MACOSX/`, hidden files."""
    parts = name.replace("\\", "/").split("/")
    return "__MACOSX" in parts or parts[-1].startswith(".")


def each_csv(path: Path, read: Callable[[IO[bytes], str], Iterator[T]]) -> Iterator[T]:
    """Read a .csv, or every .csv in a .zip, in the order of the archive.

    Args:
        path: the file.
        read: reads one table of bytes; the second argument is what to call it in an error.

    Raises:
        BadMonitors: the archive is damaged, holds no table, or is far larger inside than a table can be.
    """
    if path.suffix.lower() != ".zip":
        with path.open("rb") as handle:
            yield from read(handle, str(path))
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for member in _members(path, archive):
                with archive.open(member) as handle:
                    yield from read(handle, f"{member.filename} in {path}")
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise BadMonitors(f"{path} is damaged or not a zip file ({error}): get it again from EPA") from error


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """List the tables of an archive, by what its directory says of them before any is read.

    A directory that understates a size does no harm: no more than that is read, and the checksum fails.
    """
    members = [m for m in archive.infolist() if m.filename.lower().endswith(".csv")]
    members = [m for m in members if not is_leftover(m.filename)]
    if not members:
        raise BadMonitors(f"{path} holds no .csv: give one of EPA's daily files")
    total = sum(member.file_size for member in members)
    if total > MAX_ARCHIVE_BYTES:
        raise BadMonitors(
            f"{path} holds {total / 2**30:.1f} GB of tables, and may hold {MAX_ARCHIVE_BYTES / 2**30:.0f}: "
            f"give EPA's daily files, a year each"
        )
    for member in members:
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > SMALL_BYTES and ratio > MAX_RATIO:
            raise BadMonitors(
                f"{member.filename} in {path} is {ratio:.0f} times larger than in the archive, and a table is up to "
                f"{MAX_RATIO} times: get it again from EPA"
            )
    return members


def header_of(handle: IO[Any], name: str) -> list[str]:
    """Read the names of the columns of a CSV and leave the handle at its beginning.

    Args:
        handle: bytes that can be peeked at.
        name: what to call the file in an error.

    Raises:
        BadMonitors: the file is empty.
    """
    start: bytes = handle.peek(65536)[:65536]  # type: ignore[attr-defined]
    if not start.strip():
        raise BadMonitors(f"{name} is empty: get the file again from where it came")
    first = start.decode("utf-8-sig", errors="replace").lstrip().splitlines()[0]
    return [column.strip().strip('"').strip() for column in first.split(",")]
