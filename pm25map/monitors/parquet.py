"""Tables in parquet files: read whole, or some of their columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow

from pm25map.base.errors import BadMonitors


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Turn what reading a damaged parquet file raises into an error that names the file.

    Raises:
        BadMonitors: the file cannot be read.
    """
    try:
        yield
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        first = str(error).splitlines()[0] if str(error) else repr(error)
        raise BadMonitors(f"cannot read {path}: {first}. Get the table again") from error


def read_columns(path: Path, columns: list[str], optional: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read some columns of a parquet table.

    Args:
        path: the table.
        columns: the columns that it must have.
        optional: further columns, read where it has them.

    Raises:
        BadMonitors: it cannot be read, or lacks a column.
    """
    with parquet_errors(path):
        table = pd.read_parquet(path)
    missing = [column for column in columns if column not in table]
    if missing:
        raise BadMonitors(f"{path} lacks the columns {', '.join(missing)}: it needs {', '.join(columns)}")
    return table[[*columns, *(column for column in optional if column in table)]]
