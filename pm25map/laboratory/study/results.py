"""The results folder of a study: one row a run, what each run predicted, and what its networks look at.

    FOLDER/runs/RUN.parquet          one row: scores and where they come from, or why the run was not done
    FOLDER/runs.parquet              all rows
    FOLDER/predictions/RUN.parquet   site_id, date, truth, prediction, distance_km, parameter_code
    FOLDER/attention/RUN.parquet     day_before, weight
    FOLDER/importance/RUN.parquet    feature, rmse_increase
    FOLDER/stations.parquet          where the stations are

Every file is whole or absent. RUN is {split}-{fold}-{variant}-{seed}.
"""

import datetime as dt
import importlib.metadata
import json
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

import pm25map
from pm25map.base.errors import BadStudy
from pm25map.base.files import replacing

ROWS = "runs.parquet"
PROTOCOL = "study.json"
SECONDS_FOR_GIT = 10

VERSIONS = ("numpy", "pykrige", "scikit-learn", "scipy", "torch")

SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("fold", pa.int32()),
        ("variant", pa.string()),
        ("seed", pa.int32()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("n", pa.int64()),
        ("stations", pa.int32()),
        *((name, pa.float64()) for name in ("r2", "rmse", "mae", "mbe", "rmse_within", "rmse_between")),
        ("epochs", pa.int32()),
        ("seconds", pa.float64()),
        ("device", pa.string()),
        ("threads", pa.int32()),
        ("versions", pa.string()),
        ("data_checksum", pa.string()),
        ("commit", pa.string()),
        ("finished", pa.string()),
    ]
)
"""Of a row; errors in ug m-3, the mean bias is predicted minus observed."""


class StudyRun(BaseModel):
    """Which run; the names of its files follow from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str
    fold: int
    variant: str
    seed: int

    @property
    def id(self) -> str:
        """Return the stem of the run's files."""
        return f"{self.split}-{self.fold}-{self.variant}-{self.seed}"


def row_path(folder: Path, run: StudyRun) -> Path:
    """Return the path of a run's row; the run is finished when it exists."""
    return folder / "runs" / f"{run.id}.parquet"


def write_row(folder: Path, run: StudyRun, row: dict[str, object]) -> None:
    """Write a run's row; columns without a value are empty."""
    full = (
        run.model_dump() | {"reason": "", "finished": dt.datetime.now(dt.UTC).isoformat("T", "seconds")} | row
    )
    write_table(row_path(folder, run), pa.Table.from_pylist([full], schema=SCHEMA))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table, whole or not at all; the folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        pq.write_table(table, part, compression="zstd")


def read_rows(folder: Path) -> pa.Table:
    """Read the rows of all runs, by split, fold, variant and seed.

    Raises:
        BadStudy: there is none.
    """
    paths = sorted((folder / "runs").glob("*.parquet"))
    if not paths:
        raise BadStudy(
            f"{folder} holds no run of a study. Run: pm25map lab study --config docs/study.yaml --out {folder}"
        )
    rows = pa.concat_tables([pq.read_table(path, schema=SCHEMA) for path in paths])
    return rows.sort_by([(name, "ascending") for name in ("split", "fold", "variant", "seed")])


def join_rows(folder: Path) -> None:
    """Write the rows that there are into one table, also while a matrix still runs; none where there is no run."""
    if any((folder / "runs").glob("*.parquet")):
        write_table(folder / ROWS, read_rows(folder))


def claim(folder: Path, identity: dict[str, str]) -> None:
    """Write down which protocol and data a folder is for, or compare with what stands there.

    What is said for the first time joins what stands there: the encoder of a protocol may come later.

    Raises:
        BadStudy: the folder holds runs of another protocol or of other data.
    """
    path = folder / PROTOCOL
    there = json.loads(path.read_text()) if path.is_file() else {}
    for key, value in identity.items():
        if there.get(key, value) != value:
            raise BadStudy(
                f"{folder} holds runs of another {key}: scores of two of them cannot stand in one table. "
                "Choose another --out"
            )
    if identity.keys() - there.keys():
        with replacing(path) as part:
            part.write_text(json.dumps(there | identity, indent=1) + "\n")


def versions() -> str:
    """Return the versions that scores depend on, as JSON."""
    by_package = {"pm25map": pm25map.__version__}
    for name in VERSIONS:
        try:
            by_package[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            by_package[name] = "absent"
    return json.dumps(by_package)


def commit() -> str:
    """Return the commit of this code, with "+" where files differ from it; empty outside of a repository."""
    here = Path(pm25map.__file__).parent
    words = ["git", "-C", os.fspath(here), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS_FOR_GIT, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
