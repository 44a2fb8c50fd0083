"""The documentation as a web site: it builds, every link leads somewhere, every command is in its reference."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
from mkdocs.exceptions import MkDocsException

from pm25map.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]


def script(name):
    spec = importlib.util.spec_from_file_location(f"site_{name}", ROOT / "docs" / "site" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site():
    return script("build")


def test_the_site_builds_and_names_every_command(site, tmp_path):
    site.build_site(tmp_path / "site")
    reference = (tmp_path / "site" / "commands" / "index.html").read_text()
    assert all(f'id="pm25map-{name}"' in reference for name in COMMANDS)
    assert "--place-smoothing" in reference and "Sentinel" not in reference
    home = (tmp_path / "site" / "index.html").read_text()
    assert "How good the maps are" in home
    # Nothing is taken from another server.
    assert not re.search(r'(?:src|href)="https?://[^"]+\.(?:js|css|woff2?)"', home)


@pytest.mark.parametrize("broken", ["[gone](no-such-page.md)", "[gone](trust.md#no-such-part)"])
def test_a_broken_link_ends_the_build(site, tmp_path, monkeypatch, broken):
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("*.png"))
    page = docs / "quickstart.md"
    page.write_text(f"{page.read_text()}\n{broken}\n")
    monkeypatch.setattr(site, "DOCS", docs)
    with pytest.raises(MkDocsException):
        site.build_site(tmp_path / "site")


def test_a_page_without_a_door_ends_the_build(site, tmp_path, monkeypatch):
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("*.png"))
    (docs / "stray.md").write_text("# Stray\n")
    monkeypatch.setattr(site, "DOCS", docs)
    with pytest.raises(MkDocsException, match=r"stray\.md"):
        site.build_site(tmp_path / "site")


def test_the_plans_of_the_house_are_those_of_its_imports():
    rooms = script("rooms")
    page = rooms.PAGE.read_text()
    assert rooms.render(page) == page, "draw them again with python docs/site/rooms.py"


def test_a_plan_names_what_a_room_rests_on_directly():
    plan = script("rooms").draw({"map": {"grid", "base"}, "grid": {"base"}, "base": set()})
    assert plan.splitlines() == [" 3  map         on grid", " 2  grid        on base", " 1  base"]
