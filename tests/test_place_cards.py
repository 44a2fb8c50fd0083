"""Every encoder has a card, and a network in ONNX that gives what the encoder gives."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from siren_world import write_a_siren

from pm25map.base.errors import BadOutput, UnknownName
from pm25map.base.files import make_folder
from pm25map.cli.main import cli
from pm25map.grid import Grid
from pm25map.laboratory.encoders.known import describe
from pm25map.places.card import read_card
from pm25map.places.catalogue import encoder

NAMES = ("latlon", "sincos", "harmonics-0", "harmonics-40", "geoclip", "geoclip-capsules-1-2")
GRID = Grid("toy", "EPSG:5070", (50e3, 0, -1e6, 0, -50e3, 2e6), (12, 15), 16, np.ones((12, 15), bool))
LAT = np.concatenate([[90.0, -90.0, 0.0], np.random.default_rng(0).uniform(-90, 90, 200)])
LON = np.concatenate([[12.0, 180.0, -180.0], np.random.default_rng(1).uniform(-180, 180, 200)])


@pytest.mark.parametrize("name", NAMES)
def test_every_encoder_has_a_card_with_all_that_is_asked_of_one(name: str) -> None:
    made = encoder(name)
    card = describe(made, GRID)
    assert (card["name"], card["dimension"]) == (name, made.dimension)
    assert all(card[key] for key in ("description", "licence", "citation", "source", "training_domain"))
    assert len(card["profile"]["share"]) == len(card["profile"]["cutoffs_km"]) + 1
    assert sum(card["profile"]["share"]) == pytest.approx(0 if name == "harmonics-0" else 1, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_every_encoder_becomes_a_network_that_gives_the_same_with_latitude_first(
    tmp_path: Path, name: str
) -> None:
    pytest.importorskip("onnx")
    from pm25map.laboratory.encoders.known_export import write_known

    made = encoder(name)
    card = write_known(made, tmp_path / "made", GRID)
    again = encoder(str(tmp_path / "made"))
    assert (again.name, again.dimension) == (name, made.dimension)
    np.testing.assert_allclose(again.encode(LAT, LON), made.encode(LAT, LON), atol=2e-5)
    assert max(card.parity[f"{where}_to_pm25map"] for where in ("world", "conus")) < 1e-5
    assert read_card(tmp_path / "made") == card
    assert again.about().training_domain == made.about().training_domain


def test_a_trained_encoder_says_what_its_card_says_and_is_not_written_twice(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from pm25map.laboratory.encoders.known_export import write_known

    write_a_siren(tmp_path / "small")
    made = encoder(str(tmp_path / "small"))
    assert describe(made, GRID)["profile"]["grid"] == "conus-10km"
    with pytest.raises(UnknownName, match="is a folder already"):
        write_known(made, tmp_path / "again", GRID)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    with pytest.raises(BadOutput, match="is no encoder"):
        write_known(encoder("latlon"), tmp_path / "mine", GRID)


def test_photos_are_no_transfer_for_geoclip() -> None:
    assert encoder("geoclip").about().seen == ("photos",)
    assert encoder("geoclip-capsules-1-2").about().seen == ("photos",)
    assert encoder("harmonics-3").about().seen == ()


def test_the_command_shows_a_card_and_writes_it(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    words = ["lab", "places", "card", "harmonics-2"]
    told = CliRunner().invoke(cli, words, catch_exceptions=False).output
    assert "training_domain" in told
    assert "longer 100 %" in told
    told = CliRunner().invoke(
        cli, [*words, "--json", "--out", str(tmp_path / "made")], catch_exceptions=False
    )
    assert json.loads(told.output)["dimension"] == 9
    assert (tmp_path / "made" / "encoder.onnx").is_file()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadOutput, match="a file is in the way"):
        make_folder(tmp_path / "file" / below)
