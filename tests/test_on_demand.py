"""Any day from monitors alone: the values of a store, kept in the cache, computed again where input changed."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from predictor_world import small_grid

from pm25map.base.days import days_between
from pm25map.base.errors import BadMonitors, BadOutput, BadPredictors, DayOutsideStore, MissingDays
from pm25map.cli.jobs import by_reason
from pm25map.grid import Block
from pm25map.monitors import read_monitors
from pm25map.predictors.checks import check_monitored
from pm25map.predictors.ingest import ingest_daily, ingest_layers
from pm25map.predictors.monitor_source import MonitorSource, last_day_of_aqs, read_source
from pm25map.predictors.neighbours import FIELDS
from pm25map.predictors.on_demand import compute_on_demand, days_to_compute, store_on_demand
from pm25map.predictors.reader import open_predictors
from pm25map.predictors.sources.neighbours import Neighbours
from pm25map.predictors.sources.static import static_layers
from pm25map.predictors.store import create_store
from pm25map.raster.backfill.plan import Verdict
from pm25map.raster.day_source import DaySource, make_days_ready
from pm25map.raster.support import support_of

DAYS = days_between(dt.date(2018, 11, 1), dt.date(2018, 11, 10))
WHOLE = Block(0, 0, *small_grid().shape)
TODAY = dt.date(2020, 1, 1)


def table(path, days=DAYS, *, sites=14):
    """Write a plain table: monitors in the small grid, values that differ by site and day."""
    lon, lat = small_grid().lonlat()
    chosen = np.linspace(0, len(lon) - 1, sites).astype(int)
    rows = [
        {
            "site_id": f"s{i:02d}",
            "latitude": lat[c],
            "longitude": lon[c],
            "date": day,
            "pm25": 8 + i + day.day / 4,
        }
        for i, c in enumerate(chosen)
        for day in days
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture
def monitors(tmp_path, monkeypatch):
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))
    return table(tmp_path / "table.csv")


def compute(path, days=DAYS):
    return compute_on_demand(small_grid(), read_monitors(path), str(path), days)


def read(path, days=DAYS):
    return open_predictors(path).read(FIELDS, days, WHOLE)


def test_days_on_demand_are_the_days_of_a_store_bit_by_bit(monitors, tmp_path):
    made = compute(monitors)
    path = create_store(tmp_path / "s.zarr", small_grid(), (), DAYS[0], DAYS[-1])
    ingest_layers(path, static_layers(None, small_grid()), 13)
    source = Neighbours(read_monitors(monitors), open_predictors(path).layer("elevation"))
    ingest_daily(path, source, DAYS)
    np.testing.assert_array_equal(read(made.path), read(path))
    names = (*FIELDS, "elevation", "relief")
    one, other = (open_predictors(p).window_checksum(names, DAYS) for p in (made.path, path))
    assert one == other


def test_a_second_time_nothing_is_computed(monitors):
    assert compute(monitors).days.written == len(DAYS)
    assert days_to_compute(small_grid(), read_monitors(monitors), str(monitors), DAYS) == []
    assert compute(monitors).days.written == 0


def test_a_revised_file_changes_exactly_the_days_that_it_reaches(monitors):
    compute(monitors)
    before = read(store_on_demand(small_grid(), str(monitors)))
    rows = pd.read_csv(monitors)
    rows.loc[(rows["site_id"] == "s03") & (rows["date"] == str(DAYS[6])), "pm25"] = 99.0
    rows.to_csv(monitors, index=False)
    pending = days_to_compute(small_grid(), read_monitors(monitors), str(monitors), DAYS)
    # A value is remembered for five days, by a monitor that rests: the days after it are computed again as well.
    assert pending == DAYS[6:]
    again = compute(monitors)
    assert again.days.revised == tuple(DAYS[6:])
    after = read(again.path)
    np.testing.assert_array_equal(after[:6], before[:6])
    assert np.nanmax(np.abs(after[6] - before[6])) > 10


def test_a_day_that_a_newer_file_withdrew_is_no_day_of_the_cache(monitors):
    source = DaySource(monitors=(str(monitors),))
    ready(source)
    rows = pd.read_csv(monitors)
    rows[rows["date"] != str(DAYS[3])].to_csv(monitors, index=False)
    path = ready(source).source.predictors
    assert open_predictors(path).days_of(FIELDS) == [day for day in DAYS if day != DAYS[3]]


def test_a_status_is_said_where_it_is_known(tmp_path):
    path = table(tmp_path / "t.csv", DAYS)
    assert "preliminary" not in read_monitors(path).facts_of(DAYS[0])
    rows = pd.read_csv(path)
    rows.assign(status="preliminary").to_csv(path, index=False)
    assert read_monitors(path).facts_of(DAYS[0])["preliminary"] == 14


def test_days_asked_for_alone_are_the_same_bits_as_days_asked_for_together(monitors, tmp_path):
    together = read(compute(monitors).path)
    alone = compute_on_demand(small_grid(), read_monitors(monitors), "other", DAYS[4:5]).path
    np.testing.assert_array_equal(read(alone, DAYS[4:5])[0], together[4])


def test_a_day_without_a_monitor_stays_missing_and_the_next_day_stands_in(tmp_path, monkeypatch):
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))
    gone = [day for day in DAYS if day != DAYS[3]]
    made = compute(table(tmp_path / "t.csv", gone))
    assert list(made.days.lacking) == [DAYS[3]]
    store = open_predictors(made.path).filling_gaps(FIELDS)
    filled = store.read(FIELDS, DAYS, WHOLE)
    np.testing.assert_array_equal(filled[3], filled[4])


def test_the_monitors_of_a_day_are_counted(monitors):
    store = open_predictors(compute(monitors).path).filling_gaps(FIELDS)
    support = support_of(
        store, DAYS[-1], days_between(DAYS[-1] - dt.timedelta(days=20), DAYS[-1]), small_grid().land
    )
    assert support.counts == {"table": 14}
    assert support.monitors_text == "14 of table"
    assert support.window_text == "10 of 21"
    tags = support.tags()
    assert "only 14 monitors" in tags["warnings"]
    assert "its window has 10 of 21 days" in tags["warnings"]
    assert 0 < support.median_km < 60


def test_monitors_far_away_are_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))
    rows = pd.read_csv(table(tmp_path / "t.csv"))
    rows["latitude"] -= 8
    rows.to_csv(tmp_path / "t.csv", index=False)
    store = open_predictors(compute(tmp_path / "t.csv").path)
    support = support_of(store, DAYS[-1], DAYS[-1:], small_grid().land)
    assert "100% of the land is over 300 km from a monitor" in support.tags()["warnings"]


# Where the days come from


def ready(source, day=DAYS[-1], **how):
    windows = [days_between(day - dt.timedelta(days=20), day)]
    return make_days_ready(source, small_grid(), FIELDS, windows, TODAY, **how)


def test_a_day_of_monitors_is_made_ready_and_named_without_folders(monitors):
    made = ready(DaySource(monitors=(str(monitors),)))
    assert made.source.words == ("--monitors", "table.csv")
    assert made.source.label == "monitors: table.csv"
    assert set(open_predictors(made.source.predictors).days_of(FIELDS)) == set(DAYS)


def test_a_plan_computes_nothing_and_says_which_days_are_pending(monitors):
    planned = ready(DaySource(monitors=(str(monitors),)), only_plan=True)
    assert planned.pending == tuple(DAYS)
    assert open_predictors(planned.source.predictors).days_of(("neighbours_idw9",)) == []
    ready(DaySource(monitors=(str(monitors),)))
    assert ready(DaySource(monitors=(str(monitors),)), only_plan=True).pending == ()


def test_a_model_that_reads_more_than_monitors_give_is_refused_before_a_file_is_read(tmp_path):
    source = DaySource(monitors=(str(tmp_path / "absent.csv"),))
    with pytest.raises(BadPredictors, match=r"the model reads aod_047, which monitors do not give.*maiac"):
        make_days_ready(source, small_grid(), (*FIELDS, "aod_047"), [DAYS], TODAY)


@pytest.mark.parametrize("day", [dt.date(2018, 12, 1), dt.date(2018, 10, 20), dt.date(2019, 6, 1)])
def test_a_day_that_no_monitor_measured_is_one_line(monitors, day):
    with pytest.raises(
        BadMonitors,
        match=f"no monitor of table.csv measured on {day}(, nor on the 20 days before: they|: of the days around they) "
        "have 2018-11-0[16] to 2018-11-10",
    ):
        ready(DaySource(monitors=(str(monitors),)), day)


def test_a_folder_called_as_a_network_is_told_apart(monitors, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aqs").mkdir()
    with pytest.raises(BadMonitors, match=r"write \./aqs"):
        read_source(MonitorSource(("aqs",)), DAYS, TODAY)
    assert MonitorSource(("./aqs",)).label == "./aqs"


def test_aqs_reaches_as_far_as_a_usual_number_of_its_monitors(tmp_path):
    rows = [
        pd.read_csv(table(tmp_path / "all.csv", DAYS[:7])),
        pd.read_csv(table(tmp_path / "few.csv", DAYS[7:], sites=3)),
    ]
    pd.concat(rows).to_csv(tmp_path / "joined.csv", index=False)
    assert last_day_of_aqs(read_monitors(tmp_path / "joined.csv")) == DAYS[6]


def test_like_reasons_of_many_days_are_one_line():
    whole = dict.fromkeys(FIELDS, DAYS[3:])
    verdicts = []
    for first, day in enumerate(DAYS[3:6]):
        with pytest.raises(MissingDays) as refused:
            check_monitored("monitors: auto", whole, [*DAYS[first:3], day])
        verdicts.append(Verdict(day, "impossible", str(refused.value)))
    with pytest.raises(DayOutsideStore) as silent:
        check_monitored("monitors: auto", whole, [DAYS[0]])
    said = by_reason([*verdicts, Verdict(DAYS[0], "impossible", str(silent.value))])
    assert list(said.values()) == ["2018-11-04 and 2 more to 2018-11-06", "2018-11-01"]
    assert next(iter(said)).startswith("such as cannot use 2018-11-04: no monitor measured on 3 days")


# The cache


def test_a_cache_that_is_damaged_is_made_again(monitors):
    made = compute(monitors)
    (made.path / "zarr.json").write_text("{")
    again = compute(monitors)
    assert again.days.written == len(DAYS)
    assert np.isfinite(read(again.path)[:, :, small_grid().land]).all()


@pytest.mark.parametrize("harm", ["cut off", "gone", "other values"])
@pytest.mark.parametrize("name", ["neighbours_idw9", "elevation"])
def test_a_part_of_the_cache_that_was_damaged_is_made_again(monitors, name, harm):
    made = compute(monitors)
    names = (*FIELDS, "elevation")
    before = open_predictors(made.path).read(names, DAYS, WHOLE)
    chunks = sorted(path for path in (made.path / name / "c").rglob("*") if path.is_file())
    if harm == "gone":
        chunks[0].unlink()
    elif harm == "cut off":
        chunks[0].write_bytes(chunks[0].read_bytes()[:-20])
    else:
        group = zarr.open_group(made.path, mode="r+")
        group[name][...] = group[name][...] + 1
    # A file of the cache has days that nobody asks for now: they are mended with those that are.
    compute(monitors, DAYS[:2])
    again = compute(monitors)
    np.testing.assert_array_equal(open_predictors(again.path).read(names, DAYS, WHOLE), before)


def test_a_cache_that_cannot_be_written_is_one_line(monitors, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadOutput, match="PM25MAP_CACHE"):
        compute(monitors)


def test_a_full_disk_leaves_the_days_before_and_says_so(monitors, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    compute(monitors, DAYS[:4])
    monkeypatch.setattr("pm25map.predictors.layout.encode", full)
    with pytest.raises(BadOutput, match="the disk is full"):
        compute(monitors, DAYS)
    monkeypatch.undo()
    monkeypatch.setenv("PM25MAP_CACHE", str(monitors.parent / "cache"))
    assert compute(monitors, DAYS).days.written == len(DAYS) - 4


def test_two_commands_that_fill_the_same_days_at_once_leave_one_whole_store(monitors):
    script = (
        "import sys, datetime as dt\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from test_on_demand import compute, read\n"
        "read(compute(Path(sys.argv[2])).path)\n"
    )
    folder = str(Path(__file__).parent)
    both = [subprocess.Popen([sys.executable, "-c", script, folder, str(monitors)]) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert np.isfinite(read(store_on_demand(small_grid(), str(monitors)))[:, :, small_grid().land]).all()


def test_each_day_of_the_cache_is_written_once_by_two_who_come_after_each_other(monitors):
    first, second = compute(monitors, DAYS[:6]), compute(monitors, DAYS[3:])
    assert (first.days.written, second.days.written) == (6, 4)
