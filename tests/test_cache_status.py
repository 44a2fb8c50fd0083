"""`pm25map data status` without a store: the days and monitors of the cache."""

import json

import pandas as pd
import pytest
from test_on_demand import DAYS, compute, table

from pm25map.predictors.monitor_folder import monitor_folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_monitors(path, statuses):
    """Write a plain table whose days are of AirNow and have these statuses."""
    rows = pd.read_csv(table(path))
    said = {str(day): status for day, status in zip(DAYS, statuses, strict=True)}
    rows.assign(network="AirNow", status=rows["date"].map(said)).to_csv(path, index=False)
    return path


def add_file(network, name, size):
    monitor_folder(network).mkdir(parents=True, exist_ok=True)
    (monitor_folder(network) / name).write_bytes(b"x" * size)


def test_an_empty_cache_says_what_fills_it(say, cache):
    code, out, _ = say("data", "status")
    assert code == 0
    assert str(cache) in out
    assert "it holds no day" in out
    assert "pm25map predict --date" in out
    assert not cache.exists()


def test_days_are_listed_by_network_and_status(say, cache, tmp_path):
    final, preliminary = ["final"] * 6, ["preliminary"] * 4
    compute(write_monitors(tmp_path / "t.csv", final + preliminary))
    _, out, _ = say("data", "status")
    assert "2018-11-01 to 2018-11-06     6 days  AirNow, final" in out
    assert "2018-11-07 to 2018-11-10     4 days  AirNow, preliminary" in out
    assert "10 days ready" in out
    assert "store" not in out


def test_days_between_which_one_is_missing_are_two_lines_and_unknown_status_is_not_said(say, cache, tmp_path):
    compute(table(tmp_path / "t.csv", [day for day in DAYS if day != DAYS[3]]))
    held = json.loads(say("data", "status", "--json")[1])
    (grid,) = held["grids"]
    assert [(span["first"][-2:], span["last"][-2:], span["days"]) for span in grid["spans"]] == [
        ("01", "03", 3),
        ("05", "10", 6),
    ]
    assert {(tuple(span["networks"]), span["status"]) for span in grid["spans"]} == {(("table",), "")}


def test_days_can_be_asked_for(say, cache, tmp_path):
    compute(table(tmp_path / "t.csv"))
    add_file("airnow", "HourlyData_2018111500.dat", 1)
    words = ("data", "status", "--start", "2018-11-04", "--end", "2018-11-05", "--json")
    held = json.loads(say(*words)[1])
    assert [grid["days"] for grid in held["grids"]] == [2]
    assert held["airnow"] == []


def test_files_of_monitors_are_listed_with_their_sizes(say, cache):
    for code in (88101, 88502):
        add_file("aqs", f"daily_{code}_2018.zip", 1_500_000)
    add_file("aqs", "daily_88101_2019.zip", 2_000_000)
    for hour in range(17):
        add_file("airnow", f"HourlyData_20240414{hour:02d}.dat", 100_000)
    add_file("airnow", "Monitoring_Site_Locations_V2_20240414.dat", 5)
    _, out, _ = say("data", "status")
    assert "AQS         2018  88101 and 88502, 3.0 MB" in out
    assert "AQS         2019  88101, 2.0 MB" in out
    assert "AirNow      2024-04-14  17 of 24 hours (UTC), 1.7 MB" in out


def test_a_damaged_part_of_the_cache_is_said_and_ends_nothing(say, cache, tmp_path):
    path = compute(table(tmp_path / "t.csv")).path
    (path / "zarr.json").write_text("{")
    code, out, _ = say("data", "status")
    assert code == 0
    assert "damaged: the next map" in out


def test_a_cache_that_is_a_file_holds_nothing(say, cache):
    cache.write_text("in the way")
    assert "it holds no day" in say("data", "status")[1]


def test_a_source_is_asked_for_of_a_store_alone(say, cache):
    code, _, err = say("data", "status", "--source", "hms")
    assert code == 2
    assert "--source goes with --store" in err
