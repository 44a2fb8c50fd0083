"""Pretraining on an invented world: it learns, repeats itself, goes on where it stopped, and says what is wrong."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from click.testing import CliRunner
from rasterio.transform import from_bounds

from pm25map.base.errors import BadConfig, BadGrid, BadModel, BadRaster
from pm25map.cli.main import cli
from pm25map.laboratory.world.rasters import open_world
from pm25map.laboratory.world.sphere import Blocks, even_places
from pm25map.places.catalogue import encoder

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch

CONFIG = {
    "name": "small",
    "description": "an invented world",
    "rasters": {
        "land": {"raster": "land.tif", "not_land": [0]},
        "channels": [
            {"raster": "lat.tif"},
            {"raster": "east.tif", "missing": [-99]},
            {"raster": "north.tif"},
            {"raster": "land.tif", "kind": "class", "groups": {"sea": [0], "land": [1]}},
        ],
        "pixels": 8,
        "step_km": 100,
    },
    "encoder": {"degree": 6, "hidden": [48], "dimension": 16},
    "tower": [16, 32],
    "augment": {"shift_km": 20, "mirror": 0.1, "noise": 0.02, "brighten": 0.02, "drop": 0.01},
    "position_degree": 2,
    "holdout_block_deg": 10,
    "holdout_fraction": 0.2,
    "batch": 64,
    "steps": 60,
    "validate_every": 30,
    "learning_rate": 5e-3,
    "seed": 3,
}


def write_raster(
    path: Path, values: np.ndarray, crs: str | None = "EPSG:4326", bounds=(-180, -90, 180, 90)
) -> None:
    layers = values if values.ndim == 3 else values[None]
    count, height, width = layers.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": count, "dtype": layers.dtype}
    with rasterio.open(
        path, "w", crs=crs, transform=from_bounds(*bounds, width, height), **profile
    ) as target:
        target.write(layers)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Half of the world is land; every place looks like its latitude and longitude."""
    folder = tmp_path / "world"
    folder.mkdir()
    lon, lat = np.meshgrid(np.arange(-178.75, 180, 2.5), np.arange(88.75, -90, -2.5))
    write_raster(folder / "land.tif", (np.abs(lon) < 90).astype(np.uint8))
    write_raster(folder / "lat.tif", (100 * lat).astype(np.int16))
    east = (100 * np.sin(np.deg2rad(lon)) * np.cos(np.deg2rad(lat))).astype(np.int16)
    write_raster(folder / "east.tif", east)
    write_raster(folder / "north.tif", (100 * np.cos(np.deg2rad(lon))).astype(np.int16))
    return folder


def run_it(tmp_path: Path, world: Path, run: str, *options: str, **changes: object):
    config = tmp_path / f"{run}.yaml"
    config.write_text(yaml.safe_dump({**CONFIG, **changes}))
    words = [
        "lab",
        "places",
        "pretrain",
        "--config",
        str(config),
        "--data",
        str(world),
        "--out",
        str(tmp_path / run),
    ]
    return CliRunner().invoke(cli, [*words, "--threads", "1", *options], catch_exceptions=True)


def weights(tmp_path: Path, name: str) -> dict:
    from pm25map.laboratory.pretrain.run import read_checkpoint

    return read_checkpoint(tmp_path / name / "checkpoint.pt")["towers"]


def test_a_run_finds_held_out_places_repeats_itself_and_goes_on_where_it_stopped(
    tmp_path: Path, world: Path
) -> None:
    from pm25map.laboratory.pretrain.run import Validation, read_checkpoint

    first = run_it(tmp_path, world, "whole")
    assert first.exit_code == 0, first.output
    assert "Next: pm25map lab places export" in first.output
    reached = Validation(*read_checkpoint(tmp_path / "whole" / "checkpoint.pt")["validations"][-1])
    assert reached.pairs == 1000
    assert reached.times_chance > 10
    broken = run_it(tmp_path, world, "broken", "--minutes", "0")
    assert "30 of 60 steps" in broken.output
    assert "60 of 60 steps" in run_it(tmp_path, world, "broken").output
    for name, value in weights(tmp_path, "whole").items():
        torch.testing.assert_close(weights(tmp_path, "broken")[name], value, rtol=0, atol=0)


def test_a_run_becomes_an_encoder_with_its_card(tmp_path: Path, world: Path) -> None:
    run_it(tmp_path, world, "run", steps=2, validate_every=1)
    out = tmp_path / "encoder"
    words = ["lab", "places", "export", "--run", str(tmp_path / "run"), "--out", str(out)]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert "16 numbers a place" in result.output
    made = encoder(str(out))
    assert made.card.training["pairs"] == 128
    assert [row["raster"] for row in made.card.provenance] == ["land.tif", "lat.tif", "east.tif", "north.tif"]
    from pm25map.laboratory.pretrain.export import finished

    siren, _, _ = finished(tmp_path / "run")
    exact = siren.encode_exactly([40.0, 90.0], [-100.0, 0.0])
    np.testing.assert_allclose(made.encode([40.0, 90.0], [-100.0, 0.0]), exact, atol=1e-4)


def test_torch_and_the_exported_weights_agree(tmp_path: Path) -> None:
    from pm25map.laboratory.pretrain.config import PretrainConfig
    from pm25map.laboratory.pretrain.towers import Towers

    towers = Towers(PretrainConfig.model_validate(CONFIG), 5)
    lat, lon = np.array([12.0, -77.0]), np.array([100.0, -3.0])
    with torch.no_grad():
        ours = towers.location(towers.basis(lat, lon)).numpy()
    np.testing.assert_allclose(towers.location.siren().encode_exactly(lat, lon), ours, atol=1e-5)


def test_patches_have_north_up_and_their_own_place_in_the_middle(world: Path) -> None:
    from pm25map.laboratory.pretrain.config import PretrainConfig
    from pm25map.laboratory.pretrain.pairs import open_pairs

    source = open_pairs(PretrainConfig.model_validate(CONFIG), world)
    pairs = source.draw(np.random.default_rng(0), 200, held_out=False)
    assert source.channels == ("lat", "east", "north", "land: sea", "land: land")
    flat = np.abs(pairs.lat) < 70
    rows = pairs.patch[flat, 0].mean(axis=2)
    assert (np.diff(rows, axis=1) <= 0).all()
    here = rows.mean(axis=1)
    assert np.corrcoef(here, pairs.lat[flat])[0, 1] > 0.999
    assert source.is_land(pairs.lat, pairs.lon).all()


def test_held_out_blocks_are_never_learned_from(world: Path) -> None:
    from pm25map.laboratory.pretrain.config import PretrainConfig
    from pm25map.laboratory.pretrain.pairs import open_pairs

    config = PretrainConfig.model_validate(CONFIG)
    source, blocks = open_pairs(config, world), Blocks(config.holdout_block_deg)
    drawn = [source.draw(np.random.default_rng(0), 500, held_out=held) for held in (True, False)]
    held, learned = (set(blocks.of(pairs.lat, pairs.lon)) for pairs in drawn)
    assert held.isdisjoint(learned)


def test_places_are_even_over_the_sphere_and_blocks_of_one_area() -> None:
    lat, lon = even_places(np.random.default_rng(0), 200_000)
    assert np.mean(np.abs(lat) < 30) == pytest.approx(0.5, abs=0.01)
    blocks = Blocks(30)
    share = np.bincount(blocks.of(lat, lon), minlength=blocks.count) / lat.size * blocks.count
    assert share.min() > 0.75
    assert share.max() < 1.3
    ends = blocks.of(np.array([90.0, -90.0, 0.0]), np.array([180.0, -180.0, 180.0]))
    assert (ends < blocks.count).all()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"bounds": (-180, -60, 180, 90)}, "rasters of one set all cover the world"),
        ({"crs": None}, "has no CRS"),
        ({"crs": "EPSG:3857"}, "has the CRS EPSG:3857"),
    ],
)
def test_a_raster_that_is_not_the_world_is_refused(tmp_path: Path, how: dict, says: str) -> None:
    write_raster(tmp_path / "a.tif", np.zeros((18, 36), np.uint8), **how)
    with pytest.raises(BadRaster, match=says):
        open_world(tmp_path / "a.tif")


def test_a_raster_of_points_is_taken_and_wraps_around(tmp_path: Path) -> None:
    values = np.tile(np.arange(36, dtype=np.int16), (19, 1))
    write_raster(tmp_path / "a.tif", values, bounds=(-185, -95, 175, 95))
    raster = open_world(tmp_path / "a.tif")
    found = raster.at(np.array([0.0, 90.0, 0.0]), np.array([-180.0, 174.0, 179.0]))
    np.testing.assert_array_equal(found, [0, 35, 0])
    with pytest.raises(BadRaster, match="cannot read"):
        open_world(tmp_path / "b.tif")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"patches": {}}, "either rasters or patches"),
        ({"tower": [8, 8, 8, 8]}, "cannot be halved 4 times"),
        ({"temprature": 1}, "temprature"),
        ({"encoder": {"degree": 41}}, "encoder.degree"),
        ({"rasters": {**CONFIG["rasters"], "land": {"raster": "land.tif", "not_land": [0, 1]}}}, "no land"),
    ],
)
def test_a_configuration_that_cannot_work_says_where(
    tmp_path: Path, world: Path, changes: dict, says: str
) -> None:
    result = run_it(tmp_path, world, "bad", **changes)
    assert isinstance(result.exception, BadConfig)
    assert says in str(result.exception)


def test_another_configuration_in_the_same_folder_and_a_damaged_checkpoint_are_refused(
    tmp_path: Path, world: Path
) -> None:
    run_it(tmp_path, world, "run", steps=1)
    result = run_it(tmp_path, world, "run", steps=1, seed=4)
    assert isinstance(result.exception, BadConfig)
    assert "another configuration" in str(result.exception)
    (tmp_path / "run" / "checkpoint.pt").write_text("half")
    result = run_it(tmp_path, world, "run", steps=1)
    assert isinstance(result.exception, BadModel)


PATCHES = {
    **{k: v for k, v in CONFIG.items() if k != "rasters"},
    "patches": {"bands": 3, "pixels": 8, "divide": 1},
}


def make_patches(folder: Path, count: int = 40) -> Path:
    (folder / "images").mkdir(parents=True)
    lat, lon = even_places(np.random.default_rng(5), count)
    lines = ["lat,lon,fn"]
    for i in range(count):
        values = np.full((3, 16, 16), 1000 + 10 * lat[i], np.float32)
        write_raster(folder / "images" / f"patch_{i}.tif", values, "EPSG:32633", (0, 0, 160, 160))
        lines.append(f"{lat[i]},{lon[i]},patch_{i}.tif")
    (folder / "index.csv").write_text("\n".join(lines))
    return folder


def test_patches_in_files_are_learned_from_as_well(tmp_path: Path) -> None:
    folder = make_patches(tmp_path / "patches")
    result = run_it(tmp_path, folder, "run", **{**PATCHES, "rasters": None, "steps": 2, "validate_every": 2})
    assert result.exit_code == 0, result.output
    assert "of 8 held-out pairs" in result.output or "held-out pairs" in result.output


def _no_crs(folder: Path) -> None:
    write_raster(folder / "images" / "patch_3.tif", np.zeros((3, 16, 16), np.float32), None)


def _two_bands(folder: Path) -> None:
    write_raster(folder / "images" / "patch_3.tif", np.zeros((2, 16, 16), np.float32))


def _too_small(folder: Path) -> None:
    write_raster(folder / "images" / "patch_3.tif", np.zeros((3, 4, 4), np.float32))


def _south_up(folder: Path) -> None:
    path = folder / "images" / "patch_3.tif"
    write_raster(path, np.zeros((3, 16, 16), np.float32), "EPSG:32633", (0, 160, 160, 0))


def _gone(folder: Path) -> None:
    (folder / "images" / "patch_3.tif").unlink()


def _no_column(folder: Path) -> None:
    (folder / "index.csv").write_text("latitude,lon,fn\n1,2,patch_1.tif\n")


def _swapped(folder: Path) -> None:
    (folder / "index.csv").write_text("lat,lon,fn\n120,40,patch_1.tif\n")


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (_no_crs, BadRaster, "has no CRS"),
        (_two_bands, BadRaster, "has 2 bands, not 3"),
        (_too_small, BadRaster, "4 x 4 pixels"),
        (_south_up, BadRaster, "is not north up"),
        (_gone, BadRaster, "cannot read the patch"),
        (_no_column, BadRaster, "columns lat, lon, fn"),
        (_swapped, BadGrid, "latitude and longitude may be swapped"),
    ],
)
def test_a_bad_patch_or_index_says_what_is_wrong(tmp_path: Path, change, error, says: str) -> None:
    folder = make_patches(tmp_path / "patches", 6)
    change(folder)
    result = run_it(tmp_path, folder, "run", **{**PATCHES, "rasters": None})
    assert isinstance(result.exception, error)
    assert says in str(result.exception)


def test_pixels_of_no_value_in_a_patch_become_the_mean_and_other_patches_are_another_run(
    tmp_path: Path,
) -> None:
    from pm25map.laboratory.pretrain.config import PretrainConfig
    from pm25map.laboratory.pretrain.pairs import open_pairs
    from pm25map.laboratory.pretrain.run import identity_of

    config = PretrainConfig.model_validate(PATCHES)
    folder = make_patches(tmp_path / "patches")
    before = open_pairs(config, folder)
    path = folder / "images" / "patch_3.tif"
    with rasterio.open(path, "r+") as target:
        values = target.read()
        values[:, :4] = -9999
        target.nodata = -9999
        target.write(values)
    after = open_pairs(config, folder)
    assert identity_of(config, before) != identity_of(config, after)
    drawn = [after.draw(np.random.default_rng(0), 40, held_out=held).patch for held in (False, True)]
    whole = np.concatenate(drawn)
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(after.standardization.mean, before.standardization.mean, rtol=0.05)
    assert ((whole == 0).sum(axis=(1, 2, 3)) == 3 * 2 * 8).sum() == 1
