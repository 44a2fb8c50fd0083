"""Tables of a study's page, as Markdown, from its numbers."""

import datetime as dt
from statistics import mean, stdev
from typing import Any

from pm25map.laboratory.study.phrases import (
    NOT_RUN,
    best,
    folds_of,
    number,
    pair_of,
    row_of,
    same_folds,
    verdict,
    with_interval,
)
from pm25map.laboratory.study.published import GAINS, PUBLISHED
from pm25map.laboratory.study.summary import ENCODED, PLAIN, Summary
from pm25map.scores.strata import ALL, distance_words

GROUPS = {
    "near": ("random-10", "stations-10", "knndm-10", "blisco-10"),
    "far": (
        "checkerboard-8-2", "checkerboard-8-10", "checkerboard-16-2", "checkerboard-16-10", "west-to-east",
        "east-to-west",
    ),
    "time": ("leave-year-out",),
}  # fmt: skip
"""Splits that stand in one table."""


def table(head: list[str], rows: list[list[str]]) -> str:
    """Format rows as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def answers(summary: Summary, variant: str, other: str, *splits: str) -> str:
    """Answer for each split whether a variant is better than another: errors on the same targets, gain, verdict."""
    rows, missing = [], []
    for split in splits:
        against = best(summary, split, other.removeprefix("best-")) if other.startswith("best-") else other
        row = pair_of(summary, split, variant, against)
        if row is None:
            missing.append(split)
            continue
        gain = with_interval(row["gain_percent"], 1, signed=True)
        values = [f"{row['n']:,}", number(row["rmse_other"]), number(row["rmse"]), gain]
        rows.append(
            [split, f"`{against}`", *values, verdict(summary, split, variant, against).removesuffix(" than")]
        )
    head = ["split", "against", "targets", "RMSE of the other", f"RMSE of `{variant}`", "gain, %", "result"]
    lines = [table(head, rows)] if rows else []
    if missing:
        lines.append(f"`{variant}` and what it is compared with were not both run on {', '.join(missing)}.")
    return "\n\n".join(lines)


def protocol(summary: Summary) -> str:
    """Describe the protocol: days, folds, variants, network, training."""
    config = summary["protocol"]
    if not config:
        return "The protocol was not kept."
    days = [_length(block) for block in config["blocks"]]
    blocks = "; ".join(f"{block['start']} to {block['end']}" for block in config["blocks"])
    folds = "; ".join(f"`{name}` {', '.join(map(str, which))}" for name, which in config["splits"].items())
    shape, training = config["network"], config["training"]
    lstm = "/".join(map(str, shape["lstm"]))
    rows = [
        ["target days", f"{sum(days)} in {len(days)} blocks: {blocks}"],
        ["window", f"{config['window_days']} days, the estimated day last"],
        ["predictors", f"{len(config['features'])}: {', '.join(config['features'])}"],
        ["folds that were run", folds],
        ["networks", f"LSTM {lstm}, attention {shape['attention']}, dense {shape['dense']}"],
        ["training", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in training.items())],
        ["seeds", f"{', '.join(map(str, config['seeds']))} of the networks, {config['split_seed']} of the splits"],
    ]  # fmt: skip
    return f"{' '.join(str(config['description']).split())}\n\n" + table(["what", "value"], rows)


def _length(block: dict[str, Any]) -> int:
    start, end = (dt.date.fromisoformat(str(block[key])) for key in ("start", "end"))
    return (end - start).days + 1


def record(summary: Summary) -> str:
    """Describe where the numbers come from."""
    provenance = summary["record"]
    versions = sorted(
        {f"{name} {text}" for packages in provenance["versions"] for name, text in packages.items()}
    )
    rows = [
        [
            "runs",
            f"{provenance['runs']}, {provenance['hours']} hours of them in all, {' to '.join(provenance['finished'])}",
        ],
        ["stations", f"{provenance['stations']}, {provenance['urban']} of them urban"],
        [
            "device",
            f"{', '.join(provenance.get('device', []))}; {', '.join(map(str, provenance['threads']))} threads a run",
        ],
        ["versions", ", ".join(versions)],
        ["data", ", ".join(f"`{one[:16]}`" for one in provenance.get("data_checksum", []))],
        ["commit", ", ".join(f"`{one[:12]}`" for one in provenance.get("commit", []))],
    ]
    return table(["what", "value"], rows)


def scores(summary: Summary, group: str, name: str) -> str:
    """Score every variant on the splits of a group: values with intervals, the best value of a split in bold."""
    splits = [split for split in GROUPS[group] if split in summary["splits"]]
    if not splits:
        return "None of these splits was run."
    digits = 3 if name.startswith("r2") else 2
    best = {}
    for split in splits:
        whole = [v for v in summary["variants"] if folds_of(summary, split, v) == folds_of(summary, split)]
        there = [row[name][0] for v in whole if (row := row_of(summary, split, v))]
        known = [value for value in there if value is not None]
        best[split] = (max(known) if name == "r2" else min(known)) if known else None
    rows = []
    for variant in summary["variants"]:
        cells = []
        for split in splits:
            row = row_of(summary, split, variant)
            text = NOT_RUN if row is None else with_interval(row[name], digits)
            mine = folds_of(summary, split, variant)
            if row is not None and mine != folds_of(summary, split):
                text += f", fold {', '.join(map(str, sorted(mine)))} only"
            cells.append(f"**{text}**" if row is not None and row[name][0] == best[split] else text)
        rows.append([f"`{variant}`", *cells])
    return table(["variant", *splits], rows)


def parts(summary: Summary, *splits: str) -> str:
    """Divide the error of every variant into parts within and between stations."""
    names = ("rmse", "rmse_within", "rmse_between", "r2_within", "r2_between", "mae", "mbe")
    rows = []
    for split in splits:
        for variant in summary["variants"]:
            row = row_of(summary, split, variant)
            if row is not None:
                values = [number(row[n][0], 3 if n.startswith("r2") else 2, signed=n == "mbe") for n in names]
                rows.append([split, f"`{variant}`", f"{row['n']:,}", *values])
    head = ["RMSE", "within", "between", "R2 within", "R2 between", "MAE", "MBE"]
    return table(["split", "variant", "targets", *head], rows)


def strata(summary: Summary, split: str, *variants: str) -> str:
    """Score some variants in every stratum of a split, and give the gain of GeoCLIP against none."""
    chosen = [name for name in variants if row_of(summary, split, name)]
    if not chosen:
        return f"`{split}` was not run."
    rows = []
    for first in (row for row in summary["scores"] if row["split"] == split and row["variant"] == chosen[0]):
        key = (first["kind"], first["stratum"])
        found_rows = [row_of(summary, split, name, *key) for name in chosen]
        values = [number(row["rmse"][0]) if row else "-" for row in found_rows]
        bias = [number(row["mbe"][0], 2, signed=True) if row else "-" for row in found_rows]
        pair = pair_of(summary, split, ENCODED, PLAIN, *key)
        gain = f"{with_interval(pair['gain_percent'], 1, signed=True)}" if pair else "-"
        name = "all" if first["kind"] == ALL else f"{first['kind']}: {first['stratum']}"
        cells = [f"{value} ({away})" for value, away in zip(values, bias, strict=True)]
        rows.append([name, f"{first['n']:,}", str(first["stations"]), *cells, gain])
    head = ["stratum", "targets", "stations", *(f"`{name}`" for name in chosen), "gain of GeoCLIP, %"]
    if all(row[-1] == "-" for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return table(head, rows)


def distance(summary: Summary) -> str:
    """Return the gain of GeoCLIP against none by distance to the nearest training station, per cent of the RMSE."""
    rows = []
    for split in summary["splits"]:
        cells = []
        for words in distance_words():
            pair = pair_of(summary, split, ENCODED, PLAIN, "distance", words)
            cells.append(with_interval(pair["gain_percent"], 1, signed=True) if pair else "-")
        if set(cells) != {"-"}:
            rows.append([split, *cells])
    return table(["split", *distance_words()], rows) if rows else "Not run."


def pairs(summary: Summary, other: str, *variants: str) -> str:
    """Compare variants (all where none is named) with another one on every split."""
    rows = []
    for row in summary["paired"]:
        if row["kind"] == ALL and row["other"] == other and (not variants or row["variant"] in variants):
            rows.append(
                [
                    row["split"], f"`{row['variant']}`", f"{row['n']:,}", number(row["rmse"]),
                    number(row["rmse_other"]),
                    with_interval(row["difference"], 2, signed=True),
                    with_interval(row["gain_percent"], 1, signed=True),
                    _p(row["p_bootstrap"]), _p(row["p_adjusted"]),
                ]
            )  # fmt: skip
    head = ["RMSE", f"of `{other}`", "difference", "gain, %", "p, bootstrap", "p, Wilcoxon, adjusted"]
    return table(["split", "variant", "targets", *head], rows) if rows else "Not compared."


def _p(value: float | None) -> str:
    return "-" if value is None else ("< 0.001" if value < 0.001 else f"{value:.3f}")


def published(summary: Summary) -> str:
    """Set the published figures beside ours, line by line."""
    folds = {(row["split"], row["variant"]): row for row in summary["folds"]}
    rows = []
    for line in PUBLISHED:
        theirs = number(line.value) + (f" ± {line.spread:.3f}" if line.spread is not None else "")
        row, whole = folds.get((line.split, line.variant)), row_of(summary, line.split, line.variant)
        if row is None or whole is None or (line.fold is not None and line.fold not in row["folds"]):
            ours, interval = NOT_RUN, "-"
        elif line.fold is not None:
            ours, interval = number(row[line.score][row["folds"].index(line.fold)]), "-"
        else:
            known = [value for value in row[line.score] if value is not None]
            ours = number(mean(known)) + (f" ± {stdev(known):.3f}" if len(known) > 1 else "")
            interval = with_interval(whole[line.score])
        unit = "R2" if line.score == "r2" else "RMSE"
        rows.append([line.what, unit, theirs, ours, interval, line.comparable])
    head = ["line", "score", "published", "ours, mean ± sd over folds", "ours, pooled", "what is comparable"]
    return table(head, rows)


def published_gains(summary: Summary) -> str:
    """Set the published gain of GeoCLIP in R2 beside ours."""
    rows = []
    for what, split, plain, encoded in GAINS:
        mine, other = row_of(summary, split, ENCODED), row_of(summary, split, PLAIN)
        pair = pair_of(summary, split, ENCODED, PLAIN)
        if mine is None or other is None or pair is None or not same_folds(summary, split, ENCODED, PLAIN):
            rows.append([what, number(encoded - plain, 3, signed=True), NOT_RUN, "-", "-"])
            continue
        ours = mine["r2"][0] - other["r2"][0]
        share = f"{100 * ours / (encoded - plain):.0f} %"
        gain = with_interval(pair["gain_percent"], 1, signed=True)
        rows.append(
            [what, number(encoded - plain, 3, signed=True), number(ours, 3, signed=True), share, gain]
        )
    return table(["line", "published gain in R2", "ours", "share", "our gain in RMSE, %"], rows)


def not_run(summary: Summary) -> str:
    """List what was not run, and why."""
    rows = [[f"`{row['variant']}`", ", ".join(row["splits"]), row["reason"]] for row in summary["not_run"]]
    return table(["variant", "splits", "why"], rows) if rows else "Every run of the matrix was made."


def runs(summary: Summary) -> str:
    """List every run: its fold, size, scores and time."""
    rows = []
    for row in summary["runs"]:
        time = number(row.get("seconds"), 0)
        values = [
            number(row["r2"], 3),
            number(row["rmse"]),
            number(row["mae"]),
            number(row["mbe"], 2, signed=True),
        ]
        rows.append([row["split"], str(row["fold"]), f"`{row['variant']}`", str(row["seed"]), f"{row['n']:,}",
                     str(row["stations"]), *values, time])  # fmt: skip
    head = ["split", "fold", "variant", "seed", "targets", "stations", "R2", "RMSE", "MAE", "MBE", "seconds"]
    return table(head, rows)


def audit(summary: Summary) -> str:
    """List the leaks that the audit found, planted and in the pipeline as it is."""
    leaks = summary.get("audit")
    if leaks is None:
        return "The audit was not run on this machine."
    names = list(leaks["findings"][0]["evidence"])
    rows = [
        [
            row["leak"],
            row["planted"] or "**missed**",
            *(row["evidence"][name] or "not found" for name in names),
        ]
        for row in leaks["findings"]
    ]
    words = f"{leaks['stations']} stations, {leaks['days'][0]} to {leaks['days'][1]}:\n\n"
    return words + table(["leak", "planted, it is found by", *(f"as it is: {name}" for name in names)], rows)


def importance(summary: Summary, most: str = "8") -> str:
    """List the predictors whose permutation costs most."""
    rows = []
    for row in summary["importance"]:
        top = list(row["rmse_increase"].items())[: int(most)]
        rows.append(
            [row["split"], f"`{row['variant']}`", ", ".join(f"{name} {number(v)}" for name, v in top)]
        )
    return (
        table(["split", "variant", "rise of the RMSE when permuted, ug/m3"], rows)
        if rows
        else "Not measured."
    )


def attention(summary: Summary) -> str:
    """Describe how the attention is distributed over the window."""
    rows = []
    for row in summary["attention"]:
        weight = row["weight"]
        shares = [weight[0], sum(weight[1:4]), sum(weight[4:7]), sum(weight[7:])]
        rows.append([row["split"], f"`{row['variant']}`", *(f"{100 * share:.0f} %" for share in shares)])
    head = ["split", "variant", "the day itself", "1 to 3 days before", "4 to 6", "7 and more"]
    return table(head, rows) if rows else "Not measured."
