"""Maps with their 90 % interval: one read, the same bytes however they are made, and made again when asked anew."""

import dataclasses
import datetime as dt
import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")

import map_world
import rasterio
from click.testing import CliRunner
from looked_at import bands_in
from map_world import build_world, calibrate, first_day

from pm25map.base.errors import BadModel
from pm25map.cli.main import cli
from pm25map.model.card import load_model
from pm25map.model.intervals import bounds_of, load_intervals
from pm25map.model.widths import basis
from pm25map.raster.bands import LOWER, UPPER
from pm25map.raster.intervals import INTERVALS_AND_EXCEEDANCES
from pm25map.raster.predict import predict_day

LENGTH = 26
DAYS = [first_day() + dt.timedelta(days=i) for i in range(LENGTH - map_world.WINDOW + 1)]
NAMES = ["pm25", "pm25_lower", "pm25_upper"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world"), LENGTH, calibrated=True)


@pytest.fixture
def run(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


def copy_of(world, tmp_path_factory):
    """The same world in a folder of its own, to be changed."""
    folder = tmp_path_factory.mktemp("copy") / "world"
    shutil.copytree(world.folder, folder)
    return dataclasses.replace(world, folder=folder, model=load_model(str(folder / "model")))


def backfill(world, *more, out="maps"):
    period = ["--start", DAYS[0], "--end", DAYS[-1], "--out", out]
    return ["backfill", *period, *world.words(), "--calibrate", 0, *more]


def maps(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.tif"))}


def test_bounds_come_of_the_same_read_and_are_what_the_diagnostics_give(world, run, tmp_path):
    plain = json.loads(run(*backfill(world, "--json", out="plain")).output)
    done = run(*backfill(world, "--json", "--intervals"))
    assert done.exit_code == 0, (done.output, done.exception)
    told = json.loads(done.output)
    assert told["happened"]["read_bytes"] == plain["happened"]["read_bytes"]
    assert told["happened"]["chunk_reads"] == plain["happened"]["chunk_reads"]
    assert told["planned"]["map_bytes"] == 3 * plain["planned"]["map_bytes"]
    assert told["happened"]["stage_bytes"] == told["planned"]["stage_bytes"]
    assert told["planned"]["stage_bytes"] > plain["planned"]["stage_bytes"]
    name = f"2020/pm25_{DAYS[2]}"
    found = bands_in(tmp_path / "maps" / f"{name}.tif", tmp_path / "maps" / f"{name}.bands.tif")
    assert list(found) == NAMES
    pm25, lower, upper = found.values()
    assert list(bands_in(tmp_path / "plain" / f"{name}.tif")) == NAMES[:1]
    np.testing.assert_array_equal(bands_in(tmp_path / "plain" / f"{name}.tif")["pm25"], pm25)
    land = world.grid.land
    assert (lower[land] < pm25[land]).any() and (upper[land] > pm25[land]).all()
    assert np.isnan(lower[~land]).all() and np.isnan(upper[~land]).all()
    every = predict_day(dataclasses.replace(world.inputs, bands=(INTERVALS_AND_EXCEEDANCES,)), DAYS[2])
    np.testing.assert_array_equal(every.more[LOWER], lower)
    np.testing.assert_array_equal(every.more[UPPER], upper)


@pytest.mark.parametrize(
    "how", [("--workers", 1), ("--workers", 4), ("--block-size", 3), ("--block-size", 50), ("--run-days", 2)]
)
def test_neither_workers_nor_blocks_nor_predict_change_a_byte(world, run, tmp_path, how):
    assert run(*backfill(world, "--intervals", *how)).exit_code == 0
    name = f"pm25_{DAYS[3]}.tif"
    done = run("predict", "--date", DAYS[3], "--out", name, *world.words(), "--intervals")
    assert done.exit_code == 0, (done.output, done.exception)
    for file in (name, name.replace(".tif", ".bands.tif")):
        assert (tmp_path / file).read_bytes() == (tmp_path / "maps" / "2020" / file).read_bytes()
    item = json.loads((tmp_path / name).with_suffix(".json").read_text())
    assert [names_of(item, kind) for kind in ("map", "bands")] == [NAMES[:1], NAMES[1:]]
    assert item["properties"]["processing:expression"]["expression"].endswith("--intervals")


def names_of(item, kind):
    return [band["name"] for band in item["assets"][kind]["bands"]]


def test_every_band_is_a_band_of_single_maps_and_backfills_alike(world, run, tmp_path):
    asked = ["--band", "exceedance", "--band", "neutral_place"]
    assert run(*backfill(world, *asked)).exit_code == 0
    name = f"pm25_{DAYS[3]}.tif"
    done = run("predict", "--date", DAYS[3], "--out", name, *world.words(), *asked)
    assert done.exit_code == 0, (done.output, done.exception)
    alone = maps(tmp_path)
    for file in (name, *(name.replace(".tif", f".{kind}.tif") for kind in ("bands", "shares"))):
        assert alone[file] == (tmp_path / "maps" / "2020" / file).read_bytes()
    item = json.loads((tmp_path / name).with_suffix(".json").read_text())
    assert names_of(item, "map") == ["pm25"] and names_of(item, "bands") == ["pm25_neutral_place"]
    assert len(names_of(item, "shares")) == 5
    command = item["properties"]["processing:expression"]["expression"]
    assert command.endswith("--band exceedance --band neutral_place")
    # The bounds would be of the same calibration: other bands alone make the maps anew.
    assert "other bands than before" in run(*backfill(world, "--band", "exceedance", "--overwrite")).output
    assert run("verify", "maps", *world.words(), "--band", "exceedance").exit_code == 0
    refused = run("predict", "--date", DAYS[3], "--out", "x.tif", *world.words(), "--band", "interval")
    assert refused.exit_code == 2 and "none of intervals, exceedance, neutral_place" in refused.output


def test_a_folder_of_maps_without_bounds_is_made_again_when_they_are_asked_for(world, run, tmp_path):
    assert run(*backfill(world)).exit_code == 0
    before = maps(tmp_path / "maps")
    again = run(*backfill(world, "--intervals", "--overwrite"))
    assert f"{len(DAYS)} to do, 0 done" in again.output
    assert "other intervals than before" in again.output
    after = maps(tmp_path / "maps")
    assert all(before[name] != after[name] for name in before)
    assert f"0 to do, {len(DAYS)} done" in run(*backfill(world, "--intervals")).output
    assert run("verify", "maps", *world.words(), "--intervals").exit_code == 0
    without = run("verify", "maps", *world.words())
    assert without.exit_code == 3
    assert "other intervals" in without.output


def test_another_calibration_makes_them_again_and_takes_up_no_block_of_the_first(
    world, run, tmp_path, tmp_path_factory, monkeypatch
):
    from pm25map.raster.backfill import run as loop

    world = copy_of(world, tmp_path_factory)

    def cut(self, state):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Backfill, "_assemble", cut)
        run(*backfill(world, "--intervals"))
    calibrate(world.model, slope=0.03)
    told = json.loads(run(*backfill(world, "--intervals", "--json")).output)
    assert told["happened"]["estimates"] > 0
    calibrate(world.model)
    assert f"{len(DAYS)} to do, 0 done" in run(*backfill(world, "--intervals", "--overwrite")).output
    assert run(*backfill(world, "--intervals", out="other")).exit_code == 0
    assert maps(tmp_path / "maps") == maps(tmp_path / "other")


def test_a_model_without_intervals_is_one_line(world, run, tmp_path, tmp_path_factory):
    world = copy_of(world, tmp_path_factory)
    (world.folder / "model" / "intervals.json").unlink()
    refused = run("predict", "--date", DAYS[0], "--out", "x.tif", *world.words(), "--intervals")
    assert isinstance(refused.exception, BadModel)
    assert "make it with pm25map calibrate" in str(refused.exception)
    assert not list(tmp_path.glob("*"))
    assert isinstance(run(*backfill(world, "--intervals")).exception, BadModel)


def test_bounds_do_not_go_with_smoothed_places(world, run):
    words = ["predict", "--date", DAYS[0], "--out", "x.tif", *world.words()]
    refused = run(*words, "--intervals", "--place-smoothing", 10)
    assert refused.exit_code == 2
    assert "--intervals goes without --place-smoothing" in refused.output


def test_a_map_beside_its_diagnostics_has_the_bytes_of_a_map_alone(world, run, tmp_path, monkeypatch):
    """The folder of doubts has intervals and more; the map has what was asked for."""
    from pm25map.diagnostics import trust

    # Applicability is not what this is about, and this world has none.
    monkeypatch.setattr(trust, "TRUST_BANDS", (INTERVALS_AND_EXCEEDANCES,))
    words = ["predict", "--date", DAYS[1], *world.words(), "--intervals", "--out"]
    assert run(*words, "m.tif").exit_code == 0
    alone = (tmp_path / "m.tif").read_bytes()
    both = run(*words, "m.tif", "--diagnostics", "--overwrite")
    assert both.exit_code == 0, (both.output, both.exception)
    assert (tmp_path / "m.tif").read_bytes() == alone
    with rasterio.open(tmp_path / "m.diagnostics" / "diagnostics.tif") as source:
        assert "--intervals" not in source.tags()["PM25MAP_COMMAND"]


def test_a_cell_has_the_same_bits_whatever_comes_with_it():
    """On the shipped calibration: any number of cells at a time, at any place among them."""
    bounds = bounds_of(load_intervals(load_model("conus-open")))
    draw = np.random.default_rng(1)
    number = 3001
    pm25 = draw.gamma(2, 6, number).astype(np.float32)
    names = ("neighbours_spread", "neighbours_sd", "neighbours_distance", "neighbours_kriging")
    fields = {name: draw.gamma(2, 1, number).astype(np.float32) for name in (*names, "neighbours_calm")}
    lon, lat = draw.uniform(-120, -75, number), draw.uniform(28, 48, number)

    def interval(part):
        chosen = {name: values[part] for name, values in fields.items()}
        season = np.full(len(pm25[part]), 200.0)
        return np.stack(bounds.interval(pm25[part], basis(pm25[part], chosen, season, lon[part], lat[part])))

    whole = interval(slice(None))
    for size in (1, 2, 3, 5, 17, 100, 1024):
        first = int(draw.integers(number - size))
        part = slice(first, first + size)
        np.testing.assert_array_equal(interval(part), whole[:, part])
