"""All numbers of a study's page, from a folder of results: small enough to be kept beside the page.

Scores pool the targets of all folds of a split that were run; `folds` keeps each fold's own, as the reference gives
mean and standard deviation over folds. Intervals are 95 %, from resamples of whole stations.
"""

import itertools
import json
import math
from typing import Any

import numpy as np
import pandas as pd

from pm25map.base.errors import BadStudy
from pm25map.laboratory.study.reading import DONE, Results
from pm25map.scores import paired
from pm25map.scores.resampling import Resampled
from pm25map.scores.strata import ALL, strata
from pm25map.scores.sums import NAMES, scores_with_intervals, station_sums

Summary = dict[str, Any]

SPLITS = (
    "random-10", "stations-10", "knndm-10", "blisco-10", "checkerboard-8-2", "checkerboard-8-10",
    "checkerboard-16-2", "checkerboard-16-10", "west-to-east", "east-to-west", "leave-year-out",
)  # fmt: skip
"""In the order of the page: from tests near the monitors to tests far from them, then in time."""
VARIANTS = (
    "none", "latlon", "sincos", "geoclip-hadamard", "geoclip-concat", "geoclip-without-capsule-2",
    "places-open-hadamard", "satclip-hadamard", "satclip-concat", "idw", "kriging", "gradient-boosting",
    "neighbours-kriging",
)  # fmt: skip
BASELINES = ("idw", "kriging", "gradient-boosting", "neighbours-kriging")
PLAIN, ENCODED, OPEN, INTERPOLATION = "none", "geoclip-hadamard", "places-open-hadamard", "idw"
PAIRED_KINDS = (ALL, "distance", "concentration", "region", "season", "setting", "smoke")
BINS_UGM3 = (0, 2, 4, 6, 8, 10, 12, 15, 20, 25, 35, 55, 90, 125, math.inf)
"""Of the estimate: where the bins of the reliability end."""


def summarise(results: Results, protocol: dict[str, Any], draws: int = 1000) -> Summary:
    """Return all numbers of the page, rounded, as JSON holds them.

    Args:
        results: a folder of them.
        protocol: for the page: the configuration as it was read.
        draws: resamples of the stations.

    Raises:
        BadStudy: a run's predictions are missing.
    """
    splits = _in_order(results.runs["split"], SPLITS)
    variants = _in_order(results.runs["variant"], VARIANTS)
    done = {(row.split, row.variant) for row in results.done.itertuples()}
    summary: Summary = {
        "protocol": protocol,
        "record": _record(results),
        "splits": splits,
        "variants": variants,
        "not_run": _not_run(results, splits, variants),
        "runs": _runs(results),
        "folds": _folds(results),
        "scores": [],
        "paired": [],
        "reliability": [],
        "importance": _importance(results),
        "attention": _attention(results),
    }
    for split in splits:
        frames = {name: results.predictions(split, name) for name in variants if (split, name) in done}
        for variant, frame in frames.items():
            summary["scores"] += _scores(split, variant, frame, results.stations, draws)
            summary["reliability"].append({"split": split, "variant": variant, "bins": _reliability(frame)})
        summary["paired"] += _pairs(split, frames, results.stations, draws)
    return summary


def _in_order(names: "pd.Series[str]", known: tuple[str, ...]) -> list[str]:
    there = set(names)
    return [name for name in known if name in there] + sorted(there - set(known))


def _record(results: Results) -> Summary:
    done = results.done
    record = {
        name: sorted(set(done[name].astype(str)))
        for name in ("data_checksum", "commit", "device")
        if name in done
    }
    versions = [json.loads(text) for text in sorted(set(done["versions"]))] if "versions" in done else []
    return record | {
        "versions": versions,
        "threads": sorted({int(n) for n in done["threads"].dropna()}) if "threads" in done else [],
        "hours": _rounded(float(done["seconds"].sum()) / 3600, 2) if "seconds" in done else None,
        "finished": [str(done["finished"].min())[:10], str(done["finished"].max())[:10]]
        if "finished" in done
        else [],
        "runs": len(done),
        "stations": len(results.stations),
        "urban": int(results.stations["urban"].sum()),
    }


def _not_run(results: Results, splits: list[str], variants: list[str]) -> list[Summary]:
    """List why runs were not done, each reason once a variant."""
    missing = results.runs[results.runs["status"] != DONE]
    rows = []
    for (variant, reason), part in missing.groupby(["variant", "reason"], sort=False):
        there = [split for split in splits if split in set(part["split"])]
        rows.append({"variant": variant, "reason": reason, "splits": there})
    return sorted(rows, key=lambda row: variants.index(row["variant"]))


def _runs(results: Results) -> list[Summary]:
    """Return a row for each run: its time and scores."""
    kept = (
        "split",
        "fold",
        "variant",
        "seed",
        "n",
        "stations",
        "r2",
        "rmse",
        "mae",
        "mbe",
        "epochs",
        "seconds",
    )
    rows = results.done[[name for name in kept if name in results.done]].to_dict("records")
    return [{str(key): _plain(value) for key, value in row.items()} for row in rows]


def _folds(results: Results) -> list[Summary]:
    """Return each split and variant's scores fold by fold, means over seeds."""
    rows = []
    for (split, variant), part in results.done.groupby(["split", "variant"], sort=False):
        by_fold = part.groupby("fold")[["r2", "rmse"]].mean()
        rows.append(
            {"split": split, "variant": variant, "folds": [int(i) for i in by_fold.index]}
            | {name: [_rounded(value) for value in by_fold[name]] for name in ("r2", "rmse")}
        )
    return rows


def _scores(
    split: str, variant: str, frame: pd.DataFrame, stations: pd.DataFrame, draws: int
) -> list[Summary]:
    rows = []
    values = {name: frame[name].to_numpy() for name in ("site", "seed", "truth", "prediction")}
    centre = float(frame["truth"].mean())
    for (kind, name), mask in strata(frame, stations).items():
        part = {key: value[mask] for key, value in values.items()}
        sums = station_sums(**part, stations=len(stations), centre=centre)
        resampled = scores_with_intervals(sums, draws)
        kept = NAMES if kind == ALL else ("r2", "rmse", "mae", "mbe")
        rows.append(
            {
                "split": split,
                "variant": variant,
                "kind": kind,
                "stratum": name,
                "n": round(float(sums[:, 0].sum())),
                "stations": int((sums[:, 0] > 0).sum()),
            }
            | {score: _triple(resampled[score]) for score in kept}
        )
    return rows


def _pairs(split: str, frames: dict[str, pd.DataFrame], stations: pd.DataFrame, draws: int) -> list[Summary]:
    """Compare every variant with none, the networks with every baseline, and the two trained encoders."""
    losses = {name: paired.losses(frame) for name, frame in frames.items()}
    networks = [name for name in frames if name not in BASELINES]
    pairs = [(name, PLAIN) for name in frames if name != PLAIN and PLAIN in frames]
    pairs += [(a, b) for a, b in itertools.product(networks, BASELINES) if b in frames]
    pairs += [(OPEN, ENCODED)] if {OPEN, ENCODED} <= set(frames) else []
    rows: list[Summary] = []
    for variant, other in pairs:
        rows_of_both = paired.pair(losses[variant], losses[other])
        parts = strata(rows_of_both, stations)
        kinds: tuple[str, ...] = PAIRED_KINDS if (variant, other) == (ENCODED, PLAIN) else (ALL,)
        if other == PLAIN and variant in networks and variant != ENCODED:
            kinds = (ALL, "distance", "region")
        for (kind, name), mask in parts.items():
            if kind not in kinds:
                continue
            test = paired.compare(rows_of_both[mask], draws)
            if test is None:
                raise BadStudy(
                    f"{variant} and {other} share no target on {split}: run the same folds of both"
                )
            rows.append(
                {
                    "split": split, "variant": variant, "other": other, "kind": kind, "stratum": name, "n": test.n,
                    "stations": test.stations, "rmse": _rounded(test.rmse), "rmse_other": _rounded(test.rmse_other),
                    "difference": _triple(test.difference), "gain_percent": _triple(test.gain_percent, 2),
                    "p_bootstrap": _rounded(test.p_bootstrap, 4), "p_wilcoxon": _rounded(test.p_wilcoxon, 6),
                }
            )  # fmt: skip
    whole: list[Summary] = [row for row in rows if row["kind"] == ALL]
    for row, p in zip(whole, paired.adjust([_or_nan(row["p_wilcoxon"]) for row in whole]), strict=True):
        row["p_adjusted"] = _rounded(p, 6)
    return rows


def _reliability(frame: pd.DataFrame) -> list[list[float | None]]:
    """Bin by the estimate: mean estimate, mean observation, share of targets, bins of 20 targets or more."""
    bins = np.digitize(frame["prediction"], BINS_UGM3[1:-1])
    grouped = frame.assign(bin=bins).groupby("bin")[["prediction", "truth"]].agg(["mean", "size"])
    rows = []
    for _, row in grouped.iterrows():
        n = row[("truth", "size")]
        if n >= 20:
            rows.append([_rounded(row[("prediction", "mean")]), _rounded(row[("truth", "mean")]), int(n)])
    return rows


def _importance(results: Results) -> list[Summary]:
    frame = results.extras("importance")
    rows = []
    for (split, variant), part in frame.groupby(["split", "variant"], sort=False) if len(frame) else ():
        mean = part.groupby("feature")["rmse_increase"].mean().sort_values(ascending=False)
        rows.append(
            {
                "split": split,
                "variant": variant,
                "rmse_increase": {str(k): _rounded(v) for k, v in mean.items()},
            }
        )
    return rows


def _attention(results: Results) -> list[Summary]:
    frame = results.extras("attention")
    rows = []
    for (split, variant), part in frame.groupby(["split", "variant"], sort=False) if len(frame) else ():
        mean = part.groupby("day_before")["weight"].mean().sort_index()
        rows.append({"split": split, "variant": variant, "weight": [_rounded(v, 4) for v in mean]})
    return rows


def _triple(resampled: Resampled, digits: int = 3) -> list[float | None]:
    return [_rounded(value, digits) for value in (resampled.value, resampled.low, resampled.high)]


def _rounded(value: float, digits: int = 3) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return _rounded(float(value))
    return int(value) if isinstance(value, np.integer) else value
