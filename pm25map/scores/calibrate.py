"""Calibrate a model on station samples: its area of applicability and its intervals."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadInstall, BadMonitors
from pm25map.diagnostics.applicability import Applicability
from pm25map.diagnostics.descriptors import choose_descriptors
from pm25map.diagnostics.dissimilarity import training_points
from pm25map.model.intervals import Bounds, CoverageRow, ReliabilityRow, tail_for
from pm25map.model.runtime import Session
from pm25map.model.widths import Widths
from pm25map.raster.bands import EXCEEDANCE
from pm25map.scores.calibration_data import CalibrationData
from pm25map.scores.coverage import coverage_rows, reliability_rows
from pm25map.scores.fit_widths import fit_widths
from pm25map.scores.strata import region_of
from pm25map.scores.targets import Targets, draw, estimate_targets
from pm25map.windows.samples import Progress, StationSamples

TAIL_LEVELS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.49,
)  # fmt: skip
"""Shares of the scaled distances below each kept quantile; the upper tail has the same."""

LEAST_IN_TAIL = 20
"""Calibration targets that must lie beyond a quantile for it to be kept."""

LEAST_STATIONS = 20

WIDTH_TARGETS_A_STATION = 150
"""Training targets of a station that the widths are fitted on."""

POINTS_A_STATION = 4
"""Reference targets of a station, evenly over its levels, beside its highest."""

SENSITIVITY_TARGETS = 3000
FOLDS = 10


def calibrate_applicability(data: CalibrationData) -> Applicability:
    """Draw reference points from the training stations and find the threshold by folds of whole places."""
    samples, session, place = data.samples, data.session, data.place
    rng = np.random.default_rng(data.seed)
    chosen = _spread_over_levels(data.targets(~data.held_out), samples, rng)
    window, spots = _windows(session, samples, place, chosen)
    descriptors = choose_descriptors(session.card, window, spots)
    some = rng.permutation(len(chosen))[:SENSITIVITY_TARGETS]
    weight = descriptors.sensitivity(session, window[some], None if spots is None else spots[some], data.seed)
    values = descriptors.describe(window, spots)
    fold = data.fold_of_places(FOLDS)[chosen[:, 0]]
    return Applicability(descriptors, training_points(values, weight, fold))


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Calibrated intervals, and their coverage at stations that calibration did not use (see IntervalCard)."""

    bounds: Bounds
    stations: int
    targets: int
    coverage: tuple[CoverageRow, ...]
    coverage_training: tuple[CoverageRow, ...]
    reliability: tuple[ReliabilityRow, ...]


def calibrate_intervals(data: CalibrationData, progress: Progress | None = None) -> Calibrated:
    """Fit widths on training stations, calibrate them on those held out, and count the coverage crosswise.

    Raises:
        BadInstall: mapie is absent.
        BadMonitors: there are too few targets or stations.
    """
    samples = data.samples
    few = draw(data.targets(~data.held_out), WIDTH_TARGETS_A_STATION, data.seed)
    training = estimate_targets(data.session, samples, data.place, few, progress)
    held_out_targets = data.targets(data.held_out)
    held_out = estimate_targets(data.session, samples, data.place, held_out_targets, progress)
    widths = fit_widths(training.terms, training.residual)
    half = data.fold_of_places(2)[held_out.station]
    crosswise = {fold: conformalize(widths, held_out.select(half != fold)) for fold in (0, 1)}
    ten = data.fold_of_places(FOLDS)[training.station]
    tenfold = {}
    for fold in range(FOLDS):
        others = training.select(ten != fold)
        tenfold[fold] = conformalize(fit_widths(others.terms, others.residual), others)
    inside, chance = _coverage(data, held_out, half, crosswise)
    return Calibrated(
        conformalize(widths, held_out),
        len(np.unique(held_out.station)),
        len(held_out_targets),
        inside,
        _coverage(data, training, ten, tenfold)[0],
        reliability_rows(held_out.truth, chance),
    )


def _coverage(
    data: CalibrationData, targets: Targets, fold: npt.NDArray[np.int64], bounds: dict[int, Bounds]
) -> tuple[tuple[CoverageRow, ...], dict[float, npt.NDArray[np.float64]]]:
    """Count the coverage of targets, each by the bounds of its fold, and the probabilities of exceeding the levels."""
    lower, upper = np.empty(len(fold)), np.empty(len(fold))
    chance = {level: np.empty(len(fold)) for level in EXCEEDANCE}
    for one, fold_bounds in bounds.items():
        mine = fold == one
        part = targets.select(mine)
        lower[mine], upper[mine] = fold_bounds.interval(part.pm25, part.terms)
        for level, probability in chance.items():
            probability[mine] = fold_bounds.exceedance(part.pm25, part.terms, level)
    region = region_of(data.samples.lat, data.samples.lon)[targets.station]
    month = np.array([day.month for day in data.samples.days])[targets.day]
    return coverage_rows(targets, region, month, lower, upper), chance


def conformalize(widths: Widths, held_out: Targets) -> Bounds:
    """Find the quantiles of the scaled distances at stations used neither for the model nor for the widths.

    Raises:
        BadInstall: mapie is absent.
        BadMonitors: there are too few targets or stations for an interval of 90 %.
    """
    below, above = widths.of(held_out.terms)
    residual = held_out.residual
    scaled = residual / np.where(residual > 0, above, below)
    stations = len(np.unique(held_out.station))
    if stations < LEAST_STATIONS:
        raise BadMonitors(
            f"{stations} stations held out are too few to calibrate intervals: {LEAST_STATIONS} are the least. "
            "Give more monitors, or a model that held out more"
        )
    tail = tail_for(stations)
    levels = sorted({tail, *(level for level in TAIL_LEVELS if level * len(scaled) >= LEAST_IN_TAIL)})
    if tail * len(scaled) < LEAST_IN_TAIL:
        raise BadMonitors(
            f"{len(scaled)} targets at the stations held out are too few to calibrate intervals: "
            f"{int(LEAST_IN_TAIL / tail)} are the least. Choose more days"
        )
    low, high = _quantiles(scaled, levels)
    return Bounds(
        widths,
        np.array([*levels, *(1 - level for level in reversed(levels))]),
        np.maximum.accumulate([*low, *reversed(high)]),
        tail,
    )


def _quantiles(scaled: npt.NDArray[np.float64], levels: list[float]) -> tuple[Any, Any]:
    """Return the conformal quantiles of both tails, by split conformal prediction of an estimate of zero."""
    try:
        regression = importlib.import_module("mapie.regression")
        scores = importlib.import_module("mapie.conformity_scores")
        dummy = importlib.import_module("sklearn.dummy")
    except ImportError as error:
        raise BadInstall(
            "calibration needs mapie, which is not installed. Run: pip install 'pm25map[train]'"
        ) from error
    nothing = np.zeros((len(scaled), 1))
    zero = dummy.DummyRegressor(strategy="constant", constant=0.0).fit(nothing, scaled)
    conformal = regression.SplitConformalRegressor(
        zero,
        confidence_level=[1 - 2 * level for level in levels],
        conformity_score=scores.AbsoluteConformityScore(sym=False),
        prefit=True,
    ).conformalize(nothing, scaled)
    _, ends = conformal.predict_interval(nothing[:1])
    return ends[0, 0], ends[0, 1]


def _spread_over_levels(
    targets: npt.NDArray[np.int64], samples: StationSamples, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Choose targets of every station at even ranks of the observations, and its highest: (target, 2)."""
    level = samples.truth[targets[:, 0], targets[:, 1]]
    kept = []
    for station in np.unique(targets[:, 0]):
        mine = np.nonzero(targets[:, 0] == station)[0]
        order = mine[np.argsort(level[mine], kind="stable")]
        at = (np.arange(POINTS_A_STATION) + rng.uniform()) / POINTS_A_STATION * len(order)
        kept += [*order[at.astype(np.int64)], order[-1]]
    chosen: npt.NDArray[np.int64] = targets[np.unique(kept)]
    return chosen


def _windows(
    session: Session,
    samples: StationSamples,
    place: npt.NDArray[np.float32] | None,
    targets: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Return the scaled windows of targets, (target, day, input), and their places."""
    window = session.card.scaler.apply(samples.windows(targets, session.card.window_days))
    return window, None if place is None else place[targets[:, 0]]
