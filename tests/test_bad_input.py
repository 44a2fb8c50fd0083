"""What a user can get wrong with `pm25map predict`: one line, exit code 1, and nothing written."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from pm25map.base.card_file import CHECKSUM
from pm25map.base.shipped import shipped_folder
from pm25map.model.runtime import count_cuda_devices

MODEL = shipped_folder("models") / "conus-open"
SAMPLE = shipped_folder("grids") / "conus-10km" / "sample.zarr.zip"


@pytest.fixture
def model(tmp_path_factory):
    """A copy of the shipped model that a test may damage."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    shutil.copytree(MODEL, folder)
    return folder


def predict(*more, date="2020-09-12", out="cog.tif"):
    return ("predict", "--date", date, "--out", out, *more)


def assert_one_line(answer, message, folder):
    code, _, said = answer
    assert code == 1
    lines = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in said
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (predict(date="2020-13-01"), "YYYY-MM-DD"),
        (predict("--monitors", "none.zip", date="2019-07-04"), "none.zip"),
        (predict("--base-url", "http://127.0.0.1:9", date="2019-07-04"), "--monitors"),
        (predict("--base-url", "http://127.0.0.1:9", date="2020-08-31"), "--monitors"),
        (predict("--predictors", SAMPLE, date="2019-07-04"), "2020-08-16"),
        (predict("--predictors", SAMPLE, "--strict-window", date="2020-09-04"), "2020-08-15"),
        (predict("--grid", "conus-3km"), "shipped are conus-10km"),
        (predict("--model", "conus-opn"), "shipped are conus-ensemble"),
        (predict("--region", "oregano"), "Did you mean oregon"),
        (predict("--predictors", "none.zarr"), "none.zarr"),
        (predict(out="no/cog.tif"), "does not exist"),
        (predict("--bbox", "-117", "42", "-124", "46"), "west"),
        (predict("--bbox", "-124", "46", "-117", "42"), "south"),
        (predict("--bbox", "0", "42", "10", "46"), "no land"),
        (predict("--bbox", "-124", "42", "-117", "46", "--region", "florida"), "no land cell"),
    ],
)
def test_a_wrong_word_is_answered_in_one_line(say, tmp_path, tmp_path_factory, monkeypatch, words, message):
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path_factory.mktemp("cache")))
    assert_one_line(say(*words), message, tmp_path)


def test_a_map_that_is_there_is_kept_without_overwrite(say, tmp_path):
    (tmp_path / "cog.tif").write_text("precious")
    code, _, said = say(*predict())
    assert code == 1
    assert "--overwrite" in said
    assert (tmp_path / "cog.tif").read_text() == "precious"


@pytest.mark.skipif(count_cuda_devices() > 0, reason="this machine has a CUDA device")
def test_cuda_without_a_device_is_refused_instead_of_running_on_the_cpu(say, tmp_path):
    words = predict("--device", "cuda", "--bbox", "-124", "42", "-123", "43")
    assert_one_line(say(*words), "--device cpu", tmp_path)


@pytest.mark.parametrize(
    ("wheels", "message"),
    [(["onnxruntime", "onnxruntime-gpu"], "pip uninstall"), ([], "pip install 'pm25map[cpu]'")],
)
def test_both_or_neither_runtime_is_refused(say, tmp_path, monkeypatch, wheels, message):
    monkeypatch.setattr("pm25map.base.onnx.installed_wheels", lambda: wheels)
    words = predict("--bbox", "-124", "42", "-123", "43")
    assert_one_line(say(*words), message, tmp_path)


def change_card(folder: Path, change) -> None:
    card = json.loads((folder / "card.json").read_text())
    change(card)
    # As somebody who knows leaves it: a card of an older version has no checksum of its own.
    card.pop(CHECKSUM, None)
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.update(network_checksum="0" * 64), "SHA-256"),
        (lambda card: card.update(surprise=1), "surprise"),
        (lambda card: card.pop("units"), "units"),
        (lambda card: card.update(window_days=20), "another card"),
        (lambda card: card["units"].popitem(), "different features"),
        (lambda card: card.update(grid_checksum="0" * 64), "was trained on"),
        (lambda card: card["place"].update(checksum="0" * 64), "encoder"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(say, tmp_path, model, change, message):
    change_card(model, change)
    words = predict("--model", model, "--bbox", "-124", "42", "-123", "43")
    assert_one_line(say(*words), message, tmp_path)


@pytest.mark.parametrize("keep", [0, 1000, -1000])
def test_a_network_that_was_cut_short_is_refused(say, tmp_path, model, keep):
    network = model / "model.onnx"
    network.write_bytes(network.read_bytes()[:keep])
    assert_one_line(say(*predict("--model", model)), "damaged", tmp_path)


def test_a_network_that_is_none_is_refused_even_when_its_checksum_fits(say, tmp_path, model):
    from pm25map.base.files import sha256_of_file

    (model / "model.onnx").write_bytes(b"no network at all")
    change_card(model, lambda card: card.update(network_checksum=sha256_of_file(model / "model.onnx")))
    words = predict("--model", model, "--bbox", "-124", "42", "-123", "43")
    assert_one_line(say(*words), "no readable network", tmp_path)


def test_a_full_disk_leaves_nothing_behind(say, tmp_path, monkeypatch):
    def full(_self, _content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    words = predict("--bbox", "-124", "42", "-123", "43")
    assert_one_line(say(*words), "the disk is full", tmp_path)
