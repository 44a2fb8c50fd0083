"""Ingest, status and the data commands, as a user calls them."""

import datetime as dt
import json

import numpy as np
import pytest
from click.testing import CliRunner
from predictor_world import DAYS, START, address, address_store, small_grid
from test_sources import rasters, small_monitors  # noqa: F401

from pm25map.base.errors import BadOutput, BadPredictors, DayOutsideStore, Pm25mapError
from pm25map.cli.data import command
from pm25map.grid import save_grid
from pm25map.predictors.checks import check_days
from pm25map.predictors.ingest import ensure_store, ingest_daily, plan_ingest
from pm25map.predictors.status import runs, status_of
from pm25map.predictors.store import open_predictors


class Counting:
    """A source whose values spell their address, that stops at a day, and remembers what it was asked."""

    name = "neighbours"
    variables = ("neighbours_idw9",)

    def __init__(self, stops_at=None):
        self.stops_at = stops_at
        self.asked = []

    def lacking(self, grid, days):
        return {}

    def fields(self, grid, days):
        self.asked += days
        if self.stops_at in days:
            raise KeyboardInterrupt
        return {"neighbours_idw9": address("neighbours_idw9", np.array([(d - START).days for d in days]))}


def run(*arguments):
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        if not isinstance(result.exception, Pm25mapError):
            raise result.exception
        return 1, str(result.exception)
    return result.exit_code, result.stdout


@pytest.fixture
def small_folder(tmp_path):
    return save_grid(small_grid(), tmp_path / "small")


def parquet(folder, days):
    folder.mkdir()
    monitors = small_monitors(days)
    monitors.sites.to_parquet(folder / "sites.parquet")
    monitors.observations.to_parquet(folder / "pm25_daily.parquet")
    return folder


def test_a_plan_leaves_out_whole_days_and_ends_batches_with_chunks():
    plan = plan_ingest(DAYS, {DAYS[2], DAYS[9]}, START, 8)
    assert [(START - batch[0]).days * -1 for batch in plan] == [0, 3, 8, 10, 16]
    assert sorted(d for batch in plan for d in batch) == [d for d in DAYS if d not in (DAYS[2], DAYS[9])]


def test_an_ingest_that_was_stopped_goes_on_where_it_was(tmp_path):
    path = tmp_path / "p.zarr"
    ensure_store(path, small_grid(), DAYS[0], DAYS[-1])
    with pytest.raises(KeyboardInterrupt):
        ingest_daily(path, Counting(stops_at=DAYS[12]), DAYS)
    assert open_predictors(path).days == DAYS[:8]
    source, seen = Counting(), []
    assert ingest_daily(path, source, DAYS, lambda done, total: seen.append((done, total))).written == 16
    assert source.asked == DAYS[8:]
    assert seen[-1] == (16, 16)
    store = open_predictors(path)
    assert store.days == DAYS
    land = small_grid().land
    for i, day in enumerate(DAYS):
        read = store.read(("neighbours_idw9",), [day], small_grid().blocks(20)[0])[0, 0]
        np.testing.assert_array_equal(read[land], address("neighbours_idw9", i)[land])
    assert ingest_daily(path, Counting(), DAYS).written == 0


def test_a_source_that_breaks_its_promise_is_refused(tmp_path):
    path = tmp_path / "p.zarr"
    ensure_store(path, small_grid(), DAYS[0], DAYS[-1])
    source = Counting()
    source.fields = lambda grid, days: {}
    with pytest.raises(BadPredictors, match="source neighbours gave"):
        ingest_daily(path, source, DAYS)


def test_a_store_of_another_grid_is_refused(tmp_path, small_folder):
    path = address_store(tmp_path / "p.zarr")
    grid = small_grid()
    other = type(grid)("other", grid.crs, (10_000.0, 0, 0.0, 0, -10_000.0, 0.0), grid.shape, 4, grid.land)
    with pytest.raises(BadPredictors, match="lies on grid small"):
        ensure_store(path, other, DAYS[0], DAYS[-1])


def test_runs_join_days_that_follow_each_other():
    assert runs([DAYS[0], DAYS[1], DAYS[5]]) == [(DAYS[0], DAYS[1]), (DAYS[5], DAYS[5])]
    assert runs([]) == []


def test_the_state_of_a_store_says_what_is_missing(tmp_path):
    store = open_predictors(address_store(tmp_path / "p.zarr"))
    state = status_of(store, DAYS[-2], DAYS[-1] + dt.timedelta(days=3))
    assert state["days"] == 2
    assert state["missing"] == [["2020-09-23", "2020-09-25"]]
    assert {row["name"]: row["days"] for row in state["variables"]}["elevation"] is None
    assert status_of(store)["missing"] == []


def test_a_user_ingests_looks_and_packs(tmp_path, rasters, small_folder):  # noqa: F811
    store, out = tmp_path / "p.zarr", tmp_path / "s.zarr.zip"
    monitors = parquet(tmp_path / "aqs", DAYS)
    common = ["--grid", small_folder, "--monitors", monitors, "--store", store]
    code, text = run("ingest", "--start", DAYS[6], "--end", DAYS[9], *common, "--static", rasters, "--json")
    assert (code, json.loads(text)) == (
        0,
        {"store": str(store), "layers": 13, "days": 4, "lacking": {}, "passed_over": []},
    )
    code, text = run("ingest", "--source", "neighbours", "--start", DAYS[5], "--end", DAYS[11], *common)
    assert (code, text) == (0, f"{store}: 0 layers and 3 days written\n")
    code, text = run("status", "--store", store, "--json")
    assert code == 0
    assert json.loads(text)["days"] == 7
    code, text = run("status", "--store", store, "--end", DAYS[13])
    assert code == 3
    assert f"missing     {DAYS[12]} to {DAYS[13]}" in text
    pack = ("pack", "--store", store, "--out", out, "--start", DAYS[5], "--end", DAYS[8])
    code, text = run(*pack, "--precision", "neighbours_idw9=0.5")
    assert code == 0
    assert open_predictors(out).days == DAYS[5:9]
    assert open_predictors(out).precision("neighbours_idw9") == 0.5
    assert run(*pack) == (1, f"{out} exists already. Add --overwrite to replace it, or choose another name")
    assert run(*pack, "--overwrite")[0] == 0


def test_neighbours_need_the_elevation_of_the_static_source(tmp_path, small_folder):
    monitors = parquet(tmp_path / "aqs", DAYS)
    code, text = run(
        *("ingest", "--source", "neighbours", "--start", DAYS[0], "--end", DAYS[1], "--grid", small_folder),
        *("--monitors", monitors, "--store", tmp_path / "p.zarr"),
    )
    assert code == 1
    assert "lacks elevation. Run: pm25map data ingest --source static" in text


def test_bad_monitors_leave_no_store_behind(tmp_path, small_folder, rasters):  # noqa: F811
    code, text = run(
        *("ingest", "--start", DAYS[0], "--end", DAYS[1], "--grid", small_folder, "--static", rasters),
        *("--monitors", tmp_path / "none", "--store", tmp_path / "p.zarr"),
    )
    assert code == 1
    assert "there is no file or folder" in text
    assert not (tmp_path / "p.zarr").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--start", "2020-09-02", "--end", "2020-09-01"), "ends on 2020-09-01, before it starts"),
        (("--start", "someday", "--end", "2020-09-01"), "cannot read 'someday' as a day"),
        (("--start", "2020-09-01", "--end", "2020-09-01", "--grid", "mars"), "mars"),
    ],
)
def test_bad_days_and_grids_are_one_line(tmp_path, arguments, message):
    options = ("--source", "static", "--static", tmp_path, "--store", tmp_path / "p.zarr")
    code, text = run("ingest", *arguments, *options)
    assert code == 1
    assert message in text
    assert not (tmp_path / "p.zarr").exists()


def test_a_source_without_its_files_is_wrong_usage(tmp_path):
    days = ("--start", "2020-09-01", "--end", "2020-09-01")
    assert run("ingest", *days, "--store", tmp_path / "p.zarr")[0] == 2


def test_a_store_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadOutput, match="does not exist"):
        ensure_store(tmp_path / "none" / "p.zarr", small_grid(), DAYS[0], DAYS[1])


@pytest.mark.parametrize("shift", [-1, 0, 400])
def test_a_packed_store_is_never_written_and_gets_no_lock(tmp_path, shift):
    packed = tmp_path / "sample.zarr.zip"
    packed.write_bytes(b"as it was")
    day = START + dt.timedelta(days=shift)
    with pytest.raises(BadOutput, match="a zipped store is read only"):
        ensure_store(packed, small_grid(), day, day)
    assert [path.name for path in tmp_path.iterdir()] == ["sample.zarr.zip"]
    assert packed.read_bytes() == b"as it was"


def test_no_hint_proposes_to_write_into_a_packed_store(tmp_path):
    packed = tmp_path / "sample.zarr.zip"
    with pytest.raises(DayOutsideStore, match=r"--store predictors\.zarr") as caught:
        check_days(packed, {"elevation": [START]}, [START + dt.timedelta(days=1)])
    assert f"--store {packed}" not in str(caught.value)
