"""Monitors: EPA's files to one value a site and day, and every way such a file can be wrong."""

import datetime as dt
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from aqs_rows import BLOCK_AVERAGE, HEADER, HOURS, text_of
from pyproj import Geod

from pm25map.base.errors import BadMonitors
from pm25map.monitors import Monitors, read_monitors


def values(monitors: Monitors) -> list[float]:
    return [round(float(v), 4) for v in monitors.observations["pm25_ugm3"]]


def mean(value: float, **more) -> dict[str, object]:
    return {"Arithmetic Mean": value, **more}


def test_one_row_becomes_one_site_and_one_observation(read_aqs):
    monitors = read_aqs({})
    assert monitors.sites.to_dict("records") == [
        {"site_id": "410510080", "latitude": 45.496641, "longitude": -122.602877}
    ]
    (row,) = monitors.observations.to_dict("records")
    assert row == {
        "site_id": "410510080",
        "date": pd.Timestamp("2020-09-12"),
        "pm25_ugm3": 10.0,
        "parameter_code": 88101,
        "network": "AQS",
        "changed": pd.Timestamp("2021-05-01"),
    }
    assert monitors.observations["pm25_ugm3"].dtype == np.float32


def test_pocs_are_averaged(read_aqs):
    monitors = read_aqs(mean(10), mean(20, POC=2), mean(60, POC=3))
    assert values(monitors) == [30]
    assert monitors.reading.counts["values averaged into another of the same site (POC)"] == 2


def test_a_duration_listed_twice_counts_once(read_aqs):
    hours = mean(10.875, **HOURS, POC=3)
    block = mean(10.8, **BLOCK_AVERAGE, POC=3)
    other = mean(20.8, POC=1)
    assert values(read_aqs(hours, block, other)) == [15.8]
    assert values(read_aqs(other, block, hours)) == [15.8]
    assert values(read_aqs(hours)) == [10.875]


def test_a_standard_listed_twice_counts_once_and_the_newest_wins(read_aqs):
    old = mean(1, **BLOCK_AVERAGE, **{"Pollutant Standard": "PM25 24-hour 2006"})
    annual = mean(2, **BLOCK_AVERAGE, **{"Pollutant Standard": "PM25 Annual 2024"})
    new = mean(3, **BLOCK_AVERAGE, **{"Pollutant Standard": "PM25 24-hour 2024"})
    monitors = read_aqs(old, new, annual)
    assert values(monitors) == [3]
    assert monitors.reading.counts["rows of the same measurement (duration or standard)"] == 2


def test_a_corrected_value_takes_the_place_of_the_older(read_aqs):
    old, new = (
        mean(5, **{"Date of Last Change": "2020-12-01"}),
        mean(7, **{"Date of Last Change": "2021-12-01"}),
    )
    assert values(read_aqs(old, new)) == values(read_aqs(new, old)) == [7]


def test_exact_duplicates_count_once(read_aqs):
    monitors = read_aqs(mean(10), mean(10), mean(20, POC=2), mean(10))
    assert values(monitors) == [15]
    assert monitors.reading.counts["rows that repeat another exactly"] == 2


@pytest.mark.parametrize(
    ("included", "excluded"), [("Included", "Excluded"), ("Events Included", "Events Excluded")]
)
def test_events_are_included_or_excluded_on_request(read_aqs, included, excluded):
    day = {"Date Local": "2020-09-13"}
    rows = [
        mean(300, **{"Event Type": included}),
        mean(12, **{"Event Type": excluded}),
        mean(14, **{"Event Type": "Concurred Events Excluded"}),
        mean(250, **{"Event Type": included}, **day),
        mean(8, **{"Event Type": "No Events", "Date Local": "2020-09-14"}),
    ]
    assert values(read_aqs(*rows)) == [300, 250, 8]
    # The 13th is all event: without it there is no value.
    monitors = read_aqs(*rows, events="exclude")
    assert values(monitors) == [12, 8]
    assert monitors.reading.counts["rows with events included"] == 2


def test_days_with_too_few_observations_are_left_out(read_aqs):
    rows = [mean(5, **{"Observation Percent": 71.0}), mean(9, POC=2, **{"Observation Percent": 75.0})]
    monitors = read_aqs(*rows)
    assert values(monitors) == [9]
    assert monitors.reading.counts["days with under 75 % observed"] == 1
    assert values(read_aqs(*rows, minimum_percent=50)) == [7]
    assert values(read_aqs(*rows, minimum_percent=90)) == []


def test_the_hours_tell_how_much_of_a_block_average_was_observed(read_aqs):
    rows = [mean(10, **BLOCK_AVERAGE), mean(10.04, **HOURS, **{"Observation Percent": 79})]
    assert values(read_aqs(*rows)) == [10]
    assert values(read_aqs(*rows, minimum_percent=80)) == []


@pytest.mark.parametrize(("negatives", "expected"), [("keep", [-1.5, 4]), ("drop", [4]), ("zero", [0, 4])])
def test_negative_values_are_kept_dropped_or_zeroed_and_counted(read_aqs, negatives, expected):
    monitors = read_aqs(mean(-1.5), mean(4, **{"Date Local": "2020-09-13"}), negatives=negatives)
    assert values(monitors) == expected
    assert monitors.reading.counts[f"negative values ({negatives})"] == 1


def test_88101_is_preferred_and_88502_fills_in(read_aqs):
    rows = [
        mean(10),
        mean(99, **{"Parameter Code": 88502}),
        mean(20, **{"Parameter Code": 88502, "Date Local": "2020-09-13"}),
        mean(50, **{"Parameter Code": 81102}),
    ]
    monitors = read_aqs(*rows)
    assert values(monitors) == [10, 20]
    assert list(monitors.observations["parameter_code"]) == [88101, 88502]
    assert monitors.reading.counts["rows of other parameters"] == 1
    assert values(read_aqs(*rows, parameters=(88502,))) == [99, 20]
    assert values(read_aqs(*rows, parameters=(88502, 88101))) == [99, 20]


def test_nad27_moves_to_wgs84_by_tens_of_metres(read_aqs):
    monitors = read_aqs(
        {"Datum": "NAD27"}, {"Datum": "NAD83", "Site Num": "0081"}, {"Datum": "UNKNOWN", "Site Num": 82}
    )
    old, new, unknown = monitors.sites[["longitude", "latitude"]].to_numpy()
    assert tuple(new) == tuple(unknown) == (-122.602877, 45.496641)
    azimuth, _, distance = Geod(ellps="WGS84").inv(*new, *old)
    # NADCON at Portland: 95 m west, 18 m south; three parameters are good to 10 m.
    assert distance == pytest.approx(97, abs=10)
    assert azimuth % 360 == pytest.approx(259, abs=8)
    assert monitors.reading.counts["rows whose datum is unknown, taken for WGS84"] == 1


def test_a_site_that_moves_is_two_places(read_aqs):
    near, far = {"Latitude": 45.4970}, {"Latitude": 45.5066}
    rows = [
        {**far, "Date Local": "2020-09-14"},
        {"Date Local": "2020-09-12"},
        {**near, "Date Local": "2020-09-13"},
        {**far, "Date Local": "2020-09-15"},
        {"Date Local": "2020-09-16"},
    ]
    monitors = read_aqs(*rows)
    assert monitors.sites["site_id"].tolist() == ["410510080", "410510080@2"]
    assert monitors.sites["latitude"].tolist() == [45.496641, 45.5066]
    home = monitors.observations["site_id"] == "410510080"
    assert [d.day for d in monitors.observations["date"][home]] == [12, 13, 16]
    assert monitors.reading.counts["sites that moved, counted at every place"] == 1


def test_a_row_at_zero_zero_has_no_place(read_aqs):
    monitors = read_aqs({"Latitude": 0, "Longitude": 0, "Site Num": 1}, {})
    assert monitors.sites["site_id"].tolist() == ["410510080"]
    assert monitors.reading.counts["rows without a place (0, 0)"] == 1


def test_leading_zeros_come_back_and_canada_stays(read_aqs):
    monitors = read_aqs(
        {"State Code": 6, "County Code": 1, "Site Num": 7}, {"State Code": "CC", "Site Num": 8}
    )
    assert monitors.sites["site_id"].tolist() == ["060010007", "CC0510008"]


def test_the_column_names_of_r_are_read_too(tmp_path):
    official, dotted = tmp_path / "a.csv", tmp_path / "b.csv"
    lines = text_of(mean(3), mean(4, POC=2)).splitlines()
    official.write_text("\n".join(lines))
    dotted.write_text("\n".join([lines[0].replace(" ", ".").replace('"1st', '"X1st'), *lines[1:]]))
    assert read_monitors(official).checksum == read_monitors(dotted).checksum


def test_chunks_and_files_do_not_change_the_answer(tmp_path, monkeypatch):
    rows = [
        mean(i, POC=i % 3, **{"Date Local": f"2020-09-{1 + i % 9:02d}", "Site Num": i % 4}) for i in range(60)
    ]
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "daily_88101_2020.csv").write_text(text_of(*rows))
    whole = read_monitors(tmp_path / "whole")
    monkeypatch.setattr("pm25map.monitors.aqs.CHUNK_ROWS", 7)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "b.csv").write_text(text_of(*rows[40:][::-1]))
    with zipfile.ZipFile(tmp_path / "parts" / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("daily_88101_2020.csv", text_of(*rows[:20]))
        archive.writestr("notes.txt", "not a table")
        archive.writestr("daily_88101_2021.csv", text_of(*rows[15:40]))
    parts = read_monitors(tmp_path / "parts")
    assert parts.checksum == whole.checksum
    assert parts.reading.counts["rows that repeat another exactly"] == 5
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == ["a.zip", "b.csv"]


def test_a_line_number_counts_over_chunks_and_blank_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("pm25map.monitors.aqs.CHUNK_ROWS", 2)
    lines = text_of({}, {}, {}, {}, mean("ten")).splitlines()
    lines.insert(3, "")
    (tmp_path / "bad.csv").write_text("\n".join(lines))
    with pytest.raises(
        BadMonitors, match=r"bad\.csv, line 7: Arithmetic Mean is 'ten', and must be a number"
    ):
        read_monitors(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Arithmetic Mean": ""}, "line 3: Arithmetic Mean is ''"),
        ({"Arithmetic Mean": "inf"}, "line 3: Arithmetic Mean is 'inf'"),
        ({"Arithmetic Mean": "1,5"}, "line 3: Arithmetic Mean is '1,5'"),
        ({"Latitude": "455"}, "line 3: Latitude is '455', and must be a number from -90 to 90"),
        ({"Observation Percent": "-1"}, "line 3: Observation Percent"),
        ({"POC": "first"}, "line 3: POC"),
        ({"Parameter Code": "PM2.5"}, "line 3: Parameter Code"),
        ({"Date Local": "09/12/2020"}, "line 3: Date Local is '09/12/2020', and must be a day as YYYY-MM-DD"),
        ({"Date Local": "2020-02-30"}, "line 3: Date Local"),
        ({"Units of Measure": "Parts per billion"}, "line 3: Units of Measure is 'Parts per billion'"),
        ({"Sample Duration": "3 HOURS"}, "line 3: Sample Duration"),
        ({"Event Type": "Perhaps"}, "line 3: Event Type"),
        ({"County Code": "0511"}, "line 3: County Code"),
        ({"Datum": "MARS"}, "site 410510080 is in the datum 'MARS'"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(read_aqs, change, message):
    with pytest.raises(BadMonitors, match=message):
        read_aqs({}, {"POC": 2, **change})


def test_a_wrong_row_of_another_parameter_does_no_harm(read_aqs):
    assert values(read_aqs({}, {"Parameter Code": 44201, "Units of Measure": "Parts per million"})) == [10]


def test_missing_columns_are_named(tmp_path):
    header = [c for c in HEADER if c not in ("Datum", "Arithmetic Mean")]
    (tmp_path / "x.csv").write_text(text_of({}, header=header))
    with pytest.raises(BadMonitors, match=r"x\.csv lacks the columns Datum, Arithmetic Mean"):
        read_monitors(tmp_path / "x.csv")


def whole_zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d.csv", text_of(*[mean(i, POC=i) for i in range(50)]))
    return target.getvalue()


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(255 - b for b in content[middle : middle + 40]) + content[middle + 40 :]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", b"not a zip", "damaged or not a zip"),
        ("a.zip", whole_zip()[:-200], "damaged or not a zip"),
        ("a.zip", flipped(whole_zip()), "damaged or not a zip|cannot read|line"),
        ("a.csv", b"", "is empty"),
        ("a.csv", text_of({}, {}).encode()[:-200], "line 3"),
        ("a.csv", (text_of({}) + '"1",' * 40 + "\n").encode(), "cannot read"),
        (
            "a.csv",
            text_of({}, {}).replace("\r\n", ",\r\n").replace(",\r\n", "\r\n", 1).encode(),
            "more fields",
        ),
        ("a.csv", b"\xff\xfe\x00\x01" * 100, "lacks the columns|cannot read"),
        ("a.txt", b"hello", "neither .csv nor .zip"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadMonitors, match=message):
        read_monitors(tmp_path / name)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(BadMonitors, match="no file or folder"):
        read_monitors(tmp_path / "absent.csv")
    with pytest.raises(BadMonitors, match="holds no monitors"):
        read_monitors(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(BadMonitors, match=r"holds no \.csv"):
        read_monitors(tmp_path / "a.zip")
    with pytest.raises(BadMonitors, match="give 0 to 100"):
        read_monitors(tmp_path / "a.zip", minimum_percent=175)


def parquet(folder: Path, **changes: object) -> Path:
    sites = pd.DataFrame({"site_id": ["B", "A"], "latitude": [40.0, 45.0], "longitude": [-100.0, -120.0]})
    days = pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-01", "2020-01-01"])
    rows = {"site_id": ["A", "A", "B", "B"], "date": days, "pm25_ugm3": [1.0, -2.0, 3.0, 9.0]}
    rows = pd.DataFrame(rows | {"parameter_code": [88101, 88502, 88101, 88502]} | changes)
    sites.to_parquet(folder / "sites.parquet")
    rows.to_parquet(folder / "pm25_daily.parquet")
    return folder


def test_the_parquet_tables_are_read(tmp_path):
    monitors = read_monitors(parquet(tmp_path))
    assert monitors.sites["site_id"].tolist() == ["A", "B"]
    assert values(monitors) == [-2, 1, 3]
    assert values(read_monitors(tmp_path, negatives="zero")) == [0, 1, 3]
    assert values(read_monitors(tmp_path, parameters=(88502,))) == [-2, 9]


def test_wrong_parquet_tables_are_refused(tmp_path):
    with pytest.raises(BadMonitors, match="exclude them"):
        read_monitors(parquet(tmp_path), events="exclude")
    with pytest.raises(BadMonitors, match="must hold numbers"):
        read_monitors(parquet(tmp_path, pm25_ugm3=list("abcd")))
    with pytest.raises(BadMonitors, match="no row among the sites"):
        read_monitors(parquet(tmp_path, site_id=["A", "A", "B", "C"]))
    parquet(tmp_path)
    pd.DataFrame({"site_id": ["A"]}).to_parquet(tmp_path / "sites.parquet")
    with pytest.raises(BadMonitors, match="lacks the columns latitude, longitude"):
        read_monitors(tmp_path)
    (tmp_path / "sites.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(BadMonitors, match=r"cannot read .*sites\.parquet"):
        read_monitors(tmp_path)


def address_world() -> Monitors:
    """Values spell their day and site: 10 * day of January + site number; site 1 misses 3 January."""
    sites = pd.DataFrame({"site_id": ["s2", "s0", "s1"], "latitude": [42.0, 40, 41], "longitude": -100.0})
    rows = [
        {
            "site_id": f"s{s}",
            "date": pd.Timestamp(2020, 1, d),
            "pm25_ugm3": 10 * d + s,
            "parameter_code": 88101 + 401 * s,
        }
        for d in (3, 1, 2)
        for s in (1, 0, 2)
        if (s, d) != (1, 3)
    ]
    return Monitors(sites, pd.DataFrame(rows))


def test_the_matrix_puts_every_value_at_its_day_and_site():
    days = [dt.date(2020, 1, d) for d in (3, 9, 1)]
    world = address_world()
    np.testing.assert_array_equal(world.matrix(days), [[30, np.nan, 32], [np.nan] * 3, [10, 11, 12]])
    np.testing.assert_array_equal(world.codes(days), [[88101, 0, 88903], [0] * 3, [88101, 88502, 88903]])
    assert world.matrix(days).dtype == np.float32
    assert world.codes(days).dtype == np.int32
    assert world.matrix([]).shape == (0, 3)
    with pytest.raises(BadMonitors, match="twice"):
        world.matrix([days[0], days[0]])


def test_select_and_between_keep_what_they_say():
    world = address_world()
    one = world.select(["s2", "s0"])
    np.testing.assert_array_equal(one.matrix([dt.date(2020, 1, 2)]), [[20, 22]])
    with pytest.raises(BadMonitors, match="first: nowhere"):
        world.select(["s0", "nowhere"])
    two = world.between(dt.date(2020, 1, 2), dt.date(2020, 1, 3))
    assert two.days == [dt.date(2020, 1, 2), dt.date(2020, 1, 3)]
    assert len(two.sites) == 3
    assert sorted(values(two)) == [20, 21, 22, 30, 32]


def test_the_checksum_sees_content_and_not_order():
    world = address_world()
    mixed = Monitors(world.sites[::-1], world.observations.sample(frac=1, random_state=1))
    assert mixed.checksum == world.checksum
    changed = world.observations.copy()
    changed.loc[3, "pm25_ugm3"] += 0.5
    other = [
        Monitors(world.sites, changed),
        world.select(["s0", "s1"]),
        world.between(dt.date(2020, 1, 1), dt.date(2020, 1, 1)),
    ]
    assert len({world.checksum, *(m.checksum for m in other)}) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sites": pd.DataFrame({"site_id": ["s0"], "latitude": [1.0]})}, "lacks longitude"),
        ({"sites": address_world().sites.iloc[[0, 0, 1, 2]]}, "site s0 stands twice"),
        ({"sites": address_world().sites.assign(latitude=[40.0, np.nan, 42.0])}, "site s1 has no place"),
        ({"sites": address_world().sites[:2]}, "site s2 has observations"),
        (
            {"observations": address_world().observations.iloc[[0, 0]]},
            "site s0 has two observations on 2020-01-01",
        ),
        ({"observations": address_world().observations.assign(pm25_ugm3=np.nan)}, "not a finite number"),
    ],
)
def test_a_wrong_table_cannot_be_made(change, message):
    world = address_world()
    with pytest.raises(BadMonitors, match=message):
        Monitors(**({"sites": world.sites, "observations": world.observations} | change))


@pytest.mark.shared
def test_a_provider_file_agrees_with_the_shared_table(shared_data):
    provided = read_monitors(shared_data / "providers" / "aqs" / "aqs_daily_88101_triangle.csv")
    table = read_monitors(shared_data / "aqs")
    both = provided.observations.merge(table.observations, on=["site_id", "date"])
    assert len(both) == 56
    np.testing.assert_array_equal(both["pm25_ugm3_x"], both["pm25_ugm3_y"])


@pytest.mark.shared
def test_the_shared_table_holds_the_smoke_over_oregon(shared_data):
    monitors = read_monitors(shared_data / "aqs")
    assert len(monitors.sites) == 1304
    # Five runs of 12 to 26 equal days, which the table's own README names, are left out.
    assert len(monitors.observations) == 1_514_196 - 84
    oregon = monitors.select([s for s in monitors.sites["site_id"] if s.startswith("41")])
    assert np.nanmedian(oregon.matrix([dt.date(2020, 9, 12)])) > 200
