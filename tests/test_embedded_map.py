"""The map that comes with the package: the smoke of 12 September 2020, as a user draws it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from pm25map.base.shipped import DEFAULT_MODEL, shipped_folder
from pm25map.grid import cells_of_region, load_grid

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Draw the map in a process of its own; give its folder and what it printed."""
    folder = tmp_path_factory.mktemp("map")
    words = ["predict", "--date", "2020-09-12", "--out", "cog.tif", "--preview", "cog.png", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "pm25map", *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def pm25(drawn):
    with rasterio.open(drawn[0] / "cog.tif") as source:
        return source.read(1)


def test_it_is_a_valid_cog_with_an_item_and_a_picture(drawn):
    folder, _ = drawn
    valid, errors, warnings = cog_validate(folder / "cog.tif", strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    assert {path.name for path in folder.iterdir()} == {
        "cog.tif",
        "cog.bands.tif",
        "cog.json",
        "cog.qml",
        "cog.png",
    }


def test_every_land_cell_has_a_value_that_can_be(pm25):
    grid = load_grid("conus-10km")
    assert np.isfinite(pm25[grid.land]).all()
    assert np.isnan(pm25[~grid.land]).all()
    assert pm25[grid.land].min() >= 0
    assert pm25[grid.land].max() < 1000


def test_oregon_is_hazardous_and_the_east_is_not(drawn, pm25):
    """Monitors of that day: Oregon 200 to 560 ug/m3, New York State below 10."""
    grid = load_grid("conus-10km")
    median = {
        name: float(np.median(pm25[cells_of_region(grid, name)]))
        for name in ("oregon", "washington", "california", "new york", "florida")
    }
    assert 200 < median["oregon"] < 400
    assert 80 < median["washington"] < 300
    assert 40 < median["california"] < 200
    assert median["new york"] < 15
    assert median["florida"] < 15
    assert drawn[1]["headline"].startswith("Oregon median")
    assert "Hazardous" in drawn[1]["headline"] or "Very Unhealthy" in drawn[1]["headline"]


def test_block_borders_leave_no_seams(pm25):
    """Steps between neighbouring columns and rows are no larger at block borders than elsewhere."""
    size = load_grid("conus-10km").block_size
    for axis in (0, 1):
        steps = np.abs(np.diff(np.log1p(pm25), axis=axis))
        lines = np.nanmean(steps, axis=1 - axis)
        border = np.arange(len(lines)) % size == size - 1
        held = np.isfinite(lines)
        assert np.nanmedian(lines[border & held]) < 1.5 * np.nanmedian(lines[~border & held])


def test_it_was_drawn_without_torch():
    code = (
        "import sys; from pm25map.cli.main import cli; "
        "cli(['predict', '--date', '2020-09-12', '--out', 'x.tif', '--bbox', '-124', '44', '-122', '45'], "
        "standalone_mode=False); sys.exit('torch' in sys.modules or 'geoclip' in sys.modules)"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_the_default_model_keeps_its_promises():
    """The card's scores: better than interpolation at stations never seen, near and far, in smoke and not."""
    card = json.loads((shipped_folder("models") / DEFAULT_MODEL / "card.json").read_text())
    rows = {row["stratum"]: row for row in card["scores"]["rows"]}
    assert card["scores"]["stations"] > 100
    assert rows["all"]["rmse_ratio"] <= 0.90
    assert rows["all"]["mae_ratio"] <= 0.88
    assert all(row["rmse_ratio"] < 1 and row["mae_ratio"] < 1 for row in rows.values())
    assert card["parity"]["windows"] >= 9_000
    assert card["parity"]["worst_scaled"] <= 1e-4
