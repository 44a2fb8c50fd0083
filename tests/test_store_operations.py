"""A store under several writers, stops, full disks and damage: what was whole stays whole."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
import zarr
from click.testing import CliRunner
from predictor_world import DAYS, address, address_store, small_grid
from provider_files import write_hms
from test_ingest import Counting, run

from pm25map.base.errors import BadOutput, BadPredictors, DiskFull
from pm25map.cli.data import command
from pm25map.grid import save_grid
from pm25map.predictors.ingest import ensure_store, ingest_daily, store_to_fill
from pm25map.predictors.lock import only_writer
from pm25map.predictors.status import calendar_lines, is_complete, status_of
from pm25map.predictors.store import forget, open_predictors, write_day, write_days
from pm25map.predictors.verify import forget_damage, verify_store

SPAN = DAYS[:16]
WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import numpy as np
from predictor_world import DAYS, address, small_grid
from pm25map.predictors.ingest import ensure_store, ingest_daily

class Slow:
    name = "neighbours"
    variables = (sys.argv[2],)
    def lacking(self, grid, days):
        return {{}}
    def fields(self, grid, days):
        return {{sys.argv[2]: address(sys.argv[2], np.array([DAYS.index(d) for d in days]))}}

path = Path(sys.argv[1])
start, end = int(sys.argv[3]), int(sys.argv[4])
ensure_store(path, small_grid(), DAYS[start], DAYS[end])
ingest_daily(path, Slow(), DAYS[start:end + 1])
"""


def values_of(path, name, days):
    grid = small_grid()
    block = grid.blocks(20)[0]
    return open_predictors(path).read((name,), days, block)[:, 0][:, grid.land]


def expected(name, days):
    return address(name, np.array([DAYS.index(day) for day in days]))[:, small_grid().land]


def test_two_ingests_at_once_leave_both_of_what_they_wrote(tmp_path):
    """One makes the store and its end, the other its begin: the store is copied and renamed under the first."""
    path = tmp_path / "p.zarr"
    code = WORKER.format(tests=str(Path(__file__).parent))
    jobs = (("neighbours_idw9", 8, 23), ("neighbours_distance", 0, 15), ("neighbours_idw9", 0, 11))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, path, name, str(first), str(last)], stderr=subprocess.PIPE
        )
        for name, first, last in jobs
    ]
    for process in running:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error.decode()
    for name, first, last in jobs:
        days = DAYS[first : last + 1]
        np.testing.assert_array_equal(values_of(path, name, days), expected(name, days))
    assert verify_store(open_predictors(path), DAYS) == []


def test_a_second_writer_waits_and_then_says_so(tmp_path):
    path = address_store(tmp_path / "p.zarr")
    code = (
        "import sys, time; from pathlib import Path; from pm25map.predictors.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    held = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout.readline() == "held\n"
    with pytest.raises(BadOutput, match="another process is writing it"), only_writer(path, wait_seconds=0.1):
        pass
    # The lock ends with its process, even one that is killed.
    held.kill()
    held.wait()
    with only_writer(path, wait_seconds=30), only_writer(path, wait_seconds=0):
        pass
    held.stdin.close()
    held.stdout.close()


def test_appending_leaves_earlier_days_as_they_were(tmp_path):
    path = tmp_path / "p.zarr"
    ensure_store(path, small_grid(), DAYS[0], DAYS[4])
    ingest_daily(path, Counting(), DAYS[:5])
    before = open_predictors(path).window_checksum(("neighbours_idw9",), DAYS[:5])
    for last in (6, 9, 23):
        ensure_store(path, small_grid(), DAYS[0], DAYS[last])
        ingest_daily(path, Counting(), DAYS[: last + 1])
        assert open_predictors(path).window_checksum(("neighbours_idw9",), DAYS[:5]) == before
    np.testing.assert_array_equal(values_of(path, "neighbours_idw9", DAYS), expected("neighbours_idw9", DAYS))


class Lacking(Counting):
    """A source without the files of some days."""

    def lacking(self, grid, days):
        return {day: "no file" for day in days if day in (DAYS[2], DAYS[10])}


def test_days_that_a_source_lacks_are_left_out_and_named(tmp_path):
    path = tmp_path / "p.zarr"
    ensure_store(path, small_grid(), SPAN[0], SPAN[-1])
    result = ingest_daily(path, Lacking(), SPAN)
    assert result.written == 14
    assert result.lacking == {DAYS[2]: "no file", DAYS[10]: "no file"}
    assert open_predictors(path).days == [day for day in SPAN if day not in (DAYS[2], DAYS[10])]
    assert ingest_daily(path, Counting(), SPAN).written == 2


class Failing(Counting):
    """A source whose file of one day is damaged."""

    def fields(self, grid, days):
        if DAYS[5] in days:
            raise BadPredictors("cannot read 5.hdf: get it again")
        return super().fields(grid, days)


def test_a_damaged_file_stops_the_ingest_after_the_days_before_it(tmp_path):
    path = tmp_path / "p.zarr"
    ensure_store(path, small_grid(), SPAN[0], SPAN[-1])
    with pytest.raises(BadPredictors, match=r"5\.hdf"):
        ingest_daily(path, Failing(), SPAN)
    assert open_predictors(path).days == SPAN[:5]


def test_a_disk_that_fills_up_leaves_the_days_before(tmp_path, monkeypatch):
    path = tmp_path / "p.zarr"
    ensure_store(path, small_grid(), SPAN[0], SPAN[-1])
    ingest_daily(path, Counting(), SPAN[:6])
    put = zarr.storage._local._put

    def full(target, *arguments, **options):
        if "neighbours_idw9" in str(target) and "/c/" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(target, *arguments, **options)

    monkeypatch.setattr(zarr.storage._local, "_put", full)
    with pytest.raises(DiskFull, match=r"cannot write into .*p\.zarr: the disk is full"):
        ingest_daily(path, Counting(), SPAN)
    monkeypatch.undo()
    store = open_predictors(path)
    assert store.days == SPAN[:6]
    assert verify_store(store, SPAN) == []
    assert ingest_daily(path, Counting(), SPAN).written == 10
    np.testing.assert_array_equal(values_of(path, "neighbours_idw9", SPAN), expected("neighbours_idw9", SPAN))


def test_values_changed_behind_the_store_are_found_and_forgotten(tmp_path):
    path = address_store(tmp_path / "p.zarr")
    group = zarr.open_group(path, mode="r+")
    group["neighbours_idw9"][3, 1, 1] = 7
    group["elevation"][1, 1] = 7
    found = verify_store(open_predictors(path), DAYS)
    assert [(one.variable, one.day) for one in found] == [("neighbours_idw9", DAYS[3]), ("elevation", None)]
    forget_damage(path, found)
    store = open_predictors(path)
    assert "elevation" not in store.layers
    assert store.days == [day for day in DAYS if day != DAYS[3]]
    assert verify_store(store, DAYS) == []


@pytest.mark.parametrize("place", [30, -30])
def test_a_chunk_that_cannot_be_read_is_found_forgotten_and_written_again(tmp_path, place):
    path = address_store(tmp_path / "p.zarr")
    shard = next((path / "neighbours_idw9" / "c").rglob("0"))
    shard = shard if shard.is_file() else next(p for p in shard.rglob("*") if p.is_file())
    content = bytearray(shard.read_bytes())
    content[place] ^= 0xFF
    shard.write_bytes(content)
    found = verify_store(open_predictors(path), DAYS)
    assert found
    assert {one.variable for one in found} == {"neighbours_idw9"}
    broken = found[0].day
    if place > 0:
        forget_damage(path, found)
        write_day(path, broken, {"neighbours_idw9": address("neighbours_idw9", DAYS.index(broken))})
        assert broken in open_predictors(path).days_of(("neighbours_idw9",))
        got = values_of(path, "neighbours_idw9", [broken])
        np.testing.assert_array_equal(got, expected("neighbours_idw9", [broken]))
    else:
        # The index of a whole shard: nothing beside it can be kept.
        with pytest.raises(BadPredictors, match="Make the store again"):
            forget_damage(path, found)


def test_what_is_not_there_cannot_be_forgotten(tmp_path):
    with pytest.raises(BadPredictors, match="holds no ndvi to forget"):
        forget(address_store(tmp_path / "p.zarr"), "ndvi", [])


def test_the_calendar_shows_every_day_of_every_source(tmp_path):
    path = tmp_path / "p.zarr"
    ensure_store(path, small_grid(), SPAN[0], SPAN[-1])
    ingest_daily(path, Lacking(), SPAN)
    state = status_of(open_predictors(path), SPAN[0], SPAN[-1])
    head, august, september = calendar_lines(state)
    assert head.index("30") - head.index("1") == 29
    assert august == f"neighbours  2020-08 {' ' * 29}##"
    assert september == "neighbours  2020-09 .#######.#####"
    assert not is_complete(state)
    asked = status_of(open_predictors(path), SPAN[3], SPAN[8], ["neighbours"])
    assert is_complete(asked)
    also = status_of(open_predictors(path), SPAN[3], SPAN[8], ["neighbours", "daymet"])
    assert also["sources"][1]["layers_missing"] == ["daymet_lat", "daymet_lon"]
    assert also["days"] == 0
    assert not is_complete(also)


def test_a_user_ingests_smoke_and_is_told_of_the_absent_day(tmp_path):
    grid = save_grid(small_grid(), tmp_path / "small")
    store, files = tmp_path / "p.zarr", tmp_path / "hms"
    for day in (DAYS[0], DAYS[1], DAYS[3]):
        write_hms(
            files, day, [(shapely.box(-130, 20, -90, 50), "Light")] if day != DAYS[1] else [], "geojson"
        )
    ingest = (
        "ingest",
        "--source",
        "hms",
        "--start",
        DAYS[0],
        "--end",
        DAYS[3],
        "--store",
        store,
        "--grid",
        grid,
    )
    assert run(*ingest)[0] == 2
    code, text = run(*ingest, "--files", files)
    assert code == 3
    assert f"0 layers and 3 days written\nleft out    {DAYS[2]}: no file hms_smoke" in text
    code, text = run("status", "--store", store)
    assert code == 3
    assert "hms         2020-08" in text
    write_hms(files, DAYS[2], [], "geojson")
    code, text = run(*ingest, "--files", files, "--json")
    assert (code, json.loads(text)["days"], json.loads(text)["lacking"]) == (0, 1, {})
    assert run("status", "--store", store, "--source", "hms")[0] == 0
    assert run("status", "--store", store, "--source", "mars")[0] == 1
    code, text = run("verify", "--store", store, "--json")
    assert (code, json.loads(text)["damage"]) == (0, [])
    smoke = values_of(store, "wildfire_smoke", DAYS[:4])
    np.testing.assert_allclose(smoke.mean(axis=1), [5, 0, 0, 5], atol=1e-4)
    zarr.open_group(store, mode="r+")["wildfire_smoke"][1, 0, 0] = 9
    code, text = run("verify", "--store", store, "--forget")
    assert code == 3
    assert f"damaged     wildfire_smoke {DAYS[1]}" in text
    assert run(*ingest, "--files", files)[0] == 0
    assert run("verify", "--store", store)[0] == 0


def test_a_wrong_folder_leaves_no_store_behind(tmp_path):
    grid = save_grid(small_grid(), tmp_path / "small")
    for source in ("maiac", "ndvi", "daymet", "gridmet", "hms", "gmted"):
        code, text = run(
            *("ingest", "--source", source, "--start", DAYS[0], "--end", DAYS[0], "--grid", grid),
            *("--store", tmp_path / "p.zarr", "--files", tmp_path),
        )
        assert code == 1, text
        assert str(tmp_path) in text
        assert not (tmp_path / "p.zarr").exists()


def test_a_first_file_that_is_damaged_leaves_nothing_and_a_later_one_the_days_before(tmp_path):
    grid = save_grid(small_grid(), tmp_path / "small")
    store, files = tmp_path / "p.zarr", tmp_path / "hms"
    for day in DAYS[:3]:
        write_hms(files, day, [], "geojson")
    ingest = ("ingest", "--source", "hms", "--start", DAYS[0], "--end", DAYS[2], "--grid", grid)
    before = sorted(tmp_path.iterdir())

    def with_damage_on(day):
        path = write_hms(files, day, [], "geojson")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        code, text = run(*ingest, "--files", files, "--store", store)
        assert code == 1 and str(path) in text
        path.write_bytes(whole)

    with_damage_on(DAYS[0])
    assert [path for path in sorted(tmp_path.iterdir()) if path.suffix != ".lock"] == before
    with_damage_on(DAYS[1])
    assert open_predictors(store).days == DAYS[:1]
    with_damage_on(DAYS[2])
    assert open_predictors(store).days == DAYS[:2]


def test_a_store_that_was_there_stays_when_its_first_file_is_damaged(tmp_path):
    store, files = tmp_path / "p.zarr", tmp_path / "hms"
    grid = save_grid(small_grid(), tmp_path / "small")
    ensure_store(store, small_grid(), DAYS[0], DAYS[0])
    write_hms(files, DAYS[0], [], "geojson").write_bytes(b"{")
    code, _ = run(
        *("ingest", "--source", "hms", "--start", DAYS[0], "--end", DAYS[0], "--grid", grid),
        *("--files", files, "--store", store),
    )
    assert code == 1
    assert open_predictors(store).days == []


def test_an_ingest_outlives_one_beside_it_that_made_the_store_and_failed(tmp_path):
    path, grid = tmp_path / "p.zarr", small_grid()

    class Beside(Counting):
        """While this one reads its first day, the other one fails and takes the store away."""

        def fields(self, grid, days):
            if days == SPAN[:1]:
                other.__exit__(BadPredictors, BadPredictors("cannot read 1.hdf: get it again"), None)
                assert not path.exists()
            return super().fields(grid, days)

    other = store_to_fill(path, grid, SPAN[0], SPAN[-1])
    other.__enter__()
    with store_to_fill(path, grid, SPAN[0], SPAN[-1]):
        ingest_daily(path, Beside(), SPAN)
    assert open_predictors(path).days == SPAN


def test_a_first_static_raster_that_is_damaged_leaves_nothing(tmp_path):
    grid = save_grid(small_grid(), tmp_path / "small")
    (tmp_path / "static").mkdir()
    code, _ = run(
        *("ingest", "--source", "static", "--start", DAYS[0], "--end", DAYS[0], "--grid", grid),
        *("--static", tmp_path / "static", "--store", tmp_path / "p.zarr"),
    )
    assert code == 1
    assert not (tmp_path / "p.zarr").exists()


@pytest.mark.parametrize("source", ["hms", "ndvi", "gmted", "static", "all"])
def test_partial_tiles_of_a_source_without_daily_tiles_is_wrong_usage(tmp_path, source):
    words = ["ingest", "--source", source, "--start", DAYS[0], "--end", DAYS[0], "--partial-tiles"]
    words += [
        "--files",
        tmp_path,
        "--static",
        tmp_path,
        "--monitors",
        tmp_path,
        "--store",
        tmp_path / "p.zarr",
    ]
    result = CliRunner().invoke(command, [str(word) for word in words])
    assert result.exit_code == 2
    assert f"--partial-tiles does not go with --source {source}" in result.output
    assert list(tmp_path.iterdir()) == []


def test_writing_many_days_waits_for_no_lock_of_its_own(tmp_path):
    path = address_store(tmp_path / "p.zarr")
    days = DAYS[4:9]
    write_days(path, days, {"neighbours_distance": address("neighbours_distance", np.arange(4, 9))})
    assert open_predictors(path).days == DAYS
