"""The template of a report on runs of one's own: headings, definitions and tables, without a conclusion."""

from collections.abc import Iterable
from pathlib import Path

from pm25map.laboratory.study.summary import PLAIN, Summary
from pm25map.laboratory.study.tables import GROUPS

_HEADINGS = {"near": "Near monitors", "far": "Far from monitors", "time": "Other years"}

_CAPTIONS = {
    "scores": "RMSE of every variant on every split",
    "distance": "Gain by distance to the nearest training station",
    "errors": "Errors at stations",
    "reliability": "Mean observation by bins of the estimate",
    "importance": "Permutation importance",
    "attention": "Attention over the window",
    "splits": "Which fold judges which station",
}


def report_template(summary: Summary, pictures: Iterable[Path], page: Path) -> str:
    """Return the template of a report on the runs of a folder; `render` fills it.

    Args:
        summary: the summary of the runs.
        pictures: that stand beside the page.
        page: to write; links are relative to it.
    """
    name = (summary["protocol"] or {}).get("name", page.stem)
    splits = [split for split in summary["splits"] if any(row["split"] == split for row in summary["scores"])]
    parts = [
        f"# Report of the study {name}",
        "Every figure here is of the runs of this study, and of no other. Splits differ in their stations and days: "
        "columns are not to be compared with each other.",
        "## Scores by split and variant",
        "RMSE in ug/m3 over the targets of all folds that were run, with 95 % intervals over stations; the best of a "
        "split is bold. Then the mean absolute error, ug/m3, and R2 against the mean of the test targets themselves.",
    ]
    for group, members in GROUPS.items():
        if set(members) & set(splits):
            tables = [f"{{{{scores {group} {score}}}}}" for score in ("rmse", "mae", "r2")]
            parts += [f"### {_HEADINGS[group]}", *tables]
    parts += ["What was not run:", "{{not-run}}", "## Within and between stations"]
    parts += [
        "RMSE squared is the sum of two parts: how wrong the stations' means are (between), and how wrong the days are "
        "once a station's mean error is taken away (within).",
        f"{{{{parts {' '.join(splits)}}}}}",
        "## By concentration, season, region, setting and distance",
        "RMSE with the mean bias in brackets, ug/m3.",
    ]
    for split in splits:
        parts += [f"### {split}", f"{{{{strata {split} {' '.join(summary['variants'])}}}}}"]
    if PLAIN in summary["variants"]:
        parts += ["## Paired tests", f"Against `{PLAIN}`, on the same targets.", f"{{{{pairs {PLAIN}}}}}"]
    parts += ["## Predictors", "{{importance}}", "## Attention over the window", "{{attention}}"]
    if summary.get("audit") is not None:
        parts += ["## The audit", "{{audit}}"]
    parts += ["## Pictures"]
    parts += [
        f"![{_CAPTIONS.get(picture.stem, picture.stem)}]({picture.parent.name}/{picture.name})"
        for picture in pictures
    ]
    parts += ["## Protocol and record", "{{protocol}}", "{{record}}"]
    return "\n\n".join(parts) + "\n"
