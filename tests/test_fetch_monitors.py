"""The monitors of a map's days, from a server in the providers' layout: fetched, kept, fetched again."""

import datetime as dt
import io
import zipfile

import airnow_world as air
import http_world as net
import pytest

from pm25map.base.errors import BadFetch, BadMonitors, BadOutput
from pm25map.predictors.fetch import monitors
from pm25map.predictors.fetch.monitors import fetch_monitors
from pm25map.predictors.monitor_folder import monitor_folder
from pm25map.predictors.monitor_source import MonitorSource, read_source

TODAY = dt.date(2021, 6, 1)
NOWHERE = "http://127.0.0.1:9"
PATHS = [f"/aqsweb/airdata/daily_{code}_{year}.zip" for year in (2018, 2019) for code in (88101, 88502)]


def zipped(text="a"):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("daily.csv", text * 1000)
    return held.getvalue()


@pytest.fixture
def world(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(monitors, "_RETRIES", monitors._RETRIES.new(total=1, backoff_factor=0))
    with net.serving() as held:
        for path in PATHS:
            held.add(path, zipped(path))
        yield held


def days(*texts):
    return [dt.date.fromisoformat(text) for text in texts]


def bring(world, *texts, today=TODAY, lines=None):
    announce = lines.append if lines is not None else None
    return fetch_monitors("aqs", days(*texts), today, base_url=world.url, announce=announce)


def test_exactly_the_years_that_the_days_need_are_fetched_and_said_before(world):
    lines = []
    brought = bring(world, "2018-11-16", lines=lines)
    assert [file.name for file in brought.files] == ["daily_88101_2018.zip", "daily_88502_2018.zip"]
    assert all(file.parent == monitor_folder("aqs") for file in brought.files)
    assert not any("2019" in one.path for one in world.asked)
    (line,) = lines
    assert world.url in line
    assert "daily_88101_2018.zip" in line
    assert "MB" in line
    assert str(monitor_folder("aqs")) in line


def test_a_window_over_new_year_needs_both_years(world):
    assert len(bring(world, "2018-12-30", "2019-01-02").files) == 4


def test_what_is_settled_is_not_asked_for_again(world):
    bring(world, "2018-11-16")
    world.asked.clear()
    lines = []
    again = bring(world, "2018-11-16", lines=lines)
    assert len(again.files) == 2
    assert (world.asked, lines) == ([], [])


def test_a_file_that_may_have_changed_is_asked_for_again_and_the_newer_one_taken(world):
    young = dt.date(2019, 3, 1)
    bring(world, "2018-11-16", today=young)
    world.add(PATHS[0], zipped("revised"))
    again = bring(world, "2018-11-16", today=young + dt.timedelta(days=1))
    with zipfile.ZipFile(again.files[0]) as archive:
        assert archive.read("daily.csv").startswith(b"revised")


def test_without_a_way_out_one_line_names_the_files_their_address_and_the_option(world):
    brought = fetch_monitors("aqs", days("2018-11-16"), TODAY, base_url=NOWHERE)
    assert brought.files == ()
    for part in (
        "daily_88101_2018.zip",
        "http://127.0.0.1:9/aqsweb/airdata/",
        "--monitors",
        "does not answer",
    ):
        assert part in brought.cannot


def test_without_a_way_out_what_is_in_the_cache_serves_and_is_named_as_unconfirmed(world):
    young = dt.date(2019, 3, 1)
    bring(world, "2018-11-16", today=young)
    again = fetch_monitors("aqs", days("2018-11-16"), young, base_url=NOWHERE)
    assert len(again.files) == 2
    assert again.unconfirmed == ("daily_88101_2018.zip", "daily_88502_2018.zip")


def test_a_year_that_the_provider_does_not_have_is_absent(world):
    brought = bring(world, "2020-03-01")
    assert (brought.files, brought.absent) == ((), ("daily_88101_2020.zip", "daily_88502_2020.zip"))


def test_days_to_come_and_days_before_the_network_need_no_file(world):
    assert bring(world, "1980-01-01", "2022-01-01").files == ()
    assert world.asked == []


def test_a_cache_that_cannot_be_written_is_one_line(world, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadOutput, match="in the way"):
        bring(world, "2018-11-16")


# What auto does where AQS or the way out is missing

APRIL = dt.date(2024, 4, 17)
SOON = APRIL + dt.timedelta(days=3)


def serve_april(world):
    """AirNow's hours of 2024-04-17 in CONUS, and the lists of sites; AQS has no file of 2024."""
    sites = [air.DENVER, air.OAKLAND]
    for hour in air.hours_from("2024041705", 27):
        body = air.hourly_bytes(hour, dict.fromkeys(sites, 7.0 + hour.hour / 4))
        world.add(f"/airnow/{hour:%Y}/{hour:%Y%m%d}/HourlyData_{hour:%Y%m%d%H}.dat", body)
    for hour in air.hours_from("2024041100", 8 * 24)[::24]:
        world.add(f"/airnow/{hour:%Y}/{hour:%Y%m%d}/Monitoring_Site_Locations_V2.dat", air.v2_bytes(sites))
    return world


def read_april(url, today=SOON, names=("auto",), lines=None):
    announce = lines.append if lines is not None else None
    return read_source(MonitorSource(names, url), [APRIL], today, announce=announce)


def test_without_a_way_out_auto_takes_the_hours_of_airnow_that_are_in_the_cache_and_says_so(world):
    read_april(serve_april(world).url)
    lines = []
    found = read_april(NOWHERE, lines=lines)
    assert found.day_summary(APRIL).by_network == {"AirNow": 2}
    (said,) = [line for line in lines if "AQS could not be reached" in line]
    assert "daily_88101_2024.zip" in said


def test_without_a_way_out_and_without_some_hours_the_day_is_made_if_enough_are_there(world):
    read_april(serve_april(world).url)
    for hour in (8, 9):
        (monitor_folder("airnow") / f"HourlyData_20240417{hour:02d}.dat").unlink()
    lines = []
    found = read_april(NOWHERE, names=("airnow",), lines=lines)
    assert found.days == [APRIL]
    (said,) = [line for line in lines if "made without them" in line]
    assert "more files" in said
    for hour in range(10, 20):
        (monitor_folder("airnow") / f"HourlyData_20240417{hour:02d}.dat").unlink()
    with pytest.raises(BadFetch, match=r"HourlyData_\d+\.dat.*--monitors"):
        read_april(NOWHERE, names=("airnow",))


def test_without_a_way_out_and_with_nothing_in_the_cache_one_line_names_aqs_and_airnow(world):
    with pytest.raises(BadFetch, match=r"daily_88101_2024\.zip.*--monitors airnow") as refused:
        read_april(NOWHERE)
    assert "\n" not in str(refused.value)


def test_a_day_of_years_ago_is_never_airnows_because_aqs_does_not_answer(world):
    read_april(serve_april(world).url)
    with pytest.raises(BadFetch, match=r"daily_88101_2024\.zip"):
        read_april(NOWHERE, today=APRIL + dt.timedelta(days=500))


def test_a_day_that_neither_network_has_says_that_both_were_asked(world):
    with pytest.raises(
        BadMonitors, match=r"AQS has no file of these days yet, and auto takes AirNow .*: airnow has no"
    ):
        read_april(world.url)
