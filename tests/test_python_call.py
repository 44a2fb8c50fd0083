"""`import pm25map` as a notebook uses it: a dataset that says what it is, and files that say the same."""

import datetime as dt
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr

pytest.importorskip("torch")

from click.testing import CliRunner
from map_world import build_world, first_day

import pm25map
from pm25map.base.errors import BadDate, BadMap, BadOutput, DayOutsideStore, UnknownName
from pm25map.cli.main import cli
from pm25map.raster.netcdf import STEP_UGM3

DAYS = [first_day() + dt.timedelta(days=i) for i in range(4)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world"), 26, calibrated=True)


@pytest.fixture(autouse=True)
def surroundings(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.chdir(tmp_path)


def where(world):
    folder = world.folder
    return {
        "model": str(folder / "model"),
        "grid": str(folder / "grid"),
        "predictors": str(folder / "world.zarr"),
    }


@pytest.fixture
def maps(world):
    return pm25map.open(str(DAYS[0]), str(DAYS[-1]), bands=["intervals"], **where(world))


def test_importing_the_package_loads_nothing_heavy():
    line = "import pm25map, sys; print([m for m in ('numpy', 'xarray', 'dask', 'torch', 'click') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        _ = pm25map.opne


def test_opened_maps_are_lazy_and_say_what_they_are(world, maps):
    assert list(maps.data_vars) == ["pm25", "pm25_lower", "pm25_upper"]
    assert maps.pm25.dims == ("day", "y", "x") and maps.pm25.chunks is not None
    assert maps.pm25.attrs["units"] == "ug m-3"
    assert maps.pm25.attrs["ancillary_variables"] == "pm25_lower pm25_upper"
    assert maps.attrs["Conventions"] == "CF-1.11"
    assert maps.attrs["PM25MAP_CARD_CHECKSUM"] == world.model.card.checksum
    assert maps.rio.crs.to_epsg() == 5070
    assert maps.pm25.rio.transform()[:6] == world.grid.affine[:6]
    assert [str(day) for day in maps.pm25map.days] == [str(day) for day in DAYS]
    assert len(set(maps.predictors_sha256.values)) == len(DAYS)
    one = pm25map.predict(DAYS[1], bands=["intervals"], **where(world))
    assert one.pm25.chunks is None
    np.testing.assert_array_equal(one.pm25_upper[0], maps.pm25_upper.sel(day=str(DAYS[1])))


def test_a_geotiff_of_python_has_the_bytes_of_the_command(world, maps, tmp_path):
    day = DAYS[2]
    words = ["predict", "--date", day, "--out", "there.tif", *world.words(), "--intervals"]
    assert CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False).exit_code == 0
    (path,) = maps.sel(day=[np.datetime64(day)]).pm25map.to_cog("there.tif", overwrite=True)
    again = path.read_bytes()
    assert CliRunner().invoke(cli, [*map(str, words), "--overwrite"], catch_exceptions=False).exit_code == 0
    assert path.read_bytes() == again
    with pytest.raises(BadOutput, match="exists already"):
        maps.isel(day=[2]).pm25map.to_cog(path)
    files = maps.isel(day=slice(0, 2)).pm25map.to_cog(tmp_path / "maps")
    assert [file.name for file in files] == [f"pm25_{day}.tif" for day in DAYS[:2]]


def test_a_part_that_was_cut_out_lies_where_it_lay(world, maps, tmp_path):
    part = maps.isel(day=1, y=slice(2, 7), x=slice(3, 9))
    (path,) = part.pm25map.to_cog("part.tif")
    (whole,) = maps.isel(day=[1]).pm25map.to_cog("whole.tif")
    with rasterio.open(path) as small, rasterio.open(whole) as large:
        window = large.window(*small.bounds).round_offsets().round_lengths()
        np.testing.assert_array_equal(small.read(), large.read(window=window))
        assert small.tags()["PM25MAP_DAY"] == str(DAYS[1])
    (netcdf,) = part.pm25map.to_netcdf("part.nc")
    with xr.open_dataset(netcdf) as read:
        assert read.day_bnds.dims == ("day", "nv") and read.predictors_sha256.dims == ("day",)
        np.testing.assert_allclose(read.pm25[0], part.pm25, atol=STEP_UGM3)
    with pytest.raises(BadMap, match="rectangle of neighbouring cells"):
        maps.isel(x=slice(None, None, 2)).pm25map.to_cog("thin.tif")
    with pytest.raises(BadMap, match="PM25MAP_GRID_CRS"):
        xr.Dataset({"pm25": maps.pm25}, attrs={}).pm25map.to_cog("bare.tif")


def test_netcdf_follows_cf_and_packing_moves_a_value_by_half_a_step_at_most(maps):
    (path,) = maps.pm25map.to_netcdf("maps.nc")
    with xr.open_dataset(path, decode_coords="all") as read:
        assert read.rio.crs.to_epsg() == 5070 and read.pm25.rio.transform() == maps.pm25.rio.transform()
        np.testing.assert_array_equal(read["day"], maps["day"])
        for name in maps.data_vars:
            apart = np.abs(read[name].values - maps[name].values.astype(np.float64))
            assert np.nanmax(apart) <= STEP_UGM3 / 2 * (1 + 1e-6)
            np.testing.assert_array_equal(np.isnan(read[name]), np.isnan(maps[name]))
    with netCDF4.Dataset(path) as held:
        held.set_auto_maskandscale(False)
        assert held.Conventions == "CF-1.11"
        assert held["pm25"].dtype == np.int32 and held["pm25"].scale_factor == STEP_UGM3
        assert held["pm25"].grid_mapping == "spatial_ref" and held["pm25"].cell_methods == "time: mean"
        assert held["spatial_ref"].grid_mapping_name == "albers_conical_equal_area"
        assert held["day"].bounds == "day_bnds" and held["day"].units == "days since 1970-01-01"
        assert (np.diff(held["day_bnds"][:], axis=1) == 1).all()
        assert held["x"].standard_name == "projection_x_coordinate" and held["x"].units == "m"
        assert len(held["predictors_sha256"][0]) == 64
    with rasterio.open(f"netcdf:{path}:pm25") as source:
        assert source.crs.to_epsg() == 5070 and source.count == len(DAYS)


def test_threads_write_netcdf_one_after_another(maps, monkeypatch):
    part, at_once, most = maps.compute(), [], []
    plain = xr.Dataset.to_netcdf

    def watched(self, *args, **kwargs):
        at_once.append(1)
        most.append(len(at_once))
        try:
            return plain(self, *args, **kwargs)
        finally:
            at_once.pop()

    monkeypatch.setattr(xr.Dataset, "to_netcdf", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: part.pm25map.to_netcdf(f"{i}.nc"), range(8)))
    assert len(most) == 8 and max(most) == 1


def test_netcdf_holds_a_file_a_day_or_a_year_and_single_precision_where_asked(maps):
    paths = maps.pm25map.to_netcdf("days", by="day", packed=False)
    assert [path.name for path in paths] == [f"pm25_{day}.nc" for day in DAYS]
    with xr.open_dataset(paths[3]) as read:
        assert read.pm25.dtype == np.float32
        np.testing.assert_array_equal(read.pm25[0], maps.pm25[3])
    (year,) = maps.pm25map.to_netcdf("2020.nc", by="year")
    with pytest.raises(BadOutput, match="exists already"):
        maps.pm25map.to_netcdf(year)


@pytest.mark.parametrize("write", ["to_cog", "to_netcdf"])
def test_files_of_single_days_estimate_each_chunk_once(world, write, monkeypatch):
    from pm25map.raster import predict as engine

    chunks = []
    honest = engine.estimate_days
    monkeypatch.setattr(
        engine,
        "estimate_days",
        lambda estimator, block, days: (chunks.append((block, days)), honest(estimator, block, days))[1],
    )
    options = pm25map.Options(chunk_days=3, block_size=7)
    maps = pm25map.open(DAYS[0], DAYS[-1], options=options, **where(world))
    by = {"by": "day"} if write == "to_netcdf" else {}
    assert len(getattr(maps.pm25map, write)("files", **by)) == len(DAYS)
    assert len(chunks) == len(set(chunks)) == maps.pm25.data.npartitions


def test_a_value_too_large_to_be_packed_is_refused_and_leaves_no_file(maps, tmp_path):
    high = maps.assign(pm25=maps.pm25.copy(data=maps.pm25.data + np.float32(3e6)))
    with pytest.raises(BadOutput, match="packed=False"):
        high.pm25map.to_netcdf("high.nc")
    assert list(tmp_path.iterdir()) == []


def test_zarr_keeps_every_bit_and_replaces_nothing_but_a_store(maps, tmp_path):
    path = maps.isel(x=slice(1, None)).pm25map.to_zarr("maps.zarr")
    read = xr.open_zarr(path, consolidated=False, decode_coords="all")
    for name in maps.data_vars:
        np.testing.assert_array_equal(read[name], maps[name].isel(x=slice(1, None)))
    assert read.rio.crs.to_epsg() == 5070
    with pytest.raises(BadOutput, match="exists already"):
        maps.pm25map.to_zarr(path)
    maps.isel(day=[0]).pm25map.to_zarr(path, overwrite=True)
    assert xr.open_zarr(path, consolidated=False).sizes["day"] == 1
    mine = tmp_path / "mine"
    mine.mkdir()
    with pytest.raises(BadOutput, match="no Zarr store"):
        maps.pm25map.to_zarr(mine, overwrite=True)


def test_the_command_writes_netcdf_by_the_name_of_its_file(world, maps):
    words = ["predict", "--date", DAYS[0], "--out", "map.nc", *world.words(), "--intervals", "--json"]
    done = CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["map"] == "map.nc" and said["item"] is None
    (ours,) = maps.isel(day=[0]).pm25map.to_netcdf("ours.nc")
    with xr.open_dataset("map.nc") as theirs, xr.open_dataset(ours) as read:
        for name in maps.data_vars:
            np.testing.assert_array_equal(theirs[name], read[name])
    for more in (["--preview", "p.png"], ["--diagnostics"]):
        refused = CliRunner().invoke(cli, [*map(str, words), "--overwrite", *more])
        assert refused.exit_code == 2 and "GeoTIFF" in refused.output


def test_what_a_user_gets_wrong_is_said_before_anything_is_estimated(world):
    with pytest.raises(BadDate, match="YYYY-MM-DD"):
        pm25map.open("12 September", **where(world))
    with pytest.raises(UnknownName, match="there are intervals"):
        pm25map.open(DAYS[0], bands=["interval"], **where(world))
    with pytest.raises(UnknownName):
        pm25map.predict(DAYS[0], region="atlantis", **where(world))
    with pytest.raises(DayOutsideStore):
        pm25map.open(DAYS[0], "2021-09-12", **where(world))
