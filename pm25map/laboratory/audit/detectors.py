"""Ten searches for leaks, each by what moves in a fold's rows when the world is changed, or by the rows themselves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadStudy
from pm25map.laboratory.audit.rows import AuditWorld, Bools, FoldRows, Pipeline
from pm25map.predictors.neighbours import Stations

MOVED = 1e-3
"""Share of an input's standard deviation that counts as a change. Values are changed by tens of ug m-3, so a leak moves
far more; and kriging, where a station without a value keeps a row of great noise, feels that row's place at 5e-4."""
MOVED_BY_YEARS = 0.02
"""The same where the calendar alone is moved: the sun is not quite where it was four years before."""
FOUR_YEARS_DAYS = 4 * 365 + 1
ALIKE = 0.9
"""Share of common days with equal labels from which two names are one instrument; of LEAST_DAYS days or more."""
LEAST_DAYS = 10


@dataclass(frozen=True, eq=False)
class Evidence:
    """The rows of a fold of a world, and of the same world changed in five ways.

    Attributes:
        world: as it is.
        base: its rows.
        test_half: truth and predictors of half of the test stations changed; `changed` names them.
        test_one, train_one: the truth of one test station, of one training station changed.
        future: truth and predictors of all stations changed after `cut`.
        years_later: the same, four years later.
    """

    world: AuditWorld
    base: FoldRows
    changed: tuple[str, ...]
    test_half: FoldRows
    test_one: FoldRows
    train_one: FoldRows
    cut: np.datetime64
    future: FoldRows
    years_later: FoldRows


def gather(pipeline: Pipeline, world: AuditWorld, seed: int) -> Evidence:
    """Run a pipeline on a world and on its changes.

    Raises:
        BadStudy: the fold has no rows to learn from or to judge, or its rows are others when values change.
    """
    base = pipeline(world)
    rng = np.random.default_rng(seed)
    test = np.unique(base.site_ids[base.is_test])
    train = np.unique(base.site_ids[~base.is_test])
    test, train = test[np.isin(test, world.site_ids)], train[np.isin(train, world.site_ids)]
    if len(test) < 2 or not len(train):
        raise BadStudy(
            f"cannot audit a fold with {len(test)} test and {len(train)} training stations: give more monitors or days"
        )
    changed = rng.choice(test, size=max(1, len(test) // 2), replace=False)
    lone = _alone(world)
    one = _pick(rng, test, lone)
    other = _pick(rng, train, lone)
    days = np.array(world.days, dtype="datetime64[D]")
    targets = np.unique(base.days)
    cut = targets[len(targets) // 2]
    every_day, everyone = np.ones(len(days), dtype=np.bool_), np.ones(len(world.site_ids), dtype=np.bool_)

    def named(names: npt.NDArray[np.str_]) -> Bools:
        return np.isin(world.site_ids, names)

    def again(changed_world: AuditWorld) -> FoldRows:
        rows = pipeline(changed_world)
        if len(rows.site_ids) != len(base.site_ids):
            raise BadStudy(
                f"the fold has {len(base.site_ids)} rows, and {len(rows.site_ids)} once values changed: its rows "
                "follow the values, which an audit cannot look through"
            )
        return rows

    return Evidence(
        world=world,
        base=base,
        changed=tuple(map(str, changed)),
        test_half=again(world.altered(named(changed), every_day, predictors=True)),
        test_one=again(world.altered(named(np.array([one])), every_day, predictors=False)),
        train_one=again(world.altered(named(np.array([other])), every_day, predictors=False)),
        cut=cut,
        future=again(world.altered(everyone, days > cut, predictors=True)),
        years_later=again(world.later(FOUR_YEARS_DAYS)),
    )


def _alone(world: AuditWorld) -> set[str]:
    """Return the stations that share their place with no other."""
    places = Stations(world.lat, world.lon, np.zeros(len(world.lat))).places()
    count = np.bincount(places)[places]
    return {name for name, n in zip(world.site_ids, count, strict=True) if n == 1}


def _pick(rng: np.random.Generator, names: npt.NDArray[np.str_], preferred: set[str]) -> str:
    chosen = [name for name in names if name in preferred] or list(names)
    return str(rng.choice(chosen))


def own_value(evidence: Evidence) -> str:
    """Find a station whose own truth is in its inputs."""
    for after, kind in ((evidence.test_one, "test"), (evidence.train_one, "training")):
        own = after.labels != evidence.base.labels
        moved = own & _moved(evidence.base, after)
        if moved.any():
            return (
                f"the inputs of {moved.sum()} of {own.sum()} rows of {kind} station "
                f"{evidence.base.site_ids[moved][0]} follow its own truth"
            )
    return ""


def test_neighbours(evidence: Evidence) -> str:
    """Find inputs, of whatever row, that follow what other test stations measured."""
    own = evidence.test_half.labels != evidence.base.labels
    moved = (
        ~own & ~np.isin(evidence.base.site_ids, evidence.changed) & _moved(evidence.base, evidence.test_half)
    )
    if not moved.any():
        return ""
    tested = moved & evidence.base.is_test
    return (
        f"the inputs of {tested.sum()} test rows and {(moved & ~tested).sum()} training rows follow what "
        f"{len(evidence.changed)} other test stations measured"
    )


def scaler_on_all(evidence: Evidence) -> str:
    """Find scales that follow test stations."""
    before, after = evidence.base.scaler, evidence.test_half.scaler
    moved = ~np.isclose(before, after, rtol=MOVED, atol=1e-5, equal_nan=True)
    return f"{moved.sum()} of {len(before)} numbers of the scaler follow test stations" if moved.any() else ""


def site_in_two_folds(evidence: Evidence) -> str:
    """Find stations that learn and judge."""
    base = evidence.base
    both = np.intersect1d(base.site_ids[base.is_test], base.site_ids[~base.is_test])
    return f"{len(both)} stations learn and judge, such as {both[0]}" if len(both) else ""


def future_days(evidence: Evidence) -> str:
    """Find inputs that follow days after the one that is estimated."""
    moved = (evidence.base.days <= evidence.cut) & _moved(evidence.base, evidence.future)
    if not moved.any():
        return ""
    return f"the inputs of {moved.sum()} rows up to {evidence.cut} follow days after it"


def duplicated_rows(evidence: Evidence) -> str:
    """Find a window with its label on both sides of the split, or a station's day twice on one."""
    base = evidence.base
    digest = np.array(
        [
            hash(window.tobytes() + label.tobytes())
            for window, label in zip(base.windows, base.labels, strict=True)
        ]
    )
    both = np.isin(digest, digest[base.is_test]) & ~base.is_test
    names = np.array([f"{site} {day}" for site, day in zip(base.site_ids, base.days, strict=True)])
    _, count = np.unique(names, return_counts=True)
    twice = int((count - 1).sum())
    said = [f"{both.sum()} training rows are test rows to the last bit"] if both.any() else []
    said += [f"{twice} rows repeat a station's day"] if twice else []
    return "; ".join(said)


def poc_twins(evidence: Evidence) -> str:
    """Find monitors at one place, or with one series, on both sides of the split."""
    base = evidence.base
    _, first = np.unique(base.site_ids, return_index=True)
    places = Stations(base.lat[first], base.lon[first], np.zeros(len(first))).places()
    names, tested = base.site_ids[first], base.is_test[first]
    for place in np.unique(places[tested]):
        here = places == place
        if (here & ~tested).any():
            near = [str(names[here & side][0]) for side in (tested, ~tested)]
            return f"test station {near[0]} and training station {near[1]} stand within 100 m"
    return _same_series(base)


def _same_series(base: FoldRows) -> str:
    names, site = np.unique(base.site_ids, return_inverse=True)
    days, day = np.unique(base.days, return_inverse=True)
    series = np.full((len(names), len(days)), np.nan)
    series[site, day] = base.labels
    tested = np.isin(names, base.site_ids[base.is_test])
    train = series[~tested]
    for name, mine in zip(names[tested], series[tested], strict=True):
        common = np.isfinite(train) & np.isfinite(mine)
        enough = common.sum(axis=1) >= LEAST_DAYS
        share = (common & (train == mine)).sum(axis=1) / np.maximum(common.sum(axis=1), 1)
        alike = enough & (share >= ALIKE)
        if alike.any():
            return f"test station {name} and training station {names[~tested][alike][0]} measured the same"
    return ""


def fitted_embedding(evidence: Evidence) -> str:
    """Find place vectors that follow what test stations measured."""
    before, after = evidence.base.place, evidence.test_half.place
    if before is None or after is None:
        return ""
    spread = np.nanstd(before, axis=0)
    moved = (np.abs(after - before) > MOVED * np.maximum(spread, 1e-12)).any(axis=1)
    return (
        f"the place vectors of {moved.sum()} rows follow what test stations measured" if moved.any() else ""
    )


def normalised_year(evidence: Evidence) -> str:
    """Find inputs that tell the year: outside of the years that were learned from they have no meaning."""
    moved = np.any(_moved_inputs(evidence.base, evidence.years_later, MOVED_BY_YEARS), axis=0)
    leaking = [name for name, by_shift in zip(evidence.base.inputs, moved.tolist(), strict=True) if by_shift]
    days, number = np.unique(evidence.base.days, return_inverse=True)
    today = evidence.base.windows[:, -1, :].astype(np.float64)
    for i, name in enumerate(evidence.base.inputs):
        if name not in leaking and _reveals_year(today[:, i], number, days):
            leaking.append(name)
    return f"the inputs {', '.join(leaking)} tell the year" if leaking else ""


def _reveals_year(
    values: npt.NDArray[np.float64], number: npt.NDArray[np.integer], days: npt.NDArray[np.datetime64]
) -> bool:
    """Return whether an input is one number a day everywhere, and steps with the year or grows with time alone."""
    if not np.isfinite(values).all():
        return False
    low, high = np.full(len(days), np.inf), np.full(len(days), -np.inf)
    np.minimum.at(low, number, values)
    np.maximum.at(high, number, values)
    extent = high.max() - low.min()
    if extent <= 0 or (high - low).max() > 1e-6 * extent:
        return False
    year = days.astype("datetime64[Y]")
    years = np.unique(year)
    by_year = [low[year == one] for one in years]
    steps = len(years) > 1 and all(np.ptp(part) <= 1e-3 * extent for part in by_year)
    time = (days - days[0]).astype(np.float64)
    straight = np.polyval(np.polyfit(time, low, 1), time) if len(days) >= LEAST_DAYS else np.inf
    return bool(steps or np.max(np.abs(low - straight)) <= 1e-4 * extent)


def shuffled_ids(evidence: Evidence) -> str:
    """Find rows that bear another station's name: their label or place is not that station's."""
    base = evidence.base
    named = np.isin(base.site_ids, evidence.changed)
    still = named & (base.labels == evidence.test_half.labels)
    if still.any():
        return f"{still.sum()} of {named.sum()} rows named after changed stations hold other stations' labels"
    where = {
        name: (a, b)
        for name, a, b in zip(evidence.world.site_ids, evidence.world.lat, evidence.world.lon, strict=True)
    }
    for name, lat, lon in zip(base.site_ids, base.lat, base.lon, strict=True):
        known = where.get(str(name))
        if known is not None and not np.allclose(known, (lat, lon), atol=1e-5):
            return f"rows named {name} stand elsewhere than that station"
    return ""


DETECTORS: dict[str, Callable[[Evidence], str]] = {
    "own station's value": own_value,
    "test-region neighbours": test_neighbours,
    "scaler on all": scaler_on_all,
    "same site in two folds": site_in_two_folds,
    "future days": future_days,
    "duplicated rows": duplicated_rows,
    "POC twins": poc_twins,
    "embedding fitted on the target": fitted_embedding,
    "normalised year": normalised_year,
    "shuffled station ids": shuffled_ids,
}
"""Every search by the name of its leak; each returns its evidence in words, or nothing."""


def _moved(before: FoldRows, after: FoldRows) -> Bools:
    """Mark the rows whose windows changed: bool (row,)."""
    moved: Bools = np.asarray(_moved_inputs(before, after, MOVED).any(axis=1))
    return moved


def _moved_inputs(before: FoldRows, after: FoldRows, tolerance: float) -> Bools:
    """Mark the inputs that changed on any day of the window: bool (row, input)."""
    moved = np.zeros((len(before.site_ids), len(before.inputs)), dtype=np.bool_)
    for i in range(len(before.inputs)):
        one, other = before.windows[:, :, i], after.windows[:, :, i]
        known = np.isfinite(one)
        spread = max(float(one[known].std()) if known.any() else 0.0, 1e-9)
        apart = np.abs(np.nan_to_num(one) - np.nan_to_num(other)) > tolerance * spread
        moved[:, i] = (apart | (known != np.isfinite(other))).any(axis=1)
    return moved
