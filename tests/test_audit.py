"""The audit: every planted leak is found, and nothing where nothing is."""

import dataclasses

import numpy as np
import pytest

from pm25map.base.errors import BadStudy
from pm25map.laboratory.audit.detectors import DETECTORS
from pm25map.laboratory.audit.plants import PLANTS, plant
from pm25map.laboratory.audit.rows import FoldRows, cached
from pm25map.laboratory.audit.run import audit, search
from pm25map.laboratory.audit.worlds import INVENTED_FEATURES, WINDOW_DAYS, invented_world
from pm25map.model.splits import hold_out_stations

SEEDS = range(3)


def plain_pipeline(world, *, seed=0) -> FoldRows:
    """A clean pipeline in a few lines: inverse distance from the training stations, none from the own place."""
    held_out = hold_out_stations(world.lat, world.lon, 0.3, seed)
    feeding = np.where(held_out[:, None], np.nan, world.truth)
    apart = np.hypot(world.lat[:, None] - world.lat, (world.lon[:, None] - world.lon) * 0.8)
    weight = np.where(apart > 2e-3, 1 / np.maximum(apart, 1e-3) ** 2, 0.0)
    known = np.isfinite(feeding)
    near = (weight @ np.nan_to_num(feeding)) / (weight @ known)
    values = np.stack([near, *world.predictors.values()], axis=2).astype(np.float32)
    station, day = np.nonzero(np.isfinite(world.truth))
    fit = day >= WINDOW_DAYS - 1
    station, day = station[fit], day[fit]
    learned = values[~held_out]
    return FoldRows(
        site_ids=np.array(world.site_ids)[station],
        lat=world.lat[station],
        lon=world.lon[station],
        days=np.array(world.days, dtype="datetime64[D]")[day],
        is_test=held_out[station],
        windows=values[station[:, None], day[:, None] + np.arange(1 - WINDOW_DAYS, 1)],
        inputs=("near", *world.predictors),
        place=np.stack([np.sin(world.lat), np.cos(world.lon)], axis=1).astype(np.float32)[station],
        labels=world.truth[station, day],
        scaler=np.concatenate([np.nanmean(learned, axis=(0, 1)), np.nanstd(learned, axis=(0, 1))]),
    )


@pytest.fixture(scope="module", params=SEEDS)
def world(request):
    return invented_world(request.param, stations=50)


@pytest.fixture(scope="module")
def once(world):
    return cached(plain_pipeline)


def test_nothing_is_found_in_a_clean_pipeline(world, once):
    for seed in range(2):
        assert search(once, world, seed) == dict.fromkeys(DETECTORS, "")


@pytest.mark.parametrize("leak", PLANTS)
def test_a_planted_leak_is_found_by_its_own_search(world, once, leak):
    for seed in range(2):
        assert search(plant(leak, once, seed), world, seed)[leak], seed


def test_there_is_a_search_for_every_plant_and_there_are_ten():
    assert list(PLANTS) == list(DETECTORS)
    assert len(PLANTS) == 10


def test_a_network_without_a_place_can_be_audited(world, once):
    def without(one):
        return dataclasses.replace(once(one), place=None)

    assert search(without, world) == dict.fromkeys(DETECTORS, "")


def test_an_altered_world_keeps_what_was_not_to_change():
    world = invented_world(1, stations=40)
    stations, days = np.arange(40) == 3, np.arange(len(world.days)) > 10
    changed = world.altered(stations, days, predictors=True)
    same = ~(stations[:, None] & days[None, :])
    np.testing.assert_array_equal(changed.truth[same], world.truth[same])
    np.testing.assert_array_equal(np.isnan(changed.truth), np.isnan(world.truth))
    for name, field in world.predictors.items():
        np.testing.assert_array_equal(changed.predictors[name][same], field[same])
        assert (changed.predictors[name][~same] != field[~same]).all()


def test_a_fold_without_test_stations_cannot_be_audited(world, once):
    def all_learn(one):
        made = once(one)
        return dataclasses.replace(made, is_test=np.zeros_like(made.is_test))

    with pytest.raises(BadStudy, match="0 test and"):
        search(all_learn, world)


def test_rows_that_follow_values_are_refused(world, once):
    def fickle(one):
        made = once(one)
        return made.rows(np.flatnonzero(made.labels < 60))

    with pytest.raises(BadStudy, match="rows follow the values"):
        search(fickle, world)


@pytest.mark.torch
def test_the_pipelines_of_training_and_of_the_study_have_no_leak_and_would_not_hide_one():
    pytest.importorskip("torch")
    from pm25map.laboratory.audit.folds import study_pipeline
    from pm25map.laboratory.audit.shipped import train_pipeline

    pipelines = {
        "study": study_pipeline(INVENTED_FEATURES, "latlon"),
        "train": train_pipeline(INVENTED_FEATURES, "latlon"),
    }
    found = audit(pipelines, invented_world(0, stations=50))
    assert [(f.leak, f.evidence) for f in found if any(f.evidence.values())] == []
    assert [f.leak for f in found if not f.planted] == []
