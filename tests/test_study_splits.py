"""Splits: every station judged once, none parted from its twin, nothing judged that was learned from."""

import datetime as dt
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from pm25map.base.errors import BadSplit, UnknownName
from pm25map.laboratory.study.distances import (
    balanced_folds,
    clusters_of,
    distances_between_folds,
    nearest_fold_match,
    within_km,
)
from pm25map.laboratory.study.splits import BUFFER_KM, DIVIDE_LON, SPLITS, World, make_split
from pm25map.predictors.neighbours import EARTH_RADIUS_KM, SAME_PLACE_KM

DAYS = [dt.date(2019, 12, 28) + dt.timedelta(days=i) for i in range(8)]
BY_STATION = [name for name in SPLITS if name not in ("random-10", "leave-year-out")]
WHOLE = [name for name in BY_STATION if not name.endswith(("to-east", "to-west"))]


def world(seed=0, count=150):
    """Stations over CONUS; number 1 stands 50 m beside number 0, and 3 is site 2 after it moved."""
    rng = np.random.default_rng(seed)
    lat, lon = rng.uniform(26, 48, count), rng.uniform(-123, -69, count)
    lat[1], lon[1] = lat[0] + 0.00045, lon[0]
    # The north of the country: with it there are ten cells of 16 degrees.
    lat[4:8], lon[4:8] = 48.6, (-120, -104, -88, -72)
    ids = [f"s{i}" for i in range(count)]
    ids[3] = "s2@2"
    north, east = np.meshgrid(np.linspace(26, 48, 30), np.linspace(-123, -69, 40))
    return World(tuple(ids), lat, lon, DAYS, north.ravel(), east.ravel())


def km(lat, lon, other_lat, other_lon):
    """Great-circle distances (n, m), km, by another formula than the code's."""
    a, b = np.radians(lat)[:, None], np.radians(other_lat)[None, :]
    turn = np.radians(lon)[:, None] - np.radians(other_lon)[None, :]
    half = np.sin((a - b) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(turn / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(half))


seeds = st.integers(0, 10_000)


@pytest.mark.parametrize("name", SPLITS)
@settings(max_examples=3, deadline=None)
@given(seed=seeds)
def test_nothing_is_both_learned_and_judged(name, seed):
    for fold in make_split(name, world(seed), seed).folds:
        assert not (fold.learned_cells(len(DAYS)) & fold.judged_cells(len(DAYS))).any()
        if fold.hides:
            assert fold.hidden_cells(len(DAYS))[fold.judged_cells(len(DAYS))].all()


@pytest.mark.parametrize("name", [*WHOLE, "random-10", "leave-year-out"])
@settings(max_examples=3, deadline=None)
@given(seed=seeds)
def test_every_station_day_is_judged_once(name, seed):
    folds = make_split(name, world(seed), seed).folds
    times = sum(fold.judged_cells(len(DAYS)).astype(int) for fold in folds)
    assert (times == 1).all()


@pytest.mark.parametrize("name", SPLITS)
@settings(max_examples=3, deadline=None)
@given(seed=seeds)
def test_monitors_of_one_place_and_ids_of_one_site_stay_together(name, seed):
    for fold in make_split(name, world(seed), seed).folds:
        for one, other in ((0, 1), (2, 3)):
            np.testing.assert_array_equal(fold.judged_cells(8)[one], fold.judged_cells(8)[other])


@pytest.mark.parametrize("name", SPLITS)
def test_the_same_seed_gives_the_same_split_and_another_seed_another(name):
    once, again, other = (make_split(name, world(), seed).folds for seed in (4, 4, 5))
    for a, b in zip(once, again, strict=True):
        np.testing.assert_array_equal(a.judged_cells(8), b.judged_cells(8))
    draws = name not in ("checkerboard-8-2", "checkerboard-16-2", "leave-year-out") and "-to-" not in name
    same = all(np.array_equal(a.judged_cells(8), b.judged_cells(8)) for a, b in zip(once, other, strict=True))
    assert same != draws


def test_ten_folds_of_stations_are_of_one_size():
    sizes = [fold.test.sum() for fold in make_split("stations-10", world(), 1).folds]
    assert max(sizes) - min(sizes) <= 2


@pytest.mark.parametrize(("name", "degrees"), [("checkerboard-8-2", 8), ("checkerboard-16-2", 16)])
def test_cells_of_a_checkerboard_that_share_a_side_are_on_two_sides(name, degrees):
    here = world()
    fold = make_split(name, here, 0).folds[0]
    row, col = np.floor(here.lat / degrees), np.floor(here.lon / degrees)
    for i in range(4, len(row)):
        side = (row == row[i]) & (np.abs(col - col[i]) == 1) & (np.arange(len(row)) > 3)
        assert not (fold.test[side] == fold.test[i]).any()
        same = (row == row[i]) & (col == col[i]) & (np.arange(len(row)) > 3)
        assert (fold.test[same] == fold.test[i]).all()


def test_west_to_east_learns_in_the_west():
    here = world()
    (fold,) = make_split("west-to-east", here, 0).folds
    assert (here.lon[fold.train][4:] < DIVIDE_LON).all()
    assert (here.lon[fold.test] >= DIVIDE_LON)[here.lon[fold.test] != here.lon[3]].all()


@settings(max_examples=6, deadline=None)
@given(seed=seeds)
def test_no_station_that_learns_is_within_the_buffer_of_one_that_blisco_judges(seed):
    here = world(seed)
    for fold in make_split("blisco-10", here, seed).folds:
        apart = km(here.lat[fold.train], here.lon[fold.train], here.lat[fold.test], here.lon[fold.test])
        assert apart.min() > BUFFER_KM * 0.999
        dropped = ~fold.train & ~fold.test
        near = km(here.lat[dropped], here.lon[dropped], here.lat[fold.test], here.lon[fold.test])
        assert (near.min(axis=1, initial=np.inf) < BUFFER_KM * 1.001).all()


@settings(max_examples=6, deadline=None)
@given(seed=seeds, width=st.floats(20, 2000))
def test_no_two_of_a_cluster_are_further_apart_than_its_width(seed, width):
    here = world(seed, 60)
    group = clusters_of(here.lat, here.lon, width)
    apart = km(here.lat, here.lon, here.lat, here.lon)
    assert apart[group[:, None] == group[None, :]].max() <= width * 1.01


@settings(max_examples=6, deadline=None)
@given(seed=seeds)
def test_distances_between_folds_are_those_of_all_pairs(seed):
    here = world(seed, 50)
    fold = np.random.default_rng(seed).integers(0, 4, 50)
    apart = km(here.lat, here.lon, here.lat, here.lon)
    apart[fold[:, None] == fold[None, :]] = np.inf
    found = distances_between_folds(here.lat, here.lon, fold)
    np.testing.assert_allclose(found, apart.min(axis=1), rtol=0.02)


def brute_w(one, other):
    """Area between two empirical distribution functions, step by step."""
    steps = np.sort(np.concatenate([one, other]))
    area = 0.0
    for low, high in itertools.pairwise(steps):
        area += abs(np.mean(one <= low) - np.mean(other <= low)) * (high - low)
    return area


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_statistic_of_knndm_is_the_area_between_the_two_distributions(seed):
    here = world(seed, 80)
    fold, w = nearest_fold_match(here.lat, here.lon, here.map_lat, here.map_lon, 5, seed)
    between = distances_between_folds(here.lat, here.lon, fold)
    on_map = km(here.map_lat, here.map_lon, here.lat, here.lon).min(axis=1)
    assert w == pytest.approx(brute_w(between, on_map), rel=0.02, abs=1.0)


def test_knndm_is_closer_to_the_map_than_folds_at_random_where_stations_are_clustered():
    rng = np.random.default_rng(3)
    towns = np.column_stack([rng.uniform(28, 46, 12), rng.uniform(-120, -72, 12)])
    spots = np.repeat(towns, 12, axis=0) + rng.normal(0, 0.2, (144, 2))
    here = world()
    lat, lon = spots[:, 0], spots[:, 1]
    on_map = km(here.map_lat, here.map_lon, lat, lon).min(axis=1)
    _, w = nearest_fold_match(lat, lon, here.map_lat, here.map_lon, 10, 0)
    at_random = brute_w(distances_between_folds(lat, lon, rng.integers(0, 10, 144)), on_map)
    assert w < 0.7 * at_random


def test_groups_are_dealt_whole_and_the_folds_are_even():
    group = np.repeat(np.arange(20), np.arange(1, 21))
    fold = balanced_folds(group, 4, np.random.default_rng(0))
    assert all(len(np.unique(fold[group == one])) == 1 for one in range(20))
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 20


def test_within_reach_of_nobody_is_nobody():
    empty = np.zeros(0)
    assert not within_km(np.array([40.0]), np.array([-100.0]), empty, empty, 1e5).any()


def test_a_split_that_leaves_a_part_empty_is_refused_by_name():
    here = world()
    east = here.lon > DIVIDE_LON + 1
    ids = tuple(np.array(here.site_ids)[east])
    only_east = World(ids, here.lat[east], here.lon[east], DAYS, here.map_lat, here.map_lon)
    with pytest.raises(BadSplit, match="west-to-east, fold 0: no station is left to learn from"):
        make_split("west-to-east", only_east, 0)
    one_year = World(here.site_ids, here.lat, here.lon, DAYS[:2], here.map_lat, here.map_lon)
    with pytest.raises(BadSplit, match="leave-year-out"):
        make_split("leave-year-out", one_year, 0)


def test_an_unknown_split_is_named_with_those_that_there_are():
    with pytest.raises(UnknownName, match=r"unknown split .by-moon..*random-10"):
        make_split("by-moon", world(), 0)


def test_places_are_those_within_a_hundred_metres():
    here = world()
    apart = cdist(np.column_stack([here.lat, here.lon]), np.column_stack([here.lat, here.lon])) * 111
    assert (apart[0, 1] < SAME_PLACE_KM) and here.places()[0] == here.places()[1]
    assert len(np.unique(here.places())) == len(here.lat) - 2
