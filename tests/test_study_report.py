"""The page of a study: made of its numbers alone, and the numbers of the results alone."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import study_world
from PIL import Image

from pm25map.base.errors import BadStudy
from pm25map.laboratory.study import phrases, tables
from pm25map.laboratory.study.published import GAINS, PUBLISHED
from pm25map.laboratory.study.reading import read_results
from pm25map.laboratory.study.report import packed, render, unpacked, write_report
from pm25map.laboratory.study.summary import summarise

DOCS = Path(__file__).resolve().parents[1] / "docs"
PROTOCOL = """
name: invented
description: An invented world.
features: [neighbours_idw9, elevation]
window_days: 21
blocks: [{start: 2020-06-01, end: 2020-08-19}]
splits: {stations-10: [0, 1], west-to-east: [0]}
variants: [none]
seeds: [0, 1]
split_seed: 7
network: {lstm: [4, 4, 4], attention: 4, dense: 4}
training: {epochs: 2, targets_an_epoch: 100}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page with all beside it, from an invented folder of results."""
    folder = tmp_path_factory.mktemp("study")
    page = folder / "docs" / "study.md"
    page.parent.mkdir()
    for template in DOCS.glob("study*.md.in"):
        shutil.copy(template, page.parent)
    page.with_suffix(".yaml").write_text(PROTOCOL)
    results = study_world.results(folder / "results")
    audit = {"stations": 40, "days": ["2020-12-01", "2021-01-10"]}
    clean = {"study": "", "train": ""}
    audit["findings"] = [{"leak": "POC twins", "evidence": clean, "planted": "two stand within 100 m"}]
    (results / "audit.json").write_text(json.dumps(audit))
    return results, page, write_report(results, page)


@pytest.fixture(scope="module")
def summary(made):
    return unpacked(made[1].with_suffix(".json").read_text())


def test_the_page_is_what_its_numbers_give(made, summary):
    _, page, _ = made
    assert render((DOCS / "study.md.in").read_text(), summary) == page.read_text()


@pytest.mark.parametrize("page", ["study.md", "study-tables.md"])
def test_a_page_of_the_documents_is_what_its_numbers_give(page):
    summary = unpacked((DOCS / "study.json").read_text())
    assert render((DOCS / f"{page}.in").read_text(), summary) == (DOCS / page).read_text(), (
        f"docs/{page} was edited by hand: edit docs/{page}.in, then pm25map lab report"
    )


def test_the_answer_is_a_page_of_at_most_2500_words():
    assert len((DOCS / "study.md").read_text().split()) <= 2500


def test_numbers_survive_the_file(made, summary):
    assert packed(summary) == made[1].with_suffix(".json").read_text()
    again = summarise(read_results(made[0]), summary["protocol"], draws=1000)
    assert again["scores"][0]["rmse"] == summary["scores"][0]["rmse"]


def test_no_hole_and_no_nan_is_left_and_what_was_not_run_says_so(made):
    text = made[1].read_text() + made[1].with_stem("study-tables").read_text()
    assert "{{" not in text
    assert not re.search(r"\bnan\b", text)
    assert "no checkpoint on disk" in text
    assert "not run" in text


def test_every_published_figure_has_its_line(made, summary):
    lines = tables.published(summary).splitlines()
    assert len(lines) == len(PUBLISHED) + 2
    assert sum(line.split(" | ")[3] == "not run" for line in lines) == sum(
        (p.split not in summary["splits"]) or (p.variant not in study_world.ERRORS) for p in PUBLISHED
    )
    assert len(tables.published_gains(summary).splitlines()) == len(GAINS) + 2


def test_scores_of_the_page_are_those_of_the_runs(made, summary):
    """The west-to-east folds hold the same number of targets, so the pooled square is the mean of the folds'."""
    runs = read_results(made[0]).done
    part = runs[(runs["split"] == "west-to-east") & (runs["variant"] == "idw")]
    row = phrases.row_of(summary, "west-to-east", "idw")
    assert row["rmse"][0] == pytest.approx(np.sqrt((part["rmse"] ** 2).mean()), abs=1e-3)
    assert row["n"] == part["n"].sum()
    assert row["rmse"][1] < row["rmse"][0] < row["rmse"][2]


def test_words_follow_the_intervals(summary):
    assert phrases.verdict(summary, "stations-10", "geoclip-hadamard", "none") == "better than"
    assert phrases.verdict(summary, "stations-10", "latlon", "none") == "worse than"
    far = ("distance", "100-200 km")
    assert phrases.verdict(summary, "stations-10", "geoclip-hadamard", "none", *far) == "not distinguishable"
    assert phrases.verdict(summary, "stations-10", "satclip-hadamard", "none") == "not compared"
    assert phrases.best(summary, "stations-10", "baseline") == "kriging"
    assert phrases.best(summary, "stations-10", "network") == "geoclip-hadamard"
    assert phrases.gain(summary, "stations-10", "geoclip-hadamard", "none").startswith("+2")
    assert phrases.bar(summary, "stations-10", "best-network", "idw", "rmse", "0.88") == "met"
    assert phrases.bar(summary, "stations-10", "latlon", "idw", "rmse", "0.88") == "missed"
    assert phrases.bar(summary, "east-to-west", "latlon", "idw", "rmse", "0.88") == "not run"


def test_gains_are_where_they_were_put(summary):
    near = phrases.pair_of(summary, "stations-10", "geoclip-hadamard", "none", "distance", "10-50 km")
    far = phrases.pair_of(summary, "stations-10", "geoclip-hadamard", "none", "distance", "100-200 km")
    assert near["gain_percent"][1] > 20
    assert abs(far["gain_percent"][0]) < 8


def test_every_picture_is_drawn_and_shows_something(made):
    names = {path.stem for path in made[2] if path.suffix == ".png"}
    assert names == {"scores", "distance", "reliability", "importance", "attention", "errors", "splits"}
    for path in made[2]:
        if path.suffix == ".png":
            pixels = np.asarray(Image.open(path).convert("L"))
            assert 0.001 < (pixels < 200).mean() < 0.5, path.name


def test_a_template_that_asks_for_what_there_is_not_is_refused(summary):
    with pytest.raises(BadStudy, match="there are answers, protocol"):
        render("{{no-such}}", summary)
    with pytest.raises(BadStudy, match="lacks a word"):
        render("{{gain stations-10}}", summary)


def test_a_report_of_ones_own_runs_speaks_of_them_alone(made, tmp_path):
    """The published study's conclusions, splits that were not run and figures of others have no place in it."""
    page = tmp_path / "report.md"
    write_report(made[0], page)
    text = page.read_text()
    for word in (
        "GeoCLIP changed little",
        "published",
        "Karimzadeh",
        "default model",
        "conus-open",
        "2018-2021",
    ):
        assert word not in text, word
    assert "{{" not in text
    splits = set(unpacked(page.with_suffix(".json").read_text())["splits"])
    assert "stations-10" in splits and "leave-year-out" not in splits
    prose = text.partition("What was not run:")[0] + text.partition("## Within and between stations")[2]
    for split in ("checkerboard-16-10", "leave-year-out", "blisco-10", "knndm-10"):
        assert (split in splits) or split not in prose
    for link in re.findall(r"\]\(([^)]+png)\)", text):
        assert (tmp_path / link).is_file()


def test_the_hint_of_a_page_of_another_protocol_leads_to_a_report(made, tmp_path):
    from pm25map.laboratory.study.results import PROTOCOL as KEPT

    results = tmp_path / "results"
    shutil.copytree(made[0], results)
    (results / KEPT).write_text(json.dumps({"protocol": "another"}))
    with pytest.raises(BadStudy, match=r"of another protocol .* --page report\.md"):
        write_report(results, made[1])
    assert write_report(results, tmp_path / "report.md")[0].is_file()
