"""The test that every engine must pass: a cell's result depends on its own window and place, and on nothing else."""

import numpy as np

from pm25map.base.errors import EngineRefused
from pm25map.model.card import ModelCard
from pm25map.model.engines.session import FloatArray, Session

BATCHES = (*(1,) * 16, 3, 33, 70, 100, 150, 200)
"""Cells at a time beside a full call: alone, few, and remainders on both sides of a quantum.

Often alone: a kernel that sums in another order gives many a cell the same bits by chance.
"""


def likely_windows(card: ModelCard, cells: int, seed: int = 0) -> tuple[FloatArray, FloatArray | None]:
    """Generate windows and places like real ones: days resemble each other, some values miss, few are extreme.

    Returns:
        float32 (cell, day, input), scaled; float32 (cell, d), or None for a model without a place.
    """
    rng = np.random.default_rng(seed)
    features, inputs = len(card.scaler.features), card.scaler.inputs
    # A heavy tail for days of smoke; a value of the day before weighs 0.8, as PM2.5 and weather do.
    noise = rng.standard_t(5, (cells, card.window_days, features)) * 0.6
    values = rng.normal(size=(cells, features))
    window = np.zeros((cells, card.window_days, len(inputs)), dtype=np.float32)
    for day in range(card.window_days):
        values = 0.8 * values + noise[:, day]
        window[:, day, :features] = np.clip(values, -8, 8)
    for i, name in enumerate(card.scaler.indicators, start=features):
        missing = rng.random((cells, card.window_days)) < 0.05
        window[..., i] = missing
        window[..., card.scaler.features.index(name)][missing] = 0
    if not card.place.dimension:
        return window, None
    return window, rng.normal(0, 0.5, (cells, card.place.dimension)).astype(np.float32)


def check_batch_independence(session: Session) -> None:
    """Compare, bit by bit, cells of a full call with the same cells alone, reordered and among extreme cells.

    Raises:
        EngineRefused: a cell's result changed; on a map, blocks would leave seams.
    """
    window, place = likely_windows(session.card, min(session.cells_a_call, 512), seed=1)
    whole = session.estimate(window, place)
    count = len(window)
    starts = np.cumsum((0, *BATCHES)) % count
    trials = [
        (f"{n} at a time", np.arange(start, start + n) % count)
        for n, start in zip(BATCHES, starts, strict=False)
    ]
    trials.append(("in another order", np.random.default_rng(2).permutation(count)))
    for what, order in trials:
        estimates = session.estimate(window[order], None if place is None else place[order])
        _compare(session, what, estimates, whole[:, order])
    half = count // 2
    mates = window.copy()
    mates[half:] = np.where(mates[half:] < 0, -8, 8)
    _compare(session, "beside extreme cells", session.estimate(mates, place)[:, :half], whole[:, :half])


def _compare(session: Session, what: str, estimates: FloatArray, expected: FloatArray) -> None:
    if np.array_equal(estimates, expected):
        return
    worst = float(np.abs(estimates[0] - expected[0]).max())
    raise EngineRefused(
        f"engine {session.engine} ({session.provider}) is refused: cells {what} differ by up to {worst:.2g} ug/m3 "
        "from the same cells in a full call. Use --engine onnxruntime"
    )
