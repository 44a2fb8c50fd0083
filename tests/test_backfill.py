"""Many days: the same bytes as one day after another, kept when whole, made again when something changed."""

import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")

import map_world
import pystac
import rasterio
from looked_at import bands_in, write_bands
from map_world import build_world, first_day
from predictor_world import address
from stac_checks import check_stac

from pm25map.base.errors import BadOutput
from pm25map.base.files import sha256_of_file
from pm25map.predictors.store import write_days
from pm25map.raster.item_checks import ITEM_CHECKSUM
from pm25map.raster.map_files import CONSTANT

LENGTH = 33
DAYS = [first_day() + dt.timedelta(days=i) for i in range(LENGTH - map_world.WINDOW + 1)]
START, END = DAYS[0], DAYS[9]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world"), LENGTH)


@pytest.fixture
def run(world, tmp_path, tmp_path_factory, monkeypatch):
    """Run the program in this process; give exit code and what it printed on stdout and stderr."""
    from click.testing import CliRunner

    from pm25map.cli.main import cli

    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return CliRunner().invoke(cli, [str(word) for word in words])

    return call


def backfill(world, *more, start=START, end=END, out="maps"):
    return ["backfill", "--start", start, "--end", end, "--out", out, *world.words(), "--calibrate", 0, *more]


def files(folder):
    """Every file of a folder of maps that a reader may see, and its bytes."""
    seen = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".pm25map" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in seen}


def maps(folder):
    return {name: content for name, content in files(folder).items() if name.endswith(".tif")}


def test_a_backfill_gives_the_bytes_that_predict_gives(world, run, tmp_path):
    assert run(*backfill(world)).exit_code == 0
    assert len(maps(tmp_path / "maps")) == 10
    name = f"pm25_{DAYS[4]}.tif"
    done = run("predict", "--date", DAYS[4], "--out", name, *world.words())
    assert done.exit_code == 0, done.output
    assert (tmp_path / name).read_bytes() == (tmp_path / "maps" / "2020" / name).read_bytes()


@pytest.mark.parametrize(
    "how", [("--workers", 1), ("--workers", 4), ("--block-size", 3), ("--block-size", 50), ("--run-days", 3)]
)
def test_workers_blocks_and_runs_do_not_change_a_byte(world, run, tmp_path, how):
    assert run(*backfill(world, "--workers", 2, out="one")).exit_code == 0
    assert run(*backfill(world, *how, out="other")).exit_code == 0
    assert maps(tmp_path / "one") == maps(tmp_path / "other")


def test_the_order_of_days_does_not_change_a_byte(world, run, tmp_path):
    assert run(*backfill(world, out="one")).exit_code == 0
    for start, end in [(DAYS[6], DAYS[9]), (DAYS[0], DAYS[2]), (DAYS[0], DAYS[9])]:
        assert run(*backfill(world, start=start, end=end, out="other")).exit_code == 0
    assert maps(tmp_path / "one") == maps(tmp_path / "other")


def test_days_that_are_done_are_left_alone(world, run, tmp_path):
    run(*backfill(world))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").rglob("*.tif")}
    again = run(*backfill(world))
    assert "0 to do, 10 done" in again.output
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").rglob("*.tif")} == before


def test_the_clock_decides_nothing(world, run, tmp_path):
    run(*backfill(world))
    for path in (tmp_path / "maps").rglob("*"):
        os.utime(path, (10**9, 10**9) if path.suffix == ".tif" else (4 * 10**9, 4 * 10**9))
    assert "0 to do, 10 done" in run(*backfill(world)).output


def test_a_damaged_map_is_made_again_and_no_other(world, run, tmp_path):
    run(*backfill(world))
    whole = maps(tmp_path / "maps")
    victim = tmp_path / "maps" / "2020" / f"pm25_{DAYS[3]}.tif"
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    again = run(*backfill(world))
    assert "1 to do, 9 done" in again.output
    assert "damaged" in again.output
    assert maps(tmp_path / "maps") == whole


def test_a_changed_day_of_predictors_redoes_the_maps_that_read_it(tmp_path, run, tmp_path_factory):
    world = build_world(tmp_path_factory.mktemp("changed"), LENGTH)
    run(*backfill(world))
    before = maps(tmp_path / "maps")
    changed = DAYS[7]
    write_days(world.store.path, [changed], {"neighbours_idw9": address("neighbours_idw9", np.array([9]))})
    again = run(*backfill(world))
    assert "3 to do, 7 done" in again.output
    assert "other predictors" in again.output
    after = maps(tmp_path / "maps")
    assert [name for name in before if before[name] != after[name]] == [
        f"2020/pm25_{day}.tif" for day in DAYS[7:10]
    ]


def test_a_store_that_grows_redoes_nothing(run, tmp_path_factory):
    world = build_world(tmp_path_factory.mktemp("grown"), LENGTH)
    run(*backfill(world))
    more = map_world.days(LENGTH + 5)[LENGTH:]
    write_days(
        world.store.path,
        more,
        {name: address(name, np.arange(LENGTH, LENGTH + 5)) for name in map_world.DAILY},
    )
    again = run(*backfill(world, end=more[-1]))
    assert "0 impossible" in again.output
    assert f"{len(DAYS) + 5 - 10} to do, 10 done" in again.output


def test_days_without_predictors_are_named_and_the_others_made(world, run, tmp_path):
    late = DAYS[-1] + dt.timedelta(days=2)
    done = run(*backfill(world, start=DAYS[-2], end=late))
    assert done.exit_code == 1
    assert len(maps(tmp_path / "maps")) == 2
    assert f"{late} has no map" in done.output
    lines = [json.loads(line) for line in (tmp_path / "maps" / "backfill.jsonl").read_text().splitlines()]
    assert sorted((line["day"], line["state"]) for line in lines) == [
        (str(DAYS[-2]), "done"),
        (str(DAYS[-1]), "done"),
        (str(DAYS[-1] + dt.timedelta(days=1)), "impossible"),
        (str(late), "impossible"),
    ]


def damage(store, day_slot):
    """Break the file of the store that holds a day of neighbours_idw9 at the north-western corner."""
    shards = sorted((store / "neighbours_idw9" / "c").rglob("*"))
    victim = next(path for path in shards if path.is_file())
    content = bytearray(victim.read_bytes())
    content[40] ^= 0xFF
    victim.write_bytes(content)


def test_a_damaged_chunk_fails_the_days_that_read_it_by_name(run, tmp_path, tmp_path_factory):
    world = build_world(tmp_path_factory.mktemp("damaged"), 45)
    last = map_world.days(45)[-1]
    damage(world.folder / "world.zarr", 0)
    done = run(*backfill(world, end=last))
    assert done.exit_code == 1
    assert "neighbours_idw9" in done.output
    report = json.loads((tmp_path / "maps" / "report.json").read_text())
    failed = set(report["happened"]["failed"])
    chunk = f"damaged on {map_world.days(1)[0]} to {map_world.days(8)[-1]} in block "
    assert all(chunk in reason for reason in report["happened"]["failed"].values())
    # The damaged chunk holds some of the first days; windows of 21 days that touch it fail, later ones do not.
    assert str(first_day()) in failed
    assert str(last) not in failed
    assert len(failed) + report["happened"]["done"] == 25
    assert len(maps(tmp_path / "maps")) == report["happened"]["done"] > 0


def test_the_plan_touches_nothing_and_its_bytes_are_those_that_happen(world, run, tmp_path):
    words = backfill(world, "--block-size", 5, "--run-days", 4)
    planned = json.loads(run("plan", *words[1:], "--json").output)["planned"]
    assert list(tmp_path.iterdir()) == []
    told = json.loads(run(*words, "--json").output)
    assert told["planned"] == planned
    for name in ("read_bytes", "chunk_reads", "stage_bytes", "estimates"):
        assert told["happened"][name] == planned[name] > 0
    shape = world.grid.shape
    assert planned["map_bytes"] == 10 * shape[0] * shape[1] * 4


def test_each_chunk_is_read_once_a_run(world, run):
    planned = json.loads(run("plan", *backfill(world)[1:], "--json").output)["planned"]
    assert planned["most_reads"] == 1
    assert planned["chunk_reads"] == planned["chunks"]


def test_the_collection_names_every_map(world, run, tmp_path):
    run(*backfill(world))
    told = json.loads((tmp_path / "maps" / "collection.json").read_text())
    items = [link["href"] for link in told["links"] if link["rel"] == "item"]
    assert len(items) == 10
    assert "singlebandpseudocolor" in (tmp_path / "maps" / "aqi.qml").read_text()
    for href in items:
        item = json.loads((tmp_path / "maps" / href).read_text())
        assert (tmp_path / "maps" / href).with_suffix(".tif").is_file()
        assert item["type"] == "Feature"
        assert item["collection"] == told["id"]
        assert check_stac(item) == check_stac(told) | {"file-v2.1.0"}
    assert check_stac(told) == {"eo-v1.1.0", "projection-v2.0.0", "render-v2.0.0", "scientific-v1.0.0"}
    assert told["summaries"]["proj:code"] == [world.grid.crs]
    assert told["item_assets"].keys() == item["assets"].keys()
    assert [band["name"] for band in told["item_assets"]["map"]["bands"]] == ["pm25"]
    assert "statistics" not in told["item_assets"]["map"]["bands"][0]
    assert told["renders"] == item["properties"]["renders"]
    assert told["providers"][0]["name"] == "pm25map"
    (first, last) = told["extent"]["temporal"]["interval"][0]
    assert first.startswith(str(START))
    assert last.startswith(str(END + dt.timedelta(days=1)))

    read = pystac.Collection.from_file(str(tmp_path / "maps" / "collection.json"))
    for item in read.get_items():
        (link,) = item.get_links("collection")
        assert link.href == "../collection.json"
        alone = pystac.Item.from_file(item.get_self_href())
        assert alone.get_collection().extent.to_dict() == told["extent"]


def test_nothing_is_left_in_the_stage(world, run, tmp_path):
    run(*backfill(world))
    assert not list((tmp_path / "maps" / ".pm25map").rglob("*.rows"))


def test_a_region_is_cut_out_of_every_map(world, run, tmp_path):
    lon, lat = world.grid.lonlat()
    box = [lon.min(), lat.min(), float(np.median(lon)), lat.max()]
    assert run(*backfill(world, "--bbox", *box)).exit_code == 0
    assert run(*backfill(world, out="whole")).exit_code == 0
    name = f"2020/pm25_{DAYS[2]}.tif"
    with rasterio.open(tmp_path / "maps" / name) as part, rasterio.open(tmp_path / "whole" / name) as whole:
        window = whole.window(*part.bounds).round_offsets().round_lengths()
        np.testing.assert_array_equal(part.read(1), whole.read(1, window=window))


@pytest.fixture(scope="module")
def three_members(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("three"), LENGTH, members=3)


@pytest.mark.parametrize("what", ["box", "model", "grid", "format"])
def test_finished_maps_are_replaced_by_maps_of_something_else_only_when_asked(
    world, three_members, run, tmp_path, what
):
    lon, lat = world.grid.lonlat()
    box = [round(float(v), 1) for v in (lon.min(), lat.min(), np.median(lon), lat.max())]
    other, more, said = {
        "box": (world, ["--bbox", *box], ("region all", "region {:g} {:g} {:g} {:g}".format(*box))),
        "model": (three_members, [], ("model", "model")),
        "grid": (world, ["--grid", renamed_grid(world, tmp_path / "plains")], ("grid small", "grid plains")),
        "format": (world, ["--format", "netcdf"], ("format cog", "format netcdf")),
    }[what]
    assert run(*backfill(world, end=DAYS[2])).exit_code == 0
    before = files(tmp_path / "maps")
    line = backfill(other, *more, start=DAYS[1], end=DAYS[3])
    refused = run(*line)
    assert isinstance(refused.exception, BadOutput), refused.output
    told = str(refused.exception)
    assert told.startswith(f"maps holds 2 finished maps ({DAYS[1]} to {DAYS[2]}): they are of {said[0]}")
    assert f", and {said[1]}" in told
    assert "--overwrite" in told
    assert files(tmp_path / "maps") == before
    if what == "grid":
        return  # the store of this world is of the other grid
    planned = run("plan", *line[1:])
    assert "2 finished maps" in planned.output
    assert "--overwrite" in planned.output
    assert "finished maps" not in run("plan", *line[1:], "--overwrite").output
    assert run(*line, "--overwrite").exit_code == 0
    assert "0 to do, 3 done" in run(*line).output


def renamed_grid(world, folder):
    """The world's grid under another name and without a cell of its land."""
    from pm25map.grid import save_grid

    land = world.grid.land.copy()
    land[tuple(np.argwhere(land)[0])] = False
    save_grid(dataclasses.replace(world.grid, name=folder.name, land=land), folder)
    return folder


def test_further_bands_replace_finished_maps_only_when_asked_and_a_new_calibration_does_so_too(
    run, tmp_path_factory
):
    world = build_world(tmp_path_factory.mktemp("calibrated"), map_world.WINDOW, calibrated=True)
    map_world.calibrate(world.model)
    assert run(*backfill(world, end=DAYS[0])).exit_code == 0
    refused = run(*backfill(world, "--intervals", end=DAYS[0]))
    assert "of further bands none, and further bands intervals is asked for" in str(refused.exception)
    assert run(*backfill(world, "--intervals", "--overwrite", end=DAYS[0])).exit_code == 0
    assert "0 to do, 1 done" in run(*backfill(world, "--intervals", end=DAYS[0])).output
    map_world.calibrate(world.model, slope=0.03)
    refused = run(*backfill(world, "--intervals", end=DAYS[0]))
    assert "they are of calibration" in str(refused.exception)


def test_every_band_that_can_be_asked_for_is_known_when_maps_are_replaced():
    from pm25map.raster.backfill.standing import OPTION_OF
    from pm25map.raster.inputs import BANDS

    assert set(OPTION_OF.values()) == set(BANDS)


def test_verify_finds_what_was_changed(world, run, tmp_path):
    run(*backfill(world))
    assert run("verify", "maps", *world.words()).exit_code == 0
    victim = tmp_path / "maps" / "2020" / f"pm25_{DAYS[3]}.tif"
    victim.write_bytes(victim.read_bytes()[:-7])
    found = run("verify", "maps", *world.words())
    assert found.exit_code == 3
    assert str(DAYS[3]) in found.output
    assert "9 of 10" in found.output


def test_verify_computes_cells_again(world, run, tmp_path):
    """A map whose file and item agree, and whose values no model gave."""
    from pm25map.base.files import sha256_of_file
    from pm25map.raster.item_checks import MULTIHASH_SHA256, item_text

    run(*backfill(world))
    victim = tmp_path / "maps" / "2020" / f"pm25_{DAYS[3]}.tif"
    with rasterio.open(victim, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as source:
        source.write(source.read(1) + 1, 1)
    item = victim.with_suffix(".json")
    told = json.loads(item.read_text())
    told["assets"]["map"]["file:checksum"] = MULTIHASH_SHA256 + sha256_of_file(victim)
    item.write_text(item_text(told))
    found = run("verify", "maps", *world.words())
    assert found.exit_code == 3
    assert "differ by up to 1" in found.output
    assert f"remove 2020/pm25_{DAYS[3]}.tif and run the same backfill again" in found.output


def test_an_item_whose_statistics_were_edited_is_found_and_made_again(world, run, tmp_path):
    run(*backfill(world, end=DAYS[1]))
    item = tmp_path / "maps" / "2020" / f"pm25_{DAYS[1]}.json"
    whole = item.read_bytes()
    told = json.loads(whole)
    told["assets"]["map"]["bands"][0]["statistics"]["maximum"] += 100
    item.write_text(json.dumps(told))
    found = run("verify", "maps", *world.words())
    assert found.exit_code == 3
    assert "or its item was changed: run the same backfill again" in found.output
    assert "1 to do, 1 done" in run(*backfill(world, end=DAYS[1])).output
    assert item.read_bytes() == whole


def test_a_backfill_in_netcdf_is_resumed_verified_and_holds_what_predict_writes(world, run, tmp_path):
    import xarray as xr

    assert run(*backfill(world, "--format", "netcdf", end=DAYS[2])).exit_code == 0
    year = tmp_path / "maps" / "2020"
    assert sorted(path.suffix for path in year.iterdir()) == [".json"] * 3 + [".nc"] * 3
    assert run("predict", "--date", DAYS[1], "--out", "one.nc", *world.words()).exit_code == 0
    with xr.open_dataset("one.nc") as one, xr.open_dataset(year / f"pm25_{DAYS[1]}.nc") as many:
        np.testing.assert_array_equal(one.pm25, many.pm25)
        assert {"source", "PM25MAP_CARD_CHECKSUM"} <= many.attrs.keys() and one.title == many.title
    item = pystac.Item.from_file(str(year / f"pm25_{DAYS[1]}.json"))
    assert item.assets["map"].media_type == "application/netcdf"
    assert item.assets["map"].extra_fields["file:size"] == (year / f"pm25_{DAYS[1]}.nc").stat().st_size
    assert "0 to do, 3 done" in run(*backfill(world, "--format", "netcdf", end=DAYS[2])).output
    checked = run("verify", "maps", *world.words(), "--format", "netcdf")
    assert checked.exit_code == 0, checked.output
    assert "other format" in run("verify", "maps", *world.words()).output
    (year / f"pm25_{DAYS[0]}.nc").write_bytes(b"broken")
    assert "1 to do, 2 done" in run(*backfill(world, "--format", "netcdf", end=DAYS[2])).output
    # In the other format the days are made again, and no day has two maps.
    assert "other format than before" in run(*backfill(world, "--overwrite", end=DAYS[2])).output
    assert sorted(path.suffix for path in year.iterdir()) == [".json"] * 3 + [".tif"] * 3


def test_two_backfills_do_not_share_a_folder(world, run, tmp_path):
    from pm25map.base.storage import LocalFolder
    from pm25map.raster.backfill.lock import only_one

    with only_one(LocalFolder(tmp_path / "maps")):
        ran = subprocess.run(
            [sys.executable, "-m", "pm25map", *map(str, backfill(world))],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
    assert ran.returncode == 1
    assert "another backfill is working" in ran.stderr
    assert not maps(tmp_path / "maps")


def test_a_full_disk_stops_the_work_and_keeps_what_is_done(world, run, tmp_path, monkeypatch):
    import errno

    from pm25map.base import storage
    from pm25map.base.errors import DiskFull

    wrote = []
    honest = storage.LocalFolder._beside

    def fill(self, content):
        if len(wrote) == 14:
            raise OSError(errno.ENOSPC, "No space left on device")
        wrote.append(len(content))
        return honest(self, content)

    monkeypatch.setattr(storage.LocalFolder, "_beside", fill)
    stopped = run(*backfill(world, "--run-days", 3, "--workers", 1))
    assert isinstance(stopped.exception, DiskFull)
    assert "disk is full" in str(stopped.exception)
    monkeypatch.setattr(storage.LocalFolder, "_beside", honest)
    assert run(*backfill(world)).exit_code == 0
    assert run(*backfill(world, out="other")).exit_code == 0
    assert maps(tmp_path / "maps") == maps(tmp_path / "other")


def test_a_damaged_staged_row_is_computed_again(world, run, tmp_path, monkeypatch):
    """The stage of a run that was cut off before its maps, with a flipped bit."""
    from pm25map.raster.backfill import run as loop

    def cut(self, state):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Backfill, "_assemble", cut)
        run(*backfill(world))
    staged = sorted((tmp_path / "maps" / ".pm25map").rglob("*.rows"))
    assert staged
    content = bytearray(staged[0].read_bytes())
    content[-5] ^= 1
    staged[0].write_bytes(content)
    first = run(*backfill(world))
    assert first.exit_code == 1
    assert "damaged" in first.output
    assert run(*backfill(world)).exit_code == 0
    assert run(*backfill(world, out="other")).exit_code == 0
    assert maps(tmp_path / "maps") == maps(tmp_path / "other")


def test_what_is_staged_is_not_computed_twice(world, run, monkeypatch):
    from pm25map.raster.backfill import run as loop

    def cut(self, state):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Backfill, "_assemble", cut)
        run(*backfill(world))
    told = json.loads(run(*backfill(world, "--json")).output)
    assert told["happened"]["estimates"] == 0
    assert told["happened"]["done"] == 10


def test_members_stream_in_the_same_pass(world, three_members, run, tmp_path):
    """Mean, spread and count come of one read of the predictors."""
    plain = json.loads(run(*backfill(world, "--json", out="plain")).output)
    told = json.loads(run(*backfill(three_members, "--json")).output)
    assert told["happened"]["read_bytes"] == plain["happened"]["read_bytes"]
    assert told["planned"]["map_bytes"] == 3 * plain["planned"]["map_bytes"]
    name = f"pm25_{DAYS[4]}.tif"
    beside = name.replace(".tif", ".bands.tif")
    bands = bands_in(tmp_path / "maps" / "2020" / name, tmp_path / "maps" / "2020" / beside)
    assert list(bands) == ["pm25", "pm25_spread"]
    mean, spread = bands.values()
    land = three_members.grid.land
    assert (spread[land] > 0).all()
    assert np.isfinite(mean[land]).all()
    item = json.loads((tmp_path / "maps" / "2020" / name).with_suffix(".json").read_text())
    assert [band["name"] for band in item["assets"]["bands"]["bands"]] == ["pm25_spread"]
    assert item["properties"]["pm25map:constant_bands"] == {"pm25_members": 3}
    assert run("predict", "--date", DAYS[4], "--out", name, *three_members.words()).exit_code == 0
    for file in (name, beside):
        assert (tmp_path / file).read_bytes() == (tmp_path / "maps" / "2020" / file).read_bytes()


def test_what_stands_beside_a_map_is_checked_and_made_again_like_the_map(three_members, run, tmp_path):
    assert run(*backfill(three_members)).exit_code == 0
    folder = tmp_path / "maps" / "2020"
    lost, damaged = (folder / f"pm25_{DAYS[i]}.bands.tif" for i in (1, 2))
    before = {path: path.read_bytes() for path in (lost, damaged)}
    lost.unlink()
    damaged.write_bytes(before[damaged][:-1] + b"x")
    done = run("verify", "maps", *three_members.words(), "--cells", 4)
    assert done.exit_code == 3
    told = [line[:10] for line in done.output.splitlines() if "checksum" in line]
    assert told == [str(DAYS[1]), str(DAYS[2])]
    told = json.loads(run(*backfill(three_members, "--json")).output)
    assert told["happened"]["done"] == 2
    assert {path: path.read_bytes() for path in (lost, damaged)} == before
    done = run("verify", "maps", *three_members.words(), "--cells", 4)
    assert done.exit_code == 0, done.output


def test_maps_of_earlier_builds_with_all_bands_in_one_file_are_kept_and_verified(
    three_members, run, tmp_path
):
    assert run(*backfill(three_members)).exit_code == 0
    folder = tmp_path / "maps" / "2020"
    path = folder / f"pm25_{DAYS[2]}.tif"
    beside = path.with_suffix(".bands.tif")
    bands = bands_in(path, beside)
    count = np.where(np.isfinite(bands["pm25"]), np.float32(3), np.float32(np.nan))
    with rasterio.open(path) as source:
        tags = {name: value for name, value in source.tags().items() if name != CONSTANT}
    old = {name: (values, "ug m-3", {"NAME": name}) for name, values in bands.items()}
    write_bands(path, old | {"pm25_members": (count, "1", {"NAME": "pm25_members"})},
                grid=three_members.grid, ours=tags)  # fmt: skip
    beside.unlink()
    item = json.loads(path.with_suffix(".json").read_text())
    asset = item["assets"]["map"]
    asset["bands"] = [{"name": name} for name in (*bands, "pm25_members")]
    asset["file:checksum"] = "1220" + sha256_of_file(path)
    del item["assets"]["bands"], item["properties"]["pm25map:constant_bands"]
    del item["properties"][ITEM_CHECKSUM]
    path.with_suffix(".json").write_text(json.dumps(item))
    content = path.read_bytes()
    done = run("verify", "maps", *three_members.words(), "--cells", 4)
    assert done.exit_code == 0, done.output
    assert json.loads(run(*backfill(three_members, "--json")).output)["happened"]["done"] == 0
    assert path.read_bytes() == content


def test_a_month_reads_a_chunk_once_and_a_year_hardly_more_days_than_it_makes():
    """The plan alone, on a store that never was: chunks of eight days, one block."""
    from pm25map.grid import Block
    from pm25map.raster.backfill.plan import RUN_DAYS, Costs, judge_days, make_plan

    def window(day):
        return [day - dt.timedelta(days=20 - i) for i in range(21)]

    def chunks(days):
        groups = {}
        for day in days:
            groups.setdefault(day.toordinal() // 8, []).append(day)
        return groups

    costs = Costs(window, chunks, lambda days, block: 8 * len(chunks(days)), 1, 1, 1, {"r0000c0000": 1})
    start = dt.date(2018, 1, 1)
    for length, most in ((30, 1), (365, 1), (4 * 365, 2)):
        days = [start + dt.timedelta(days=i) for i in range(length)]
        wanted = dict.fromkeys(days)
        plan = make_plan(judge_days(days, wanted, {}, {}), [Block(0, 0, 1, 1)], {}, costs, RUN_DAYS)
        assert plan.most_reads == most
        assert plan.chunk_reads / plan.chunks <= 1.1
        if length >= 365:
            assert plan.read_bytes / length <= 1.1


def test_a_fault_nobody_foresaw_fails_its_days_and_no_other(world, run, tmp_path, monkeypatch):
    from pm25map.raster.backfill import run as loop

    honest = loop.compute_block

    def shaky(job, block, days, *on_cells):
        if days[0] == DAYS[0]:
            raise ZeroDivisionError("of an engine")
        return honest(job, block, days, *on_cells)

    monkeypatch.setattr(loop, "compute_block", shaky)
    done = run(*backfill(world, "--run-days", 5))
    assert done.exit_code == 1
    assert "unexpected ZeroDivisionError: of an engine" in done.output
    assert sorted(maps(tmp_path / "maps")) == [f"2020/pm25_{day}.tif" for day in DAYS[5:10]]


def test_the_user_stops_it_and_goes_on(world, run, tmp_path, monkeypatch):
    """Ctrl-C ends the threads at their next estimate, and says what to type."""
    from pm25map.raster.backfill import run as loop

    honest, heard = loop.Backfill._block_done, []

    def interrupted(self, state, report):
        heard.append(report.block)
        if len(heard) == 3:
            raise KeyboardInterrupt
        honest(self, state, report)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Backfill, "_block_done", interrupted)
        stopped = run(*backfill(world))
    assert stopped.exit_code == 1
    assert "same command again" in stopped.output
    assert run(*backfill(world)).exit_code == 0
    assert run(*backfill(world, out="other")).exit_code == 0
    assert maps(tmp_path / "maps") == maps(tmp_path / "other")


def cut_off_before_its_maps(run, line, monkeypatch):
    """A run whose blocks are all staged, and none of whose maps is made."""
    from pm25map.raster.backfill import run as loop

    def cut(self, state):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Backfill, "_assemble", cut)
        run(*line)


def test_a_run_cut_off_may_go_on_with_blocks_of_another_size(world, run, tmp_path, monkeypatch):
    cut_off_before_its_maps(run, backfill(world, "--block-size", 3), monkeypatch)
    assert run(*backfill(world, "--block-size", 5)).exit_code == 0
    assert run(*backfill(world, out="other")).exit_code == 0
    assert maps(tmp_path / "maps") == maps(tmp_path / "other")


def test_what_is_staged_for_maps_that_stand_is_swept_away(world, run, tmp_path, monkeypatch):
    """A run killed while it removed what it had staged; and one of blocks that nobody will ask for again."""
    staged = tmp_path / "maps" / ".pm25map" / "stage"
    cut_off_before_its_maps(run, backfill(world, "--block-size", 3), monkeypatch)
    cut_off_before_its_maps(run, backfill(world), monkeypatch)
    kept = {path: path.read_bytes() for path in staged.rglob("*.rows")}
    assert run(*backfill(world)).exit_code == 0
    for path, content in kept.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert "0 to do, 10 done" in run(*backfill(world)).output
    assert not staged.exists()


def test_what_is_staged_for_days_that_were_not_asked_for_stays(world, run, tmp_path, monkeypatch):
    cut_off_before_its_maps(run, backfill(world), monkeypatch)
    assert run(*backfill(world, end=DAYS[2])).exit_code == 0
    planned = json.loads(run("plan", *backfill(world)[1:], "--json").output)["planned"]
    assert planned["estimates"] == 0


def test_a_damaged_item_is_made_again_where_it_is_asked_for_and_left_out_where_not(world, run, tmp_path):
    run(*backfill(world, end=DAYS[2]))
    whole = maps(tmp_path / "maps")
    item = tmp_path / "maps" / "2020" / f"pm25_{DAYS[0]}.json"
    item.write_text(item.read_text().replace('"bbox"', '"bax"'))
    done = run(*backfill(world, start=DAYS[1], end=DAYS[2]))
    assert done.exit_code == 0
    assert f"leaves out 2020/pm25_{DAYS[0]}.json" in done.output
    collection = json.loads((tmp_path / "maps" / "collection.json").read_text())
    assert sum(link["rel"] == "item" for link in collection["links"]) == 2
    again = run(*backfill(world, end=DAYS[2]))
    assert "1 to do, 2 done" in again.output
    assert maps(tmp_path / "maps") == whole


def test_files_that_others_spoiled_stop_nothing(world, run, tmp_path, monkeypatch):
    """A log with a line that is no JSON, an engine file that is none, and a name that is no day's."""
    # What is fastest here and now is not the question: another engine would make every day again.
    monkeypatch.setattr("pm25map.model.calibrate.resolve_engine", lambda *_, **__: "onnxruntime")
    run(*backfill(world, end=DAYS[1]))
    folder = tmp_path / "maps"
    with (folder / "backfill.jsonl").open("ab") as log:
        log.write(b"\0\0\xff garbage\n[]\n")
    (folder / ".pm25map" / "engine.json").write_text("{")
    (folder / "2020" / "pm25_2020-13-45.tif").touch()
    done = run(*backfill(world, "--engine", "auto", end=DAYS[2]))
    assert done.exit_code == 0, done.output
    assert "1 to do, 2 done" in done.output
    lines = (folder / "backfill.jsonl").read_bytes().splitlines()
    done_days = sorted(json.loads(line)["day"] for line in lines if b"done" in line)
    assert done_days == [str(day) for day in DAYS[:3]]
    assert run("verify", "maps", *world.words()).exit_code == 0


def test_a_trial_of_predictors_that_cannot_be_read_ends(run, tmp_path_factory):
    world = build_world(tmp_path_factory.mktemp("unreadable"), LENGTH)
    damage(world.folder / "world.zarr", 0)
    words = backfill(world, "--block-size", 50, "--calibrate", 0.2, end=DAYS[3])[1:]
    planned = run("plan", *words)
    assert planned.exit_code == 1
    assert "neighbours_idw9" in str(planned.exception)
    assert "--calibrate 0" in str(planned.exception)


def test_days_before_all_calendars_are_one_line(world, run):
    from pm25map.base.errors import BadDate

    refused = run("plan", *backfill(world, start="0001-01-01", end="0001-01-02")[1:])
    assert isinstance(refused.exception, BadDate)


def test_boxes_that_hardly_differ_are_told_apart(world):
    from pm25map.raster.part import part_of

    west, south, east, north = -96.00001, 40.0, -95.0, 41.0
    parts = [part_of(world.grid, (west + nudge, south, east, north), None) for nudge in (0.0, 0.00003)]
    assert parts[0].words != parts[1].words
    assert part_of(world.grid, (west, south, east, north), None).options[1:3] == ("-96.00001", "40")
