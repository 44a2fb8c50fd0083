"""An output that is an input, another output or no file at all is refused before any work is done."""

import os
import socket

import numpy as np
import pytest
from click.testing import CliRunner
from looked_at import write_map
from maps import address_grid, address_map

from pm25map.base.errors import BadOutput
from pm25map.base.files import check_outputs
from pm25map.cli.data import pack
from pm25map.cli.predict import command as predict
from pm25map.cli.view import command as view

GRID = address_grid()


def bytes_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("how", ["itself", "a link", "a hard link", "another spelling"])
def test_an_output_that_is_an_input_is_refused_however_it_is_named(tmp_path, how):
    source = tmp_path / "a.tif"
    source.write_bytes(b"held")
    out = tmp_path / "b.tif"
    if how == "itself":
        out = source
    elif how == "a link":
        out.symlink_to(source)
    elif how == "a hard link":
        out.hardlink_to(source)
    else:
        (tmp_path / "x").mkdir()
        out = tmp_path / "x" / ".." / "a.tif"
    with pytest.raises(BadOutput, match="it is an input"):
        check_outputs([out], [source], overwrite=True)


def test_two_outputs_of_one_name_are_refused_and_two_names_are_not(tmp_path):
    with pytest.raises(BadOutput, match="are one file"):
        check_outputs([tmp_path / "a", tmp_path / "." / "a"], overwrite=True)
    check_outputs([tmp_path / "a", tmp_path / "b"], [tmp_path / "c"], overwrite=False)


def test_what_is_no_file_and_a_name_too_long_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(tmp_path / "s"))
        for name in ("pipe", "s"):
            with pytest.raises(BadOutput, match="no file"):
                check_outputs([tmp_path / name], overwrite=True)
    for length in (245, 251, 300):
        with pytest.raises(BadOutput, match="cannot write"):
            check_outputs([tmp_path / ("n" * length)], overwrite=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "m.tif", "--overwrite"], "it is an input"),
        (["--png", "m.tif", "--overwrite"], "it is an input"),
        (["--gif", "m.tif", "--overwrite"], "it is an input"),
        (["--png", "a.png", "--pdf", "a.png"], "are one file"),
        (["--out", "a.html", "--png", "a.html"], "are one file"),
        (["--png", "pipe"], "no file"),
    ],
)
def test_view_keeps_its_maps_and_writes_nothing(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    write_map(tmp_path / "m.tif", GRID, address_map(GRID))
    os.mkfifo(tmp_path / "pipe")
    before = bytes_of(tmp_path)
    done = CliRunner().invoke(view, ["m.tif", *words])
    assert isinstance(done.exception, BadOutput)
    assert said in str(done.exception)
    assert bytes_of(tmp_path) == before


def test_figures_of_two_maps_of_one_name_do_not_replace_each_other(tmp_path):
    for number, folder in enumerate(("a", "b")):
        write_map(tmp_path / folder / "m.tif", GRID, address_map(GRID) + np.float32(number))
    words = [str(tmp_path / "a" / "m.tif"), str(tmp_path / "b" / "m.tif"), "--png", str(tmp_path / "figures")]
    done = CliRunner().invoke(view, words)
    assert "are one file" in str(done.exception)


def test_a_store_is_not_packed_onto_itself(tmp_path):
    from pm25map.base.shipped import shipped_folder

    sample = shipped_folder("grids") / "conus-10km" / "sample.zarr.zip"
    store = tmp_path / "p.zarr.zip"
    store.write_bytes(sample.read_bytes())
    words = ["--store", str(store), "--out", str(store), "--start", "2020-08-24", "--end", "2020-09-12"]
    done = CliRunner().invoke(pack, [*words, "--overwrite"])
    assert "it is an input" in str(done.exception)
    assert store.read_bytes() == sample.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "a.csv", "--monitors", "a.csv"], "it is an input"),
        (["--out", "s.zarr.zip", "--predictors", "s.zarr.zip"], "it is an input"),
        (["--out", "a.tif", "--preview", "a.tif"], "are one file"),
        (["--out", "a.tif", "--preview", "a.json"], "are one file"),
    ],
)
def test_predict_refuses_an_output_that_it_reads_or_writes_already(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "s.zarr.zip"):
        (tmp_path / name).write_bytes(b"held")
    before = bytes_of(tmp_path)
    answer = CliRunner().invoke(predict, ["--date", "2020-09-12", *words, "--overwrite"])
    assert isinstance(answer.exception, BadOutput), answer.output
    assert message in str(answer.exception)
    assert bytes_of(tmp_path) == before
