"""Tables over areas: weighted by km2 and by people, equal to exactextract's own answer, nobody lost."""

import datetime as dt
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from looked_at import write_bands, write_map
from maps import address_grid, address_map
from rasterio.transform import Affine
from test_people import CENSUS
from test_preview import conus

from pm25map.exposure.areas import Areas, read_areas, weigh
from pm25map.exposure.extract_areas import extract_areas
from pm25map.exposure.maps import find_maps
from pm25map.grid.areas import areas_of

GRID = address_grid()
LAND = address_map(GRID)
DAY = dt.date(2020, 9, 12)


def table_of(maps, areas, **options):
    asked = extract_areas(find_maps([maps]), areas, **options)
    return pd.concat([make(lambda done, of: None).to_pandas() for _, make in asked.pieces], ignore_index=True)


def own(*shapes, crs="EPSG:5070"):
    """Areas of polygons in a file's CRS."""
    frame = gpd.GeoDataFrame({"id": [str(n) for n in range(len(shapes))]}, geometry=list(shapes), crs=crs)
    planar = frame.geometry.to_numpy()
    return Areas(list(frame["id"]), list(frame["id"]), frame.to_crs("OGC:CRS84").geometry.to_numpy(), planar,
                 frame.crs.to_wkt(), None)  # fmt: skip


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return write_map(tmp_path_factory.mktemp("maps") / "m.tif", GRID, LAND, DAY)


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    grid = conus()
    return write_map(tmp_path_factory.mktemp("maps") / "m.tif", grid, np.where(grid.land, 7.5, np.nan), DAY)


def test_a_constant_map_gives_the_constant_everywhere_and_nobody_is_lost(country):
    for source, count in (("county", 3108), ("state", 49)):
        table = table_of(country, read_areas(source))
        assert len(table) == count
        assert (table["status"] == "estimated").all()
        np.testing.assert_allclose(table["pm25_of_people_ugm3"], 7.5, rtol=1e-12)
        has_outline = table["name"] != "Falls Church, VA"
        np.testing.assert_allclose(table["pm25_ugm3"][has_outline], 7.5, rtol=1e-12)
        assert table["people"].sum() == CENSUS
        assert table["people_known"].sum() == pytest.approx(CENSUS, rel=1e-4)
        assert table["people_good"].sum() == table["people_known"].sum()
        assert table["covered"][has_outline].min() > 0.999


def test_counties_sum_to_their_states(country):
    counties, states = (table_of(country, read_areas(source)) for source in ("county", "state"))
    summed = counties.groupby(counties["area"].str[:2])["people"].sum()
    pd.testing.assert_series_equal(summed, states.set_index("area")["people"], check_names=False)


def test_means_are_those_of_exactextract(one):
    shapes = [
        shapely.Point(0, 1.5e6).buffer(90_000),
        shapely.box(-123_456, 1.41e6, 54_321, 1.49e6),
        shapely.box(10_100, 1.5001e6, 10_200, 1.5002e6),
    ]
    got = table_of(one, own(*shapes))["pm25_ugm3"]
    left, bottom, right, top = GRID.bounds
    source = NumPyRasterSource(LAND.astype(np.float64), left, bottom, right, top, nodata=np.nan)
    features = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(one)} for one in shapes
    ]
    wanted = [found["properties"]["mean"] for found in exact_extract(source, features, ["mean"])]
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_cells_of_a_map_in_degrees_count_by_their_area(tmp_path):
    values = np.repeat(np.arange(20.0)[:, None], 10, axis=1)
    transform = Affine(1, 0, -100, 0, -1, 50)
    path = write_bands(
        tmp_path / "m_2020-09-12.tif", {"pm25": (values, "ug/m3")}, crs="EPSG:4326", transform=transform
    )
    got = table_of(path, own(shapely.box(-99, 31, -92, 49), crs="EPSG:4326"))["pm25_ugm3"][0]
    sizes = areas_of("EPSG:4326", tuple(transform[:6]), values.shape)[1:19, 1:8]
    assert got == pytest.approx(np.average(values[1:19, 1:8], weights=sizes), rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(cut=st.floats(-150_000, 150_000), turn=st.floats(0, 180))
def test_a_polygon_cut_in_two_gives_the_weighted_mean_of_its_halves(one, cut, turn):
    whole = shapely.Point(5_000, 1.5e6).buffer(170_000)
    knife = shapely.affinity.rotate(shapely.box(-1e6, 1.5e6 + cut, 1e6, 4e6), turn, origin=(5_000, 1.5e6))
    areas = own(whole, whole.intersection(knife), whole.difference(knife))
    weights = weigh(areas, find_maps([one]).place)
    km2 = weights.area.sum(axis=1)
    assert km2[1] + km2[2] == pytest.approx(km2[0], rel=1e-7)
    mean = table_of(one, areas)["pm25_ugm3"]
    # A half that lies mostly where the map has no estimate has no mean: nothing to compare.
    assume(mean.notna().all())
    known = weights.area @ np.isfinite(LAND.ravel()[weights.cells]).astype(float)
    assert (mean[1] * known[1] + mean[2] * known[2]) / known[0] == pytest.approx(mean[0], rel=1e-6)
    people = weights.all_people
    assert people[1] + people[2] == people[0]


def test_people_are_counted_in_the_class_of_their_cell(tmp_path):
    grid = conus()
    row, col = grid.cells_at([-104.99], [39.74])
    pm25 = np.where(grid.land, 5.0, np.nan)
    pm25[row, col] = 60.0
    path = write_map(tmp_path / "m.tif", grid, pm25, DAY)
    table = table_of(path, read_areas("county")).set_index("name")
    denver = table.loc["Denver, CO"]
    assert denver["people"] == 715_522
    assert denver["people_good"] + denver["people_unhealthy"] == denver["people"]
    assert denver["people_unhealthy"] > 100_000
    assert denver["pm25_of_people_ugm3"] == pytest.approx(
        (5 * denver["people_good"] + 60 * denver["people_unhealthy"]) / denver["people"]
    )


def test_an_area_that_the_maps_cover_in_part_says_how_much_and_has_no_mean_below_half(one):
    left, bottom, _, top = GRID.bounds
    parts = [
        shapely.box(left - 100_000, bottom + 2e5, left + width, top - 1e5) for width in (150_000, 10_000)
    ]
    table = table_of(one, own(*parts, shapely.box(2e6, 2e6, 2.1e6, 2.1e6)))
    np.testing.assert_allclose(table["covered"], [0.6, 1 / 11, 0], atol=1e-3)
    assert list(table["pm25_ugm3"].notna()) == [True, False, False]
    assert list(table["status"]) == ["estimated", "in part", "no estimate"]
    # The cells that it covers are those of column 0 to 14, rows 10 to 19.
    assert table["pm25_ugm3"][0] == pytest.approx(LAND[10:20, :15].mean(), rel=1e-6)


def test_means_over_the_days_count_days_and_classes(tmp_path):
    for day, value in ((10, 5.0), (11, 40.0), (13, 60.0)):
        write_map(tmp_path / f"{day}.tif", GRID, np.where(GRID.land, value, np.nan), dt.date(2020, 9, day))
    area = own(shapely.box(0, 1.5e6, 50_000, 1.55e6))
    row = table_of(tmp_path, area, mean=True).iloc[0]
    assert (row["days"], row["days_of_period"], row["status"]) == (3, 4, "estimated")
    assert row["pm25_ugm3"] == pytest.approx(35.0)
    assert row["days_moderate_or_worse"] == 2
    assert row["days_unhealthy_for_sensitive_groups_or_worse"] == 2
    assert row["days_unhealthy_or_worse"] == 1
    strict = table_of(tmp_path, area, mean=True, min_coverage=0.9).iloc[0]
    assert (strict["status"], np.isnan(strict["pm25_ugm3"])) == ("too few days", True)


def test_polygons_of_a_file_are_read_in_their_own_crs(say, tmp_path, one):
    frame = gpd.GeoDataFrame(
        {"GEOID": ["0077", "0078"], "name": ["A", "B"]},
        geometry=[shapely.box(0, 1.5e6, 50_000, 1.55e6), shapely.box(-5e4, 1.5e6, 0, 1.55e6)],
        crs="EPSG:5070",
    )
    wanted = [LAND[15:20, 30:35].mean(), LAND[15:20, 25:30].mean()]
    for name, crs in (
        ("a.gpkg", 5070),
        ("b.geojson", 4326),
        ("c.parquet", 4269),
        ("d.shp", 32614),
        ("e.fgb", 5070),
    ):
        moved = (
            frame.set_geometry(shapely.segmentize(frame.geometry.to_numpy(), 500)).set_crs(5070).to_crs(crs)
        )
        (moved.to_parquet if name.endswith("parquet") else moved.to_file)(tmp_path / name)
        code, _, wrong = say("extract", one, "--areas", name, "--out", "t.csv", "--overwrite")
        assert code == 0, wrong
        table = pd.read_csv(tmp_path / "t.csv", dtype={"area": str})
        assert list(table["area"]) == ["0077", "0078"]
        np.testing.assert_allclose(table["pm25_ugm3"], wanted, rtol=1e-4)


BOW = shapely.Polygon([(-98, 36), (-97, 37), (-98, 37), (-97, 36)])
BOX = shapely.box(-98, 36, -97, 37)


@pytest.mark.parametrize(
    ("columns", "shapes", "crs", "more", "words"),
    [
        ({"id": ["a"]}, [BOX], None, (), "no CRS"),
        ({"id": ["a"]}, [BOW], 4326, (), "'a' is not valid (Self-intersection"),
        ({"id": ["a"]}, [shapely.Point(-98, 36)], 4326, (), "is a Point"),
        ({"id": ["a"]}, [None], 4326, (), "has no shape"),
        ({"id": ["a", "a"]}, [BOX, BOX], 4326, (), "'a' stands twice"),
        ({"zone": ["a"]}, [BOX], 4326, (), "name one of zone with --id"),
        ({"zone": ["a"]}, [BOX], 4326, ("--id", "zones"), "has no column zones"),
        ({"id": ["a"]}, [shapely.box(10, 50, 11, 51)], 4326, (), "no area lies on the maps"),
        ({"id": ["a"]}, [shapely.box(1e5, 1e5, 2e5, 2e5)], 4326, (), "check its CRS"),
    ],
)
def test_polygons_that_cannot_be_used_are_one_clear_line(
    say, tmp_path, one, columns, shapes, crs, more, words
):
    gpd.GeoDataFrame(columns, geometry=shapes, crs=crs).to_parquet(tmp_path / "a.parquet")
    code, _, wrong = say("extract", one, "--areas", "a.parquet", "--out", "t.csv", *more)
    assert (code, wrong.count("\n"), words in wrong) == (1, 1, True), wrong


def test_a_file_that_names_others_to_read_is_not_followed(say, tmp_path, one):
    gpd.GeoDataFrame({"id": ["a"]}, geometry=[BOX], crs=4326).to_file(tmp_path / "secret.gpkg")
    vrt = '<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>secret.gpkg</SrcDataSource>'
    (tmp_path / "vrt.geojson").write_text(f"{vrt}</OGRVRTLayer></OGRVRTDataSource>")
    alg = "gdal vector pipeline ! read secret.gpkg"
    (tmp_path / "a.gdalg.json").write_text(f'{{"type": "gdal_streamed_alg", "command_line": "{alg}"}}')
    for name in ("vrt.geojson", "a.gdalg.json"):
        code, _, wrong = say("extract", one, "--areas", name, "--out", "t.csv")
        assert (code, "give GeoPackage" in wrong, wrong.count("\n")) == (1, True, 1)


@pytest.mark.parametrize("name", ["nothing.gpkg", "text.geojson", "folder"])
def test_a_file_that_holds_no_polygons_is_one_clear_line(say, tmp_path, one, name):
    (tmp_path / "text.geojson").write_text("no")
    (tmp_path / "folder").mkdir()
    code, _, wrong = say("extract", one, "--areas", name, "--out", "t.csv")
    assert (code, wrong.count("\n")) == (1, 1)


def test_python_gives_the_table_of_the_command_of_files_and_of_a_dataset(say, tmp_path):
    import pm25map

    maps = pm25map.predict("2020-09-12", region="oregon")
    maps.pm25map.to_cog(tmp_path / "m.tif")
    assert say("extract", "m.tif", "--areas", "state", "--out", "t.parquet")[0] == 0
    of_file = pm25map.extract(tmp_path / "m.tif", areas="state")
    of_dataset = pm25map.extract(maps, areas="state")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), of_file)
    pd.testing.assert_frame_equal(of_file, of_dataset)
    assert of_dataset.attrs["pm25map"]["made_by"] == of_file.attrs["pm25map"]["made_by"]
    place = pd.DataFrame({"id": ["x"], "lat": [44.3], "lon": [-120.85]})
    (row,) = pm25map.extract(maps, points=place, mean=True).itertuples()
    assert row.pm25_ugm3 == np.nanmax(maps["pm25"])


def test_a_bare_geometry_is_one_area_with_a_number(tmp_path, one):
    shape = shapely.geometry.mapping(shapely.box(-97, 36, -96, 37))
    path = tmp_path / "bare.geojson"
    path.write_text(json.dumps(shape))
    table = table_of(one, read_areas(str(path)))
    assert table["area"].tolist() == ["1"]
