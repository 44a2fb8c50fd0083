"""The neighbours' fields of folds: what is hidden speaks to nobody, and the rest says what it said before."""

import numpy as np
import pytest
from neighbour_world import COUNT, DAYS, world

from pm25map.predictors.folds import fields_of_folds
from pm25map.predictors.map_fields import fields_at
from pm25map.predictors.neighbours import FIELDS, Stations


def hide(stations):
    """A fold that hides whole stations."""
    gone = np.zeros((DAYS, COUNT), dtype=bool)
    gone[:, stations] = True
    return gone


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
@pytest.mark.parametrize("station", [0, 5, 17, 39])
def test_a_fold_gives_what_a_map_of_its_training_stations_gives(share, station):
    values, codes, stations = world()
    gone = np.random.default_rng(2).random(COUNT) < share
    gone[1] = gone[0]
    found = fields_of_folds(values, codes, stations, [hide(gone)])[0]
    kept = ~gone
    kept[[0, 1] if station < 2 else [station]] = False
    fewer = Stations(stations.lat[kept], stations.lon[kept], stations.elevation[kept])
    here = (stations.lat[[station]], stations.lon[[station]], stations.elevation[[station]])
    asked = fields_at(values[:, kept], codes[:, kept], fewer, *here)
    for name in FIELDS:
        np.testing.assert_allclose(
            found[name][:, station], asked[name][:, 0], rtol=1e-3, atol=1e-3, err_msg=name
        )


def test_what_is_hidden_changes_nothing_when_it_changes():
    values, codes, stations = world()
    some_days = np.random.default_rng(1).random((DAYS, COUNT)) < 0.2
    some_days[:, 1] = some_days[:, 0]
    folds = [hide([0, 1, 7, 20]), hide(np.arange(20, 40)), some_days]
    before = fields_of_folds(values, codes, stations, folds)
    for gone, fields in zip(folds, before, strict=True):
        louder = np.where(gone, values * 50, values)
        after = fields_of_folds(louder, codes, stations, [gone])[0]
        for name in FIELDS:
            np.testing.assert_allclose(after[name], fields[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_a_station_never_speaks_for_itself_nor_its_twin_for_it():
    values, codes, stations = world()
    folds = [hide([]), hide(np.arange(30, 40))]
    before = fields_of_folds(values, codes, stations, folds)
    for own in ([0, 1], [17]):
        louder = values.copy()
        louder[:, own] *= 50
        for fields, again in zip(before, fields_of_folds(louder, codes, stations, folds), strict=True):
            for name in FIELDS:
                np.testing.assert_allclose(
                    again[name][:, own], fields[name][:, own], rtol=1e-4, atol=1e-4, err_msg=name
                )


def test_folds_together_are_folds_alone():
    values, codes, stations = world()
    folds = [hide([3, 4]), hide(np.arange(10)), hide([])]
    together = fields_of_folds(values, codes, stations, folds)
    for gone, fields in zip(folds, together, strict=True):
        alone = fields_of_folds(values, codes, stations, [gone])[0]
        for name in FIELDS:
            np.testing.assert_array_equal(alone[name], fields[name])


def test_a_day_on_which_everything_is_hidden_or_missing_has_no_estimate():
    values, codes, stations = world()
    values[-1] = np.nan
    gone = hide([])
    gone[-2] = True
    fields = fields_of_folds(values, codes, stations, [gone])[0]
    for name in FIELDS:
        assert np.isnan(fields[name][1:]).all(), name
        assert np.isfinite(fields[name][0]).all(), name
