"""Dissimilarity index and area of applicability: equal to CAST, line by line and on CAST's own numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm25map.diagnostics.dissimilarity import training_points


# R's datasets::trees (31 black cherry trees: girth, height, volume), ordered by height, then girth: trees 4 to 27
# train, the others are new. The numbers below came out of the algorithm of CAST 1.0 (trainDI and aoa) under R 4.2.2
# with FNN 1.1.3.1, weights 2.5, 0.5 and 1, folds of six trees in this order.
def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=np.float64)


TRAIN = np.column_stack(
    [
        numbers(
            "11 11.7 8.3 13.7 10.5 16 12.9 14.5 11 11.2 12 11.4 11.4 16.3 14 11.3 11.1 14.2 17.9 18 18 10.7 17.3 17.5"
        ),
        numbers("66 69 70 71 72 72 74 74 75 75 75 76 76 77 78 79 80 80 80 80 80 81 81 82"),
        numbers(
            "15.6 21.3 10.3 25.7 16.4 38.3 22.2 36.3 18.2 19.9 19.1 "
            "21 21.4 42.6 34.5 24.2 22.6 31.7 58.3 51.5 51 18.8 55.4 55.7"
        ),
    ]
)
NEW = np.column_stack(
    [
        numbers("8.8 13.8 8.6 10.8 12.9 13.3 20.6"),
        numbers("63 64 65 83 85 86 87"),
        numbers("10.2 24.9 10.3 19.7 33.8 27.4 77"),
    ]
)
WEIGHT = np.array([2.5, 0.5, 1.0])
FOLDS = np.repeat(np.arange(4), 6)

CAST_MEAN_DISTANCE = 3.21282500429053
CAST_THRESHOLD, CAST_THRESHOLD_OF_FOLDS = 0.444521901396186, 0.660479138634744
CAST_INDEX_OF_FOLDS = numbers(
    "0.327495453342102 0.234498474968949 0.765789270602761 0.251559393936197 0.176299480672778 "
    "0.216727061322183 0.251559393936197 0.200219357008191 0.132051414673758 0.0720072929850353 "
    "0.17219196588657 0.00847928146933757 0.00847928146933757 0.216727061322183 0.200219357008191 "
    "0.130010907836831 0.13901404332312 0.249646054675135 0.554197487484004 0.505752974634866 "
    "0.501895481295526 0.13901404332312 0.407913965764772 0.461763937681799"
)
CAST_INDEX = numbers(
    "0.248091952262314 0.234498474968949 0.609293852015742 0.251559393936197 0.176299480672778 "
    "0.216727061322183 0.251559393936197 0.200219357008191 0.0646995447815311 0.0646995447815311 "
    "0.169985710771233 0.00847928146933757 0.00847928146933757 0.216727061322183 0.107502698189547 "
    "0.0729681645179283 0.0729681645179283 0.107502698189547 0.140476424971677 0.0105991018366721 "
    "0.0105991018366721 0.13901404332312 0.0649185978810639 0.0649185978810639"
)
CAST_DENSITY = [7, 10, 0, 4, 10, 2, 6, 4, 10, 10, 11, 11, 11, 2, 4, 9, 9, 3, 4, 4, 4, 8, 5, 4]
CAST_DENSITY_OF_FOLDS = [9, 9, 0, 7, 9, 6, 10, 5, 7, 7, 9, 8, 10, 7, 5, 9, 9, 4, 1, 1, 1, 11, 2, 2]
CAST_NEW_INDEX = numbers(
    "0.284771034143591 0.253087778258839 0.19662624882419 0.0789447599895405 0.388081314851669 "
    "0.336297493255754 0.863947416659411"
)
CAST_NEW_DENSITY = [1, 2, 1, 9, 2, 2, 0]
CAST_NEW_DENSITY_OF_FOLDS = [3, 7, 3, 12, 11, 10, 0]


def test_training_data_have_the_index_threshold_and_density_of_cast():
    found = training_points(TRAIN, WEIGHT)
    assert found.mean_distance == pytest.approx(CAST_MEAN_DISTANCE, abs=1e-12)
    np.testing.assert_allclose(found.index, CAST_INDEX, rtol=0, atol=1e-12)
    assert found.threshold == pytest.approx(CAST_THRESHOLD, abs=1e-12)
    assert found.density.tolist() == CAST_DENSITY


def test_folds_change_index_threshold_and_density_as_in_cast():
    found = training_points(TRAIN, WEIGHT, FOLDS)
    np.testing.assert_allclose(found.index, CAST_INDEX_OF_FOLDS, rtol=0, atol=1e-12)
    assert found.threshold == pytest.approx(CAST_THRESHOLD_OF_FOLDS, abs=1e-12)
    assert found.density.tolist() == CAST_DENSITY_OF_FOLDS


@pytest.mark.parametrize(("folds", "density"), [(None, CAST_NEW_DENSITY), (FOLDS, CAST_NEW_DENSITY_OF_FOLDS)])
def test_new_data_have_the_index_and_density_of_cast(folds, density):
    found = training_points(TRAIN, WEIGHT, folds)
    index = found.index_of(NEW)
    np.testing.assert_allclose(index, CAST_NEW_INDEX, rtol=0, atol=1e-12)
    assert (index <= found.threshold).tolist() == [True] * 6 + [False]
    assert found.density_of(NEW).tolist() == density


def test_the_threshold_is_that_of_the_example_in_casts_own_tests():
    # tests/testthat/test-trainDI.R of CAST: 30 plots of the Cook farm, three predictors. The training index is
    # published to 8 digits, the threshold to 5, and the rule turns one into the other.
    index = numbers(
        "0.09043580 0.14046341 0.16584582 0.57617177 0.26840303 0.14353894 0.19768329 0.24022059 "
        "0.06832037 0.29150668 0.18471625 0.57617177 0.12344463 0.09043580 0.14353894 0.26896008 "
        "0.22713731 0.24022059 0.20388725 0.06832037 0.23604264 0.20388725 0.91513568 0.09558666 "
        "0.14046341 0.16214832 0.37107762 0.16214832 0.18471625 0.12344463 "
    )
    low, high = np.percentile(index, [25, 75])
    assert round(min(high + 1.5 * (high - low), index.max()), 5) == 0.38986


def by_definition(values, weight, folds, new):
    """The same by the book, one pair of points after another."""
    n, p = values.shape
    mean = [sum(values[i][k] for i in range(n)) / n for k in range(p)]
    sd = [(sum((values[i][k] - mean[k]) ** 2 for i in range(n)) / (n - 1)) ** 0.5 for k in range(p)]

    def at(row):
        return [(row[k] - mean[k]) / sd[k] * weight[k] for k in range(p)]

    def apart(a, b):
        return sum((a[k] - b[k]) ** 2 for k in range(p)) ** 0.5

    points = [at(row) for row in values]
    average = []
    for i in range(n):
        others = [apart(points[i], points[j]) for j in range(n) if j != i]
        average.append(sum(others) / len(others))
    norm = sum(average) / n
    index = [
        min(apart(points[i], points[j]) for j in range(n) if j != i and folds[j] != folds[i]) / norm
        for i in range(n)
    ]
    ordered = sorted(index)

    def quantile(q):
        position = q * (n - 1)
        below = int(position)
        above = min(below + 1, n - 1)
        return ordered[below] + (position - below) * (ordered[above] - ordered[below])

    threshold = min(quantile(0.75) + 1.5 * (quantile(0.75) - quantile(0.25)), max(index))
    distances = [[apart(at(row), point) / norm for point in points] for row in new]
    return (
        index,
        threshold,
        [min(row) for row in distances],
        [sum(d < threshold for d in row) for row in distances],
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 25), st.integers(1, 4), st.integers(2, 5))
def test_any_data_agree_with_the_definition(seed, n, p, k):
    rng = np.random.default_rng(seed)
    values, new = rng.gamma(2, 3, (n, p)), rng.gamma(2, 4, (5, p))
    weight, folds = rng.uniform(0.1, 3, p), np.arange(n) % k
    found = training_points(values, weight, folds)
    index, threshold, new_index, new_density = by_definition(values, weight, folds, new)
    np.testing.assert_allclose(found.index, index, rtol=0, atol=1e-6)
    assert found.threshold == pytest.approx(threshold, abs=1e-6)
    np.testing.assert_allclose(found.index_of(new), new_index, rtol=0, atol=1e-6)
    assert found.density_of(new).tolist() == new_density


def test_a_missing_predictor_gives_no_index():
    found = training_points(TRAIN, WEIGHT)
    holed = NEW.copy()
    holed[1, 2] = np.nan
    assert np.isnan(found.index_of(holed)).tolist() == [False, True, False, False, False, False, False]
    assert np.isnan(found.density_of(holed))[1]


def test_data_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="vary"):
        training_points(np.ones((5, 2)), np.ones(2))
    with pytest.raises(ValueError, match="folds"):
        training_points(TRAIN, WEIGHT, np.zeros(24, dtype=int))
