"""Build the documentation as a web site.

Try: python docs/site/build.py --out build/site

The pages are those of docs/ and the README; the reference of commands is generated from the commands themselves. Every
link and anchor is checked: a broken one ends the build. Needs `pip install '.[docs]'`.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import MkDocsException

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DOORS = {
    "Start": ["index.md", "quickstart.md", "glossary.md"],
    "Use": [
        "data.md",
        "monitors.md",
        "airnow.md",
        "morning.md",
        "backfill.md",
        "python.md",
        "view.md",
        "other-software.md",
        "exposure.md",
        "static.md",
        "commands.md",
    ],
    "Trust": ["trust.md", "diagnostics.md", "model.md"],
    "Build": [
        "house.md",
        "data-contract.md",
        "providers.md",
        "extend.md",
        "engines.md",
        "performance.md",
        "places.md",
        "places-tables.md",
        "study.md",
        "study-tables.md",
        "smoke.md",
    ],
}
"""Pages by door, in reading order."""
# In plain style: as a table, options without a default get click's internal mark for that.
COMMANDS = """# Commands

::: mkdocs-click
    :module: pm25map.cli.main
    :command: cli
    :prog_name: pm25map
    :style: plain
    :depth: 1
"""
CONFIG = {
    "site_name": "pm25map",
    "site_description": "Daily maps of surface PM2.5 over the contiguous United States",
    # No font and no script is taken from another server.
    "theme": {"name": "material", "font": False, "features": ["navigation.tabs", "toc.integrate"]},
    "plugins": ["search"],
    "markdown_extensions": ["tables", "fenced_code", "attr_list", "toc", "mkdocs-click"],
    "validation": {"links": {"not_found": "warn", "anchors": "warn", "absolute_links": "warn"}},
    "strict": True,
}


def lay_out(source: Path) -> None:
    """Copy the pages and what they show into a folder, with the README as the first page."""
    ignored = shutil.ignore_patterns("site", "*.in", "__pycache__")
    shutil.copytree(DOCS, source, ignore=ignored)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (source / "index.md").write_text(readme.replace("](docs/", "]("), encoding="utf-8")
    (source / "commands.md").write_text(COMMANDS, encoding="utf-8")
    left = {path.name for path in source.glob("*.md")} - {page for pages in DOORS.values() for page in pages}
    if left:
        raise MkDocsException(
            f"pages without a door: {', '.join(sorted(left))}; add them to DOORS in {__file__}"
        )


def build_site(out: Path) -> None:
    """Write the site into a folder, which is emptied first.

    Raises:
        MkDocsException: a page, link or anchor is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "docs")
        lay_out(source)
        nav = [{door: pages} for door, pages in DOORS.items()]
        file = Path(folder, "mkdocs.yml")
        file.write_text(
            yaml.safe_dump({**CONFIG, "nav": nav, "docs_dir": str(source), "site_dir": str(out.resolve())})
        )
        build(load_config(str(file)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("build/site"), help="folder of the site [build/site]"
    )
    try:
        build_site(parser.parse_args().out)
    except MkDocsException as error:
        sys.exit(f"docs/site/build.py: {error}")
