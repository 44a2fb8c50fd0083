"""Match-ups of monitors with estimates, and their scores: no monitor is compared with an estimate that it fed.

Two ways. With a model, every station is estimated as if it did not exist: neither its values nor those of a monitor
at the same place are in its neighbours. With maps, a station at the place of a monitor that fed them is marked.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pm25map.base.errors import BadMonitors
from pm25map.diagnostics.applicability import APPLICABLE, DISSIMILARITY, Applicability, load_applicability
from pm25map.model.card import Model
from pm25map.model.intervals import Bounds, bounds_of, load_intervals
from pm25map.model.places import place_vectors
from pm25map.model.runtime import Session
from pm25map.monitors import Monitors
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.neighbours import Stations
from pm25map.predictors.reader import Predictors
from pm25map.scores.evaluate import ESTIMATE, TARGETS_AT_ONCE, estimates, match, of_model
from pm25map.scores.held_out import (
    BASELINES,
    check_grid,
    held_out_in_training,
    join_targets,
    with_baselines,
)
from pm25map.scores.strata import REGIONS, parts_of, region_of
from pm25map.scores.table import StratumErrors, score_by_stratum
from pm25map.scores.targets import interval_terms
from pm25map.windows.gaps import fill_silent_days
from pm25map.windows.samples import Progress, station_samples

LEFT_OUT = "left out"
USED = "used by the map"
NOT_USED = "not used by the map"

COLUMNS = (
    "site_id", "date", "latitude", "longitude", "region", "observed_ugm3", "pm25_ugm3", "pm25_lower_ugm3",
    "pm25_upper_ugm3", "interpolation_ugm3", "kriging_ugm3", "inside_interval", "distance_km", "dissimilarity",
    "applicable", "station_is", "trained_on",
)  # fmt: skip
"""Columns of the match-ups; NaN where a layer is not known."""


ESTIMATES = {ESTIMATE: "pm25_ugm3"} | {name: f"{name}_ugm3" for name in BASELINES}
"""Estimates that are scored, and their columns of the match-ups."""


@dataclass(frozen=True, eq=False)
class Trust:
    """The calibration in a model's folder; None where a file is absent, which `missing` then names."""

    bounds: Bounds | None
    applicability: Applicability | None
    missing: tuple[str, ...]


def trust_of(model: Model, *, required: bool) -> Trust:
    """Read the calibration of a model.

    Raises:
        BadModel: a file is damaged or of another network; or absent, where it is required.
    """
    missing = []
    cards: list[Any] = []
    for name, load in [("intervals.json", load_intervals), ("applicability.json", load_applicability)]:
        absent = not (model.network.parent / name).is_file()
        if absent and not required:
            missing.append(name)
            cards.append(None)
        else:
            cards.append(load(model))
    return Trust(None if cards[0] is None else bounds_of(cards[0]), cards[1], tuple(missing))


def match_left_out(
    session: Session,
    trust: Trust,
    monitors: Monitors,
    neighbours: Monitors | None,
    predictors: Predictors,
    start: dt.date,
    end: dt.date,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Estimate every monitor as if it were not there.

    Args:
        session: the model.
        trust: of the model.
        monitors: to compare with.
        neighbours: that feed the estimates; the same monitors where None.
        predictors: a store with the static layers of the model's features, on the model's grid.
        start, end: days of the match-ups.
        progress: called with the work done and the work in all.

    Returns:
        COLUMNS, a row a station and day, by site and date.

    Raises:
        BadMonitors: no monitor measured on these days, or none has neighbours.
        BadPredictors: the store lies on another grid than the model's.
    """
    card = session.card
    check_grid(predictors, card)
    check_measured(monitors, start, end)
    trained = _trained_on(session, monitors)
    first = start - dt.timedelta(days=card.window_days - 1)
    joined, held_out = monitors, np.zeros(len(monitors.sites), dtype=np.bool_)
    if neighbours is not None:
        memory = first - dt.timedelta(days=MEMORY_DAYS)
        joined, held_out = join_targets(neighbours.between(memory, end), monitors.between(memory, end))
    features = with_baselines(card.scaler.features, predictors)
    samples = fill_silent_days(station_samples(joined, predictors, features, first, end, held_out, progress))
    prefix = "" if neighbours is None else "target "
    judged = np.array([name.startswith(prefix) for name in samples.site_ids])
    targets = samples.targets(judged, start, end, card.window_days)
    if not len(targets):
        feeding = monitors if neighbours is None else neighbours
        days = feeding.days
        raise BadMonitors(
            f"no monitor in the grid has neighbours on a day of {start} to {end}: the monitors that feed the "
            f"estimates hold {days[0]} to {days[-1]}, and an estimate needs another monitor than the compared one"
        )
    place, _ = place_vectors(card.place.encoder, samples.lat, samples.lon)
    own = of_model(session, samples)
    pm25 = estimates(session, own, targets, progress, place=place)
    matches = match(samples, targets)
    frame = pd.DataFrame(
        {
            "site_id": [samples.site_ids[i].removeprefix(prefix) for i in matches.station],
            "date": pd.to_datetime([samples.days[i] for i in matches.day]),
            "latitude": samples.lat[matches.station],
            "longitude": samples.lon[matches.station],
            "observed_ugm3": matches.truth,
            "pm25_ugm3": pm25,
            "distance_km": matches.distance,
            "station_is": LEFT_OUT,
        }
    )
    for name, values in matches.baselines.items():
        if values is not None:
            frame[ESTIMATES[name]] = values
    if trust.bounds is not None:
        lower, upper = trust.bounds.interval(pm25, interval_terms(samples, targets, pm25))
        frame = frame.assign(pm25_lower_ugm3=lower, pm25_upper_ugm3=upper)
    if trust.applicability is not None:
        layers = []
        for at in range(0, len(targets), TARGETS_AT_ONCE):
            part = targets[at : at + TARGETS_AT_ONCE]
            window = card.scaler.apply(own.windows(part, card.window_days))
            layers.append(trust.applicability.of(window, None if place is None else place[part[:, 0]]))
        for band in (DISSIMILARITY, APPLICABLE):
            frame[band.name] = np.concatenate([layer[band] for layer in layers])
    frame["trained_on"] = frame["site_id"].map(trained).fillna("unknown")
    late = (frame["date"].dt.date < card.training.start) | (frame["date"].dt.date > card.training.end)
    frame.loc[late, "trained_on"] = "no, another period"
    return complete(frame)


def feeding_words(feeding: Monitors, frame: pd.DataFrame, start: dt.date, end: dt.date, which: str) -> str:
    """Describe what fed the estimates of match-ups: how many stations, and how far away the nearest one was.

    Args:
        feeding: the monitors that did.
        frame: match-ups, as COLUMNS.
        start, end: of the match-ups.
        which: monitors these are, in words.
    """
    count = feeding.between(start, end).observations["site_id"].nunique()
    known = frame.loc[frame["station_is"] != USED, "distance_km"].dropna().to_numpy()
    far = ""
    if known.size:
        middle, most = np.percentile(known, [50, 90])
        far = f"; the nearest one with a value is {middle:.0f} km away in the median, over {most:.0f} km for one in ten"
    return f"estimates fed by {count} stations of {which}{far}"


def check_measured(monitors: Monitors, start: dt.date, end: dt.date) -> None:
    """Refuse a period on which no monitor measured.

    Raises:
        BadMonitors: there is no observation; the message names the days that there are.
    """
    if not any(start <= day <= end for day in monitors.days):
        days = monitors.days
        reach = f"they hold {days[0]} to {days[-1]}" if days else "they hold no day"
        when = f"on {start}" if start == end else f"between {start} and {end}"
        raise BadMonitors(
            f"no monitor measured {when}: {reach}. Choose another day, or get EPA's files of it"
        )


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the columns that follow from the others, and sort rows and columns."""
    region = region_of(frame["latitude"].to_numpy(), frame["longitude"].to_numpy())
    frame = frame.assign(region=np.array(REGIONS)[region])
    frame = frame.reindex(columns=list(COLUMNS))
    truth = frame["observed_ugm3"].clip(lower=0)
    known = frame["pm25_lower_ugm3"].notna()
    inside = (truth >= frame["pm25_lower_ugm3"]) & (truth <= frame["pm25_upper_ugm3"])
    frame["inside_interval"] = inside.astype("float32").where(known)
    numbers = [c for c in COLUMNS if c.endswith(("_ugm3", "_km"))] + ["dissimilarity", "applicable"]
    frame = frame.astype(dict.fromkeys(numbers, "float32"))
    return frame.sort_values(["site_id", "date"], ignore_index=True)


def _trained_on(session: Session, monitors: Monitors) -> dict[str, str]:
    """Return which sites the model was trained on, by site_id; empty where its training used other monitors."""
    training = session.card.training
    if not monitors.matches(training.monitors_checksum):
        return {}
    held_out = held_out_in_training(session.card, monitors)
    return dict(zip(monitors.sites["site_id"], np.where(held_out, "no, held out", "yes"), strict=True))


@dataclass(frozen=True)
class StratumScore(StratumErrors):
    """Scores of a part of the match-ups.

    Attributes:
        coverage_percent, width_ugm3: of the 90 % intervals; None where the match-ups have none.
    """

    coverage_percent: float | None
    width_ugm3: float | None


def score_strata(frame: pd.DataFrame) -> tuple[StratumScore, ...]:
    """Score the match-ups that may be compared, all together and by stratum.

    Raises:
        BadMonitors: every station fed the map.
    """
    fair = frame[frame["station_is"] != USED]
    if fair.empty:
        raise BadMonitors(
            f"all {frame['site_id'].nunique()} stations of the match-ups fed the maps, which says nothing of their "
            "error: give other monitors, or leave out --maps to estimate every station left out"
        )
    truth, distance = fair["observed_ugm3"].to_numpy(), fair["distance_km"].to_numpy()
    region = pd.Categorical(fair["region"], categories=list(REGIONS)).codes
    strata = parts_of(truth, distance, fair["date"].dt.month.to_numpy(), region)
    applicable = fair["applicable"].to_numpy()
    strata["applicability", "inside the area of applicability"] = applicable == 1
    strata["applicability", "outside of it"] = applicable == 0
    words = {"yes": "stations that trained the model", "no, held out": "stations that training held out"}
    strata |= {("training", text): (fair["trained_on"] == value).to_numpy() for value, text in words.items()}
    rows = score_by_stratum(
        truth,
        {name: fair[column].to_numpy() for name, column in ESTIMATES.items()},
        pd.factorize(fair["site_id"])[0],
        strata,
    )
    return tuple(_with_coverage(row, fair[strata[row.kind, row.stratum]]) for row in rows)


def _with_coverage(row: StratumErrors, part: pd.DataFrame) -> StratumScore:
    coverage = 100 * part["inside_interval"].mean()
    width = (part["pm25_upper_ugm3"] - part["pm25_lower_ugm3"]).mean()
    numbers = (round(float(value), 3) if np.isfinite(value) else None for value in (coverage, width))
    return StratumScore(row.kind, row.stratum, row.n, row.stations, row.errors, *numbers)


def same_places(monitors: Monitors, others: Monitors) -> npt.NDArray[np.bool_]:
    """Return which sites stand within 100 m of another table's: bool (site,) of `monitors.sites`."""
    lat, lon = (
        np.concatenate([monitors.sites[name].to_numpy(), others.sites[name].to_numpy()])
        for name in ("latitude", "longitude")
    )
    places = Stations(lat, lon, np.zeros(len(lat))).places()
    mine = places[: len(monitors.sites)]
    return np.isin(mine, places[len(monitors.sites) :])
