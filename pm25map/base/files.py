"""Files that are whole or absent: write beside, then rename; and their checksums."""

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from pm25map.base.errors import BadOutput, DiskFull

_LONGEST_NAME = 240
"""Bytes: file systems take 255, and a name gets a few more while it is written."""


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path] = (), *, overwrite: bool) -> None:
    """Refuse outputs that cannot be written, that are one file, or that are an input, before any work is done.

    Two paths are one file also where links, hard links or another spelling lead to it.

    Args:
        outputs: every file that is to be written, with those beside them such as a map's item.
        inputs: every file and folder that is read.
        overwrite: files that are there may be replaced; never an input.

    Raises:
        BadOutput: as `check_output`; or two outputs are one file, or one is an input.
    """
    named = [(path, _place_of(path)) for path in outputs]
    for number, (path, place) in enumerate(named):
        for other, taken in named[:number]:
            if place == taken:
                raise BadOutput(f"{path} and {other} are one file: give each output a name of its own")
    read = [(path, _place_of(path)) for path in inputs]
    for path, place in named:
        for source, taken in read:
            if place == taken:
                raise BadOutput(f"cannot write {path}: it is an input ({source}). Choose another name")
    for path, _ in named:
        check_output(path, overwrite=overwrite)


def check_output_folder(folder: Path, inputs: Iterable[Path] = (), *, replaced: bool = False) -> None:
    """Refuse a folder to write into that cannot be made or written, or that is an input, before any work is done.

    Args:
        folder: to write into, created where absent with its parents.
        inputs: every file and folder that is read.
        replaced: it is replaced as a whole, so that an input in it would be lost.

    Raises:
        BadOutput: a file, a device or a pipe is in the way, there is no permission, the folder is an input or lies in
            a store (*.zarr) that is one, or it holds one and is replaced.
    """
    above = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not above.is_dir():
        raise BadOutput(f"cannot make the folder {folder}: {above} is in the way. Choose another name")
    if not os.access(above, os.W_OK):
        raise BadOutput(f"cannot write {folder}: no permission to write in {above}. Choose another folder")
    place = folder.resolve()
    for source in inputs:
        taken = source.resolve()
        if place == taken or (taken in place.parents and taken.suffix == ".zarr"):
            raise BadOutput(f"cannot write into {folder}: it is an input ({source}). Choose another name")
        if replaced and place in taken.parents:
            raise BadOutput(
                f"cannot replace {folder}: it holds an input ({source}), which would be lost. Choose another name"
            )


def _place_of(path: Path) -> tuple[int, int] | str:
    """Return the identity of the file at a path: device and inode, or its real path where there is none yet."""
    try:
        status = path.stat()
    except OSError:
        return os.path.normcase(os.path.realpath(path))
    return status.st_dev, status.st_ino


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises:
        BadOutput: the folder is absent or read-only, the name is too long, or something is there that is no file,
            such as a device or a pipe, or a file that may not be overwritten.
    """
    folder = path.absolute().parent
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise as_bad_output(path, error) from error
    if not folder.is_dir():
        _check_way(path, folder)
        raise BadOutput(
            f"cannot write {path}: the folder {folder} does not exist. Make it first: mkdir -p {folder}"
        )
    if path.is_dir():
        raise BadOutput(f"cannot write {path}: it is a folder. Name a file in it")
    if path.exists() and not path.is_file():
        raise BadOutput(
            f"cannot write {path}: it is a device, a pipe or a socket, and no file. Choose another name"
        )
    # The file is first written beside its place, under a longer name.
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise BadOutput(
            f"cannot write {path}: its name is longer than {_LONGEST_NAME} bytes. Choose a shorter one"
        )
    if path.exists() and not overwrite:
        raise BadOutput(f"{path} exists already. Add --overwrite to replace it, or choose another name")
    if not os.access(folder, os.W_OK):
        raise BadOutput(f"cannot write {path}: no permission to write in {folder}. Choose another folder")


def _check_way(path: Path, folder: Path) -> None:
    """Refuse a folder where a file is in its place or above it."""
    for one in (folder, *folder.parents):
        if one.exists() and not one.is_dir():
            raise BadOutput(f"cannot write {path}: {one} is a file, and no folder. Choose another name")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside the target to write to; rename it into place when the block ends well.

    What is written may be a file or a folder. When the block raises, what was written is removed and the
    target stays as it was, so that no reader ever sees half of it.

    Raises:
        BadOutput: the disk is full, or the place cannot be written.
    """
    target = path.absolute()
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise as_bad_output(path, error) from error
    part = staging / target.name
    try:
        yield part
        _sync(part)
        if target.is_dir() and not target.is_symlink():
            # A folder cannot be replaced in one step: the old one steps aside first and is removed last.
            target.rename(staging / f"{target.name}.old")
        part.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM):
            raise as_bad_output(path, error) from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def replacing_all(paths: list[Path]) -> Iterator[list[Path]]:
    """Yield paths to write several files of one folder to; rename them into place when the block ends well.

    When the block raises, or one of them cannot be put in its place, all targets are as they were.

    Raises:
        BadOutput: the disk is full, or the place cannot be written.
    """
    targets = [path.absolute() for path in paths]
    first = targets[0]
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{first.name}.", dir=first.parent))
    except OSError as error:
        raise as_bad_output(paths[0], error) from error
    parts = [staging / target.name for target in targets]
    try:
        yield parts
        for part in parts:
            _sync(part)
        before = {target: staging / f"{target.name}.old" for target in targets if target.exists()}
        for target, kept in before.items():
            shutil.copy2(target, kept)
        try:
            for target, part in zip(targets, parts, strict=True):
                part.replace(target)
        except OSError:
            for target in targets:
                if target in before:
                    before[target].replace(target)
                else:
                    target.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise as_bad_output(paths[0], error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are absent.

    Raises:
        BadOutput: a file is in the way, or the place cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadOutput(
            f"cannot make the folder {folder}: a file is in the way. Choose another name"
        ) from error
    except OSError as error:
        raise as_bad_output(folder, error) from error


def as_bad_output(path: Path, error: OSError) -> BadOutput:
    """Return the error, in one line, of a path that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"cannot write {path}: the disk is full. Free some space or choose another folder")
    return BadOutput(f"cannot write {path}: {error.strerror or error}. Choose another folder")


def _sync(part: Path) -> None:
    """Flush a finished file to the disk, so that a rename never names an empty file after a power cut."""
    if not part.is_file():
        return
    with part.open("rb") as handle:
        os.fsync(handle.fileno())


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of_bytes(*parts: bytes | memoryview) -> str:
    """Return the SHA-256 of some bytes, one part after another, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def peak_memory() -> int:
    """Return the largest resident memory, bytes, that this process ever had; 0 where the system does not report it."""
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage would also count what the process that started this one had in memory.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - there is none on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
