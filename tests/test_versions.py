"""Of several versions of a provider's file the latest by its own name counts, wherever it lies, and is named."""

import datetime as dt
import json
import re

import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from provider_files import BEST, write_gridmet, write_hms, write_latlon, write_maiac

from pm25map.base.errors import BadPredictors
from pm25map.cli.data import ingest
from pm25map.grid.store import save_grid
from pm25map.predictors.catalogue import open_source
from pm25map.predictors.sources.daymet import FILE, _version
from pm25map.predictors.sources.files import choose_versions, find_files
from pm25map.predictors.sources.hms import Hms
from pm25map.predictors.sources.maiac import Maiac

from test_modis_sources import DAY, SIDE, TILE, tile_grid  # isort: skip
from test_netcdf_sources import LAT, LON, small_grid  # isort: skip


def maiac_of(folder, produced, depth):
    folder.mkdir(parents=True)
    values = np.full((1, SIDE, SIDE), depth, np.float32)
    path = write_maiac(folder, DAY, TILE, values, values, np.full(values.shape, BEST))
    return path.rename(folder / path.name.replace("2023149072031", produced))


@pytest.mark.parametrize("later_in", ["a", "z"])
def test_the_later_production_of_a_granule_counts_in_any_folder(tmp_path, later_in):
    other = {"a": "z", "z": "a"}[later_in]
    later = maiac_of(tmp_path / later_in, "2024001000000", 0.9)
    earlier = maiac_of(tmp_path / other, "2023149072031", 0.2)
    source = Maiac(tmp_path)
    got = source.fields(tile_grid(), [DAY])["aod_055"]
    np.testing.assert_allclose(got, 0.9, atol=1e-3)
    assert source.passed_over == (f"{later} counts, and not {earlier}",)


@pytest.mark.parametrize("folders", [("access/grids", "beta/by-month"), ("z", "a")])
def test_a_scaled_month_counts_before_a_preliminary_one(tmp_path, folders):
    day = (DAY - dt.date(1800, 1, 1)).days
    for folder, stage, level in zip(folders, ("scaled", "prelim"), (20.0, 5.0), strict=True):
        values = np.full((1, len(LAT), len(LON)), level)
        path = tmp_path / folder / f"tavg-{DAY:%Y%m}-grd-{stage}.nc"
        write_latlon(path, "tavg", LON, LAT, values, [day], "days since 1800-01-01", units="degree_Celsius")
    source = open_source("nclimgrid", tmp_path)
    got = source.fields(small_grid(), [DAY])["nclimgrid_tavg"]
    np.testing.assert_allclose(got[np.isfinite(got)], 20, atol=1e-3)
    assert "prelim" in source.passed_over[0].partition("and not")[2]


def test_the_command_names_what_it_passed_over(tmp_path):
    maiac_of(tmp_path / "files" / "a", "2024001000000", 0.9)
    maiac_of(tmp_path / "files" / "b", "2023149072031", 0.2)
    save_grid(tile_grid(), tmp_path / "grid")
    words = ["--source", "maiac", "--files", str(tmp_path / "files"), "--start", str(DAY), "--end", str(DAY)]
    words += ["--grid", str(tmp_path / "grid"), "--store", str(tmp_path / "s.zarr"), "--json"]
    done = CliRunner().invoke(ingest, words, catch_exceptions=False)
    said = json.loads(done.stdout)
    assert said["days"] == 1
    assert re.search(
        r"a/MCD19A2\S+2024001000000.hdf counts, and not \S+2023149072031.hdf", said["passed_over"][0]
    )


def test_two_files_of_one_version_that_differ_are_refused_and_copies_are_not(tmp_path):
    values = np.full((1, len(LAT), len(LON)), 280.0)
    for folder in ("a", "b"):
        write_gridmet(tmp_path / folder, "tmmx", 2020, LON, LAT, values, [DAY])
    copy = (tmp_path / "a" / "tmmx_2020.nc").read_bytes()
    (tmp_path / "b" / "tmmx_2020.nc").write_bytes(copy)
    source = open_source("gridmet", tmp_path)
    assert source.lacking(small_grid(), [DAY]) == {}
    write_gridmet(tmp_path / "b", "tmmx", 2020, LON, LAT, values + 5, [DAY])
    with pytest.raises(BadPredictors, match="neither is the later version"):
        open_source("gridmet", tmp_path).lacking(small_grid(), [DAY])


def test_a_day_of_smoke_in_two_formats_is_taken_from_the_shapefile(tmp_path):
    write_hms(tmp_path / "z", DAY, [(shapely.box(-100, 30, -90, 40), "Light")], "geojson")
    write_hms(tmp_path / "a", DAY, [(shapely.box(-100, 30, -90, 40), "Heavy")], "shp")
    source = Hms(tmp_path)
    assert source._files[DAY].suffix == ".shp"
    assert len(source.passed_over) == 1


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (["daymet_v4_daily_na_tmax_2020.nc", "daymet_v3_tmax_2020_na.nc4"], 0),
        (["daymet_v4_daily_pr_tmax_2020.nc", "daymet_v4_daily_na_tmax_2020.nc"], 1),
        (["Daymet_Daily_V4R1.daymet_v4_daily_na_tmax_2020.nc", "daymet_v4_daily_na_tmax_2020.nc"], 0),
    ],
)
def test_versions_of_daymet_are_ranked_by_their_names(tmp_path, names, best):
    for folder, order in (("first", names), ("second", names[::-1])):
        for number, name in enumerate(order):
            (tmp_path / folder / str(number)).mkdir(parents=True)
            (tmp_path / folder / str(number) / name).write_text(name)
        found = find_files(tmp_path / folder, FILE.format(name="tmax"))
        assert len(found) == 2
        chosen = choose_versions(found, lambda _, m: m["year"], _version).chosen
        assert chosen["2020"].name == names[best]
