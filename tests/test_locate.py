"""Where a patch is from: a search with known answers, galleries in parts, patches cut, written and refused."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin
from test_pretrain import CONFIG, run_it, write_raster
from test_probes import write_world

from pm25map.base.errors import BadConfig, BadGrid, BadModel, BadOutput, BadRaster, UnknownName
from pm25map.cli.main import cli
from pm25map.grid.sphere import on_sphere
from pm25map.laboratory.encoders.vision import open_vision, unit
from pm25map.laboratory.locate import search as locate
from pm25map.laboratory.locate.patch_file import read_patch_file
from pm25map.laboratory.locate.search import GalleryPart, Search, gallery_of_file, land_gallery, score
from pm25map.laboratory.world.sphere import distance_km, even_places
from pm25map.places.catalogue import encoder

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The world of the pretraining tests with countries, and an encoder that learned it."""
    folder = tmp_path_factory.mktemp("locate")
    world = folder / "world"
    world.mkdir()
    lon, lat = np.meshgrid(np.arange(-178.75, 180, 2.5), np.arange(88.75, -90, -2.5))
    write_raster(world / "land.tif", (np.abs(lon) < 90).astype(np.uint8))
    write_raster(world / "lat.tif", (100 * lat).astype(np.int16))
    east = 100 * np.sin(np.deg2rad(lon)) * np.cos(np.deg2rad(lat))
    write_raster(world / "east.tif", east.astype(np.int16))
    write_raster(world / "north.tif", (100 * np.cos(np.deg2rad(lon))).astype(np.int16))
    write_world(world, 100 + lat)
    assert run_it(folder, world, "run").exit_code == 0
    words = ["lab", "places", "export", "--run", str(folder / "run"), "--out", str(folder / "made")]
    CliRunner().invoke(cli, words, catch_exceptions=False)
    return world, folder / "made"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))


def run(*words: object):
    return CliRunner().invoke(cli, ["lab", "places", *map(str, words)])


def cut(world: Path, made: Path, out: Path, lat: float = 30.0, lon: float = 20.0) -> Path:
    words = ("patch", "--model", made, "--rasters", world, "--lat", lat, "--lon", lon, "--out", out)
    result = run(*words)
    assert result.exit_code == 0, result.output
    return out


def test_a_patch_comes_back_as_it_was_cut_and_is_found_where_it_was_cut(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    world, made = trained
    path = cut(world, made, tmp_path / "patch.tif")
    vision = open_vision(str(made))
    patch = read_patch_file(path, vision.card, "small")
    assert (patch.lat, patch.lon) == (pytest.approx(30), pytest.approx(20))
    assert patch.values.shape == (5, 8, 8)
    np.testing.assert_array_equal(patch.values[0][[0, -1]].mean(axis=1), [3375, 2625])  # north is up
    with rasterio.open(path) as source:
        assert source.descriptions == vision.card.channels
    words = ("locate", path, "--model", made, "--rasters", world, "--places", 2000, "--top", 3, "--json")
    found = json.loads(run(*words, "--out", tmp_path / "map.png").stdout)
    assert found["places"] > 1000
    assert len(found["found"]) == 3
    assert found["found"][0]["away_km"] < 1500
    shares = [row["probability"] for row in found["found"]]
    assert shares == sorted(shares, reverse=True)
    assert (tmp_path / "map.png").stat().st_size > 10_000
    assert "exists already" in str(run(*words, "--out", tmp_path / "map.png").exception)
    told = run(*words[:-1])
    assert "the tower did not see it" in told.stdout


def test_held_out_patches_are_found_far_more_often_than_by_chance(trained: tuple[Path, Path]) -> None:
    world, made = trained
    words = ("locate", "--model", made, "--rasters", world, "--places", 2000, "--score", 200)
    found = json.loads(run(*words, "--json").stdout)
    assert found["patches"] == 200
    far = found["scores"][-1]
    assert far["radius_km"] == 2500
    assert far["low"] <= far["share"] <= far["high"]
    assert far["share"] > 5 * far["chance"]
    assert far["possible"] == 1
    assert "| 2,500 km |" in run(*words).stdout


def test_the_network_for_patches_is_the_tower_of_the_run(trained: tuple[Path, Path]) -> None:
    from pm25map.laboratory.pretrain.config import PretrainConfig
    from pm25map.laboratory.pretrain.run import read_checkpoint
    from pm25map.laboratory.pretrain.towers import Towers

    _, made = trained
    state = read_checkpoint(made.parent / "run" / "checkpoint.pt")
    towers = Towers(PretrainConfig.model_validate(CONFIG), 5)
    towers.load_state_dict(state["towers"])
    vision = open_vision(str(made))
    patches = RNG.normal(size=(70, 5, 8, 8)).astype(np.float32)
    with torch.no_grad():
        theirs = torch.nn.functional.normalize(towers.patch(torch.from_numpy(patches)), dim=1).numpy()
    np.testing.assert_allclose(vision.see_standardized(patches), theirs, atol=1e-5)
    assert vision.temperature == pytest.approx(towers.temperature, rel=1e-5)
    assert vision.card.parity < 1e-5


@pytest.mark.parametrize(("pixels", "tower"), [(12, (8, 16)), (9, (8,)), (4, (8, 8)), (5, (8, 16))])
def test_a_tower_of_any_size_becomes_a_network_that_agrees(pixels: int, tower: tuple[int, ...]) -> None:
    from pm25map.base.onnx import import_onnxruntime
    from pm25map.laboratory.encoders.patch_export import build_patch_network
    from pm25map.laboratory.pretrain.towers import PatchEncoder

    torch.manual_seed(0)
    made = PatchEncoder(3, pixels, tower, 6).eval()
    network = build_patch_network({k: v.numpy() for k, v in made.state_dict().items()}, pixels, {})
    patches = RNG.normal(size=(4, 3, pixels, pixels)).astype(np.float32)
    session = import_onnxruntime().InferenceSession(network, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        theirs = made(torch.from_numpy(patches)).numpy()
    np.testing.assert_allclose(session.run(None, {"patch": patches})[0], theirs, atol=1e-5)


def gallery_of(count: int, dimension: int) -> GalleryPart:
    lat, lon = even_places(np.random.default_rng(1), count)
    return GalleryPart(
        lat, lon, unit(np.random.default_rng(2).normal(size=(count, dimension)).astype(np.float32))
    )


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_search_in_parts_is_the_softmax_over_the_whole_gallery(size: int) -> None:
    gallery = gallery_of(1000, 8)
    seen = unit(RNG.normal(size=(5, 8)).astype(np.float32))
    truth = gallery.lat[:5], gallery.lon[:5]
    search = Search(seen, 0.05, 4, truth)
    for first in range(0, 1000, size):
        here = slice(first, first + size)
        search.add(GalleryPart(gallery.lat[here], gallery.lon[here], gallery.vectors[here]))
    logits = (seen @ gallery.vectors.T / 0.05).astype(np.float64)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    best = np.argsort(-share, axis=1)[:, :4]
    found = search.result()
    np.testing.assert_allclose(found.probability, np.take_along_axis(share, best, axis=1), rtol=1e-4)
    np.testing.assert_array_equal(found.lat, gallery.lat[best])
    assert found.places == 1000
    np.testing.assert_allclose(search.nearest_km(), 0, atol=1)
    away = locate.EARTH_KM * np.arccos(
        np.clip(on_sphere(*truth) @ on_sphere(gallery.lat, gallery.lon).T, -1, 1)
    )
    np.testing.assert_allclose(search.near()[3], (away <= 2500).mean(axis=1))


def test_a_gallery_larger_than_memory_passes_by_in_parts() -> None:
    part, parts = gallery_of(2000, 16), 150
    search = Search(unit(RNG.normal(size=(20, 16)).astype(np.float32)), 0.05, 5)
    tracemalloc.start()
    for _ in range(parts):
        search.add(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert search.places == 2000 * parts
    assert peak < 0.2 * part.vectors.nbytes * parts


def test_a_search_that_knows_scores_all_and_one_that_guesses_scores_chance() -> None:
    gallery = gallery_of(3000, 32)
    truth = gallery.lat[:400], gallery.lon[:400]
    knows = Search(gallery.vectors[:400], 0.05, 1, truth)
    guesses = Search(gallery.vectors[400:800], 0.05, 1, truth)
    for search in (knows, guesses):
        search.add(gallery)
    assert [row.share for row in score(knows, truth, 5)] == [1, 1, 1, 1]
    guessed = score(guesses, truth, 5)[-1]
    area = (1 - np.cos(2500 / locate.EARTH_KM)) / 2
    assert guessed.chance == pytest.approx(area, rel=0.1)
    assert guessed.low <= guessed.chance <= guessed.high


def test_a_gallery_from_a_file_is_read_in_parts_whatever_its_capitals(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(locate, "SHARD", 3)
    path = tmp_path / "gallery.csv"
    path.write_text("LAT, LON\n" + "\n".join(f"{i},{-i}" for i in range(8)))
    parts = list(gallery_of_file(encoder("harmonics-2"), path))
    assert [len(part.lat) for part in parts] == [3, 3, 2]
    np.testing.assert_array_equal(np.concatenate([part.lon for part in parts]), -np.arange(8))
    np.testing.assert_allclose(np.linalg.norm(parts[0].vectors, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("lat,lon\n-112,33\n", BadGrid, "may be swapped"),
        ("latitude,longitude\n1,2\n", BadRaster, "columns lat, lon"),
        ("lat,lon\n", BadRaster, "has no place"),
        ("lat,lon\nnorth,2\n", BadRaster, "cannot read the gallery"),
        (None, BadRaster, "cannot read the gallery"),
    ],
)
def test_a_gallery_that_cannot_be_read_says_why(tmp_path: Path, text: str | None, error, says: str) -> None:
    path = tmp_path / "gallery.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error, match=says):
        list(gallery_of_file(encoder("latlon"), path))


def test_a_gallery_of_too_many_places_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(BadGrid, match=r"is too large: it would take .* GB"):
        next(land_gallery(encoder("harmonics-15"), tmp_path, locate.LARGEST_GALLERY + 1))


def _rewrite(path: Path, **changes: object) -> None:
    with rasterio.open(path) as source:
        values, profile, names = source.read(), source.profile, source.descriptions
    bands = changes.pop("bands", None)
    if bands is not None:
        values, names = values[bands], [names[i] for i in bands]
    profile.update(count=len(values), **changes)
    with rasterio.open(path, "w", **profile) as target:
        target.write(values[:, : profile["height"], : profile["width"]])
        target.descriptions = names


def _south_up(path: Path) -> None:
    with rasterio.open(path) as source:
        t = source.transform
    _rewrite(path, transform=rasterio.Affine(t.a, 0, t.c, 0, -t.e, t.f + 8 * t.e))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: _rewrite(path, crs=None), "has no CRS"),
        (lambda path: _rewrite(path, bands=[0, 1]), "has 2 bands, not the 5 of small"),
        (lambda path: _rewrite(path, bands=[1, 0, 2, 3, 4]), "band 1 of the patch .* is 'east', not 'lat'"),
        (lambda path: _rewrite(path, height=4, width=4), "fewer than the 8 x 8"),
        (lambda path: _rewrite(path, transform=from_origin(20, 30, 0.1, 0.1)), "covers .* km, not the 800 x"),
        (lambda path: _rewrite(path, transform=from_origin(20, 95, 0.9, 0.9)), "reaches beyond the globe"),
        (_south_up, "is not north up"),
        (lambda path: path.write_text("no raster"), "cannot read the patch"),
        (lambda path: path.unlink(), "cannot read the patch"),
    ],
)
def test_a_patch_that_the_tower_does_not_know_says_what_is_wrong(
    trained: tuple[Path, Path], tmp_path: Path, change, says: str
) -> None:
    world, made = trained
    path = cut(world, made, tmp_path / "patch.tif")
    change(path)
    result = run("locate", path, "--model", made, "--rasters", world, "--places", 50)
    assert isinstance(result.exception, BadRaster)
    with pytest.raises(BadRaster, match=says):
        raise result.exception


def test_finer_pixels_in_metres_are_averaged(trained: tuple[Path, Path], tmp_path: Path) -> None:
    vision = open_vision(str(trained[1]))
    values = np.zeros((5, 16, 16), np.float32)
    values[0] = np.arange(16)[:, None]
    path = tmp_path / "fine.tif"
    write_raster(path, values, "EPSG:32633", (100_000, 2_000_000, 900_000, 2_800_000))
    patch = read_patch_file(path, vision.card, "small")
    np.testing.assert_allclose(patch.values[0][:, 0], np.arange(8) * 2 + 0.5)
    assert distance_km(patch.lat, patch.lon, 21.69, 15.0) < 10


@pytest.mark.parametrize(
    ("lat", "lon", "error", "says"),
    [
        (-112.0, 33.0, BadGrid, "may be swapped"),
        (30.0, 181.0, BadGrid, "no place on Earth"),
        (30.0, 170.0, BadGrid, "is no land"),
    ],
)
def test_no_patch_is_cut_at_sea_or_off_the_globe(
    trained: tuple[Path, Path], tmp_path: Path, lat: float, lon: float, error, says: str
) -> None:
    world, made = trained
    words = ("--rasters", world, "--lat", lat, "--lon", lon, "--out", tmp_path / "patch.tif")
    result = run("patch", "--model", made, *words)
    assert isinstance(result.exception, error)
    assert says in str(result.exception)
    assert not (tmp_path / "patch.tif").exists()


def test_models_without_a_vision_tower_are_refused(trained: tuple[Path, Path], tmp_path: Path) -> None:
    world, made = trained
    path = cut(world, made, tmp_path / "patch.tif")
    result = run("locate", path, "--model", "latlon", "--rasters", world)
    assert isinstance(result.exception, UnknownName)
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in made.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "patch.onnx").write_bytes(b"half")
    result = run("locate", path, "--model", copy, "--rasters", world)
    assert isinstance(result.exception, BadModel)
    assert "its checksum is not that of its card" in str(result.exception)
    card = json.loads((copy / "card.json").read_text())
    del card["patch"], card["card_sha256"]
    (copy / "card.json").write_text(json.dumps(card))
    result = run("locate", path, "--model", copy, "--rasters", world)
    assert "has no vision tower" in str(result.exception)


def test_a_run_of_before_needs_its_data_and_no_other(trained: tuple[Path, Path], tmp_path: Path) -> None:
    from pm25map.laboratory.pretrain.export import finished
    from pm25map.laboratory.pretrain.run import read_checkpoint

    world, made = trained
    state = read_checkpoint(made.parent / "run" / "checkpoint.pt")
    mean, spread = state.pop("standardization")
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(BadConfig, match="--data"):
        finished(tmp_path)
    again = finished(tmp_path, world)[2].card
    np.testing.assert_allclose([again.mean, again.spread], [mean, spread], rtol=1e-6)
    other = tmp_path / "other"
    other.mkdir()
    for file in world.glob("*.tif"):
        (other / file.name).write_bytes(file.read_bytes())
    write_raster(other / "north.tif", np.zeros((18, 36), np.int16))
    with pytest.raises(BadConfig, match="checksums differ"):
        finished(tmp_path, other)


@pytest.mark.parametrize("spoiled", ["towers", "validations", "config"])
def test_a_checkpoint_of_another_layout_is_refused(
    trained: tuple[Path, Path], tmp_path: Path, spoiled: str
) -> None:
    from pm25map.laboratory.pretrain.export import finished
    from pm25map.laboratory.pretrain.run import read_checkpoint

    state = read_checkpoint(trained[1].parent / "run" / "checkpoint.pt")
    if spoiled == "towers":
        del state["towers"]["patch.out.2.weight"]
    elif spoiled == "config":
        state["config"] = state["config"].replace('"seed":', '"seeds":')
    else:
        state["validations"] = []
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(BadModel, match="is of another layout"):
        finished(tmp_path)


def test_the_command_wants_one_question_and_what_it_needs_for_it(tmp_path: Path) -> None:
    assert "either a PATCH, or --score" in run("locate").output
    assert "give --rasters" in run("locate", "patch.tif").output
    score_it = ("locate", "--score", 10, "--rasters", tmp_path)
    assert "--score needs an encoder" in run(*score_it, "--model", "geoclip").output
    nowhere = tmp_path / "no" / "map.png"
    assert isinstance(run("locate", "p.tif", "--rasters", tmp_path, "--out", nowhere).exception, BadOutput)


def test_the_shipped_encoder_finds_a_real_patch(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "patch.tif"
    rasters = shared_data / "global"
    words = ("--rasters", rasters, "--lat", 39.1, "--lon", -108.6, "--out", path)
    assert run("patch", *words).exit_code == 0
    gallery = tmp_path / "gallery.csv"
    lat, lon = even_places(RNG, 3000)
    lat[0], lon[0] = 39.2, -108.4
    gallery.write_text("lat,lon\n" + "\n".join(f"{a:.4f},{b:.4f}" for a, b in zip(lat, lon, strict=True)))
    result = run("locate", path, "--gallery", gallery, "--json", "--top", 1)
    assert json.loads(result.stdout)["found"][0]["away_km"] < 500
