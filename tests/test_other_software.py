"""Maps in other people's programs: the lines of docs/other-software.md, and what each client must find."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rio_cogeo import cog_validate

from pm25map.base.aqi import CATEGORIES, class_index
from pm25map.cli.main import cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "other-software.md"
SECTIONS = [part.partition("\n") for part in PAGE.read_text().split("\n## ")[1:]]
BLOCKS = [
    (heading, code)
    for heading, _, text in SECTIONS
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
]
SAYS = {
    "rasterio and rioxarray": r"Highest 484 ug m-3, upper bound there \d{3}\n",
    "odc-stac": r"2020-09-12 highest 484, upper bounds to \d{3}\n",
    "rio-tiler and titiler": r"\d{3} ug/m3 at Bend, mean 2\d\d\n",
    "Zarr: xarray and tensorstore": r'dtype\("float32"\) \[1, 292, 462\] \(\'day\', \'y\', \'x\'\)\n',
}
"""What the lines of a section print, by its heading."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the command at the head of the page writes."""
    folder = tmp_path_factory.mktemp("maps")
    words = re.search(r"^pm25map (.+)$", PAGE.read_text(), re.MULTILINE)[1].replace(
        "cog.tif", f"{folder}/cog.tif"
    )
    result = CliRunner().invoke(cli, words.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


def needs(code):
    """Skip where a client that some lines import is not installed."""
    for first, second in re.findall(r"^(?:import ([\w.]+)|from ([\w.]+) import)", code, re.MULTILINE):
        pytest.importorskip(first or second)


@pytest.mark.parametrize(("heading", "code"), BLOCKS, ids=[heading for heading, _ in BLOCKS])
def test_the_lines_of_a_section_work_and_find_the_map(folder, heading, code):
    needs(code)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(SAYS[heading], done.stdout), done.stdout


def test_every_section_with_lines_is_tried():
    assert {heading for heading, _ in BLOCKS} == set(SAYS)


def test_rio_tiler_draws_the_hint_as_the_classes_of_the_values(folder):
    from rio_tiler.io import Reader

    hint = json.loads((folder / "cog.json").read_text())["properties"]["renders"]["aqi"]
    with Reader(str(folder / "cog.tif")) as source:
        drawn = source.read(expression=hint["expression"]).array
    with rasterio.open(folder / "cog.tif") as source:
        values = source.read(1)
    known = np.isfinite(values)
    assert known.any() and (~drawn.mask[0] == known).all()
    np.testing.assert_array_equal(drawn.data[0][known], class_index(values)[known])
    assert list(hint["colormap"].values()) == [category.colour for category in CATEGORIES]


def test_bands_are_found_by_name_through_the_item(folder):
    """Each band once, under its own name, whichever file it stands in."""
    needs("import odc.stac")
    import odc.stac
    import pystac

    item = pystac.Item.from_file(str(folder / "cog.json"))
    days = odc.stac.load([item], bands=["pm25", "pm25_spread", "pm25_lower", "pm25_upper"])
    with rasterio.open(folder / "cog.tif") as source:
        np.testing.assert_array_equal(days["pm25"][0], source.read(1))
    with rasterio.open(folder / "cog.bands.tif") as source:
        for number, name in enumerate(source.descriptions, start=1):
            np.testing.assert_array_equal(days[name][0], source.read(number))


def test_rio_cogeo_finds_no_fault(folder):
    files = list(folder.glob("*.tif"))
    assert len(files) == 2
    for path in files:
        assert cog_validate(path, strict=True, quiet=True) == (True, [], []), path


def test_gdals_own_validator_finds_no_fault(folder):
    validator = pytest.importorskip("osgeo_utils.samples.validate_cloud_optimized_geotiff")
    for path in folder.glob("*.tif"):
        warnings, errors, _ = validator.validate(str(path), full_check=True)
        assert not warnings and not errors, path


def test_qgis_draws_the_classes_by_itself(folder):
    core = pytest.importorskip("qgis.core")
    layer = core.QgsRasterLayer(str(folder / "cog.tif"), "pm25")
    assert layer.isValid() and layer.renderer().type() == "singlebandpseudocolor"
    shader = layer.renderer().shader().rasterShaderFunction()
    drawn, red, green, blue, _ = shader.shade(9.1)
    assert drawn and f"#{red:02X}{green:02X}{blue:02X}" == CATEGORIES[1].colour


def test_terra_reads_name_and_value(folder):
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    code = (
        "if (!requireNamespace('terra', quietly = TRUE)) quit(status = 9);"
        "library(terra); pm25 <- rast('cog.tif'); cat(names(pm25), global(pm25, 'max', na.rm = TRUE)[[1]])"
    )
    done = subprocess.run(
        [shutil.which("Rscript"), "-e", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 9:
        pytest.skip("terra is not installed")
    name, highest = done.stdout.split()
    assert (name, round(float(highest))) == ("pm25", 484)
