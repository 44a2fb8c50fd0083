"""Ingest: bring sources to the grid and into a store, in batches that can stop and go on."""

import contextlib
import datetime as dt
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadOutput, BadPredictors, Pm25mapError
from pm25map.base.files import check_output
from pm25map.grid import Grid
from pm25map.predictors.layout import CHUNK_DAYS, shard_days
from pm25map.predictors.lock import only_writer
from pm25map.predictors.sources import DailySource, DayInputs, TracedSource
from pm25map.predictors.store import (
    Predictors,
    add_variables,
    create_store,
    extend_store,
    open_predictors,
    write_days,
    write_layer,
)

Progress = Callable[[int, int], None]
"""Told how many days or layers are done, and of how many."""

Fields = dict[str, npt.NDArray[np.float32]]
"""(day, y, x) by name."""

BATCH_VALUES = 100_000_000
"""Values of one batch at most: 400 MB of float32."""


@dataclass(frozen=True)
class Ingested:
    """What an ingest did.

    Attributes:
        written: days that were written.
        lacking: days for which the source had no values, and why; they are missing in the store.
        revised: days among those written that the store had, computed from input that has changed since.
    """

    written: int
    lacking: Mapping[dt.date, str]
    revised: tuple[dt.date, ...] = ()


def plan_ingest(
    wanted: list[dt.date], whole: Collection[dt.date], first: dt.date, most: int
) -> list[list[dt.date]]:
    """Part the days that are not whole yet into batches without gaps, aligned to what is written at once.

    Args:
        wanted: days to have.
        whole: days that the store has.
        first: day of the store; a batch ends every so many days after it.
        most: days of a batch.

    >>> days = [dt.date(2020, 9, d) for d in (1, 2, 3, 4)]
    >>> [[day.day for day in batch] for batch in plan_ingest(days, {dt.date(2020, 9, 2)}, days[0], 3)]
    [[1], [3], [4]]
    """
    batches: list[list[dt.date]] = []
    for day in sorted(set(wanted) - set(whole)):
        follows = bool(batches) and day == batches[-1][-1] + dt.timedelta(days=1)
        if follows and (day - first).days % most:
            batches[-1].append(day)
        else:
            batches.append([day])
    return batches


@contextlib.contextmanager
def store_to_fill(path: Path, grid: Grid, start: dt.date, end: dt.date) -> Iterator[None]:
    """Ensure a store; one that was created here and is still empty is removed when the block fails.

    Raises:
        As ensure_store.
    """
    is_new, filled = ensure_store(path, grid, start, end), False
    try:
        yield
        filled = True
    finally:
        if is_new and not filled:
            _remove_empty(path)


def check_store(path: Path) -> None:
    """Refuse a place that no store can be filled at, before anything is read for it.

    Raises:
        BadOutput: it is a packed store, or cannot be written.
        BadPredictors: something else is there.
    """
    if path.suffix == ".zip":
        raise BadOutput(f"cannot write into {path}: a zipped store is read only. Ingest into a folder *.zarr")
    if path.exists():
        open_predictors(path)
    else:
        check_output(path, overwrite=False)


def ensure_store(path: Path, grid: Grid, start: dt.date, end: dt.date) -> bool:
    """Create a store where there is none, and extend it to reach from start to end; return whether it was created.

    Raises:
        BadPredictors: the store that is there lies on another grid.
        BadOutput: the store cannot be written; a packed one is refused before a lock is laid beside it.
    """
    check_store(path)
    with only_writer(path):
        if not path.exists():
            create_store(path, grid, (), start, end, history=f"ingested on grid {grid.name}")
            return True
        open_predictors(path).check(grid, (), [])
        extend_store(path, start, end)
        return False


def _remove_empty(path: Path) -> None:
    """Remove a store that holds no layer and no whole day; any other stays."""
    with only_writer(path):
        if not path.exists():
            return
        store = open_predictors(path)
        if store.layers or any(store.days_of((name,)) for name in store.daily):
            return
        # Renamed first, so that no process reads a part of it.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.absolute().parent) as aside:
            path.rename(Path(aside) / path.name)


def ingest_daily(
    path: Path,
    source: DailySource,
    days: list[dt.date],
    progress: Progress | None = None,
    *,
    again: bool = False,
) -> Ingested:
    """Fill the days of a source that the store does not have whole, or has of input that was revised since.

    A day is written whole or not at all, so an ingest that was stopped goes on where it was. Days that the source
    lacks are left out; a file that is damaged stops the ingest, after the days before it are written.

    Args:
        path: of a store that reaches these days.
        source: of the days.
        days: to have, oldest first.
        progress: called with the number of days.
        again: write days that are whole as well; each stays as it is until its turn comes.

    Raises:
        BadPredictors: the source returns values that the variable table does not allow, or a file of it is damaged.
        BadOutput: the store cannot be written.
    """
    add_variables(path, source.variables)
    store = open_predictors(path)
    lacking = source.lacking(store.grid, days)
    given = [day for day in days if day not in lacking]
    inputs = source.inputs_of(store.grid, given) if isinstance(source, TracedSource) else {}
    stored = set(store.days_of(source.variables))
    revised = tuple(day for day in given if day in stored and is_revised(store, source, day, inputs))
    whole = set() if again else stored - set(revised)
    # A source that shares work between days computes a shard of them at once, the others a chunk a day at a time; less
    # on a grid where that is too large for memory.
    together = bool(getattr(source, "days_together", False))
    unit = shard_days(store.grid) if together else CHUNK_DAYS
    most = max(1, min(unit, BATCH_VALUES // (store.grid.land.size * len(source.variables))))
    batches = plan_ingest(days, whole | set(lacking), store.span[0], most)
    total, done = sum(map(len, batches)), 0
    for batch in batches:
        parts: list[Fields] = []
        steps = [batch] if together else [[day] for day in batch]
        try:
            for step in steps:
                parts.append(_fields_of(source, store.grid, step))
                done += len(step)
                if progress is not None:
                    progress(done, total)
        except Pm25mapError:
            _write(path, source, store, batch[: len(parts)], parts, inputs)
            raise
        _write(path, source, store, batch, parts, inputs)
    return Ingested(total, lacking, revised)


def is_revised(
    store: Predictors, source: DailySource, day: dt.date, inputs: Mapping[dt.date, DayInputs]
) -> bool:
    """Return whether a day of a source in a store was computed from other input than the source has now.

    A store without fingerprints of its inputs keeps its days.
    """
    known = {store.inputs_of(name, day) for name in source.variables} - {0}
    return day in inputs and bool(known - {inputs[day].fingerprint})


def _fields_of(source: DailySource, grid: Grid, days: list[dt.date]) -> Fields:
    fields = source.fields(grid, days)
    if set(fields) != set(source.variables):
        raise BadPredictors(
            f"source {source.name} gave {sorted(fields)}, and promises {sorted(source.variables)}"
        )
    return fields


def _write(
    path: Path,
    source: DailySource,
    store: Predictors,
    days: list[dt.date],
    parts: list[Fields],
    inputs: Mapping[dt.date, DayInputs],
) -> None:
    if not days:
        return
    with only_writer(path):
        if not path.exists():
            # A concurrent ingest created it, failed, and removed it while it was empty.
            ensure_store(path, store.grid, *store.span)
            add_variables(path, source.variables)
        fields = {name: np.concatenate([p[name] for p in parts]) for name in source.variables}
        write_days(path, days, fields, inputs)


def ingest_layers(
    path: Path,
    layers: Iterator[tuple[str, npt.NDArray[np.float32]]],
    total: int,
    progress: Progress | None = None,
) -> int:
    """Write layers into a store, replacing those it has; return how many were written.

    Args:
        path: of the store.
        layers: name, and (y, x) or (month, y, x).
        total: how many there will be, for the progress.
        progress: called with the number of layers.

    Raises:
        BadPredictors: a layer is not what the variable table allows.
        BadOutput: the store cannot be written.
    """
    done = 0
    for name, values in layers:
        write_layer(path, name, values)
        del values  # Before the next one is worked out.
        done += 1
        if progress is not None:
            progress(done, total)
    return done
