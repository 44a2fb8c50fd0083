"""Cells a second of every engine, beside the float32 matrix product of the same processor, in the same rounds."""

import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pm25map.model.calibrate import examine_engine, usable_engines
from pm25map.model.card import ModelCard, load_model
from pm25map.model.engines.independence import likely_windows
from pm25map.model.runtime import ENGINES, open_session, why_not

ROUNDS = 9
CELLS = 512
GEMM = 1_024
"""Side of the square product that stands for the processor's rate."""


def flop_a_cell(card: ModelCard) -> float:
    """Count the arithmetic of a cell, as the LSTM op does it: two for each weight that meets a number."""
    days, width, total = card.window_days, len(card.scaler.inputs), 0
    for units in card.network.lstm:
        total += days * 2 * 4 * units * (width + units)
        width = 2 * units
    total += days * width * width + 2 * width * card.network.attention
    joined = card.network.attention
    if card.place.encoder == "geoclip":
        total += card.place.dimension * card.network.attention
    return 2.0 * (total + joined * card.network.dense) * max(1, len(card.members))


@dataclass
class Clock:
    """Seconds that some work took, on the wall and of the processor; all threads count."""

    wall: float = 0.0
    busy: float = 0.0

    @classmethod
    def of(cls, work: Callable[[], object]) -> "Clock":
        """Run some work and time it."""
        wall, busy = time.perf_counter(), time.process_time()
        work()
        return cls(time.perf_counter() - wall, time.process_time() - busy)

    def fair(self, engine: str) -> float:
        """Give what a ratio is made of: other work on the machine adds nothing to seconds of the processor."""
        return self.wall if engine == "cuda" else self.busy


def time_gemm(pool: ThreadPoolExecutor, sessions: int) -> Clock:
    """Multiply float32 matrices, three times in one thread a session, as the engines run."""
    a = np.ones((GEMM, GEMM), dtype=np.float32)
    # Threads of one product wait for each other: on a busy machine a team of two is slower than one.
    with threadpool_limits(1):
        return Clock.of(lambda: list(pool.map(lambda _: [a @ a for _ in range(3)], range(sessions))))


def half_gemm() -> tuple[str, Callable[[], float]] | None:
    """Find the product in half precision that OpenVINO has here; None where the processor has none."""
    if why_not("openvino-f16") is None:
        return "f16", openvino_gemm("f16")
    return ("bf16", openvino_gemm("bf16")) if why_not("openvino-bf16") is None else None


def openvino_gemm(precision: str) -> Callable[[], float]:
    """Compile four square products of a given precision, one thread; give what runs them and gives FLOP a second."""
    vino = importlib.import_module("openvino")
    opset = importlib.import_module("openvino.opset15")
    given = opset.parameter([GEMM, GEMM], np.float32)
    weights = opset.constant(np.full((GEMM, GEMM), 1e-3, dtype=np.float32))
    held: Any = given
    for _ in range(4):
        held = opset.matmul(held, weights, False, False)
    wishes = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = vino.Core().compile_model(vino.Model([held], [given]), "CPU", wishes).create_infer_request()
    a = np.ones((GEMM, GEMM), dtype=np.float32)
    return lambda: 4 * 2.0 * GEMM**3 / Clock.of(lambda: request.infer([a])).busy


def measure(name: str, sessions: int, rounds: int = ROUNDS, cells: int = CELLS) -> dict[str, object]:
    """Run all engines of a model in turns; give medians, and ratios to stock round by round.

    Args:
        name: of a model, or its folder.
        sessions: side by side, one thread each.
        rounds: that every engine runs; odd.
        cells: of a session and round.
    """
    model = load_model(name)
    engines = usable_engines(model)
    reference = open_session(model, "cpu")
    window, place = likely_windows(model.card, cells)
    opened = {
        engine: [
            open_session(model, "auto" if engine == "cuda" else "cpu", 1, engine) for _ in range(sessions)
        ]
        for engine in engines
    }
    found = {engine: examine_engine(made[0], reference) for engine, made in opened.items()}
    clocks: dict[str, list[Clock]] = {engine: [] for engine in engines}
    products: list[Clock] = []
    halves, half = [], half_gemm() if sessions == 1 else None
    with ThreadPoolExecutor(sessions) as pool:
        for _ in range(rounds):
            products.append(time_gemm(pool, sessions))
            if half is not None:
                halves.append(half[1]())
            for engine, made in opened.items():
                estimate = partial(pool.map, lambda session: session.estimate(window, place), made)
                clocks[engine].append(Clock.of(lambda run=estimate: list(run())))
    flop = flop_a_cell(model.card)
    stock = np.array([clock.busy for clock in clocks["onnxruntime"]])
    gemm = 3 * 2.0 * GEMM**3 * sessions / np.array([clock.busy for clock in products])
    rows = {}
    for engine in engines:
        took = np.array([clock.fair(engine) for clock in clocks[engine]])
        rows[engine] = {
            "provider": found[engine].provider,
            "cells_per_second": round(sessions * cells / float(np.median([c.wall for c in clocks[engine]]))),
            "against_stock": round(float(np.median(stock / took)), 2),
            "share_of_gemm": round(float(np.median(sessions * cells * flop / took / gemm)), 2),
            "worst_ugm3": float(f"{found[engine].worst_ugm3:.1e}"),
            "refused": found[engine].refused,
        }
    return {
        "model": model.card.name,
        "lstm": list(model.card.network.lstm),
        "mflop_a_cell": round(flop / 1e6, 1),
        "sessions": sessions,
        "rounds": rounds,
        "gemm_gflops": round(float(np.median(gemm)) / 1e9),
        "half": None if half is None else half[0],
        "half_gflops": round(float(np.median(halves)) / 1e9) if halves else None,
        "engines": rows,
    }


def measure_all(cores: int) -> dict[str, object]:
    """Measure the reference's full size and the shipped model, with one session and with one a core."""
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full-size"
        script = Path(__file__).resolve().parents[1] / "full_size_model.py"
        subprocess.run([sys.executable, str(script), str(full)], check=True, capture_output=True)
        tables = [
            measure(name, sessions) for name in (str(full), "conus-open") for sessions in sorted({1, cores})
        ]
    absent = {engine: reason for engine in ENGINES if (reason := why_not(engine)) is not None}
    return {"tables": tables, "absent": absent}
