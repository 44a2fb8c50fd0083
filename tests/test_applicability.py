"""Applicability of a model: what its windows are told by, what travels with it, and what is refused."""

import numpy as np
import pytest
from trust_world import STATIONS, WINDOW, material, model_in

from pm25map.base.errors import BadModel
from pm25map.diagnostics.applicability import (
    APPLICABLE,
    CARD_FILE,
    DATA_FILE,
    DENSITY,
    DISSIMILARITY,
    load_applicability,
    save_applicability,
)
from pm25map.diagnostics.descriptors import choose_descriptors
from pm25map.scores.calibrate import FOLDS, calibrate_applicability


@pytest.fixture(scope="module")
def made():
    return calibrate_applicability(material())


def windows(count=50, seed=3):
    m = material()
    rng = np.random.default_rng(seed)
    station = rng.integers(0, STATIONS, count)
    day = rng.integers(WINDOW, 60, count)
    back = np.arange(1 - WINDOW, 1)
    window = m.session.card.scaler.apply(m.samples.values[station[:, None], day[:, None] + back])
    return window, m.place[station]


def test_a_window_is_told_by_its_day_the_mean_before_and_the_place():
    window, place = windows()
    chosen = choose_descriptors(material().session.card, window, place)
    values = chosen.describe(window, place)
    at = chosen.labels.index
    assert values.shape == (50, 7 + 6 + 3) == (50, len(chosen.labels))
    np.testing.assert_array_equal(values[:, at("neighbours_kriging today")], window[:, -1, 1])
    np.testing.assert_allclose(
        values[:, at("neighbours_kriging before")], window[:, :-1, 1].mean(axis=1), rtol=1e-6
    )
    # A static layer has no days before, and principal components keep all of a place of three numbers.
    assert "elevation before" not in chosen.labels
    np.testing.assert_allclose(
        np.linalg.norm(values[:, -3:], axis=1), np.linalg.norm(place - place.mean(axis=0), axis=1), rtol=1e-4
    )


def test_the_weights_are_the_sensitivity_of_the_model(made):
    weight = dict(zip(made.descriptors.labels, made.training.weight, strict=True))
    assert max(weight, key=weight.get) == "neighbours_kriging today"
    assert 0 < weight["neighbours_kriging before"] < 0.1 * weight["neighbours_kriging today"]
    assert weight["place 1"] > 0
    assert weight["elevation today"] == weight["neighbours_spread before"] == 0


def test_training_like_cells_are_applicable_and_strange_ones_are_not(made):
    window, place = windows()
    usual = made.of(window, place)
    strange = window.copy()
    strange[:, -1, 1] += 6
    unusual = made.of(strange, place)
    assert usual[APPLICABLE].mean() > 0.9
    assert unusual[APPLICABLE].max() == 0
    assert (unusual[DISSIMILARITY] > usual[DISSIMILARITY]).all()
    assert (unusual[DENSITY] == 0).all()
    assert list(made.bands) == list(usual)
    assert all(layer.dtype == np.float32 for layer in usual.values())


def test_the_way_of_cutting_cells_into_blocks_does_not_change_the_index(made):
    window, place = windows()
    whole = made.of(window, place)
    parts = [made.of(window[i : i + 7], place[i : i + 7]) for i in range(0, 50, 7)]
    for name in whole:
        np.testing.assert_array_equal(whole[name], np.concatenate([part[name] for part in parts]))


def test_held_out_stations_are_no_reference(made):
    m = material()
    assert len(made.training.points) <= 5 * (~m.held_out).sum()


def test_what_was_saved_says_the_same_when_read(tmp_path, made):
    m = material()
    card = save_applicability(tmp_path, made, "n" * 64, 60, FOLDS, "pm25map calibrate")
    again = load_applicability(model_in(tmp_path, m.session))
    window, place = windows()
    before, after = made.of(window, place), again.of(window, place)
    np.testing.assert_allclose(after[DISSIMILARITY], before[DISSIMILARITY], atol=1e-5)
    assert card.points == len(made.training.points)
    assert list(card.weights) == list(made.descriptors.labels)


def test_a_model_without_a_place_has_an_applicability_too():
    m = material(with_place=False)
    found = calibrate_applicability(m).of(windows()[0], None)
    assert np.isfinite(found[DISSIMILARITY]).all()


def test_absent_damaged_and_foreign_reference_data_are_refused(tmp_path, made):
    session = material().session
    model = model_in(tmp_path, session)
    with pytest.raises(BadModel, match=r"has no applicability\.json.*pm25map calibrate --model tiny"):
        load_applicability(model)
    save_applicability(tmp_path, made, "o" * 64, 60, FOLDS, "pm25map calibrate")
    with pytest.raises(BadModel, match="another network"):
        load_applicability(model)
    save_applicability(tmp_path, made, "n" * 64, 60, FOLDS, "pm25map calibrate")
    (tmp_path / DATA_FILE).write_bytes((tmp_path / DATA_FILE).read_bytes()[:-10])
    with pytest.raises(BadModel, match="damaged or belongs to another"):
        load_applicability(model)
    (tmp_path / CARD_FILE).write_text("{}")
    with pytest.raises(BadModel, match="is damaged"):
        load_applicability(model)
