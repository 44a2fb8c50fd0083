"""How long a plan will take and how much memory: some seconds of its own work, done in a process of their own.

The process opens the same inputs, runs as many threads, and ends: its peak memory is what the backfill's will be,
and nothing of the user's is touched.
"""

import dataclasses
import datetime as dt
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadModel, BadPredictors, Pm25mapError
from pm25map.base.files import peak_memory
from pm25map.grid import Block
from pm25map.predictors.cache import ReadCount
from pm25map.raster.backfill.block import BlockReport
from pm25map.raster.backfill.day import item_of
from pm25map.raster.backfill.job import Job, OpenJob, open_job
from pm25map.raster.backfill.plan import Plan
from pm25map.raster.map_files import map_contents
from pm25map.raster.stream import estimate_days

_TASKS = 64
"""Blocks that the trial may go through; it hardly ever gets that far."""


@dataclass(frozen=True)
class Forecast:
    """What the trial predicts.

    Attributes:
        seconds: of the whole backfill.
        cells_per_second: estimated, reading and windows included, all workers together.
        map_seconds: to lay out and write one map, all workers together.
        start_seconds: until the first estimate.
        peak_bytes: of memory.
        file_bytes: of all maps, after compression.
        workers: that worked in the trial.
    """

    seconds: float
    cells_per_second: float
    map_seconds: float
    start_seconds: float
    peak_bytes: int
    file_bytes: int
    workers: int


def forecast(opened: OpenJob, plan: Plan, workers: int, seconds: float) -> Forecast | None:
    """Forecast what a plan takes.

    Args:
        opened: the job of the plan.
        plan: what is to be done.
        workers: threads that will work.
        seconds: that the trial may work; with 0 there is no forecast.

    Raises:
        BadModel: the trial failed; says why.
        BadPredictors: the predictors of no block of the trial can be read; says why.
    """
    tasks = [task for run in plan.runs for task in run.tasks]
    days = len(plan.days_of("todo"))
    if not seconds or not tasks:
        return None
    # The largest first: they decide how much memory it takes, and hold most of the cells.
    chosen = sorted(tasks, key=lambda task: -opened.estimator.cells_of(task.block))[:_TASKS]
    order = {
        "job": opened.job.model_dump(mode="json"),
        "workers": workers,
        "seconds": seconds,
        "tasks": [
            {"block": dataclasses.astuple(t.block), "days": [str(day) for day in t.days]} for t in chosen
        ],
    }
    ran = subprocess.run(
        [sys.executable, "-m", __name__], input=json.dumps(order), capture_output=True, text=True, check=False
    )
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no word"])[-1]
        raise BadModel(f"the trial run failed: {last}. Skip it with --calibrate 0, or run pm25map doctor")
    measured: dict[str, Any] = json.loads(ran.stdout)
    if "lost" in measured:
        raise BadPredictors(
            f"there can be no forecast: {measured['lost']}. --calibrate 0 plans without time and memory"
        )
    return Forecast(
        seconds=measured["start_seconds"]
        + plan.estimates / measured["cells_per_second"]
        + days * measured["map_seconds"],
        cells_per_second=measured["cells_per_second"],
        map_seconds=measured["map_seconds"],
        start_seconds=measured["start_seconds"],
        peak_bytes=measured["peak_bytes"],
        file_bytes=days * measured["file_bytes"],
        workers=workers,
    )


class _Trial:
    """Counts what the threads of a trial estimate, and says when they must stop."""

    def __init__(self, opened: OpenJob, seconds: float) -> None:
        self.opened, self.seconds = opened, seconds
        self.cells = 0
        self.began: float | None = None
        self.lost = ""
        self.ended = 0.0
        self.samples: list[npt.NDArray[np.float32]] = []
        self._lock = threading.Lock()

    def work(self, tasks: list[tuple[Block, tuple[dt.date, ...]]]) -> None:
        """Estimate block after block until the time is over, or until none of them could be read."""
        while True:
            for block, days in tasks:
                report = BlockReport(block.id)
                days_of_block = estimate_days(
                    self.opened.estimator, block, days, count=ReadCount(), failed=report.fail
                )
                for _, estimate in days_of_block:
                    if self._enough(estimate):
                        return
                self.lost = next(iter(report.failed.values()), self.lost)
            if self.began is None:
                return

    def _enough(self, estimate: npt.NDArray[np.float32]) -> bool:
        with self._lock:
            now = time.monotonic()
            if sum(sample.shape[1] for sample in self.samples) < self.opened.estimator.cell_count:
                self.samples.append(estimate)
            if self.began is None:
                # The first estimates pay for the opening of sessions, which is counted apart.
                self.began = now
                return False
            self.cells += estimate.shape[1]
            self.ended = now
            return now - self.began > self.seconds

    def lay_out(self, day: dt.date) -> int:
        """Lay out a map whose land holds what was estimated, again and again; return the bytes of its files."""
        estimator, grid = self.opened.estimator, self.opened.inputs.grid
        sample = np.concatenate(self.samples, axis=1)
        out = np.full((len(sample), *grid.shape), np.nan, dtype=np.float32)
        repeat = -(-estimator.cell_count // sample.shape[1])
        out[:, estimator.asked] = np.tile(sample, repeat)[:, : estimator.cell_count]
        layers = out[:, *estimator.view.slices]
        contents, _ = map_contents(
            "trial",
            layers[0],
            grid,
            estimator.inputs.provenance(day, "trial.tif", estimator.session().engine, estimator.part),
            more={band: layers[i] for i, band in enumerate(estimator.bands) if i},
            block=estimator.view,
        )
        item_of(self.opened, day, contents)
        return sum(map(len, contents.values()))


def _run_trial(order: dict[str, Any], started: float) -> dict[str, Any]:
    opened = open_job(Job.model_validate(order["job"]))
    workers = int(order["workers"])
    tasks = [
        (Block(*task["block"]), tuple(dt.date.fromisoformat(day) for day in task["days"]))
        for task in order["tasks"]
    ]
    trial = _Trial(opened, float(order["seconds"]))
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(trial.work, tasks[i % len(tasks) :] + tasks) for i in range(workers)]:
            future.result()
        if trial.began is None:
            return {"lost": trial.lost}
        began = time.monotonic()
        sizes = list(pool.map(trial.lay_out, [tasks[0][1][0]] * (2 * workers)))
        map_seconds = (time.monotonic() - began) / len(sizes)
    return {
        "cells_per_second": trial.cells / max(trial.ended - trial.began, 1e-9),
        "map_seconds": map_seconds,
        "start_seconds": trial.began - started,
        "peak_bytes": peak_memory(),
        "file_bytes": sizes[0],
    }


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(_run_trial(json.load(sys.stdin), time.monotonic())))
    except Pm25mapError as error:
        sys.exit(" ".join(str(error).split()))
