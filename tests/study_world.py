"""A small invented folder of a study's results: each variant errs in a way that is known."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd

from pm25map.scores.strata import distance_class

STATIONS, DAYS, FOLDS = 60, 80, 2
SPLITS = ("random-10", "stations-10", "checkerboard-8-2", "west-to-east")
ERRORS = {"none": 3.0, "latlon": 4.0, "geoclip-hadamard": 2.0, "idw": 3.5, "kriging": 3.0}
"""ug m-3: standard deviation of each variant's noise; geoclip's is that of none beyond 100 km."""
SEEDS = {"none": (0, 1), "geoclip-hadamard": (0, 1)}
NOT_RUN = "satclip-hadamard"
START = dt.date(2020, 6, 1)


def stations(seed: int = 0) -> pd.DataFrame:
    """Stations over the country, the west of them in one region, half of them urban."""
    rng = np.random.default_rng(seed)
    lon = rng.uniform(-120, -78, STATIONS)
    return pd.DataFrame(
        {
            "site_id": [f"s{i:03d}" for i in range(STATIONS)],
            "latitude": rng.uniform(33, 45, STATIONS),
            "longitude": lon,
            "state": "XX",
            "region": np.where(lon < -100, "West", "South"),
            "urban": np.arange(STATIONS) % 2 == 0,
            "held_out": False,
        }
    )


def predictions(split: str, fold: int, variant: str, seed: int) -> pd.DataFrame:
    """Predictions of one run: every station of the fold on every day, the truth the same for all runs."""
    truth = np.random.default_rng(5).gamma(2, 6, (STATIONS, DAYS))
    distance = np.random.default_rng([7, len(split)]).gamma(1.5, 60, STATIONS)
    rng = np.random.default_rng([len(split), fold, len(variant), seed])
    spread = np.full(STATIONS, ERRORS[variant])
    if variant == "geoclip-hadamard":
        spread[distance_class(distance) >= 3] = ERRORS["none"]
    tested = np.arange(STATIONS) % FOLDS == fold
    noise = rng.normal(0, 1, truth.shape) * spread[:, None]
    site, day = (a.ravel() for a in np.meshgrid(np.flatnonzero(tested), np.arange(DAYS), indexing="ij"))
    dates = [START + dt.timedelta(days=int(i)) for i in day]
    return pd.DataFrame(
        {
            "site_id": [f"s{i:03d}" for i in site],
            "date": pd.Series(dates, dtype="object"),
            "truth": truth[site, day].astype(np.float32),
            "prediction": np.maximum(truth + noise, 0)[site, day].astype(np.float32),
            "distance_km": distance[site].astype(np.float32),
            "parameter_code": 88101,
        }
    )


def results(folder: Path, splits: tuple[str, ...] = SPLITS) -> Path:
    """Write the folder as the matrix does."""
    for name in ("predictions", "attention", "importance"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    stations().to_parquet(folder / "stations.parquet")
    rows = []
    for split in splits:
        for fold in range(FOLDS):
            for variant in ERRORS:
                for seed in SEEDS.get(variant, (0,)):
                    rows.append(_run(folder, split, fold, variant, seed))
            rows.append(
                _row(split, fold, NOT_RUN, 0) | {"status": "not run", "reason": "no checkpoint on disk"}
            )
    pd.DataFrame(rows).to_parquet(folder / "runs.parquet")
    return folder


def _run(folder: Path, split: str, fold: int, variant: str, seed: int) -> dict:
    from pm25map.scores.sums import score

    name = f"{split}-{fold}-{variant}-{seed}"
    made = predictions(split, fold, variant, seed)
    made.to_parquet(folder / "predictions" / f"{name}.parquet")
    if variant in SEEDS:
        weight = np.exp(-np.arange(21) / 4)
        pd.DataFrame({"day_before": np.arange(21), "weight": weight / weight.sum()}).to_parquet(
            folder / "attention" / f"{name}.parquet"
        )
        features = {"neighbours_idw9": 2.0, "neighbours_calm": 1.5, "elevation": 0.1, "relief": -0.01}
        pd.DataFrame({"feature": list(features), "rmse_increase": list(features.values())}).to_parquet(
            folder / "importance" / f"{name}.parquet"
        )
    return _row(split, fold, variant, seed) | {"status": "done", "reason": ""} | score(made)


def _row(split: str, fold: int, variant: str, seed: int) -> dict:
    return {
        "split": split, "fold": fold, "variant": variant, "seed": seed, "epochs": 2, "seconds": 12.5,
        "device": "cpu", "threads": 1, "versions": json.dumps({"numpy": np.__version__}),
        "data_checksum": "d" * 64, "commit": "c" * 40, "finished": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
