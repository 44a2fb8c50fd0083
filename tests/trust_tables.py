"""The tables of docs/trust.md, from the calibration that comes with the default model: figures are never typed.

Try: python tests/trust_tables.py
"""

import re
from pathlib import Path

from pm25map.base.shipped import DEFAULT_MODEL
from pm25map.model.card import load_model
from pm25map.model.intervals import load_intervals

PAGE = Path(__file__).parents[1] / "docs" / "trust.md"
LEAST_PERCENT = 85
LEVELS = (9.0, 35.4, 125.4)
"""Levels of exceedance, ug/m3, whose reliability the page shows."""


def strata_of(intervals, observed):
    """Lay out one row a single stratum: those of the observation, or all others."""
    training = {row.stratum: row for row in intervals.coverage_training}
    lines = [
        "| | match-ups | stations | held out: inside | width | training stations: inside | width |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in intervals.coverage:
        if row.stratum.count(",") == 2 or row.stratum.startswith("observed") != observed:
            continue
        other = training[row.stratum]
        lines.append(
            f"| {row.stratum} | {row.n:,} | {row.stations} | {row.coverage_percent:.1f} % | {row.width_ugm3:.1f} | "
            f"{other.coverage_percent:.1f} % | {other.width_ugm3:.1f} |"
        )
    return "\n".join(lines)


def short_strata(intervals):
    """Lay out the combinations of region, class and distance that hold less than 85 %."""
    lines = ["| stratum | match-ups | stations | inside | width |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.stratum} | {row.n:,} | {row.stations} | {row.coverage_percent:.1f} % | {row.width_ugm3:.1f} |"
        for row in intervals.coverage
        if row.stratum.count(",") == 2 and row.coverage_percent < LEAST_PERCENT
    ]
    return "\n".join(lines)


def reliability_of(intervals):
    """Lay out forecast probabilities against what was observed."""
    lines = [
        "| level, ug/m3 | forecast probability | match-ups | mean forecast | observed |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.level:g} | {row.low:.0%} to {row.high:.0%} | {row.n:,} | {row.forecast:.1%} | {row.observed:.1%} |"
        for row in intervals.reliability
        if row.level in LEVELS
    ]
    return "\n".join(lines).replace("%", " %")


def render(page):
    """Fill the tables between their marks in the text of the page."""
    intervals = load_intervals(load_model(DEFAULT_MODEL))
    tables = {
        "intervals": strata_of(intervals, observed=False),
        "short": short_strata(intervals),
        "observed": strata_of(intervals, observed=True),
        "reliability": reliability_of(intervals),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        filled = f"{begin}{table}\n{end}"
        page, times = re.subn(f"{begin}.*?{end}", lambda _, f=filled: f, page, flags=re.DOTALL)
        assert times == 1, name
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
