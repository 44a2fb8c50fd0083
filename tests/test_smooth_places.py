"""Place vectors averaged, GeoCLIP's capsules apart, its photos, and fields split by wavelength: known answers."""

import numpy as np
import pytest

from pm25map.base.errors import BadGrid
from pm25map.grid import Grid, load_grid
from pm25map.grid.spectrum import low_pass, masked_mean, spectral_profile
from pm25map.places.capsules import Capsules, change_per_km
from pm25map.places.catalogue import encoder
from pm25map.places.gallery import photo_density
from pm25map.places.smooth import SmoothPlaces
from pm25map.places.store import embed_grid, open_store

LAT, LON = np.array([45.5, 34.05, 40.7]), np.array([-122.6, -118.2, -74.0])


class Wave:
    """An encoder whose vector is a wave of 120 km from west to east, and the number one."""

    name, dimension, checksum = "wave", 2, "0" * 64

    def encode(self, lat, lon):
        from pyproj import Transformer

        x, _ = Transformer.from_crs("OGC:CRS84", "EPSG:5070", always_xy=True).transform(lon, lat)
        return np.stack([np.cos(2 * np.pi * np.asarray(x) / 120e3), np.ones(len(lat))], 1).astype(np.float32)


@pytest.fixture(scope="module")
def wave(tmp_path_factory):
    land = np.ones((60, 80), dtype=bool)
    land[:20, 50:] = False
    grid = Grid("waves", "EPSG:5070", (10e3, 0, -5e5, 0, -10e3, 2e6), land.shape, 16, land)
    return grid, open_store(embed_grid(grid, Wave(), tmp_path_factory.mktemp("w") / "places.zarr"))


@pytest.mark.parametrize("km", [20.0, 90.0])
def test_smoothing_damps_a_wave_by_the_formula_and_keeps_what_is_constant(wave, km):
    grid, store = wave
    smooth = SmoothPlaces(store, grid, km)
    cells = grid.land_index()[40, 30:50]
    exact, damped = store.read(cells), smooth.read(cells)
    np.testing.assert_allclose(damped[:, 1], 1, atol=1e-3)
    left = np.exp(-2 * (np.pi * km / 120) ** 2)
    np.testing.assert_allclose(damped[:, 0], left * exact[:, 0], atol=0.02)


def test_smoothing_refuses_another_grid_and_no_length(wave):
    grid, store = wave
    other = Grid("other", grid.crs, grid.transform, grid.shape, 16, np.ones(grid.shape, dtype=bool))
    with pytest.raises(BadGrid, match="another grid"):
        SmoothPlaces(store, other, 20)
    for km in (0, -5, 1e300, float("nan")):
        with pytest.raises(BadGrid, match=r"give 0\.001 to 10,000 km"):
            SmoothPlaces(store, grid, km)


@pytest.mark.parametrize(("wavelength", "band"), [(30, 0), (60, 1), (130, 2)])
def test_a_wave_has_its_energy_in_its_band_however_many_holes_the_land_has(wavelength, band):
    rng = np.random.default_rng(1)
    land = rng.random((120, 120)) < 0.7
    _y, x = np.indices(land.shape)
    field = np.where(land, np.cos(2 * np.pi * 10 * x / wavelength), np.nan)
    profile = spectral_profile(field, land, 10.0)
    assert int(np.argmax(profile.energy)) == band
    assert sum(profile.energy) == pytest.approx(0.5, rel=0.15)


def test_a_plain_slope_has_almost_no_energy_in_short_waves():
    land = np.ones((100, 200), dtype=bool)
    slope = np.broadcast_to(np.linspace(0, 10, 200), land.shape)
    profile = spectral_profile(np.stack([slope, 0 * slope]), land, 10.0)
    assert profile.share_below(90.0) < 0.01
    assert profile.gradient_per_km == pytest.approx(10 / 199 / 10, rel=0.02)


def test_a_constant_field_has_no_energy():
    profile = spectral_profile(np.full((50, 50), 7.0), np.ones((50, 50), dtype=bool), 10.0)
    assert profile.share == (0.0,) * 5 or sum(profile.energy) < 1e-9


def test_a_mean_over_land_does_not_see_the_sea():
    land = np.zeros((30, 30), dtype=bool)
    land[:, :15] = True
    field = np.where(land, 5.0, np.nan)
    near = masked_mean(field, land, 3.0)
    np.testing.assert_allclose(near[:, 10:18], 5.0, rtol=1e-5)
    assert np.isnan(masked_mean(field, np.zeros_like(land), 3.0)).all()
    np.testing.assert_allclose(low_pass(field, land, 100, 10.0)[:, 5], 5.0, rtol=1e-5)


def test_the_capsules_add_up_to_geoclip_and_the_finest_changes_fastest():
    capsules = Capsules()
    apart = capsules.encode(LAT, LON)
    np.testing.assert_allclose(apart.sum(0), encoder("geoclip").encode(LAT, LON), atol=1e-6)
    change = change_per_km(capsules, LAT, LON)
    assert change.shape == (3, 3)
    assert (change[0] < 0.1 * change[1]).all()
    assert (change[1] < 0.2 * change[2]).all()


def test_raw_coordinates_change_alike_everywhere_to_the_north():
    # One km is 1/111 of a degree; latitude is divided by 90 and longitude by 180.
    change = change_per_km(encoder("latlon"), np.array([0.0]), np.array([10.0]))
    assert change.shape == (1, 1)
    assert change[0, 0] == pytest.approx(np.hypot(1 / 110.57 / 90, 1 / 111.32 / 180), rel=1e-2)


def test_photos_are_many_in_manhattan_and_few_in_northern_nevada():
    grid = load_grid("conus-10km")
    density = photo_density(grid)
    row, col = grid.cells_at([-73.98, -117.5], [40.75, 41.3])
    assert density[row[0], col[0]] > 100
    assert density[row[1], col[1]] < 0.5
    assert np.isfinite(density[grid.land]).all()
    assert np.isnan(density[~grid.land]).all()
