"""The page in a real browser: true values, nothing asked of a network, usable with keys alone."""

import datetime as dt
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from browser import assert_looks_as_stored, open_page, settle
from click.testing import CliRunner
from looked_at import write_bands, write_map, write_map_with_bands
from maps import address_grid, address_map
from PIL import Image
from rasterio.transform import Affine
from test_preview import conus, planted_map

from pm25map.base.aqi import CATEGORIES_BEFORE_2024
from pm25map.base.errors import BadInstall
from pm25map.cli.view import command
from pm25map.raster.bands import PM25, Band
from pm25map.view import report
from pm25map.view.colours import colours

pytestmark = pytest.mark.slow

DAYS = [dt.date(2020, 9, day) for day in (11, 12, 13)]


def make(words, **options):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three days, the second one with an interval, a risk and flags, and a file that is broken."""
    folder = tmp_path_factory.mktemp("days")
    pm25 = planted_map()
    extra = {
        Band("pm25_lower", "Lower end of the 90 % interval", "ug m-3", PM25.standard_name): pm25 / 2,
        Band("pm25_upper", "Upper end of the 90 % interval", "ug m-3", PM25.standard_name): pm25 * 2,
        Band("artifact_risk", "Risk of an artifact", "1"): np.where(np.isfinite(pm25), 0.25, np.nan),
    }
    flags = {"flag_masks": "1 2", "flag_meanings": "imputed stale", "PM25MAP_DAY": "2020-09-12"}
    bits = {
        "Quality of the predictors": (
            np.where(conus().land, 3, 255).astype(np.uint8),
            "1",
            {"NAME": "quality"},
        )
    }
    write_bands(folder / "pm25_2020-09-12_quality.tif", bits, grid=conus(), ours=flags, nodata=255)
    write_map(folder / "pm25_2020-09-11.tif", conus(), pm25 / 2, DAYS[0])
    write_map_with_bands(folder / "pm25_2020-09-12.tif", conus(), pm25, extra, DAYS[1])
    write_map(folder / "pm25_2020-09-13.tif", conus(), pm25 + 1, DAYS[2])
    (folder / "pm25_2020-09-14.tif").write_bytes(b"II*\0 cut short")
    return folder


@pytest.fixture(scope="module")
def days_page(folder):
    out = folder / "report.html"
    done = make([folder, "--out", out])
    assert done.exit_code == 0, done.output
    assert "Left out" in done.stderr
    assert "pm25_2020-09-14.tif" in done.stderr
    return out


@pytest.fixture
def page(browser, days_page):
    page = open_page(browser, days_page.as_uri())
    yield page
    assert page.said == []
    page.context.close()


def choose(page, select, value):
    before = page.evaluate("document.documentElement.dataset.ready")
    page.select_option(f"#{select}", value)
    for _ in range(200):
        if page.evaluate("document.documentElement.dataset.ready") != before:
            return
        page.wait_for_timeout(25)


def point_at(page, lon, lat):
    """Move the mouse to a place on the earth, and read what the page says of it."""
    box = page.locator("#map").bounding_box()
    spot = page.evaluate(f"(() => {{ const p = pm25map.map.project([{lon}, {lat}]); return [p.x, p.y]; }})()")
    page.mouse.move(box["x"] + spot[0] - 3, box["y"] + spot[1])
    page.mouse.move(box["x"] + spot[0], box["y"] + spot[1])
    page.wait_for_timeout(120)
    return page.text_content("#readout")


def test_nothing_is_asked_of_any_network(page, days_page):
    settle(page)
    assert page.asked[0] == days_page.as_uri()
    assert all(asked.startswith(("blob:", "data:")) for asked in page.asked[1:])
    assert "connect-src 'none'" in days_page.read_text()[:2000]


def test_the_value_under_the_pointer_is_the_cells_own(browser, tmp_path):
    """Every value spells its row and column; the mouse finds them all over the map."""
    grid = address_grid()
    write_map(tmp_path / "m.tif", grid, address_map(grid) * 10)
    assert make([tmp_path / "m.tif", "--out", tmp_path / "m.html"]).exit_code == 0
    page = open_page(browser, (tmp_path / "m.html").as_uri())
    x, y = grid.xy()
    from pyproj import Transformer

    to_lonlat = Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
    rng = np.random.default_rng(7)
    for _ in range(25):
        row, col = int(rng.integers(4, 40)), int(rng.integers(6, 60))
        # Off the middle of the cell, but not so far that a pixel of the screen decides.
        east, south = rng.uniform(-0.3, 0.3, 2) * 10_000
        lon, lat = to_lonlat.transform(x[col] + east, y[row] - south)
        said = point_at(page, lon, lat)
        assert said.startswith(f"{np.floor((row + col / 1000) * 100) / 10:.1f} µg/m³"), (row, col, said)
    lon, lat = to_lonlat.transform(x[1], y[1])
    assert point_at(page, lon, lat).startswith("no value")
    assert page.said == []


def test_each_cell_is_drawn_in_the_colour_of_its_own_value(browser, tmp_path):
    grid = address_grid()
    rng = np.random.default_rng(3)
    pm25 = rng.choice(np.float32([4, 20, 45, 90, 180, 312]), grid.shape)
    write_map(tmp_path / "m.tif", grid, np.where(grid.land, pm25, np.nan))
    assert make([tmp_path / "m.tif", "--out", tmp_path / "m.html", "--no-spots"]).exit_code == 0
    page = open_page(browser, (tmp_path / "m.html").as_uri())
    page.evaluate("void pm25map.map.jumpTo({center: [-97.5, 35.6], zoom: 8.2})")
    page.add_style_tag(content=".city, .maplibregl-ctrl-bottom-left { display: none !important; }")
    settle(page)
    page.screenshot(path=tmp_path / "shot.png")
    shot = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB"), dtype=int)
    box = page.locator("#map").bounding_box()
    colormap, norm = colours()
    right = 0
    for dx in range(120, 800, 40):
        for dy in range(80, 720, 40):
            at = f"(() => {{ const p = pm25map.map.unproject([{dx}, {dy}]); return [p.lng, p.lat]; }})()"
            lon, lat = page.evaluate(at)
            row, col = (int(v[0]) for v in grid.cells_at([lon], [lat]))
            wanted = np.array(colormap(norm(pm25[row, col] + 0.05), bytes=True)[:3], dtype=int)
            drawn = shot[int(box["y"]) + dy, int(box["x"]) + dx]
            right += bool(np.abs(drawn - wanted).max() <= 3)
    # A few places lie on the very rim of a cell, or under a state line.
    assert right >= 0.97 * 17 * 16


def test_a_click_tells_value_interval_quality_and_history(page):
    page.evaluate("pm25map.go(1)")
    settle(page)
    point_at(page, -121.0, 43.0)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("#cell .big")
    words = page.text_content("#cell")
    assert words.startswith("312.0 µg/m³Hazardous")
    assert "Interval 156.0 to 624.0 µg/m³" in words
    assert re.search(r"Risk of an artifact\s*0.250", words)
    assert re.search(r"Quality of the predictors\s*imputed, stale", words)
    label = page.get_attribute("#history svg", "aria-label")
    assert label.startswith("2 days of this cell, 2020-09-11 to 2020-09-12; highest 2020-09-12: 312.0")
    assert page.get_attribute("#cell", "aria-live") == "polite"


def test_the_page_works_with_keys_alone(page):
    order = []
    for _ in range(40):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        if order[-1] == "maplibregl-canvas":
            break
    assert order[0] == "skip"
    assert order.index("day") < order.index("layer") < order.index("with") < order.index("palette")
    page.keyboard.press("Enter")
    page.wait_for_selector("#cell .big")
    assert page.text_content("#cell").startswith("10.0 µg/m³Moderate"), "Kansas lies in the middle"
    page.focus("#day")
    page.keyboard.press("ArrowRight")
    page.locator("#day-name", has_text="2020-09-12").wait_for()
    assert page.get_attribute("#day", "aria-valuetext") == "2020-09-12"


def test_a_screen_reader_finds_no_fault(page):
    """By axe-core: names, roles, contrast, landmarks; with a cell chosen and two days side by side."""
    from axe_playwright_python.sync_playwright import Axe

    choose(page, "with", "map:2")
    page.evaluate("pm25map.pick([-121, 43])")
    found = Axe().run(page).response["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found] == []


def test_two_days_are_swiped(page):
    choose(page, "with", "map:2")
    assert page.text_content("#left-name") == "2020-09-11"
    assert page.text_content("#right-name") == "2020-09-13"
    middle = page.evaluate(
        "pm25map.map.project([-98.2, 38.5]).x / document.getElementById('map').clientWidth"
    )
    for split, value in ((middle + 0.1, "10.0"), (middle - 0.1, "21.0")):
        page.fill("#swipe", str(round(100 * split)))
        assert point_at(page, -98.2, 38.5).startswith(f"{value} µg/m³")


def test_the_earlier_classes_and_the_safe_colours_are_on_a_switch(page):
    assert "9.1 to 35.4" in page.text_content("#legend")
    choose(page, "edition", "earlier")
    ranges = page.locator("#legend .range").all_text_contents()
    assert ranges[:-1] == [f"{c.low:.1f} to {c.high:.1f}" for c in CATEGORIES_BEFORE_2024[:-1]]
    before = page.evaluate("document.querySelector('#legend .swatch').style.background")
    choose(page, "palette", "safe")
    assert page.evaluate("document.querySelector('#legend .swatch').style.background") != before


def test_a_layer_that_is_no_concentration_has_its_own_legend(page):
    page.evaluate("pm25map.go(1)")
    choose(page, "layer", "artifact_risk")
    assert "Risk of an artifact" in page.text_content("#legend .title")
    assert page.locator("#legend .ends span").all_text_contents() == ["0", "0.5", "1"]
    assert page.is_hidden("#schemes")
    choose(page, "layer", "quality")
    assert "imputed; stale" in page.text_content("#legend")


def test_a_hot_spot_of_the_list_flies_to_its_place(page):
    button = page.locator("#spots button").first
    assert "Oregon" in button.text_content()
    button.click()
    settle(page)
    lng, lat = page.evaluate("pm25map.map.getCenter().toArray()")
    assert -125 < lng < -116
    assert 41 < lat < 47
    assert page.evaluate("pm25map.map.getZoom()") > 4.5
    assert "405" in page.text_content("#cell")


def test_what_is_not_shown_is_listed(page):
    assert "Not shown" in page.text_content("#facts")
    assert "pm25_2020-09-14.tif" in page.text_content("#facts")


@pytest.mark.parametrize("name", ["page", "page-swipe"])
def test_the_page_looks_as_stored(page, tmp_path, name):
    page.evaluate("pm25map.go(1)")
    page.evaluate("pm25map.pick([-121, 43])")
    if name == "page-swipe":
        choose(page, "palette", "safe")
        choose(page, "with", "map:0")
    settle(page)
    page.screenshot(path=tmp_path / "shot.png")
    assert_looks_as_stored(tmp_path / "shot.png", name)


def test_one_day_is_small(folder, tmp_path):
    """The whole of CONUS on the default grid; a real day has more structure and takes 0.1 MB more."""
    make([folder / "pm25_2020-09-12.tif", "--out", tmp_path / "one.html"])
    assert (tmp_path / "one.html").stat().st_size < 3e6


def test_another_programs_map_is_shown(browser, tmp_path):
    values = np.arange(600, dtype=np.float32).reshape(20, 30) - 300
    path = tmp_path / "<b>theirs.tif"
    write_bands(
        path, {"</script><b>x": (values, "K")}, crs="EPSG:4326", transform=Affine(0.5, 0, -105, 0, -0.5, 42)
    )
    assert make([path, "--out", tmp_path / "t.html"]).exit_code == 0
    page = open_page(browser, (tmp_path / "t.html").as_uri())
    assert page.text_content("h1") == "<b>theirs.tif"
    assert "</script><b>x, K" in page.text_content("#legend")
    assert point_at(page, -104.75, 41.75).startswith("-300")
    assert "does not say all" in page.text_content("#facts")
    assert page.said == []


def test_without_the_map_library_it_says_what_to_do(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_VENDOR", tmp_path / "nowhere")
    with pytest.raises(BadInstall, match="reinstall pm25map"):
        make([folder, "--out", tmp_path / "x.html"])


def test_a_plain_number_has_no_unit_and_an_interval_belongs_to_the_estimate(page):
    page.evaluate("pm25map.go(1)")
    choose(page, "layer", "artifact_risk")
    assert page.text_content("#legend .title") == "Risk of an artifact"
    page.evaluate("pm25map.pick([-121, 43])")
    assert float(page.text_content("#cell .big")) == 0.25
    assert page.locator("#cell > p", has_text="Interval").count() == 0
    assert page.locator("#history polygon").count() == 0


@pytest.mark.parametrize("width", [390, 1280])
def test_the_divider_can_be_seen_and_moved_on_any_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("pm25map.go(1)")
    choose(page, "with", "layer:artifact_risk")
    slider = page.locator("#swipe").bounding_box()
    for name in ("#left-name", "#right-name"):
        sign = page.locator(name).bounding_box()
        assert sign["y"] >= slider["y"] + slider["height"] or sign["y"] + sign["height"] <= slider["y"], name


def test_the_map_library_is_the_one_that_its_readme_names():
    folder = Path(report.__file__).parent / "page" / "vendor"
    stated = dict(
        re.findall(r"^\| `(\S+)` \| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    )
    assert set(stated) == {"maplibre-gl.js", "maplibre-gl.css", "LICENSE.txt"}
    for name, checksum in stated.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum
    version = re.search(r"MapLibre GL JS (\S+)", (folder / "README.md").read_text())[1]
    assert f"/v{version}/" in (folder / "maplibre-gl.js").read_text()[:400]
