"""Scores in parts, their intervals, and tests between variants, against worlds with known answers."""

import numpy as np
import pandas as pd
import pytest
import study_world
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pm25map.base.errors import BadStudy
from pm25map.base.metrics import scores as plain_scores
from pm25map.laboratory.study.reading import read_results
from pm25map.scores import paired, strata
from pm25map.scores import sums as scores


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_results(study_world.results(tmp_path_factory.mktemp("study")))


def frame(site, truth, prediction, seed=0):
    return pd.DataFrame({"site": site, "seed": seed, "truth": truth, "prediction": prediction})


@given(st.integers(0, 2**31), st.integers(2, 12), st.floats(0, 1e4))
@settings(max_examples=40, deadline=None)
def test_scores_of_sums_are_those_of_the_values_and_the_parts_add_up(seed, stations, level):
    rng = np.random.default_rng(seed)
    site = rng.integers(0, stations, 200)
    truth = level + rng.gamma(2, 5, 200)
    prediction = truth + rng.normal(0, 3, 200) + rng.normal(0, 2, stations)[site]
    found = scores.scores_of_sums(scores.sums_of(frame(site, truth, prediction), stations).sum(axis=0))
    plain = plain_scores(truth, prediction)
    for name in ("r2", "rmse", "mae", "mbe"):
        assert found[name] == pytest.approx(plain[name], rel=1e-6, abs=1e-9)
    assert found["rmse"] ** 2 == pytest.approx(found["rmse_within"] ** 2 + found["rmse_between"] ** 2)


def test_a_constant_error_a_station_is_all_between_and_a_swing_is_all_within():
    site = np.repeat(np.arange(6), 10)
    truth = np.tile(np.arange(10.0), 6) + site
    between = scores.scores_of_sums(scores.sums_of(frame(site, truth, truth + site), 6).sum(axis=0))
    assert between["rmse_within"] == pytest.approx(0, abs=1e-6)
    assert between["r2_within"] == pytest.approx(1)
    swing = np.tile([1.0, -1.0], 30)
    within = scores.scores_of_sums(scores.sums_of(frame(site, truth, truth + swing), 6).sum(axis=0))
    assert within["rmse_between"] == pytest.approx(0, abs=1e-6)
    assert within["rmse_within"] == pytest.approx(1)


def test_two_seeds_count_a_target_once():
    site, truth = np.repeat(np.arange(6), 10), np.tile(np.arange(10.0), 6)
    one = scores.sums_of(frame(site, truth, truth + 1), 6)
    two = scores.sums_of(pd.concat([frame(site, truth, truth + 1, s) for s in (0, 1)]), 6)
    np.testing.assert_allclose(one, two)


def test_observations_that_agree_have_no_r2():
    found = scores.scores_of_sums(scores.sums_of(frame([0, 0, 1], [5.0] * 3, [5.0, 6.0, 7.0]), 2).sum(axis=0))
    assert np.isnan(found["r2"])
    assert found["rmse"] == pytest.approx(np.sqrt(5 / 3))


def test_intervals_are_those_of_scipy_s_bootstrap_over_stations():
    rng = np.random.default_rng(1)
    site = np.repeat(np.arange(80), 30)
    truth = rng.gamma(2, 5, site.size)
    prediction = truth + rng.normal(0, 2, site.size) + rng.normal(0, 2, 80)[site]
    sums = scores.sums_of(frame(site, truth, prediction), 80)
    ours = scores.scores_with_intervals(sums, draws=4000)

    def rmse(index, axis):
        return scores.scores_of_sums(np.moveaxis(sums[index], axis - 1, 0).sum(axis=0))["rmse"]

    theirs = stats.bootstrap(
        (np.arange(80),), rmse, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours["rmse"].low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours["rmse"].high == pytest.approx(theirs.high, abs=0.05 * width)


def test_the_interval_over_stations_covers_as_often_as_it_says():
    """Stations differ, days do not: an interval over rows would be far too narrow."""
    inside = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        site = np.repeat(np.arange(60), 20)
        error = rng.normal(0, 1, 60)[site]
        found = scores.scores_with_intervals(
            scores.sums_of(frame(site, np.zeros(site.size), error), 60), 400
        )["mbe"]
        inside += found.low <= 0 <= found.high
    assert 0.88 <= inside / 120 <= 0.99


def test_few_stations_have_no_interval():
    found = scores.scores_with_intervals(scores.sums_of(frame([0, 1, 1], [1.0, 2, 3], [2.0, 2, 3]), 2))
    assert np.isfinite(found["rmse"].value)
    assert np.isnan(found["rmse"].low)


def test_strata_of_a_kind_hold_every_prediction_once(results):
    made = results.predictions("stations-10", "idw")
    parts = strata.strata(made, results.stations)
    for kind in ("concentration", "season", "region", "smoke", "setting", "distance"):
        assert np.all(sum(mask.astype(int) for (k, _), mask in parts.items() if k == kind) == 1), kind


def test_classes_have_the_index_s_ends_and_negatives_count_as_clean():
    made = pd.DataFrame(
        {
            "site": 0,
            "date": pd.to_datetime("2020-12-31"),
            "truth": [-2.0, 9.04, 9.1, 35.44, 35.5, 55.5, 125.4, 125.5, 400.0],
            "distance_km": [0, 9.9, 10, 50, 100, 199, 200, 1e4, np.nan],
            "smoke": [True, False, None, True, False, None, True, False, None],
        }
    )
    stations = pd.DataFrame({"site_id": ["a"], "region": ["West"], "urban": [True]})
    parts = strata.strata(made, stations)
    count = {name: int(mask.sum()) for (kind, name), mask in parts.items() if kind == "concentration"}
    assert count == {"0-9": 2, "9-35.4": 2, "35.4-55.4": 1, "55.4-125.4": 2, "above 125.4": 2}
    assert {name: int(m.sum()) for (kind, name), m in parts.items() if kind == "smoke"} == {
        "smoke": 3, "no smoke": 3, "smoke not known": 3,
    }  # fmt: skip
    assert [int(m.sum()) for (kind, _), m in parts.items() if kind == "distance"] == [2, 1, 1, 2, 2]
    assert ("season", "winter") in parts
    assert ("season", "summer") not in parts


def pair_of(results, variant, other):
    return paired.pair(
        *(paired.losses(results.predictions("stations-10", name)) for name in (variant, other))
    )


def test_a_better_variant_is_found_better_and_equal_ones_are_not(results):
    better = paired.compare(pair_of(results, "geoclip-hadamard", "none"))
    assert better.difference.high < 0
    assert better.gain_percent.low > 0
    assert better.p_wilcoxon < 0.01
    assert better.p_bootstrap < 0.01
    equal = paired.compare(pair_of(results, "none", "kriging"))
    assert equal.difference.low < 0 < equal.difference.high
    assert equal.p_bootstrap > 0.01
    same = paired.compare(pair_of(results, "idw", "idw"))
    assert (same.difference.value, same.p_wilcoxon, same.p_bootstrap) == (0, 1, 1)


def test_the_gain_is_where_the_errors_differ(results):
    rows = pair_of(results, "geoclip-hadamard", "none")
    far = strata.distance_class(rows["distance_km"].to_numpy()) >= 3
    assert paired.compare(rows[~far]).gain_percent.value > 20
    assert abs(paired.compare(rows[far]).gain_percent.value) < 5


def test_variants_are_compared_on_the_targets_that_both_have(results):
    rows = results.predictions("stations-10", "none")
    half = paired.losses(rows[rows["fold"] == 0])
    found = paired.compare(paired.pair(half, paired.losses(rows)))
    assert found.n == len(half)
    nothing = paired.pair(half, paired.losses(rows[rows["fold"] == 1]))
    assert paired.compare(nothing) is None


def test_p_values_are_adjusted_and_unknown_ones_stay_unknown():
    assert paired.adjust([0.01, np.nan, 0.04])[0] == pytest.approx(0.02)
    assert np.isnan(paired.adjust([0.01, np.nan])[1])


def test_a_folder_that_is_not_whole_says_what_is_missing(tmp_path, results):
    with pytest.raises(BadStudy, match=r"cannot read .*runs\.parquet"):
        read_results(tmp_path)
    with pytest.raises(BadStudy, match="no finished run of satclip-hadamard"):
        results.predictions("stations-10", "satclip-hadamard")
