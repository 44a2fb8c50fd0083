"""What `pm25map lab places` is given wrong: one line that says what, where and what to do, and exit code 1."""

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from test_pretrain import write_raster
from test_probes import write_world

from pm25map.cli.main import main
from pm25map.laboratory.encoders.vision import open_vision

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch

RASTERS = {
    "landcover_igbp_2019_0p05.tif": 10,
    "ndvi_maximum_x100_0p05.tif": 50,
    "ndvi_minimum_x100_0p05.tif": 20,
    "elevation_5arcmin.tif": 100,
    "linke_turbidity_x20_annual_5arcmin.tif": 60,
}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A world of grass with the rasters of places-open, one temperature, and two countries."""
    folder = tmp_path / "world"
    folder.mkdir()
    for name, value in RASTERS.items():
        write_raster(folder / name, np.full((18, 36), value, np.uint8))
    write_world(folder, np.full((18, 36), 100))
    return folder


def patch_file(path: Path, **changes: object) -> None:
    """A patch of places-open, as `places patch` writes it but for the changes."""
    card = open_vision("places-open").card
    profile = {
        "driver": "GTiff",
        "height": 16,
        "width": 16,
        "count": 12,
        "dtype": "float32",
        "crs": "EPSG:32633",
    }
    profile |= {"transform": rasterio.Affine(10_000, 0, 420_000, 0, -10_000, 5_000_000)} | changes
    with rasterio.open(path, "w", **profile) as target:
        target.write(np.ones((profile["count"], 16, 16), np.float32))
        if profile["count"] == len(card.channels):
            target.descriptions = card.channels


def no_crs(world: Path) -> list[object]:
    patch_file(world / "patch.tif", crs=None)
    return ["locate", world / "patch.tif", "--rasters", world]


def two_bands(world: Path) -> list[object]:
    patch_file(world / "patch.tif", count=2)
    return ["locate", world / "patch.tif", "--rasters", world]


def another_extent(world: Path) -> list[object]:
    write_raster(world / "elevation_5arcmin.tif", np.zeros((18, 36), np.uint8), bounds=(-180, -60, 180, 90))
    return ["patch", "--rasters", world, "--lat", 40, "--lon", -100, "--out", world / "patch.tif"]


def swapped(world: Path) -> list[object]:
    return ["patch", "--rasters", world, "--lat", -112.07, "--lon", 33.45, "--out", world / "patch.tif"]


def swapped_to(world: Path) -> list[object]:
    return ["similarity", "--rasters", world, "--to", "114.2,22.3", "--out", world / "similarity"]


def swapped_gallery(world: Path) -> list[object]:
    patch_file(world / "patch.tif")
    (world / "gallery.csv").write_text("lat,lon\n114.2,22.3\n")
    return ["locate", world / "patch.tif", "--gallery", world / "gallery.csv"]


def one_class(world: Path) -> list[object]:
    return ["probe", "--rasters", world, "--target", "landcover", "--places", 50]


def too_many_places(world: Path) -> list[object]:
    patch_file(world / "patch.tif")
    return ["locate", world / "patch.tif", "--rasters", world, "--places", 10**9]


def another_layout(world: Path) -> list[object]:
    torch.save({"step": 1, "identity": "a", "config": "{}", "channels": []}, world / "checkpoint.pt")
    return ["export", "--run", world, "--out", world / "made"]


def another_satclip(world: Path) -> list[object]:
    torch.save({"state_dict": {}}, world / "satclip.ckpt")
    return ["convert", world / "satclip.ckpt", "--out", world / "made"]


def no_photo(world: Path) -> list[object]:
    return ["locate", world / "a.jpg", "--model", "geoclip", "--rasters", world, "--backbone", world / "clip"]


def a_file_in_the_way(world: Path) -> list[object]:
    (world / "file").write_text("mine")
    return ["similarity", "--rasters", world, "--encoder", "latlon", "--out", world / "file"]


def a_file_in_the_way_of_maps(world: Path) -> list[object]:
    rasters = ["--rasters", world, "--target", "photos", "--places", 50]
    return ["probe", *rasters, "--encoder", "latlon", "--maps", world / "elevation_5arcmin.tif" / "maps"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (a_file_in_the_way, "file is in the way"),
        (a_file_in_the_way_of_maps, "elevation_5arcmin.tif is in the way"),
        (no_crs, "has no CRS. Write it with one"),
        (two_bands, "has 2 bands, not the 12 of places-open"),
        (another_extent, "elevation_5arcmin.tif reaches from -180 to 180 E and from -60 to 90 N"),
        (swapped, "latitude and longitude may be swapped"),
        (swapped_to, "latitude and longitude may be swapped"),
        (swapped_gallery, "latitude and longitude may be swapped"),
        (one_class, "the probe target landcover has one class alone"),
        (too_many_places, "a gallery of 1,000,000,000 places is too large: it would take 512 GB"),
        (another_layout, "is of another layout"),
        (another_satclip, "is no published checkpoint of SatCLIP"),
        (no_photo, "does not exist. Fetch it once"),
    ],
)
def test_bad_input_is_answered_in_one_line_with_exit_code_1(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], make, says: str
) -> None:
    monkeypatch.setenv("PM25MAP_CACHE", str(world / "cache"))
    monkeypatch.setattr(sys, "argv", ["pm25map", "lab", "places", *map(str, make(world))])
    with pytest.raises(SystemExit) as ended:
        main()
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 1
    assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
    assert says in lines[-1]
    assert not (world / "made").exists()
