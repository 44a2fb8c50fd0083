"""The sources of this issue: static layers, calendar, sun and neighbours."""

import datetime as dt

import numpy as np
import pandas as pd
import pvlib
import pytest
import rasterio
from predictor_world import small_grid
from rasterio.transform import Affine, from_origin
from rasterio.warp import Resampling, reproject

from pm25map.base.errors import BadMonitors, BadPredictors
from pm25map.grid import Grid, load_grid
from pm25map.monitors import Monitors, read_monitors
from pm25map.predictors.regrid import TOLERANCE_CELLS, regrid
from pm25map.predictors.sources import calendar, static, sun
from pm25map.predictors.sources.neighbours import Neighbours, stations_on
from pm25map.predictors.variables import VARIABLES, check_range, variables_of

LONLAT = "EPSG:4326"


def write_raster(path, bands, *, west=-98.0, dtype="float32", nodata=None):
    bands = np.asarray(bands, dtype=dtype)
    profile = {"driver": "GTiff", "count": len(bands), "dtype": dtype, "nodata": nodata, "crs": LONLAT}
    height, width = bands.shape[1:]
    transform = from_origin(west, 42.0, 0.05, 0.05)
    with rasterio.open(path, "w", height=height, width=width, transform=transform, **profile) as raster:
        raster.write(bands)


@pytest.fixture
def rasters(tmp_path):
    """A folder as the static source wants it, around the small grid: 4 by 6 degrees of noise."""
    rng = np.random.default_rng(5)
    shape = (80, 120)
    write_raster(tmp_path / static.ELEVATION, rng.uniform(10, 2000, (1, *shape)))
    write_raster(tmp_path / static.LAND_COVER, rng.integers(0, 17, (1, *shape)), dtype="uint8", nodata=255)
    write_raster(tmp_path / static.TURBIDITY, rng.integers(40, 100, (12, *shape)), dtype="uint8")
    for name, low, high in (("ndvi_maximum", 0.3, 0.9), ("ndvi_minimum", 0, 0.3)):
        write_raster(tmp_path / f"{name}_0p05.tif", rng.uniform(low, high, (1, *shape)), nodata=np.nan)
    write_raster(tmp_path / "t2m_monthly_climatology_0p25.tif", rng.uniform(-5, 25, (12, *shape)))
    write_raster(tmp_path / "precipitation_monthly_climatology_0p25.tif", rng.uniform(0, 90, (12, *shape)))
    return tmp_path


# Static


def test_every_static_layer_is_whole_on_land_and_in_range(rasters):
    grid = small_grid()
    layers = dict(static.static_layers(rasters, grid))
    assert tuple(layers) == variables_of("static")
    for name, values in layers.items():
        lead = (12,) if VARIABLES[name].kind == "climatology" else ()
        assert values.shape == (*lead, *grid.shape)
        assert values.dtype == np.float32
        assert np.isfinite(values[..., grid.land]).all()
        assert np.isnan(values[..., ~grid.land]).all()
        check_range(VARIABLES[name], values, name)


def test_land_cover_shares_add_up_to_one(rasters):
    grid = small_grid()
    layers = dict(static.static_layers(rasters, grid))
    total = sum(layers[name] for name in static.IGBP_CLASSES)
    np.testing.assert_allclose(total[grid.land], 1, atol=1e-5)
    assert sorted(c for classes in static.IGBP_CLASSES.values() for c in classes) == list(range(17))


@pytest.mark.parametrize("name", ["landcover_forest", "elevation"])
def test_averages_equal_those_of_rasterio(rasters, name):
    grid = small_grid()
    with rasterio.open(rasters / static.FILES[name][0]) as raster:
        band = raster.read(1).astype(np.float32)
        expected = np.zeros(grid.shape, np.float32)
        reproject(
            np.isin(band, (1, 2, 3, 4, 5, 8)).astype(np.float32) if name == "landcover_forest" else band,
            expected,
            src_transform=raster.transform,
            src_crs=raster.crs,
            dst_transform=Affine(*grid.transform),
            dst_crs=grid.crs,
            resampling=Resampling.average,
            tolerance=TOLERANCE_CELLS,
        )
    got = dict(static.static_layers(rasters, grid))[name]
    np.testing.assert_allclose(got[grid.land], expected[grid.land], rtol=1e-5, atol=1e-5)


def test_a_plane_in_longitude_and_latitude_comes_back_at_cell_centres():
    grid = small_grid()
    transform = from_origin(-98, 42, 0.05, 0.05)
    lon, lat = -98 + 0.05 * (np.arange(120) + 0.5), 42 - 0.05 * (np.arange(80) + 0.5)
    plane = (lat[:, None] * 10 + lon[None, :]).astype(np.float32)
    got = regrid(plane, transform, LONLAT, grid, "bilinear")
    at_lon, at_lat = grid.lonlat()
    # GDAL widens the kernel where cells are larger than the raster's; half a cell off would be 0.25.
    np.testing.assert_allclose(got[grid.land], at_lat * 10 + at_lon, atol=0.1)


def test_an_average_of_a_coarser_raster_has_no_squares():
    fine = Grid(
        "fine", "EPSG:5070", (1000.0, 0, 0.0, 0, -1000.0, 1_950_000.0), (40, 40), 64, np.ones((40, 40), bool)
    )
    ramp = np.tile(np.arange(24, dtype=np.float32), (16, 1))
    got = regrid(ramp, from_origin(-98, 42, 0.25, 0.25), LONLAT, fine, "average")
    assert (np.diff(got, axis=1) > 0).all()


def test_a_coast_takes_the_nearest_valid_cell():
    grid = small_grid()
    values = np.full(grid.shape, np.nan, np.float32)
    values[0, :], values[10, :] = 1, 2
    filled = static.fill_nearest(values, grid, "x")
    assert (filled[1:5][grid.land[1:5]] == 1).all()
    assert (filled[6:10][grid.land[6:10]] == 2).all()
    assert np.isnan(filled[~grid.land]).all()


def test_a_raster_that_does_not_cover_the_grid_is_refused(rasters):
    write_raster(rasters / "ndvi_maximum_0p05.tif", np.ones((1, 20, 20)), west=10.0, nodata=np.nan)
    with pytest.raises(
        BadPredictors, match=r"ndvi_maximum of ndvi_maximum_0p05\.tif does not reach grid small"
    ):
        dict(static.static_layers(rasters, small_grid()))


def test_a_raster_that_covers_a_part_is_refused():
    grid = small_grid()
    values = np.full(grid.shape, np.nan, np.float32)
    values[0, 0] = 1
    with pytest.raises(BadPredictors, match=r"leaves land of grid small empty 1\d\d km"):
        static.fill_nearest(values, grid, "x")


def test_absent_damaged_and_wrong_rasters_are_refused(rasters):
    (rasters / static.ELEVATION).write_bytes(b"not a raster")
    with pytest.raises(BadPredictors, match=f"cannot read .*{static.ELEVATION}"):
        dict(static.static_layers(rasters, small_grid()))
    write_raster(rasters / static.ELEVATION, np.ones((3, 80, 120)))
    with pytest.raises(BadPredictors, match="has 3 bands, and elevation is static"):
        dict(static.static_layers(rasters, small_grid()))
    (rasters / static.ELEVATION).unlink()
    with pytest.raises(BadPredictors, match=f"lacks the rasters {static.ELEVATION}"):
        dict(static.static_layers(rasters, small_grid()))


@pytest.mark.shared
def test_the_real_layers_cover_conus(shared_data):
    grid = load_grid("conus-10km")
    layers = dict(static.static_layers(shared_data / "static", grid))
    lowest = layers["elevation"][grid.land].min()
    assert -90 < lowest < -40  # Death Valley or the Salton Sea, not the seabed
    rows, cols = grid.cells_at(np.array([-87.65, -105.7]), np.array([41.85, 39.1]))
    assert layers["landcover_urban"][rows[0], cols[0]] > 0.7  # Chicago
    assert layers["elevation"][rows[1], cols[1]] > 2500  # South Park, Colorado
    assert (
        layers["t2m_climatology"][6, rows[0], cols[0]] > layers["t2m_climatology"][0, rows[0], cols[0]] + 15
    )


# Calendar and sun


def test_the_year_is_a_circle():
    name = "day_of_year_sin"
    ends = [calendar.calendar_value(name, day) for day in (dt.date(2019, 12, 31), dt.date(2020, 1, 1))]
    assert abs(ends[1] - ends[0]) < 0.03
    assert calendar.calendar_value("month_cos", dt.date(2020, 6, 1)) == -1
    assert calendar.calendar_value("day_cos", dt.date(2020, 1, 31)) == 1


def test_weights_of_months_are_whole_and_cyclic_on_every_day():
    for i in range(800):
        day = dt.date(2019, 12, 1) + dt.timedelta(days=i)
        earlier, later, weight = calendar.month_weights(day)
        assert later == (earlier + 1) % 12
        assert 0 <= weight < 1
        assert day.month - 1 in (earlier, later)
    assert calendar.month_weights(dt.date(2021, 1, 1))[:2] == (11, 0)


@pytest.mark.parametrize("month", range(1, 13))
def test_a_climatology_at_mid_month_is_its_layer(month):
    monthly = np.random.default_rng(2).normal(size=(12, 2, 3)).astype(np.float32)
    day = dt.date(2021, month, 15 if month == 2 else 16)
    np.testing.assert_allclose(calendar.at_days(monthly, [day])[0], monthly[month - 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("lat", "altitude", "turbidity", "day"),
    [
        (25.0, 0, 3.3, "2020-06-21"),
        (45.3, 730, 2.4, "2020-09-12"),
        (49.0, 3200, 1.9, "2020-12-21"),
        (38.5, 1650, 4.4, "2021-03-01"),
        (33.0, 250, 5.7, "2018-01-10"),
    ],
)
def test_the_sun_equals_pvlib(lat, altitude, turbidity, day):
    """Against a day in steps of a minute, at 90 W, with refraction and all."""
    place = pvlib.location.Location(lat, -90.0, "UTC", altitude)
    times = pd.date_range(f"{day} 06:00", periods=24 * 60, freq="1min", tz="UTC")
    expected = place.get_clearsky(times, linke_turbidity=turbidity)["ghi"].mean()
    above = (place.get_solarposition(times)["elevation"] > 0).mean() * 24
    when = dt.date.fromisoformat(day)
    got = sun.clear_sky_radiation(when, np.array([lat]), np.array([altitude]), np.array([turbidity]))
    assert got[0] == pytest.approx(expected, rel=0.01)
    assert sun.day_length(when, np.array([lat]))[0] == pytest.approx(above, abs=0.05)


def test_the_sun_stays_down_or_up_beyond_the_polar_circle():
    hours = sun.day_length(dt.date(2020, 6, 21), np.array([80.0, -80.0]))
    assert list(hours) == [24, 0]
    dark = sun.clear_sky_radiation(dt.date(2020, 6, 21), np.array([-80.0]), np.array([0.0]), np.array([3.0]))
    assert dark[0] == 0


def test_a_missing_altitude_gives_missing_radiation():
    lat = np.array([[40.0, 40.0]])
    got = sun.clear_sky_radiation(dt.date(2020, 6, 21), lat, np.array([[np.nan, 5.0]]), np.full((1, 2), 3.0))
    assert np.isnan(got[0, 0])
    assert got[0, 1] > 300


# Neighbours


def small_monitors(days):
    """Two monitors on the small grid and one in Alaska, of 10, 20 and 30 ug m-3 and 1 more every day."""
    grid = small_grid()
    lon, lat = grid.lonlat()
    sites = pd.DataFrame(
        {
            "site_id": ["a", "b", "c"],
            "latitude": [lat[0], lat[-1], 61.2],
            "longitude": [lon[0], lon[-1], -149.9],
        }
    )
    rows = [
        {"site_id": site, "date": pd.Timestamp(day), "pm25_ugm3": 10.0 * (s + 1) + i, "parameter_code": 88101}
        for i, day in enumerate(days)
        for s, site in enumerate("abc")
    ]
    return Monitors(sites, pd.DataFrame(rows))


DAYS = [dt.date(2020, 9, d) for d in range(1, 11)]


def test_neighbours_land_on_their_day_and_cell():
    grid = small_grid()
    elevation = np.where(grid.land, 100, np.nan).astype(np.float32)
    source = Neighbours(small_monitors(DAYS), elevation)
    fields = source.fields(grid, DAYS[7:9])
    assert set(fields) == set(source.variables) == set(variables_of("neighbours"))
    for name, values in fields.items():
        assert values.shape == (2, *grid.shape)
        assert np.isnan(values[:, ~grid.land]).all()
        assert np.isfinite(values[:, grid.land]).all()
        check_range(VARIABLES[name], values, name)
    # At the cells that hold a monitor its own value counts: 10 + day in the first cell, 20 + day in the last.
    np.testing.assert_allclose(fields["neighbours_idw9"][:, 0, 0], [17, 18], atol=0.01)
    np.testing.assert_allclose(fields["neighbours_idw9"][:, -1, -1], [27, 28], atol=0.01)
    assert fields["neighbours_distance"][0, 0, 0] < 0.01
    assert fields["neighbours_distance"][0, 0, 1] == pytest.approx(10, rel=0.01)


def test_a_day_does_not_depend_on_the_days_asked_with_it():
    grid = small_grid()
    source = Neighbours(small_monitors(DAYS), np.where(grid.land, 100, np.nan).astype(np.float32))
    together, alone = source.fields(grid, DAYS[6:9]), source.fields(grid, DAYS[8:9])
    for name, values in together.items():
        np.testing.assert_array_equal(values[2], alone[name][0])


def test_a_day_without_monitors_says_which_days_they_have():
    grid = small_grid()
    source = Neighbours(small_monitors(DAYS), np.where(grid.land, 100, np.nan).astype(np.float32))
    with pytest.raises(BadMonitors, match=r"no monitor measured on 2020-09-11.*2020-09-01 to 2020-09-10"):
        source.fields(grid, [DAYS[-1], dt.date(2020, 9, 11)])


def test_a_station_has_the_elevation_of_its_cell_or_of_the_nearest_land():
    grid = small_grid()
    elevation = np.where(grid.land, np.arange(grid.land.size).reshape(grid.shape), np.nan).astype(np.float32)
    heights = stations_on(grid, elevation, small_monitors(DAYS)).elevation
    assert list(heights) == [0, grid.land.size - 1, 0]


@pytest.mark.shared
def test_real_neighbours_see_the_smoke_over_oregon(shared_data):
    monitors = read_monitors(shared_data / "aqs").between(dt.date(2020, 9, 1), dt.date(2020, 9, 12))
    shape = (20, 20)
    grid = Grid(
        "salem",
        "EPSG:5070",
        (10_000.0, 0, -2_200_000.0, 0, -10_000.0, 2_850_000.0),
        shape,
        64,
        np.ones(shape, bool),
    )
    elevation = np.full(shape, 300, np.float32)
    field = Neighbours(monitors, elevation).fields(grid, [dt.date(2020, 9, 12)])["neighbours_idw9"][0]
    row, col = grid.cells_at(np.array([-123.03]), np.array([44.94]))
    assert field[row[0], col[0]] > 225  # Salem, Hazardous
