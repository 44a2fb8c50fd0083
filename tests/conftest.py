"""What several rooms' tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data to check with: data/ in PM25MAP_SHARED, else in ../shared; skips if absent."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("PM25MAP_SHARED", beside)) / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: set PM25MAP_SHARED to the folder that holds data/")
    return folder


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """Run the program in an empty folder; give its exit code and what it said on stdout and stderr."""
    from pm25map.cli.main import main

    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["pm25map", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    from browser import launch
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture
def read_aqs(tmp_path):
    """Read rows of EPA's daily file, given as what differs from the good row of aqs_rows."""
    from aqs_rows import text_of

    from pm25map.monitors import read_monitors

    def read_these(*rows, **options):
        path = tmp_path / "daily_88101_2020.csv"
        path.write_text(text_of(*rows))
        return read_monitors(path, **options)

    return read_these
