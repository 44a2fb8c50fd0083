"""Damaged files of a store, a place store, a model and a map: the same values, or one line; never another value."""

import errno
import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from damage import damages, wrong
from maps import CREATED, provenance
from predictor_world import CLIMATOLOGY, DAILY, DAYS, SHAPE, START, STATIC, address, small_grid

from pm25map.base.errors import BadMap, BadModel, BadOutput, BadPredictors
from pm25map.base.shipped import shipped_folder
from pm25map.base.storage import open_folder
from pm25map.cli.export import command as export
from pm25map.cli.info import command as info
from pm25map.diagnostics.applicability import load_applicability
from pm25map.model.card import load_model
from pm25map.model.intervals import load_intervals, save_intervals
from pm25map.model.runtime import open_session
from pm25map.places.card import read_card
from pm25map.places.catalogue import encoder
from pm25map.places.store import embed_grid, open_store
from pm25map.predictors import arrays
from pm25map.predictors.pack import pack_sample
from pm25map.predictors.sources import DayInputs
from pm25map.predictors.status import status_of
from pm25map.predictors.store import create_store, forget, open_predictors, write_days, write_layer
from pm25map.predictors.verify import verify_store
from pm25map.raster.backfill.stage import read_header, stage_rows
from pm25map.raster.bands import PM25_SPREAD
from pm25map.raster.info import describe
from pm25map.raster.item_checks import check_map, is_as_written
from pm25map.raster.map_files import write_map
from pm25map.raster.stac import write_stac_item
from pm25map.view.layers import read_map

GAPPY = "aod_047"
FEATURES = (*DAILY, GAPPY, *STATIC, *CLIMATOLOGY)
FLIPS = 3
"""Of every file; tests/bench/flips.py makes many more."""


def fill_store(path):
    """A store with all that one may have: packed values, layers, gaps, and what days were computed from."""
    slots = np.arange(len(DAYS))
    daily = {name: address(name, slots) for name in DAILY}
    gappy = np.full((len(DAYS), *SHAPE), np.nan, dtype=np.float32)
    gappy[3:9, :4, :4] = 0.5
    create_store(path, small_grid(), (*DAILY, GAPPY), START, DAYS[-1], precision={GAPPY: 0.001})
    made_of = {day: DayInputs(7, {"monitors": 3.0}) for day in DAYS}
    write_days(path, DAYS, daily | {GAPPY: gappy}, made_of)
    for name in STATIC:
        write_layer(path, name, address(name))
    for name in CLIMATOLOGY:
        write_layer(path, name, address(name, np.arange(12)))
    return path


def read_store(path):
    """All that a store gives: values, status, and what days were computed from; whatever verify finds is a refusal."""
    store = open_predictors(path)
    store.check(small_grid(), FEATURES, DAYS)
    values = {block.id: store.read(FEATURES, DAYS, block) for block in store.grid.blocks(6)}
    if found := verify_store(store, DAYS):
        raise BadPredictors(found[0].why)
    about = {day: (store.facts_of(day), store.inputs_of(GAPPY, day)) for day in DAYS}
    return {**values, "status": status_of(store), "history": store.history, "about": about}


@pytest.fixture(scope="module")
def kept_store(tmp_path_factory):
    return fill_store(tmp_path_factory.mktemp("store") / "p.zarr")


@pytest.fixture
def own_store(tmp_path):
    return fill_store(tmp_path / "p.zarr")


@pytest.mark.filterwarnings("error")
def test_a_damaged_file_of_a_store_gives_the_same_values_or_one_line(kept_store):
    right = read_store(kept_store)
    rng = np.random.default_rng(1)
    assert [
        text
        for one in damages(kept_store, rng, FLIPS)
        if (text := wrong(lambda: read_store(kept_store), right, one))
    ] == []


def test_a_damaged_packed_store_gives_the_same_values_or_one_line(kept_store, tmp_path):
    packed = pack_sample(open_predictors(kept_store), tmp_path / "s.zarr.zip", DAYS[0], DAYS[-1])
    right = read_store(packed)
    rng = np.random.default_rng(2)
    found = [
        text for one in damages(packed, rng, 60) if (text := wrong(lambda: read_store(packed), right, one))
    ]
    assert found == []


@pytest.mark.parametrize("small", [True, False], ids=["read whole", "read by blocks"])
def test_a_layer_that_lost_a_file_is_refused_by_its_name(own_store, monkeypatch, small):
    if not small:
        monkeypatch.setattr(arrays, "_WHOLE_LAYER_CELLS", 0)
    (own_store / "elevation" / "c" / "0" / "0").unlink()
    store = open_predictors(own_store)
    with pytest.raises(
        BadPredictors, match=r"elevation of .* has lost values: its file elevation/c/0/0 is gone"
    ):
        store.read(("elevation",), DAYS[:1], store.grid.blocks(4)[0])
    with pytest.raises(BadPredictors, match=r"elevation/c/0/0"):
        store.layer("elevation")


def test_a_gappy_day_that_lost_its_file_is_refused_and_one_without_values_is_not(own_store):
    """What has gaps reads as missing where it was missing; and not where its file is gone."""
    store = open_predictors(own_store)
    first, last = store.grid.blocks(4)[0], store.grid.blocks(4)[-1]
    assert np.isnan(store.read((GAPPY,), DAYS[3:9], last)).all()
    assert (store.read((GAPPY,), DAYS[3:9], first)[..., :4, :4] == 0.5).all()
    (own_store / GAPPY / "c" / "0" / "0" / "0").unlink()
    with pytest.raises(
        BadPredictors, match=rf"{GAPPY} of .* has lost values of {DAYS[0]} in .*: its file {GAPPY}/c/0/0/0"
    ):
        open_predictors(own_store).read((GAPPY,), DAYS[3:9], first)


@pytest.mark.parametrize("name", ["fingerprint", "inputs", "day_facts"])
def test_a_table_of_days_that_lost_a_file_is_damaged_and_does_not_hold_no_day(own_store, tmp_path, name):
    packed = pack_sample(open_predictors(own_store), tmp_path / "s.zarr.zip", DAYS[0], DAYS[-1])
    lost = f"{name}/c/0/0"
    rest = tmp_path / "rest.zarr.zip"
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(rest, "w") as target:
        for file in source.namelist():
            if file != lost:
                target.writestr(file, source.read(file))
    (own_store / lost).unlink()
    for path in (own_store, rest):
        with pytest.raises(BadPredictors, match=rf"{name} of .* is damaged .*its file {lost} is gone"):
            open_predictors(path)


def test_a_store_whose_days_are_all_missing_again_is_whole(own_store):
    """Forgotten, or written anew from files that say nothing of themselves: no table lost anything."""
    for name in (*DAILY, GAPPY):
        forget(own_store, name, DAYS)
    assert open_predictors(own_store).days == []
    write_days(own_store, DAYS, {name: address(name, np.arange(len(DAYS))) for name in DAILY})
    store = open_predictors(own_store)
    assert store.days_of(DAILY) == DAYS
    assert {store.inputs_of(name, day) for name in DAILY for day in DAYS} == {0}


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize("name", ["elevation", "time", "neighbours_idw9", "spatial_ref"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"zarr_format": 3', '"zarr_format": 4'),
        lambda text: text.replace('"name": "bytes"', '"name": "newer"'),
        lambda text: text.replace('"node_type": "array"', '"node_type": "group"'),
        lambda text: nested(20_000),
        lambda text: "[]",
    ],
    ids=["empty", "cut", "newer format", "unknown codec", "a group", "nested", "a list"],
)
def test_a_damaged_description_is_named(own_store, name, change):
    file = own_store / name / "zarr.json"
    file.write_text(change(file.read_text()))
    with pytest.raises(BadPredictors, match=rf"^{name} of .*p\.zarr is damaged or was changed \(") as refused:
        open_predictors(own_store)
    assert "\n" not in str(refused.value)


def test_an_older_store_without_checksums_of_metadata_opens(own_store):
    for file in own_store.rglob("zarr.json"):
        said = json.loads(file.read_text())
        said["attributes"].pop("metadata_checksum", None)
        file.write_text(json.dumps(said))
    store = open_predictors(own_store)
    np.testing.assert_array_equal(
        store.layer("elevation")[store.grid.land], address("elevation")[store.grid.land]
    )


def read_places(path):
    store = open_store(path, small_grid(), encoder("sincos"))
    store.verify()
    return {
        "vectors": store.read(slice(0, store.cell_count)),
        "checksum": store.checksum,
        "encoder": store.encoder,
    }


@pytest.mark.filterwarnings("error")
def test_a_damaged_file_of_a_place_store_gives_the_same_values_or_one_line(tmp_path):
    path = embed_grid(small_grid(), encoder("sincos"), tmp_path / "places.zarr")
    right = read_places(path)
    rng = np.random.default_rng(3)
    found = [wrong(lambda: read_places(path), right, one) for one in damages(path, rng, 40)]
    assert [text for text in found if text] == []


def read_model(folder):
    """What a model gives, and all that stands beside its card."""
    model = load_model(str(folder))
    card = model.card
    rng = np.random.default_rng(0)
    window = rng.normal(0, 1, (3, card.window_days, len(card.scaler.inputs))).astype(np.float32)
    place = rng.normal(0, 1, (3, card.place.dimension)).astype(np.float32) if card.place.dimension else None
    intervals, applicable = load_intervals(model), load_applicability(model)
    return {
        "card": card,
        "stock": open_session(model, "cpu").estimate(window, place),
        "unrolled": open_session(model, "cpu", engine="onnxruntime-unrolled").estimate(window, place),
        "intervals": intervals,
        "weights": applicable.training.weight,
        "points": applicable.training.points,
    }


@pytest.fixture
def own_model(tmp_path):
    return Path(shutil.copytree(shipped_folder("models") / "conus-open", tmp_path / "model"))


def test_a_damaged_file_of_a_model_is_refused_in_one_line(own_model):
    right = read_model(own_model)
    rng = np.random.default_rng(4)
    found = [wrong(lambda: read_model(own_model), right, one) for one in damages(own_model, rng, 15)]
    assert [text for text in found if text] == []


@pytest.mark.parametrize("name", ["intervals.json", "applicability.json"])
def test_a_calibration_with_other_digits_is_refused(own_model, name):
    """JSON stays JSON: only the card's checksum tells."""
    file = own_model / name
    text = file.read_text()
    at = next(i for i, letter in enumerate(text) if letter in "2345" and text[i - 1] == ".")
    file.write_text(text[:at] + str(int(text[at]) + 1) + text[at + 1 :])
    model = load_model(str(own_model))
    with pytest.raises(BadModel, match=rf"{name} is gone, damaged or was changed: .*pm25map calibrate"):
        (load_intervals if name == "intervals.json" else load_applicability)(model)


def test_a_card_of_an_older_version_opens_and_says_what_it_does_not_cover(own_model, caplog):
    said = json.loads((own_model / "card.json").read_text())
    del said["files"], said["card_sha256"]
    (own_model / "card.json").write_text(json.dumps(said))
    model = load_model(str(own_model))
    load_intervals(model)
    assert f"does not cover intervals.json. Run once: pm25map export --checksums {own_model}" in caplog.text
    caplog.clear()
    told = CliRunner().invoke(export, ["--checksums", str(own_model)])
    assert "covers itself and applicability.json, applicability.npz, intervals.json" in told.output
    load_intervals(load_model(str(own_model)))
    assert caplog.text == ""


def test_a_calibration_that_is_made_again_is_covered(own_model):
    model = load_model(str(own_model))
    again = load_intervals(model).model_copy(update={"tail": 0.04})
    save_intervals(own_model, again)
    assert load_intervals(load_model(str(own_model))).tail == 0.04
    assert load_model(str(own_model)).card.checksum == model.card.checksum


def read_encoder(folder):
    made = encoder(str(folder))
    return {"vectors": made.encode([40.0, 33.0], [-120.0, -80.0]), "card": read_card(folder)}


def test_a_damaged_file_of_an_encoder_gives_the_same_vectors_or_one_line(tmp_path):
    folder = Path(shutil.copytree(shipped_folder("models") / "places-open", tmp_path / "places-mine"))
    right = read_encoder(folder)
    rng = np.random.default_rng(5)
    found = []
    for one in damages(folder, rng, 15):
        # What is not read for a vector may say what it likes; without a card there is no encoder to speak of.
        if one.file.name in ("card.json", "encoder.onnx"):
            found.append(wrong(lambda: read_encoder(folder), right, one))
    assert [text for text in found if text] == []


@pytest.mark.parametrize("name", ["encoder.onnx", "patch.onnx", "weights.safetensors"])
def test_a_card_does_not_cover_a_file_of_an_encoder_that_is_another_one(tmp_path, name):
    folder = Path(shutil.copytree(shipped_folder("models") / "places-open", tmp_path / "places-mine"))
    told = CliRunner().invoke(export, ["--checksums", str(folder)])
    assert "covers itself and encoder.onnx, patch.onnx, weights.safetensors" in told.output
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    said = (folder / "card.json").read_bytes()
    told = CliRunner().invoke(export, ["--checksums", str(folder)])
    assert isinstance(told.exception, BadModel)
    assert f"{name} is damaged" in str(told.exception)
    assert (folder / "card.json").read_bytes() == said


def test_a_damaged_card_of_an_encoder_is_named(tmp_path):
    folder = Path(shutil.copytree(shipped_folder("models") / "places-open", tmp_path / "places-mine"))
    text = (folder / "card.json").read_text()
    (folder / "card.json").write_text(text[: len(text) // 2])
    with pytest.raises(BadModel, match=r"the card .*card\.json is damaged"):
        encoder(str(folder))


@pytest.fixture
def own_map(tmp_path):
    return fill_map(tmp_path)


def fill_map(folder):
    """A map of two bands with its item."""
    values = np.where(small_grid().land, address("elevation") / 10, np.nan).astype(np.float32)
    path = folder / "pm25.tif"
    write_map(path, values, small_grid(), provenance(small_grid()), more={PM25_SPREAD: values / 8})
    write_stac_item(path, created=CREATED, model_card=path.parent / "card.json", predictors=None)
    return path


def read_looked_at(path):
    """What a map shows, and what it says of itself, as view, hotspots and info read it."""
    shown = read_map(path)
    layers = {layer.key: layer.values for layer in shown.layers}
    labels = [(layer.key, layer.label, layer.unit, layer.kind) for layer in shown.layers]
    return {
        **layers,
        "labels": labels,
        "place": shown.place,
        "day": shown.day,
        "info": describe(path).to_json(),
    }


def test_a_damaged_map_with_its_item_gives_the_same_values_or_one_line(own_map):
    right = read_looked_at(own_map)
    rng = np.random.default_rng(6)
    found = [wrong(lambda: read_looked_at(own_map), right, one) for one in damages(own_map.parent, rng, 60)]
    assert [text for text in found if text] == []


def test_a_map_that_was_changed_is_refused_until_its_item_is_taken_away(own_map):
    with rasterio.open(own_map, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as source:
        source.update_tags(remark="changed on purpose")
    for look in (read_map, check_map):
        with pytest.raises(BadMap, match=r"pm25\.tif is damaged or was changed: .* take pm25\.json away"):
            look(own_map)
    told = CliRunner().invoke(info, [str(own_map)])
    assert isinstance(told.exception, BadMap)
    own_map.with_suffix(".json").unlink()
    read_map(own_map)


def test_an_item_knows_what_it_said(own_map):
    """What catalogues write, links, may change."""
    item = json.loads(own_map.with_suffix(".json").read_text())
    item["links"].append({"rel": "self", "href": "https://example.org/pm25.json"})
    assert is_as_written(item)
    item["assets"]["map"]["bands"][0]["statistics"]["maximum"] += 1
    assert not is_as_written(item)


def test_an_item_with_other_values_is_told_and_the_map_is_read(own_map, caplog):
    right = read_map(own_map).layers[0].values
    assert caplog.text == ""
    item = own_map.with_suffix(".json")
    said = json.loads(item.read_text())
    said["assets"]["map"]["bands"][0]["statistics"]["maximum"] += 1
    item.write_text(json.dumps(said))
    np.testing.assert_array_equal(read_map(own_map).layers[0].values, right)
    assert "pm25.json was changed since it was written: pm25.tif is not compared with it" in caplog.text


def test_a_damaged_header_of_the_stage_counts_as_absent_or_gives_the_same_rows(tmp_path):
    """What counts as absent is computed again; a row that is damaged says so."""
    folder, block = open_folder(tmp_path), small_grid().blocks()[0]
    rows = {day: (f"{i:064x}", np.full((2, 16), i, dtype=np.float32)) for i, day in enumerate(DAYS[3:6])}
    name, _ = stage_rows(folder, "key", block, rows)

    def read():
        header = read_header(folder, name)
        if header is None:
            raise BadOutput("absent")
        return {"block": header.block} | {day: header.read_row(folder, day) for day in header.days}

    right = read()
    rng = np.random.default_rng(7)
    found = [wrong(read, right, one) for one in damages(tmp_path / name, rng, 400)]
    assert [text for text in found if text] == []


@pytest.mark.parametrize(
    "shortage",
    [
        RuntimeError("can't start new thread"),
        OSError(errno.EMFILE, "Too many open files"),
        PermissionError(errno.EACCES, "no"),
    ],
)
def test_a_machine_that_is_short_of_something_is_no_damage_to_a_store(own_store, monkeypatch, shortage):
    def fails(*_):
        raise shortage

    store = open_predictors(own_store)
    monkeypatch.setattr("pm25map.predictors.verify.np", SimpleNamespace(asarray=fails))
    with pytest.raises((MemoryError, OSError)):
        verify_store(store, DAYS)
    monkeypatch.setattr("pm25map.predictors.opening._open_array", fails)
    with pytest.raises((MemoryError, OSError)):
        open_predictors(own_store)
