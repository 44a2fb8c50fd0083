"""The wheel: it carries all that a map needs, and makes one outside of the clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (path,) = folder.glob("*.whl")
    return path


def test_it_carries_grid_model_encoder_and_sample(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    for name in (
        "grids/conus-10km/grid.json",
        "grids/conus-10km/land.tif",
        "grids/conus-10km/sample.zarr.zip",
        "grids/static-conus-1.zip",
        "models/conus-open/model.onnx",
        "models/conus-open/card.json",
        "models/conus-ensemble/model.onnx",
        "models/conus-ensemble/intervals.json",
        "models/places-open/patch.onnx",
        "models/geoclip/geoclip-location.onnx",
        "models/places-open/encoder.onnx",
    ):
        assert sizes[f"pm25map/shipped/{name}"] > 0
    assert sizes["pm25map/shipped/grids/conus-10km/sample.zarr.zip"] <= 15e6
    assert sizes["pm25map/shipped/grids/static-conus-1.zip"] <= 8e6
    assert sizes["pm25map/shipped/models/geoclip/geoclip-location.onnx"] <= 20e6
    assert not any("test" in name for name in sizes)
    # The scripts that made these files stay in the clone.
    assert not any(name.endswith(".py") for name in sizes if name.startswith("pm25map/shipped/"))
    for name in ("page.html", "app.js", "vendor/maplibre-gl.js", "vendor/LICENSE.txt"):
        assert sizes[f"pm25map/view/page/{name}"] > 0


def test_it_makes_a_map_outside_of_the_clone(wheel, tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", site, wheel], check=True, capture_output=True)
    # The installed copy must come before the clone that the test environment points to.
    environment = os.environ | {"PYTHONPATH": str(site)}
    where = "import pm25map, pathlib; print(pathlib.Path(pm25map.__file__).parents[1])"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=empty, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == site
    words = ["predict", "--date", "2020-09-12", "--out", "cog.tif", "--bbox", "-124", "44", "-121", "46"]
    done = subprocess.run(
        [sys.executable, "-m", "pm25map", *words],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Oregon median" in done.stdout
    assert {path.name for path in empty.iterdir()} == {"cog.tif", "cog.bands.tif", "cog.json", "cog.qml"}
