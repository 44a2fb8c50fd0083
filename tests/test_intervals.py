"""Intervals hold where they were not calibrated, grow with doubt, and refuse what is not theirs."""

import datetime as dt
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trust_world import END, FEATURES, START, material, model_in, samples

from pm25map.base.aqi import UPPER_ENDS
from pm25map.base.errors import BadModel, BadMonitors
from pm25map.grid import Block, Grid
from pm25map.model import intervals
from pm25map.model.intervals import Bounds, IntervalCard, bounds_of, tail_for
from pm25map.model.widths import FIELDS, basis
from pm25map.raster.bands import EXCEEDANCE, LOWER, UPPER
from pm25map.raster.block_bands import BlockDay
from pm25map.raster.intervals import Intervals
from pm25map.scores.calibrate import calibrate_intervals, conformalize
from pm25map.scores.coverage import coverage_rows, reliability_rows
from pm25map.scores.fit_widths import fit_widths
from pm25map.scores.strata import distance_class, region_of
from pm25map.scores.targets import Targets, draw, estimate_targets


@pytest.fixture(scope="module")
def made():
    pytest.importorskip("mapie")
    return calibrate_intervals(material())


def card_of(made, network="n" * 64) -> IntervalCard:
    b = made.bounds
    return IntervalCard(
        network_checksum=network,
        widths=b.widths,
        probabilities=tuple(b.probabilities.tolist()),
        quantiles=tuple(b.quantiles.tolist()),
        tail=b.tail,
        start=START,
        end=END,
        stations=made.stations,
        targets=made.targets,
        coverage=made.coverage,
        coverage_training=made.coverage_training,
        reliability=made.reliability,
        command="pm25map calibrate",
    )


def terms_at(pm25, spread=0.3, distance=20.0, doubt=0.4, day=100.0):
    n = len(pm25)
    values = {
        "neighbours_spread": spread,
        "neighbours_sd": doubt,
        "neighbours_distance": distance,
        "neighbours_kriging": pm25,
        "neighbours_calm": pm25,
    }
    fields = {name: np.broadcast_to(np.asarray(value, dtype=float), n) for name, value in values.items()}
    return basis(pm25, fields, np.full(n, day), np.full(n, -100.0), np.full(n, 40.0))


def test_intervals_of_90_percent_hold_90_percent_at_stations_not_used(made):
    everything = made.coverage[0]
    assert everything.stratum == "all" and everything.n == made.targets
    # Thirty stations a half leave out 7 %, not 10 %: see tail_for.
    assert 90 <= everything.coverage_percent <= 95
    assert 89 <= made.coverage_training[0].coverage_percent <= 93


def test_intervals_hold_on_a_country_drawn_anew(made):
    m = material(seed=5)
    every = np.ones(len(m.held_out), dtype=bool)
    targets = estimate_targets(m.session, m.samples, None, m.targets(every))
    lower, upper = made.bounds.interval(targets.pm25, targets.terms)
    truth = np.maximum(targets.truth, 0)
    assert 0.86 <= ((truth >= lower) & (truth <= upper)).mean() <= 0.95


def test_an_interval_grows_with_spread_and_with_distance_from_monitors(made):
    pm25 = np.full(3, 9.0)
    spread = np.ptp(made.bounds.interval(pm25, terms_at(pm25, spread=[0.1, 0.4, 0.7])), axis=0)
    doubt = np.ptp(
        made.bounds.interval(pm25, terms_at(pm25, doubt=[0.2, 0.5, 0.8], distance=[2, 30, 100])), axis=0
    )
    assert (np.diff(spread) > 0).all()
    assert (np.diff(doubt) > 0).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 400), st.floats(0, 1), st.floats(0, 300), st.integers(1, 366))
def test_the_estimate_lies_inside_and_probabilities_fall_with_the_level(made, pm25, spread, distance, day):
    at = np.array([pm25])
    terms = terms_at(at, spread=spread, distance=distance, day=float(day))
    lower, upper = made.bounds.interval(at, terms)
    assert 0 <= lower[0] <= pm25 <= upper[0]
    chance = [made.bounds.exceedance(at, terms, level)[0] for level in UPPER_ENDS]
    assert all(0 <= p <= 1 for p in chance)
    assert all(a >= b for a, b in itertools.pairwise(chance))


def test_the_ends_of_the_interval_are_quantiles_of_the_probabilities(made):
    pm25 = np.array([12.0])
    terms = terms_at(pm25)
    lower, upper = made.bounds.interval(pm25, terms)
    assert made.bounds.exceedance(pm25, terms, lower[0])[0] == pytest.approx(1 - made.bounds.tail, abs=1e-6)
    assert made.bounds.exceedance(pm25, terms, upper[0])[0] == pytest.approx(made.bounds.tail, abs=1e-6)


def test_the_calibration_is_the_conformal_quantile_by_the_book():
    pytest.importorskip("mapie")
    rng = np.random.default_rng(0)
    n, stations = 2000, 50
    pm25 = rng.gamma(3, 3, n)
    terms = terms_at(pm25)
    truth = (np.maximum(np.sqrt(pm25) + rng.normal(0.1, 0.4, n), 0)) ** 2
    targets = Targets(np.arange(n) % stations, np.zeros(n, int), truth, pm25, np.full(n, 20.0), terms)
    widths = fit_widths(terms, targets.residual)
    found = conformalize(widths, targets)
    below, above = widths.of(terms)
    scaled = np.sort(targets.residual / np.where(targets.residual > 0, above, below))
    tail = tail_for(stations)
    low, high = np.interp([tail, 1 - tail], found.probabilities, found.quantiles)
    # The k-th smallest and largest, k = floor(tail (n + 1)): within one rank, however ties are told.
    k = int(np.floor(tail * (n + 1)))
    assert scaled[k - 2] <= low <= scaled[k]
    assert scaled[n - k - 1] <= high <= scaled[n - k + 1]


def test_few_stations_leave_less_outside():
    assert tail_for(20) < tail_for(130) < 0.05


def test_too_few_stations_are_refused():
    pytest.importorskip("mapie")
    m = material()
    targets = estimate_targets(m.session, m.samples, None, m.targets(np.arange(240) < 10))
    with pytest.raises(BadMonitors, match="10 stations held out are too few"):
        conformalize(fit_widths(targets.terms, targets.residual), targets)


def test_no_targets_are_refused():
    m = material()
    with pytest.raises(BadMonitors, match="no training station measured anything"):
        m.targets(np.zeros(240, dtype=bool))


def test_coverage_counts_what_lies_inside_and_lists_strata_with_enough():
    n = 400
    region = np.zeros(n, dtype=int)
    pm25 = np.full(n, 5.0)
    truth = np.where(np.arange(n) < 100, 50.0, 5.0)
    targets = Targets(np.arange(n) % 7, np.zeros(n, int), truth, pm25, np.full(n, 20.0), np.zeros((n, 1)))
    rows = {r.stratum: r for r in coverage_rows(targets, region, np.full(n, 7), pm25 - 1, pm25 + 1)}
    assert rows["all"].coverage_percent == 75 and rows["all"].width_ugm3 == 2 and rows["all"].stations == 7
    assert rows["northeast, estimate Good, nearest station 10-50 km"].n == n
    assert rows["observed Unhealthy for Sensitive Groups"].coverage_percent == 0
    assert rows["observed Good"].coverage_percent == 100
    assert "winter" not in rows and rows["summer"].n == n


def test_reliability_compares_forecast_and_observed():
    truth = np.array([5.0, 20.0, 20.0, 5.0])
    chance = {level: np.array([0.1, 0.9, 0.9, 0.1]) if level == 9 else np.zeros(4) for level in UPPER_ENDS}
    rows = [row for row in reliability_rows(truth, chance) if row.level == 9]
    assert [(r.n, r.forecast, r.observed) for r in rows] == [(2, 0.1, 0.0), (2, 0.9, 1.0)]


def test_a_draw_takes_at_most_so_many_of_each_station():
    targets = np.array([(s, d) for s in range(3) for d in range(5 + 10 * s)])
    drawn = draw(targets, 7, seed=1)
    assert np.bincount(drawn[:, 0]).tolist() == [5, 7, 7]
    assert len({tuple(t) for t in drawn.tolist()}) == len(drawn)


def test_distances_and_places_are_sorted_into_their_classes():
    assert distance_class(np.array([0.0, 9.9, 10.0, 99.0, 100.0, 500.0])).tolist() == [0, 0, 1, 2, 3, 3]
    # Portland OR, Boston, Houston, and a ship off California.
    found = region_of(np.array([45.5, 42.4, 29.8, 36.0]), np.array([-122.7, -71.1, -95.4, -125.0]))
    assert found.tolist() == [7, 0, 4, 8]


def test_the_provider_gives_every_band_of_its_cells(made):
    land = np.array([[True, False, True], [True, True, True]])
    grid = Grid("tiny", "EPSG:5070", (50_000, 0, -2e6, 0, -50_000, 2.5e6), (2, 3), 3, land)
    provider = Intervals(made.bounds, grid, (LOWER, UPPER, *EXCEEDANCE.values()))
    raw = samples().values[:4, :4]
    cells = land.copy()
    cells[0, 0] = False
    pm25 = np.array([3, 10, 40, 200], dtype=np.float32)
    at = BlockDay(
        dt.date(2020, 2, 1), Block(0, 0, 2, 3), cells, None, None, None, pm25[None], None, FEATURES, raw
    )
    found = provider(at)
    assert list(provider.bands) == list(found)
    found = {band.name: layer for band, layer in found.items()}
    assert [len(layer) for layer in found.values()] == [4] * 7
    lower, upper = found["pm25_lower"], found["pm25_upper"]
    assert (lower <= pm25).all() and (pm25 <= upper).all() and lower.dtype == np.float32
    assert found["p_above_225_4"][0] < found["p_above_225_4"][3]
    lon, lat = grid.lonlat()
    fields = {name: raw[1:2, -1, FEATURES.index(name)] for name in FIELDS}
    alone = made.bounds.interval(pm25[1:2], basis(pm25[1:2], fields, np.array([32.0]), lon[2:3], lat[2:3]))
    assert lower[1] == pytest.approx(alone[0][0], rel=1e-6)


def test_a_saved_calibration_gives_the_same_intervals(tmp_path, made):
    intervals.save_intervals(tmp_path, card_of(made))
    again = bounds_of(intervals.load_intervals(model_in(tmp_path, material().session)))
    pm25 = np.array([4.0, 30.0])
    assert isinstance(again, Bounds)
    np.testing.assert_array_equal(
        made.bounds.interval(pm25, terms_at(pm25)), again.interval(pm25, terms_at(pm25))
    )


def test_absent_damaged_and_foreign_calibrations_are_refused(tmp_path, made):
    session = material().session
    model = model_in(tmp_path, session)
    with pytest.raises(
        BadModel, match=r"has no intervals\.json: make it with pm25map calibrate --model tiny"
    ):
        intervals.load_intervals(model)
    intervals.save_intervals(tmp_path, card_of(made, "o" * 64))
    with pytest.raises(BadModel, match="another network"):
        intervals.load_intervals(model)
    held = json.loads(card_of(made).model_dump_json())
    del held["quantiles"]
    (tmp_path / intervals.CARD_FILE).write_text(json.dumps(held))
    with pytest.raises(BadModel, match="is damaged"):
        intervals.load_intervals(model)


def test_a_model_without_the_neighbours_has_no_intervals(tmp_path):
    session = material().session
    kept = {name: scale for name, scale in session.card.scaler.scales.items() if name != FIELDS[0]}
    session.card.scaler = session.card.scaler.model_copy(update={"scales": kept})
    with pytest.raises(BadModel, match=f"does not read {FIELDS[0]}"):
        intervals.check_fields(model_in(tmp_path, session))
