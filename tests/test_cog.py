"""The COG: bit for bit what was predicted, valid, tagged, and whole or absent."""

import errno
import hashlib
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray
from maps import address_grid, address_map, provenance
from rasterio.enums import ColorInterp
from rio_cogeo import cog_validate

from pm25map.base.errors import BadOutput
from pm25map.grid import Block, Grid, load_grid
from pm25map.raster.bands import EXCEEDANCE, PM25, PM25_MEMBERS, PM25_SPREAD, UPPER
from pm25map.raster.cog import statistics_of
from pm25map.raster.map_files import constant_bands, write_map


@pytest.fixture
def grid() -> Grid:
    return address_grid()


def written(folder: Path, grid: Grid, **options) -> Path:
    path = folder / "cog.tif"
    write_map(path, address_map(grid), grid, provenance(grid), **options)
    return path


def test_what_is_read_back_is_what_was_written_bit_for_bit(tmp_path, grid):
    with rasterio.open(written(tmp_path, grid)) as source:
        np.testing.assert_array_equal(source.read(1).view("uint32"), address_map(grid).view("uint32"))
        assert source.crs == rasterio.CRS.from_epsg(5070)
        assert tuple(source.transform[:6]) == grid.transform
        assert source.dtypes == ("float32",)


def test_a_part_of_the_grid_lies_where_it_belongs(tmp_path, grid):
    block = Block(7, 11, 13, 17)
    path = tmp_path / "part.tif"
    write_map(path, address_map(grid)[block.slices], grid, provenance(grid), block=block)
    x, y = grid.xy()
    with rasterio.open(path) as source:
        assert source.shape == (13, 17)
        value = next(source.sample([(x[20], y[15])]))[0]
    assert value == np.float32(15.020)


def test_nodata_is_declared_as_nan(tmp_path, grid):
    with rasterio.open(written(tmp_path, grid)) as source:
        assert np.isnan(source.nodata)
        assert np.array_equal(source.read_masks(1) > 0, grid.land)


def test_the_tags_say_what_the_values_are(tmp_path, grid):
    with rasterio.open(written(tmp_path, grid)) as source:
        tags, band = source.tags(), source.tags(1)
        assert source.units == ("ug m-3",)
        assert source.descriptions == ("pm25",)
        assert source.colorinterp == (ColorInterp.gray,)
    assert tags["AREA_OR_POINT"] == "Area"
    assert tags["Conventions"] == "CF-1.11"
    assert "OVERVIEW_RESAMPLING" not in tags, "it has no overview"
    assert {"title", "source", "history", "references", "license", "time_bnds"} <= set(tags)
    assert band["long_name"] == "PM2.5 at the surface, 24-hour mean"
    assert band["standard_name"] == PM25.standard_name
    assert band["units"] == "ug m-3"
    assert band["cell_methods"] == "time: mean"
    assert band["grid_mapping_name"] == "albers_conical_equal_area"


def test_the_statistics_in_the_file_are_those_of_its_values(tmp_path, grid):
    values = address_map(grid)
    with rasterio.open(written(tmp_path, grid)) as source:
        band = source.tags(1)
    assert float(band["STATISTICS_MINIMUM"]) == np.nanmin(values)
    assert float(band["STATISTICS_MAXIMUM"]) == np.nanmax(values)
    assert float(band["STATISTICS_MEAN"]) == pytest.approx(np.nanmean(values.astype("f8")), rel=1e-12)
    assert float(band["STATISTICS_STDDEV"]) == pytest.approx(np.nanstd(values.astype("f8")), rel=1e-12)
    assert float(band["STATISTICS_VALID_PERCENT"]) == pytest.approx(100 * (1 - 15 / 2400))


def test_coverage_counts_the_land_cells_that_were_asked_for():
    pm25 = np.array([[1.0, np.nan], [3.0, np.nan]], dtype=np.float32)
    asked = np.array([[True, True], [False, False]])
    found = statistics_of(pm25, asked)
    assert (found.coverage_percent, found.valid_percent, found.cell_count) == (50.0, 50.0, 2)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_but_its_style_is_left_beside_the_map(tmp_path, grid):
    written(tmp_path, grid)
    assert names_in(tmp_path) == ["cog.qml", "cog.tif"]


def further(grid: Grid) -> dict:
    """Bands of two units and a count; the second half of the columns lacks a member."""
    pm25 = address_map(grid)
    members = np.where(np.arange(grid.shape[1]) < grid.shape[1] // 2, pm25 * 0 + 5, pm25 * 0 + 4)
    return {
        PM25_SPREAD: pm25 / 10,
        PM25_MEMBERS: members.astype(np.float32),
        UPPER: pm25 * 2,
        EXCEEDANCE[9.0]: pm25 / 100,
    }


def test_the_map_is_one_band_and_other_bands_stand_beside_it_one_unit_a_file(tmp_path, grid):
    more = further(grid)
    written(tmp_path, grid, more=more)
    held = {}
    for path in sorted(tmp_path.glob("*.tif")):
        with rasterio.open(path) as source:
            held[path.name] = source.descriptions
            assert len(set(source.units)) == 1
            assert source.colorinterp[0] == ColorInterp.gray
            assert set(source.colorinterp[1:]) <= {ColorInterp.undefined}
            for number, name in zip(source.indexes, source.descriptions, strict=True):
                assert source.tags(number)["NAME"] == name
                wanted = next((v for band, v in more.items() if band.name == name), address_map(grid))
                np.testing.assert_array_equal(source.read(number).view("uint32"), wanted.view("uint32"))
    assert held == {
        "cog.tif": ("pm25",),
        "cog.bands.tif": ("pm25_spread", "pm25_upper"),
        "cog.shares.tif": ("p_above_9",),
        "cog.counts.tif": ("pm25_members",),
    }


def test_a_number_of_members_that_is_the_same_everywhere_is_a_tag_and_no_band(tmp_path, grid):
    path = written(tmp_path, grid, more={PM25_MEMBERS: address_map(grid) * 0 + 5})
    with rasterio.open(path) as source:
        assert constant_bands(source.tags()) == {"pm25_members": 5.0}
    assert names_in(tmp_path) == ["cog.qml", "cog.tif"]


def test_overviews_of_counts_take_the_nearest_cell(tmp_path):
    grid = address_grid(1100, 1300)
    written(tmp_path, grid, more=further(grid))
    with rasterio.open(tmp_path / "cog.counts.tif", OVERVIEW_LEVEL=1) as overview:
        seen = overview.read(1)
    assert set(np.unique(seen[np.isfinite(seen)])) == {4.0, 5.0}
    with rasterio.open(tmp_path / "cog.counts.tif") as source:
        assert source.tags()["OVERVIEW_RESAMPLING"] == "NEAREST"
    with rasterio.open(tmp_path / "cog.tif") as source:
        assert source.tags()["OVERVIEW_RESAMPLING"] == "AVERAGE"
    for path in tmp_path.glob("*.tif"):
        assert cog_validate(path, strict=True, quiet=True) == (True, [], [])


def test_what_an_earlier_map_had_beside_it_goes_with_it(tmp_path, grid):
    written(tmp_path, grid, more=further(grid))
    written(tmp_path, grid, more={UPPER: address_map(grid) + 1}, overwrite=True)
    assert names_in(tmp_path) == ["cog.bands.tif", "cog.qml", "cog.tif"]
    with rasterio.open(tmp_path / "cog.bands.tif") as source:
        assert source.descriptions == ("pm25_upper",)


def test_a_file_beside_the_map_is_not_replaced_unasked(tmp_path, grid):
    (tmp_path / "cog.bands.tif").write_bytes(b"mine")
    with pytest.raises(BadOutput, match=r"cog\.bands\.tif exists already"):
        written(tmp_path, grid)
    assert names_in(tmp_path) == ["cog.bands.tif"]


def test_one_file_that_cannot_be_put_in_place_leaves_all_as_they_were(tmp_path, grid, monkeypatch):
    written(tmp_path, grid, more=further(grid))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace = Path.replace

    def refuse(part, target):
        if part.name == "cog.counts.tif":
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", refuse)
    more = {band: values + 1 for band, values in further(grid).items()}
    with pytest.raises(BadOutput, match="Permission denied"):
        written(tmp_path, grid, more=more, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_small_map_is_valid_without_warnings(tmp_path):
    grid = load_grid("conus-10km")
    path = tmp_path / "conus.tif"
    write_map(path, np.where(grid.land, np.float32(8), np.float32(np.nan)), grid, provenance(grid))
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])


def test_a_large_map_is_valid_and_its_overviews_are_averages(tmp_path):
    grid = address_grid(1100, 1300)
    path = written(tmp_path, grid)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as source:
        assert source.overviews(1) == [2, 4]
        assert source.block_shapes == [(512, 512)]
        assert source.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
        assert source.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
    with rasterio.open(path, OVERVIEW_LEVEL=0) as overview:
        seen = overview.read(1)
    mean = address_map(grid).reshape(550, 2, 650, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(seen[10:], mean[10:], rtol=1e-6)


def test_the_same_map_gives_the_same_bytes(tmp_path, grid):
    first = hashlib.sha256(written(tmp_path, grid).read_bytes()).digest()
    again = hashlib.sha256(written(tmp_path, grid, overwrite=True).read_bytes()).digest()
    assert first == again


def test_rioxarray_opens_it_with_its_crs(tmp_path, grid):
    with rioxarray.open_rasterio(written(tmp_path, grid), masked=True) as opened:
        assert opened.rio.crs.to_epsg() == 5070
        assert opened.attrs["units"] == "ug m-3"
        assert float(opened.isel(band=0, y=20, x=30)) == pytest.approx(20.030)


def test_an_existing_map_is_not_replaced_unasked(tmp_path, grid):
    before = written(tmp_path, grid).read_bytes()
    with pytest.raises(BadOutput, match="--overwrite"):
        write_map(tmp_path / "cog.tif", address_map(grid) + 1, grid, provenance(grid))
    assert (tmp_path / "cog.tif").read_bytes() == before


def test_an_absent_folder_is_named(tmp_path, grid):
    with pytest.raises(BadOutput, match="mkdir"):
        write_map(tmp_path / "none" / "cog.tif", address_map(grid), grid, provenance(grid))


def test_a_full_disk_leaves_the_old_map(tmp_path, grid, monkeypatch):
    before = written(tmp_path, grid).read_bytes()

    def full(part, content):
        with part.open("wb") as handle:
            handle.write(content[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BadOutput, match="the disk is full"):
        write_map(tmp_path / "cog.tif", address_map(grid) + 1, grid, provenance(grid), overwrite=True)
    assert (tmp_path / "cog.tif").read_bytes() == before
    assert names_in(tmp_path) == ["cog.qml", "cog.tif"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from maps import address_grid, provenance
from pm25map.base.errors import BadOutput
from pm25map.raster.map_files import write_map
grid = address_grid(600, 600)
noise = np.random.default_rng(1).random(grid.shape, dtype=np.float32)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    pm25 = np.where(grid.land, noise, np.float32(np.nan))
    write_map(Path(sys.argv[1]), pm25, grid, provenance(grid), overwrite=True)
except BadOutput as error:
    print(error)
    sys.exit(1)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on the size of files here")
def test_a_file_that_truly_cannot_grow_leaves_the_old_map(tmp_path):
    target = tmp_path / "cog.tif"
    target.write_bytes(b"the old map")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(target)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(f"cannot write {target}")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert target.read_bytes() == b"the old map"
    assert [path.name for path in tmp_path.iterdir()] == ["cog.tif"]


def test_a_map_without_any_estimate_is_not_written(tmp_path, grid):
    with pytest.raises(BadOutput, match="no land cell"):
        write_map(tmp_path / "cog.tif", np.full(grid.shape, np.nan, np.float32), grid, provenance(grid))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [np.zeros((2, 2), np.float32), np.zeros((40, 60), np.float64)])
def test_our_own_mistakes_are_not_written(tmp_path, grid, wrong):
    with pytest.raises(ValueError, match="float32"):
        write_map(tmp_path / "cog.tif", wrong, grid, provenance(grid))


def test_a_value_at_sea_is_not_written(tmp_path, grid):
    with pytest.raises(ValueError, match="NaN off land"):
        write_map(tmp_path / "cog.tif", np.zeros(grid.shape, np.float32), grid, provenance(grid))
