"""`pm25map info`: everything from the file alone, and a clear word for a file that is no map."""

import json

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from maps import address_grid, address_map, provenance

from pm25map.base.errors import BadMap
from pm25map.cli.info import command
from pm25map.raster.info import describe
from pm25map.raster.map_files import write_map
from pm25map.raster.provenance import Provenance, created_time


@pytest.fixture
def cog(tmp_path):
    grid = address_grid()
    path = tmp_path / "cog.tif"
    write_map(path, address_map(grid), grid, provenance(grid))
    return path


def test_a_map_gives_back_the_provenance_it_was_written_with(cog):
    assert describe(cog).provenance == provenance(address_grid())


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": "none", "encoder_checksum": "", "places_checksum": ""},
        {"predictor_coverage_percent": None},
    ],
)
def test_what_a_map_lacks_is_read_as_absent(tmp_path, changes):
    grid = address_grid()
    path = tmp_path / "cog.tif"
    write_map(path, address_map(grid), grid, provenance(grid, **changes))
    assert describe(path).provenance == provenance(grid, **changes)


def test_a_description_says_what_was_written(tmp_path):
    grid = address_grid()
    found = write_map(tmp_path / "cog.tif", address_map(grid), grid, provenance(grid))
    description = describe(tmp_path / "cog.tif")
    assert description.statistics == found
    assert description.crs == "EPSG:5070"
    assert description.transform == grid.transform
    assert description.bounds == grid.bounds
    assert (description.shape, description.nodata, description.overviews) == (grid.shape, "nan", ())


def test_info_prints_the_command_that_makes_the_map_again(cog):
    done = CliRunner().invoke(command, [str(cog)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "pm25map predict --date 2020-09-12 --out 'my cog.tif'" in done.output
    for word in (
        "2020-09-12",
        "conus-open 1.0",
        "cacacacacaca",
        "address",
        "sample.zarr.zip",
        "100.00 %",
        "99.50 %",
    ):
        assert word in done.output


def test_info_as_json_can_be_read_by_a_script(cog):
    found = json.loads(CliRunner().invoke(command, [str(cog), "--json"], catch_exceptions=False).stdout)
    assert found["provenance"]["command"].startswith("pm25map predict")
    assert found["provenance"]["day"] == "2020-09-12"
    assert found["statistics"]["coverage_percent"] == 100.0
    assert found["path"] == "cog.tif"


def test_a_geotiff_of_another_program_is_named_so(tmp_path):
    path = tmp_path / "dem.tif"
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "float32", "crs": "EPSG:5070"}
    with rasterio.open(path, "w", transform=rasterio.Affine(30, 0, 500, 0, -30, 900), **profile) as target:
        target.write(np.zeros((1, 4, 4), np.float32))
    with pytest.raises(BadMap, match="not a map of pm25map"):
        describe(path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("keep", [0, 100, 3000, -200])
def test_a_map_that_was_cut_short_is_named_so(cog, keep):
    cog.write_bytes(cog.read_bytes()[:keep])
    with pytest.raises(BadMap, match="cut short or damaged"):
        describe(cog)


def test_a_file_that_is_no_raster_and_one_that_is_not_there(tmp_path):
    (tmp_path / "notes.txt").write_text("not a map")
    with pytest.raises(BadMap, match="no GeoTIFF"):
        describe(tmp_path / "notes.txt")
    with pytest.raises(BadMap, match="there is no map"):
        describe(tmp_path / "absent.tif")


def test_a_missing_tag_is_named():
    tags = provenance(address_grid()).to_tags()
    del tags["PM25MAP_CARD_CHECKSUM"]
    with pytest.raises(BadMap, match="PM25MAP_CARD_CHECKSUM"):
        Provenance.from_tags(tags)
    with pytest.raises(BadMap, match="damaged"):
        Provenance.from_tags(provenance(address_grid()).to_tags() | {"PM25MAP_DAY": "September"})


def test_a_map_must_say_its_model():
    with pytest.raises(ValueError, match="model_name"):
        provenance(address_grid(), model_name="")


def test_the_time_of_making_can_be_set(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    assert created_time().isoformat() == "2020-09-13T12:26:40+00:00"
