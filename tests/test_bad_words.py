"""The words of a command line, the locale, the memory and the output: what ends a command in one line."""

import os
import subprocess
import sys

import click
import pytest

from pm25map.base.errors import BadDate, BadWord
from pm25map.cli.options import FILE
from pm25map.cli.words import Count, Number, check_words
from pm25map.raster.provenance import created_time


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "--region", ""], "--region is given an empty value"),
        (["predict", "--region="], "--region is given an empty value"),
        (["info", ""], "the command is given an empty value"),
        (["predict", "--grid", "a" * 5000], r"--grid is given 5,000 characters \(aaa"),
        (["predict", "--out", "k\udcc3\udcbcste.tif"], "--out: this locale cannot read .* PYTHONUTF8=1"),
    ],
)
def test_words_that_mean_nothing_are_refused_before_any_command(words, said):
    with pytest.raises(BadWord, match=said):
        check_words(words)


def test_ordinary_words_pass():
    check_words(["predict", "--region", "oregon", "--bbox", "-124", "42", "-117", "46", "--out", "küste.tif"])


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (Number(), "nan"),
        (Number(min=0), "inf"),
        (Count(min=1), "0"),
        (Count(), "9" * 20),
        (FILE, "x/" + "a" * 256),
    ],
)
def test_numbers_are_finite_counts_fit_and_names_can_be_held(kind, bad):
    with pytest.raises(click.BadParameter):
        kind.convert(bad, None, None)


@pytest.mark.parametrize("epoch", ["-5", "now", "1e9", "99999999999999999999", "253402300800", "१२"])
def test_a_time_of_building_that_is_none_is_refused(monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(BadDate, match="SOURCE_DATE_EPOCH is "):
        created_time()


def test_a_time_of_building_that_is_none_leaves_no_map_without_item(say, monkeypatch, tmp_path):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "99999999999999999999")
    for words in (
        ("predict", "--date", "2020-09-12", "--out", "cog.tif", "--region", "rhode-island"),
        (
            "backfill",
            "--start",
            "2020-09-12",
            "--end",
            "2020-09-12",
            "--out",
            "maps",
            "--region",
            "rhode-island",
        ),
    ):
        code, _, said = say(*words)
        assert (code, said.count("SOURCE_DATE_EPOCH")) == (1, 1)
        assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_none_names_the_nearest(say):
    code, _, said = say("predikt")
    assert code == 2
    assert "No such command 'predikt'. Did you mean predict?" in said


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (MemoryError(), "there is not enough memory for this. Ask for a part (--region"),
        (
            ImportError("obstore.so: failed to map segment from shared object"),
            "there is not enough memory for this. Ask for a part (--region",
        ),
        (
            PermissionError(13, "Permission denied", "maps/a.tif"),
            "maps/a.tif: Permission denied. Look at the path",
        ),
        (OSError(36, "File name too long", "x"), "x: File name too long"),
    ],
)
def test_what_the_system_refuses_is_one_line(say, monkeypatch, raised, said):
    def fail(*_args, **_more):
        raise raised

    monkeypatch.setattr("pm25map.raster.info.describe_file", fail)
    code, out, err = say("info", "map.tif")
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: {said}") and err.count("\n") == 1


def program(*words, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pm25map", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=os.environ | environment,
        check=False,
    )


def test_an_output_that_is_full_is_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = program("grid", "list", stdout=full)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: the output cannot be written: no space is left where it goes. Free some, or send it elsewhere\n"
    )


def test_a_locale_that_cannot_read_a_name_is_refused_before_the_work(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = program("predict", "--date", "2020-09-12", "--out", str(tmp_path / "küste.tif"), **plain)
    assert done.returncode == 1
    assert "this locale cannot read" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
