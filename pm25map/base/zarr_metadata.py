"""The metadata of Zarr arrays and groups with a checksum of their own, and what reading a damaged store may raise.

The codecs of a chunk detect a damaged chunk. They do not detect a damaged zarr.json, which states how its values are
to be read: by which scale, in which order of bytes, under which name.
"""

import contextlib
import errno
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pm25map.base.files import sha256_of_bytes
from pm25map.base.object_store import first_line, remote_errors
from pm25map.base.storage import Location, Remote, open_folder

FILE = "zarr.json"

CHECKSUM = "metadata_checksum"
"""Attribute: SHA-256 over what decides how values are read, and over all other attributes."""

_DECIDES = (
    "zarr_format",
    "node_type",
    "data_type",
    "chunk_grid",
    "chunk_key_encoding",
    "codecs",
    "fill_value",
    "dimension_names",
)
"""Of zarr.json. The shape is left out: an axis of time grows, in a step that attributes cannot join."""


_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EACCES, errno.EPERM)


def damage() -> tuple[type[Exception], ...]:
    """Return what opening or reading a damaged store may raise: Zarr and its codecs share no class for it."""
    known = (
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        AssertionError,
        EOFError,
        MemoryError,
        struct.error,
        zlib.error,
        zipfile.BadZipFile,
    )
    return known + remote_errors()


def refuse_shortage(error: Exception) -> None:
    """Raise again what says that the machine is short of something: the store that was read may be whole.

    Raises:
        MemoryError: no thread could be started, which takes memory.
        OSError: there is no memory, or too many files are open, or there is no permission to read.
    """
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        raise MemoryError(str(error)) from error
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        raise error


def seal(node: Any, attributes: Mapping[str, Any] | None = None) -> None:
    """Write the attributes of an array or a group with the checksum over its metadata, in one step.

    Args:
        node: an open zarr.Array or zarr.Group.
        attributes: all that it shall have; those that it has where None.
    """
    kept = dict(node.attrs if attributes is None else attributes)
    kept.pop(CHECKSUM, None)
    node.attrs.put({**kept, CHECKSUM: _checksum({**node.metadata.to_dict(), "attributes": kept})})


@dataclass(frozen=True)
class Files:
    """The files of an open store.

    Attributes:
        read: reads one whole by its name; None where there is none.
        has_folder: returns whether there is a folder of a name; always False for an object store, which has no folders.
    """

    read: Callable[[str], bytes | None]
    has_folder: Callable[[str], bool]


@contextlib.contextmanager
def open_files(path: Location) -> Iterator[Files]:
    """Open the files of a store: a folder *.zarr, a file *.zarr.zip, or a folder in an object store.

    Raises:
        As `damage`, also where a file is read.
    """
    if isinstance(path, Remote):
        yield Files(open_folder(path).read, lambda name: False)
    elif path.suffix != ".zip":
        yield Files(open_folder(path).read, lambda name: (path / name).is_dir())
    else:
        with zipfile.ZipFile(path) as archive:
            names = frozenset(archive.namelist())
            folders = frozenset(name.partition("/")[0] for name in names)
            yield Files(lambda name: archive.read(name) if name in names else None, folders.__contains__)


def read_metadata(files: Files, name: str = "") -> dict[str, Any] | None:
    """Read the zarr.json of an array of a store and compare it with its checksum.

    Args:
        files: of the store.
        name: of the array; empty for the group itself.

    Returns:
        The metadata; None where the store has no such array. A store of an older version has no checksum of
        metadata: it is taken as it is.

    Raises:
        ValueError: it is gone while its folder is there, is no JSON, or is not as it was written.
        Else as `damage`.
    """
    content = files.read(f"{name}/{FILE}".lstrip("/"))
    if content is None and files.has_folder(name):
        raise ValueError(f"its {FILE} is gone")
    if content is None:
        return None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{FILE} cannot be read: {first_line(error)}") from error
    if not isinstance(document, dict) or not isinstance(document.get("attributes", {}), dict):
        raise ValueError(f"{FILE} does not describe an array")
    attributes = document.get("attributes", {})
    if CHECKSUM in attributes and attributes[CHECKSUM] != _checksum(document):
        raise ValueError(f"{FILE} is not as it was written")
    return document


def _checksum(document: Mapping[str, Any]) -> str:
    attributes = {key: value for key, value in document["attributes"].items() if key != CHECKSUM}
    said = {key: document[key] for key in _DECIDES if key in document} | {"attributes": attributes}
    return sha256_of_bytes(json.dumps(said, sort_keys=True, default=str).encode())
