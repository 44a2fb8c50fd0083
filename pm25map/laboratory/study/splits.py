"""Eleven splits into stations that learn and stations that judge: pure functions of coordinates, days and a seed.

Monitors within 100 m of each other, and ids of one site that moved ("X", "X@2"), are one place: no split parts
them. Hidden values of a fold feed nothing: no target, no neighbour, no scale.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadSplit, UnknownName
from pm25map.laboratory.study.distances import balanced_folds, clusters_of, nearest_fold_match, within_km
from pm25map.model.splits import dealt
from pm25map.predictors.neighbours import Stations

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOLDS = 10
DIVIDE_LON = -95.0
"""West and East are 30 degrees wide each, as in the reference: -125 to -95 and -95 to -65."""
BUFFER_KM = 100.0
"""Around a cluster that BLISCO leaves out; about the range over which a day's PM2.5 stays alike."""
CLUSTER_KM = 150.0
"""Largest width of a cluster that BLISCO leaves out."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The stations that learn and those that judge.

    Attributes:
        train: bool (station,): may learn and feed its neighbours.
        test: bool (station,): is judged.
        judged: bool (station, day), of splits by days: those judged; the rest learns. Otherwise None.
        hides: whether judged values are hidden from the neighbours: not where a map would have them, such as
            another year, which has its own monitors.
    """

    train: Bools
    test: Bools
    judged: Bools | None = None
    hides: bool = True

    def learned_cells(self, days: int) -> Bools:
        """Return the station-days that may be learned from: bool (station, day)."""
        cells = np.repeat(self.train[:, None], days, axis=1)
        return cells if self.judged is None else cells & ~self.judged

    def judged_cells(self, days: int) -> Bools:
        """Return the station-days that are judged: bool (station, day)."""
        cells = np.repeat(self.test[:, None], days, axis=1)
        return cells if self.judged is None else cells & self.judged

    def hidden_cells(self, days: int) -> Bools:
        """Return the station-days whose values feed no estimate: bool (station, day)."""
        return ~self.learned_cells(days) if self.hides else np.zeros((len(self.train), days), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Split:
    """A way to part stations or days, and its folds."""

    name: str
    folds: tuple[Fold, ...]


@dataclass(frozen=True, eq=False)
class World:
    """The stations, days and map cells that a split depends on.

    Attributes:
        site_ids: (station,).
        lat, lon: degrees (station,).
        days: oldest first.
        map_lat, map_lon: degrees (point,), of the cells that a map is drawn of; for kNNDM.
    """

    site_ids: tuple[str, ...]
    lat: Floats
    lon: Floats
    days: list[dt.date]
    map_lat: Floats
    map_lon: Floats

    def places(self) -> Ints:
        """Return the number of each station's place (station,) from 0: monitors of one place stay together."""
        near = Stations(self.lat, self.lon, np.zeros(len(self.lat))).places()
        number = near.astype(np.int64)
        first: dict[str, int] = {}
        for i, site in enumerate(self.site_ids):
            other = first.setdefault(site.split("@")[0], i)
            number[number == number[i]] = number[other]
        return np.unique(number, return_inverse=True)[1].astype(np.int64)


def make_split(name: str, world: World, seed: int) -> Split:
    """Build a split.

    Args:
        name: one of SPLITS.
        world: stations, days and the map.
        seed: of every draw; the same seed and world give the same split.

    Raises:
        UnknownName: there is no such split.
        BadSplit: a fold has nothing to learn from or nothing to judge.
    """
    if name not in SPLITS:
        raise UnknownName(f"unknown split {name!r}: there are {', '.join(SPLITS)}")
    place = world.places()
    split = Split(name, SPLITS[name](world, place, np.random.default_rng(seed)))
    for number, fold in enumerate(split.folds):
        check_fold(split.name, number, fold, len(world.days))
    return split


def check_fold(name: str, number: int, fold: Fold, days: int) -> None:
    """Refuse a fold that has an empty part.

    Raises:
        BadSplit: nothing to learn from, or nothing to judge.
    """
    for part, cells in (("learn from", fold.learned_cells(days)), ("judge", fold.judged_cells(days))):
        if not cells.any():
            raise BadSplit(
                f"split {name}, fold {number}: no station is left to {part}. Give more monitors, or leave this "
                "split out of the configuration"
            )


def _spots(world: World, place: Ints) -> tuple[Floats, Floats]:
    """Coordinates (place,) of each place's first station."""
    first = np.unique(place, return_index=True)[1]
    return world.lat[first], world.lon[first]


def _by_place(fold_of_place: Ints, place: Ints, folds: int) -> tuple[Fold, ...]:
    """Build folds that leave whole places out."""
    number = fold_of_place[place]
    return tuple(Fold(train=number != i, test=number == i) for i in range(folds))


def _random(world: World, place: Ints, rng: np.random.Generator) -> tuple[Fold, ...]:
    """Divide station-days; the days of one place stay together, or a twin monitor would reveal the answer."""
    days = len(world.days)
    cells = dealt((int(place.max()) + 1) * days, FOLDS, rng).reshape(-1, days)[place]
    all_of_them = np.ones(len(place), dtype=np.bool_)
    return tuple(Fold(train=all_of_them, test=all_of_them, judged=cells == i) for i in range(FOLDS))


def _stations(_world: World, place: Ints, rng: np.random.Generator) -> tuple[Fold, ...]:
    return _by_place(dealt(int(place.max()) + 1, FOLDS, rng), place, FOLDS)


def _checkerboard(
    degrees: float, parts: int
) -> Callable[[World, Ints, np.random.Generator], tuple[Fold, ...]]:
    def make(world: World, place: Ints, rng: np.random.Generator) -> tuple[Fold, ...]:
        lat, lon = _spots(world, place)
        row, col = np.floor(lat / degrees).astype(np.int64), np.floor(lon / degrees).astype(np.int64)
        if parts == 2:
            return _by_place((row + col) % 2, place, 2)
        cell = np.unique(np.stack([row, col]), axis=1, return_inverse=True)[1].ravel()
        return _by_place(balanced_folds(cell, parts, rng), place, parts)

    return make


def _half(*, west_learns: bool) -> Callable[[World, Ints, np.random.Generator], tuple[Fold, ...]]:
    def make(world: World, place: Ints, _rng: np.random.Generator) -> tuple[Fold, ...]:
        west = (_spots(world, place)[1] < DIVIDE_LON)[place]
        learns = west if west_learns else ~west
        return (Fold(train=learns, test=~learns),)

    return make


def _blisco(world: World, place: Ints, rng: np.random.Generator) -> tuple[Fold, ...]:
    """Leave clusters and single sites out with all that is near them (BLISCO, Shen et al.)."""
    lat, lon = _spots(world, place)
    number = balanced_folds(clusters_of(lat, lon, CLUSTER_KM), FOLDS, rng)[place]
    folds = []
    for i in range(FOLDS):
        test = number == i
        near = within_km(world.lat, world.lon, world.lat[test], world.lon[test], BUFFER_KM)
        folds.append(Fold(train=~test & ~near, test=test))
    return tuple(folds)


def _knndm(world: World, place: Ints, rng: np.random.Generator) -> tuple[Fold, ...]:
    """Leave places out so that they lie as far from those that learn as the map's cells lie from a monitor."""
    spots = _spots(world, place)
    number, _ = nearest_fold_match(*spots, world.map_lat, world.map_lon, FOLDS, int(rng.integers(2**31)))
    return _by_place(number, place, FOLDS)


def _leave_year_out(world: World, place: Ints, _rng: np.random.Generator) -> tuple[Fold, ...]:
    """Divide years; the monitors of the judged year still feed each other's estimates, as on any map."""
    year = np.array([day.year for day in world.days])
    all_of_them = np.ones(len(place), dtype=np.bool_)
    return tuple(
        Fold(
            train=all_of_them,
            test=all_of_them,
            judged=np.repeat((year == one)[None, :], len(place), axis=0),
            hides=False,
        )
        for one in np.unique(year)
    )


SPLITS: dict[str, Callable[[World, Ints, np.random.Generator], tuple[Fold, ...]]] = {
    "random-10": _random,
    "stations-10": _stations,
    "checkerboard-8-2": _checkerboard(8.0, 2),
    "checkerboard-16-2": _checkerboard(16.0, 2),
    "checkerboard-8-10": _checkerboard(8.0, 10),
    "checkerboard-16-10": _checkerboard(16.0, 10),
    "west-to-east": _half(west_learns=True),
    "east-to-west": _half(west_learns=False),
    "blisco-10": _blisco,
    "knndm-10": _knndm,
    "leave-year-out": _leave_year_out,
}
"""Every split by its name; within a region: the first two, leave-year-out and, in part, kNNDM."""
