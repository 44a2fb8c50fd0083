"""MAIAC and vegetation index, from granules that the tests write as NASA does, and from a true one."""

import datetime as dt
import re

import numpy as np
import pytest
from provider_files import (
    BEST,
    CLOUDY,
    NEAR_CLOUD,
    SINUSOIDAL,
    TILE_M,
    granule_name,
    tile_lonlat,
    write_maiac,
    write_nbar,
    write_vegetation,
)

from pm25map.base.errors import BadPredictors
from pm25map.grid import Grid
from pm25map.predictors.sources.maiac import Maiac, read_best
from pm25map.predictors.sources.modis import granules, mosaic, tiles_of
from pm25map.predictors.sources.ndvi import Ndvi

DAY = dt.date(2020, 9, 12)
TILE = (8, 5)
SIDE = 60
PIXEL = TILE_M / SIDE


def tile_grid(columns=SIDE, first_col=0, rows=12, tile=TILE):
    """Cells that are the pixels of the rows from the tenth of a tile on."""
    left, top = (tile[0] - 18) * TILE_M + first_col * PIXEL, (9 - tile[1]) * TILE_M - 10 * PIXEL
    land = np.ones((rows, columns), dtype=bool)
    return Grid("tile", SINUSOIDAL, (PIXEL, 0.0, left, 0.0, -PIXEL, top), (rows, columns), 8, land)


def ramp(tile=TILE):
    lon, lat = tile_lonlat(tile, SIDE)
    return ((lon + 140) / 100 + lat / 1000).astype(np.float32)


def write_simple(folder, day=DAY, tile=TILE, **changes):
    values = ramp(tile)[np.newaxis]
    return write_maiac(folder, day, tile, values, values / 2, np.full(values.shape, BEST), **changes)


def test_only_orbits_of_best_quality_are_averaged(tmp_path):
    a, b = np.full((SIDE, SIDE), 0.2), np.full((SIDE, SIDE), 0.4)
    aod = np.stack([a, b, np.full((SIDE, SIDE), 3.0), np.full((SIDE, SIDE), 2.0)])
    quality = np.stack([np.full((SIDE, SIDE), q) for q in (BEST, BEST, CLOUDY, NEAR_CLOUD)])
    aod[0, :10] = np.nan
    quality[1, :5] = CLOUDY
    path = write_maiac(tmp_path, DAY, TILE, aod, aod / 2, quality)
    (granule,) = granules(tmp_path, "MCD19A2").values()
    assert granule.path == path
    got = read_best(granule)
    assert np.isnan(got["aod_047"][:5]).all()
    np.testing.assert_allclose(got["aod_047"][5:10], 0.4, atol=1e-6)
    np.testing.assert_allclose(got["aod_047"][10:], 0.3, atol=1e-6)
    np.testing.assert_allclose(got["aod_055"][10:], 0.15, atol=1e-6)


@pytest.mark.parametrize("kept", [True, False])
def test_the_bits_of_quality_are_those_of_the_user_guide(tmp_path, kept):
    """AOD_QA of collection 6.1: 0-2 cloud mask, 3-4 surface, 5-7 adjacency, 8-11 quality, 12 glint, 13-14 model."""

    def packed(cloud=1, surface=0, adjacency=0, quality=0, glint=0, model=0):
        return cloud | surface << 3 | adjacency << 5 | quality << 8 | glint << 12 | model << 13

    if kept:
        cases = [packed(), packed(surface=1), packed(model=1), packed(model=2), packed(model=2, glint=1)]
    else:
        cases = [packed(cloud=value) for value in (0, 2, 3, 5, 6, 7)]
        cases += [packed(quality=value) for value in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11)]
        cases += [packed(adjacency=value, quality=4) for value in (1, 2, 3)] + [0xFFFF]
    aod = np.full((len(cases), SIDE, SIDE), 0.3)
    quality = np.stack([np.full((SIDE, SIDE), case) for case in cases])
    write_maiac(tmp_path, DAY, TILE, aod * np.arange(1, len(cases) + 1)[:, None, None] / 3, aod, quality)
    (granule,) = granules(tmp_path, "MCD19A2").values()
    got = read_best(granule)["aod_047"]
    if kept:
        np.testing.assert_allclose(got, 0.1 * (len(cases) + 1) / 2, atol=1e-6)
    else:
        assert np.isnan(got).all()


def test_a_day_without_a_good_orbit_is_missing_and_not_a_fill_value(tmp_path):
    aod = np.full((1, SIDE, SIDE), np.nan)
    write_maiac(tmp_path, DAY, TILE, aod, aod, np.zeros(aod.shape))
    source, grid = Maiac(tmp_path), tile_grid()
    assert source.lacking(grid, [DAY]) == {}
    assert np.isnan(source.fields(grid, [DAY])["aod_047"]).all()


def test_pixels_of_the_tile_come_to_a_grid_of_them_as_they_are(tmp_path):
    write_simple(tmp_path)
    got = Maiac(tmp_path).fields(tile_grid(), [DAY])["aod_047"][0]
    np.testing.assert_allclose(got, ramp()[10:22], atol=6e-4)


def test_tiles_join_without_a_seam(tmp_path):
    east = (TILE[0] + 1, TILE[1])
    grid = tile_grid(columns=20, first_col=SIDE - 10)
    assert tiles_of(grid) == (TILE, east)
    write_simple(tmp_path)
    write_simple(tmp_path, tile=east)
    got = Maiac(tmp_path).fields(grid, [DAY])["aod_047"][0]
    expected = np.concatenate([ramp()[10:22, -10:], ramp(east)[10:22, :10]], axis=1)
    np.testing.assert_allclose(got, expected, atol=6e-4)
    joined, transform = mosaic({TILE: ramp(), east: ramp(east)})
    assert joined.shape == (SIDE, 2 * SIDE)
    assert transform.a == pytest.approx(PIXEL)


def test_an_absent_tile_makes_a_day_lack_unless_part_of_it_is_enough(tmp_path):
    grid = tile_grid(columns=20, first_col=SIDE - 10)
    write_simple(tmp_path)
    assert Maiac(tmp_path).lacking(grid, [DAY]) == {DAY: "no granule of h09v05"}
    part = Maiac(tmp_path, partial=True)
    assert part.lacking(grid, [DAY, DAY + dt.timedelta(days=1)]).keys() == {DAY + dt.timedelta(days=1)}
    got = part.fields(grid, [DAY])["aod_047"][0]
    assert np.isfinite(got[:, :10]).all()
    assert np.isnan(got[:, 10:]).all()


def test_of_two_productions_the_later_counts(tmp_path):
    first = write_simple(tmp_path)
    first.rename(tmp_path / first.name.replace("2023149072031", "2022001000000"))
    second = write_simple(tmp_path)
    assert [g.path for g in granules(tmp_path, "MCD19A2").values()] == [second]


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_hdf(path):
    path.write_text("<html>Please log in</html>")


def renamed(path):
    path.rename(path.with_name(path.name.replace("h08v05", "h09v05")))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_off, "is cut off or no HDF4 file"),
        (no_hdf, "is cut off or no HDF4 file"),
        (renamed, "was renamed"),
    ],
)
def test_a_damaged_granule_is_one_line(tmp_path, spoil, message):
    grid = tile_grid(columns=5, first_col=0, tile=(9, 5) if spoil is renamed else TILE)
    spoil(write_simple(tmp_path))
    with pytest.raises(BadPredictors, match=message) as error:
        Maiac(tmp_path).fields(grid, [DAY])
    assert "MCD19A2.A2020256" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_granule_of_another_collection_or_product_is_refused(tmp_path):
    old = write_simple(tmp_path / "old", collection=6)
    with pytest.raises(BadPredictors, match="of collection 006"):
        Maiac(tmp_path / "old").lacking(tile_grid(), [DAY])
    old.rename(old.with_name(granule_name("MCD19A2", DAY, TILE)))
    with pytest.raises(BadPredictors, match="MCD19A2 of collection 6 inside"):
        Maiac(tmp_path / "old").fields(tile_grid(), [DAY])
    write_simple(tmp_path / "other", product="MCD19A3")
    with pytest.raises(BadPredictors, match="MCD19A3 of collection 61 inside"):
        Maiac(tmp_path / "other").fields(tile_grid(), [DAY])


@pytest.mark.parametrize("lacking", ["scale_factor", "_FillValue", "valid_range"])
@pytest.mark.parametrize("product", ["MCD19A2", "MOD13A2"])
def test_a_granule_that_does_not_say_how_to_read_it_is_one_line(tmp_path, product, lacking):
    if product == "MCD19A2":
        source, path = Maiac(tmp_path), write_simple(tmp_path, without=(lacking,))
        band = "Optical_Depth_047"
    else:
        same = np.full((SIDE, SIDE), 0.2)
        source, band = Ndvi(tmp_path), "1 km 16 days NDVI"
        path = write_vegetation(tmp_path, DAY, TILE, same, np.zeros_like(same), without=(lacking,))
    with pytest.raises(
        BadPredictors, match=f"^{band} of {re.escape(str(path))} says no {lacking}: get"
    ) as error:
        source.fields(tile_grid(), [DAY])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("named", "days"), [("2021366", 365), ("2020367", 366), ("2021000", 365)])
def test_a_granule_named_by_a_day_that_no_year_has_is_one_line(tmp_path, named, days):
    path = write_simple(tmp_path)
    path = path.rename(path.with_name(path.name.replace("2020256", named)))
    with pytest.raises(
        BadPredictors, match=f"{re.escape(str(path))} names no day .*days 1 to {days}"
    ) as error:
        Maiac(tmp_path).lacking(tile_grid(), [dt.date(2022, 1, 1)])
    assert "\n" not in str(error.value)


def test_the_last_day_of_a_leap_year_is_read(tmp_path):
    write_simple(tmp_path, day=dt.date(2020, 12, 31))
    assert [day for day, _ in granules(tmp_path, "MCD19A2")] == [dt.date(2020, 12, 31)]


def test_tiles_outside_of_the_grid_are_named(tmp_path):
    write_simple(tmp_path, tile=(12, 4))
    with pytest.raises(BadPredictors, match="holds tiles h12v04, and grid tile needs h08v05"):
        Maiac(tmp_path).lacking(tile_grid(), [DAY])


def test_the_index_is_of_red_and_near_infrared_where_they_were_processed(tmp_path):
    red, infrared = np.full((SIDE, SIDE), 0.1), np.full((SIDE, SIDE), 0.3)
    quality = np.zeros((SIDE, SIDE))
    quality[10], quality[11] = 1, 255
    red[12, 0] = np.nan
    write_nbar(tmp_path, DAY, TILE, red, infrared, quality)
    got = Ndvi(tmp_path).fields(tile_grid(), [DAY])["ndvi"][0]
    np.testing.assert_allclose(got[0], 0.5, atol=1e-5)
    assert np.isnan(got[1]).all()
    assert np.isnan(got[2, 0])
    np.testing.assert_allclose(got[2, 1:], 0.5, atol=1e-5)


def test_the_index_is_carried_forward_and_never_back(tmp_path):
    old, new = DAY - dt.timedelta(days=16), DAY
    good, gap = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    gap[10] = 3
    write_vegetation(tmp_path, old, TILE, np.full((SIDE, SIDE), 0.25), good)
    write_vegetation(tmp_path, new, TILE, np.full((SIDE, SIDE), 0.75), gap)
    days = [DAY - dt.timedelta(days=1), DAY, DAY + dt.timedelta(days=15)]
    source, grid = Ndvi(tmp_path), tile_grid()
    assert source.lacking(grid, [*days, DAY + dt.timedelta(days=16)]).keys() == {DAY + dt.timedelta(days=16)}
    assert source.lacking(grid, [old - dt.timedelta(days=1)])
    got = source.fields(grid, days)["ndvi"]
    np.testing.assert_allclose(got[0], 0.25)
    np.testing.assert_allclose(got[1, 0], 0.25)
    np.testing.assert_allclose(got[1:, 1:], 0.75)


def test_two_products_in_one_folder_are_refused(tmp_path):
    same = np.full((SIDE, SIDE), 0.2)
    write_nbar(tmp_path, DAY, TILE, same, same, np.zeros_like(same))
    write_vegetation(tmp_path, DAY, TILE, same, np.zeros_like(same))
    with pytest.raises(BadPredictors, match="granules of both of MCD43A4 and MOD13A2"):
        Ndvi(tmp_path).lacking(tile_grid(), [DAY])


@pytest.mark.shared
def test_a_true_granule_of_mod13a2_is_read(shared_data):
    """The Bahamas and Hispaniola, h11v06: values between bare and forest, in the unit of the table."""
    step = 10_000.0
    left, top = (11 - 18) * TILE_M + 200_000, (9 - 6) * TILE_M - 100_000
    land = np.ones((90, 70), dtype=bool)
    grid = Grid("h11v06", SINUSOIDAL, (step, 0.0, left, 0.0, -step, top), (90, 70), 16, land)
    source = Ndvi(shared_data / "providers" / "modis")
    day = dt.date(2021, 8, 20)
    assert tiles_of(grid) == ((11, 6),)
    assert source.lacking(grid, [day, dt.date(2021, 8, 29)]).keys() == {dt.date(2021, 8, 29)}
    got = source.fields(grid, [day])["ndvi"][0]
    assert np.isnan(got).any()
    known = got[np.isfinite(got)]
    assert len(known) > 20
    assert -0.2 <= known.min() < known.max() <= 1
    assert known.max() > 0.5
