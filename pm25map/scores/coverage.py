"""Coverage: how often intervals contain the truth, by region, class, distance and season."""

import itertools

import numpy as np
import numpy.typing as npt

from pm25map.base.aqi import CATEGORIES, class_index
from pm25map.model.intervals import CoverageRow, ReliabilityRow
from pm25map.raster.bands import EXCEEDANCE
from pm25map.scores.strata import REGIONS, SEASONS, distance_class, distance_names, season_of
from pm25map.scores.targets import Targets

LEAST = 200
"""Match-ups that a stratum of region, class and distance needs to be listed."""

SMOKE_MONTHS, SMOKE_UGM3 = (7, 8, 9, 10), 35.4

PROBABILITIES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
"""Ends of the classes in which forecast probabilities are compared with what happened."""

Bools = npt.NDArray[np.bool_]


def coverage_rows(
    targets: Targets,
    region: npt.NDArray[np.int64],
    month: npt.NDArray[np.int64],
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
) -> tuple[CoverageRow, ...]:
    """Count how often the truth lies inside, in all and in every stratum.

    Args:
        targets: that calibration did not use.
        region: of each target, numbers of REGIONS.
        month: of each target, 1 to 12.
        lower, upper: of the intervals, ug m-3.
    """
    truth = np.maximum(targets.truth, 0)
    inside = (truth >= lower) & (truth <= upper)
    regions = {name: region == i for i, name in enumerate(REGIONS)}
    far = distance_class(targets.distance)
    distances = {f"nearest station {name}": far == i for i, name in enumerate(distance_names())}
    estimated, observed = (class_index(values) for values in (targets.pm25, truth))
    classes = {f"estimate {c.name}": estimated == i for i, c in enumerate(CATEGORIES)}
    observed_classes = {f"observed {c.name}": observed == i for i, c in enumerate(CATEGORIES)}
    seasons = {name: season_of(month) == i for i, name in enumerate(SEASONS)}
    smoke = np.isin(month, SMOKE_MONTHS) & (targets.pm25 > SMOKE_UGM3)
    strata: dict[str, Bools] = {"all": np.ones(len(truth), dtype=np.bool_)}
    strata |= regions | distances | classes | observed_classes | seasons
    strata[f"smoke (July to October, estimate above {SMOKE_UGM3:g} ug/m3)"] = smoke
    for (a, in_a), (b, in_b), (c, in_c) in itertools.product(
        regions.items(), classes.items(), distances.items()
    ):
        both = in_a & in_b & in_c
        if np.count_nonzero(both) >= LEAST:
            strata[f"{a}, {b}, {c}"] = both
    rows = []
    for name, chosen in strata.items():
        if chosen.any():
            rows.append(
                CoverageRow(
                    stratum=name,
                    n=int(chosen.sum()),
                    stations=len(np.unique(targets.station[chosen])),
                    coverage_percent=round(100 * float(inside[chosen].mean()), 2),
                    width_ugm3=round(float((upper - lower)[chosen].mean()), 2),
                )
            )
    return tuple(rows)


def reliability_rows(
    truth: npt.NDArray[np.float64], forecast: dict[float, npt.NDArray[np.float64]]
) -> tuple[ReliabilityRow, ...]:
    """Compare probabilities with what happened.

    Args:
        truth: of each target, ug m-3.
        forecast: probability that the truth lies above a level, by level.
    """
    rows = []
    for level in EXCEEDANCE:
        p = forecast[level]
        number = np.digitize(p, PROBABILITIES[1:-1])
        for i, (low, high) in enumerate(itertools.pairwise(PROBABILITIES)):
            chosen = number == i
            if chosen.any():
                rows.append(
                    ReliabilityRow(
                        level=level,
                        low=low,
                        high=high,
                        n=int(chosen.sum()),
                        forecast=round(float(p[chosen].mean()), 4),
                        observed=round(float((truth[chosen] > level).mean()), 4),
                    )
                )
    return tuple(rows)
