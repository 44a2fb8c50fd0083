"""Figures for papers and animations: true colours, what a reader must know beside them, stored pictures."""

import datetime as dt
import shutil

import numpy as np
import pytest
from browser import assert_looks_as_stored
from click.testing import CliRunner
from looked_at import write_bands, write_map, write_map_with_bands
from PIL import Image
from rasterio.transform import Affine
from test_preview import PLANTED, colour_of, conus, planted_map

from pm25map.base.aqi import CATEGORIES_BEFORE_2024
from pm25map.base.errors import BadInstall, BadMap, BadOutput
from pm25map.cli.view import command
from pm25map.grid import cells_of, region
from pm25map.raster.bands import Band
from pm25map.view import animation
from pm25map.view.animation import draw_animation
from pm25map.view.colours import colours, range_of
from pm25map.view.drawing import figure_of
from pm25map.view.preview import draw_figure, picture_of


def make(*words):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("days")
    pm25 = planted_map()
    extra = {
        Band("pm25_prior", "What the place adds", "ug m-3"): pm25 - 40,
        Band("artifact_risk", "Risk of an artifact", "1"): pm25 / 900,
    }
    write_map_with_bands(folder / "pm25_2020-09-12.tif", conus(), pm25, extra)
    write_map(folder / "pm25_2020-09-13.tif", conus(), pm25 / 2, dt.date(2020, 9, 13))
    return folder


def words_of(path, **options):
    figure = figure_of(picture_of(path, **options), 100)
    texts = [text.get_text() for text in figure.texts]
    return "\n".join(texts + [t.get_text() for axes in figure.axes for t in axes.texts])


def test_a_figure_is_fine_enough_for_print_and_looks_as_stored(folder, tmp_path):
    done = make(folder / "pm25_2020-09-12.tif", "--png", tmp_path / "f.png")
    assert done.exit_code == 0
    with Image.open(tmp_path / "f.png") as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.width == 3420
    assert_looks_as_stored(tmp_path / "f.png", "figure")


def test_a_figure_says_projection_scale_day_and_unit(folder):
    words = words_of(folder / "pm25_2020-09-12.tif")
    for part in (
        "EPSG:5070",
        "Albers",
        "500 km",
        "12 September 2020",
        "µg/m³",
        "conus-open 1.0",
        "2024-05-06",
    ):
        assert part in words
    earlier = words_of(folder / "pm25_2020-09-12.tif", categories=CATEGORIES_BEFORE_2024)
    assert "12.1 to 35.4" in earlier
    assert "2024-05-06" not in earlier


def test_a_pdf_holds_the_figure_and_no_clock(folder, tmp_path):
    assert make(folder / "pm25_2020-09-12.tif", "--pdf", tmp_path / "f.pdf").exit_code == 0
    content = (tmp_path / "f.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"CreationDate" not in content
    draw_figure(folder / "pm25_2020-09-12.tif", tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == content


def test_a_layer_with_a_sign_has_its_own_bar(folder, tmp_path):
    draw_figure(folder / "pm25_2020-09-12.tif", tmp_path / "s.png", key="pm25_prior", dpi=100)
    assert_looks_as_stored(tmp_path / "s.png", "figure-signed")
    words = words_of(folder / "pm25_2020-09-12.tif", key="pm25_prior")
    assert "What the place adds, µg/m³" in words
    assert "Hazardous" not in words


def test_an_unknown_layer_names_those_that_are_there(folder, tmp_path):
    with pytest.raises(BadMap, match="artifact_risk"):
        draw_figure(folder / "pm25_2020-09-12.tif", tmp_path / "x.png", key="nonsense")
    assert not (tmp_path / "x.png").exists()


def test_another_programs_map_is_drawn_too(tmp_path):
    values = np.linspace(250, 310, 600, dtype=np.float32).reshape(20, 30)
    path = write_bands(tmp_path / "t.tif", {"temperature": (values, "K")}, crs="EPSG:4326",
                       transform=Affine(0.5, 0, -105, 0, -0.5, 42))  # fmt: skip
    assert make(path, "--png", tmp_path / "t.png").exit_code == 0
    assert "temperature, K" in words_of(path)


def test_several_maps_make_a_folder_of_figures(folder, tmp_path):
    done = make(folder, "--png", tmp_path / "figures", "--dpi", 60)
    assert done.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == [
        "pm25_2020-09-12.png", "pm25_2020-09-13.png"
    ]  # fmt: skip


def test_an_animation_shows_one_day_after_the_other_in_the_same_colours(folder, tmp_path):
    assert make(folder, "--gif", tmp_path / "a.gif").exit_code == 0
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 2
        for number, factor in ((0, 1.0), (1, 0.5)):
            film.seek(number)
            frame = np.asarray(film.convert("RGB"), dtype=float) / 255
            wanted = colour_of(PLANTED["Texas"] * factor + 0.05)
            near = np.abs(frame - wanted).max(axis=2) < 0.06
            assert near.sum() > 2 * cells_of(conus(), region("texas")).sum()


def test_a_film_needs_ffmpeg(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(animation.shutil, "which", lambda name: None)
    with pytest.raises(BadInstall, match="--gif"):
        draw_animation([folder / "pm25_2020-09-12.tif"], tmp_path / "a.mp4")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed: films cannot be made")
def test_a_film_is_made(folder, tmp_path):
    draw_animation(sorted(folder.glob("*.tif")), tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes()[4:8] == b"ftyp"


def test_maps_of_two_forms_are_no_animation(folder, tmp_path):
    values = np.ones((20, 30), np.float32)
    other = write_bands(tmp_path / "t.tif", {"pm25": (values, "ug m-3")}, crs="EPSG:4326",
                        transform=Affine(0.5, 0, -105, 0, -0.5, 50))  # fmt: skip
    with pytest.raises(BadOutput, match="one grid"):
        draw_animation([folder / "pm25_2020-09-12.tif", other], tmp_path / "a.gif")
    assert not (tmp_path / "a.gif").exists()


def test_what_is_there_is_kept(folder, tmp_path):
    (tmp_path / "f.png").write_text("mine")
    with pytest.raises(BadOutput, match="--overwrite"):
        draw_figure(folder / "pm25_2020-09-12.tif", tmp_path / "f.png")


def test_maps_alone_make_a_page_beside_them(folder):
    done = CliRunner().invoke(command, [str(folder / "pm25_2020-09-12.tif")])
    assert done.exit_code == 0, done.output
    page = folder / "pm25_2020-09-12.html"
    assert page.stat().st_size > 1_000_000
    page.unlink()


def test_the_safe_colours_darken_from_class_to_class():
    colormap, _ = colours(palette="safe")
    rgb = np.array([colormap(i)[:3] for i in range(colormap.N)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) < 0).all()
    # Seen without red and without green cones (Vienot 1999), it still darkens.
    for red, green in ((0.11238, 0.88762), (0.29275, 0.70725)):
        seen = linear[:, 0] * red + linear[:, 1] * green
        assert (np.diff(seen) < 1e-3).all()


def test_ends_of_a_bar():
    assert range_of(np.float32([0, 0.4, np.nan])) == (0.0, 1.0)
    assert range_of(np.float32([np.nan])) == (0.0, 1.0)
    low, high = range_of(np.linspace(-2, 10, 500, dtype=np.float32))
    assert low == -high
