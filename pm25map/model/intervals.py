"""Conformal bounds of an estimate, and the probability that PM2.5 exceeds the classes of the Air Quality Index.

`Widths` scales the distance between truth and estimate; the quantiles of the scaled distances at stations that the
model never saw, whole stations at a time, turn the widths into bounds that hold (split conformal prediction).
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from pm25map.base.errors import BadModel
from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.model.card import Model, cover_files, read_beside
from pm25map.model.widths import FIELDS, Widths

CARD_FILE = "intervals.json"
CONFIDENCE = 0.9

_DECIDES = ("network_checksum", "widths", "probabilities", "quantiles", "tail")


class CoverageRow(BaseModel):
    """Coverage: how often the truth lay inside the interval, at stations that calibration did not use.

    Attributes:
        stratum: which targets.
        n, stations: how many targets, of how many stations.
        coverage_percent: of the targets.
        width_ugm3: mean width of the intervals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stratum: str
    n: int
    stations: int
    coverage_percent: float
    width_ugm3: float


class ReliabilityRow(BaseModel):
    """Reliability: how often PM2.5 was above a level where a probability of that was forecast; crosswise.

    Attributes:
        level: ug m-3.
        low, high: of the forecast probabilities in this row.
        n: targets.
        forecast, observed: mean probability, and the share of targets above the level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float
    low: float
    high: float
    n: int
    forecast: float
    observed: float


class IntervalCard(BaseModel):
    """The contents of intervals.json.

    Attributes:
        network_checksum: of the model that the intervals belong to.
        widths: the scale of the distances, fitted on training stations, each left out of its own neighbours.
        probabilities, quantiles: of (sqrt truth - sqrt estimate) / width at the stations held out; growing.
        tail: probability beyond either end of the interval: 5 % would do for another day of these stations,
            a little less is for a station that none of them stands for (see `tail_for`).
        start, end: days of the targets.
        stations, targets: that calibrated.
        coverage: of intervals calibrated on one half of these stations, at the stations of the other half, and
            the other way round.
        coverage_training: the same at the training stations, each left out of its own neighbours, widths and
            calibration from other stations (tenfold); their values did train the network.
        reliability: of the probabilities, crosswise at the stations held out.
        command: that computes it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network_checksum: str
    widths: Widths
    probabilities: tuple[float, ...]
    quantiles: tuple[float, ...]
    tail: float
    start: dt.date
    end: dt.date
    stations: int
    targets: int
    coverage: tuple[CoverageRow, ...]
    coverage_training: tuple[CoverageRow, ...]
    reliability: tuple[ReliabilityRow, ...]
    command: str

    @property
    def checksum(self) -> str:
        """SHA-256 over what decides an interval; how it was judged does not count."""
        return sha256_of_bytes(self.model_dump_json(include=set(_DECIDES)).encode())


@dataclass(frozen=True, eq=False)
class Bounds:
    """Widths with their calibration, for intervals and probabilities of any estimates.

    Attributes:
        widths: scale of the distance between truth and estimate.
        probabilities, quantiles: of the scaled distances (quantile,), growing.
        tail: probability left out below the lower end of the interval, and above the upper.
    """

    widths: Widths
    probabilities: npt.NDArray[np.float64]
    quantiles: npt.NDArray[np.float64]
    tail: float

    def interval(
        self, pm25: npt.NDArray[np.floating], terms: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the 90 % interval of estimates: lower and upper (cell,), ug m-3."""
        root = np.sqrt(np.maximum(pm25.astype(np.float64), 0))
        below, above = self.widths.of(terms)
        low, high = np.interp([self.tail, 1 - self.tail], self.probabilities, self.quantiles)
        lower = root + low * (below if low < 0 else above)
        upper = root + high * (above if high > 0 else below)
        return np.maximum(lower, 0) ** 2, np.maximum(upper, 0) ** 2

    def exceedance(
        self, pm25: npt.NDArray[np.floating], terms: npt.NDArray[np.float64], level: float
    ) -> npt.NDArray[np.float64]:
        """Return the probability (cell,) that the truth lies above a level, ug m-3."""
        root = np.sqrt(np.maximum(pm25.astype(np.float64), 0))
        below, above = self.widths.of(terms)
        distance = np.sqrt(level) - root
        scaled = distance / np.where(distance > 0, above, below)
        p, q = self.probabilities, self.quantiles
        share = np.interp(scaled, q, p)
        # Beyond the outermost quantiles the tails go on as exponentials: none is ever quite zero.
        for end, next_, sign in ((0, 1, 1.0), (-1, -2, -1.0)):
            tail = p if end == 0 else 1 - p
            rate = np.log(tail[next_] / tail[end]) / abs(q[next_] - q[end])
            outside = sign * (q[end] - scaled)
            rest = tail[end] * np.exp(-rate * np.maximum(outside, 0))
            share = np.where(outside > 0, rest if end == 0 else 1 - rest, share)
        probability: npt.NDArray[np.float64] = 1 - share
        return probability


def tail_for(stations: int) -> float:
    """Return the probability beyond either end of a 90 % interval that some stations calibrated.

    Days of one station resemble each other, so that stations are what is exchangeable: one more station is as if
    drawn among them, and a share of 1 / (stations + 1) stays unknown (hierarchical conformal prediction; Lee,
    Barber & Willett 2023, arXiv:2306.06342).

    >>> round(tail_for(130), 4)
    0.0465
    """
    return (1 - CONFIDENCE * (1 + 1 / stations)) / 2


def save_intervals(folder: Path, card: IntervalCard) -> None:
    """Write the calibration of a model into its folder, and its checksum into the model's card."""
    with replacing(folder / CARD_FILE) as part:
        part.write_text(card.model_dump_json(indent=1) + "\n")
    cover_files(folder)


def load_intervals(model: Model) -> IntervalCard:
    """Read the calibration of a model.

    Raises:
        BadModel: the model has none, or it is damaged or of another network, or a feature of the widths is missing.
    """
    path = model.network.parent / CARD_FILE
    again = f"make it with pm25map calibrate --model {model.card.name}"
    content = read_beside(model, CARD_FILE, again)
    if content is None:
        raise BadModel(f"model {model.card.name} has no {CARD_FILE}: {again}")
    try:
        card = IntervalCard.model_validate_json(content)
    except ValidationError as error:
        raise BadModel(f"{path} is damaged: {error.errors()[0]['msg']}; {again}") from error
    if card.network_checksum != model.card.network_checksum:
        raise BadModel(f"{path} belongs to another network than that of {model.card.name}: {again}")
    check_fields(model)
    return card


def check_fields(model: Model) -> None:
    """Refuse a model that does not read what the widths depend on.

    Raises:
        BadModel: it does not read one of FIELDS.
    """
    missing = [name for name in FIELDS if name not in model.card.scaler.features]
    if missing:
        raise BadModel(
            f"model {model.card.name} does not read {missing[0]}, by which intervals adapt: "
            "train it with the features of the neighbours source"
        )


def bounds_of(card: IntervalCard) -> Bounds:
    """Return the bounds that a card describes."""
    return Bounds(card.widths, np.array(card.probabilities), np.array(card.quantiles), card.tail)
