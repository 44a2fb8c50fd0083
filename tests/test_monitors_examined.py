"""Monitors are examined: what no instrument says, dead monitors and sites that stand nowhere are left out, by name."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from pm25map.base.errors import BadMonitors
from pm25map.model.card import load_model
from pm25map.monitors import Monitors, read_monitors
from pm25map.monitors.examine import examine, examine_counts, examine_runs
from pm25map.monitors.ground import in_united_states
from pm25map.monitors.rules import (
    CODE,
    DEAD,
    EARLY,
    HALVED,
    MINUS,
    NOWHERE,
    RANGE,
    STUCK,
    SWAPPED,
    TWINS,
    ZERO,
    Rules,
)

FIRST = dt.date(2020, 1, 1)


def world(values: dict[str, list[float]], places: dict[str, tuple[float, float]] | None = None) -> Monitors:
    """Sites in Nebraska, a degree apart, with a value a day from 1 January 2020; NaN is no value."""
    sites = [
        {"site_id": site, "latitude": lat, "longitude": lon}
        for site, (lat, lon) in {
            **{site: (41.0, -102.0 + number) for number, site in enumerate(values)},
            **(places or {}),
        }.items()
    ]
    rows = [
        {
            "site_id": site,
            "date": pd.Timestamp(FIRST) + pd.Timedelta(days=day),
            "pm25_ugm3": value,
            "parameter_code": 88101,
        }
        for site, row in values.items()
        for day, value in enumerate(row)
        if not np.isnan(value)
    ]
    return Monitors(pd.DataFrame(sites), pd.DataFrame(rows))


def kept(monitors: Monitors, site: str) -> list[float]:
    seen = monitors.observations
    return [float(v) for v in seen["pm25_ugm3"][seen["site_id"] == site]]


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def test_a_monitor_that_repeats_one_value_for_ten_days_is_left_out_for_these_days():
    lively = [float(v) for v in range(12)]
    table, examination = examine(world({"dead": [3.0, *[0.0] * 10, 4.0], "alive": lively}))
    assert kept(table, "dead") == [3, 4]
    assert kept(table, "alive") == lively
    (doubt,) = examination.doubts
    assert (doubt.rule, doubt.site_id, doubt.count, doubt.action) == (STUCK, "dead", 10, "left out")
    assert (doubt.first_day, doubt.last_day) == (day(1), day(10))
    assert examination.on(day(1)) == {STUCK: 1} and examination.on(day(11)) == {}
    assert table.reading.counts == {STUCK: 10}
    assert table.reading.lines()[-1] == (
        "site dead, 2020-01-02 to 2020-01-11: a monitor that repeats one value, 0 ug/m3 without change; 10 left out"
    )


def test_nine_equal_days_are_kept_and_days_without_a_value_do_not_break_a_run():
    nine, gaps = [*[5.0] * 9, 6.0], [5.0] * 5 + [np.nan] * 3 + [5.0] * 5
    table, examination = examine(world({"nine": nine, "gaps": gaps}))
    assert len(kept(table, "nine")) == 10
    assert kept(table, "gaps") == []
    assert examination.left_out == 10
    assert list(table.sites["site_id"]) == ["nine"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=30), min_size=1, max_size=3))
def test_runs_are_those_a_plain_loop_finds(series):
    table = world({f"s{i}": values for i, values in enumerate(series)}).observations
    left, examination = examine_runs(table.sample(frac=1, random_state=0), Rules(stuck_days=4))
    expected = 0
    for values in series:
        run = 0
        for i, value in enumerate(values):
            run = run + 1 if i and value == values[i - 1] else 1
            if i + 1 == len(values) or values[i + 1] != value:
                expected += run if run >= 4 else 0
    assert examination.left_out == expected == len(table) - len(left)


def test_a_monitor_at_zero_on_most_days_is_dead_for_that_year():
    # No run of zeros is long: every fifth day says something else.
    flicker = [0.1 * (number % 5 == 0) for number in range(366 + 200)]
    flicker[366:] = [float(number % 3) for number in range(200)]
    table, examination = examine(world({"dead": flicker, "alive": [float(d % 7) for d in range(566)]}))
    assert len(kept(table, "dead")) == 200
    assert len(kept(table, "alive")) == 566
    assert examination.counts == {DEAD: 366}
    assert examination.doubts[0].last_day == dt.date(2020, 12, 31)


def test_a_stuck_monitor_does_not_hide_behind_another_of_its_site(read_aqs):
    days = [f"2020-09-{d:02d}" for d in range(1, 12)]
    stuck = [{"Date Local": d, "Arithmetic Mean": 0.0} for d in days]
    alive = [{"Date Local": d, "Arithmetic Mean": 10.0 + i, "POC": 2} for i, d in enumerate(days)]
    monitors = read_aqs(*stuck, *alive)
    assert kept(monitors, "410510080") == [10.0 + i for i in range(11)]
    assert monitors.reading.counts[STUCK] == 11
    # Without the examination the mean of both stands, as a laboratory may want it.
    assert kept(read_aqs(*stuck, *alive, examine=False), "410510080")[0] == 5


def test_noise_made_zero_is_not_taken_for_a_dead_monitor(read_aqs):
    rows = [{"Date Local": f"2020-09-{d:02d}", "Arithmetic Mean": -0.1 * d} for d in range(1, 13)]
    assert kept(read_aqs(*rows, negatives="zero"), "410510080") == [0] * 12


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *(
            ("-999", CODE),
            ("-9999.0", CODE),
            ("99999", CODE),
            ("1e308", CODE),
            ("-1e20", CODE),
            ("9999", CODE),
        ),
        *(
            ("-15.1", RANGE),
            ("2000.5", RANGE),
            ("123456", RANGE),
            ("2000", None),
            ("-15", None),
            ("999", None),
        ),
    ],
)
def test_what_no_instrument_says_is_left_out_and_named_by_site_and_line(read_aqs, tmp_path, text, rule):
    monitors = read_aqs({}, {"Site Num": 7, "Date Local": "2020-09-13", "Arithmetic Mean": text})
    if rule is None:
        assert kept(monitors, "410510007") == [float(text)]
        return
    assert list(monitors.sites["site_id"]) == ["410510080"]
    (doubt,) = monitors.reading.examination.doubts
    assert (doubt.rule, doubt.site_id, doubt.line, doubt.first_day) == (
        *(rule, "410510007", 3),
        dt.date(2020, 9, 13),
    )
    assert doubt.file == str(tmp_path / "daily_88101_2020.csv")
    assert f"{float(text):g} ug/m3" in str(doubt)


def test_a_table_of_nothing_but_codes_is_refused(read_aqs):
    with pytest.raises(BadMonitors, match=r"no value is left of .*site 410510080, 2020-09-12 .*line 2.*-999"):
        read_aqs({"Arithmetic Mean": -999})


def test_a_day_in_the_future_is_refused_and_one_before_1999_left_out(read_aqs):
    with pytest.raises(BadMonitors, match=r"line 3: .*2999-01-01"):
        read_aqs({}, {"Date Local": "2999-01-01"})
    with pytest.raises(BadMonitors, match="2999-01-01"):
        read_aqs({}, {"Date Local": "2999-01-01"}, examine=False)
    monitors = read_aqs({}, {"Date Local": "1998-12-31"})
    assert monitors.days == [dt.date(2020, 9, 12)]
    assert monitors.reading.counts[EARLY] == 1


def test_one_longitude_without_its_minus_is_left_out_and_most_of_them_are_refused(read_aqs):
    lost = {"Longitude": "122.602877"}
    good = [{"Site Num": n} for n in (1, 2)]
    monitors = read_aqs(*good, {"Site Num": 3, **lost})
    assert len(monitors.sites) == 2
    (doubt,) = monitors.reading.examination.doubts
    assert (doubt.rule, doubt.site_id, doubt.line) == (MINUS, "410510003", 4)
    with pytest.raises(
        BadMonitors, match=r"2 of 3 sites \(such as 410510004, 410510005\).*put a minus before"
    ):
        read_aqs(good[0], {"Site Num": 4, **lost}, {"Site Num": 5, **lost})


def test_swapped_coordinates_are_known_as_such():
    swapped = {"b": (-80.0, 35.5)}
    table, examination = examine(world({"a": [1], "b": [2], "c": [3]}, swapped))
    assert examination.counts == {SWAPPED: 1}
    assert list(table.sites["site_id"]) == ["a", "c"]
    with pytest.raises(BadMonitors, match="exchange the two columns"):
        examine(world({"b": [2]}, swapped))


@pytest.mark.parametrize(
    ("lat", "lon", "legal"),
    [
        *((45.5, -122.6, True), (25.0, -90.0, False), (51.5, 0.1, False), (0.0, 0.0, False)),
        *((61.2, -149.9, True), (21.3, -157.9, True), (18.4, -66.1, True), (13.4, 144.8, True)),
        *((49.28, -123.12, False), (19.4, -99.1, False), (41.28, -70.05, True), (33.0, -119.9, False)),
        *((26.0711, -97.1577, True), (-14.3, -170.7, True), (52.9, 173.2, True), (40.0, 116.0, False)),
    ],
)
def test_sites_of_the_united_states_are_legal_and_none_else(lat, lon, legal):
    assert in_united_states(np.array([lon]), np.array([lat])).tolist() == [legal]


def test_a_site_at_sea_or_abroad_is_left_out_unless_it_is_asked_for():
    places = {"sea": (36.0, -125.5), "tijuana": (32.5, -116.7), "calgary": (51.05, -114.07)}
    given_world = world({"a": [1], "sea": [2], "tijuana": [3], "calgary": [4]}, places)
    table, examination = examine(given_world)
    # Tijuana's valley lies within five kilometres of San Diego's county; Calgary and the sea do not.
    assert {d.site_id for d in examination.doubts} == {"sea", "calgary"} | (
        set() if "tijuana" in set(table.sites["site_id"]) else {"tijuana"}
    )
    assert examination.counts[NOWHERE] == len(examination.doubts)
    assert len(examine(given_world, Rules(abroad=True))[0].sites) == 4
    # A caller's own land counts in place of the package's.
    assert len(examine(given_world, land=box(-130, 30, -90, 55))[0].sites) == 4


def test_zero_zero_is_named(read_aqs):
    monitors = read_aqs({}, {"Site Num": 9, "Latitude": 0, "Longitude": 0})
    assert monitors.reading.counts[ZERO] == 1
    assert "site 410510009, 2020-09-12" in monitors.reading.lines()[-1]


def test_two_sites_at_one_point_that_disagree_are_both_left_out_on_that_day():
    values = {"a": [10.0, 10.0, 50.0, 5.0], "b": [11.0, 40.0, 60.0, np.nan], "c": [90.0, 90.0, 1.0, 2.0]}
    table, examination = examine(world(values, {"b": (41.00005, -102.00005)}))
    assert kept(table, "a") == [10, 50, 5]
    assert kept(table, "b") == [11, 60]
    assert len(kept(table, "c")) == 4
    assert examination.counts == {TWINS: 2}
    assert {(d.site_id, d.first_day) for d in examination.doubts} == {("a", day(1)), ("b", day(1))}
    far = world(values, {"b": (41.001, -102.0)})
    assert examine(far)[1].doubts == ()


def test_many_sites_at_one_point_are_judged_together():
    names = [f"s{number:03d}" for number in range(300)]
    values = {name: [10.0 + number / 100, 30.0, 5.0 + number % 2] for number, name in enumerate(names)}
    values["s150"][1] = 80.0
    table, examination = examine(world(values, dict.fromkeys(names, (41.0, -100.0))))
    assert examination.counts == {TWINS: 300}
    assert examination.on(day(1)) == {TWINS: 300}
    assert table.days == [day(0), day(2)]


def test_a_day_on_which_a_network_halves_is_named_and_kept():
    values = {f"s{i:02d}": [float(i + d) for d in range(16)] for i in range(10)}
    for site in list(values)[:6]:
        values[site][8] = np.nan
    table, examination = examine(world(values))
    assert len(table.observations) == 154
    (doubt,) = examination.doubts
    assert (doubt.rule, doubt.first_day, doubt.count, doubt.action) == (HALVED, day(8), 4, "kept")
    assert doubt.detail == "4 of 10 sites"
    assert table.day_summary(day(8)).doubts == {HALVED: 4}


def test_each_network_is_counted_by_itself_and_samplers_of_every_third_day_are_no_alarm():
    third = {f"s{i}": [float(d) if d % 3 == 0 or i < 2 else np.nan for d in range(30)] for i in range(9)}
    seen = world(third).observations
    assert examine_counts(seen, Rules()).doubts == ()
    one = world({f"s{i}": [1.0 * d for d in range(20)] for i in range(4)}).observations.assign(network="A")
    other = one.assign(network="B")[~((one["date"] == pd.Timestamp(day(10))) & (one["site_id"] != "s0"))]
    both = examine_counts(pd.concat([one, other]), Rules())
    assert [(d.detail, d.first_day) for d in both.doubts] == [("B 1 of 4 sites", day(10))]


def test_two_values_of_one_monitor_and_day_leave_it_without_one(read_aqs):
    monitors = read_aqs({"Arithmetic Mean": 10}, {"Arithmetic Mean": 40}, {"POC": 2, "Arithmetic Mean": 12})
    assert kept(monitors, "410510080") == [12]
    (doubt,) = monitors.reading.examination.doubts
    assert (doubt.rule, doubt.line) == ("two values of one monitor and day", 2)


def test_doubts_are_counted_when_there_are_too_many_to_print():
    values = {f"s{i:02d}": [7.0] * 10 for i in range(13)}
    examination = examine(world({**values, "z": [1.0 * d for d in range(10)]}))[1]
    assert len(examination.lines()) == 11
    assert examination.lines()[-1] == "and 3 more"
    assert examination.on(day(0)) == {STUCK: 13}


@pytest.mark.shared
def test_the_shared_table_has_just_the_five_runs_that_its_readme_names(shared_data):
    doubts = read_monitors(shared_data / "aqs").reading.examination.doubts
    assert [(d.site_id, d.count, d.rule) for d in doubts] == [
        *(("060731201", 12, STUCK), ("401159004", 19, STUCK), ("401159007", 13, STUCK)),
        *(("420590002", 14, STUCK), ("530270011", 26, STUCK)),
    ]


@pytest.mark.shared
def test_no_real_site_of_the_history_stands_outside(shared_data):
    sites = pd.read_parquet(shared_data / "aqs_history" / "sites.parquet")
    assert in_united_states(sites["longitude"].to_numpy(), sites["latitude"].to_numpy()).all()


def test_monitors_are_known_by_their_checksum_of_before_they_were_examined(shared_data):
    folder = shared_data / "aqs"
    examined, plain = read_monitors(folder), read_monitors(folder, examine=False)
    assert examined.checksum != plain.checksum
    assert examined.matches(plain.checksum) and examined.matches(examined.checksum)
    assert plain.matches(plain.checksum) and not plain.matches(examined.checksum)
    card = load_model("conus-ensemble").card
    assert examined.matches(card.training.monitors_checksum)


def test_every_command_that_reads_monitors_says_what_it_left_out(say, tmp_path, monkeypatch):
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))
    places = [(45 + i / 10, -100 - i / 10) for i in range(6)]
    days = [dt.date(2020, 8, 1) + dt.timedelta(days=i) for i in range(43)]
    rows = [
        f"s{i},{lat},{lon},{day},{8 + i + day.day / 4}" for i, (lat, lon) in enumerate(places) for day in days
    ]
    rows[42] = rows[42].rpartition(",")[0] + ",-999"
    (tmp_path / "daily.csv").write_text("\n".join(["site_id,latitude,longitude,date,pm25", *rows]) + "\n")
    day = ("--date", "2020-09-12", "--monitors", "daily.csv")
    period = ("--start", "2020-09-12", "--end", "2020-09-12", "--monitors", "daily.csv")
    told = (
        "site s0, 2020-09-12 (daily.csv, line 44): a code for a missing value, it says -999 ug/m3; 1 left out"
    )
    for words in (
        ("validate", *day, "--out", "v"),
        ("predict", *day, "--region", "north dakota", "--out", "m.tif"),
        ("data", "ingest", "--source", "knnidw", *period, "--store", "s.zarr"),
    ):
        code, out, err = say(*words)
        assert code == 0, (out, err)
        assert f"Monitors: {told}\n" in err, words
