"""Choice of the fastest engine that is accurate enough: measured in interleaved rounds, chosen by a stated rule."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pm25map.base.errors import EngineRefused
from pm25map.model.card import Model
from pm25map.model.engines.independence import check_batch_independence, likely_windows
from pm25map.model.engines.session import EngineName, Session
from pm25map.model.runtime import ENGINES, open_session, why_not

STOCK: EngineName = "onnxruntime"

FASTER = 1.1
"""How much faster than stock an engine must be to be chosen: a smaller difference is noise."""

WORST_UGM3 = 0.1
"""Largest difference from stock of an engine that may be chosen, ug m-3."""


@dataclass(frozen=True)
class EngineRate:
    """The rate and accuracy of one engine on this machine.

    Attributes:
        engine, provider: its name, and what actually runs.
        cells_per_second: of all sessions together; the median round. 0 of an engine that is refused.
        worst_ugm3: largest difference from stock over the windows of the calibration, ug m-3.
        refused: why it may not be taken; empty where it may.
    """

    engine: EngineName
    provider: str
    cells_per_second: float
    worst_ugm3: float
    refused: str = ""


def usable_engines(model: Model) -> tuple[EngineName, ...]:
    """List the engines that can run a model on this machine; stock first."""
    unrolled = "unrolled" in model.card.graphs
    return tuple(name for name in ENGINES if why_not(name) is None and (unrolled or name in (STOCK, "cuda")))


def calibrate(
    model: Model,
    engines: Sequence[EngineName],
    seconds: float = 5.0,
    threads: int = 1,
    sessions: int = 1,
) -> tuple[EngineRate, ...]:
    """Measure engines on windows like real ones.

    Engines take turns, so that what else runs on the machine slows all of them alike. Each is first opened and
    must pass check_batch_independence; then its worst difference from stock is taken.

    Args:
        model: to run.
        engines: to compare, stock among them or not.
        seconds: of measuring, all engines together; opening and checking come on top.
        threads: of each session.
        sessions: side by side, as the workers of a map.

    Returns:
        One rate an engine, in their order.

    Raises:
        BadInstall, BadModel, DeviceUnavailable: as open_session.
    """
    reference = open_session(model, "cpu", threads)
    rates: dict[EngineName, list[float]] = {name: [] for name in engines}
    opened: dict[EngineName, list[Session]] = {}
    examined: dict[EngineName, EngineRate] = {}
    for name in engines:
        sessions_of_engine = [open_session(model, "cuda" if name == "cuda" else "cpu", threads, name)]
        examined[name] = examine_engine(sessions_of_engine[0], reference)
        if not examined[name].refused:
            opened[name] = sessions_of_engine + [
                open_session(model, "cuda" if name == "cuda" else "cpu", threads, name)
                for _ in range(sessions - 1)
            ]
    with ThreadPoolExecutor(sessions) as pool:
        start = time.perf_counter()
        while opened and (time.perf_counter() - start < seconds or not all(rates[name] for name in opened)):
            for name, sessions_of_engine in opened.items():
                rates[name].append(_one_round(sessions_of_engine, pool))
    return tuple(
        EngineRate(
            name,
            examined[name].provider,
            float(np.median(rates[name])) if rates[name] else 0.0,
            examined[name].worst_ugm3,
            examined[name].refused,
        )
        for name in engines
    )


def _one_round(sessions: list[Session], pool: ThreadPoolExecutor) -> float:
    """Run one call of every session side by side; return cells a second."""
    cells = sessions[0].cells_a_call
    window, place = likely_windows(sessions[0].card, cells)
    start = time.perf_counter()
    list(pool.map(lambda session: session.estimate(window, place), sessions))
    return len(sessions) * cells / (time.perf_counter() - start)


def examine_engine(session: Session, reference: Session, cells: int = 512) -> EngineRate:
    """Check an engine's independence of its batch, and its difference from stock; its rate is left 0."""
    worst, refused = float("inf"), ""
    try:
        check_batch_independence(session)
        window, place = likely_windows(session.card, cells, seed=3)
        worst = float(np.abs(session.run(window, place) - reference.run(window, place)).max())
        if not worst <= WORST_UGM3:
            raise EngineRefused(
                f"engine {session.engine} ({session.provider}) is refused: it differs from stock ONNX Runtime by up "
                f"to {worst:.2g} ug/m3, more than {WORST_UGM3}. Use --engine {STOCK}"
            )
    except EngineRefused as error:
        refused = str(error)
    name: EngineName = session.engine  # type: ignore[assignment]  # a session's own name is one of them
    return EngineRate(name, session.provider, 0.0, worst, refused)


def choose_engine(rates: Sequence[EngineRate]) -> EngineName:
    """Choose the fastest engine that is at least FASTER times as fast as stock and within WORST_UGM3; else stock.

    Examples:
        >>> stock = EngineRate("onnxruntime", "CPUExecutionProvider", 100.0, 0.0)
        >>> choose_engine([stock, EngineRate("openvino", "OpenVINO CPU f32", 109.0, 0.0)])
        'onnxruntime'
        >>> choose_engine([stock, EngineRate("openvino", "OpenVINO CPU f32", 111.0, 0.0)])
        'openvino'
    """
    base = max((rate.cells_per_second for rate in rates if rate.engine == STOCK), default=0.0)
    fit = [
        rate
        for rate in rates
        if not rate.refused
        and rate.worst_ugm3 <= WORST_UGM3
        and rate.cells_per_second >= FASTER * base
        and rate.cells_per_second > 0
    ]
    return max(fit, key=lambda rate: rate.cells_per_second).engine if fit else STOCK


def resolve_engine(
    model: Model, engine: EngineName | Literal["auto"], threads: int = 1, sessions: int = 1
) -> EngineName:
    """Turn what --engine says into an engine: "auto" is measured, another than stock is checked first.

    Raises:
        EngineRefused: the named engine depends on its batch, or differs too much from stock.
        BadInstall, BadModel, DeviceUnavailable, UnknownName: as open_session.
    """
    if engine == "auto":
        return choose_engine(calibrate(model, usable_engines(model), threads=threads, sessions=sessions))
    if engine != STOCK:
        reference = open_session(model, "cpu", threads)
        device: Literal["cpu", "cuda"] = "cuda" if engine == "cuda" else "cpu"
        refused = examine_engine(open_session(model, device, threads, engine), reference).refused
        if refused:
            raise EngineRefused(refused)
    return engine
