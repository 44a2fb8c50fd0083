"""An output that is an input, another output or no file at all is refused before any work is done."""

import os
import shutil
import socket

import numpy as np
import pytest
from click.testing import CliRunner
from looked_at import write_map
from maps import address_grid, address_map

from pm25map.base.errors import BadOutput
from pm25map.base.files import check_outputs
from pm25map.cli.data import pack
from pm25map.cli.main import cli
from pm25map.cli.predict import command as predict
from pm25map.cli.view import command as view

GRID = address_grid()
PERIOD = ["--start", "2020-09-12", "--end", "2020-09-13"]
READ = ["--monitors", "m", "--predictors", "p.zarr"]
PLACE = ["--lat", "40", "--lon", "-100"]
RASTERS = ["--rasters", "w"]
GRID_WORDS = ["--crs", "EPSG:5070", "--step", "10000"]


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
        (["--png", "m.json", "--overwrite"], "it is an input"),
        (["--out", "m.qml", "--overwrite"], "it is an input"),
        (["--png", "a.png", "--pdf", "a.png"], "are one file"),
        (["--out", "a.html", "--png", "a.html"], "are one file"),
        (["--png", "pipe"], "no file"),
    ],
)
def test_view_keeps_its_maps_and_writes_nothing(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    write_map(tmp_path / "m.tif", GRID, address_map(GRID))
    for beside in ("m.json", "m.qml"):
        (tmp_path / beside).write_text("{}")
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
        (["--out", "a.tif", "--preview", "m/daily.csv", "--monitors", "m"], "it is an input"),
    ],
)
def test_predict_refuses_an_output_that_it_reads_or_writes_already(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    for name in ("a.csv", "s.zarr.zip", "m/daily.csv"):
        (tmp_path / name).write_bytes(b"held")
    before = bytes_of(tmp_path)
    answer = CliRunner().invoke(predict, ["--date", "2020-09-12", *words, "--overwrite"])
    assert isinstance(answer.exception, BadOutput), answer.output
    assert message in str(answer.exception)
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["diagnose", "--date", "2020-09-12", "--predictors", "p.zarr", "--out", "p.zarr"], "it is an input"),
        (["diagnose", "--date", "2020-09-12", "--out", "a.csv"], "in the way"),
        (["diagnose", "--date", "2020-09-12", "--monitors", "d/scores.json", "--out", "d"], "it is an input"),
        (["backfill", *PERIOD, "--predictors", "p.zarr", "--out", "p.zarr"], "it is an input"),
        (["backfill", *PERIOD, "--predictors", "p.zarr", "--out", "p.zarr/maps"], "it is an input"),
        (["backfill", *PERIOD, "--monitors", "m", "--out", "m"], "it is an input"),
        (["backfill", *PERIOD, "--out", "a.csv/maps"], "in the way"),
        (["backfill", *PERIOD, "--out", "pipe"], "in the way"),
        (
            ["backfill", *PERIOD, "--predictors", "s3://b/p.zarr", "--out", "s3://b/p.zarr/maps"],
            "it is an input",
        ),
        (["train", "--config", "c.yaml", *READ, "--out", "p.zarr"], "it is an input"),
        (["train", "--config", "c.yaml", *READ, "--out", "run", "--cache", "m"], "it is an input"),
        (["train", "--config", "c.yaml", *READ, "--out", "c.yaml"], "in the way"),
        (["lab", "study", "--config", "c.yaml", *READ, "--out", "m"], "it is an input"),
        (["evaluate", *READ, "--cache", "p.zarr"], "it is an input"),
        (["compare", *READ, "--model", "a", "--against", "b", "--cache", "a.csv"], "in the way"),
        (["export", "--run", "run", "--out", "run", "--overwrite"], "it is an input"),
        (["export", "--run", "runs/a", "--out", "runs", "--overwrite"], "holds an input"),
        (["export", "--run", "run", "--out", "m", "--overwrite"], "no model that may be replaced"),
        (["grid", "build", "g", *GRID_WORDS, "--boundary", "g/land.tif", "--overwrite"], "it is an input"),
        (["data", "ingest", *PERIOD, "--monitors", "p.zarr", "--store", "p.zarr"], "it is an input"),
        (["data", "ingest", *PERIOD, "--source", "hms", "--files", "m", "--store", "m"], "it is an input"),
        (["data", "now", "--monitors", "m", "--out", "m/a.csv", "--overwrite"], "it is an input"),
        (["lab", "smoothing", *READ, "--cache", "c", "--out", "x.json"], "are one file"),
        (["data", "fetch", "--source", "hms", *PERIOD, "--out", "a.csv"], "in the way"),
        (["lab", "report", "--out", "study", "--page", "study/study.md"], "it is an input"),
        (["lab", "report", "--out", "study", "--page", "study/runs.parquet"], "it is an input"),
        (["lab", "report", "--out", "study", "--page", "report.json"], "are one file"),
        (["lab", "report", "--out", "study", "--page", "report"], "Name the page report.md"),
        (["lab", "report", "--out", "study", "--page", "pictures.md"], "in the way"),
        (["lab", "places", "similarity", *RASTERS, "--out", "w"], "it is an input"),
        (["lab", "places", "similarity", *RASTERS, "--out", "a.csv"], "in the way"),
        (["lab", "places", "probe", *RASTERS, "--maps", "w"], "it is an input"),
        (["lab", "places", "patch", *RASTERS, *PLACE, "--out", "w/a.tif", "--overwrite"], "it is an input"),
        (["lab", "places", "locate", "p.tif", *RASTERS, "--out", "p.tif", "--overwrite"], "it is an input"),
        (["lab", "places", "locate", "p.tif", *RASTERS, "--out", "w/a.tif", "--overwrite"], "it is an input"),
        (["lab", "places", "pretrain", "--config", "c.yaml", "--data", "w", "--out", "w"], "it is an input"),
        (["lab", "places", "export", "--run", "runs/a", "--out", "runs"], "holds an input"),
        (["lab", "places", "convert", "runs/a/card.json", "--out", "runs"], "holds an input"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_every_command_refuses_to_write_over_what_it_reads(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    files = "pictures a.csv c.yaml p.tif p.zarr/zarr.json m/a.csv d/scores.json g/land.tif w/a.tif"
    for name in (*files.split(), "study/study.json", "study/runs.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"held")
    for name in ("run/card.json", "runs/card.json", "runs/a/card.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"held")
    os.mkfifo(tmp_path / "pipe")
    before = bytes_of(tmp_path)
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, BadOutput), (done.output, done.exception)
    assert said in str(done.exception)
    assert bytes_of(tmp_path) == before


def test_intervals_are_not_written_over_the_monitors_that_they_are_calibrated_with(tmp_path, monkeypatch):
    from pm25map.base.shipped import shipped_folder

    monkeypatch.chdir(tmp_path)
    shutil.copytree(shipped_folder("models") / "conus-open", tmp_path / "mine")
    (tmp_path / "mine" / "intervals.json").write_bytes(b"held")
    before = bytes_of(tmp_path)
    words = ["--model", "mine", "--monitors", "mine/intervals.json", "--predictors", "p.zarr", "--overwrite"]
    done = CliRunner().invoke(cli, ["calibrate", *words])
    assert "it is an input" in str(done.exception), (done.output, done.exception)
    assert bytes_of(tmp_path) == before
