"""The page of a study: its numbers and pictures from a folder of results, its words from a template.

In the template `{{name words}}` becomes what the function of that name in FILLS gives: a table, or one figure with its
interval. No figure is typed by hand: `render` fills the page from the numbers kept beside it.
"""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from pm25map.base.errors import BadOutput, BadStudy
from pm25map.base.files import check_output_folder, check_outputs, replacing
from pm25map.base.yaml_file import load_yaml
from pm25map.laboratory.study import figures, phrases, tables
from pm25map.laboratory.study.config import read_study
from pm25map.laboratory.study.reading import read_results
from pm25map.laboratory.study.results import PROTOCOL
from pm25map.laboratory.study.summary import Summary, summarise
from pm25map.laboratory.study.template import report_template

_HOLE = re.compile(r"\{\{([^{}]+)\}\}")

FILLS: dict[str, Callable[..., str]] = {
    "answers": tables.answers,
    "protocol": tables.protocol,
    "record": tables.record,
    "scores": tables.scores,
    "parts": tables.parts,
    "strata": tables.strata,
    "distance": tables.distance,
    "pairs": tables.pairs,
    "published": tables.published,
    "published-gains": tables.published_gains,
    "not-run": tables.not_run,
    "runs": tables.runs,
    "audit": tables.audit,
    "importance": tables.importance,
    "attention": tables.attention,
    "score": phrases.score,
    "gain": phrases.gain,
    "verdict": phrases.verdict,
    "best": phrases.best,
    "ratio": phrases.ratio,
    "bar": phrases.bar,
    "survives": phrases.survives,
    "count": phrases.count,
}


def render(template: str, summary: Summary) -> str:
    """Fill a template: the words of a hole are split as in a shell, so "over 200 km" is quoted.

    Raises:
        BadStudy: a hole names no known filling, or its words are too few.
    """

    def fill(hole: re.Match[str]) -> str:
        name, *words = shlex.split(hole.group(1))
        if name not in FILLS:
            raise BadStudy(f"the template asks for {{{{{name}}}}}: there are {', '.join(FILLS)}")
        try:
            return FILLS[name](summary, *words)
        except TypeError as error:
            raise BadStudy(
                f"the template's {{{{{hole.group(1)}}}}} lacks a word or has one too many"
            ) from error

    return _HOLE.sub(fill, template)


def write_report(folder: Path, page: Path) -> list[Path]:
    """Write the page of a study, the numbers and the pictures beside it.

    Args:
        folder: of the results; with audit.json in it (pm25map lab audit --json), the page has the audit.
        page: to write, such as docs/study.md; docs/study.md.in beside it is its template, docs/study.yaml the
            protocol, and a page of tables, docs/study-tables.md, is written where it has a template too. Without a
            template the page holds the tables of its runs and no conclusion.

    Returns:
        what was written: the page, the page of tables, study.json, and study/*.png.

    Raises:
        BadStudy: the folder is not whole, or the template asks for what there is not.
        BadConfig: the protocol cannot be read.
        BadOutput: a file cannot be written.
    """
    check_page(folder, page)
    templates = {path: _template(path) for path in _pages(page)}
    protocol = page.with_suffix(".yaml")
    configuration = load_yaml(protocol) if protocol.is_file() else {}
    if configuration and (folder / PROTOCOL).is_file():
        claimed = json.loads(_text(folder / PROTOCOL, "what the folder is for"))["protocol"]
        if claimed != read_study(protocol).identity():
            raise BadStudy(
                f"{folder} holds runs of another protocol than {protocol}: write its report to a page of its own, "
                "for example --page report.md"
            )
    results = read_results(folder)
    summary = summarise(results, configuration)
    if (folder / "audit.json").is_file():
        summary["audit"] = json.loads(_text(folder / "audit.json", "the audit"))
    # The page is filled from the numbers of the file, to the last digit.
    text = packed(summary)
    pictures = figures.draw_all(results, summary, page.with_suffix(""))
    if templates[page] is None:
        templates[page] = report_template(summary, pictures, page)
    pages = {path: render(words, unpacked(text)) for path, words in templates.items() if words is not None}
    numbers = _numbers(page)
    for path, words in {numbers: text, **pages}.items():
        with replacing(path) as part:
            part.write_text(words)
    return [*pages, numbers, *pictures]


def check_page(folder: Path, page: Path) -> None:
    """Refuse a page that cannot be written, or that is read, with what stands beside it; before any work is done.

    Args:
        folder: of the results.
        page: as in `write_report`.

    Raises:
        BadOutput: a file of the report is one of the results, a template or the protocol, or cannot be written.
    """
    pages = _pages(page)
    read = [*folder.glob("*"), *map(_template_path, pages), page.with_suffix(".yaml")]
    tables = [path for path in pages[1:] if _template_path(path).is_file()]
    check_outputs([page, *tables, _numbers(page)], read, overwrite=True)
    pictures = page.with_suffix("")
    if pictures == page:
        raise BadOutput(
            f"cannot write {page}: its pictures go to a folder of this name. Name the page {page}.md"
        )
    check_output_folder(pictures)


def _pages(page: Path) -> tuple[Path, Path]:
    """Return the page, and that of its tables."""
    return page, page.with_stem(f"{page.stem}-tables")


def _numbers(page: Path) -> Path:
    return page.with_suffix(".json")


def _template_path(page: Path) -> Path:
    return page.with_name(f"{page.name}.in")


def _template(page: Path) -> str | None:
    template = _template_path(page)
    return _text(template, "the template of the page") if template.is_file() else None


_TABLES = ("runs", "folds", "scores", "paired")


def packed(summary: Summary) -> str:
    """Write a summary as JSON, its long tables as columns and rows, a row a line."""
    small: Summary = dict(summary)
    for name in _TABLES:
        columns = list(dict.fromkeys(key for row in summary[name] for key in row))
        small[name] = {
            "columns": columns,
            "rows": [[row.get(key) for key in columns] for row in summary[name]],
        }
    parts = []
    for name, value in small.items():
        if name in _TABLES:
            rows = ",\n".join(_compact(row) for row in value["rows"])
            parts.append(f'"{name}": {{"columns": {_compact(value["columns"])}, "rows": [\n{rows}]}}')
        else:
            parts.append(f'"{name}": {_compact(value)}')
    return "{" + ",\n".join(parts) + "}\n"


def unpacked(text: str) -> Summary:
    """Read what `packed` wrote."""
    summary: Summary = json.loads(text)
    for name in _TABLES:
        summary[name] = [
            dict(zip(summary[name]["columns"], row, strict=True)) for row in summary[name]["rows"]
        ]
    return summary


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=str)


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise BadStudy(
            f"cannot read {what}, {path}: {error.strerror}. Name a page that has it beside it"
        ) from error
