"""Tables at places: every person gets the value of the right cell and day, and what cannot be known is said."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio
from looked_at import write_bands, write_map, write_map_with_bands
from maps import address_grid, address_map
from pyproj import Transformer
from rasterio.transform import Affine

from pm25map.raster.bands import PM25_SPREAD
from pm25map.raster.item_checks import item_text

GRID = address_grid()
LAND = address_map(GRID)
DAYS = [dt.date(2020, 9, day) for day in (11, 12, 14)]
"""The 13th is missing."""

TO_LONLAT = Transformer.from_crs(GRID.crs, "OGC:CRS84", always_xy=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    for day in DAYS:
        write_map(folder / f"{day.year}" / f"pm25_{day}.tif", GRID, LAND * day.day, day)
    return folder


def place(row, col):
    """Degrees of a place, in cells from the grid's corner: 20.5 is the middle of row 20."""
    a, _, c, _, e, f = GRID.transform
    lon, lat = TO_LONLAT.transform(c + a * col, f + e * row)
    return lat, lon


def cohort(path, *rows, columns="id,lat,lon"):
    path.write_text("\n".join([columns, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def extract(say, folder):
    def run(path, *more, out="t.csv", maps=folder):
        code, said, wrong = say("extract", maps, "--points", path, "--out", out, *more)
        assert (code, wrong.count("Traceback")) == (0, 0), wrong
        table = pd.read_csv(out, dtype={"id": str}) if out.endswith("csv") else pd.read_parquet(out)
        return table, said, wrong

    return run


@pytest.fixture
def refused(say, folder):
    def run(path, *more, maps=folder):
        code, _, wrong = say("extract", maps, "--points", path, "--out", "t.csv", *more)
        assert code == 1
        assert wrong.count("\n") == 1
        return wrong

    return run


def test_a_person_has_a_row_a_day_with_the_value_of_the_cell(extract, tmp_path):
    path = cohort(tmp_path / "p.csv", ("007", *place(20.5, 30.5)), ("b", *place(5.2, 9.9)))
    table, said, wrong = extract(path)
    assert list(table["id"]) == ["007", "b"] * 4, (
        "an id keeps its zeros; rows go by day, then as in the table"
    )
    assert list(table["date"]) == [f"2020-09-{day}" for day in (11, 11, 12, 12, 13, 13, 14, 14)]
    for day in (11, 12, 14):
        got = table.loc[table["date"] == f"2020-09-{day}", "pm25_ugm3"]
        np.testing.assert_allclose(got, [LAND[20, 30] * day, LAND[5, 9] * day], rtol=1e-6)
    thirteenth = table[table["date"] == "2020-09-13"]
    assert thirteenth["pm25_ugm3"].isna().all()
    assert set(thirteenth["status"]) == {"no map"}
    assert "no map of 1 of 4 days" in wrong
    assert "8 rows of 3 maps" in said


def test_what_cannot_be_known_is_said_and_not_invented(extract, tmp_path):
    path = cohort(
        tmp_path / "p.csv",
        ("land", *place(20.5, 30.5)),
        ("lake", *place(1.5, 1.5)),
        ("Berlin", 52.5, 13.4),
        ("not geocoded", "", ""),
        ("half", 40, ""),
    )
    table, _, wrong = extract(path, "--mean", "--min-coverage", 0)
    assert list(table["status"]) == ["estimated", "no estimate", "off the grid", "no position", "no position"]
    assert list(table["pm25_ugm3"].notna()) == [True, False, False, False, False]
    assert "1 of 5 places: off the grid" in wrong
    assert "2 of 5 places: no position" in wrong


def test_places_agree_with_what_rasterio_samples(extract, tmp_path, folder):
    rng = np.random.default_rng(3)
    rows, cols = rng.uniform(0, 40, 500), rng.uniform(0, 60, 500)
    places = [place(row, col) for row, col in zip(rows, cols, strict=True)]
    path = cohort(tmp_path / "p.csv", *((n, *at) for n, at in enumerate(places)))
    table, _, _ = extract(path, out="t.parquet")
    with rasterio.open(folder / "2020" / "pm25_2020-09-12.tif") as source:
        back = Transformer.from_crs("OGC:CRS84", source.crs, always_xy=True)
        sampled = [
            float(value[0]) for value in source.sample([back.transform(lon, lat) for lat, lon in places], 1)
        ]
    got = table[table["date"] == dt.date(2020, 9, 12)]["pm25_ugm3"].to_numpy()
    np.testing.assert_array_equal(got, sampled)


def test_bilinear_is_the_mean_of_the_four_cells_around(extract, tmp_path):
    path = cohort(
        tmp_path / "p.csv",
        ("a corner of four", *place(20, 30)),
        ("the middle", *place(20.5, 30.5)),
        ("a quarter", *place(20.75, 30.5)),
        ("the rim", *place(39.9, 59.9)),
        ("by the lake", *place(3.1, 2.5)),
        ("on the lake", *place(2.9, 2.5)),
    )
    table, _, _ = extract(path, "--method", "bilinear")
    got = table.loc[table["date"] == "2020-09-11", "pm25_ugm3"].to_numpy() / 11
    wanted = [LAND[19:21, 29:31].mean(), LAND[20, 30], 0.75 * LAND[20, 30] + 0.25 * LAND[21, 30],
              LAND[39, 59], LAND[3, 2], np.nan]  # fmt: skip
    np.testing.assert_allclose(got, wanted, rtol=1e-4)


def test_a_history_of_residences_has_each_place_in_its_days(extract, tmp_path):
    path = cohort(
        tmp_path / "p.csv",
        ("a", *place(20.5, 30.5), "2020-09-01", "2020-09-11"),
        ("a", *place(5.5, 9.5), "2020-09-12", "2020-09-14"),
        ("b", *place(7.5, 7.5), "", ""),
        columns="id,lat,lon,start_date,end_date",
    )
    table, _, wrong = extract(path)
    a = table[table["id"] == "a"].set_index("date")["pm25_ugm3"]
    assert a["2020-09-11"] == pytest.approx(LAND[20, 30] * 11)
    assert a["2020-09-12"] == pytest.approx(LAND[5, 9] * 12)
    assert (len(a), len(table)) == (4, 8)
    assert "1 periods reach beyond the maps" in wrong


def test_means_are_of_the_days_of_a_period_and_few_days_give_none(extract, tmp_path):
    path = cohort(
        tmp_path / "p.csv",
        ("all", *place(20.5, 30.5), "2020-09-11", "2020-09-14"),
        ("two", *place(20.5, 30.5), "2020-09-11", "2020-09-12"),
        ("long", *place(20.5, 30.5), "2020-09-01", "2020-09-12"),
        ("later", *place(20.5, 30.5), "2021-01-01", "2021-01-02"),
        columns="id,lat,lon,start_date,end_date",
    )
    table, _, _ = extract(path, "--mean")
    assert list(table["days"]) == [3, 2, 2, 0]
    assert list(table["days_of_period"]) == [4, 2, 12, 2]
    assert list(table["status"]) == ["estimated", "estimated", "too few days", "no map"]
    np.testing.assert_allclose(table["pm25_ugm3"] / LAND[20, 30], [37 / 3, 11.5, np.nan, np.nan], rtol=1e-6)
    loose, _, _ = extract(path, "--mean", "--min-coverage", 0.1, "--overwrite")
    assert loose["pm25_ugm3"][2] == pytest.approx(LAND[20, 30] * 11.5)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", -98, 36)], "swapped"),
        ([("a", 36.2, 98)], "west is negative"),
        ([("a", 1.4e6, -2e5)], "looks like metres"),
        ([("a", 120, -200)], "lat goes from -90 to 90"),
        ([("a", -122.3, 44.1)], "swapped"),
        ([("a", 52.5, 13.4)], "no place lies on the maps"),
        ([("a", "", "")], "geocode"),
        ([("a", "36 N", -98)], "line 2: lat '36 N' is no number"),
        ([("a", 36, -98), ("", 36, -98)], "line 3 has no id"),
        ([("a", 36, -98), ("b", 36, -98), ("a", 36.5, -98)], "'a' stands in line 2 and in line 4"),
        ([], "holds no line"),
        ([("a", "12 Main St, Denver", 39.7, -104.9)], "lat '12 Main St' is no number"),
    ],
)
def test_a_table_that_cannot_be_true_is_one_clear_line(refused, tmp_path, rows, words):
    assert words in refused(cohort(tmp_path / "p.csv", *rows))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", 36, -98, "2020-09-12", "2020-09-11")], "ends on 2020-09-11, before 2020-09-12"),
        ([("a", 36, -98, "9/12/2020", "2020-09-13")], "line 2: start_date '9/12/2020' is no day"),
        ([("a", 36, -98, "2020-09-12", "")], "one of start_date and end_date"),
        (
            [("a", 36, -98, "2020-09-01", "2020-09-12"), ("a", 36, -98, "2020-09-12", "2020-09-13")],
            "their periods overlap",
        ),
        ([("a", 36, -98, "", ""), ("a", 36, -98, "2020-09-12", "2020-09-13")], "without a period of its own"),
    ],
)
def test_a_period_that_cannot_be_true_is_one_clear_line(refused, tmp_path, rows, words):
    path = cohort(tmp_path / "p.csv", *rows, columns="id,lat,lon,start_date,end_date")
    assert words in refused(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"who,lat,lon\na,36,-98\n", "no column id"),
        (b"id;lat;lon\na;36;-98\n", "no column id and no column lat"),
        (b"", "cannot read the table"),
        (b"id,lat,lon\n\xff\xfe,36,-98\n", "UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_one_clear_line(refused, tmp_path, content, words):
    (tmp_path / "p.csv").write_bytes(content)
    assert words in refused(tmp_path / "p.csv")


def test_maps_that_do_not_go_together_are_refused(refused, tmp_path):
    path = cohort(tmp_path / "p.csv", ("a", *place(20.5, 30.5)))
    first = write_map(tmp_path / "m" / "a.tif", GRID, LAND, DAYS[0])
    write_map(tmp_path / "m" / "b.tif", GRID, LAND, DAYS[0])
    assert "are both of 2020-09-11" in refused(path, maps=first.parent)
    (first.parent / "b.tif").unlink()
    moved = Affine(10_000, 0, 0, 0, -10_000, 1_700_000)
    other = {"pm25": (LAND, "ug m-3")}
    write_bands(first.parent / "x_2020-09-12.tif", other, transform=moved, crs=GRID.crs)
    assert "of two grids" in refused(path, maps=first.parent)
    write_bands(first.parent / "x_2020-09-12.tif", other, grid=GRID)
    assert "of two models" in refused(path, maps=first.parent)


def test_a_map_of_another_program_is_read_and_a_unit_is_not_guessed(extract, refused, tmp_path):
    path = cohort(tmp_path / "p.csv", ("a", *place(20.5, 30.5)))
    (tmp_path / "m").mkdir()
    write_bands(tmp_path / "m" / "AQ_2020-09-12.tif", {"": (LAND, "µg/m³")}, grid=GRID)
    table, _, _ = extract(path, maps=tmp_path / "m")
    assert table["pm25_ugm3" if "pm25_ugm3" in table else "band_1_ugm3"][0] == pytest.approx(LAND[20, 30])
    write_bands(tmp_path / "m" / "AQ_2020-09-12.tif", {"": (LAND, "")}, grid=GRID)
    assert "has a band of PM2.5 in ug/m3" in refused(path, "--overwrite", maps=tmp_path / "m")
    table, _, _ = extract(path, "--overwrite", "--band", "band_1", maps=tmp_path / "m")
    assert table["band_1"][0] == pytest.approx(LAND[20, 30])


def test_units_and_provenance_stand_in_both_forms(extract, tmp_path):
    path = cohort(tmp_path / "p.csv", ("a", *place(20.5, 30.5)))
    extract(path)
    extract(path, out="t.parquet")
    schema = pq.read_schema(tmp_path / "t.parquet")
    inside, beside = (
        json.loads(schema.metadata[b"pm25map"]),
        json.loads((tmp_path / "t.csv.json").read_text()),
    )
    assert inside == beside
    assert inside["made_by"].startswith("model conus-open 1.0, card caca")
    assert inside["days_without_map"] == ["2020-09-13"]
    assert schema.field("pm25_ugm3").metadata[b"unit"] == b"ug m-3"
    assert b"no estimate: the maps have none there" in schema.field("status").metadata[b"description"]
    assert inside["columns"]["pm25_ugm3"]["unit"] == "ug m-3"


def test_a_stopped_run_goes_on_and_ends_in_the_same_bytes(extract, say, tmp_path, folder, monkeypatch):
    from pm25map.exposure.maps import MapFiles

    path = cohort(tmp_path / "p.csv", *((n, *place(20.5, n + 0.5)) for n in range(6, 60)))
    extract(path, out="whole.parquet")
    read, before = [], MapFiles.values

    def stop_at_the_third(self, day, cells):
        read.append(day)
        if day == DAYS[2] and read.count(day) == 1:
            raise KeyboardInterrupt
        return before(self, day, cells)

    monkeypatch.setattr(MapFiles, "values", stop_at_the_third)
    code, _, _ = say("extract", folder, "--points", path, "--out", "t.parquet")
    assert (code, (tmp_path / "t.parquet").exists()) == (1, False)
    extract(path, out="t.parquet")
    assert read == [*DAYS, DAYS[2]], "days that were done are not read again"
    assert (tmp_path / "t.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not list(tmp_path.glob(".t.parquet*"))


def test_pieces_of_another_question_are_not_taken(extract, say, tmp_path, monkeypatch):
    from pm25map.exposure.maps import MapFiles

    maps, before = tmp_path / "m", MapFiles.values
    for day in DAYS[:2]:
        write_map(maps / f"{day}.tif", GRID, LAND, day)
    path = cohort(tmp_path / "p.csv", ("a", *place(20.5, 30.5)))

    def stop(self, day, cells):
        if day == DAYS[1]:
            raise KeyboardInterrupt
        return before(self, day, cells)

    monkeypatch.setattr(MapFiles, "values", stop)
    say("extract", maps, "--points", path, "--out", "t.csv")
    monkeypatch.setattr(MapFiles, "values", before)
    cohort(path, ("b", *place(5.5, 30.5)))
    table, _, _ = extract(path, maps=maps)
    assert (set(table["id"]), table["pm25_ugm3"][0]) == ({"b"}, pytest.approx(LAND[5, 30]))


def test_empty_lines_at_the_end_and_commas_at_the_end_of_lines_move_nothing(extract, tmp_path):
    lat, lon = place(20.5, 30.5)
    (tmp_path / "p.csv").write_text(f"id,lat,lon\na,{lat},{lon},\nb,{lat},{lon},\n\n\n")
    table, _, _ = extract(tmp_path / "p.csv", "--mean")
    assert list(table["id"]) == ["a", "b"]
    np.testing.assert_allclose(table["pm25_ugm3"], LAND[20, 30] * 37 / 3, rtol=1e-6)


def test_strips_give_what_the_whole_map_gives(extract, tmp_path, monkeypatch):
    from pm25map.exposure import maps

    path = cohort(tmp_path / "p.csv", *((n, *place(n + 0.5, n + 0.5)) for n in range(5, 40)))
    whole, _, _ = extract(path)
    monkeypatch.setattr(maps, "STRIP_CELLS", 1)
    strips, _, _ = extract(path, "--overwrite")
    pd.testing.assert_frame_equal(whole, strips)


def test_an_output_that_is_an_input_or_of_no_form_is_refused_before_work(say, folder, tmp_path):
    path = cohort(tmp_path / "p.csv", ("a", *place(20.5, 30.5)))
    for out, words in ((path, "it is an input"), (tmp_path / "t.xlsx", "end its name in .csv or .parquet")):
        code, _, wrong = say("extract", folder, "--points", path, "--out", out, "--overwrite")
        assert (code, words in wrong) == (1, True)


def test_the_files_beside_a_map_are_no_maps_of_their_own_and_their_bands_are_found_by_name(say, tmp_path):
    """The spread stands alone in its file, in ug/m3: it is no PM2.5."""
    write_map_with_bands(tmp_path / "maps" / "a.tif", GRID, LAND, {PM25_SPREAD: LAND / 10})
    path = cohort(tmp_path / "p.csv", ("a", *place(20.5, 30.5)))
    for words, factor in (((), 1), (("--band", "pm25_spread"), 0.1)):
        code, said, wrong = say(
            "extract", tmp_path / "maps", "--points", path, "--out", "t.csv", "--overwrite", *words
        )
        assert code == 0, wrong
        assert "passed over" not in said + wrong
        table = pd.read_csv("t.csv")
        value = next(table[name].iloc[0] for name in table if name.startswith("pm25"))
        assert value == pytest.approx(LAND[20, 30] * factor, rel=1e-5)


def test_a_map_that_is_not_the_one_of_its_item_gives_no_table(say, tmp_path):
    item = {"assets": {"map": {"href": "./m.tif", "file:checksum": "1220" + "0" * 64}}}
    write_map(tmp_path / "m.tif", GRID, LAND, DAYS[0])
    (tmp_path / "m.json").write_text(item_text({"properties": {}, **item}))
    code, _, wrong = say("extract", "m.tif", "--areas", "state", "--out", "t.csv")
    assert code == 1 and "its SHA-256 is not that of m.json beside it" in wrong
    assert not (tmp_path / "t.csv").exists()
