"""Several tables of monitors in one, and what is known of a day."""

import datetime as dt

import pandas as pd
import pytest
from aqs_rows import text_of

from pm25map.base.errors import BadMonitors
from pm25map.monitors import Monitors, join, read_monitors

DAY = dt.date(2020, 9, 12)


def table(*rows: tuple[str, str, float], **more) -> Monitors:
    """Rows of site, day and value; every site stands in Oregon, a degree from the one before."""
    seen = pd.DataFrame(rows, columns=["site_id", "date", "pm25_ugm3"]).assign(parameter_code=88101, **more)
    seen["date"] = pd.to_datetime(seen["date"])
    names = sorted(set(seen["site_id"]))
    longitude = [-122.0 + int(name[-1]) for name in names]
    return Monitors(pd.DataFrame({"site_id": names, "latitude": 44.0, "longitude": longitude}), seen)


def content(monitors: Monitors) -> list[tuple[str, int, float]]:
    seen = monitors.observations
    return [(s, d.day, v) for s, d, v in zip(seen["site_id"], seen["date"], seen["pm25_ugm3"], strict=True)]


def test_the_table_named_first_counts_where_both_have_a_value():
    first = table(("s1", "2020-09-12", 10), ("s2", "2020-09-12", 20), network="AQS")
    second = table(
        ("s1", "2020-09-12", 12), ("s1", "2020-09-13", 30), ("s3", "2020-09-12", 40), network="AirNow"
    )
    both = join([first, second])
    assert content(both) == [("s1", 12, 10), ("s1", 13, 30), ("s2", 12, 20), ("s3", 12, 40)]
    assert both.reading.counts == {"values where a table named before has one": 1}
    assert both.day_summary(DAY).by_network == {"AQS": 2, "AirNow": 1}
    assert content(join([second, first]))[0] == ("s1", 12, 12)
    with pytest.raises(BadMonitors, match="no monitors to join"):
        join([])


def test_tables_that_disagree_are_named_and_the_first_counts():
    both = join([table(("s1", "2020-09-12", 100)), table(("s1", "2020-09-12", 20))])
    assert content(both) == [("s1", 12, 100)]
    (doubt,) = both.reading.examination.doubts
    assert (doubt.site_id, doubt.action, doubt.count) == ("s1", "kept", 1)


def test_a_site_that_another_table_places_elsewhere_is_one_more_place():
    first, second = table(("s1", "2020-09-12", 1)), table(("s1", "2020-09-13", 2))
    near = second.sites.assign(latitude=44.0005)
    far = second.sites.assign(latitude=44.1)
    assert list(join([first, Monitors(near, second.observations)]).sites["site_id"]) == ["s1"]
    assert list(join([first, Monitors(far, second.observations)]).sites["site_id"]) == ["s1", "s1@2"]


def test_paths_are_joined_in_the_order_they_are_named(tmp_path):
    (tmp_path / "epa.csv").write_text(text_of({}))
    mine = "site_id,latitude,longitude,date,pm25\n410510080,45.496641,-122.602877,2020-09-12,11\n"
    (tmp_path / "mine.csv").write_text(mine + "410510080,45.496641,-122.602877,2020-09-13,12\n")
    epa_first = read_monitors([tmp_path / "epa.csv", tmp_path / "mine.csv"])
    assert content(epa_first) == [("410510080", 12, 10), ("410510080", 13, 12)]
    assert epa_first.last_day() == dt.date(2020, 9, 13)
    assert epa_first.last_day(network="AQS") == DAY
    assert epa_first.last_day(network="AirNow") is None
    assert epa_first.last_day(parameter=88502) is None
    assert content(read_monitors([tmp_path / "mine.csv", tmp_path / "epa.csv"]))[0] == ("410510080", 12, 11)


def test_epas_files_are_chosen_from_together_whatever_their_order(tmp_path):
    old = {"Arithmetic Mean": 5, "Date of Last Change": "2020-12-01"}
    new = {"Arithmetic Mean": 7, "Date of Last Change": "2021-12-01"}
    for name, row in (("old.csv", old), ("new.csv", new)):
        (tmp_path / name).write_text(text_of(row))
    for names in (["old.csv", "new.csv"], ["new.csv", "old.csv"]):
        monitors = read_monitors([tmp_path / name for name in names])
        assert content(monitors) == [("410510080", 12, 7)]
        assert monitors.day_summary(DAY).changed == dt.date(2021, 12, 1)


def test_a_day_is_summed_up():
    seen = table(
        ("s1", "2020-09-12", 1), ("s2", "2020-09-12", 2), ("s2", "2020-09-13", 3), status="preliminary"
    )
    summary = seen.day_summary(DAY)
    assert (summary.count, summary.by_parameter, summary.by_status) == (2, {88101: 2}, {"preliminary": 2})
    assert (summary.by_network, summary.changed, summary.doubts) == ({}, None, {})
    assert seen.day_summary(dt.date(2021, 1, 1)).count == 0


def test_a_revision_changes_the_checksum_of_just_its_day():
    rows = [
        ("s1", "2020-09-12", 1),
        ("s2", "2020-09-12", 2),
        ("s1", "2020-09-13", 3),
        ("s3", "2020-09-14", 3),
    ]
    before, after = table(*rows), table(*[(s, d, v + 4 * (v == 2)) for s, d, v in rows])
    days = before.days
    changed = [day for day in days if before.day_checksum(day) != after.day_checksum(day)]
    assert changed == [DAY]
    moved = Monitors(before.sites.assign(latitude=[44.0, 44.0, 44.001]), before.observations)
    assert [day for day in days if before.day_checksum(day) != moved.day_checksum(day)] == [days[2]]
    mixed = Monitors(before.sites[::-1], before.observations.sample(frac=1, random_state=3))
    assert [mixed.day_checksum(day) for day in days] == [before.day_checksum(day) for day in days]
    # Sites without a value on the day do not count.
    assert before.select(["s1", "s2"]).day_checksum(DAY) == before.day_checksum(DAY)
