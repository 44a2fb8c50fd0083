"""The documents: their commands exist, those marked to run do run, their links lead somewhere."""

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pandas as pd
import pytest
from click.testing import CliRunner

from pm25map.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)?( run)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def command_lines(run_only=False):
    """Every `pm25map ...` line of a fenced block: page name and words."""
    found = []
    for page in PAGES:
        for kind, run, body in FENCE.findall(page.read_text()):
            if kind not in ("console", "bash") or (run_only and not run):
                continue
            for line in body.splitlines():
                words = shlex.split(line.removeprefix("$ "))
                if words and words[0].endswith("pm25map"):
                    found.append(pytest.param(words[1:], id=f"{page.name}: {' '.join(words[1:4])}"))
    return found


def find(words):
    """The click command that some words name, and the words that are left."""
    group, rest = cli, list(words)
    context = click.Context(cli)
    while isinstance(group, click.Group) and rest and not rest[0].startswith("-"):
        group = group.get_command(context, rest.pop(0))
        assert group is not None, words
    return group, rest


@pytest.mark.parametrize("words", command_lines())
def test_a_command_of_the_documents_exists_with_its_options(words):
    command, rest = find(words)
    known = {option for parameter in command.params for option in parameter.opts}
    used = {word for word in rest if word.startswith("--")}
    assert used <= known


def test_the_documents_hold_commands():
    assert len(command_lines()) > 15
    assert len(command_lines(run_only=True)) >= 3


def test_the_quick_start_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for parameter in command_lines(run_only=True):
        result = CliRunner().invoke(cli, parameter.values[0], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    # A map that they left is read as the page reads one.
    page = (ROOT / "docs" / "quickstart.md").read_text()
    (block,) = [body for kind, _, body in FENCE.findall(page) if kind == "python"]
    words = [sys.executable, "-c", block.replace("cog.tif", "oregon.tif")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("ug m-3\n") and "5070" in done.stdout
    made = {path.name for path in tmp_path.glob("*.tif")}
    assert made == {"oregon.tif", "oregon.bands.tif", "northwest.tif", "northwest.bands.tif"}


def test_the_page_on_tables_runs_and_prints_what_stands_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = FENCE.findall((ROOT / "docs" / "exposure.md").read_text())
    cohort, printed = [body for kind, _, body in blocks if kind == "csv"]
    (tmp_path / "cohort.csv").write_text(cohort)
    for line in "".join(body for kind, _, body in blocks if kind == "console").splitlines():
        done = CliRunner().invoke(cli, shlex.split(line)[1:], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    got, stated = (pd.read_csv(text, dtype={"id": str}) for text in ("cohort_pm25.csv", io.StringIO(printed)))
    pd.testing.assert_frame_equal(got, stated, rtol=1e-4)
    (code,) = [body for kind, _, body in blocks if kind == "python"]
    words = [sys.executable, "-c", f"{code}\nprint(list(table.columns), *table['id'])"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['id', 'days', 'days_of_period', 'pm25_ugm3', 'status'] 001 002 003"


def test_the_cells_of_the_python_page_print_what_stands_below_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = FENCE.findall((ROOT / "docs" / "python.md").read_text())
    cells = [
        (code, below[1])
        for (kind, run, code), below in zip(blocks, [(k, body) for k, _, body in blocks[1:]], strict=False)
        if kind == "python" and run and below[0] == "text"
    ]
    assert len(cells) == sum(kind == "python" for kind, _, _ in blocks) > 5
    # One process, as a notebook has; a line between the cells tells their words apart.
    code = "\nprint('~~~')\n".join(code for code, _ in cells)
    words = [sys.executable, "-W", "error::UserWarning:xarray", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [said.strip() for said in done.stdout.split("~~~")] == [below.strip() for _, below in cells]


def subcommands(above=()):
    """The words of every command, groups too."""
    group, _ = find(above)
    out = []
    for name in group.list_commands(click.Context(group)):
        words = [*above, name]
        out.append(words)
        if isinstance(find(words)[0], click.Group):
            out += subcommands(words)
    return out


@pytest.mark.parametrize("words", [[], *subcommands()], ids=" ".join)
def test_help_teaches_and_ends_with_a_line_to_copy(words):
    result = CliRunner().invoke(cli, [*words, "--help"])
    assert result.exit_code == 0
    assert "Try: pm25map" in result.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_no_file_names_a_folder_of_one_machine():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    if tracked.returncode:
        pytest.skip("not a git clone")
    places = re.compile(r"(?<![\w.])/(?:work|root|home)/\w")
    for name in tracked.stdout.split():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".yaml", ".json") and path.name != "test_docs.py":
            assert not places.search(path.read_text()), name
