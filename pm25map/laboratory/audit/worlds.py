"""Worlds to audit on: an invented one, and real monitors over the turn of a year."""

import datetime as dt

import numpy as np

from pm25map.base.days import days_between
from pm25map.base.errors import BadStudy
from pm25map.laboratory.audit.rows import AuditWorld
from pm25map.monitors import Monitors
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.neighbours import FIELDS
from pm25map.predictors.reader import Predictors

WINDOW_DAYS = 21
TARGET_DAYS = 36
BEFORE_NEW_YEAR = 26
"""Targets before 1 January, so that the old year has days of two months: a month must not look like a year."""
INVENTED_FEATURES = (*FIELDS, "day_length", "elevation", "relief", "landcover_urban")


def days_of(year: int) -> list[dt.date]:
    """List the days of an audit over the turn to a year: targets, and before them their windows and memory."""
    first = dt.date(year, 1, 1) - dt.timedelta(days=BEFORE_NEW_YEAR)
    before = dt.timedelta(days=WINDOW_DAYS - 1 + MEMORY_DAYS)
    return days_between(first - before, first + dt.timedelta(days=TARGET_DAYS - 1))


def invented_world(seed: int = 0, stations: int = 80) -> AuditWorld:
    """Generate stations whose truth has broad waves, a day of its own and noise; some measure every third day."""
    rng = np.random.default_rng(seed)
    days = days_of(2021)
    lat, lon = rng.uniform(33, 46, stations), rng.uniform(-120, -78, stations)
    # Two monitors at one place, as there are in the network: no clean pipeline parts them.
    lat[1], lon[1] = lat[0] + 2e-4, lon[0]
    waves = sum(
        np.sin(np.radians(a * lat + b * lon))[:, None] * rng.normal(0, 3, len(days))
        for a, b in rng.uniform(3, 20, (6, 2))
    )
    truth = np.maximum(9 + waves + rng.normal(0, 2, waves.shape), -1)
    truth[rng.random(truth.shape) < 0.1] = np.nan
    rests = (np.arange(len(days))[None, :] + np.arange(stations)[:, None]) % 3 > 0
    truth[rests & (np.arange(stations) % 7 == 2)[:, None]] = np.nan
    of_year = np.array([day.timetuple().tm_yday for day in days])
    sun = 12 - 4 * np.sin(np.radians(lat))[:, None] * np.cos(2 * np.pi * (of_year[None, :] + 10) / 365.25)
    fixed = {
        "elevation": rng.gamma(1.5, 300, stations),
        "relief": rng.gamma(1.5, 60, stations),
        "landcover_urban": rng.beta(1, 4, stations),
    }
    predictors = {"day_length": sun} | {
        name: np.repeat(field[:, None], len(days), axis=1) for name, field in fixed.items()
    }
    return AuditWorld(
        site_ids=tuple(f"s{i:03d}" for i in range(stations)),
        lat=lat,
        lon=lon,
        days=days,
        truth=truth.astype(np.float32),
        codes=np.where(np.isfinite(truth), 88101, 0).astype(np.int32),
        predictors={name: field.astype(np.float32) for name, field in predictors.items()},
    )


def real_world(
    monitors: Monitors,
    predictors: Predictors,
    features: tuple[str, ...],
    year: int,
    stations: int,
    seed: int = 0,
) -> AuditWorld:
    """Draw some real stations around the start of a year, among those that measured then.

    Args:
        monitors: the truth.
        predictors: a store with the features that are not computed from the monitors, on those days.
        features: of the pipeline that is audited.
        year: whose 1 January lies among the days.
        stations: how many, at most; fewer make the audit faster.
        seed: of the draw.

    Raises:
        BadStudy: too few stations of the grid measured on these days.
        BadPredictors, MissingDays: a feature or a day is missing in the store.
    """
    days = days_of(year)
    truth, codes = monitors.matrix(days).T, monitors.codes(days).T
    sites = monitors.sites
    row, col = predictors.grid.cells_at(sites["longitude"].to_numpy(), sites["latitude"].to_numpy())
    on_land = row >= 0
    on_land[on_land] = predictors.grid.land[row[on_land], col[on_land]]
    fit = np.flatnonzero(on_land & (np.isfinite(truth).sum(axis=1) >= len(days) / 4))
    if len(fit) < 40:
        raise BadStudy(
            f"{len(fit)} stations measured between {days[0]} and {days[-1]}, and an audit needs 40: choose another "
            "--year, or leave out --monitors to audit on an invented world"
        )
    drawn = np.sort(np.random.default_rng(seed).choice(fit, size=min(stations, len(fit)), replace=False))
    stored = tuple(dict.fromkeys([*(name for name in features if name not in FIELDS), "elevation"]))
    values = predictors.at(stored, days, row[drawn], col[drawn])
    return AuditWorld(
        site_ids=tuple(sites["site_id"].to_numpy(dtype=str)[drawn]),
        lat=sites["latitude"].to_numpy()[drawn],
        lon=sites["longitude"].to_numpy()[drawn],
        days=days,
        truth=truth[drawn],
        codes=codes[drawn].astype(np.int32),
        predictors={name: values[:, :, i].astype(np.float32) for i, name in enumerate(stored)},
    )
