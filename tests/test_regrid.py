"""Regridding by the rule of the table: against analytic fields, against rasterio, and without seams."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import Affine, from_origin
from rasterio.warp import Resampling, reproject

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.burn import area_share
from pm25map.predictors.regrid import (
    GEOGRAPHIC,
    TOLERANCE_CELLS,
    Field,
    kernel_of_conus,
    regrid,
    regrid_field,
    window_of_axes,
)
from pm25map.predictors.variables import VARIABLES


def grid_of(rows=20, cols=24, step=10_000.0, crs="EPSG:5070", left=-2_000_000.0, top=2_000_000.0):
    land = np.ones((rows, cols), dtype=bool)
    return Grid("g", crs, (step, 0.0, left, 0.0, -step, top), (rows, cols), 8, land)


def lonlat(grid):
    lon, lat = grid.lonlat()
    return lon.reshape(grid.shape), lat.reshape(grid.shape)


def plane(lon, lat):
    return (3 * lon + 2 * lat).astype(np.float32)


def test_every_rule_of_the_table_is_one_that_code_knows():
    stored = {row.resampling for row in VARIABLES.values()}
    assert stored <= {"average", "bilinear", "nearest", "vector", "burn", "computed"}
    assert VARIABLES["gridmet_th"].resampling == "vector"
    assert VARIABLES["wildfire_smoke"].resampling == "burn"


@pytest.mark.parametrize("rule", ["bilinear", "average", "nearest"])
def test_the_rule_is_that_of_rasterio(rule):
    grid = grid_of()
    rng = np.random.default_rng(1)
    values = rng.normal(size=(160, 160)).astype(np.float32)
    values[40:60, 50:80] = np.nan
    transform = from_origin(-123, 41, 0.03, 0.03)
    expected = np.full(grid.shape, np.nan, dtype=np.float32)
    reproject(
        values,
        expected,
        src_transform=transform,
        src_crs="EPSG:4326",
        src_nodata=np.nan,
        dst_transform=grid.affine,
        dst_crs=grid.crs,
        dst_nodata=np.nan,
        resampling=Resampling[rule],
        tolerance=TOLERANCE_CELLS,
    )
    assert np.isnan(expected).any()
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(regrid(values, transform, GEOGRAPHIC, grid, rule), expected)


def test_a_plane_in_degrees_comes_through_bilinear_as_it_is():
    grid = grid_of(step=1000.0)
    lon, lat = np.linspace(-124, -118, 145), np.linspace(43, 36, 169)
    field = Field(plane(*np.meshgrid(lon, lat)), lat, lon, GEOGRAPHIC)
    np.testing.assert_allclose(regrid_field(field, grid, "bilinear"), plane(*lonlat(grid)), atol=2e-4)


def test_uneven_rows_are_interpolated_between_themselves():
    grid = grid_of()
    lat = np.array([43.2, 41.9, 40.1, 37.5, 36.0, 35.2])
    lon = np.linspace(-124, -116, 9)
    field = Field(plane(*np.meshgrid(lon, lat)), lat, lon, GEOGRAPHIC)
    np.testing.assert_allclose(regrid_field(field, grid, "bilinear"), plane(*lonlat(grid)), atol=1e-4)
    with pytest.raises(BadPredictors, match="uneven rows"):
        regrid_field(field, grid, "average")


def test_an_average_onto_larger_cells_keeps_the_mean():
    rng = np.random.default_rng(2)
    fine = rng.gamma(2, 3, (300, 300)).astype(np.float32)
    grid = grid_of(30, 30, 10_000.0)
    got = regrid(fine, Affine(*grid_of(300, 300, 1000.0).transform), grid.crs, grid, "average")
    np.testing.assert_allclose(got, fine.reshape(30, 10, 30, 10).mean(axis=(1, 3)), rtol=1e-5)


def test_directions_around_north_do_not_turn_south():
    grid = grid_of(6, 6, 40_000.0)
    fine = grid_of(24, 24, 10_000.0)
    degrees = np.where(np.indices(fine.shape)[1] % 2, 350, 10).astype(np.float32)
    got = regrid(degrees, fine.affine, fine.crs, grid, "vector")
    assert np.abs((got + 180) % 360 - 180).max() < 0.01
    opposite = np.where(np.indices(fine.shape)[1] % 2, 90, 270).astype(np.float32)
    assert np.isnan(regrid(opposite, fine.affine, fine.crs, grid, "vector")).all()
    south_east = regrid(np.full(fine.shape, 135, np.float32), fine.affine, fine.crs, grid, "vector")
    np.testing.assert_allclose(south_east, 135, atol=1e-3)


def test_a_source_elsewhere_gives_nothing():
    grid = grid_of()
    y, x = np.linspace(60, 50, 11), np.linspace(0, 10, 11)
    assert window_of_axes(y, x, GEOGRAPHIC, grid) is None
    values = regrid(np.ones((11, 11), np.float32), from_origin(0, 60, 1, 1), GEOGRAPHIC, grid, "bilinear")
    assert np.isnan(values).all()


@settings(max_examples=25, deadline=None)
@given(
    west=st.floats(-130, -110),
    south=st.floats(30, 44),
    width=st.floats(0.05, 9),
    height=st.floats(0.05, 9),
    turn=st.floats(0, 90),
)
def test_burnt_shares_are_those_of_the_areas(west, south, width, height, turn):
    grid = grid_of(9, 11, 60_000.0)
    plume = shapely.affinity.rotate(shapely.box(west, south, west + width, south + height), turn)
    got = area_share(plume, grid)
    assert got.min() >= 0
    assert got.max() <= 1 + 1e-6
    to_grid = Transformer.from_crs("OGC:CRS84", grid.crs, always_xy=True)
    on_grid = shapely.transform(
        shapely.segmentize(plume, 0.05), lambda c: np.column_stack(to_grid.transform(*c.T))
    )
    assume(on_grid.is_valid)
    a, _, c, _, e, f = grid.transform
    for row, col in ((0, 0), (4, 5), (8, 10), (2, 7)):
        cell = shapely.box(c + a * col, f + e * (row + 1), c + a * (col + 1), f + e * row)
        assert got[row, col] == pytest.approx(shapely.intersection(cell, on_grid).area / cell.area, abs=2e-4)


def test_burning_in_strips_leaves_no_seam(monkeypatch):
    grid = grid_of(40, 30, 20_000.0)
    plume = shapely.Point(-119, 39).buffer(2.5)
    whole = area_share(plume, grid)
    monkeypatch.setattr("pm25map.predictors.burn.STRIP_CELLS", 100)
    np.testing.assert_allclose(area_share(plume, grid), whole, atol=1e-6)
    assert 0.1 < whole.mean() < 0.9


@settings(max_examples=20, deadline=None)
@given(split=st.integers(5, 35), step=st.sampled_from([3_000.0, 10_000.0, 40_000.0]), seed=st.integers(0, 9))
def test_rows_read_around_a_grid_are_enough(split, step, seed):
    """Cutting a source to what `window_of_axes` says does not change what comes to the grid."""
    grid = grid_of(12, 12, step, top=1_900_000.0 + 1000 * split)
    lon, lat = np.arange(-128, -105, 0.25), np.arange(48, 28, -0.25)
    values = np.random.default_rng(seed).normal(size=(len(lat), len(lon))).astype(np.float32)
    rows, cols = window_of_axes(lat, lon, GEOGRAPHIC, grid)
    whole = regrid_field(Field(values, lat, lon, GEOGRAPHIC), grid, "bilinear")
    cut = regrid_field(Field(values[rows, cols], lat[rows], lon[cols], GEOGRAPHIC), grid, "bilinear")
    np.testing.assert_allclose(cut, whole, atol=1e-5)


def test_with_a_fixed_kernel_a_raster_that_ends_over_the_grid_gives_the_same_values():
    grid = grid_of(step=40_000.0)
    wide = np.random.default_rng(3).normal(size=(360, 480)).astype(np.float32)
    lon, lat = lonlat(grid)
    degrees = 1 / 12
    # The second raster is the middle of the first, and ends on all sides over the grid.
    rows, cols = slice(130, 200), slice(150, 250)
    rasters = [(wide, -130.0, 50.0), (wide[rows, cols], -130 + 150 * degrees, 50 - 130 * degrees)]
    deep_inside = (lon > -113.5) & (lon < -111) & (lat > 35) & (lat < 38)
    apart = {}
    for fixed in (True, False):
        got = []
        for values, west, north in rasters:
            transform = from_origin(west, north, degrees, degrees)
            kernel = kernel_of_conus(transform, GEOGRAPHIC, grid) if fixed else None
            got.append(regrid(values, transform, GEOGRAPHIC, grid, "bilinear", kernel)[deep_inside])
        assert np.isfinite(got).all()
        apart[fixed] = np.abs(got[0] - got[1]).max()
    assert apart[True] < 1e-5
    assert apart[False] > 1e-2


def test_bands_are_brought_each_for_itself():
    grid = grid_of()
    rng = np.random.default_rng(4)
    bands = rng.normal(size=(3, 160, 160)).astype(np.float32)
    bands[1, 70:90, 50:80] = np.nan
    transform = from_origin(-120, 40.5, 0.03, 0.03)
    for rule in ("average", "bilinear", "nearest"):
        together = regrid(bands, transform, GEOGRAPHIC, grid, rule)
        apart = [regrid(band, transform, GEOGRAPHIC, grid, rule) for band in bands]
        np.testing.assert_array_equal(together, np.stack(apart))
        assert np.isnan(together[1]).any() and np.isfinite(together[[0, 2]]).all()
