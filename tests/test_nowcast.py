"""EPA's NowCast, against values worked by hand from its formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pm25map.base.errors import BadMonitors
from pm25map.monitors.nowcast import nowcast


def test_steady_air_is_the_mean_of_twelve_hours():
    assert nowcast([20.0] * 12) == 20


def test_a_weight_between_a_half_and_one_is_smallest_over_largest():
    # 8 for eleven hours and 10 now: w = 1 - (10 - 8) / 10 = 0.8. The weights of the hours 0 to 11 ago are 0.8**k, whose
    # sum is (1 - 0.8**12) / 0.2 = 4.656402; all but the first stand by 8: 8 + 2 * 1 / 4.656402 = 8.429516.
    assert nowcast([8.0] * 11 + [10.0]) == pytest.approx(8.429516, abs=1e-6)


def test_a_weight_under_a_half_is_a_half():
    # 0 for eleven hours and 100 now: w = 0, so 1/2. The sum of 1/2**k for 0 to 11 is 2 - 1/2**11 = 1.99951.
    assert nowcast([0.0] * 11 + [100.0]) == pytest.approx(100 / (2 - 2.0**-11))


def test_a_missing_hour_takes_no_part_and_keeps_the_age_of_the_others():
    # 40, then nothing, then 10 now; the other hours are missing: w = 1/2, (10 * 1 + 40 * 1/4) / (1 + 1/4) = 16.
    assert nowcast([np.nan] * 9 + [40, np.nan, 10]) == pytest.approx(16)


@pytest.mark.parametrize(
    ("latest", "there"),
    [([1, 1, 1], True), ([np.nan, 1, 1], True), ([1, 1, np.nan], True), ([1, np.nan, np.nan], False)],
)
def test_two_of_the_latest_three_hours_are_needed(latest, there):
    assert np.isfinite(nowcast([1.0] * 9 + latest)) == there


def test_air_at_or_below_zero_has_equal_weights():
    assert nowcast([0.0] * 12) == 0
    assert nowcast([-1.0] * 6 + [-3.0] * 6) == pytest.approx(-2)


def test_many_sites_are_what_each_is_alone():
    hours = np.random.default_rng(1).uniform(-2, 90, (5, 4, 12))
    hours[hours < 3] = np.nan
    alone = np.array([[nowcast(site) for site in row] for row in hours])
    np.testing.assert_array_equal(nowcast(hours), alone)


@given(arrays(float, 12, elements=st.floats(0, 500)))
def test_a_nowcast_lies_within_its_hours(hours):
    assert hours.min() - 1e-9 <= nowcast(hours) <= hours.max() + 1e-9


@given(arrays(float, 12, elements=st.floats(0.1, 500)))
def test_a_nowcast_agrees_with_the_formula_written_as_epa_writes_it(hours):
    newest_first = hours[::-1]
    rate = (max(hours) - min(hours)) / max(hours)
    weight = max(1 - rate, 0.5)
    top = sum(weight**k * value for k, value in enumerate(newest_first))
    assert nowcast(hours) == pytest.approx(top / sum(weight**k for k in range(12)))


@pytest.mark.parametrize("shape", [(), (11,), (12, 3)])
def test_another_number_of_hours_is_refused(shape):
    with pytest.raises(BadMonitors, match="12 hours"):
        nowcast(np.zeros(shape))
