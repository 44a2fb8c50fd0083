"""Maps as they are looked at: every band a layer, small and exact, ours or another program's."""

import datetime as dt

import numpy as np
import pytest
import rasterio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from looked_at import write_bands, write_map, write_map_with_bands
from maps import CREATED, address_grid, address_map, provenance
from pyproj import Transformer
from rasterio.transform import Affine

from pm25map.base.aqi import truncate
from pm25map.base.errors import BadMap
from pm25map.raster.bands import PM25, PM25_SPREAD, Band
from pm25map.raster.map_files import write_map as write_map_files
from pm25map.raster.stac import write_stac_item
from pm25map.view.layers import Layer, read_joined, read_map, read_maps
from pm25map.view.pack import _refined, inflate, net_of, pack
from pm25map.view.page_data import page_data, title_of

GRID = address_grid()
LAND = address_map(GRID)


def layer_of(values, kind="concentration", unit="ug m-3", tmp="x.tif"):
    return Layer("pm25", "PM2.5", unit, kind, np.asarray(values, np.float32), tmp, 1)


def test_every_band_is_a_layer_with_its_unit_and_kind(tmp_path):
    extra = {
        Band("pm25_lower", "Lower end", "ug m-3", PM25.standard_name): LAND / 2,
        PM25_SPREAD: LAND / 10,
        Band("pm25_prior", "What the place makes", "ug m-3"): LAND - 20,
        Band("artifact_risk", "Risk", "1"): LAND / 100,
    }
    found = read_joined(write_map_with_bands(tmp_path / "m.tif", GRID, LAND, extra))
    kinds = {layer.key: layer.kind for layer in found.layers}
    assert kinds == {
        "pm25": "concentration",
        "pm25_lower": "concentration",
        "pm25_spread": "number",
        "pm25_prior": "number",
        "artifact_risk": "number",
    }
    assert found.layer("pm25_lower").label == "Lower end"
    assert (found.layer("pm25_prior").unit, found.layer("artifact_risk").unit) == ("ug m-3", "")
    np.testing.assert_array_equal(found.layer("pm25").values, LAND)
    assert (found.day, found.found.provenance.grid_name) == (dt.date(2020, 9, 12), "address")


def test_a_mask_of_flags_in_a_file_of_its_own_joins_its_map(tmp_path):
    """As `predict` writes it: uint8, bits and their meanings in the tags of the file."""
    write_map(tmp_path / "pm25_2020-09-12.tif", GRID, LAND)
    bits = np.where(GRID.land, 5, 255).astype(np.uint8)
    tags = {
        "flag_masks": "1 2 4",
        "flag_meanings": "stale imputed far_from_monitors",
        "PM25MAP_DAY": "2020-09-12",
    }
    named = {"Predictors of the window": (bits, "1", {"NAME": "quality"})}
    write_bands(tmp_path / "pm25_2020-09-12_quality.tif", named, grid=GRID, ours=tags, nodata=255)
    (one,), _ = read_maps([tmp_path])
    quality = one.layer("quality")
    assert quality.kind == "flags"
    assert quality.flags == ((1, "stale"), (2, "imputed"), (4, "far from monitors"))
    assert (np.nanmax(quality.values), np.isnan(quality.values).sum()) == (5, 15)


def test_another_programs_map_is_shown_without_what_it_lacks(tmp_path):
    values = np.arange(12, dtype=np.int16).reshape(3, 4)
    values[0, 0] = -99
    path = write_bands(tmp_path / "smoke_2021-08-01.tif", {"": (values, "")}, crs="EPSG:4326",
                       transform=Affine(1, 0, -100, 0, -1, 40), nodata=-99)  # fmt: skip
    found = read_map(path)
    assert found.found is None
    assert found.day == dt.date(2021, 8, 1)
    layer = found.layers[0]
    assert (layer.key, layer.label, layer.unit, layer.kind) == ("band_1", "Band 1", "", "number")
    assert np.isnan(layer.values[0, 0])
    assert layer.values[2, 3] == 11
    data = page_data([found], [], [[]])
    assert any("does not say all" in fact for fact in data["maps"][0]["facts"])


def test_a_map_that_lacks_a_tag_is_shown_all_the_same(tmp_path):
    """As a map of another version of pm25map may."""
    path = write_map(tmp_path / "m.tif", GRID, LAND)
    with rasterio.open(path) as source:
        tags, band = source.tags(), source.tags(1)
    del tags["PM25MAP_MODEL_NAME"]
    write_bands(path, {"": (LAND, "ug m-3", band)}, grid=GRID, ours=tags)
    found = read_map(path)
    assert (found.found, found.day) == (None, dt.date(2020, 9, 12))
    assert found.layer("pm25").kind == "concentration"


def test_a_folder_of_days_is_in_order_and_a_broken_file_is_named(tmp_path):
    for number in (13, 11, 12):
        write_map(tmp_path / "2020" / f"pm25_2020-09-{number}.tif", GRID, LAND, dt.date(2020, 9, number))
    broken = tmp_path / "2020" / "pm25_2020-09-14.tif"
    broken.write_bytes((tmp_path / "2020" / "pm25_2020-09-13.tif").read_bytes()[:900])
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "part.tif").write_bytes(b"half")
    maps, left_out = read_maps([tmp_path])
    assert [one.day.day for one in maps] == [11, 12, 13]
    assert list(left_out) == [broken]
    assert "cut short or damaged" in left_out[broken]
    assert title_of(maps) == "PM2.5, 11 September 2020 to 13 September 2020"


def test_a_sidecar_joins_the_map_of_its_day_and_grid(tmp_path):
    write_map(tmp_path / "pm25_2020-09-12.tif", GRID, LAND)
    with rasterio.open(tmp_path / "pm25_2020-09-12.tif") as source:
        tags = source.tags()
    write_bands(tmp_path / "a_diagnostics.tif", {"artifact_risk": (LAND / 100, "1")}, grid=GRID, ours=tags)
    (one,), left_out = read_maps([tmp_path])
    assert [layer.key for layer in one.layers] == ["pm25", "artifact_risk"]
    assert one.path.name == "pm25_2020-09-12.tif"
    assert not left_out


def test_a_map_of_earlier_builds_is_read_by_the_names_of_its_bands(tmp_path):
    """All bands stood in one file, under sentences, with their names in a tag."""
    with rasterio.open(write_map(tmp_path / "new.tif", GRID, LAND)) as source:
        tags, band = source.tags(), source.tags(1)
    lower = Band("pm25_lower", "Lower end", "ug m-3", PM25.standard_name).tags()
    named = {
        "Lower end of the 90 % interval of PM2.5": (LAND / 2, "ug m-3", lower),
        PM25.long_name: (LAND, "ug m-3", band),
    }
    (tmp_path / "old").mkdir()
    old = write_bands(tmp_path / "old" / "cog.tif", named, grid=GRID, ours=tags)
    found = read_joined(old)
    assert [layer.key for layer in found.layers] == ["pm25_lower", "pm25"]
    np.testing.assert_array_equal(found.layer("pm25").values, LAND)


def test_a_map_and_diagnostics_that_hold_it_too_are_one_map(tmp_path):
    """Bounds stand in both where --intervals and --diagnostics were asked for."""
    lower = Band("pm25_lower", "Lower end", "ug m-3", PM25.standard_name)
    risk = Band("artifact_risk", "Risk", "1")
    write_map_with_bands(tmp_path / "cog.tif", GRID, LAND, {lower: LAND / 2})
    write_map_with_bands(tmp_path / "doubts" / "pm25.tif", GRID, LAND, {lower: LAND / 2, risk: LAND / 50})
    (one,), _ = read_maps([tmp_path / "cog.tif", tmp_path / "doubts"])
    assert sorted(layer.key for layer in one.layers) == ["artifact_risk", "pm25", "pm25_lower"]
    assert one.path.name == "cog.tif"


def test_bands_that_were_made_of_something_else_join_no_map(tmp_path):
    """As when a map was replaced by hand, and what stood beside it was left."""
    lower = Band("pm25_lower", "Lower end", "ug m-3", PM25.standard_name)
    write_map_with_bands(tmp_path / "a.tif", GRID, LAND, {lower: LAND / 2})
    other = provenance(GRID, predictors_checksum="ab" * 32)
    write_map_files(tmp_path / "b.tif", LAND, GRID, other)
    (tmp_path / "a.tif").write_bytes((tmp_path / "b.tif").read_bytes())
    (tmp_path / "b.tif").unlink()
    maps, _ = read_maps([tmp_path / "a.tif"])
    assert [[layer.key for layer in one.layers] for one in maps] == [["pm25_lower"], ["pm25"]]


def test_a_file_beside_a_map_that_was_changed_is_not_believed(tmp_path):
    lower = Band("pm25_lower", "Lower end", "ug m-3", PM25.standard_name)
    path = write_map_with_bands(tmp_path / "cog.tif", GRID, LAND, {lower: LAND / 2})
    write_stac_item(path, created=CREATED, model_card=tmp_path / "card.json", predictors=None)
    assert read_joined(path).layer("pm25_lower")
    beside = tmp_path / "cog.bands.tif"
    beside.write_bytes(beside.read_bytes()[:-1] + b"x")
    with pytest.raises(BadMap, match=r"cog\.bands\.tif is damaged or was changed"):
        read_joined(path)


def test_two_models_of_one_day_stay_two_maps(tmp_path):
    write_map(tmp_path / "a.tif", GRID, LAND)
    write_map(tmp_path / "b.tif", GRID, LAND + 1)
    maps, _ = read_maps([tmp_path])
    assert [one.path.name for one in maps] == ["a.tif", "b.tif"]


def test_maps_of_different_grids_keep_their_own_cells_and_it_is_said(tmp_path):
    small = address_grid(20, 30)
    write_map(tmp_path / "a.tif", GRID, LAND)
    write_map(tmp_path / "b.tif", small, address_map(small), dt.date(2020, 9, 13))
    maps, _ = read_maps([tmp_path])
    data = page_data(maps, [], [[], []])
    assert [grid["shape"] for grid in data["grids"]] == [(40, 60), (20, 30)]
    assert [said["grid"] for said in data["maps"]] == [0, 1]
    assert any("2 grids" in fact for fact in data["facts"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: None, "there is no map"),
        (lambda p: p.write_bytes(b"GIF89a"), "it is no GeoTIFF"),
        (lambda p: p.mkdir(), "holds no map"),
        (lambda p: write_bands(p, {"a": (LAND, "")}, crs=None, transform=GRID.affine), "no CRS"),
        (lambda p: write_bands(p, {"a": (LAND, "")}, transform=Affine(1, 1, 0, 1, -1, 0)), "north up"),
    ],
)
def test_what_cannot_be_shown_is_one_clear_line(tmp_path, make, words):
    make(tmp_path / "x.tif")
    with pytest.raises(BadMap, match=words) as caught:
        read_maps([tmp_path / "x.tif"])
    assert "\n" not in str(caught.value)


def test_a_map_of_many_cells_is_looked_at_through_means(tmp_path):
    values = np.tile(np.float32([[1, 3], [5, 7]]), (800, 800))
    path = write_bands(
        tmp_path / "f.tif", {"pm25": (values, "ug m-3")}, transform=Affine(100, 0, 0, 0, -100, 2e6)
    )
    found = read_map(path)
    assert (found.coarser, found.shape, found.transform[0]) == (2, (800, 800), 200)
    np.testing.assert_allclose(found.layers[0].values, 4)


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 900, width=32)), min_size=1, max_size=60),
)
@example([128.39999389648438])
@settings(deadline=None)
def test_a_concentration_is_cut_to_a_tenth_and_comes_back(values):
    given_values = np.array([[np.nan if v is None else v for v in values]], np.float32)
    packed = pack(layer_of(given_values))
    back = inflate(packed, given_values.shape)
    cut = np.vectorize(lambda value: truncate(value) if np.isfinite(value) else np.nan, otypes=[float])(
        given_values
    )
    np.testing.assert_allclose(back, cut, atol=2e-5)
    assert packed.step == pytest.approx(0.1)


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=60))
@settings(deadline=None)
def test_another_number_is_rounded_to_a_small_part_of_its_range(values):
    given_values = np.array([values], np.float32)
    packed = pack(layer_of(given_values, kind="number"))
    spread = max(float(given_values.max() - given_values.min()), -float(given_values.min()), 1e-9)
    off = np.abs(inflate(packed, given_values.shape) - given_values).max()
    assert off <= max(spread / 4000, packed.step) * 0.51 + 1e-6 * np.abs(given_values).max()


def test_flags_come_back_as_they_are():
    codes = np.array([[0, 1, 1023, 65_534]], np.float32)
    packed = pack(layer_of(codes, kind="flags", unit=""))
    np.testing.assert_array_equal(inflate(packed, codes.shape), codes)


@pytest.mark.parametrize(
    ("crs", "transform", "shape"),
    [
        ("EPSG:5070", (10_000.0, 0, -2_360_000.0, 0, -10_000.0, 3_180_000.0), (292, 462)),
        ("EPSG:5070", (1_000.0, 0, -2_360_000.0, 0, -1_000.0, 3_180_000.0), (1100, 1300)),
        ("EPSG:4326", (0.1, 0, -125.0, 0, -0.1, 50.0), (250, 580)),
        ("EPSG:3857", (10_000.0, 0, -13_900_000.0, 0, -10_000.0, 6_300_000.0), (330, 640)),
    ],
)
def test_the_net_finds_the_cell_of_a_place(tmp_path, crs, transform, shape):
    """Between the knots of the net a place is off by less than 0.02 cells: the oracle is PROJ itself."""
    values = np.zeros(shape, np.float32)
    shown = read_map(
        write_bands(tmp_path / "m.tif", {"a": (values, "")}, crs=crs, transform=Affine(*transform))
    )
    net = net_of(shown)
    rows, cols = net.knots
    import base64

    places = np.frombuffer(base64.b64decode(net.places), "<f4").reshape(rows, cols, 2).astype(np.float64)
    middle = _refined(_refined(places))
    west, north, east, south = net.box
    mx, my = np.meshgrid(np.linspace(west, east, middle.shape[1]), np.linspace(north, south, middle.shape[0]))
    turn = 2 * np.pi * 6_378_137
    x, y = Transformer.from_crs("EPSG:3857", crs, always_xy=True).transform(
        (mx - 0.5) * turn, (0.5 - my) * turn
    )
    a, _, c, _, e, f = shown.transform
    col, row = (x - c) / a, (y - f) / e
    inside = (col > 0) & (row > 0) & (col < shown.shape[1]) & (row < shown.shape[0])
    off = np.hypot(middle[..., 0] - col, middle[..., 1] - row)[inside]
    assert inside.sum() > 1000
    assert off.max() < 0.04


def test_a_count_is_told_in_whole_numbers():
    packed = pack(layer_of([[5, 5, np.nan, 3]], kind="number", unit=""))
    assert packed.step == 1
    np.testing.assert_array_equal(inflate(packed, (1, 4)), np.array([[5, 5, np.nan, 3]], np.float32))
