"""GMTED2010: of the seven statistics that USGS gives of one tile, the mean is the elevation."""

import shutil

import numpy as np
import pytest
from predictor_world import small_grid
from provider_files import write_gmted

from pm25map.base.errors import BadPredictors
from pm25map.predictors.sources.gmted import Gmted

TILE = "30N120W_20101117_gmted_{}300.tif"
STATISTICS = {"mea": 1000, "med": 990, "dsc": 1005, "bln": 1010, "min": 800, "max": 1200, "std": 20}
"""Metres of every statistic over the whole tile; the names are USGS's."""


def write_flat(path, metres):
    lon, lat = np.arange(-100, -92, 0.05) + 0.025, np.arange(42, 36, -0.05) - 0.025
    return write_gmted(path, lon, lat, np.full((len(lat), len(lon)), float(metres)))


def write_esri_ascii(path, metres):
    """Write a grid as the shared true files are: ESRI's ASCII form, named as the folder of a true grid."""
    path.mkdir(parents=True)
    header = "ncols 160\nnrows 120\nxllcorner -100\nyllcorner 36\ncellsize 0.05\nNODATA_value -32768\n"
    rows = "\n".join(" ".join([str(metres)] * 160) for _ in range(120))
    (path / path.name).write_text(header + rows + "\n")
    (path / f"{path.name}.prj").write_text(
        'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
        'UNIT["degree",0.0174532925199433]]'
    )


def elevation(folder):
    ((name, values),) = Gmted(folder).layers(small_grid())
    assert name == "dem"
    return values[small_grid().land]


def test_of_a_whole_set_of_tiles_the_mean_is_the_elevation(tmp_path):
    for statistic, metres in STATISTICS.items():
        write_flat(tmp_path / TILE.format(statistic), metres)
    np.testing.assert_array_equal(elevation(tmp_path), 1000)


def test_of_a_whole_set_of_grids_the_mean_is_the_elevation(tmp_path):
    for name, metres in {
        "be": 1010,
        "ds": 1005,
        "md": 990,
        "mi": 800,
        "mn": 1000,
        "mx": 1200,
        "sd": 20,
    }.items():
        write_esri_ascii(tmp_path / f"{name}30_grd", metres)
    np.testing.assert_array_equal(elevation(tmp_path), 1000)


@pytest.mark.parametrize(
    ("statistic", "words"),
    [
        ("std", "standard deviation"),
        ("bln", "breakline emphasis"),
        ("dsc", "systematic subsample"),
        ("med", "median"),
        ("min", "minimum"),
        ("max", "maximum"),
    ],
)
def test_a_folder_without_the_mean_is_refused_by_the_name_of_what_it_holds(tmp_path, statistic, words):
    write_flat(tmp_path / TILE.format(statistic), 20)
    with pytest.raises(BadPredictors, match=rf"holds the {words} of GMTED2010.* and not the mean"):
        elevation(tmp_path)


def test_true_grids_without_the_mean_are_refused(tmp_path):
    for name in ("be30_grd", "ds30_grd"):
        write_esri_ascii(tmp_path / name, 1010)
    with pytest.raises(
        BadPredictors, match="holds the breakline emphasis and systematic subsample of GMTED2010"
    ):
        elevation(tmp_path)


def test_a_file_that_does_not_say_its_statistic_is_refused(tmp_path):
    write_flat(tmp_path / TILE.format("mea"), 1000)
    write_flat(tmp_path / "gmted_of_conus.tif", 20)
    with pytest.raises(BadPredictors, match=r"gmted_of_conus\.tif does not say in its name which statistic"):
        elevation(tmp_path)


def test_a_tile_with_a_scale_of_its_own_is_refused(tmp_path):
    import rasterio

    with rasterio.open(write_flat(tmp_path / TILE.format("mea"), 100), "r+") as raster:
        raster.scales = (10.0,)
    with pytest.raises(BadPredictors, match="declares a scale of 10 and an offset of 0"):
        elevation(tmp_path)


@pytest.mark.shared
def test_true_grids_of_breakline_emphasis_are_no_mean_elevation(shared_data, tmp_path):
    folder = shared_data / "providers" / "gmted"
    with pytest.raises(BadPredictors, match="holds the breakline emphasis of GMTED2010"):
        elevation(folder)
    for path in (folder / "be30_grd").iterdir():
        renamed = tmp_path / "mn30_grd" / path.name.replace("be30", "mn30")
        renamed.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, renamed)
    # The format is read, though this grid lies in North Carolina and the small grid in Kansas.
    with pytest.raises(BadPredictors, match="does not reach grid small"):
        elevation(tmp_path)
