"""What a short history costs: a model on stations held out, with only the last days of their windows present.

    python tests/short_windows.py MODEL MONITORS STATIC.zarr CACHE [--start DAY --end DAY]

MONITORS, the store with static layers and the cache are those of training (docs/model.md). Missing days at the
window's beginning take the daily fields of the first day that is present, as the reader of a store does. Prints a
table: RMSE and MAE as ratios of inverse distance and of kriging, with 95 % intervals by bootstrap over stations.
"""

import argparse
import datetime as dt
from pathlib import Path

import numpy as np

from pm25map.model.card import load_model
from pm25map.model.places import place_vectors
from pm25map.model.runtime import open_session
from pm25map.model.splits import hold_out_stations
from pm25map.monitors import read_monitors
from pm25map.predictors.neighbours import FIELDS
from pm25map.predictors.reader import open_predictors
from pm25map.windows.gaps import fill_missing_days
from pm25map.windows.samples import gather_samples

PRESENT = (21, 14, 7, 3, 1)
DRAWS = 1000
AT_ONCE = 4096


def errors(found, truth, station, count):
    """Sums of squared and absolute errors, and targets, by station: (3, station)."""
    error = found.astype(np.float64) - truth
    return np.stack([np.bincount(station, w, count) for w in (error**2, np.abs(error), np.ones(len(error)))])


def ratios(ours, base, draws):
    """RMSE and MAE as ratios of a baseline: estimate, low and high each; draws count stations (draw, station)."""
    one, other = draws @ ours.T, draws @ base.T  # (draw, 3)
    rmse = np.sqrt(one[:, 0] / one[:, 2]) / np.sqrt(other[:, 0] / other[:, 2])
    mae = (one[:, 1] / one[:, 2]) / (other[:, 1] / other[:, 2])
    return [(r[0], *np.percentile(r[1:], [2.5, 97.5])) for r in (rmse, mae)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "monitors", "static", "cache"):
        parser.add_argument(name)
    parser.add_argument("--start", type=dt.date.fromisoformat)
    parser.add_argument("--end", type=dt.date.fromisoformat)
    asked = parser.parse_args()
    session = open_session(load_model(asked.model), "cpu")
    card, training = session.card, session.card.training
    monitors = read_monitors(Path(asked.monitors))
    sites = monitors.sites
    held = hold_out_stations(
        sites["latitude"].to_numpy(),
        sites["longitude"].to_numpy(),
        training.holdout_fraction,
        training.holdout_seed,
    )
    first = training.start - dt.timedelta(days=card.window_days - 1)
    samples = gather_samples(
        monitors,
        open_predictors(Path(asked.static)),
        card.scaler.features,
        first,
        training.end,
        held,
        Path(asked.cache),
    )
    judged = np.isin(samples.site_ids, sites["site_id"].to_numpy(dtype=str)[held])
    targets = samples.targets(
        judged, asked.start or training.start, asked.end or training.end, card.window_days
    )
    place, _ = place_vectors(card.place.encoder, samples.lat, samples.lon)
    daily = np.isin(samples.features, FIELDS)
    truth = samples.truth[targets[:, 0], targets[:, 1]]
    stations, number = np.unique(targets[:, 0], return_inverse=True)
    today = samples.values[targets[:, 0], targets[:, 1]]
    bases = {
        name: errors(today[:, samples.features.index(field)], truth, number, len(stations))
        for name, field in (("interpolation", "neighbours_idw9"), ("kriging", "neighbours_kriging"))
    }
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(stations), np.full(len(stations), 1 / len(stations)), DRAWS)
    draws = np.vstack([np.ones(len(stations)), drawn])
    print(f"{card.name}: {len(truth):,} station-days of {len(stations)} stations")  # noqa: T201
    whole = None
    for present in PRESENT:
        estimate = np.empty(len(truth), dtype=np.float32)
        there = np.arange(card.window_days) >= card.window_days - present
        for start in range(0, len(targets), AT_ONCE):
            part = targets[start : start + AT_ONCE]
            window = fill_missing_days(samples.windows(part, card.window_days), there, daily)
            spot = None if place is None else place[part[:, 0]]
            estimate[start : start + len(part)] = session.run(card.scaler.apply(window), spot)
        ours = errors(estimate, truth, number, len(stations))
        whole = ours if whole is None else whole
        cells = [
            " | ".join(
                f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in ratios(ours, base, draws)
            )
            for base in (*bases.values(), whole)
        ]
        print(f"| {present} | " + " | ".join(cells) + " |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
