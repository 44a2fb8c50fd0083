"""The matrix of a study: every fold with every variant, one run after another, resumed where it stopped."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pm25map.base.errors import BadConfig, BadInstall, BadModel, UnknownName
from pm25map.laboratory.study import results
from pm25map.laboratory.study.config import StudyConfig
from pm25map.laboratory.study.data import StudyData, prepare_fields, read_study_data
from pm25map.laboratory.study.fitting import RunContext, make_run
from pm25map.laboratory.study.splits import Split, make_split
from pm25map.laboratory.study.stations import write_stations
from pm25map.laboratory.study.variants import SATCLIP, VARIANTS
from pm25map.monitors import Monitors
from pm25map.places.catalogue import encoder
from pm25map.predictors.lock import only_writer
from pm25map.predictors.reader import Predictors


@dataclass(frozen=True)
class Step:
    """The progress of a matrix.

    Attributes:
        run: that just ended.
        row: of it.
        done, total: runs, those of earlier starts included.
        seconds_left: of the clock, as runs went so far.
    """

    run: results.StudyRun
    row: dict[str, object]
    done: int
    total: int
    seconds_left: float


@dataclass(frozen=True)
class MatrixListeners:
    """Callbacks that follow the progress; each may be None."""

    fields: Callable[[int, int], None] | None = None
    run: Callable[[Step], None] | None = None
    say: Callable[[str], None] | None = None


def plan_runs(config: StudyConfig) -> list[results.StudyRun]:
    """List the runs of a protocol, in the order in which a stop leaves the most that can be compared.

    The first folds of all splits come first, variant by variant; seeds that only some variants have come last. A
    variant that draws nothing of weight (a baseline) is run with the first seed.
    """
    once = {one: config.seeds if VARIANTS[one].network else config.seeds[:1] for one in config.variants}
    return _runs(config, once) + _runs(config, config.more_seeds)


def _runs(config: StudyConfig, seeds: Mapping[str, tuple[int, ...]]) -> list[results.StudyRun]:
    """List the runs of some variants, each with seeds of its own."""
    deepest = max(len(folds) for folds in config.splits.values())
    return [
        results.StudyRun(split=split, fold=folds[rank], variant=variant, seed=seed)
        for rank in range(deepest)
        for variant, own in seeds.items()
        for split, folds in config.splits.items()
        if rank < len(folds)
        for seed in own
    ]


def is_done(folder: Path, run: results.StudyRun) -> bool:
    """Return whether a run is done; one that could not be run is tried again."""
    path = results.row_path(folder, run)
    return path.is_file() and pq.read_table(path, columns=["status"])["status"][0].as_py() == "done"


def make_splits(config: StudyConfig, data: StudyData) -> dict[str, Split]:
    """Build every split of a protocol.

    Raises:
        BadSplit: a fold has an empty part.
        BadConfig: a split has no fold of that number.
    """
    splits = {name: make_split(name, data.world, config.split_seed) for name in config.splits}
    for name, folds in config.splits.items():
        beyond = [fold for fold in folds if fold >= len(splits[name].folds)]
        if beyond:
            raise BadConfig(
                f"split {name} has no fold {beyond[0]}: here it has {len(splits[name].folds)}, counted from 0"
            )
    return splits


def run_matrix(
    config: StudyConfig,
    monitors: Monitors,
    predictors: Predictors,
    folder: Path,
    *,
    fields: Path | None = None,
    device: str = "cpu",
    workers: int = 1,
    listeners: MatrixListeners = MatrixListeners(),
) -> int:
    """Run everything of a protocol that is not done yet.

    Args:
        config: the protocol.
        monitors: the truth.
        predictors: a store with the static layers of the protocol's features.
        folder: of the results; created where it is absent.
        fields: folder of the neighbours' fields of the folds; None: in `folder`.
        device: of torch.
        workers: runs at once, a process of one thread each.
        listeners: that follow the progress.

    Returns:
        How many runs were done now.

    Raises:
        BadOutput: another process writes this folder.
        BadStudy: the folder holds runs of another protocol or of other data.
        BadSplit, BadConfig: a split cannot be built.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fields = fields or folder / "fields"
    with only_writer(folder / "runs", wait_seconds=0.0):
        data = read_study_data(config, monitors, predictors)
        results.claim(folder, {"protocol": config.identity(), "data": data.checksum} | _named_encoder(config))
        splits = make_splits(config, data)
        write_stations(folder, data)
        _say(
            listeners,
            f"{len(data.samples.site_ids)} stations, {int(data.is_target.sum())} target days",
        )
        if data.without_observation:
            _say(listeners, f"{data.without_observation} stations measured nothing then and are left out")
        runs = plan_runs(config)
        left = [run for run in runs if not is_done(folder, run)]
        wanted = list(dict.fromkeys((run.split, run.fold) for run in left))
        folds = [splits[split].folds[fold] for split, fold in wanted]
        prepare_fields(fields, data, folds, workers, listeners.fields)
        context = RunContext(
            config, data, splits, folder, fields, device, 1, results.versions(), results.commit()
        )
        began, before = time.monotonic(), len(runs) - len(left)
        try:
            for number, (run, row) in enumerate(_run_all(context, left, workers), start=1):
                if listeners.run is not None:
                    pace = (time.monotonic() - began) / number
                    listeners.run(Step(run, row, before + number, len(runs), pace * (len(left) - number)))
        finally:
            # What there is when it is stopped can be read, too.
            results.join_rows(folder)
        return len(left)


def _named_encoder(config: StudyConfig) -> dict[str, str]:
    """Return the checksum of the encoder that a protocol names; empty where it is absent, which its rows then state."""
    if config.satclip is None:
        return {}
    try:
        return {SATCLIP: encoder(str(config.satclip)).checksum}
    except (BadInstall, BadModel, UnknownName):
        return {}


def _say(listeners: MatrixListeners, line: str) -> None:
    if listeners.say is not None:
        listeners.say(line)


def _run_all(
    run_context: RunContext, runs: list[results.StudyRun], workers: int
) -> Iterator[tuple[results.StudyRun, dict[str, object]]]:
    """Execute runs, and yield each with its row when it ends."""
    if workers == 1:
        for run in runs:
            yield run, make_run(run_context, run)
        return
    # Spawned, not forked: a fork of a process that has run BLAS or torch threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_open_context, initargs=(run_context,)
    ) as pool:
        waiting = {pool.submit(_run_here, run): run for run in runs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            # Runs that have not begun are dropped; those that have end whole, and count when it goes on.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_CONTEXT: list[RunContext] = []
"""The context of a worker process, set once."""


def _open_context(context: RunContext) -> None:
    _CONTEXT[:] = [context]
    threading.Thread(target=_end_with_the_matrix, daemon=True).start()


def _end_with_the_matrix() -> None:
    """End this worker when the process that started it is killed: whoever goes on would meet it at the same run."""
    matrix = multiprocessing.parent_process()
    if matrix is not None:
        matrix.join()
        os._exit(1)


def _run_here(run: results.StudyRun) -> dict[str, object]:
    return make_run(_CONTEXT[0], run)
