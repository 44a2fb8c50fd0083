"""How many strata would fall short by chance? python tests/strata.py --help

Strata of region, class and distance hold few stations each, and a station that is always low or high is missed on
most of its days. If all strata were alike, and the stations dealt to them at random, so many would still be short.
"""

from pathlib import Path

import click
import numpy as np

from pm25map.base.aqi import class_index
from pm25map.base.shipped import DEFAULT_MODEL
from pm25map.model.card import load_model
from pm25map.model.runtime import open_session
from pm25map.monitors import read_monitors
from pm25map.predictors.reader import open_predictors
from pm25map.scores.calibrate import WIDTH_TARGETS_A_STATION, conformalize
from pm25map.scores.calibration_data import gather_calibration_data
from pm25map.scores.coverage import LEAST
from pm25map.scores.fit_widths import fit_widths
from pm25map.scores.strata import distance_class, region_of
from pm25map.scores.targets import draw, estimate_targets

SHORT = 0.85
DRAWS = 5000
LEAST_DAYS = 30
PATH = click.Path(path_type=Path, exists=True)


def short_by_chance(inside, station, group, stratum, rng):
    """Draw how many strata fall short when each of their stations is exchanged for any of its group.

    Args:
        inside: bool (target,), whether the interval held the truth.
        station, group, stratum: numbers (target,); a station is exchanged among those of its group.
        rng: of the draws.
    """
    pool = {}
    for one in np.unique(group):
        days = [inside[(group == one) & (station == s)] for s in np.unique(station[group == one])]
        pool[one] = np.array([d.mean() for d in days if len(d) >= LEAST_DAYS])
    cells = []
    for one in np.unique(stratum):
        mine = stratum == one
        if mine.sum() >= LEAST:
            cells.append((pool[group[mine][0]], np.unique(station[mine], return_counts=True)[1]))
    short = np.zeros(DRAWS, dtype=int)
    for shares, days in cells:
        drawn = rng.choice(shares, (DRAWS, len(days)))
        short += drawn @ days / days.sum() < SHORT
    return short


def short_of(inside, stratum):
    """Count the strata that hold less than 85 %, of those with 200 targets or more."""
    names, count = np.unique(stratum, return_counts=True)
    return sum(inside[stratum == name].mean() < SHORT for name in names[count >= LEAST])


@click.command()
@click.option("--monitors", type=PATH, required=True)
@click.option("--predictors", type=PATH, required=True)
@click.option("--cache", type=PATH)
def main(monitors, predictors, cache):
    session = open_session(load_model(DEFAULT_MODEL), "cpu", threads=1)
    given = read_monitors(monitors), open_predictors(predictors)
    data = gather_calibration_data(session, *given, None, None, cache, 1)
    few = draw(data.targets(~data.held_out), WIDTH_TARGETS_A_STATION, 1)
    learned, judged = (
        estimate_targets(session, data.samples, data.place, chosen)
        for chosen in (few, data.targets(data.held_out))
    )
    widths, half = fit_widths(learned.terms, learned.residual), data.fold_of_places(2)[judged.station]
    group, truth = class_index(judged.pm25), np.maximum(judged.truth, 0)
    region = region_of(data.samples.lat, data.samples.lon)[judged.station]
    stratum = 100 * region + 10 * group + distance_class(judged.distance)
    bounds = {fold: conformalize(widths, judged.select(half != fold)) for fold in (0, 1)}
    for tail in (bounds[0].tail, 0.04, 0.03, 0.02):
        lower, upper = np.empty(len(truth)), np.empty(len(truth))
        for fold, made in bounds.items():
            mine = judged.select(half == fold)
            other = type(made)(widths, made.probabilities, made.quantiles, tail)
            lower[half == fold], upper[half == fold] = other.interval(mine.pm25, mine.terms)
        inside = (truth >= lower) & (truth <= upper)
        click.echo(
            f"{tail:.3f} beyond either end: {inside.mean():.1%} inside, width {np.mean(upper - lower):.1f} ug/m3, "
            f"{short_of(inside, stratum)} strata short"
        )
        if tail == bounds[0].tail:
            drawn = short_by_chance(inside, judged.station, group, stratum, np.random.default_rng(0))
            low, high = np.percentile(drawn, [5, 95])
            click.echo(
                f"by chance {drawn.mean():.1f} ({low:.0f} to {high:.0f}), none: {(drawn == 0).mean():.2%}"
            )


if __name__ == "__main__":
    main()
