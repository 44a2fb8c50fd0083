"""An area drawn on the page: its numbers are the server's and numpy's, with the mouse and with keys."""

import datetime as dt

import numpy as np
import pytest
import shapely
from browser import open_page, settle
from fastapi.testclient import TestClient
from looked_at import write_bands, write_map
from maps import address_grid, address_map
from rasterio.transform import Affine
from served import served

from pm25map.view.server.app import make_app
from pm25map.view.server.catalogue import read_catalogue

pytestmark = pytest.mark.slow

GRID = address_grid()
TENTHS = np.where(GRID.land, np.round(address_map(GRID), 1), np.nan)
"""In whole tenths, so that the page, which cuts to 0.1, loses nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    write_map(folder / "pm25_2020-09-12.tif", GRID, TENTHS, dt.date(2020, 9, 12))
    write_map(folder / "pm25_2020-09-13.tif", GRID, TENTHS + 1, dt.date(2020, 9, 13))
    return folder


@pytest.fixture(scope="module")
def app(folder):
    return make_app(read_catalogue(folder), rate=1e6)


@pytest.fixture(scope="module")
def address(app):
    with served(app) as address:
        yield address


@pytest.fixture
def page(browser, address):
    page = open_page(browser, address)
    settle(page)
    yield page
    assert page.said == []
    page.context.close()


def click_at(page, lon, lat, double=False):
    """Click a place on the earth; gives where the page has it, to the pixel."""
    box = page.locator("#map").bounding_box()
    x, y = page.evaluate(f"(() => {{ const p = pm25map.map.project([{lon}, {lat}]); return [p.x, p.y]; }})()")
    x, y = round(box["x"] + x), round(box["y"] + y)
    (page.mouse.dblclick if double else page.mouse.click)(x, y)
    # Clicks that follow at once would be a double click.
    page.wait_for_timeout(350)
    return page.evaluate(f"pm25map.map.unproject([{x - box['x']}, {y - box['y']}]).toArray()")


def told(page):
    """The table of the area: {name: number}."""
    page.wait_for_selector("#area table")
    rows = page.locator("#area tr").all_inner_texts()
    return {name: float(text.split()[0].replace(",", "")) for name, text in (r.split("\t") for r in rows)}


def asked(app, ring, name="pm25_2020-09-12", **layer):
    client = TestClient(app, base_url="http://127.0.0.1")
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return client.post(f"/maps/{name}/statistics", json={"geometry": geometry}, params=layer)


def numbers(said):
    """What the page tells, from what the server says: rounded as the page does."""
    parts = {name.title(): round(said[name], 1) for name in ("mean", "median", "minimum", "maximum")}
    return parts | {"Cells": said["cells"], "Area": round(said["area_km2"])}


def test_an_area_that_is_clicked_has_the_numbers_of_the_server_and_follows_the_day(page, app):
    page.click("#draw")
    corners = [(-98.8, 36.6), (-96.9, 36.4), (-97.2, 35.4)]
    ring = [click_at(page, *corner) for corner in corners]
    ring.append(click_at(page, -98.5, 35.1, double=True))
    said = asked(app, ring).json()
    assert said["cells"] > 150
    assert told(page) == pytest.approx(numbers(said), abs=0.1001)
    assert "2020-09-12" in page.text_content("#area")
    assert page.is_hidden("#cell table"), "a corner is no choice of a cell"
    page.evaluate("pm25map.go(1)")
    settle(page)
    assert told(page)["Mean"] == pytest.approx(said["mean"] + 1, abs=0.1001)
    page.click("#clear")
    assert page.text_content("#area") == ""
    assert page.evaluate("document.activeElement.id") == "draw"


def test_an_area_is_drawn_with_keys_alone(page, app):
    page.focus("#draw")
    page.keyboard.press("Enter")
    canvas = "document.activeElement.className"
    assert "maplibregl-canvas" in page.evaluate(canvas)
    ring = []
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        settle(page)
        page.keyboard.press("Space")
        ring.append(page.evaluate("pm25map.map.getCenter().toArray()"))
        assert page.text_content("#area").startswith(f"Corner {len(ring)} at ")
    page.keyboard.press("Backspace")
    assert page.text_content("#area") == "3 corners are left."
    page.keyboard.press("Enter")
    assert told(page) == pytest.approx(numbers(asked(app, ring[:3]).json()), abs=0.1001)
    assert page.is_hidden("#cell table"), "the Enter that closes an area reads no cell"
    assert page.get_attribute("#area", "role") == "status"


def test_escape_leaves_and_the_map_is_as_before(page):
    page.click("#draw")
    click_at(page, -98, 36)
    page.keyboard.press("Escape")
    assert page.text_content("#area") == ""
    assert page.get_attribute("#draw", "aria-pressed") == "false"
    click_at(page, -98, 36)
    page.wait_for_selector("#cell .big")


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ([(-98, 36), (-97, 36)], "three vertices or more; this one has 2"),
        ([(-98, 36), (-97, 37), (-98, 37), (-97, 36)], "cross each other"),
        ([(-98, 36), (-97, 36), (-97.5, 36)], "lie on each other"),
        ([(-110, 30), (-109, 30), (-109, 31)], "outside of the map"),
    ],
)
def test_an_area_without_an_answer_says_why(page, corners, words):
    page.evaluate("void pm25map.map.jumpTo({center: [-100, 34], zoom: 4})")
    page.click("#draw")
    page.evaluate(f"window.pm25map.area.ring = {[list(corner) for corner in corners]}")
    page.keyboard.press("Enter")
    page.wait_for_selector("#area .fault")
    assert words in page.text_content("#area")


def stars(rng, count, west, south, east, north):
    """Rings without crossings, small and large, some of them partly outside of the box."""
    for _ in range(count):
        corners = int(rng.integers(3, 9))
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        size = rng.choice([0.01, 0.1, 0.5, 2]) * rng.uniform(0.4, 1, corners)
        lon, lat = rng.uniform(west, east), rng.uniform(south, north)
        ring = np.column_stack([lon + size * np.cos(angles), lat + size * np.sin(angles)])
        if shapely.Polygon(ring).is_valid:
            yield ring.tolist()


def compare(page, app, name, frame, key, rings):
    """The page's and the server's statistics of some rings: how many answers there were, and cells that differ."""
    answers, cells, differ = 0, 0, 0
    for ring in rings:
        mine = page.evaluate(f"pm25map.statisticsOf({frame}, '{key}', {ring})")
        answer = asked(app, ring, name, layer=key)
        assert (mine is None) == (answer.status_code == 400), ring
        if mine is None:
            continue
        theirs = answer.json()
        answers, cells = answers + 1, cells + theirs["cells"]
        differ += abs(mine["cells"] - theirs["cells"])
        if mine["cells"] == theirs["cells"]:
            for said, name_there in (("area", "area_km2"), *((n, n) for n in ("mean", "median", "minimum"))):
                assert mine[said] == pytest.approx(theirs[name_there], rel=2e-3, abs=0.051), (said, ring)
    return answers, cells, differ


def test_the_page_and_the_server_find_the_same_cells(page, app):
    """The page finds a place to 0.02 of a cell: a centre that lies closer to an edge may count on one side only."""
    rng = np.random.default_rng(11)
    answers, cells, differ = compare(
        page, app, "pm25_2020-09-12", 0, "pm25", stars(rng, 60, -100, 34, -93, 38)
    )
    assert answers > 40
    assert differ <= 0.001 * cells


def test_cells_of_a_map_in_degrees_count_by_their_area(browser, tmp_path):
    from click.testing import CliRunner

    from pm25map.cli.view import command

    values = np.repeat(np.arange(40, dtype=np.float32)[:, None], 50, axis=1)
    at = Affine(0.2, 0, -105, 0, -0.5, 50)
    path = write_bands(tmp_path / "degrees.tif", {"x": (values, "K")}, crs="EPSG:4326", transform=at)
    assert CliRunner().invoke(command, [str(path), "--out", str(tmp_path / "m.html")]).exit_code == 0
    page = open_page(browser, (tmp_path / "m.html").as_uri())
    key = page.evaluate("pm25map.DATA.layers[0].key")
    app = make_app(read_catalogue(tmp_path), rate=1e6)
    ring = [[-104.5, 31], [-97, 31], [-97, 49], [-104.5, 49]]
    mine = page.evaluate(f"pm25map.statisticsOf(0, '{key}', {ring})")
    theirs = asked(app, ring, "degrees", layer=key).json()
    assert mine["cells"] == theirs["cells"]
    assert mine["mean"] == pytest.approx(theirs["mean"], rel=1e-5)
    assert mine["area"] == pytest.approx(theirs["area_km2"], rel=1e-5)
    assert abs(mine["mean"] - np.mean(values[2:38])) > 0.1, "northern cells are smaller"
    assert page.said == []
    page.context.close()


def test_a_day_that_cannot_be_had_is_said_and_no_other_day_is_shown_for_it(browser, tmp_path):
    for day in (12, 13):
        write_map(tmp_path / f"pm25_2020-09-{day}.tif", GRID, TENTHS + day, dt.date(2020, 9, day))
    with served(make_app(read_catalogue(tmp_path), rate=1e6)) as address:
        page = open_page(browser, address)
        settle(page)
        (tmp_path / "pm25_2020-09-13.tif").unlink()
        page.click("#next")
        page.wait_for_selector("#problem:not([hidden])")
        assert "cannot be shown: the server answers 410" in page.text_content("#problem")
        assert "13" in page.text_content("#day-name")
        page.click("#previous")
        page.wait_for_selector("#problem", state="hidden")
        page.context.close()
