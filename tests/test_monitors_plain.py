"""Plain tables of monitors, and every way that such a table, a folder or an archive can be wrong."""

import zipfile

import geopandas
import numpy as np
import pandas as pd
import pytest
from aqs_rows import text_of

from pm25map.base.errors import BadMonitors
from pm25map.monitors import read_monitors

HEADER = "site_id,latitude,longitude,date,pm25"
ROWS = ["410510080,45.5,-122.6,2020-09-12,10.5", "060010007,37.8,-122.2,2020-09-12,20.25"]


@pytest.fixture
def read(tmp_path):
    """Read a plain table from lines of CSV."""

    def read_these(*lines, header=HEADER, **options):
        path = tmp_path / "mine.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return read_monitors(path, **options)

    return read_these


def frame() -> pd.DataFrame:
    table = pd.DataFrame([row.split(",") for row in ROWS], columns=HEADER.split(","))
    table["date"] = pd.to_datetime(table["date"])
    return table.astype({"latitude": float, "longitude": float, "pm25": float})


def test_csv_parquet_and_geoparquet_say_the_same(read, tmp_path):
    from_csv = read(*ROWS)
    assert from_csv.sites["site_id"].tolist() == ["060010007", "410510080"]
    assert from_csv.observations["pm25_ugm3"].tolist() == [20.25, 10.5]
    assert set(from_csv.observations["parameter_code"]) == {88101}
    assert set(from_csv.observations["network"]) == {"table"}
    frame().to_parquet(tmp_path / "a.parquet")
    points = geopandas.points_from_xy(frame()["longitude"], frame()["latitude"], crs="EPSG:4326")
    placed = geopandas.GeoDataFrame(frame().drop(columns=["latitude", "longitude"]), geometry=points)
    placed.to_parquet(tmp_path / "b.parquet")
    placed.to_crs("EPSG:5070").to_parquet(tmp_path / "c.parquet")
    for name in "abc":
        assert read_monitors(tmp_path / f"{name}.parquet").checksum == from_csv.checksum, name


def test_columns_may_be_capital_in_any_order_and_name_the_parameter(read):
    monitors = read(
        "20.5,88502,2020-09-12,-122.6,45.5,41510080,AirNow,20",
        header=" PM25_ugm3,Parameter_Code,Date,Longitude,Latitude,SITE_ID,network,hours",
    )
    (row,) = monitors.observations.to_dict("records")
    assert (row["site_id"], row["parameter_code"], row["network"], row["hours"]) == (
        *("041510080", 88502),
        *("AirNow", 20),
    )


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        ([], HEADER, "holds no row, only its header"),
        (ROWS, HEADER.replace("pm25", "value"), r"lacks the columns pm25: a table of monitors needs site_id, lat"),
        (["1,2"], "time,thing", r"lacks the columns of EPA's daily files .* plain table: site_id, latitude"),
        ([ROWS[0], "x,45.5,-122.6,12/09/2020,1"], HEADER, r"line 3 \(site x\): date is '12/09/2020', and must be"),
        ([ROWS[0].replace("-12,", "-12T10:00,")], HEADER, "without hours and time zone"),
        ([ROWS[0].replace("-12,", "-12T00:00:00+00:00,")], HEADER, "without hours and time zone"),
        ([ROWS[0].replace("2020", "2999")], HEADER, r"line 2.*2999-09-12"),
        ([ROWS[0].replace("10.5", "ten")], HEADER, r"line 2 \(site 410510080\): pm25 is 'ten', and must be a number"),
        ([ROWS[0].replace("45.5", "455")], HEADER, "latitude is '455', and must be a number of degrees"),
        ([ROWS[0].replace("45.5", "")], HEADER, "latitude is ''"),
        ([ROWS[0].replace("410510080", "")], HEADER, "site_id is ''"),
        ([ROWS[0].replace("10.5", "10,5")], HEADER, "more fields than its header"),
        ([ROWS[0] + ",mg/m3"], HEADER + ",units", "unit is 'mg/m3', and must be ug/m3"),
        ([ROWS[0], "", ROWS[0].replace("10.5", "99")], HEADER, r"-12 \(88101\): 10.5 .*line 2\) and 99 .*line 4"),
        ([ROWS[0].replace("10.5", "1e308")], HEADER, r"no value is left .*line 2.*1e\+308"),
        ([ROWS[0].replace("10.5", "")], HEADER, r"no value is left .*line 2.*no value"),
        ([ROWS[0] + ",8.5"], HEADER + ",parameter_code", "parameter_code is '8.5'"),
        ([ROWS[0] + ",3"], HEADER + ",PM25", "has the column pm25 twice"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_in_one_line(read, lines, header, message):
    with pytest.raises(BadMonitors, match=message) as caught:
        read(*lines, header=header)
    assert "\n" not in str(caught.value)


def test_rows_without_a_value_and_repeated_rows_are_counted(read):
    monitors = read(
        *ROWS, ROWS[0], "410510080,45.5,-122.6,2020-09-13,NaN", "410510080,45.5,-122.6,2020-09-14,-999"
    )
    assert len(monitors.observations) == 2
    counts = monitors.reading.counts
    assert counts["rows that repeat another exactly"] == 1
    assert (counts["no value"], counts["a code for a missing value"]) == (1, 1)
    assert [d.line for d in monitors.reading.examination.doubts] == [5, 6]


def test_a_site_of_a_plain_table_that_moves_is_two_places(read):
    monitors = read(*ROWS, "410510080,45.6,-122.6,2020-09-13,7")
    assert monitors.sites["site_id"].tolist() == ["060010007", "410510080", "410510080@2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"date": pd.to_datetime(["2020-09-12", "2020-09-13"], utc=True)}, "have the time zone UTC"),
        ({"date": pd.to_datetime(["2020-09-12", None])}, r"line 2 \(site 060010007\): date is 'NaT'"),
        ({"date": [20200912, 20200913]}, "date is '20200912', and must be a day"),
        ({"pm25": ["1", "x"]}, "pm25 is 'x'"),
        ({"pm25": [np.nan, np.nan]}, "no value is left"),
        ({"latitude": [45.5, np.nan]}, r"line 2 \(site 060010007\): latitude is 'nan'"),
    ],
)
def test_a_wrong_parquet_table_is_refused(tmp_path, change, message):
    frame().assign(**change).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadMonitors, match=message):
        read_monitors(tmp_path / "a.parquet")


def test_geoparquet_without_a_crs_or_with_lines_is_refused(tmp_path):
    points = geopandas.points_from_xy([-122.6, -122.2], [45.5, 37.8])
    geopandas.GeoDataFrame(frame(), geometry=points).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadMonitors, match="has no CRS"):
        read_monitors(tmp_path / "a.parquet")
    circles = geopandas.GeoSeries(points, crs="EPSG:5070").buffer(1)
    geopandas.GeoDataFrame(frame(), geometry=circles).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadMonitors, match="line 1: its geometry is no point"):
        read_monitors(tmp_path / "a.parquet")


def test_dates_of_the_two_tables_with_a_time_zone_are_refused(tmp_path):
    table = frame().rename(columns={"pm25": "pm25_ugm3"}).assign(parameter_code=88101)
    table[["site_id", "latitude", "longitude"]].to_parquet(tmp_path / "sites.parquet")
    rows = table[["site_id", "date", "pm25_ugm3", "parameter_code"]]
    rows.assign(date=rows["date"].dt.tz_localize("UTC")).to_parquet(tmp_path / "pm25_daily.parquet")
    with pytest.raises(BadMonitors, match="days without time zone"):
        read_monitors(tmp_path)
    rows.iloc[:0].to_parquet(tmp_path / "pm25_daily.parquet")
    with pytest.raises(BadMonitors, match="holds no row"):
        read_monitors(tmp_path)
    pd.concat([rows, rows.assign(pm25_ugm3=1.5)]).to_parquet(tmp_path / "pm25_daily.parquet")
    with pytest.raises(
        BadMonitors, match=r"site 060010007 has two values .* 20.25 .*line 2\) and 1.5 .*line 4\)"
    ):
        read_monitors(tmp_path)
    rows.assign(pm25_ugm3=[-999.0, 2.0]).to_parquet(tmp_path / "pm25_daily.parquet")
    monitors = read_monitors(tmp_path)
    assert monitors.sites["site_id"].tolist() == ["060010007"]
    assert monitors.reading.examination.doubts[0].site_id == "410510080"


def test_what_a_mac_leaves_behind_is_no_table(tmp_path):
    (tmp_path / "daily_88101_2020.csv").write_text(text_of({}))
    (tmp_path / "._daily_88101_2020.csv").write_bytes(b"\x00\x05\x16\x07 Mac OS X")
    (tmp_path / "__MACOSX").mkdir()
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("__MACOSX/._daily_88502_2020.csv", b"\x00\x05\x16\x07")
        archive.writestr("daily_88502_2020.csv", text_of({"Site Num": 7}))
    assert read_monitors(tmp_path).sites["site_id"].tolist() == ["410510007", "410510080"]


def test_an_archive_far_larger_inside_than_outside_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("daily_88101_2020.csv", text_of({}) + "\n" * 40_000_000)
    assert path.stat().st_size < 65_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(BadMonitors, match="times larger than in the archive, and a table is up to 200"):
        read_monitors(path)
    monkeypatch.setattr("pm25map.monitors.archive.MAX_ARCHIVE_BYTES", 2**20)
    with pytest.raises(BadMonitors, match="GB of tables, and may hold"):
        read_monitors(path)


def test_a_member_that_climbs_out_is_read_and_written_nowhere(tmp_path):
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "a.zip", "w") as archive:
        archive.writestr("../../daily_88101_2020.csv", text_of({}))
    assert len(read_monitors(tmp_path / "in").observations) == 1
    assert sorted(p.name for p in tmp_path.rglob("*.csv")) == []


def test_a_header_alone_and_a_file_of_another_pollutant_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text(text_of())
    with pytest.raises(BadMonitors, match="holds no row, only its header"):
        read_monitors(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(text_of({"Parameter Code": 44201}))
    with pytest.raises(BadMonitors, match="none of the 1 rows is of the parameters 88101, 88502"):
        read_monitors(tmp_path / "a.csv")
