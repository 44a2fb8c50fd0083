"""A backfill beside the bare engine, and its peak memory for few and for many days.

Seconds of the processor count what all threads did, and hardly what else ran on the machine: the share is taken
of them.
"""

import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pm25map.model.card import load_model
from pm25map.model.runtime import open_session

FIRST, LAST = dt.date(2020, 9, 5), dt.date(2020, 9, 20)
BARE_CELLS = 40_000
LENGTHS = (3, 30, 300)


def measure_all(workers: int) -> dict[str, object]:
    """Measure both; give figures by name."""
    return {"sample": _sample(workers), "memory": _memory(workers)}


def _sample(workers: int) -> dict[str, object]:
    """Backfill the days of the sample, with the bare engine before and after."""
    before = _bare_cpu(workers)
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "--start",
            str(FIRST),
            "--end",
            str(LAST),
            "--out",
            f"{folder}/maps",
            "--workers",
            str(workers),
        ]
        busy = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = _run("backfill", *words, "--calibrate", "5", "--json")
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(path.stat().st_size for path in Path(folder, "maps").rglob("*.tif"))
    after = _bare_cpu(workers)
    happened, planned, expected = told["happened"], told["planned"], told["forecast"]
    # The trial of five seconds on every worker is part of the command, and not of the work.
    cpu = now.ru_utime + now.ru_stime - busy.ru_utime - busy.ru_stime - 5.0 * workers
    cells = happened["estimates"]
    return {
        "days": planned["days"]["todo"],
        "cells": cells,
        "seconds": round(happened["seconds"], 1),
        "cells_per_second": round(cells / happened["seconds"]),
        "share_of_engine": round(float(np.mean([before, after])) * cells / cpu, 3),
        "chunk_reads": round(planned["chunk_reads"] / planned["chunks"], 2),
        "read_bytes": [planned["read_bytes"], happened["read_bytes"]],
        "forecast_seconds": round(expected["seconds"], 1),
        "peak_mb": [round(expected["peak_bytes"] / 1e6), round(happened["peak_bytes"] / 1e6)],
        "file_mb": [round(expected["file_bytes"] / 1e6, 2), round(size / 1e6, 2)],
    }


def _bare_cpu(workers: int) -> float:
    """Give the processor seconds that the engine alone takes for a cell, so many sessions at a time."""
    model = load_model("conus-open")
    rng = np.random.default_rng(0)
    shape = (2_000, model.card.window_days, len(model.card.scaler.inputs))
    window = rng.normal(size=shape).astype(np.float32)
    place = rng.normal(scale=0.1, size=(2_000, model.card.place.dimension)).astype(np.float32)
    sessions = [open_session(model, "cpu") for _ in range(workers)]
    for session in sessions:
        session.run(window, place)
    rounds = BARE_CELLS // len(window) // workers
    worked = time.process_time()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda session: [session.run(window, place) for _ in range(rounds)], sessions))
    return (time.process_time() - worked) / (rounds * workers * len(window))


def _memory(workers: int) -> list[dict[str, object]]:
    """Backfill few and many days of a small invented world; give the peak of each."""
    import map_world  # torch makes its model: only here

    found = []
    with tempfile.TemporaryDirectory() as folder:
        world = map_world.build_world(Path(folder), map_world.WINDOW + max(LENGTHS))
        first = map_world.first_day()
        for length in LENGTHS:
            last = first + dt.timedelta(days=length - 1)
            words = [
                "--start",
                str(first),
                "--end",
                str(last),
                "--out",
                f"{folder}/maps{length}",
                *world.words(),
            ]
            told = _run("backfill", *words, "--workers", str(workers), "--calibrate", "0", "--json")
            found.append({"days": length, "peak_mb": round(told["happened"]["peak_bytes"] / 1e6)})
    return found


def _run(*words: str) -> dict[str, dict[str, float]]:
    """Run the program in a process of its own; give what it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "pm25map", *words],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    told: dict[str, dict[str, float]] = json.loads(ran.stdout)
    return told
