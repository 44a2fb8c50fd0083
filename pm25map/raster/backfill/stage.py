"""The stage: estimates of blocks on some days, kept until all blocks of a day are there to make its map.

A staged file holds rows, one a day, each with its own checksum, behind a header of JSON. Its name follows from
what is in it: the same work done twice gives the same file.
"""

import datetime as dt
import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadOutput
from pm25map.base.files import sha256_of_bytes
from pm25map.base.storage import WORKING, Folder
from pm25map.grid import Block

SEGMENT_DAYS = 32
"""Days of one staged file, counted from the epoch: what is lost at most when the plug is pulled."""

_STAGE = f"{WORKING}/stage"
_EPOCH = dt.date(1970, 1, 1)
_MAGIC = b"pm25rows"
_LEAD = struct.Struct("<8sQ")
_PAD = 64
_LONGEST_HEADER = 1 << 20


def segment_of(day: dt.date) -> int:
    """Number the segment of days that holds a day."""
    return (day - _EPOCH).days // SEGMENT_DAYS


def stage_folder(key: str) -> str:
    """Name the folder of everything that is staged for one model, grid and set of places."""
    return f"{_STAGE}/{key}"


@dataclass(frozen=True)
class StagedFile:
    """The header of a staged file.

    Attributes:
        name: in the folder of the maps.
        block: id.
        days: of its rows, with the checksum of each day's window.
        bands, cells: of a row.
        crc32: of each row.
        start: where the rows begin.
    """

    name: str
    block: str
    days: Mapping[dt.date, str]
    bands: int
    cells: int
    crc32: tuple[int, ...]
    start: int

    def read_row(self, folder: Folder, day: dt.date) -> npt.NDArray[np.float32]:
        """Read the estimates of a day: float32 (band, cell).

        Raises:
            BadOutput: the row is damaged; the file is removed, so that the next run computes it again.
        """
        number = list(self.days).index(day)
        size = self.bands * self.cells * 4
        content = folder.read_range(self.name, self.start + number * size, size)
        if len(content) != size or zlib.crc32(content) != self.crc32[number]:
            folder.remove(self.name)
            raise BadOutput(
                f"staged estimates of {day} in block {self.block} were damaged on the disk and are removed: "
                "run the same command again"
            )
        return np.frombuffer(content, dtype="<f4").reshape(self.bands, self.cells)


def stage_rows(
    folder: Folder, key: str, block: Block, rows: Mapping[dt.date, tuple[str, npt.NDArray[np.float32]]]
) -> tuple[str, int]:
    """Stage the estimates of a block on some days of one segment.

    Args:
        folder: of the maps.
        key: OpenJob.key.
        block: that was computed.
        rows: by day, the checksum of its window and its estimates float32 (band, cell).

    Returns:
        The name of the file, and its bytes.

    Raises:
        DiskFull, BadOutput: the folder cannot be written.
    """
    days = sorted(rows)
    content = [np.ascontiguousarray(rows[day][1], dtype="<f4").tobytes() for day in days]
    shape = rows[days[0]][1].shape
    header = _header(block.id, {day: rows[day][0] for day in days}, shape, [zlib.crc32(c) for c in content])
    name = _name(key, block.id, {day: rows[day][0] for day in days})
    whole = header + b"".join(content)
    folder.write(name, whole)
    return name, len(whole)


def staged_size(block: Block, days: int, bands: int, cells: int) -> int:
    """Return the bytes of a staged file of some number of days, exactly."""
    dates = {_EPOCH + dt.timedelta(days=i): "0" * 64 for i in range(days)}
    return len(_header(block.id, dates, (bands, cells), [0] * days)) + days * bands * cells * 4


def read_stage(folder: Folder, key: str) -> list[StagedFile]:
    """List what is staged for a key; a damaged file counts as absent."""
    headers = (read_header(folder, name) for name in folder.names(stage_folder(key)))
    return [header for header in headers if header is not None]


def read_header(folder: Folder, name: str) -> StagedFile | None:
    """Read what a staged file holds; None where it is damaged or gone."""
    try:
        lead = folder.read_range(name, 0, _LEAD.size)
    except FileNotFoundError:
        return None
    if len(lead) < _LEAD.size or lead[: len(_MAGIC)] != _MAGIC:
        return None
    length = _LEAD.unpack(lead)[1]
    if length > _LONGEST_HEADER:
        return None
    try:
        header = json.loads(folder.read_range(name, _LEAD.size, length))
        block = str(header["block"])
        days = {dt.date.fromisoformat(day): str(window) for day, window in header["days"].items()}
        crc = tuple(int(text, 16) for text in header["crc32"])
        bands, cells = map(int, header["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    # Rows have checksums of their own, and the name follows from all that the header says of them.
    if not days or len(crc) != len(days) or PurePosixPath(name).name != _file_name(block, days):
        return None
    return StagedFile(name, block, days, bands, cells, crc, _LEAD.size + length)


def covered(files: Iterable[StagedFile], windows: Mapping[dt.date, str]) -> dict[str, dict[dt.date, str]]:
    """Return for every block the days that are staged with the windows that are wanted, and the file of each."""
    staged: dict[str, dict[dt.date, str]] = {}
    for file in files:
        fresh = {day: file.name for day, window in file.days.items() if windows.get(day) == window}
        staged.setdefault(file.block, {}).update(fresh)
    return staged


def sweep(folder: Folder, settled: Set[dt.date]) -> None:
    """Remove what is staged for nothing: files all of whose days have their maps, and damaged ones.

    A run that was killed while it removed its files leaves some, and so does one with other blocks or another model.
    """
    left = False
    for name in list(folder.names(_STAGE)):
        header = read_header(folder, name)
        if header is None or settled >= header.days.keys():
            folder.remove(name)
        else:
            left = True
    if not left:
        folder.remove(_STAGE)


def by_segment(days: Iterable[dt.date]) -> Iterator[tuple[int, list[dt.date]]]:
    """Group days by segment, in order."""
    groups: dict[int, list[dt.date]] = {}
    for day in sorted(days):
        groups.setdefault(segment_of(day), []).append(day)
    yield from sorted(groups.items())


def _name(key: str, block: str, days: Mapping[dt.date, str]) -> str:
    return f"{stage_folder(key)}/{segment_of(next(iter(days)))}/{_file_name(block, days)}"


def _file_name(block: str, days: Mapping[dt.date, str]) -> str:
    what = "\n".join(f"{day} {window}" for day, window in days.items())
    return f"{block}-{sha256_of_bytes(what.encode())[:12]}.rows"


def _header(block: str, days: Mapping[dt.date, str], shape: tuple[int, ...], crc: list[int]) -> bytes:
    header = {
        "block": block,
        "days": {day.isoformat(): window for day, window in days.items()},
        "shape": list(shape),
        "crc32": [f"{number:08x}" for number in crc],
    }
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + _LEAD.size) % _PAD)
    return _LEAD.pack(_MAGIC, len(text)) + text
