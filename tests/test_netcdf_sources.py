"""Daymet, gridMET, nClimGrid, MERRA-2, NCEP and GMTED2010, from files in the providers' formats."""

import datetime as dt
import shutil

import netCDF4
import numpy as np
import pytest
from provider_files import (
    daymet_axes,
    days_of_year,
    write_daymet,
    write_gmted,
    write_gridmet,
    write_latlon,
)

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.catalogue import file_sources, open_source, sources
from pm25map.predictors.sources.netcdf import open_netcdf
from pm25map.predictors.units import convert
from pm25map.predictors.variables import VARIABLES

DAY = dt.date(2020, 9, 12)
LON, LAT = np.arange(-122.5, -117.4, 0.0416666), np.arange(39.5, 34.9, -0.0416666)


def small_grid(step=5000.0):
    land = np.ones((16, 18), dtype=bool)
    land[:2, :3] = False
    return Grid("g", "EPSG:5070", (step, 0.0, -2_060_000.0, 0.0, -step, 1_900_000.0), (16, 18), 8, land)


def plane(lon, lat):
    return 280 + 0.5 * (lon + 120) - 0.8 * (lat - 37)


def plane_on(grid):
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    lon, lat = grid.lonlat()
    values[grid.land] = plane(lon, lat)
    return values


def on_land(grid, values):
    return values[..., grid.land]


def source_fields(name, folder, days=(DAY,), grid=None):
    return open_source(name, folder).fields(grid or small_grid(), list(days))


def test_every_source_of_files_has_variables_of_the_kinds_that_it_gives():
    assert {"maiac", "gridmet", "gmted"} <= set(file_sources())
    assert [name for name, entry in sources().items() if entry.in_daily_tiles] == ["maiac"]
    assert [name for name in file_sources() if not sources()[name].has_days] == ["gmted"]
    assert [name for name in file_sources() if sources()[name].has_layers] == ["daymet", "gmted"]


def gridmet_plane(folder, short="tmmx", lon=LON, lat=LAT, days=(DAY,), **changes):
    return write_gridmet(folder, short, 2020, lon, lat, plane(*np.meshgrid(lon, lat))[None], days, **changes)


def test_kelvin_becomes_degrees_celsius_and_packing_is_undone(tmp_path):
    gridmet_plane(tmp_path)
    grid = small_grid()
    got = source_fields("gridmet", tmp_path)
    assert list(got) == ["gridmet_tmmx"]
    np.testing.assert_allclose(
        on_land(grid, got["gridmet_tmmx"][0]), on_land(grid, plane_on(grid)) - 273.15, atol=0.06
    )


def test_longitudes_from_0_to_360_and_rows_from_south_are_the_same_field(tmp_path):
    gridmet_plane(tmp_path / "a")
    values = plane(*np.meshgrid(LON, LAT))[::-1][None]
    write_gridmet(tmp_path / "b", "tmmx", 2020, LON + 360, LAT[::-1], values, [DAY])
    a, b = (source_fields("gridmet", tmp_path / f)["gridmet_tmmx"] for f in "ab")
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_wind_directions_are_averaged_as_vectors(tmp_path):
    checks = np.where(np.indices((len(LAT), len(LON))).sum(axis=0) % 2, 350.0, 10.0)
    write_gridmet(tmp_path, "th", 2020, LON, LAT, checks[None], [DAY])
    got = source_fields("gridmet", tmp_path, grid=small_grid(9_000.0))["gridmet_th"]
    assert np.abs((got + 180) % 360 - 180).max() < 6


def test_a_day_that_a_year_does_not_hold_is_lacking(tmp_path):
    gridmet_plane(tmp_path)
    write_gridmet(
        tmp_path, "vs", 2020, LON, LAT, np.ones((2, len(LAT), len(LON))), [DAY, DAY + dt.timedelta(1)]
    )
    source = open_source("gridmet", tmp_path)
    assert source.variables == ("gridmet_vs", "gridmet_tmmx")
    days = [DAY, DAY + dt.timedelta(days=1), dt.date(2021, 1, 1)]
    assert source.lacking(small_grid(), days) == {
        days[1]: "tmmx_2020.nc does not hold the whole day",
        days[2]: "no file of gridmet_vs",
    }


def test_a_unit_is_converted_or_refused(tmp_path):
    gridmet_plane(tmp_path / "c", units="degC")
    with pytest.raises(BadPredictors, match=r"has the value .* degC"):
        source_fields("gridmet", tmp_path / "c")
    gridmet_plane(tmp_path / "w", units="W m-2")
    with pytest.raises(
        BadPredictors, match=r"air_temperature of .* is in 'W m-2', which cannot become 'degC'"
    ):
        source_fields("gridmet", tmp_path / "w")
    path = gridmet_plane(tmp_path / "n")
    with netCDF4.Dataset(path, "a") as held:
        held["air_temperature"].delncattr("units")
    with pytest.raises(BadPredictors, match="says no unit"):
        source_fields("gridmet", tmp_path / "n")
    with netCDF4.Dataset(path, "a") as held:
        held["air_temperature"].units = 1
    with pytest.raises(BadPredictors, match="is in '1', which cannot become"):
        source_fields("gridmet", tmp_path / "n")


@pytest.mark.parametrize("cut", [100, 20_000])
def test_a_classic_file_that_was_cut_off_is_refused_and_its_end_not_taken_for_zeros(tmp_path, cut):
    path = tmp_path / "air.2m.gauss.2022.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as made:
        made.createDimension("time", None)
        made.createDimension("x", 100)
        made.createVariable("air", "f4", ("time", "x"))[:] = np.ones((100, 100))
    with open_netcdf(path) as held:
        assert held["air"].shape == (100, 100)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(BadPredictors, match="cut off"), open_netcdf(path):
        pass


@pytest.mark.parametrize(
    ("units", "name", "value", "expected"),
    [
        ("degK", "ncep_t2m", 300.0, 26.85),
        ("degrees C", "daymet_tmax", 21.0, 21.0),
        ("degF", "daymet_tmax", 50.0, 10.0),
        ("mm/day", "daymet_prcp", 3.0, 3.0),
        ("mm", "gridmet_pr", 3.0, 3.0),
        ("inch", "gridmet_pr", 1.0, 25.4),
        ("kPa", "daymet_vp", 1.2, 1200.0),
        ("W/m2", "daymet_srad", 300.0, 300.0),
        ("kg m-3", "merra2_pm25", 2e-8, 20.0),
        ("km/h", "gridmet_vs", 36.0, 10.0),
        ("%", "gridmet_rmax", 80.0, 80.0),
        ("kg/kg", "gridmet_sph", 0.01, 0.01),
    ],
)
def test_units_of_providers_become_those_of_the_table(units, name, value, expected):
    got = convert(np.array([value], dtype=np.float32), units, VARIABLES[name], "x", daily_total=True)
    assert got[0] == pytest.approx(expected, rel=1e-5)


def test_an_undeclared_fill_value_is_not_taken_for_data(tmp_path):
    values = np.full((1, len(LAT), len(LON)), 5.0)
    values[0, 40:80] = -9999
    path = tmp_path / "air.2m.gauss.2020.nc"
    hours = [(DAY - dt.date(1800, 1, 1)).days * 24]
    write_latlon(path, "air", LON, LAT, values, hours, "hours since 1800-1-1 00:00:0.0", units="degC")
    with pytest.raises(BadPredictors, match=r"has the value -9999 degC .* a fill value"):
        source_fields("ncep", tmp_path)


def test_swapped_axes_are_named(tmp_path):
    values = plane(*np.meshgrid(LON, LAT)).T[None]
    write_gridmet(tmp_path / "far", "tmmx", 2020, LAT, LON, values, [DAY])
    with pytest.raises(BadPredictors, match="latitude and longitude are swapped"):
        source_fields("gridmet", tmp_path / "far")
    # 0 to 90 could be a latitude: what tells is that it reaches the grid only the other way round.
    write_gridmet(
        tmp_path / "near", "tmmx", 2020, LAT, np.linspace(80, 89, 9), np.ones((1, 9, len(LAT))), [DAY]
    )
    with pytest.raises(BadPredictors, match="do not reach grid g"):
        source_fields("gridmet", tmp_path / "near")


@pytest.mark.parametrize("spoil", ["cut", "html"])
def test_a_damaged_file_is_one_line(tmp_path, spoil):
    path = gridmet_plane(tmp_path)
    path.write_bytes(path.read_bytes()[:-4000] if spoil == "cut" else b"<html>log in</html>")
    with pytest.raises(BadPredictors, match=r"cannot read .*tmmx_2020\.nc .*Get it again") as error:
        source_fields("gridmet", tmp_path)
    assert "\n" not in str(error.value)


def test_a_file_of_another_product_is_refused(tmp_path):
    path = write_gridmet(tmp_path, "vs", 2020, LON, LAT, np.ones((1, len(LAT), len(LON))), [DAY])
    path.rename(tmp_path / "th_2020.nc")
    with pytest.raises(BadPredictors, match=r"holds no wind_from_direction but .*wind_speed"):
        source_fields("gridmet", tmp_path)
    with pytest.raises(BadPredictors, match="holds no file of daymet"):
        open_source("daymet", tmp_path).lacking(small_grid(), [DAY])
    with pytest.raises(BadPredictors, match="there is no folder"):
        open_source("daymet", tmp_path / "none").lacking(small_grid(), [DAY])


def daymet_year(folder, grid, days, values=None, units="degrees C"):
    x, y = daymet_axes(grid, 2000.0)
    if values is None:
        from provider_files import DAYMET_CRS
        from pyproj import Transformer

        lonlat = Transformer.from_crs(DAYMET_CRS, "OGC:CRS84", always_xy=True).transform(*np.meshgrid(x, y))
        values = plane(*lonlat)[None] - 273.15 + np.zeros((len(days), 1, 1))
    return write_daymet(folder, "tmax", days[0].year, x, y, values, days, units)


def test_daymet_lies_on_its_lambert_grid(tmp_path):
    grid = small_grid()
    daymet_year(tmp_path, grid, [DAY])
    got = source_fields("daymet", tmp_path)["daymet_tmax"]
    np.testing.assert_allclose(on_land(grid, got[0]), on_land(grid, plane_on(grid)) - 273.15, atol=2e-3)
    layers = dict(open_source("daymet", tmp_path).layers(grid))
    lon, lat = grid.lonlat()
    np.testing.assert_allclose(layers["daymet_lat"][grid.land], lat, atol=2e-3)
    np.testing.assert_allclose(layers["daymet_lon"][grid.land], lon, atol=2e-3)


def test_the_last_day_of_a_leap_year_is_missing_everywhere_and_not_absent(tmp_path):
    grid = small_grid(40_000.0)
    x, y = np.arange(-2_600_000, -600_000, 50_000.0), np.arange(500_000, -1_400_000, -50_000.0)
    for year in (2019, 2020):
        days = days_of_year(year, leap_day_kept=False)
        number = np.arange(365, dtype=float)[:, None, None] / 10 + np.zeros((1, len(y), len(x)))
        write_daymet(tmp_path, "tmax", year, x, y, number, days, "degrees C")
    source = open_source("daymet", tmp_path)
    asked = [dt.date(2019, 12, 31), dt.date(2020, 12, 30), dt.date(2020, 12, 31)]
    assert source.lacking(grid, [*asked, dt.date(2021, 1, 1)]).keys() == {dt.date(2021, 1, 1)}
    got = source.fields(grid, asked)["daymet_tmax"]
    np.testing.assert_allclose(on_land(grid, got[:2]), 36.4, atol=1e-4)
    assert np.isnan(got[2]).all()


def test_merra2_is_the_mean_of_the_day_and_the_sum_of_its_parts(tmp_path):
    lon, lat = np.arange(-130, -110, 0.625), np.arange(30, 45, 0.5)
    hours = np.arange(24)
    path = tmp_path / "MERRA2_400.tavg1_2d_aer_Nx.20200912.nc4"
    shape = (24, len(lat), len(lon))
    for i, name in enumerate(("DUSMASS25", "SSSMASS25", "BCSMASS", "OCSMASS", "SO4SMASS"), start=1):
        field = np.broadcast_to((hours * 1e-10 + i * 1e-9)[:, None, None], shape)
        write_latlon(
            path, name, lon, lat, field, hours * 60, "minutes since 2020-09-12 00:30:00", units="kg m-3"
        )
    write_latlon(path, "TOTEXTTAU", lon, lat, np.full(shape, 0.3), hours * 60, "minutes", units="1")
    got = source_fields("merra2", tmp_path)
    grid = small_grid()
    mean = 1.15  # ug m-3: of hours times 0.1
    expected = sum(i + mean for i in (1, 2, 3, 4)) + (5 + mean) * 132.14 / 96.06
    np.testing.assert_allclose(on_land(grid, got["merra2_pm25"]), expected, rtol=1e-4)
    np.testing.assert_allclose(on_land(grid, got["merra2_aod"]), 0.3, rtol=1e-5)
    with netCDF4.Dataset(path, "a") as held:
        held["time"][:] = hours * 120
    assert open_source("merra2", tmp_path).lacking(grid, [DAY])


def test_nclimgrid_comes_by_the_month(tmp_path):
    day = (DAY - dt.date(1800, 1, 1)).days
    values = plane(*np.meshgrid(LON, LAT[::-1]))[None] - 273.15
    path = tmp_path / "ncdd-202009-grd-scaled.nc"
    write_latlon(path, "tavg", LON, LAT[::-1], values, [day], "days since 1800-01-01", units="degree_Celsius")
    source = open_source("nclimgrid", tmp_path)
    with pytest.raises(BadPredictors, match="holds no tmax"):
        source.fields(small_grid(), [DAY])
    path.rename(tmp_path / "tavg-202009-grd-scaled.nc")
    grid = small_grid()
    got = source_fields("nclimgrid", tmp_path)["nclimgrid_tavg"]
    np.testing.assert_allclose(on_land(grid, got[0]), on_land(grid, plane_on(grid)) - 273.15, atol=6e-3)


def test_elevation_joins_tiles_without_a_seam(tmp_path):
    lon, lat = np.arange(-124, -116, 1 / 60) + 1 / 120, np.arange(40, 34, -1 / 60) - 1 / 120
    heights = 10 * plane(*np.meshgrid(lon, lat))
    write_gmted(tmp_path / "whole" / "30N150W_20101117_gmted_mea300.tif", lon, lat, heights)
    middle = len(lon) // 2
    for number, part in enumerate((slice(None, middle), slice(middle, None))):
        name = f"30N{120 + number}W_20101117_gmted_mea300.tif"
        write_gmted(tmp_path / "parts" / name, lon[part], lat, heights[:, part])
    grid = small_grid()
    ((name, whole),) = open_source("gmted", tmp_path / "whole").layers(grid)
    ((_, parts),) = open_source("gmted", tmp_path / "parts").layers(grid)
    assert name == "dem"
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_allclose(on_land(grid, whole), 10 * on_land(grid, plane_on(grid)), atol=1)
    assert np.isnan(whole[~grid.land]).all()
    write_gmted(
        tmp_path / "parts" / "10N120W_20101117_gmted_mea075.tif", lon[::4], lat[::4], heights[::4, ::4]
    )
    with pytest.raises(BadPredictors, match="keep rasters of one resolution"):
        list(open_source("gmted", tmp_path / "parts").layers(grid))


def true_grid(west, south, east, north, step=5000.0):
    from shapely.geometry import box

    from pm25map.grid import build_grid

    return build_grid("true", "EPSG:5070", step, box(west, south, east, north))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("source", "folder", "day", "low", "high"),
    [
        ("gridmet", "providers/gridmet_conus", dt.date(2019, 1, 21), -40, 35),
        ("nclimgrid", "providers/nclimgrid", dt.date(2022, 1, 1), -40, 35),
        ("ncep", "ncep_2022", dt.date(2022, 7, 1), 5, 40),
    ],
)
def test_true_files_of_conus_are_read(shared_data, source, folder, day, low, high):
    from pm25map.grid import load_grid

    grid = load_grid("conus-10km")
    opened = open_source(source, shared_data / folder)
    assert opened.lacking(grid, [day]) == {}
    (values,) = opened.fields(grid, [day]).values()
    land = values[0][grid.land]
    assert np.isnan(land).mean() < 0.03
    assert low < np.nanmin(land) < np.nanmax(land) < high


@pytest.mark.shared
def test_true_files_of_north_carolina_are_read(shared_data, tmp_path):
    grid = true_grid(-79.2, 35.6, -78.4, 36.1, 2000.0)
    rain = open_source("gridmet", shared_data / "providers" / "gridmet")
    day = dt.date(2018, 1, 3)
    got = rain.fields(grid, [day])["gridmet_pr"][0][grid.land]
    assert 0 <= got.min() <= got.max() < 50
    heights = []
    # Of breakline emphasis; renamed, since only the mean counts as elevation and the format is the same.
    for resolution in ("15", "30"):
        for path in (shared_data / "providers" / "gmted" / f"be{resolution}_grd").iterdir():
            renamed = tmp_path / resolution / path.name.replace("be", "mn")
            renamed.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, renamed)
        ((_, dem),) = open_source("gmted", tmp_path / resolution).layers(grid)
        heights.append(dem[grid.land])
    assert 40 < heights[0].min() < heights[0].max() < 260
    # Two resolutions of one survey: their means over 2 km differ by a few metres.
    assert np.abs(heights[0] - heights[1]).mean() < 5


@pytest.mark.shared
def test_a_true_file_of_another_product_is_refused(shared_data):
    with pytest.raises(BadPredictors, match="holds no file of merra2"):
        open_source("merra2", shared_data / "providers" / "merra2").lacking(small_grid(), [DAY])


def test_the_neighbours_of_the_study_weigh_by_inverse_distance_in_parts_of_the_grid(monkeypatch):
    from test_sources import small_monitors

    from pm25map.predictors.sources import knnidw

    monitors, grid = small_monitors([DAY]), small_grid()
    source = knnidw.Knnidw(monitors)
    whole = source.fields(grid, [DAY])
    monkeypatch.setattr(knnidw, "CELLS_AT_ONCE", 7)
    parts = source.fields(grid, [DAY])
    measured = monitors.matrix([DAY])[0]
    for name, values in whole.items():
        np.testing.assert_array_equal(values, parts[name])
        assert np.isfinite(on_land(grid, values)).all()
        assert np.isnan(values[0][~grid.land]).all()
    got = on_land(grid, whole["knnidw_pm25_val"])
    assert np.nanmin(measured) <= got.min() <= got.max() <= np.nanmax(measured)
