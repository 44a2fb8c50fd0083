"""`pm25map data fetch --source airnow` and `--source aqs`, against a server in EPA's layout."""

import datetime as dt
import io
import json
import zipfile

import airnow_world as air
import http_world as net
import pytest
from click.testing import CliRunner
from urllib3.util.retry import Retry

from pm25map.base.errors import BadDate, BadFetch, BadMonitors
from pm25map.cli.main import cli
from pm25map.monitors.airnow import read_airnow
from pm25map.monitors.airnow_check import check_airnow_file
from pm25map.monitors.airnow_files import files_of
from pm25map.monitors.airnow_now import read_nowcast
from pm25map.predictors.catalogue import Provider, provider_of
from pm25map.predictors.fetch import fetch as jobs
from pm25map.predictors.fetch import http
from pm25map.predictors.fetch.http import HttpClient
from pm25map.predictors.fetch.providers import periods_of, plain_files
from pm25map.predictors.monitor_source import fetch_latest

DAY = dt.date(2024, 4, 17)
NEXT = dt.date(2024, 4, 18)
BOX = (-124.8, 24.4, -66.9, 49.5)


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No proxy, and no long waits."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    quick = Retry(total=2, backoff_factor=0, status_forcelist=http.RETRIES.status_forcelist)
    monkeypatch.setattr(http, "RETRIES", quick)


@pytest.fixture
def world():
    with net.serving() as held:
        yield held


def folder_of(hour):
    return f"/airnow/{hour:%Y}/{hour:%Y%m%d}"


def serve_day(world, value=5.0):
    """The hours of 2024-04-17 in CONUS, with the lists and the daily files of both UTC days."""
    for i, hour in enumerate(air.hours_from("2024041705", 27)):
        body = air.hourly_bytes(hour, {air.DENVER: value + i, air.OAKLAND: value})
        world.add(f"{folder_of(hour)}/HourlyData_{hour:%Y%m%d%H}.dat", body)
    for day in (DAY, NEXT):
        world.add(
            f"{folder_of(day)}/Monitoring_Site_Locations_V2.dat", air.v2_bytes([air.DENVER, air.OAKLAND])
        )


def wanted(base, variables=("hourly", "sites"), days=(DAY, DAY)):
    provider = provider_of("airnow")
    return plain_files(provider, periods_of(provider, *days), variables, BOX, base)


def run(world, out, *words, source="airnow", day=DAY):
    options = [
        "--source",
        source,
        "--start",
        day,
        "--end",
        day,
        "--base-url",
        world.url,
        "--out",
        out,
        *words,
    ]
    return CliRunner().invoke(cli, ["data", "fetch", *map(str, options)])


def test_a_fetched_day_is_read(world, tmp_path):
    serve_day(world)
    result = run(world, tmp_path / "airnow")
    assert result.exit_code == 0, result.output
    assert "28 new" in result.output
    found = read_airnow(tmp_path / "airnow", days=[DAY])
    assert found.monitors.observations["site_id"].tolist() == ["080310002"]
    assert found.monitors.observations["pm25_ugm3"].tolist() == [5 + 13.5]
    assert found.missing_hours == ()
    assert "0 new" in run(world, tmp_path / "airnow").output


def test_what_is_fetched_is_what_a_plan_lists():
    files = wanted("https://files.airnowtech.org")
    assert [file.name for file in files] == [file.name for file in files_of([DAY])]
    assert files[-1].url.endswith("/airnow/2024/20240417/Monitoring_Site_Locations_V2.dat")
    two = wanted("https://files.airnowtech.org", days=(DAY, NEXT))
    assert [file.name for file in two] == [file.name for file in files_of([DAY, NEXT])]


def test_daily_files_come_when_they_are_named(tmp_path):
    names = [file.name for file in wanted("https://files.airnowtech.org", ("daily",))]
    assert names == ["daily_data_v2_20240417.dat", "daily_data_v2_20240418.dat"]


def test_an_hour_that_the_provider_lacks_is_absent_listed_and_asked_for_again(world, tmp_path):
    serve_day(world)
    late = "/airnow/2024/20240417/HourlyData_2024041712.dat"
    body = world.files.pop(late)
    result = run(world, tmp_path / "airnow", "--json")
    assert result.exit_code == 3
    assert list(json.loads(result.stdout)["absent"]) == ["HourlyData_2024041712.dat"]
    assert read_airnow(tmp_path / "airnow", days=[DAY]).missing_hours == (air.beginning("2024041712"),)
    world.files[late] = body
    result = run(world, tmp_path / "airnow")
    assert result.exit_code == 0 and "1 new" in result.output
    assert read_airnow(tmp_path / "airnow", days=[DAY]).missing_hours == ()


def test_an_hour_that_is_cut_off_at_the_provider_is_not_kept(world, tmp_path):
    serve_day(world)
    path = "/airnow/2024/20240417/HourlyData_2024041712.dat"
    world.add(path, world.files[path].body[:-20])
    result = run(world, tmp_path / "airnow")
    assert result.exit_code == 1
    assert "HourlyData_2024041712.dat, line 4" in result.output and "truncated" in result.output
    assert not (tmp_path / "airnow/HourlyData_2024041712.dat").exists()


@pytest.mark.parametrize(("age", "asked"), [(10, True), (11, False)])
def test_a_revised_hour_comes_again_while_it_is_young(world, tmp_path, age, asked):
    serve_day(world)
    provider = provider_of("airnow")
    files = [file for file in wanted(world.url) if file.last == DAY]

    def bring(today):
        return jobs.fetch(files, jobs.FetchJob(provider, tmp_path / "airnow", HttpClient(), today))

    first = bring(DAY + dt.timedelta(days=age))
    assert len(first.new) == len(files) == 20
    hour = air.beginning("2024041712")
    path = f"{folder_of(hour)}/HourlyData_2024041712.dat"
    world.add(path, air.hourly_bytes(hour, {air.DENVER: 99.0}))
    second = bring(DAY + dt.timedelta(days=age + 1))
    assert second.new == (["HourlyData_2024041712.dat"] if asked else [])
    # What did not change is not sent again.
    assert second.bytes == (len(world.files[path].body) if asked else 0)


def test_sizes_are_said_first(world, tmp_path):
    serve_day(world)
    result = run(world, tmp_path / "airnow", "--dry-run")
    assert result.exit_code == 0
    assert "28 files to fetch, 0.0 MB" in result.output
    assert not (tmp_path / "airnow").exists()


def test_a_site_list_without_a_position_or_another_name_is_refused(tmp_path):
    lists = air.write_sites(tmp_path, [air.Site("080310002", 0, 0, -7)])
    with pytest.raises(BadMonitors, match="holds no site with a position"):
        check_airnow_file(lists)
    page = tmp_path / "index.html"
    page.write_text("<html>")
    with pytest.raises(BadMonitors, match="not called as AirNow's"):
        check_airnow_file(page)


def test_a_page_of_html_in_place_of_an_hour_is_refused(tmp_path):
    page = tmp_path / "HourlyData_2024041712.dat"
    page.write_text("<html>\n<body>not now</body>\n</html>\n")
    with pytest.raises(BadMonitors, match="line 1"):
        check_airnow_file(page)


def test_days_before_airnow_s_files_begin_are_refused():
    with pytest.raises(BadFetch, match="begins on 2016-01-01"):
        periods_of(provider_of("airnow"), dt.date(2015, 1, 1), dt.date(2015, 1, 2))


def test_files_beside_hours_belong_to_a_provider_of_hours():
    entry = provider_of("airnow").model_dump()
    with pytest.raises(ValueError, match="beside names"):
        Provider.model_validate({**entry, "period": "day"})


@pytest.mark.parametrize("variables", [(), ("--variable", "88502")])
def test_aqs_brings_both_parameters_of_a_year_or_the_one_named(variables, world, tmp_path):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("daily.csv", "header\n")
    for code in ("88101", "88502"):
        world.add(f"/aqsweb/airdata/daily_{code}_2024.zip", held.getvalue())
    result = run(world, tmp_path / "aqs", *variables, source="aqs")
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "aqs").glob("*.zip"))
    both = ["daily_88101_2024.zip", "daily_88502_2024.zip"]
    assert names == (both[1:] if variables else both)


# The latest hours


@pytest.fixture
def latest(world, tmp_path, monkeypatch):
    """Hours to 2024-04-17 11 UTC, at 12:40, when the hour of 12 is not there yet; the day's list is not either."""
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))
    for hour in air.hours_from("2024041620", 16):
        body = air.hourly_bytes(hour, {air.DENVER: 10.0 if hour.hour == 11 else 8.0})
        world.add(f"{folder_of(hour)}/HourlyData_{hour:%Y%m%d%H}.dat", body)
    before = air.beginning("2024041600")
    world.add(f"{folder_of(before)}/Monitoring_Site_Locations_V2.dat", air.v2_bytes([air.DENVER]))
    return world


def fetch_at(world, clock, at=None):
    lines = []
    files = fetch_latest(at, clock, base_url=world.url, announce=lines.append)
    return files, lines


def test_the_latest_hours_are_fetched_for_now_and_the_list_of_the_day_before_serves(latest):
    files, lines = fetch_at(latest, dt.datetime(2024, 4, 17, 12, 40, tzinfo=dt.UTC))
    (now,) = read_nowcast(files).to_dict("records")
    assert now["hour"] == air.beginning("2024041711")
    assert now["pm25_ugm3"] == pytest.approx(8.429516)
    assert "MB" in lines[0]


def test_an_hour_that_was_asked_for_needs_twelve_files(latest):
    hour = air.beginning("2024041710")
    files, _ = fetch_at(latest, dt.datetime(2024, 4, 17, 12, 40, tzinfo=dt.UTC), hour)
    assert len([path for path in files if path.name.startswith("HourlyData")]) == 12
    assert read_nowcast(files, hour)["pm25_ugm3"].tolist() == [8.0]


def test_an_hour_to_come_or_one_that_airnow_lacks_is_one_line(latest):
    clock = dt.datetime(2024, 4, 17, 12, 40, tzinfo=dt.UTC)
    with pytest.raises(BadDate, match="has not begun"):
        fetch_at(latest, clock, air.beginning("2024041713"))
    assert latest.asked == []
    with pytest.raises(BadMonitors, match="airnow has no hour of 2024-03-31T13 to 2024-04-01T00"):
        fetch_at(latest, clock, air.beginning("2024040100"))
