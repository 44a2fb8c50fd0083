"""Hot spots: planted plumes and cities are found, named, measured, and told apart."""

import csv
import datetime as dt
import json

import numpy as np
import pytest
import rasterio
import shapely
from browser import assert_looks_as_stored
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from looked_at import write_bands, write_map
from matplotlib.text import Text
from rasterio.transform import Affine
from test_preview import conus

from pm25map.base.errors import BadMap, BadPredictors
from pm25map.cli.hotspots import command
from pm25map.diagnostics.background import background_of
from pm25map.diagnostics.hotspot_kind import kind_of
from pm25map.diagnostics.hotspots import find_hotspots
from pm25map.grid import Grid
from pm25map.grid.areas import cell_areas
from pm25map.grid.cities import nearest_city
from pm25map.view.layers import read_maps
from pm25map.view.preview import picture_of
from pm25map.view.spots import events_of, read_population

DAY = dt.date(2020, 9, 12)


def field(*spots, base=6.0):
    """A field with round spots: (longitude, latitude, radius in km, top in ug m-3)."""
    grid = conus()
    pm25 = np.where(grid.land, np.float32(base), np.float32(np.nan))
    rows, cols = np.indices(grid.shape)
    for lon, lat, radius, top in spots:
        row, col = (int(v[0]) for v in grid.cells_at([lon], [lat]))
        near = np.hypot(rows - row, cols - col) * 10 <= radius
        pm25[near & grid.land] = top
    return pm25


def find(*fields, days=None, **options):
    days = days or [DAY + dt.timedelta(days=i) for i in range(len(fields))]
    return find_hotspots(np.stack(fields), conus(), days, **options)


def test_a_plume_is_found_named_and_measured():
    (spot,) = find(field((-121.3, 44.6, 120, 200.0)))
    assert (spot.kind, spot.state) == ("wildfire", "Oregon")
    assert spot.title.startswith("Wildfire smoke near")
    assert spot.maximum == 200
    assert spot.background == pytest.approx(6)
    assert spot.area_km2 == pytest.approx(np.pi * 120**2, rel=0.03)
    assert spot.outline.contains(shapely.Point(-121.3, 44.6))
    assert (spot.first_day, spot.days) == (DAY, 1)


def test_the_air_around_is_told_as_it_is_and_not_as_the_most_that_counts_as_clean():
    spot, *_ = find(
        np.where(field() > 0, np.where(field((-121.3, 44.6, 90, 900.0)) == 900, 900, 484), np.nan)
    )
    assert spot.background == pytest.approx(484)
    assert "900" in spot.summary and "484 around it" in spot.summary
    assert spot.properties()["background_ugm3"] == pytest.approx(484)


def test_one_picture_says_one_maximum(tmp_path):
    from pm25map.view import drawing
    from pm25map.view.headline import headline

    pm25 = field((-121.3, 44.6, 90, 396.58))
    path = write_map(tmp_path / "m.tif", conus(), pm25)
    figure = drawing.figure_of(picture_of(path), 50)
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "397" in words and "396" not in words
    assert "397" in find(pm25)[0].summary
    assert "397" in headline(pm25, conus()).maximum_text


def test_a_city_is_urban_and_named():
    (spot,) = find(field((-112.0, 33.45, 35, 30.0)))
    assert (spot.kind, spot.state) == ("urban", "Arizona")
    assert "people inside" in spot.reason


def test_a_plume_wider_than_the_background_reaches_is_one_region_with_its_middle():
    (spot,) = find(field((-115, 43, 500, 150.0)))
    assert spot.area_km2 > 500_000
    assert spot.outline.contains(shapely.Point(-115, 43))


def test_clean_and_smooth_air_has_no_hot_spot():
    grid = conus()
    _, cols = np.indices(grid.shape)
    slope = np.where(grid.land, 5 + 12 * cols / grid.shape[1], np.nan).astype(np.float32)
    assert find(slope) == []
    assert find(field()) == []


def test_nothing_is_found_where_there_is_no_estimate():
    assert find(np.full(conus().shape, np.nan, np.float32)[...] * conus().land) == []


def test_days_in_a_row_are_one_event_and_a_missing_day_ends_it():
    plume = field((-121.3, 44.6, 120, 200.0))
    weak = field((-121.3, 44.6, 120, 60.0))
    (event,) = find(plume, weak, plume)
    assert (event.days, event.first_day, event.last_day) == (3, DAY, DAY + dt.timedelta(days=2))
    assert event.daily_maxima == (200, 60, 200)
    assert event.days_above == {
        "Moderate": 3, "Unhealthy for Sensitive Groups": 3, "Unhealthy": 3, "Very Unhealthy": 2, "Hazardous": 0
    }  # fmt: skip
    apart = find(plume, plume, days=[DAY, DAY + dt.timedelta(days=2)])
    assert [spot.days for spot in apart] == [1, 1]


def test_regions_apart_are_two_and_islands_belong_to_their_coast():
    assert len(find(field((-121.3, 44.6, 60, 200.0), (-118, 37.5, 60, 150.0)))) == 2
    row, col = (int(v[0]) for v in conus().cells_at([-100], [41]))
    islands = field()
    islands[row - 3 : row + 3, col - 3 : col] = 90
    islands[row - 3 : row + 3, col + 1 : col + 3] = 90
    assert len(find(islands)) == 1


def test_people_and_smoke_are_counted_inside():
    pm25 = field((-121.3, 44.6, 120, 200.0))
    hot = pm25 == 200
    people = np.where(hot, 10.0, 1000.0)
    smoke = np.where(np.cumsum(hot).reshape(hot.shape) * hot > 0.25 * hot.sum(), 5.0, 0.0)
    (spot,) = find(pm25, smoke=smoke[None], population=people)
    assert spot.people == 10 * hot.sum()
    assert spot.smoke_percent == pytest.approx(75, abs=0.5)
    assert "NOAA HMS drew smoke over 75 %" in spot.reason
    (unknown,) = find(pm25, smoke=np.full((1, *hot.shape), np.nan))
    assert unknown.smoke_percent is None


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ((100_000, 300, 0, None), "wildfire"),
        ((30_000, 25, 0, None), "unclear"),
        ((5_000, 40, 2_000_000, None), "urban"),
        ((5_000, 200, 2_000_000, None), "wildfire"),
        ((5_000, 80, 0, None), "wildfire"),
        ((5_000, 20, 0, None), "unclear"),
        ((5_000, 40, 2_000_000, 80.0), "wildfire"),
        ((5_000, 40, 60_000, 10.0), "urban"),
        ((100_000, 300, 0, 0.0), "unclear"),
    ],
)
def test_the_rules_of_kind(facts, kind):
    assert kind_of(*facts)[0] == kind


@given(st.floats(0.5, 30), st.integers(0, 3))
@settings(max_examples=8, deadline=None)
def test_background_follows_the_air_and_not_a_spot(base, quarter):
    lon, lat = [(-110, 40), (-90, 35), (-120, 45), (-82, 34)][quarter]
    background = background_of(field((lon, lat, 100, 250.0), base=base), conus())
    known = background[np.isfinite(background)]
    assert known.size == conus().land.sum()
    np.testing.assert_allclose(known, base, rtol=1e-5)


def test_areas_of_cells_in_degrees_are_those_of_the_ellipsoid():
    grid = Grid(
        "degrees", "OGC:CRS84", (1.0, 0, -180.0, 0, -1.0, 90.0), (180, 360), 64, np.ones((180, 360), bool)
    )
    assert cell_areas(grid).sum() == pytest.approx(510_065_621.724, rel=1e-9)
    assert cell_areas(conus())[0, 0] == pytest.approx(100, rel=1e-6)


def test_the_nearest_place_is_the_nearest():
    city, away = nearest_city(-122.68, 45.52)
    assert (city.name, city.state) == ("Portland", "OR")
    assert away < 5
    assert nearest_city(-122.68, 45.60, "WA")[0].state == "WA"


def test_the_population_keeps_its_sum(tmp_path):
    counts = np.random.default_rng(1).uniform(0, 100, (120, 160)).astype(np.float32)
    path = write_bands(tmp_path / "p.tif", {"people": (counts, "")}, crs="EPSG:4326",
                       transform=Affine(0.05, 0, -104, 0, -0.05, 42))  # fmt: skip
    people = read_population(path, conus())
    assert people.sum() == pytest.approx(counts.sum(), rel=0.01)
    (tmp_path / "bad.tif").write_bytes(b"no")
    with pytest.raises(BadMap, match="people per cell"):
        read_population(tmp_path / "bad.tif", conus())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("days")
    for number, top in enumerate((80.0, 260.0, 120.0)):
        day = DAY + dt.timedelta(days=number)
        pm25 = field((-121.3, 44.6, 120, top), (-112.0, 33.45, 35, 30.0))
        write_map(folder / f"pm25_{day}.tif", conus(), pm25, day)
    return folder


def test_table_outlines_and_cards_are_written(folder, tmp_path):
    done = CliRunner().invoke(
        command, [str(folder), "--out", str(tmp_path / "spots")], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "1  Wildfire smoke near" in done.stdout
    with (tmp_path / "spots" / "hotspots.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [row["kind"] for row in rows] == ["wildfire", "urban"]
    assert (rows[0]["maximum_ugm3"], rows[0]["peak_day"], rows[0]["days"]) == ("260.0", "2020-09-13", "3")
    assert rows[0]["days_hazardous_or_worse"] == "1"
    outlines = json.loads((tmp_path / "spots" / "hotspots.geojson").read_text())
    assert [f["properties"]["kind"] for f in outlines["features"]] == ["wildfire", "urban"]
    first = shapely.geometry.shape(outlines["features"][0]["geometry"])
    assert first.is_valid
    assert first.contains(shapely.Point(-121.3, 44.6))
    cards = sorted((tmp_path / "spots").glob("*.png"))
    assert len(cards) == 2
    assert_looks_as_stored(cards[0], "card")
    again = CliRunner().invoke(command, [str(folder), "--out", str(tmp_path / "spots")])
    assert "--overwrite" in str(again.exception)


def test_maps_that_cannot_be_one_event_are_refused(folder, tmp_path):
    write_map(tmp_path / "a.tif", conus(), field(), DAY)
    write_map(tmp_path / "b.tif", conus(), field(), DAY)
    with pytest.raises(BadMap, match="there twice"):
        events_of(read_maps([tmp_path])[0])
    theirs = write_bands(tmp_path / "c.tif", {"x": (field(), "K")}, grid=conus())
    with pytest.raises(BadMap, match="ug/m3"):
        events_of(read_maps([theirs])[0])


def test_a_store_without_smoke_says_so(folder):
    from pm25map.predictors.reader import open_predictors
    from pm25map.raster.day_source import sample_of

    with pytest.raises(BadPredictors, match="wildfire_smoke"):
        events_of(read_maps([folder])[0], predictors=open_predictors(sample_of(conus())))


def test_a_part_of_the_country_is_enough(tmp_path):
    block = conus().window_of_bounds(-124, 42, -117, 46)
    from maps import provenance

    from pm25map.raster.map_files import write_map

    pm25 = field((-121.3, 44.6, 60, 200.0))[block.slices]
    write_map(tmp_path / "p.tif", pm25, conus(), provenance(conus()), block=block)
    (spot,) = events_of(read_maps([tmp_path / "p.tif"])[0])
    assert spot.state == "Oregon"
    with rasterio.open(tmp_path / "p.tif") as source:
        assert source.height == block.height


def test_people_are_counted_without_a_raster_of_them(tmp_path):
    """By the Census of 2020, which comes with the package."""
    from pm25map.grid.people import people_of_cells

    path = write_map(tmp_path / "m.tif", conus(), field((-121.3, 44.6, 120, 200.0)))
    done = CliRunner().invoke(command, [str(path), "--json"], catch_exceptions=False)
    (spot,) = json.loads(done.output)
    hot = field((-121.3, 44.6, 120, 200.0)) == 200
    assert spot["people"] == np.nansum(people_of_cells(conus())[hot]) > 100_000
