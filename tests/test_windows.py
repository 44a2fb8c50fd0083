"""Windows: every number in its place, scaled once, with what is missing told."""

import datetime as dt

import numpy as np
import pytest
from predictor_world import DAYS, address, address_store, small_grid

from pm25map.base.errors import BadPredictors, DayOutsideStore, MissingDays
from pm25map.grid import Block
from pm25map.monitors import Monitors
from pm25map.predictors.neighbours import FIELDS
from pm25map.predictors.reader import open_predictors
from pm25map.predictors.sources.knnidw import KNNIDW_FIELDS, knnidw_left_out
from pm25map.windows.samples import StationSamples, gather_samples
from pm25map.windows.scaler import CLIP, FeatureScale, Scaler, fit_scaler
from pm25map.windows.window import block_window

NAMES = ("neighbours_idw9", "elevation", "neighbours_distance", "t2m_climatology")


def plain(names, indicators=()):
    """A scaler that changes nothing but what lies beyond its clip."""
    return Scaler(
        scales={n: FeatureScale(transform="linear", center=0, scale=1e4) for n in names},
        indicators=indicators,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_predictors(address_store(tmp_path_factory.mktemp("store") / "world.zarr"))


def test_a_window_spells_its_cells_days_and_features(store):
    block = Block(4, 8, 4, 4)
    cells = small_grid().land[block.slices]
    window = block_window(store, plain(NAMES), DAYS[-1], block, cells, 21) * 1e4
    assert window.shape == (cells.sum(), 21, len(NAMES))
    rows, cols = np.nonzero(cells)
    for i, slot in enumerate(range(len(DAYS) - 21, len(DAYS))):
        for f in (0, 2):
            spelt = address(NAMES[f], slot)[block.slices][rows, cols]
            np.testing.assert_allclose(window[:, i, f], spelt, atol=0.01)
    np.testing.assert_allclose(window[:, 3, 1], address("elevation")[block.slices][rows, cols], atol=0.01)


def test_a_missing_day_stops_the_window(store):
    block = Block(0, 0, 4, 4)
    with pytest.raises((MissingDays, DayOutsideStore), match="2020-08-2"):
        block_window(store, plain(NAMES), DAYS[15], block, small_grid().land[block.slices], 21)


def test_missing_becomes_the_mean_and_is_told():
    scaler = Scaler(
        scales={
            "aod_047": FeatureScale(transform="log1p", center=1.0, scale=0.5),
            "elevation": FeatureScale(transform="linear", center=100.0, scale=50.0),
        },
        indicators=("aod_047",),
    )
    out = scaler.apply(np.array([[np.e - 1, 150.0], [np.nan, 1e9], [-3.0, np.nan]]))
    assert scaler.inputs == ("aod_047", "elevation", "aod_047_missing")
    np.testing.assert_allclose(out, [[0, 1, 0], [0, CLIP, 1], [-2, 0, 0]], atol=1e-6)
    assert out.dtype == np.float32
    with pytest.raises(ValueError, match="features"):
        scaler.apply(np.zeros((2, 3)))


def test_a_scaler_is_the_same_after_json():
    values = np.random.default_rng(0).gamma(2, 10, (50, 2))
    fitted = fit_scaler(values, ("neighbours_idw9", "elevation"), ("ug m-3", "m"), ())
    assert Scaler.model_validate_json(fitted.model_dump_json()) == fitted
    assert fitted.scales["neighbours_idw9"].transform == "log1p"
    assert fitted.scales["elevation"].transform == "linear"
    scaled = fitted.apply(values)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-6)


def samples(truth):
    values = np.ones((*truth.shape, 1), dtype=np.float32)
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(truth.shape[1])]
    names = tuple(str(i) for i in range(len(truth)))
    spot = np.zeros(len(truth))
    return StationSamples(names, spot, spot, days, ("neighbours_idw9",), values, truth)


def test_targets_were_measured_and_have_a_whole_window():
    truth = np.full((2, 10), np.nan, dtype=np.float32)
    truth[0, [1, 4, 8]] = 5
    truth[1, [4, 9]] = 5
    world = samples(truth)
    everyone = np.ones(2, dtype=bool)
    found = world.targets(everyone, dt.date(2020, 1, 1), dt.date(2020, 1, 9), 3)
    assert found.tolist() == [[0, 4], [0, 8], [1, 4]]
    world.values[0, 7] = np.nan
    found = world.targets(everyone, dt.date(2020, 1, 1), dt.date(2020, 1, 31), 3)
    assert found.tolist() == [[0, 4], [1, 4], [1, 9]]
    assert world.targets(~everyone, dt.date(2020, 1, 1), dt.date(2020, 1, 31), 3).size == 0


@pytest.fixture(scope="module")
def monitors():
    """Twelve stations in the small grid, thirty days."""
    rng = np.random.default_rng(3)
    lon, lat = small_grid().lonlat()
    chosen = rng.choice(len(lon), 12, replace=False)
    sites = {"site_id": [f"s{i:02d}" for i in range(12)], "latitude": lat[chosen], "longitude": lon[chosen]}
    rows = [
        (name, day, rng.gamma(2, 8), 88101)
        for name in sites["site_id"]
        for day in (DAYS[0] - dt.timedelta(days=6) + dt.timedelta(days=i) for i in range(30))
    ]
    import pandas as pd

    table = pd.DataFrame(rows, columns=["site_id", "date", "pm25_ugm3", "parameter_code"])
    table["date"] = pd.to_datetime(table["date"])
    return Monitors(sites=pd.DataFrame(sites), observations=table)


def test_what_was_gathered_is_taken_from_the_cache(store, monitors, tmp_path):
    features = (*FIELDS, "elevation")
    held = np.arange(12) < 2
    heard = []
    call = (monitors, store, features, DAYS[0], DAYS[-1], held, tmp_path)
    first = gather_samples(*call, lambda done, total: heard.append((done, total)))
    again = gather_samples(*call, lambda done, total: pytest.fail("gathered twice"))
    assert heard[-1] == (24, 24)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.truth, again.truth)
    assert first.site_ids == again.site_ids
    assert len(list(tmp_path.iterdir())) == 1


def test_a_station_held_out_feeds_nobody(store, monitors):
    features = FIELDS
    held = np.arange(12) == 4
    quiet = gather_samples(monitors, store, features, DAYS[0], DAYS[-1], held)
    table = monitors.observations.copy()
    table.loc[table["site_id"] == "s04", "pm25_ugm3"] *= 40
    loud = gather_samples(
        Monitors(sites=monitors.sites, observations=table), store, features, DAYS[0], DAYS[-1], held
    )
    np.testing.assert_array_equal(quiet.values, loud.values)
    assert not np.array_equal(quiet.truth, loud.truth)


def world_of_knnidw():
    """Four places on a line of latitude; the second holds two monitors. The third day only one place measured."""
    import pandas as pd

    sites = pd.DataFrame(
        {
            "site_id": ["a", "b1", "b2", "c", "d"],
            "latitude": [38.0] * 5,
            "longitude": [-100.0, -99.0, -99.0, -97.0, -94.0],
        }
    )
    rows = [
        (name, day, 10.0 * (number + 1) + step, 88101)
        for step, day in enumerate(DAYS[:2])
        for number, name in enumerate(sites["site_id"])
    ] + [("a", DAYS[2], 7.0, 88101)]
    table = pd.DataFrame(rows, columns=["site_id", "date", "pm25_ugm3", "parameter_code"])
    table["date"] = pd.to_datetime(table["date"])
    return Monitors(sites=sites, observations=table)


def test_the_neighbours_of_the_study_leave_out_the_own_place():
    monitors = world_of_knnidw()
    found = knnidw_left_out(monitors, DAYS[:3], np.zeros(5, dtype=bool))
    per_degree = np.radians(1) * 6371 * np.cos(np.radians(38))
    away = (
        np.array([1, 3, 6]) * per_degree
    )  # of b1 and c and d from a, nearly: the circle is not the parallel
    values = np.array([20.0, 30, 40, 50])
    weights = 1 / away[[0, 0, 1, 2]]
    assert found["knnidw_pm25_val"][0, 0] == pytest.approx((values * weights).sum() / weights.sum(), rel=1e-3)
    assert found["knnidw_distance"][0, 0] == pytest.approx(away[[0, 0, 1, 2]].mean(), rel=1e-3)
    # b1 hears neither itself nor b2: both hear the same.
    np.testing.assert_array_equal(found["knnidw_pm25_val"][:, 1], found["knnidw_pm25_val"][:, 2])
    # A day on which only a measured: a hears nobody, and the others hear a alone.
    assert np.isnan(found["knnidw_pm25_val"][2, 0])
    np.testing.assert_allclose(found["knnidw_pm25_val"][2, 1:], 7)


@pytest.mark.parametrize("station", range(5))
def test_no_value_of_a_station_comes_back_to_it_from_the_neighbours_of_the_study(station):
    monitors = world_of_knnidw()
    table = monitors.observations.copy()
    table.loc[table["site_id"] == monitors.sites["site_id"][station], "pm25_ugm3"] *= 30
    loud = Monitors(sites=monitors.sites, observations=table)
    nobody = np.zeros(5, dtype=bool)
    before, after = (knnidw_left_out(world, DAYS[:2], nobody) for world in (monitors, loud))
    for name, values in before.items():
        np.testing.assert_array_equal(values[:, station], after[name][:, station])
    assert not np.array_equal(before["knnidw_pm25"], after["knnidw_pm25"])
    held = np.arange(5) == station
    before, after = (knnidw_left_out(world, DAYS[:2], held) for world in (monitors, loud))
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])


def test_training_reads_the_neighbours_of_the_study_left_out_and_not_from_the_store(store, monitors):
    """The store holds none of them, as it would hold fields in which every monitor counts."""
    features = (*KNNIDW_FIELDS, "elevation")
    held = np.arange(12) == 4
    found = gather_samples(monitors, store, features, DAYS[0], DAYS[-1], held)
    expected = knnidw_left_out(monitors, DAYS, held)
    for i, name in enumerate(KNNIDW_FIELDS):
        np.testing.assert_array_equal(found.values[:, :, i], expected[name].T)


def test_a_feature_without_any_value_is_not_learned_as_a_constant():
    values = np.stack([np.arange(4.0), np.full(4, np.nan)], axis=1)
    with pytest.raises(BadPredictors, match="elevation has no value at all"):
        fit_scaler(values, ("neighbours_idw9", "elevation"), ("ug m-3", "m"), ())


@pytest.mark.parametrize(("center", "scale"), [(np.nan, 1), (np.inf, 1), (0, 0), (0, np.nan), (0, -1)])
def test_a_scale_that_is_none_is_refused(center, scale):
    """Every value would become the mean, in silence."""
    with pytest.raises(ValueError, match=r"greater than 0|finite number"):
        FeatureScale(transform="linear", center=center, scale=scale)
