"""Places: the encoders, GeoCLIP's network against GeoCLIP itself, and the store of their vectors."""

import json
import logging
import multiprocessing
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from pm25map.base.errors import BadGrid, BadInstall, BadModel, BadOutput, UnknownName
from pm25map.base.shipped import shipped_folder
from pm25map.grid import Grid
from pm25map.model.places import place_vectors
from pm25map.places.catalogue import ENCODERS, encoder
from pm25map.places.formulas import Latlon, Sincos
from pm25map.places.geoclip import Geoclip
from pm25map.places.network import BATCH
from pm25map.places.store import SHARD, default_store, embed_grid, open_store

LAT = np.array([45.5, 34.05, 40.7, 25.8, 48.9])
LON = np.array([-122.6, -118.2, -74.0, -80.2, -95.3])


def make_grid(rows: int = 30, cols: int = 40, name: str = "toy") -> Grid:
    land = np.random.default_rng(1).random((rows, cols)) < 0.8
    return Grid(name, "EPSG:5070", (10e3, 0, -2e6, 0, -10e3, 2.5e6), (rows, cols), 16, land)


class Counting(Sincos):
    """Counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, lat, lon):
        self.calls += 1
        return super().encode(lat, lon)


@pytest.fixture(scope="module")
def geoclip() -> Geoclip:
    return Geoclip()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def shards(store: Path) -> list[Path]:
    return sorted(path for path in (store / "vector" / "c").rglob("*") if path.is_file())


def test_raw_encoders_give_what_they_say() -> None:
    np.testing.assert_allclose(Latlon().encode([45.0], [-90.0]), [[0.5, -0.5]])
    np.testing.assert_allclose(Sincos().encode([30.0], [-90.0]), [[0.5, np.sqrt(0.75), -1, 0]], atol=1e-7)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_keeps_the_protocol(name: str) -> None:
    chosen = encoder(name)
    vectors = chosen.encode(LAT, LON)
    assert (chosen.name, vectors.dtype, vectors.shape) == (name, np.float32, (5, chosen.dimension))
    assert len(chosen.checksum) == 64
    assert chosen.encode([], []).shape == (0, chosen.dimension)


@pytest.mark.parametrize("name", ENCODERS)
def test_swapped_coordinates_are_refused(name: str) -> None:
    with pytest.raises(BadGrid, match="swapped"):
        encoder(name).encode(LON, LAT)
    with pytest.raises(BadGrid, match="number 1"):
        encoder(name).encode([45.0, np.nan], [-122.0, -122.0])
    with pytest.raises(BadGrid, match="one length"):
        encoder(name).encode([45.0, 46.0], [-122.0])


def test_unknown_encoder_lists_those_there_are() -> None:
    with pytest.raises(UnknownName, match="latlon, sincos, geoclip"):
        encoder("satclip")


def test_geoclip_takes_latitude_first(geoclip: Geoclip) -> None:
    # Both orders are places on Earth here: only the vectors tell them apart.
    there, swapped = geoclip.encode([40.0], [-74.0]), geoclip.encode([-74.0], [40.0])
    assert np.sqrt(((there - swapped) ** 2).mean() / (there**2).mean()) > 0.5


@pytest.mark.geoclip
def test_geoclip_agrees_with_the_geoclip_package(geoclip: Geoclip, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    # torchvision for CUDA cannot be imported beside a torch without it; transformers goes on without one.
    monkeypatch.setitem(sys.modules, "torchvision", None)
    theirs = pytest.importorskip("geoclip.model.location_encoder").LocationEncoder().eval()
    rng = np.random.default_rng(3)
    lat, lon = rng.uniform(24, 50, 300), rng.uniform(-125, -66, 300)
    with torch.no_grad():
        expected = theirs(torch.tensor(np.stack([lat, lon], axis=1), dtype=torch.float32)).numpy()
    error = geoclip.encode(lat, lon) - expected
    relative = np.sqrt((error**2).mean() / (expected**2).mean())
    assert relative < 1e-3
    swapped = geoclip.encode(np.clip(lon, -90, 90), lat) - expected
    assert np.sqrt((swapped**2).mean() / (expected**2).mean()) > 0.1


@pytest.mark.geoclip
def test_exported_network_is_the_shipped_one() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from pm25map.base.files import sha256_of_bytes

    made = runpy.run_path(str(shipped_folder("models") / "geoclip" / "make.py"))
    assert sha256_of_bytes(made["build_network"](made["read_weights"]())) == Geoclip().checksum


def test_network_is_small_attributed_and_without_denormals() -> None:
    onnx = pytest.importorskip("onnx")
    folder = shipped_folder("models") / "geoclip"
    card = json.loads((folder / "card.json").read_text())
    assert (folder / card["file"]).stat().st_size <= 20e6
    assert max(card["parity"].values()) < 1e-3
    network = onnx.load(folder / card["file"])
    metadata = {entry.key: entry.value for entry in network.metadata_props}
    assert metadata["weights_sha256"] == card["weights_sha256"]
    assert "MIT" in metadata["licence"]
    assert "Vivanco Cepeda" in metadata["attribution"]
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in network.graph.initializer]
    assert sum(array.size for array in arrays) > 9e6
    for array in arrays:
        wide = np.abs(array.astype(np.float32))
        assert not ((wide > 0) & (wide < np.finfo(np.float32).tiny)).any()


def test_a_vector_does_not_depend_on_the_places_beside_it(geoclip: Geoclip) -> None:
    rng = np.random.default_rng(5)
    lat, lon = rng.uniform(24, 50, BATCH + 77), rng.uniform(-125, -66, BATCH + 77)
    vectors = geoclip.encode(lat, lon)
    order = rng.permutation(lat.size)
    np.testing.assert_array_equal(geoclip.encode(lat[order], lon[order]), vectors[order])
    for place in (0, 13, BATCH - 1, BATCH, BATCH + 76):
        alone = geoclip.encode(lat[place : place + 1], lon[place : place + 1])
        np.testing.assert_array_equal(alone[0], vectors[place])


@pytest.mark.parametrize(("wheels", "way_out"), [([], "pip install"), (["onnxruntime"] * 2, "pip uninstall")])
def test_wrong_onnxruntime_is_explained(
    wheels: list[str], way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pm25map.base.onnx.installed_wheels", lambda: wheels)
    chosen = encoder("geoclip")
    with pytest.raises(BadInstall, match=way_out):
        chosen.encode(LAT, LON)


def test_damaged_network_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "geoclip"
    shutil.copytree(shipped_folder("models") / "geoclip", folder)
    network = folder / "geoclip-location.onnx"
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 1
    network.write_bytes(content)
    with pytest.raises(BadModel, match="damaged"):
        Geoclip(folder)
    network.unlink()
    with pytest.raises(BadModel, match="not whole"):
        Geoclip(folder)


@pytest.mark.parametrize("name", ENCODERS)
def test_store_round_trip(name: str, tmp_path: Path) -> None:
    grid, chosen, seen = make_grid(), encoder(name), []
    path = embed_grid(grid, chosen, tmp_path / "a.zarr", lambda done, total: seen.append((done, total)))
    store = open_store(path, grid, chosen)
    store.verify()
    lon, lat = grid.lonlat()
    expected = chosen.encode(lat, lon).astype(np.float16).astype(np.float32)
    assert seen[-1] == (grid.cell_count, grid.cell_count)
    assert (store.encoder, store.dimension, store.cell_count) == (name, chosen.dimension, grid.cell_count)
    assert (store.encoder_checksum, store.grid_checksum) == (chosen.checksum, grid.checksum)
    np.testing.assert_array_equal(store.read(slice(None)), expected)
    cells = np.array([900, 3, 3, 500])
    assert store.read(cells).dtype == np.float32
    np.testing.assert_array_equal(store.read(cells), expected[cells])
    assert store.read(np.array([], int)).shape == (0, chosen.dimension)
    with pytest.raises(IndexError):
        store.read(np.array([-1]))


def test_cells_are_the_same_whether_a_store_stays_in_memory_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = make_grid(75, 120)
    path = embed_grid(grid, Sincos(), tmp_path / "a.zarr")
    rng = np.random.default_rng(2)
    some = [np.arange(4000, 4200), rng.integers(0, grid.cell_count, 300), slice(4090, 6000, 7), slice(None)]
    held = [open_store(path).read(cells) for cells in some]
    monkeypatch.setattr("pm25map.places.store.HELD_BYTES", 0)
    for cells, values in zip(some, held, strict=True):
        np.testing.assert_array_equal(open_store(path).read(cells), values)


def test_a_store_in_memory_is_read_once_and_verified_by_its_files(tmp_path: Path) -> None:
    grid = make_grid(75, 120)
    store = open_store(embed_grid(grid, Sincos(), tmp_path / "a.zarr"))
    first = store.read(np.array([5, 4000]))
    shards(store.path)[0].unlink()
    np.testing.assert_array_equal(store.read(np.array([5, 4000])), first)
    with pytest.raises(BadModel, match="the vector of cell 0 is absent"):
        store.verify()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (75, 120)])
def test_store_of_any_size(shape: tuple[int, int], tmp_path: Path) -> None:
    grid = Grid("toy", "EPSG:5070", (10e3, 0, -2e6, 0, -10e3, 2.5e6), shape, 16, np.ones(shape, bool))
    store = open_store(embed_grid(grid, Sincos(), tmp_path / "a.zarr"), grid)
    store.verify()
    assert store.read(slice(None)).shape == (grid.cell_count, 4)
    assert len(shards(store.path)) == -(-grid.cell_count // SHARD)


def test_the_checksum_depends_on_vectors_alone(tmp_path: Path) -> None:
    one = open_store(embed_grid(make_grid(), Sincos(), tmp_path / "a.zarr"))
    same = open_store(embed_grid(make_grid(name="other"), Sincos(), tmp_path / "b.zarr"))
    other = open_store(embed_grid(make_grid(), Latlon(), tmp_path / "c.zarr"))
    assert one.checksum == same.checksum != other.checksum


def test_a_store_made_again_has_the_same_bytes(tmp_path: Path) -> None:
    paths = [embed_grid(make_grid(), encoder("geoclip"), tmp_path / name) for name in ("a.zarr", "b.zarr")]
    one, again = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in paths
    )
    assert len(one) >= 3
    assert one == again


def test_wrong_grid_and_wrong_encoder_are_refused(tmp_path: Path) -> None:
    path = embed_grid(make_grid(), Sincos(), tmp_path / "a.zarr")
    with pytest.raises(BadGrid, match="pm25map grid embed --grid wide"):
        open_store(path, make_grid(cols=41, name="wide"))
    with pytest.raises(BadModel, match="--encoder latlon"):
        open_store(path, encoder=Latlon())
    with pytest.raises(BadModel, match="no place store"):
        open_store(tmp_path / "absent.zarr")


def test_embed_replaces_a_place_store_and_nothing_else(tmp_path: Path) -> None:
    path = embed_grid(make_grid(), Sincos(), tmp_path / "a.zarr")
    embed_grid(make_grid(), Latlon(), path)
    assert open_store(path).encoder == "latlon"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadOutput, match="no place store"):
        embed_grid(make_grid(), Sincos(), tmp_path / "home")
    with pytest.raises(BadOutput, match="does not exist"):
        embed_grid(make_grid(), Sincos(), tmp_path / "absent" / "a.zarr")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.zarr", "home"]


class Spoilt(Latlon):
    """An encoder that gives a value in one number of one cell."""

    def __init__(self, value: float) -> None:
        self.value = value

    def encode(self, lat, lon):
        vectors = super().encode(lat, lon)
        vectors[min(700, len(vectors) - 1), 1] = self.value
        return vectors


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (np.nan, "nan .* that is no number"),
        (-np.inf, "-inf .* that is no number"),
        (7e4, "70000 .* at most 65,504"),
    ],
)
def test_an_encoder_that_gives_no_number_is_refused_with_cell_and_reason(
    value, why, tmp_path, monkeypatch
) -> None:
    grid = make_grid()
    lon, lat = grid.lonlat()
    where = rf"cell 700 \(latitude {lat[700]:.4f}, longitude {lon[700]:.4f}\)"
    with pytest.raises(BadModel, match="encoder latlon gives") as refused:
        embed_grid(grid, Spoilt(value), tmp_path / "a.zarr")
    assert re.search(why, str(refused.value)) and re.search(where, str(refused.value))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("pm25map.model.places.encoder", lambda _: Spoilt(value))
    with pytest.raises(BadModel, match=why):
        place_vectors("latlon", lat, lon)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_store_that_holds_what_is_no_number_is_refused_in_any_column(value, cache: Path) -> None:
    """As a version that looked at the first column alone has written it."""
    store = default_store(make_grid(), Sincos())
    vectors = zarr.open_array(store.path / "vector")
    vectors[700, 3] = value
    spoilt = open_store(store.path)
    for cells in (slice(600, 800), np.array([5, 700])):
        with pytest.raises(BadModel, match=f"number 4 of the vector of cell 700, by sincos, is {value}"):
            spoilt.read(cells)
    with pytest.raises(BadModel, match="cell 700"):
        spoilt.verify()
    default_store(make_grid(), Sincos()).verify()


def test_default_store_computes_once(cache: Path) -> None:
    chosen = Counting()
    first = default_store(make_grid(), chosen)
    assert first.path.is_relative_to(cache)
    calls = chosen.calls
    assert default_store(make_grid(), chosen).checksum == first.checksum
    assert chosen.calls == calls


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "no attributes", "not a store"])
def test_damaged_store_is_refused_and_rebuilt(
    damage: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = default_store(make_grid(), Sincos())
    shard = shards(store.path)[0]
    content = bytearray(shard.read_bytes())
    if damage == "flip":
        content[1000] ^= 1
        shard.write_bytes(content)
    elif damage == "cut":
        shard.write_bytes(content[:1000])
    elif damage == "remove":
        shard.unlink()
    elif damage == "no attributes":
        (store.path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    else:
        shutil.rmtree(store.path)
        store.path.write_text("what is this")
    with pytest.raises(BadModel, match="damaged"):
        open_store(store.path).read(slice(None))
    with caplog.at_level(logging.WARNING):
        again = default_store(make_grid(), Sincos())
    assert "computing it again" in caplog.text
    again.verify()
    assert again.checksum == store.checksum


def _race(_: int) -> str:
    return default_store(make_grid(75, 120), Sincos()).checksum


def test_processes_at_once_get_one_store(cache: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert len(set(pool.map(_race, range(3), chunksize=1))) == 1
    entries = sorted(path.suffix for path in (cache / "places").iterdir())
    assert entries == [".lock", ".zarr"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_cache_is_explained(cache: Path) -> None:
    (cache / "places").mkdir(parents=True)
    (cache / "places").chmod(0o500)
    with pytest.raises(BadOutput, match="PM25MAP_CACHE"):
        default_store(make_grid(), Sincos())


def test_embedding_does_not_import_torch(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from pm25map.grid import Grid\n"
        "from pm25map.places.catalogue import encoder\n"
        "from pm25map.places.store import embed_grid\n"
        "land = np.ones((2, 2), bool)\n"
        "grid = Grid('toy', 'EPSG:5070', (1e4, 0, -2e6, 0, -1e4, 2.5e6), (2, 2), 16, land)\n"
        f"embed_grid(grid, encoder('geoclip'), Path({str(tmp_path / 'a.zarr')!r}))\n"
        "print(sorted({'torch', 'onnx', 'geoclip', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
