"""The grid: its cells, its blocks, and the ways it can be wrong."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import rowcol, xy
from rasterio.warp import transform as warp

from pm25map.base.errors import BadGrid, BadOutput, BadRegion, UnknownName
from pm25map.base.shipped import shipped_folder
from pm25map.cli.grid import command
from pm25map.grid import (
    DEFINITIONS,
    Block,
    Grid,
    build_grid,
    conus_boundary,
    grid_names,
    load_grid,
    save_grid,
)
from pm25map.grid.build import MODIS_1KM_M, MODIS_SINUSOIDAL, read_boundary

OREGON_BOX = shapely.box(-124, 42, -117, 46)


@functools.cache
def conus() -> Grid:
    return load_grid("conus-10km")


def small(land: np.ndarray) -> Grid:
    return Grid("small", "EPSG:5070", (1000.0, 0.0, 0.0, 0.0, -1000.0, 2e6), land.shape, 4, land)


def test_conus_10km_covers_the_land_area_of_the_outline():
    recipe = DEFINITIONS["conus-10km"]
    centres = build_grid("a", recipe.crs, recipe.step_m, conus_boundary(), land="centre")
    area_km2 = centres.cell_count * 100
    projected = shapely.transform(
        shapely.segmentize(conus_boundary(), 0.05),
        lambda p: np.column_stack(
            warp("OGC:CRS84", "EPSG:5070", p[:, 0], p[:, 1]),
        ),
    )
    assert area_km2 == pytest.approx(projected.area / 1e6, rel=0.001)
    # 8.08 million km2 is the area with the Great Lakes and the territorial sea, which the outline leaves out.
    assert 7.7e6 < area_km2 < 8.08e6
    # The shipped grid counts every cell that the coast touches: a strip of half a cell, about 2 %.
    assert 1.01 < conus().cell_count / centres.cell_count < 1.03


def test_the_shipped_grid_is_what_its_definition_builds():
    recipe = DEFINITIONS["conus-10km"]
    assert build_grid("conus-10km", recipe.crs, recipe.step_m, conus_boundary()) == conus()
    assert "conus-10km" in grid_names()


@given(size=st.integers(1, 300))
@settings(max_examples=25, deadline=None)
def test_blocks_cover_every_land_cell_once_at_any_size(size):
    grid = conus()
    covered = np.zeros(grid.shape, dtype=int)
    blocks = grid.blocks(size)
    for block in blocks:
        covered[block.slices] += 1
        assert grid.land[block.slices].any()
        assert block.height <= size and block.width <= size
    assert (covered[grid.land] == 1).all()
    assert covered.max() == 1
    assert [(b.row, b.col) for b in blocks] == sorted((b.row, b.col) for b in blocks)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 15), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_blocks_of_any_small_grid_partition_its_land(rows, cols, size, random):
    land = np.array([[random.random() < 0.3 for _ in range(cols)] for _ in range(rows)])
    land[random.randrange(rows), random.randrange(cols)] = True
    grid = small(land)
    pieces = [grid.land_index()[block.slices] for block in grid.blocks(size)]
    numbers = np.concatenate([piece[piece >= 0] for piece in pieces])
    assert sorted(numbers) == list(range(grid.cell_count))


def test_cells_at_inverts_lonlat_in_row_order():
    grid = conus()
    row, col = grid.cells_at(*grid.lonlat())
    assert np.array_equal(np.stack([row, col]), np.stack(np.nonzero(grid.land)))
    assert np.array_equal(grid.land_index()[row, col], np.arange(grid.cell_count))


def test_lonlat_of_the_blocks_is_lonlat_of_the_grid():
    grid = conus()
    lon, lat = grid.lonlat()
    index = grid.land_index()
    for block in grid.blocks(100):
        cells = index[block.slices]
        block_lon, block_lat = grid.lonlat(block)
        np.testing.assert_array_equal(block_lon, lon[cells[cells >= 0]])
        np.testing.assert_array_equal(block_lat, lat[cells[cells >= 0]])


@given(row=st.integers(0, 291), col=st.integers(0, 461))
@settings(max_examples=50, deadline=None)
def test_cell_centres_agree_with_rasterio(row, col):
    grid = conus()
    x, y = grid.xy()
    assert xy(grid.affine, row, col) == (x[col], y[row])
    lon, lat = warp(grid.crs, "OGC:CRS84", [x[col]], [y[row]])
    found_row, found_col = grid.cells_at(lon, lat)
    assert (found_row[0], found_col[0]) == (row, col) == tuple(map(int, rowcol(grid.affine, x[col], y[row])))


def test_portland_lies_in_its_cell_and_london_in_none():
    grid = conus()
    row, col = grid.cells_at([-122.67, 0.0, np.nan], [45.52, 51.5, 45.0])
    assert grid.land[row[0], col[0]]
    assert list(row[1:]) == [-1, -1]
    assert list(col[1:]) == [-1, -1]
    x, y = grid.xy()
    # North-west of the grid's middle: row 0 is north, column 0 is west.
    assert row[0] < grid.shape[0] / 3
    assert col[0] < grid.shape[1] / 3
    assert x[0] < x[-1]
    assert y[0] > y[-1]


def test_a_grid_comes_back_from_disk_as_it_was(tmp_path):
    grid = build_grid("small", "EPSG:5070", 20_000, OREGON_BOX, block_size=16)
    save_grid(grid, tmp_path / "small")
    again = load_grid(str(tmp_path / "small"))
    assert again == grid
    assert again.checksum == grid.checksum
    with rasterio.open(tmp_path / "small" / "land.tif") as raster:
        assert raster.crs.to_epsg() == 5070
        assert tuple(raster.transform)[:6] == grid.transform
        assert np.array_equal(raster.read(1), grid.land)


def test_the_checksum_tells_land_and_place_but_not_the_name():
    land = np.ones((3, 4), dtype=bool)
    grid = small(land.copy())
    moved = Grid("small", grid.crs, (1000.0, 0.0, 1000.0, 0.0, -1000.0, 2e6), grid.shape, 4, land.copy())
    land[1, 1] = False
    assert len({grid.checksum, moved.checksum, small(land).checksum}) == 3
    assert Grid("other", grid.crs, grid.transform, grid.shape, 9, grid.land).checksum == grid.checksum


def test_land_cannot_be_changed_by_mistake():
    with pytest.raises(ValueError, match="read-only"):
        conus().land[0, 0] = True


def test_an_outline_between_cell_centres_holds_no_land_by_the_centre_rule():
    speck = shapely.box(-120.01, 40, -120, 40.01)
    with pytest.raises(BadGrid, match="no land cell"):
        build_grid("a", "EPSG:5070", 50_000, speck, land="centre")
    assert build_grid("a", "EPSG:5070", 50_000, speck).cell_count == 1


def test_the_touched_rule_adds_the_coast():
    centre = build_grid("a", "EPSG:5070", 20_000, OREGON_BOX, land="centre")
    touched = build_grid("a", "EPSG:5070", 20_000, OREGON_BOX, land="touched")
    assert touched.transform == centre.transform
    assert (touched.land & centre.land).sum() == centre.cell_count < touched.cell_count


def test_strips_do_not_change_the_land(monkeypatch):
    whole = build_grid("a", "EPSG:5070", 5_000, OREGON_BOX)
    monkeypatch.setattr("pm25map.grid.inside._STRIP_CELLS", 500)
    assert build_grid("a", "EPSG:5070", 5_000, OREGON_BOX) == whole


def test_a_straight_parallel_is_followed_where_the_grid_bends():
    grid = build_grid("a", "EPSG:5070", 10_000, shapely.box(-120, 40, -72, 45))
    _, lat = grid.lonlat()
    # Without cutting the long edges, the southern rim would sag hundreds of kilometres at its middle.
    assert 39.9 < lat.min() < 40.15
    assert 44.85 < lat.max() < 45.1


def test_the_modis_grid_is_aligned_with_the_modis_tiles():
    # h08v05 begins at (-11119505.197, 4447802.079), 40 N (MODLAND tile calculator).
    grid = build_grid("modis", MODIS_SINUSOIDAL, MODIS_1KM_M, shapely.box(-120, 38, -118, 40.5))
    assert pytest.approx(926.6254331, abs=1e-6) == MODIS_1KM_M
    a, _, c, _, _, f = grid.transform
    for distance in (c + 11119505.196667, f - 4447802.078667):
        assert distance / a == pytest.approx(round(distance / a), abs=1e-4)
    x, y = warp("OGC:CRS84", grid.crs, [0.0], [40.0])
    assert y[0] == pytest.approx(4447802.078667, abs=0.01)
    assert x[0] == 0


@pytest.mark.slow
def test_the_kilometre_grid_is_built_in_bounded_time_and_memory():
    recipe = DEFINITIONS["conus-1km"]
    grid = build_grid("conus-1km", recipe.crs, recipe.step_m, conus_boundary())
    # About 7.8 million km2 of land, and a strip of half a kilometre along the coast.
    assert 7.81e6 < grid.cell_count < 7.85e6
    assert grid.land.nbytes < 20e6


def test_a_window_holds_the_box_and_is_cut_to_the_grid():
    grid = conus()
    window = grid.window_of_bounds(-124, 42, -117, 46)
    row, col = grid.cells_at([-124, -124, -117, -117, -120.5], [42, 46, 42, 46, 46])
    assert (row >= window.row).all() and (row < window.row + window.height).all()
    assert (col >= window.col).all() and (col < window.col + window.width).all()
    assert window.height < 60 and window.width < 70
    assert grid.window_of_bounds(-180, 0, -30, 80) == Block(0, 0, *grid.shape)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((-117, 42, -124, 46), "upside down"),
        ((-124, 46, -117, 42), "upside down"),
        ((-124, 42, -124, 46), "upside down"),
        ((0, 42, 10, 46), "no land of grid conus-10km, which covers longitude -124.8 to -66.9"),
        ((-135, 30, -130, 35), "no land"),
        ((-400, 42, -117, 46), "not in degrees"),
        ((-124, 42, -117, float("nan")), "not in degrees"),
    ],
)
def test_a_box_that_cannot_be_is_refused(box, message):
    with pytest.raises(BadRegion, match=message):
        conus().window_of_bounds(*box)


@pytest.mark.parametrize(
    ("crs", "step", "boundary", "message"),
    [
        ("EPSG:99999", 1000, OREGON_BOX, "cannot read the CRS 'EPSG:99999'"),
        ("nonsense", 1000, OREGON_BOX, "cannot read the CRS"),
        ("EPSG:4326", 1000, OREGON_BOX, "in degrees and the step in metres"),
        ("EPSG:2225", 1000, OREGON_BOX, "not a map projection in metres"),
        ("EPSG:5070", 0, OREGON_BOX, "above 0"),
        ("EPSG:5070", float("nan"), OREGON_BOX, "above 0"),
        ("EPSG:5070", 1000, shapely.Polygon(), "boundary is empty"),
        ("EPSG:5070", 1000, shapely.Point(-120, 40), "boundary is empty"),
        ("EPSG:5070", 1000, shapely.box(5e5, 4e6, 6e5, 5e6), "not in degrees"),
        ("EPSG:5070", 1, OREGON_BOX, "choose a step above"),
        ("+proj=gnom +lat_0=40 +lon_0=-100", 10_000, shapely.box(60, -50, 70, -40), "does not fit on"),
    ],
)
def test_a_grid_that_cannot_be_built_says_why(crs, step, boundary, message):
    with pytest.raises(BadGrid, match=message):
        build_grid("bad", crs, step, boundary)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform": (1000.0, 1.0, 0.0, 0.0, -1000.0, 0.0)}, "not north up"),
        ({"transform": (1000.0, 0.0, 0.0, 0.0, 1000.0, 0.0)}, "not north up"),
        ({"shape": (4, 3)}, "must be bool"),
        ({"block_size": 0}, "too small"),
        ({"land": np.zeros((3, 4), dtype=bool)}, "no land cell"),
        ({"crs": "EPSG:0"}, "cannot read the CRS"),
    ],
)
def test_a_wrong_grid_cannot_be_made(change, message):
    right = {"name": "g", "crs": "EPSG:5070", "transform": (1000.0, 0.0, 0.0, 0.0, -1000.0, 0.0)}
    right |= {"shape": (3, 4), "block_size": 2, "land": np.ones((3, 4), dtype=bool)}
    with pytest.raises(BadGrid, match=message):
        Grid(**(right | change))


def test_an_unknown_grid_names_those_that_exist():
    with pytest.raises(UnknownName, match=r"shipped are .*conus-10km.*Did you mean conus-10km"):
        load_grid("conus-10k")
    with pytest.raises(UnknownName, match="pm25map grid build conus-1km"):
        load_grid("conus-1km")


def damaged_checksum(folder: Path):
    entry = json.loads((folder / "grid.json").read_text())
    (folder / "grid.json").write_text(json.dumps(entry | {"transform": [1.0, 0, 0, 0, -1.0, 0]}))


def damaged_json(folder: Path):
    (folder / "grid.json").write_text('{"name": "x"')


def damaged_mask(folder: Path):
    (folder / "land.tif").write_bytes((folder / "land.tif").read_bytes()[:200])


def absent_mask(folder: Path):
    (folder / "land.tif").unlink()


@pytest.mark.parametrize("damage", [damaged_checksum, damaged_json, damaged_mask, absent_mask])
def test_a_damaged_grid_is_refused(tmp_path, damage):
    (tmp_path / "g").mkdir()
    for name in ("grid.json", "land.tif"):
        shutil.copy(shipped_folder("grids") / "conus-10km" / name, tmp_path / "g")
    damage(tmp_path / "g")
    with pytest.raises(BadGrid, match=r"again|checksums"):
        load_grid(tmp_path / "g")


def boundary_file(tmp_path: Path, *shapes: shapely.Geometry) -> Path:
    features = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(s)} for s in shapes
    ]
    path = tmp_path / "outline.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_a_boundary_comes_from_a_file(tmp_path):
    outline = read_boundary(
        boundary_file(tmp_path, OREGON_BOX, shapely.box(-117, 42, -111, 46), shapely.Point(0, 0))
    )
    assert outline.bounds == (-124, 42, -111, 46)
    with pytest.raises(BadGrid, match="is empty"):
        read_boundary(boundary_file(tmp_path, shapely.Point(0, 0)))
    with pytest.raises(BadGrid, match="cannot read the boundary"):
        read_boundary(tmp_path / "absent.geojson")


def call(*args: object):
    return CliRunner().invoke(command, [str(arg) for arg in args])


def test_the_command_builds_lists_and_describes(tmp_path):
    path = boundary_file(tmp_path, OREGON_BOX)
    build = [
        "build",
        "oregon",
        "--crs",
        "EPSG:32610",
        "--step",
        20000,
        "--boundary",
        path,
        "--out",
        tmp_path / "g",
    ]
    assert call(*build).exit_code == 0
    assert isinstance(call(*build).exception, BadOutput)
    (tmp_path / "g" / "sample.zarr.zip").write_text("stays")
    assert call(*build, "--overwrite").exit_code == 0
    assert (tmp_path / "g" / "sample.zarr.zip").read_text() == "stays"
    facts = json.loads(call("info", tmp_path / "g", "--json").stdout)
    assert facts["crs"] == "EPSG:32610"
    assert facts["land_cells"] == load_grid(tmp_path / "g").cell_count
    assert "conus-modis-1km" in call("list").stdout
    names = {row["name"]: row["shipped"] for row in json.loads(call("list", "--json").stdout)}
    assert names["conus-10km"] and not names["conus-4km"]
    assert "79,838 cells" in call("info", "conus-10km").stdout


def test_the_command_refuses_before_it_builds(tmp_path):
    assert isinstance(call("build", "conus-4km", "--out", tmp_path / "no" / "g").exception, BadOutput)
    result = call("build", "conus-4k", "--out", tmp_path / "g")
    assert isinstance(result.exception, UnknownName)
    assert "conus-4km" in str(result.exception)
    assert call("build", "a/b").exit_code == 2
    assert not (tmp_path / "g").exists()


def test_grid_info_says_where_a_grid_over_the_date_line_begins_and_ends(tmp_path):
    """From west to east: the least and the greatest of its longitudes go around the whole earth."""
    halves = shapely.union_all([shapely.box(175, 62, 180, 66), shapely.box(-180, 62, -165, 66)])
    path = tmp_path / "bering.geojson"
    path.write_text(json.dumps(shapely.geometry.mapping(halves)))
    place = ["--crs", "EPSG:3338", "--step", 50000, "--boundary", path, "--out", tmp_path / "g"]
    assert call("build", "bering", *place).exit_code == 0
    west, south, east, north = json.loads(call("info", tmp_path / "g", "--json").stdout)["lonlat_bounds"]
    assert 165 < west < 175
    assert -165 < east < -155
    assert south < 62
    assert north > 66
    assert "over 180 degrees" in call("info", tmp_path / "g").stdout
    assert "over 180 degrees" not in call("info", "conus-10km").stdout
