"""`pm25map diagnose` and `predict --place-smoothing` as a user runs them: files, words, and what can go wrong."""

import datetime as dt
import json
import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from looked_at import bands_in
from stac_checks import check_stac

from pm25map.base.shipped import shipped_folder
from pm25map.cli.main import cli
from pm25map.grid import Block
from pm25map.model.card import load_model
from pm25map.predictors.reader import open_predictors
from pm25map.view.layers import read_maps

BOX = ("--bbox", "-124", "43", "-120", "46")


@pytest.fixture(scope="module")
def doubts(tmp_path_factory):
    """What diagnose writes and says of western Oregon."""
    folder = tmp_path_factory.mktemp("doubts") / "out"
    words = ["diagnose", "--date", "2020-09-12", "--out", str(folder), *BOX, "--json"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout.splitlines()[-1])


def every_band(folder):
    return bands_in(*sorted(folder.glob("*.tif")))


def test_diagnose_writes_bands_regions_scores_and_a_picture(doubts):
    folder, said = doubts
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "pm25.tif", "diagnostics.tif", "shares.tif", "counts.tif", "distances.tif", "changes.tif", "quality.tif",
        "suspects.geojson", "scores.json", "diagnostics.png",
    }  # fmt: skip
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["day"] == said["day"] == "2020-09-12"
    assert scores["faults"]["hole"]["count"] == 0
    assert "300 km" in scores["neutral_place"]
    regions = json.loads((folder / "suspects.geojson").read_text())
    assert len(regions["features"]) == scores["suspects"]
    assert (folder / "diagnostics.png").read_bytes().startswith(b"\x89PNG")


def test_the_bands_say_how_far_to_trust_each_cell(doubts):
    bands = every_band(doubts[0])
    quality = bands["quality"]
    land = np.isfinite(bands["pm25"])
    for name in (
        "pm25_lower",
        "pm25_upper",
        "p_above_35_4",
        "dissimilarity",
        "applicable",
        "training_density",
    ):
        assert (np.isfinite(bands[name]) == land).all(), name
    assert (bands["pm25_lower"][land] <= bands["pm25"][land]).all()
    assert (bands["pm25"][land] <= bands["pm25_upper"][land]).all()
    assert (bands["p_above_225_4"][land] <= bands["p_above_9"][land]).all()
    # The sample lacks nothing: measured neighbours, and climatologies of temperature and rain.
    assert set(np.unique(quality[land])) == {1 | 8} and set(np.unique(quality[~land])) == {255}


def test_the_interpolation_is_that_of_the_predictors_in_the_densest_smoke_too(doubts):
    bands = every_band(doubts[0])
    with rasterio.open(doubts[0] / "diagnostics.tif") as source:
        west, north = source.transform * (0.5, 0.5)
    store = open_predictors(shipped_folder("grids") / "conus-10km" / "sample.zarr.zip")
    names = [
        name
        for name in ("neighbours_idw9", "neighbours_kriging", "neighbours_kriging_raw", "neighbours_calm")
        if name in load_model("conus-ensemble").card.scaler.features
    ]
    grid = store.grid
    col, row = ~Affine(*grid.transform) * (west, north)
    height, width = bands["pm25"].shape
    block = Block(int(row), int(col), height, width)
    held = store.read(names, [dt.date(2020, 9, 12)], block)[0].mean(axis=0)  # (y, x)
    given = bands["pm25_interpolated"]
    land = np.isfinite(given)
    assert held[land].max() > 400
    assert np.allclose(given[land], held[land], rtol=1e-3, atol=0.01)


def test_the_bands_say_what_they_are_and_agree_with_each_other(doubts):
    bands = every_band(doubts[0])
    quality = bands.pop("quality")
    units = {}
    for path in sorted(doubts[0].glob("*.tif")):
        with rasterio.open(path) as source:
            assert len(set(source.units)) == 1, path
            units |= dict(zip(source.descriptions, source.units, strict=True))
            command = source.tags()["PM25MAP_COMMAND"]
    assert command.startswith("pm25map diagnose --date 2020-09-12")
    assert units["pm25_prior"] == "ug m-3" and units["artifact_risk"] == "1"
    land = np.isfinite(bands["pm25"])
    np.testing.assert_allclose(
        bands["pm25_prior"][land], (bands["pm25"] - bands["pm25_neutral_place"])[land], atol=1e-3
    )
    for name in ("artifact_risk", "spectral_excess", "ripple", "fault"):
        assert np.nanmin(bands[name]) >= 0 and np.nanmax(bands[name]) <= 1, name
    assert all((np.isfinite(values) == land).all() for values in bands.values())
    assert ((quality != 255) == land).all()


def test_diagnose_does_not_replace_what_is_there(doubts, say, tmp_path):
    folder, _ = doubts
    shutil.copytree(folder, tmp_path / "out")
    before = (tmp_path / "out" / "scores.json").read_bytes()
    code, _, said = say("diagnose", "--date", "2020-09-12", "--out", "out", *BOX)
    assert code == 1 and "--overwrite" in said
    assert (tmp_path / "out" / "scores.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "absent/deep"), "does not exist"),
        (("--out", "file.txt"), "in the way"),
        (("--out", "new", "--region", "atlantis"), "unknown region"),
        (("--out", "new", "--bbox", "10", "40", "12", "42"), "holds no land"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_writes_nothing(words, message, say, tmp_path):
    (tmp_path / "file.txt").write_text("mine")
    code, _, said = say("diagnose", "--date", "2020-09-12", *words)
    assert code == 1 and message in said and "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "mine"


def test_place_smoothing_changes_the_map_and_says_so(say, tmp_path):
    for name, more in {
        "plain": (),
        "off": ("--place-smoothing", "0"),
        "smooth": ("--place-smoothing", "40"),
    }.items():
        code, _, said = say("predict", "--date", "2020-09-12", "--out", f"{name}.tif", *BOX, *more)
        assert code == 0, said
    maps, tags = {}, {}
    for name in ("plain", "off", "smooth"):
        with rasterio.open(tmp_path / f"{name}.tif") as source:
            maps[name], tags[name] = source.read(1), source.tags()
    np.testing.assert_array_equal(maps["plain"], maps["off"])
    moved = np.abs(maps["smooth"] - maps["plain"])
    assert np.nanmax(moved) > 1
    assert tags["smooth"]["PM25MAP_PLACE_SMOOTHING_KM"] == "40"
    assert "--place-smoothing 40" in tags["smooth"]["PM25MAP_COMMAND"]
    assert "PM25MAP_PLACE_SMOOTHING_KM" not in tags["off"]


def test_a_negative_smoothing_is_wrong_usage(say):
    code, _, said = say("predict", "--date", "2020-09-12", "--out", "x.tif", "--place-smoothing", "-3")
    assert code == 2 and "place-smoothing" in said


def test_predict_writes_the_same_doubts_beside_its_map(doubts, tmp_path, monkeypatch):
    """One pass: the map has the bytes of a plain run, the folder beside it the bands of diagnose."""
    folder, _ = doubts
    monkeypatch.chdir(tmp_path)
    words = ["predict", "--date", "2020-09-12", "--out", "cog.tif", *BOX]
    assert CliRunner().invoke(cli, [*words, "--diagnostics"], catch_exceptions=False).exit_code == 0
    map_with = (tmp_path / "cog.tif").read_bytes()
    check_stac(json.loads((tmp_path / "cog.json").read_bytes()))
    assert CliRunner().invoke(cli, [*words, "--overwrite"], catch_exceptions=False).exit_code == 0
    assert (tmp_path / "cog.tif").read_bytes() == map_with
    ours, theirs = every_band(tmp_path / "cog.diagnostics"), every_band(folder)
    np.testing.assert_array_equal(bands_in(tmp_path / "cog.tif")["pm25"], theirs.pop("pm25"))
    assert list(ours) == list(theirs)
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])
    (one,), _ = read_maps([tmp_path / "cog.tif", tmp_path / "cog.diagnostics"])
    assert {layer.key for layer in one.layers} == {"pm25", *ours}, "they are one map of one day"


def test_diagnostics_go_with_the_stock_engine(tmp_path):
    words = ["predict", "--date", "2020-09-12", "--out", str(tmp_path / "cog.tif"), "--diagnostics"]
    result = CliRunner().invoke(cli, [*words, "--place-smoothing", "10"])
    assert result.exit_code == 2
    assert "stock engine" in result.output
