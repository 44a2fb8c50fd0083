"""The picture and the headline: true colours at planted places, and the right state."""

import functools
import io
from dataclasses import replace

import numpy as np
import pytest
from maps import provenance
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from pm25map.base.aqi import CATEGORIES, UPPER_ENDS
from pm25map.base.errors import BadOutput
from pm25map.grid import Block, Grid, cells_of, load_grid, region
from pm25map.raster.map_files import write_map
from pm25map.view.colours import colours
from pm25map.view.headline import headline
from pm25map.view.layers import read_map
from pm25map.view.page_data import page_data
from pm25map.view.preview import draw_preview, picture_of

PLANTED = {"Nevada": 4.0, "Kansas": 20.0, "Colorado": 45.0, "Texas": 90.0, "Georgia": 180.0, "Oregon": 312.0}
"""One state for each class of the index."""


@functools.cache
def conus() -> Grid:
    return load_grid("conus-10km")


@functools.cache
def planted_map() -> np.ndarray:
    grid = conus()
    pm25 = np.where(grid.land, np.float32(2), np.float32(np.nan))
    for state, value in PLANTED.items():
        pm25[cells_of(grid, region(state.lower()))] = value
    row, col = grid.cells_at([-120.0], [44.0])
    pm25[row[0], col[0]] = 811.5
    return pm25


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preview")
    write_map(folder / "cog.tif", planted_map(), conus(), provenance(conus()))
    draw_preview(folder / "cog.tif", folder / "cog.png")
    return folder


def colour_of(value: float) -> np.ndarray:
    colormap, norm = colours()
    return np.array(colormap(norm(value))[:3])


def test_every_planted_class_is_on_the_picture_in_its_colour(drawn):
    picture = imread(io.BytesIO((drawn / "cog.png").read_bytes()))[:, :, :3]
    for state, value in PLANTED.items():
        near = np.abs(picture - colour_of(value)).max(axis=2) < 0.02
        share = near.sum() / cells_of(conus(), region(state.lower())).sum()
        # A cell is about 3.8 pixels wide; borders, words and the legend blur a few.
        assert 10 < share < 20, state


def test_planted_states_lie_where_they_should(drawn):
    picture = imread(io.BytesIO((drawn / "cog.png").read_bytes()))[:, :, :3]
    middle = {}
    for state in ("Oregon", "Georgia", "Texas"):
        near = np.abs(picture - colour_of(PLANTED[state])).max(axis=2) < 0.02
        middle[state] = np.median(np.nonzero(near), axis=1)
    assert middle["Oregon"][1] < middle["Texas"][1] < middle["Georgia"][1]
    assert middle["Oregon"][0] < middle["Georgia"][0] < middle["Texas"][0]


def test_the_picture_is_wide_enough_to_print(drawn):
    height, width = imread(io.BytesIO((drawn / "cog.png").read_bytes())).shape[:2]
    assert 1750 <= width <= 1900
    assert height > 1000


def test_the_same_map_gives_the_same_picture(drawn):
    draw_preview(drawn / "cog.tif", drawn / "again.png")
    assert (drawn / "again.png").read_bytes() == (drawn / "cog.png").read_bytes()


def test_a_picture_that_is_there_is_kept(drawn):
    with pytest.raises(BadOutput, match="--overwrite"):
        draw_preview(drawn / "cog.tif", drawn / "cog.png")


def test_no_shade_is_shared_by_two_classes_and_ends_are_exact():
    colormap, norm = colours()
    ends = [0.0, *UPPER_ENDS]
    for end in UPPER_ENDS:
        below, above = colormap(norm(end + 0.05)), colormap(norm(end + 0.15))
        assert below != above
    inside = [{colormap(norm(v)) for v in np.linspace(low + 0.2, low + 9, 200)} for low in ends]
    assert all(not a & b for i, a in enumerate(inside) for b in inside[:i])


@pytest.mark.parametrize("size", [1, 30])
def test_a_part_of_the_map_is_drawn_too(tmp_path, size):
    row, col = (int(v[0]) for v in conus().cells_at([-98.0], [38.0]))
    block = Block(row, col, size, 2 * size)
    write_map(tmp_path / "p.tif", planted_map()[block.slices], conus(), provenance(conus()), block=block)
    draw_preview(tmp_path / "p.tif", tmp_path / "p.png")
    assert imread(io.BytesIO((tmp_path / "p.png").read_bytes())).shape[1] >= 1750


def test_a_map_with_more_cells_than_pixels_is_averaged(tmp_path):
    land = np.ones((1250, 3700), dtype=bool)
    grid = Grid("fine", "EPSG:5070", (500.0, 0.0, -900_000.0, 0.0, -500.0, 2_000_000.0), land.shape, 64, land)
    # Half of the cells Good, half Unhealthy, in columns: what is seen is their mean.
    pm25 = np.where(np.indices(land.shape)[1] % 2, np.float32(86), np.float32(4))
    write_map(tmp_path / "fine.tif", pm25, grid, provenance(grid))
    draw_preview(tmp_path / "fine.tif", tmp_path / "fine.png")
    picture = imread(io.BytesIO((tmp_path / "fine.png").read_bytes()))[:, :, :3]
    middle = picture[400:600, 600:1200]
    assert np.median(np.abs(middle - colour_of(45)).max(axis=2)) < 0.02


def test_the_headline_names_the_state_with_the_highest_median():
    found = headline(planted_map(), conus())
    assert found.text == "Oregon median 312 ug/m3, Hazardous"
    assert str(found) == found.text
    assert found.maximum == pytest.approx(811.5)
    assert found.maximum_state == "Oregon"
    assert (found.maximum_lon, found.maximum_lat) == pytest.approx((-120, 44), abs=0.1)
    assert found.maximum_text.startswith("Maximum 812 ug/m3 in Oregon (44.")


def test_the_headline_warns_of_few_monitors():
    found = headline(planted_map(), conus(), warnings="only 14 monitors measured on this day")
    assert found.text == ("Oregon median 312 ug/m3, Hazardous. Beware: only 14 monitors measured on this day")


def test_a_map_of_few_monitors_says_so_on_its_picture_and_page(tmp_path):
    said = "only 14 monitors measured on this day; 80% of the land is over 300 km from a monitor"
    told = replace(provenance(conus()), warnings=said)
    write_map(tmp_path / "few.tif", planted_map(), conus(), told)
    assert picture_of(tmp_path / "few.tif").warning == f"Beware: {said}"
    assert page_data([read_map(tmp_path / "few.tif")], [], [[]])["maps"][0]["subtitle"].endswith(said)
    draw_preview(tmp_path / "few.tif", tmp_path / "few.png")
    write_map(tmp_path / "many.tif", planted_map(), conus(), provenance(conus()))
    draw_preview(tmp_path / "many.tif", tmp_path / "many.png")
    few, many = (imread(io.BytesIO((tmp_path / f"{name}.png").read_bytes())) for name in ("few", "many"))
    assert few.shape == many.shape
    head = few.shape[0] // 12
    red = [
        (np.abs(picture[:head, :, :3] - to_rgb("#A3261B")).max(axis=2) < 0.1).sum() for picture in (few, many)
    ]
    assert red[0] > 500
    assert red[1] == 0
    assert picture_of(tmp_path / "many.tif").warning == ""


def test_the_headline_of_a_part_sees_only_that_part():
    block = conus().window_of_bounds(-104, 30, -94, 41)
    found = headline(planted_map()[block.slices], conus(), block)
    assert found.text == "Texas median 90 ug/m3, Unhealthy"


def test_a_few_cells_do_not_speak_for_a_state():
    row, col = (int(v[0]) for v in conus().cells_at([-98.0], [38.0]))
    block = Block(row, col, 2, 2)
    assert headline(planted_map()[block.slices], conus(), block).text == "The map's median 20 ug/m3, Moderate"


def test_states_without_an_estimate_are_passed_over():
    pm25 = planted_map().copy()
    pm25[cells_of(conus(), region("oregon"))] = np.nan
    assert headline(pm25, conus()).state == "Georgia"


def test_the_planted_values_cover_every_class():
    assert len(PLANTED) == len(CATEGORIES)
