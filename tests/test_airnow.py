"""AirNow's files become daily means: when an hour begins, whose it is, which values count, what is said of the rest."""

import datetime as dt
import hashlib

import airnow_world as air
import numpy as np
import pandas as pd
import pytest

from pm25map.base.errors import BadMonitors
from pm25map.grid import load_grid
from pm25map.monitors import Rules, read_monitors
from pm25map.monitors.airnow import read_airnow
from pm25map.monitors.airnow_files import files_of, hours_of, is_airnow, list_holdings
from pm25map.monitors.airnow_hours import read_hours
from pm25map.monitors.airnow_now import read_nowcast
from pm25map.monitors.airnow_sites import in_the_us, plain_ids
from pm25map.predictors.monitor_source import MonitorSource
from pm25map.raster.day_source import without_far_ones

DAY = dt.date(2024, 4, 17)
NEXT = DAY + dt.timedelta(days=1)
ALL_SITES = [air.DENVER, air.NEW_YORK, air.OAKLAND, air.TORONTO, air.KATHMANDU]
RISING = [float(i) for i in range(48)]


def world(folder, values, first="2024041700", sites=ALL_SITES):
    air.write_hours(folder, first, values)
    air.write_sites(folder, sites)
    return folder


def means(found):
    """{(site, day of month): (mean, hours)}."""
    table = found.monitors.observations.drop(columns="hours").merge(found.hours, on=["site_id", "date"])
    return {
        (row.site_id, row.date.day): (pytest.approx(row.pm25_ugm3, abs=1e-4), row.hours)
        for row in table.itertuples()
    }


# When an hour begins, and whose day it is


@pytest.mark.parametrize(
    ("site", "begins"),
    [(air.NEW_YORK, 5), (air.DENVER, 7), (air.OAKLAND, 8)],
    ids=["east", "mountain", "west"],
)
def test_a_day_is_the_local_standard_day_and_begins_with_the_hour_that_is_stamped_so(site, begins, tmp_path):
    """In April all three have daylight time, which AQS's days do not follow."""
    found = read_airnow(world(tmp_path, {site: RISING}), days=[DAY])
    assert means(found) == {(site.aqsid, 17): (np.mean(RISING[begins : begins + 24]), 24)}


def test_a_zone_with_a_fraction_has_its_own_day(tmp_path):
    # Kathmandu's day begins at 18:15 UTC, and so is its first hour stamped.
    found = read_airnow(world(tmp_path, {air.KATHMANDU: RISING}), outside_us=True, days=[NEXT])
    assert means(found) == {("KM1010001", 18): (np.mean(RISING[18:42]), 24)}


def test_the_hours_of_a_day_are_those_of_both_coasts():
    hours = hours_of([DAY])
    assert hours[0] == air.beginning("2024041705") and hours[-1] == air.beginning("2024041807")
    assert hours_of([DAY, NEXT]) == sorted(set(hours) | set(hours_of([NEXT])))
    assert len(hours_of([DAY, NEXT])) == 51
    assert hours_of([]) == []


def test_hours_of_a_zone_with_a_fraction_cover_its_day_on_both_sides():
    hours = hours_of([DAY], (5.75, 5.75))
    assert (hours[0], hours[-1]) == (air.beginning("2024041618"), air.beginning("2024041718"))


def test_files_of_a_day_are_its_hours_and_a_site_list_with_their_sizes():
    files = files_of([DAY])
    assert files[0].name == "HourlyData_2024041705.dat" and len(files) == 28
    assert files[-1].name == "Monitoring_Site_Locations_V2_20240417.dat"
    assert 20 < sum(file.megabytes for file in files) < 25
    assert len(files_of([DAY, NEXT])) == 53


@pytest.mark.parametrize(("there", "counts"), [(18, True), (17, False)])
def test_a_mean_needs_eighteen_hours(there, counts, tmp_path):
    values = [None] * 7 + RISING[:there] + [None] * (41 - there)
    found = read_airnow(world(tmp_path, {air.DENVER: values, air.OAKLAND: RISING}), days=[DAY])
    assert ("080310002" in set(found.monitors.observations["site_id"])) == counts
    assert found.monitors.reading.counts["days of a site with fewer than 18 hours"] == (0 if counts else 1)
    if counts:
        assert means(found)[("080310002", 17)] == (np.mean(RISING[:there]), 18)


# Which values count


def test_missing_and_absurd_values_are_no_hours_and_small_negatives_are(tmp_path):
    values = RISING.copy()
    values[10], values[11], values[12], values[13], values[14] = -999, "", -15.1, 2000.1, -3.5
    found = read_airnow(world(tmp_path, {air.DENVER: values}), days=[DAY])
    kept = [*RISING[7:10], -3.5, *RISING[15:31]]
    assert means(found) == {("080310002", 17): (np.mean(kept), 20)}
    counts = found.monitors.reading.counts
    assert counts["rows without a value (blank or -999)"] == 2
    assert counts["values below -15 or above 2,000 ug/m3"] == 2


def test_the_ends_of_the_range_are_values(tmp_path):
    values = [*RISING[:20], -15, 2000, *RISING[22:]]
    assert means(read_airnow(world(tmp_path, {air.DENVER: values}), days=[DAY]))[("080310002", 17)][1] == 24


def test_a_day_of_one_value_is_left_out_and_counted(tmp_path):
    values = [3.0] * 31 + RISING[31:]
    found = read_airnow(world(tmp_path, {air.DENVER: values, air.OAKLAND: RISING}), days=[DAY])
    assert set(found.monitors.observations["site_id"]) == {"060010011"}
    assert found.monitors.reading.counts["days of a site on which all hours have one value"] == 1


def test_rows_that_repeat_are_dropped_and_rows_that_differ_averaged(tmp_path):
    values = [[value, value] for value in RISING]
    values[20] = [10.0, 30.0]
    found = read_airnow(world(tmp_path, {air.DENVER: values}), days=[DAY])
    day = [*RISING[7:20], 20.0, *RISING[21:31]]
    assert means(found) == {("080310002", 17): (np.mean(day), 24)}


def test_a_site_of_nine_and_of_twelve_digits_is_one_site(tmp_path):
    twelve = air.Site("840080310002", 39.75, -104.99, -7)
    world(tmp_path, {air.DENVER: RISING[:24]}, sites=[air.DENVER])
    air.write_hours(tmp_path, "2024041800", {twelve: RISING[24:]})
    found = read_airnow(tmp_path, days=[DAY])
    assert means(found) == {("080310002", 17): (np.mean(RISING[7:31]), 24)}


def test_other_countries_are_ignored_or_used_by_option(tmp_path):
    world(tmp_path, {air.DENVER: RISING, air.TORONTO: RISING})
    found = read_airnow(tmp_path)
    assert found.monitors.sites["site_id"].tolist() == ["080310002"]
    assert found.monitors.reading.counts["rows of monitors outside the United States"] == 48
    found = read_airnow(tmp_path, outside_us=True, days=[DAY])
    assert found.monitors.sites["site_id"].tolist() == ["000060435", "080310002"]


def test_a_site_in_no_list_is_of_the_country_that_its_id_says():
    full = pd.Series(
        ["080310002", "840MMFS11001", "124CC0090701", "000060435", "800020001", "CC0040104", "720330004"]
    )
    lists = pd.DataFrame({"site_id": ["080310002", "720330004"], "country": ["MX", "PR"]})
    found = in_the_us(plain_ids(full), full, lists)
    assert found.tolist() == [False, True, False, False, False, False, True]


def test_ozone_and_the_other_parameters_are_not_pm25(tmp_path):
    found = read_airnow(world(tmp_path, {air.DENVER: RISING}))
    assert found.monitors.reading.counts["rows read"] == 48


# Where a site stands


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_of_the_site_list_say_the_same(version, tmp_path):
    air.write_hours(tmp_path, "2024041700", {air.DENVER: RISING, air.OAKLAND: RISING[::-1]})
    air.write_sites(tmp_path, ALL_SITES, version=version)
    sites = read_airnow(tmp_path, days=[DAY]).monitors.sites
    assert sites.to_numpy().tolist() == [["060010011", 37.81, -122.28], ["080310002", 39.75, -104.99]]


def test_hourly_observations_bring_their_own_positions(tmp_path):
    for hour, value in zip(air.hours_from("2024041700", 48), RISING, strict=True):
        air.write_observations(tmp_path, hour, {air.DENVER: value, air.OAKLAND: ""})
    found = read_airnow(tmp_path, days=[DAY])
    assert means(found) == {("080310002", 17): (np.mean(RISING[7:31]), 24)}
    assert found.monitors.sites.to_numpy().tolist() == [["080310002", 39.75, -104.99]]


def test_hourly_data_go_before_hourly_observations_of_the_same_hour(tmp_path):
    world(tmp_path, {air.DENVER: RISING})
    air.write_observations(tmp_path, air.beginning("2024041712"), {air.DENVER: 900.0, air.OAKLAND: 5.0})
    found = read_airnow(tmp_path, days=[DAY])
    assert means(found) == {("080310002", 17): (np.mean(RISING[7:31]), 24)}
    assert found.monitors.reading.counts["rows that repeat a site and hour"] == 1


def test_a_site_that_the_newest_list_lacks_stands_where_an_older_list_says(tmp_path):
    air.write_hours(tmp_path, "2024041700", {air.DENVER: RISING, air.OAKLAND: RISING})
    air.write_sites(tmp_path, ALL_SITES, day=dt.date(2023, 1, 1), version=1)
    air.write_sites(tmp_path, [air.OAKLAND], day=DAY)
    assert len(read_airnow(tmp_path, days=[DAY]).monitors.sites) == 2


def test_a_site_list_elsewhere_is_read_when_it_is_named(tmp_path):
    air.write_hours(tmp_path / "hours", "2024041700", {air.DENVER: RISING})
    with pytest.raises(BadMonitors, match="no site list beside AirNow's hours"):
        read_airnow(tmp_path / "hours", days=[DAY])
    lists = air.write_sites(tmp_path / "lists", ALL_SITES)
    assert read_airnow(tmp_path / "hours", sites=lists, days=[DAY]).site_lists[0].name == lists.name
    with pytest.raises(BadMonitors, match="no site list of AirNow"):
        read_airnow(tmp_path / "hours", sites=tmp_path / "hours", days=[DAY])


def test_a_site_in_no_list_is_left_out_and_named(tmp_path):
    world(tmp_path, {air.DENVER: RISING, air.OAKLAND: RISING}, sites=[air.DENVER])
    found = read_airnow(tmp_path)
    assert found.without_position == {"060010011": 48}
    assert any("no site list has 060010011" in line for line in found.lines())


def test_a_list_without_any_of_the_sites_is_an_error_that_names_one(tmp_path):
    world(tmp_path, {air.DENVER: RISING}, sites=[air.OAKLAND])
    with pytest.raises(BadMonitors, match=r"none of the 1 sites .* \(first: 080310002\)"):
        read_airnow(tmp_path, days=[DAY])


def test_a_site_at_zero_zero_has_no_position(tmp_path):
    nowhere = air.Site("080310002", 0, 0, -7)
    world(tmp_path, {air.DENVER: RISING, air.OAKLAND: RISING}, sites=[nowhere, air.OAKLAND])
    assert list(read_airnow(tmp_path, days=[DAY]).without_position) == ["080310002"]


def test_a_site_that_moved_is_two_places(tmp_path):
    moved = air.Site("080310002", 39.80, -104.99, -7)
    air.write_hours(tmp_path, "2024041700", {air.DENVER: RISING + RISING[:24]})
    air.write_sites(tmp_path, [air.DENVER], day=DAY)
    air.write_sites(tmp_path, [moved], day=NEXT)
    found = read_airnow(tmp_path, days=[DAY, NEXT])
    assert found.monitors.sites.to_numpy().tolist() == [
        ["080310002", 39.75, -104.99],
        ["080310002@2", 39.8, -104.99],
    ]
    assert found.hours["site_id"].tolist() == ["080310002", "080310002@2"]
    assert found.monitors.reading.counts["sites that moved, counted at every place"] == 1


@pytest.mark.parametrize("stated", ["", "0", "nonsense"])
def test_an_offset_that_is_absent_or_cannot_be_is_taken_from_the_longitude(stated, tmp_path):
    odd = air.Site("080310002", 39.75, -104.99, stated)
    listed = air.Site("080310002", 39.75, -104.99, "0" if stated == "0" else "")
    found = read_airnow(world(tmp_path, {odd: RISING}, sites=[listed]), days=[DAY])
    assert means(found) == {("080310002", 17): (np.mean(RISING[7:31]), 24)}
    assert found.replaced_offsets == (("080310002",) if stated == "0" else ())


def test_the_list_s_offset_goes_before_daylight_time_in_the_hours(tmp_path):
    summer = air.Site("080310002", 39.75, -104.99, -6)
    found = read_airnow(world(tmp_path, {summer: RISING}), days=[DAY])
    assert means(found) == {("080310002", 17): (np.mean(RISING[7:31]), 24)}


def test_a_longitude_without_its_minus_does_not_move_the_day(tmp_path):
    """The place is for whoever examines positions; the day is right."""
    turned = air.Site("080310002", 39.75, 104.99, -7)
    found = read_airnow(world(tmp_path, {turned: RISING}, sites=[turned]), days=[DAY])
    assert means(found) == {("080310002", 17): (np.mean(RISING[7:31]), 24)}
    assert found.monitors.sites["longitude"].tolist() == [104.99]


# Files that are missing, damaged, late


def test_a_missing_hour_is_named_and_the_day_stands_on_the_others(tmp_path):
    world(tmp_path, {air.DENVER: RISING})
    (tmp_path / "HourlyData_2024041712.dat").unlink()
    found = read_airnow(tmp_path, days=[DAY])
    assert found.missing_hours == (air.beginning("2024041712"),)
    assert means(found)[("080310002", 17)][1] == 23
    assert "missing hours (UTC): 2024-04-17 12" in found.lines()
    assert read_airnow(tmp_path).missing_hours == found.missing_hours


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_truncated_hour_is_named_with_its_line_wherever_it_ends(lost, tmp_path):
    path = world(tmp_path, {air.DENVER: RISING, air.OAKLAND: RISING}) / "HourlyData_2024041712.dat"
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(BadMonitors, match=r"HourlyData_2024041712\.dat, line 4: .* truncated; delete it"):
        read_airnow(path)


def test_a_row_that_lacks_fields_is_named_with_its_line(tmp_path):
    path = world(tmp_path, {air.DENVER: RISING, air.OAKLAND: RISING}) / "HourlyData_2024041712.dat"
    path.write_bytes(path.read_bytes().replace(b"|33|An Agency", b"", 1))
    with pytest.raises(BadMonitors, match=r"HourlyData_2024041712\.dat, line 1: it has 7 of 9 fields"):
        read_airnow(path)


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_truncated_observations_are_named_with_their_line(lost, tmp_path):
    path = air.write_observations(tmp_path, air.beginning("2024041712"), {air.DENVER: 3.0, air.OAKLAND: 4.0})
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(BadMonitors, match=r"HourlyAQObs_2024041712\.dat, line 3: .* truncated"):
        read_airnow(path)


def test_observations_without_a_column_or_with_an_odd_row_are_refused(tmp_path):
    path = air.write_observations(tmp_path, air.beginning("2024041712"), {air.DENVER: 3.0, air.OAKLAND: 4.0})
    body = path.read_bytes()
    path.write_bytes(body.replace(b'"ValidTime"', b'"Time"'))
    with pytest.raises(BadMonitors, match="lacks the columns of HourlyAQObs"):
        read_airnow(path)
    path.write_bytes(body.replace(b'"Active",', b"", 1))
    with pytest.raises(BadMonitors, match=r"HourlyAQObs_2024041712\.dat: .*Expected 18 columns, got 17"):
        read_airnow(path)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"UG/M3|12.0|", b"UG/M3|12,0|", r"line 2: value is '12,0', and must be a number"),
        (b"UG/M3|12.0|", b"MG/M3|12.0|", r"line 2: unit is 'MG/M3', and must be UG/M3"),
        (
            b"04/17/24|12:00|080310002",
            b"04/18/24|12:00|080310002",
            r"line 2: date is '04/18/24', .* 2024-04-17T12 UTC",
        ),
        (b"04/17/24|12:00|080310002", b"17.04.24|12:00|080310002", r"line 2: date is '17.04.24'"),
    ],
)
def test_a_field_that_cannot_be_is_named_with_its_line(old, new, why, tmp_path):
    path = world(tmp_path, {air.DENVER: RISING, air.OAKLAND: RISING}) / "HourlyData_2024041712.dat"
    body = path.read_bytes()
    assert old in body
    path.write_bytes(body.replace(old, new))
    with pytest.raises(BadMonitors, match=r"HourlyData_2024041712\.dat, " + why):
        read_airnow(tmp_path, days=[DAY])


def test_an_empty_hour_is_an_error(tmp_path):
    path = world(tmp_path, {air.DENVER: RISING}) / "HourlyData_2024041712.dat"
    path.write_bytes(b"")
    with pytest.raises(BadMonitors, match=r"HourlyData_2024041712\.dat is empty"):
        read_airnow(tmp_path, days=[DAY])


@pytest.mark.parametrize("version", [1, 2])
def test_a_truncated_site_list_is_named_with_its_line(version, tmp_path):
    air.write_hours(tmp_path, "2024041700", {air.DENVER: RISING})
    path = air.write_sites(tmp_path, ALL_SITES, version=version)
    body = path.read_bytes()
    path.write_bytes(body[: body.rindex(b"An Agency")])
    with pytest.raises(BadMonitors, match=r"_[Ll]ocations.*\.dat, line \d+: .* truncated"):
        read_airnow(tmp_path)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(BadMonitors, match=r"_[Ll]ocations.*\.dat, line \d+: it has \d+ of \d+ fields"):
        read_airnow(tmp_path)


def test_a_folder_of_another_month_says_which_days_it_has(tmp_path):
    world(tmp_path, {air.DENVER: RISING})
    with pytest.raises(
        BadMonitors, match=r"2024-04-17 to 2024-04-18 \(UTC\), and none of 2024-06-01 to 2024-06-02"
    ):
        read_airnow(tmp_path, days=[dt.date(2024, 6, 1), dt.date(2024, 6, 2)])


def test_a_day_of_which_too_few_hours_are_there_yet_says_how_many(tmp_path):
    world(tmp_path, {air.DENVER: RISING[:20]})
    with pytest.raises(
        BadMonitors, match=r"no mean of a day of 2024-04-17 to 2024-04-17: 20 hours are there, 12 are miss"
    ):
        read_airnow(tmp_path, days=[DAY])


def test_no_folder_or_none_of_airnow_is_one_line(tmp_path):
    with pytest.raises(BadMonitors, match="there is no file or folder"):
        read_airnow(tmp_path / "none")
    with pytest.raises(BadMonitors, match="holds no HourlyData_YYYYMMDDHH"):
        read_airnow(tmp_path)
    (tmp_path / "notes.dat").write_text("x")
    with pytest.raises(BadMonitors, match=r"notes\.dat is not called as AirNow's files are"):
        read_airnow(tmp_path / "notes.dat")


def test_a_folder_of_airnow_is_told_from_others(tmp_path):
    hour = air.write_hour(tmp_path / "copy/2024/20240417", air.beginning("2024041712"), {air.DENVER: 9})
    assert is_airnow(hour) and is_airnow(tmp_path / "copy")
    assert is_airnow(write_table(tmp_path / "table", {air.DENVER: RISING}))
    lists = air.write_sites(tmp_path / "lists", ALL_SITES)
    # A list of sites goes with the hours that are named beside it; alone in a folder it measures nothing.
    assert is_airnow(lists) and not is_airnow(lists.parent) and not is_airnow(tmp_path / "none")


def test_the_server_s_folders_are_read_as_they_are_and_hidden_ones_are_not(tmp_path):
    world(tmp_path / "airnow/2024/20240417", {air.DENVER: RISING[:24]})
    world(tmp_path / "airnow/2024/20240418", {air.DENVER: RISING[24:]}, first="2024041800")
    air.write_hour(
        tmp_path / ".fetch/HourlyData_2024041712.dat.partial", air.beginning("2024041712"), {air.DENVER: 9}
    )
    found = read_airnow(tmp_path, days=[DAY])
    assert means(found) == {("080310002", 17): (np.mean(RISING[7:31]), 24)}


def test_two_files_of_an_hour_that_differ_are_refused_and_alike_ones_count_once(tmp_path):
    world(tmp_path / "a", {air.DENVER: RISING})
    second = air.write_hour(tmp_path / "b", air.beginning("2024041712"), {air.DENVER: 12.0})
    assert means(read_airnow(tmp_path, days=[DAY]))[("080310002", 17)][1] == 24
    second.write_bytes(air.hourly_bytes(air.beginning("2024041712"), {air.DENVER: 13.0}))
    with pytest.raises(BadMonitors, match="of the same hour and differ"):
        read_airnow(tmp_path, days=[DAY])


# What each day is from


def test_a_day_names_its_files_by_their_bytes(tmp_path):
    world(tmp_path, {air.DENVER: RISING})
    files = read_airnow(tmp_path, days=[DAY]).files[DAY]
    assert [file.name for file in files] == [
        f"HourlyData_{h:%Y%m%d%H}.dat" for h in air.hours_from("2024041707", 24)
    ]
    assert files[0].sha256 == hashlib.sha256((tmp_path / files[0].name).read_bytes()).hexdigest()


def test_a_revised_hour_changes_exactly_the_days_it_touches(tmp_path):
    values = (RISING * 2)[:80]
    world(tmp_path, {air.DENVER: values, air.NEW_YORK: values})
    before = read_airnow(tmp_path)
    # 06 UTC of the 18th is the 18th in New York and still the 17th in Denver; 12 UTC is the 18th in both.
    for hour, touched in (("2024041806", {DAY, NEXT}), ("2024041812", {NEXT})):
        path = tmp_path / f"HourlyData_{hour}.dat"
        held = path.read_bytes()
        air.write_hour(tmp_path, air.beginning(hour), {air.DENVER: 500.0, air.NEW_YORK: 500.0})
        after = read_airnow(tmp_path)
        changed = {day for day in before.files if before.files[day] != after.files[day]}
        assert changed == touched
        same = before.monitors.observations.merge(after.monitors.observations, on=["site_id", "date"])
        differ = same[same["pm25_ugm3_x"] != same["pm25_ugm3_y"]]
        assert set(differ["date"].dt.date) == touched
        path.write_bytes(held)


def test_a_day_is_the_same_however_many_days_are_read(tmp_path):
    values = {air.DENVER: (RISING * 2)[:80], air.OAKLAND: [2.0] * 60 + RISING[:20]}
    world(tmp_path, values)
    alone = read_airnow(tmp_path, days=[NEXT])
    among = read_airnow(tmp_path)
    assert (
        alone.monitors.checksum
        == among.monitors.between(NEXT, NEXT).select(alone.monitors.sites["site_id"]).checksum
    )
    assert alone.files[NEXT] == among.files[NEXT]


def test_the_network_and_its_status_are_facts(tmp_path):
    facts = read_airnow(world(tmp_path, {air.DENVER: RISING}), days=[DAY]).facts()
    assert (facts["network"], facts["status"]) == ("AirNow", "preliminary")
    assert facts["site_lists"][0][0] == "Monitoring_Site_Locations_V2.dat"
    assert len(facts["files"]["2024-04-17"]) == 24


@pytest.mark.parametrize("version", [1, 2])
def test_the_daily_file_is_a_check_and_changes_nothing(version, tmp_path):
    world(tmp_path, {air.DENVER: RISING, air.OAKLAND: RISING})
    plain = read_airnow(tmp_path, days=[DAY])
    mean = float(np.mean(RISING[8:32]))
    air.write_daily(
        tmp_path, [(DAY, air.DENVER, 18.4), (DAY, air.OAKLAND, mean + 5), (NEXT, air.OAKLAND, 3)], version
    )
    found = read_airnow(tmp_path, days=[DAY])
    assert found.monitors.checksum == plain.monitors.checksum
    assert found.compared == 2
    assert found.disagreements[["site_id", "airnow_ugm3"]].to_numpy().tolist() == [["060010011", mean + 5]]
    assert "1 of 2 days differ from AirNow's daily file" in found.lines()


def test_a_damaged_daily_file_is_named_with_its_line(tmp_path):
    world(tmp_path, {air.DENVER: RISING})
    path = air.write_daily(tmp_path, [(DAY, air.DENVER, 18.4)])
    path.write_bytes(path.read_bytes().replace(b"18.4", b"18,4"))
    with pytest.raises(BadMonitors, match=r"daily_data_v2\.dat, line 1: .*'18,4'"):
        read_airnow(tmp_path, days=[DAY])
    path.write_bytes(b"04/17/24|0803\n")
    with pytest.raises(BadMonitors, match="it has 2 of 8 fields"):
        read_airnow(tmp_path, days=[DAY])


# A table of the same hours


def write_table(folder, values, first="2024041700", sites=ALL_SITES, **changes):
    rows = [
        {
            "utc": hour.replace(tzinfo=None),
            "aqsid": site.aqsid,
            "value": value,
            "gmt": str(site.offset),
            "unit": "UG/M3",
        }
        for site, of_site in values.items()
        for hour, value in zip(air.hours_from(first, len(of_site)), of_site, strict=True)
    ]
    folder.mkdir(exist_ok=True)
    pd.DataFrame(rows).assign(**changes).to_parquet(folder / "pm25_hourly_april.parquet")
    pd.DataFrame(
        [
            {"aqsid": s.aqsid, "Latitude": s.latitude, "Longitude": s.longitude, "GMTOffset": str(s.offset)}
            | {"CountryCode": s.country}
            for s in sites
        ]
    ).to_parquet(folder / "sites.parquet")
    return folder


def test_a_table_of_hours_gives_what_the_files_give(tmp_path):
    values = {air.DENVER: RISING, air.OAKLAND: RISING[::-1], air.TORONTO: RISING}
    files = read_airnow(world(tmp_path / "files", values))
    table = read_airnow(write_table(tmp_path / "table", values))
    assert files.monitors.checksum == table.monitors.checksum
    pd.testing.assert_frame_equal(files.hours, table.hours)
    assert [len(of_day) for of_day in files.files.values()] == [
        len(of_day) for of_day in table.files.values()
    ]


def test_a_table_that_grows_keeps_the_files_of_its_days(tmp_path):
    short = read_airnow(write_table(tmp_path, {air.DENVER: RISING}))
    long = read_airnow(write_table(tmp_path, {air.DENVER: RISING + RISING}))
    assert short.files[DAY] == long.files[DAY]


def test_a_table_of_another_unit_or_shape_is_refused(tmp_path):
    with pytest.raises(BadMonitors, match="a unit is 'PPB'"):
        read_airnow(write_table(tmp_path, {air.DENVER: RISING}, unit="PPB"))
    with pytest.raises(BadMonitors, match="utc holds"):
        read_airnow(write_table(tmp_path, {air.DENVER: RISING}, utc=3))
    (tmp_path / "pm25_hourly_april.parquet").write_bytes(b"no")
    with pytest.raises(BadMonitors, match="cannot read"):
        read_airnow(tmp_path)


# Now


def test_now_is_the_nowcast_of_the_latest_twelve_hours(tmp_path):
    world(tmp_path, {air.DENVER: [8.0] * 11 + [10.0], air.OAKLAND: [5.0] * 10 + [None, None]})
    now = read_nowcast(tmp_path, air.beginning("2024041711"))
    assert now["site_id"].tolist() == ["080310002"]
    assert now["pm25_ugm3"].tolist() == [pytest.approx(8.429516)]
    assert now[["latitude", "longitude"]].to_numpy().tolist() == [[39.75, -104.99]]
    with pytest.raises(BadMonitors, match="no file holds any hour"):
        read_nowcast(tmp_path, air.beginning("2024050111"))


def test_the_latest_hour_of_the_files_is_now_and_is_said(tmp_path):
    world(tmp_path, {air.DENVER: [8.0] * 11 + [10.0]})
    now = read_nowcast(tmp_path)
    assert now["hour"].tolist() == [pd.Timestamp("2024-04-17 11:00", tz="UTC")]
    assert now["pm25_ugm3"].tolist() == [pytest.approx(8.429516)]
    table = write_table(tmp_path / "table", {air.DENVER: [8.0] * 11 + [10.0]})
    pd.testing.assert_frame_equal(read_nowcast(table), now)


def test_a_nowcast_that_no_monitor_can_give_is_refused(tmp_path):
    world(tmp_path, {air.DENVER: [8.0]})
    with pytest.raises(BadMonitors, match="no monitor has two of the three hours"):
        read_nowcast(tmp_path)


def test_now_is_a_table_of_the_command_line(say, tmp_path):
    world(tmp_path / "hours", {air.DENVER: [8.0] * 11 + [10.0], air.TORONTO: [5.0] * 12})
    code, out, _ = say("data", "now", "--monitors", "hours", "--out", "now.csv")
    assert code == 0
    assert "NowCast of 1 monitors for the hour from 2024-04-17 11:00 UTC, preliminary" in out
    lines = (tmp_path / "now.csv").read_text().splitlines()
    assert lines == [
        "site_id,latitude,longitude,hour,pm25_ugm3",
        "080310002,39.75,-104.99,2024-04-17T11:00Z,8.42952",
    ]
    code, _, err = say("data", "now", "--monitors", "hours", "--out", "now.csv")
    assert code == 1
    assert "exists" in err
    more = ("data", "now", "--monitors", "hours", "--foreign-monitors", "--at", "2024-04-17T10")
    assert say(*more, "--out", "all.csv")[0] == 0
    assert [line.split(",")[0] for line in (tmp_path / "all.csv").read_text().splitlines()[1:]] == [
        "000060435",
        "080310002",
    ]


def test_an_hour_that_is_none_is_one_line(say, tmp_path):
    world(tmp_path / "hours", {air.DENVER: [8.0] * 12})
    code, _, err = say("data", "now", "--monitors", "hours", "--at", "noon", "--out", "now.csv")
    assert code == 1
    assert "2024-04-17T11" in err


# Monitors of other countries


def test_foreign_monitors_are_read_by_option_and_counted_apart(tmp_path):
    world(tmp_path, {air.DENVER: RISING, air.TORONTO: RISING, air.KATHMANDU: RISING})
    home = read_monitors(tmp_path)
    assert home.sites["site_id"].tolist() == ["080310002"]
    everywhere = read_monitors(tmp_path, rules=Rules(abroad=True))
    assert everywhere.facts_of(DAY) == {
        "monitors AirNow": 1.0,
        "monitors AirNow abroad": 2.0,
        "preliminary": 3.0,
    }
    near = without_far_ones(everywhere, load_grid("conus-10km"))
    assert near.sites["site_id"].tolist() == ["000060435", "080310002"]


def test_foreign_monitors_are_another_source_with_a_word_of_its_own():
    plain, foreign = MonitorSource(("airnow",)), MonitorSource(("airnow",), foreign=True)
    assert plain.origin != foreign.origin
    assert plain.words == ("--monitors", "airnow")
    assert foreign.words == ("--monitors", "airnow", "--foreign-monitors")
    assert "foreign" in foreign.label


def test_foreign_monitors_do_not_go_with_a_store(say):
    words = ("predict", "--date", "2020-09-12", "--predictors", "s.zarr", "--foreign-monitors")
    code, _, err = say(*words, "--out", "map.tif")
    assert code == 2
    assert "--foreign-monitors goes with --monitors" in err


# Real hours


@pytest.mark.shared
def test_real_hours_of_april_2024(shared_data):
    found = read_airnow(shared_data / "airnow_2024")
    table = found.monitors.observations.merge(found.monitors.sites, on="site_id")
    conus = table[table["longitude"].between(-125, -66.5) & table["latitude"].between(24.3, 49.5)]
    per_day = conus.groupby(conus["date"].dt.date).size()
    whole = per_day[dt.date(2024, 4, 8) : dt.date(2024, 4, 21)]
    assert len(whole) == 13 and whole.between(1040, 1080).all()
    # 14 April has 17 of 24 files.
    assert dt.date(2024, 4, 14) not in found.files
    assert len(found.missing_hours) == 7
    assert found.replaced_offsets == ("040191036",)


@pytest.mark.shared
def test_real_files_agree_with_the_table_made_of_them(shared_data, tmp_path):
    folder = shared_data / "airnow_2024"
    table = pd.read_parquet(folder / "pm25_hourly_2024-04-08_2024-04-22.parquet")
    held = list_holdings([folder / "raw"])
    rows = read_hours(held.hourly, [], None).rows
    assert len(held.hourly) == 2 and len(rows) > 2700
    both = rows.merge(table, on=["utc", "aqsid"])
    assert len(both) == len(rows)
    np.testing.assert_array_equal(both["value_x"], both["value_y"])


@pytest.mark.shared
def test_real_observations_are_stamped_and_valued_as_the_hourly_data(shared_data, tmp_path):
    folder = shared_data / "airnow_2024"
    path = tmp_path / "HourlyAQObs_2024040800.dat"
    path.write_bytes((folder / "raw/HourlyAQObs_example.dat").read_bytes())
    rows = read_hours(list_holdings([tmp_path]).hourly, [], None).rows
    table = pd.read_parquet(folder / "pm25_hourly_2024-04-08_2024-04-22.parquet")
    both = rows.merge(table, on=["utc", "aqsid"])
    assert len(both) > 1350
    np.testing.assert_allclose(both["value_x"], both["value_y"], atol=0.051)


@pytest.mark.shared
def test_the_sun_says_that_a_stamp_is_the_beginning_of_its_hour(shared_data):
    """Solar radiation where the sun rose, or set, on the stamp: light in the hour after it, or in the hour before."""
    from pvlib import solarposition as sun

    folder = shared_data / "airnow_2024"
    sites = pd.read_parquet(folder / "sites_from_HourlyAQObs.parquet").set_index("aqsid")
    day_of_year = dt.date(2024, 4, 17).timetuple().tm_yday
    minutes_ahead = sun.equation_of_time_spencer71(day_of_year)

    def mean_sine(places, first_hour):
        """Of the sun's height over an hour, 0 where it is down; (site,)."""
        hours = first_hour + np.arange(61) / 60
        angle = np.radians(
            15 * (hours - 12 + minutes_ahead / 60) + places[["Longitude"]].to_numpy()
        )  # (site, 61)
        latitude = np.radians(places[["Latitude"]].to_numpy())
        zenith = sun.solar_zenith_analytical(latitude, angle, sun.declination_spencer71(day_of_year))
        return np.clip(np.cos(zenith), 0, None).mean(axis=1)

    light, dark = {}, {}
    for hour in (0, 12):
        file = folder / f"raw/HourlyData_20240417{hour:02d}.dat"
        text = pd.read_csv(file, sep="|", header=None, encoding="latin-1", dtype={2: str})
        radiation = text[text[5] == "SRAD"].set_index(2)[7].rename("watts")
        places = sites.join(radiation, how="inner")
        places = places[(places["Longitude"] < -60) & places["watts"].between(-50, 1400)]
        before, after = mean_sine(places, hour - 1), mean_sine(places, hour)
        decided = (before == 0) & (after > 0.03) if hour else (after == 0) & (before > 0.03)
        light[hour] = int((places["watts"][decided] > 5).sum())
        dark[hour] = int((places["watts"][decided] <= 5).sum())
    # At 00 UTC the sun had just set, at 12 UTC it was about to rise.
    assert (light[0], dark[0]) == (0, 12)
    assert (light[12], dark[12]) == (22, 3)
