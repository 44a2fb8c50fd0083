"""The static rasters that come with the package: what they cover, that they are whole, and what they give."""

import json
from pathlib import Path

import numpy as np
import pyproj
import pytest
from predictor_world import DAYS
from shapely.geometry import box
from test_ingest import parquet, run

from pm25map.base.errors import BadInstall, BadPredictors
from pm25map.base.shipped import shipped_folder
from pm25map.grid import build_grid, conus_boundary, load_grid, save_grid
from pm25map.predictors.sources import static, static_pack
from pm25map.predictors.sources.static import static_layers
from pm25map.predictors.store import open_predictors
from pm25map.predictors.variables import VARIABLES, check_range, variables_of

PACK = shipped_folder("grids") / static_pack.PACK_FILE


@pytest.fixture(scope="module")
def conus():
    return load_grid("conus-10km")


@pytest.fixture(scope="module")
def layers(conus):
    return dict(static_layers(None, conus))


def test_the_layers_are_those_of_the_sample_within_its_packing(conus, layers):
    sample = open_predictors(shipped_folder("grids") / "conus-10km" / "sample.zarr.zip")
    assert set(layers) == set(sample.layers) & set(variables_of("static"))
    for name, values in layers.items():
        apart = np.abs(values - sample.layer(name))[..., conus.land]
        # A packed value is at most half a step from the true one; the rest is the last digit of float32.
        assert apart.max() <= sample.precision(name) / 2 * (1 + 1e-3), name


@pytest.mark.shared
def test_the_layers_are_bit_by_bit_those_of_the_rasters_the_sample_was_made_of(conus, layers, shared_data):
    for name, values in static_layers(shared_data / "static", conus):
        np.testing.assert_allclose(layers[name], values, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("crs", ["EPSG:5070", "EPSG:32618", "+proj=sinu +R=6371007.181 +units=m +no_defs"])
@pytest.mark.parametrize("step", [1000.0, 4000.0])
def test_any_grid_is_whole_on_land_and_in_range(crs, step):
    grid = build_grid("maine", crs, step, box(-69.5, 44.5, -68.5, 45.2))
    for name, values in static_layers(None, grid):
        assert np.isfinite(values[..., grid.land]).all(), name
        assert np.isnan(values[..., ~grid.land]).all(), name
        check_range(VARIABLES[name], values, name)


def test_the_box_holds_every_point_within_200_km_of_the_states():
    west, south, east, north = static_pack.WEST, static_pack.SOUTH, static_pack.EAST, static_pack.NORTH
    points = np.array([xy for part in conus_boundary().geoms for xy in part.exterior.coords])
    geod = pyproj.Geod(ellps="WGS84")
    for azimuth in range(0, 360, 15):
        far = np.full(len(points), float(azimuth)), np.full(len(points), 200_000.0)
        lon, lat, _ = geod.fwd(points[:, 0], points[:, 1], *far)
        assert west <= lon.min() and lon.max() <= east
        assert south <= lat.min() and lat.max() <= north


@pytest.mark.parametrize(
    "outline",
    [box(-124.5, 49.5, -122.5, 50.9), box(-117.0, 30.6, -115.0, 32.4), box(-67.5, 44.6, -65.0, 46.6)],
)
def test_land_beyond_the_border_is_covered(outline):
    grid = build_grid("beyond", "EPSG:5070", 10_000.0, outline)
    assert len(dict(static_layers(None, grid))) == 13


@pytest.mark.parametrize(
    ("crs", "outline", "where"),
    [
        ("EPSG:5070", box(-112.0, 50.0, -110.0, 55.0), r"55\.\d N, 11\d\.\d W"),
        ("EPSG:3338", box(-150.0, 61.0, -149.0, 62.0), r"6\d\.\d N, 1\d\d\.\d W"),
        ("EPSG:32662", box(7.0, 50.0, 8.0, 51.0), r"5\d\.\d N, -[78]\.\d W"),
    ],
)
def test_land_outside_of_the_pack_is_one_line_that_names_the_way_out(crs, outline, where):
    grid = build_grid("far", crs, 10_000.0, outline)
    with pytest.raises(
        BadPredictors,
        match=rf"grid far has land at {where}, and .* cover the contiguous United States and 200 km "
        r"around \(22\.6 to 51\.3 N, 64\.4 to 127\.5 W\): name a folder of your own rasters with --static",
    ):
        next(static_layers(None, grid))


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9, 0.99999])
def test_one_flipped_bit_is_one_line(tmp_path, place):
    content = bytearray(PACK.read_bytes())
    content[int(len(content) * place)] ^= 16
    path = tmp_path / "pack.zip"
    path.write_bytes(content)
    with pytest.raises(
        BadInstall, match=r"pack\.zip is damaged or of another version .*: install pm25map again"
    ):
        static_pack.open_pack(path)


def test_an_absent_and_an_empty_pack_are_one_line(tmp_path):
    with pytest.raises(BadInstall, match=r"cannot read the static layers of the package, .*No such file"):
        static_pack.open_pack(tmp_path / "none.zip")
    (tmp_path / "empty.zip").touch()
    with pytest.raises(BadInstall, match="is damaged or of another version"):
        static_pack.open_pack(tmp_path / "empty.zip")


def test_the_pack_says_of_every_layer_where_it_is_from_and_under_which_licence():
    pack = static_pack.open_pack()
    assert [name for one in pack.facts for name in one["layers"]] == list(static.FILES)
    assert set(pack.rasters) == {file for file, _ in static.FILES.values()}
    for one in pack.facts:
        assert all(one[key] for key in ("unit", "product", "package", "licence", "resolution", "precision"))
    assert len(static_pack.pack_checksum()) == 64
    assert PACK.stat().st_size <= 8e6


def test_the_docs_list_every_raster_with_its_unit_and_product():
    text = (Path(__file__).parents[1] / "docs" / "static.md").read_text()
    for one in static_pack.open_pack().facts:
        assert all(f"`{word}`" in text for word in (one["file"], *one["layers"]))
        assert one["package"] in text


def test_ingest_takes_the_layers_of_the_package_where_no_folder_is_named(tmp_path):
    # A grid over eastern Kansas, where the monitors of the invented files stand.
    outline = box(-98.0, 38.0, -95.0, 40.0)
    grid = save_grid(build_grid("kansas", "EPSG:5070", 10_000.0, outline), tmp_path / "kansas")
    days = ("--start", DAYS[0], "--end", DAYS[0], "--grid", grid, "--store")
    code, text = run("ingest", "--source", "static", *days, tmp_path / "a.zarr", "--json")
    assert (code, json.loads(text)["layers"]) == (0, 13)
    monitors = parquet(tmp_path / "aqs", DAYS)
    code, text = run("ingest", *days, tmp_path / "b.zarr", "--monitors", monitors, "--json")
    assert (code, json.loads(text)["layers"], json.loads(text)["days"]) == (0, 13, 1)


def test_ingest_of_a_grid_that_the_package_does_not_cover_leaves_nothing_behind(tmp_path):
    outline = box(-112.0, 50.0, -110.0, 55.0)
    grid = save_grid(build_grid("alberta", "EPSG:5070", 10_000.0, outline), tmp_path / "alberta")
    days = ("--start", "2020-09-01", "--end", "2020-09-01")
    code, text = run("ingest", "--source", "static", *days, "--grid", grid, "--store", tmp_path / "p.zarr")
    assert code == 1
    assert "name a folder of your own rasters with --static" in text
    assert not (tmp_path / "p.zarr").exists()
