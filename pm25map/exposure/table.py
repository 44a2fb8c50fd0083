"""A table written piece by piece, a day each: goes on after a stop, and is whole or absent."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pm25map.base.errors import BadOutput
from pm25map.base.files import as_bad_output, check_outputs, make_folder, replacing, sha256_of_bytes

ABOUT = b"pm25map"
"""Key of a parquet file's metadata under which its provenance stands, as JSON."""

SUFFIXES = (".csv", ".parquet")

Progress = Callable[[int, int], None]
Maker = Callable[[Progress], pa.Table]
Piece = tuple[str, Maker]


def files_of(out: Path) -> list[Path]:
    """List the files of a table: CSV has its provenance beside it."""
    return [out, out.with_name(f"{out.name}.json")] if out.suffix.lower() == ".csv" else [out]


def check_table(out: Path, inputs: list[Path], *, overwrite: bool) -> None:
    """Refuse a table that cannot be written, before any work is done.

    Raises:
        BadOutput: its name ends neither in .csv nor in .parquet, or as `check_outputs`.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise BadOutput(f"cannot tell the form of {out}: end its name in .csv or .parquet")
    check_outputs(files_of(out), inputs, overwrite=overwrite)


def write_table(
    out: Path,
    schema: pa.Schema,
    pieces: list[Piece],
    about: dict[str, Any],
    *,
    keep: bool,
    progress: Progress = lambda done, of: None,
) -> int:
    """Write a table.

    Args:
        out: .csv or .parquet.
        schema: of its columns, their units in the metadata.
        pieces: name and maker of every part of it, in order.
        about: what a reader must know: where the values come from, and what the columns hold.
        keep: a stopped run leaves the pieces that are done, and the next one with the same `about` goes on with them.
        progress: takes how much is done, and of how much.

    Returns:
        How many rows it has.

    Raises:
        BadOutput: it cannot be written.
    """
    stage = out.with_name(f".{out.name}.parts")
    text = json.dumps(about, ensure_ascii=False, sort_keys=True)
    schema = schema.with_metadata({ABOUT: text.encode()})
    if keep:
        _prepare(stage, sha256_of_bytes(text.encode(), str(schema).encode()))
    rows = 0
    with replacing(out) as part, _writer(part, schema, csv=out.suffix.lower() == ".csv") as write:
        for number, (name, make) in enumerate(pieces):
            if len(pieces) > 1:
                progress(number, len(pieces))
            table = _kept(stage / f"{name}.arrow", make) if keep else make(progress)
            write(table.select(schema.names).cast(schema))
            rows += len(table)
    if len(files_of(out)) > 1:
        with replacing(files_of(out)[1]) as part:
            part.write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(stage, ignore_errors=True)
    return rows


@contextlib.contextmanager
def _writer(path: Path, schema: pa.Schema, *, csv: bool) -> Iterator[Callable[[pa.Table], None]]:
    options: dict[str, Any] = {"compression": "zstd"}
    made = pa.csv.CSVWriter(path, schema) if csv else pq.ParquetWriter(path, schema, **options)
    with made as writer:
        yield writer.write_table


def _prepare(stage: Path, identity: str) -> None:
    """Make the folder of pieces; drop those of another question."""
    mark = stage / "identity"
    if stage.exists() and (not mark.is_file() or mark.read_text() != identity):
        shutil.rmtree(stage)
    make_folder(stage)
    try:
        mark.write_text(identity)
    except OSError as error:
        raise as_bad_output(mark, error) from error


def _kept(path: Path, make: Maker) -> pa.Table:
    """Read a piece that is done already, or make and keep it."""
    if not path.is_file():
        table = make(lambda done, of: None)
        with (
            replacing(path) as part,
            pa.OSFile(str(part), "wb") as sink,
            pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer,
        ):
            writer.write_table(table)
        return table
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_file(source).read_all()
