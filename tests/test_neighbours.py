"""The neighbours source: what stations say of a place, and that none ever speaks for itself."""

import numpy as np
import pytest
from neighbour_world import COUNT, DAYS, world

from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.map_fields import fields_at
from pm25map.predictors.neighbours import (
    FIELDS,
    SMOKE,
    Stations,
    fields_left_out,
    positions,
)


def without(values, codes, stations, gone):
    kept = ~np.isin(np.arange(COUNT), gone)
    fewer = Stations(stations.lat[kept], stations.lon[kept], stations.elevation[kept])
    return values[:, kept], codes[:, kept], fewer


@pytest.mark.parametrize("station", [0, 1, 2, 17, 39])
def test_leaving_a_station_out_is_the_same_as_never_having_had_it(station):
    values, codes, stations = world()
    place = [0, 1] if station < 2 else [station]
    here = (stations.lat[[station]], stations.lon[[station]], stations.elevation[[station]])
    asked = fields_at(*without(values, codes, stations, place), *here)
    left = fields_left_out(values, codes, stations)
    for name in FIELDS:
        np.testing.assert_allclose(
            left[name][:, station], asked[name][:, 0], rtol=2e-3, atol=2e-3, err_msg=name
        )


@pytest.mark.parametrize("station", [0, 1, 25])
def test_a_stations_own_values_never_reach_its_own_fields(station):
    values, codes, stations = world()
    before = fields_left_out(values, codes, stations)
    values[:, [0, 1] if station < 2 else [station]] *= 50
    after = fields_left_out(values, codes, stations)
    for name in FIELDS:
        np.testing.assert_allclose(
            after[name][:, station], before[name][:, station], rtol=1e-3, atol=1e-3, err_msg=name
        )
    assert np.abs(after["neighbours_idw9"] - before["neighbours_idw9"]).max() > 10


def test_interpolation_weighs_the_nine_nearest_by_true_distance():
    values, codes, stations = world()
    lat, lon = 44.0, -120.5
    found = fields_at(values, codes, stations, np.array([lat]), np.array([lon]), np.array([500.0]))
    phi, lam = np.radians(stations.lat), np.radians(stations.lon)
    there, along = np.radians(lat), np.radians(lon)
    half = np.sin((phi - there) / 2) ** 2 + np.cos(phi) * np.cos(there) * np.sin((lam - along) / 2) ** 2
    km = 2 * 6371.0088 * np.arcsin(np.sqrt(half))
    for day in range(DAYS - MEMORY_DAYS):
        today = values[MEMORY_DAYS + day]
        nearest = [i for i in np.argsort(km) if np.isfinite(today[i])][:9]
        weight = km[nearest] ** -2.0
        mean = (weight * today[nearest]).sum() / weight.sum()
        assert found["neighbours_idw9"][day, 0] == pytest.approx(mean, rel=1e-3)
        assert found["neighbours_distance"][day, 0] == pytest.approx(km[nearest[0]], rel=1e-3)
        assert found["neighbours_spread"][day, 0] == pytest.approx(np.log1p(today[nearest]).std(), rel=1e-3)


def test_kriging_is_the_solution_of_its_equations():
    """Against the textbook system, solved by numpy without any of the shortcuts."""
    values, codes, stations = world(missing=0.0)
    lat, lon, up = np.array([44.2]), np.array([-121.0]), np.array([800.0])
    found = fields_at(values, codes, stations, lat, lon, up)
    points = positions(stations.lat, stations.lon, stations.elevation, SMOKE)
    here = positions(lat, lon, up, SMOKE)

    def covariance(a, b):
        apart = np.linalg.norm(a[:, None] - b[None], axis=2)
        return 0.9 * np.exp(-apart / 300) + 0.1 * np.exp(-apart / 2400) + SMOKE.mean

    noise = SMOKE.noise + SMOKE.noise_88502 * (codes[-1] == 88502)
    weight = np.linalg.solve(covariance(points, points) + np.diag(noise), covariance(points, here))[:, 0]
    assert found["neighbours_kriging"][-1, 0] == pytest.approx((weight @ np.sqrt(values[-1])) ** 2, rel=1e-3)
    assert found["neighbours_kriging_raw"][-1, 0] == pytest.approx(weight @ values[-1], rel=1e-3)
    variance = 1 + SMOKE.mean - weight @ covariance(points, here)[:, 0]
    assert found["neighbours_sd"][-1, 0] == pytest.approx(np.sqrt(variance), rel=1e-2)


def test_a_world_of_one_value_is_given_back():
    values, codes, stations = world(missing=0.0)
    values[:] = 12.0
    found = fields_at(values, codes, stations, np.array([44.0]), np.array([-120.0]), np.array([500.0]))
    assert found["neighbours_idw9"] == pytest.approx(12.0, rel=1e-5)
    assert found["neighbours_kriging"] == pytest.approx(12.0, rel=0.02)
    assert found["neighbours_spread"] == pytest.approx(0.0, abs=1e-3)


def test_a_resting_monitor_speaks_through_its_latest_values_and_not_for_ever():
    values, codes, stations = world(missing=0.0)
    here = (stations.lat[[5]], stations.lon[[5]], stations.elevation[[5]])
    values[-MEMORY_DAYS:, 5] = np.nan
    young = fields_at(values, codes, stations, *here)["neighbours_kriging"][-1, 0]
    values[-MEMORY_DAYS - 1, 5] = 900.0
    loud = fields_at(values, codes, stations, *here)["neighbours_kriging"][-1, 0]
    assert abs(loud - young) > 0.1
    values[-MEMORY_DAYS - 2, 5] = 900.0
    values[-MEMORY_DAYS - 1, 5] = np.nan
    old = fields_at(values, codes, stations, *here)["neighbours_kriging"][-1, 0]
    assert abs(old - loud) > 0.1
    values[-MEMORY_DAYS - 2, 5] = 1.0
    assert fields_at(values, codes, stations, *here)["neighbours_kriging"][-1, 0] == old


def test_a_day_without_values_has_no_fields():
    values, codes, stations = world()
    values[-1] = np.nan
    for found in (
        fields_left_out(values, codes, stations),
        fields_at(values, codes, stations, np.array([44.0]), np.array([-120.0]), np.array([500.0])),
    ):
        assert all(np.isnan(field[-1]).all() for field in found.values())
        assert all(np.isfinite(field[0]).all() for field in found.values())


def test_kriged_fields_do_not_jump_between_places_side_by_side():
    values, codes, stations = world()
    lat = np.linspace(43, 45, 400)
    along = fields_at(values, codes, stations, lat, np.full(400, -120.5), np.full(400, 700.0))
    steps = np.abs(np.diff(along["neighbours_kriging"], axis=1))
    assert steps.max() < 0.05 * along["neighbours_kriging"].max()
