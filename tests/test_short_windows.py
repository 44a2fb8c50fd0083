"""Short windows: how missing days are filled and drawn, what training makes of them, and their scores."""

from types import SimpleNamespace

import model_world
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

pytest.importorskip("torch")
from pm25map.base.errors import BadConfig, BadModel, BadMonitors
from pm25map.base.shipped import shipped_folder
from pm25map.cli.main import cli
from pm25map.model import train as train_module
from pm25map.model.config import read_config
from pm25map.model.splits import hold_out_stations
from pm25map.model.train import train, training_set
from pm25map.scores import short as short_module
from pm25map.scores.held_out import HeldOut
from pm25map.scores.short import error_ratios, error_sums, judge_short
from pm25map.windows.gaps import fill_missing_days
from pm25map.windows.scaler import fit_scaler
from pm25map.windows.short import draw_present_days, kept_by_day, last_days

SHORT = {"share": 1.0, "gaps": 0.2}


@st.composite
def windows_with_gaps(draw):
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 4)))
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    present = draw(nps.arrays(np.bool_, shape[:2]))
    present[:, -1] = True
    return values, present, draw(nps.arrays(np.bool_, shape[2]))


@given(windows_with_gaps())
def test_a_missing_day_takes_the_next_present_day_and_nothing_else_changes(drawn):
    values, present, daily = drawn
    before = values.copy()
    filled = fill_missing_days(values, present, daily)
    for cell, day, feature in np.ndindex(values.shape):
        source = day
        while daily[feature] and not present[cell, source]:
            source += 1
        assert filled[cell, day, feature] == values[cell, source, feature]
    np.testing.assert_array_equal(values, before)


@given(windows_with_gaps())
def test_filled_windows_do_not_change_when_they_are_filled_again(drawn):
    values, present, daily = drawn
    once = fill_missing_days(values, present, daily)
    np.testing.assert_array_equal(fill_missing_days(once, present, daily), once)


def test_the_estimated_day_cannot_be_missing():
    values = np.zeros((1, 3, 1), dtype=np.float32)
    with pytest.raises(ValueError, match="estimated day"):
        fill_missing_days(values, np.array([True, True, False]), np.array([True]))


def test_what_a_store_keeps_by_day_goes_missing_and_calendar_sun_layers_and_climate_do_not():
    names = ("neighbours_idw9", "day_length", "elevation", "t2m_climatology", "wildfire_smoke")
    assert kept_by_day(names).tolist() == [True, False, False, False, True]


@given(st.integers(0, 2**32), st.integers(2, 30), st.floats(0, 0.9))
def test_a_draw_leaves_the_estimated_day_and_depends_on_the_seed_alone(seed, days, gaps):
    first, again = (draw_present_days(np.random.default_rng(seed), 20, days, 0.5, gaps) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first[:, -1].all()


def test_short_windows_have_the_share_that_was_asked_for_and_one_day_is_the_commonest():
    present = draw_present_days(np.random.default_rng(0), 40_000, 21, 0.5, 0.0)
    left = present.sum(axis=1)
    np.testing.assert_array_equal(present, [last_days(count, 21) for count in left])
    assert (left < 21).mean() == pytest.approx(0.5, abs=0.01)
    chance = 1 / np.arange(1, 21)
    expected = 0.5 * 40_000 * chance / chance.sum()
    np.testing.assert_allclose(np.bincount(left, minlength=22)[1:21], expected, rtol=0.2)


def test_gaps_fall_on_the_days_of_short_windows_alone():
    present = draw_present_days(np.random.default_rng(0), 40_000, 21, 0.5, 0.1)
    whole = present.all(axis=1)
    left = 21 - present.argmax(axis=1)
    assert whole.mean() == pytest.approx(0.5, abs=0.02)
    inner = present[(~whole) & (left > 10)][:, -10:-1]
    assert (~inner).mean() == pytest.approx(0.1, abs=0.01)


# Training


def weights(folder, **changes):
    config = model_world.config(**{"geolocation": "none", "targets_an_epoch": 128, "epochs": 1} | changes)
    world = model_world.samples()
    held = hold_out_stations(world.lat, world.lon, config.holdout_fraction, config.holdout_seed)
    folder.mkdir()
    trained = train(training_set(world, None, config, held), config, folder)
    return np.concatenate([value.numpy().ravel() for value in trained.network.state_dict().values()])


def test_short_windows_make_another_network_and_the_same_one_from_the_same_seed(tmp_path):
    plain = weights(tmp_path / "plain")
    first = weights(tmp_path / "first", short_windows=SHORT)
    again = weights(tmp_path / "again", short_windows=SHORT)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, plain)


def test_short_windows_with_no_day_missing_train_the_plain_network(tmp_path, monkeypatch):
    plain = weights(tmp_path / "plain")

    def whole(_generator, windows, days, _share, _gaps):
        return np.ones((windows, days), dtype=np.bool_)

    monkeypatch.setattr(train_module, "draw_present_days", whole)
    np.testing.assert_array_equal(weights(tmp_path / "whole", short_windows=SHORT), plain)


def test_every_epoch_draws_other_days_of_its_own_targets(tmp_path, monkeypatch):
    drawn = []

    def keep(*arguments):
        drawn.append(draw_present_days(*arguments))
        return drawn[-1]

    monkeypatch.setattr(train_module, "draw_present_days", keep)
    weights(tmp_path / "run", short_windows=SHORT, epochs=2)
    assert [part.shape for part in drawn] == [(128, 5), (128, 5)]
    assert not np.array_equal(*drawn)


def test_training_reads_the_windows_that_a_map_would_read():
    world = model_world.samples()
    scaler = fit_scaler(world.values, world.features, ("ug m-3", "ug m-3", "m"), ())
    daily = kept_by_day(world.features)
    targets = world.targets(np.ones(30, dtype=np.bool_), world.days[0], world.days[-1], 5)
    present = draw_present_days(np.random.default_rng(0), len(targets), 5, 1.0, 0.2)
    feed = train_module._Feed(scaler.apply(world.values), world.truth, None, 5, "cpu", daily)
    read = np.concatenate([window.numpy() for window, *_ in feed.batches(targets, 64, present)])
    mapped = scaler.apply(fill_missing_days(world.windows(targets, 5), present, daily))
    np.testing.assert_array_equal(read, mapped)
    assert not np.array_equal(mapped, scaler.apply(world.windows(targets, 5)))


@pytest.mark.parametrize("value", ["{share: 0}", "{share: 1.5}", "{share: 0.5, gaps: 1}", "{gap: 0.1}"])
def test_a_share_that_is_none_is_refused(tmp_path, value):
    text = (shipped_folder("models") / "conus-open.yaml").read_text(encoding="utf-8")
    path = tmp_path / "bad.yaml"
    path.write_text(f"{text}\nshort_windows: {value}\n", encoding="utf-8")
    with pytest.raises(BadConfig, match="short_windows"):
        read_config(path)


def test_a_window_of_one_day_cannot_be_shorter():
    with pytest.raises(ValueError, match="cannot be shorter"):
        model_world.config(window_days=1, short_windows=SHORT)


# Scores


def test_half_the_error_at_every_station_is_half_for_sure():
    truth = np.linspace(1, 50, 60)
    place = np.repeat(np.arange(6), 10)
    ours, other = error_sums(truth, truth + 1, place), error_sums(truth, truth - 2, place)
    for ratio in error_ratios(ours, other):
        assert (ratio.value, ratio.low, ratio.high) == (0.5, 0.5, 0.5)


def test_the_interval_covers_what_the_draw_of_stations_changes():
    truth = np.zeros(40)
    place = np.repeat([7, 9], 20)
    ours = error_sums(truth, np.where(place == 7, 1.0, 3.0), place)
    rmse, mae = error_ratios(ours, error_sums(truth, truth + 2.0, place))
    assert (rmse.value, rmse.low, rmse.high) == (pytest.approx(np.sqrt(5) / 2, abs=1e-4), 0.5, 1.5)
    assert (mae.value, mae.low, mae.high) == (1.0, 0.5, 1.5)


@pytest.fixture
def judged_world(monkeypatch):
    """Stations that are all judged, and a model that estimates the mean of the window's interpolations."""
    world = model_world.samples()
    judged = np.arange(30) < 10
    monkeypatch.setattr(
        short_module,
        "gather_held_out",
        lambda card, monitors, predictors, days, **_: HeldOut(world, judged, *days, card.window_days),
    )
    card = SimpleNamespace(
        name="mean",
        window_days=5,
        scaler=SimpleNamespace(features=world.features, apply=lambda window: window),
        place=SimpleNamespace(encoder="none"),
    )
    return world, SimpleNamespace(card=card, run=lambda window, _: window[:, :, 0].mean(axis=1))


def judge(judged_world, days_present):
    world, session = judged_world
    return judge_short(session, None, None, world.days[0], world.days[-1], days_present)


def test_the_mean_of_one_present_day_is_the_interpolation_of_that_day(judged_world):
    one, whole = judge(judged_world, (1, 5))
    assert (one.days_present, one.n, one.stations) == (1, 360, 10)
    assert one.rmse_ratios["interpolation"].value == one.mae_ratios["interpolation"].value == 1.0
    assert one.rmse_ratios["kriging"].value != 1.0
    assert whole.rmse_ratios["whole window"].value == 1.0
    world, _ = judged_world
    error = np.lib.stride_tricks.sliding_window_view(world.values[:10, :, 0], 5, axis=1).mean(-1)
    error -= world.truth[:10, 4:]
    assert whole.rmse == pytest.approx(np.sqrt((error**2).mean()), abs=1e-3)
    assert whole.mae == pytest.approx(np.abs(error).mean(), abs=1e-3)
    assert one.rmse_ratios["whole window"].value == pytest.approx(one.rmse / whole.rmse, abs=1e-3)


@pytest.mark.parametrize("count", [0, 6])
def test_more_days_than_the_window_has_are_refused(judged_world, count):
    with pytest.raises(BadModel, match="give 1 to 5"):
        judge(judged_world, (count,))


def test_nothing_to_judge_is_said(judged_world):
    world, _ = judged_world
    world.truth[:10] = np.nan
    with pytest.raises(BadMonitors, match="held out measured"):
        judge(judged_world, (1,))


@pytest.mark.parametrize("other", [["--write-card"], ["--targets", "x.csv"]])
def test_scores_with_few_days_go_into_no_card(other):
    words = ["evaluate", "--monitors", "a", "--predictors", "b", "--days-present", "1", *other]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert "--days-present" in result.output
