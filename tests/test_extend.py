"""Packages of other people bring sources and encoders: those of docs/extend.md, installed and run."""

import functools
import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extend.md"
FILE = re.compile(r"^```\w+ (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINES = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder with the packages of the page, and an environment in which they are installed."""
    folder = tmp_path_factory.mktemp("extend")
    for name, text in FILE.findall(PAGE.read_text()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    words = [*install, "--target", folder / "site", folder / "dust", folder / "waves"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    paths = [str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "PM25MAP_CACHE": str(folder / "cache")}
    return folder, os.environ | environment


def run(packages, *words):
    folder, environment = packages
    return subprocess.run(
        [sys.executable, "-m", "pm25map", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def commands(word):
    """The commands of the page that hold a word."""
    lines = [shlex.split(line) for body in LINES.findall(PAGE.read_text()) for line in body.splitlines()]
    return [line[1:] for line in lines if line[0] == "pm25map" and word in line]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """The imaginary service, with two days of dust of 12.5 ug m-3: its address."""
    (tmp_path / "daily").mkdir()
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": 1,
        "height": 60,
        "width": 120,
        "crs": "EPSG:4326",
    }
    for day in (11, 12):
        path = tmp_path / "daily" / f"dust202009{day}.tif"
        with rasterio.open(path, "w", transform=from_origin(-127, 52, 0.5, 0.5), **profile) as raster:
            raster.write(np.full((60, 120), 12.5, "float32"), 1)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_a_source_of_another_package_is_fetched_ingested_and_told_of(packages, server):
    fetch, ingest, status = commands("dust")
    fetched = run(packages, *fetch, "--base-url", server)
    assert fetched.returncode == 0, fetched.stderr
    done = run(packages, *ingest)
    assert done.returncode == 0 and "2 days written" in done.stdout, done.stderr
    told = json.loads(run(packages, *status, "--json").stdout)
    (row,) = [one for one in told["variables"] if one["name"] == "dust_pm10"]
    assert row["units"] == "ug m-3"


def test_an_encoder_of_another_package_is_embedded_and_shows_its_card(packages):
    embed, card = commands("waves")
    done = run(packages, *embed)
    assert done.returncode == 0, done.stderr
    shown = run(packages, *card)
    assert "waves of 30, 10 and 3 degrees" in shown.stdout and "the package waves" in shown.stdout, (
        shown.stderr
    )


def test_a_package_that_does_not_load_is_one_line_that_names_it(packages, tmp_path):
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[pm25map.encoders]\nfoggy = nowhere:Foggy\n[pm25map.sources]\nmist = nowhere\n"
    )
    folder, environment = packages
    path = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    broken = (folder, environment | {"PYTHONPATH": path})
    for words, name in (
        (["data", "fetch", "--source", "hms"], "mist"),
        (["lab", "places", "card", "foggy"], "foggy"),
    ):
        done = run(broken, *words)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        assert name in done.stderr and "uninstall its package" in done.stderr
