r"""The table of docs/smoke.md, from what `pm25map compare --json` printed.

    python tests/smoke_figures.py --seed compare.json --interpolation interpolation.json --open open.json \
        --noise two-against-one.json

writes docs/smoke.json and, between its marks, the table of docs/smoke.md. Repeat --seed for further seeds; then
--together takes the comparison of all of them.
"""

import argparse
import json
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
STRATA = {
    "all": "all",
    "wildfire_smoke above 0": "smoke above",
    "wildfire_smoke up to 0": "no smoke above",
    "wildfire_smoke above 5": "more than light smoke above",
    "neighbours_distance above 50": "nearest monitor that feeds it over 50 km away",
    "above 35 ug/m3": "measured above 35 ug/m3",
}
FEW = 100
"""Station days below which a share of the variance says nothing."""
SCORES = {"rmse": "RMSE", "mae": "MAE", "mbe": "bias", "r2": "R2"}


def table(figures: dict) -> str:
    """Lay out the figures: a row a kind of station days and score."""
    seeds = len(figures["seeds"])
    lines = [
        "| station days | n | stations | score | interpolation | conus-open | without | with | "
        "with less without, 95 % | with: seed 2 less seed 1, 95 % |",
        "|---" * 10 + "|",
    ]
    sides = ("interpolation", "open", "noise")
    idw, default, noise = ({row["stratum"]: row for row in figures[side]["rows"]} for side in sides)
    for row in chosen(figures["together"] or figures["seeds"][0]):
        for score, spoken in SCORES.items():
            if score == "r2" and (row["n"] < FEW or row["r2"] is None):
                continue
            gain = row[score]
            others = (side[row["stratum"]][score]["second"] for side in (idw, default))
            head = [STRATA[row["stratum"]], f"{row['n']:,}", str(row["stations"])]
            lines.append(
                f"| {' | '.join(head if score == 'rmse' else ['', '', ''])} | {spoken} | "
                f"{' | '.join(f'{value:.3f}' for value in others)} | "
                f"{gain['second']:.3f} | {gain['first']:.3f} | {difference(gain)} | "
                f"{difference(noise[row['stratum']][score])} |"
            )
    if seeds > 1:
        lines += ["", "| station days | score | " + " | ".join(f"seed {i + 1}" for i in range(seeds)) + " |"]
        lines += ["|---" * (2 + seeds) + "|"]
        for rows in zip(*(chosen(seed) for seed in figures["seeds"]), strict=True):
            for score, spoken in SCORES.items():
                words = " | ".join(f"{row[score]['difference']:+.3f}" for row in rows)
                lines.append(f"| {STRATA[rows[0]['stratum']]} | {spoken} | {words} |")
    return "\n".join(lines) + "\n"


def difference(gain: dict) -> str:
    """Write a difference with its interval."""
    return f"{gain['difference']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"


def chosen(comparison: dict) -> list[dict]:
    """Pick the rows that the document shows."""
    return [row for row in comparison["rows"] if row["stratum"] in STRATA]


def written() -> str:
    """Read the tables that the document holds."""
    return (DOCS / "smoke.md").read_text().split(BEGIN)[1].split(END)[0]


def main() -> None:
    """Write figures and table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=Path, action="append", required=True)
    parser.add_argument("--together", type=Path)
    parser.add_argument("--interpolation", type=Path, required=True)
    parser.add_argument("--open", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True)
    options = parser.parse_args()

    def read(path: Path) -> dict:
        held = json.loads(path.read_text())
        return {key: held[key] for key in ("start", "end", "rows")}

    figures = {
        "seeds": [read(path) for path in options.seed],
        "together": read(options.together) if options.together else None,
        "interpolation": read(options.interpolation),
        "open": read(options.open),
        "noise": read(options.noise),
    }
    (DOCS / "smoke.json").write_text(json.dumps(figures, indent=1) + "\n")
    before, rest = (DOCS / "smoke.md").read_text().split(BEGIN)
    (DOCS / "smoke.md").write_text(before + BEGIN + table(figures) + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
