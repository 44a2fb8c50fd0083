"""Single figures of a study's page: a score, a gain, a verdict; words where a run was not done."""

from pm25map.laboratory.study.published import GAINS
from pm25map.laboratory.study.summary import BASELINES, Summary
from pm25map.scores.strata import ALL

NOT_RUN = "not run"


def row_of(summary: Summary, split: str, variant: str, kind: str = ALL, stratum: str = ALL) -> Summary | None:
    """Find the scores of a split, variant and stratum; None where there are none."""
    wanted = (split, variant, kind, stratum)
    rows = (
        row
        for row in summary["scores"]
        if (row["split"], row["variant"], row["kind"], row["stratum"]) == wanted
    )
    return next(rows, None)


def pair_of(
    summary: Summary, split: str, variant: str, other: str, kind: str = ALL, stratum: str = ALL
) -> Summary | None:
    """Find the comparison of two variants; None where there is none."""
    wanted = (split, variant, other, kind, stratum)
    keys = ("split", "variant", "other", "kind", "stratum")
    return next((row for row in summary["paired"] if tuple(row[key] for key in keys) == wanted), None)


def folds_of(summary: Summary, split: str, variant: str = "") -> set[int]:
    """Return the folds of a split that a variant ran; those of all variants, where none is named."""
    rows = (row for row in summary["folds"] if row["split"] == split and variant in ("", row["variant"]))
    return {fold for row in rows for fold in row["folds"]}


def same_folds(summary: Summary, split: str, variant: str, other: str) -> bool:
    """Return whether two variants ran the same folds of a split, so that their scores are of the same targets."""
    return folds_of(summary, split, variant) == folds_of(summary, split, other)


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Write a number; a dash where nothing can be said."""
    if value is None:
        return "-"
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text if float(text) else text.lstrip("+-")


def with_interval(triple: list[float | None], digits: int = 2, *, signed: bool = False) -> str:
    """Write a value and its interval: 5.12 (4.90 to 5.33)."""
    value, low, high = triple
    if low is None or high is None:
        return number(value, digits, signed=signed)
    ends = " to ".join(number(end, digits, signed=signed) for end in (low, high))
    return f"{number(value, digits, signed=signed)} ({ends})"


def score(summary: Summary, split: str, variant: str, name: str, kind: str = ALL, stratum: str = ALL) -> str:
    """Write one score with its interval."""
    row = row_of(summary, split, variant, kind, stratum)
    return NOT_RUN if row is None else with_interval(row[name], _digits(name))


def gain(summary: Summary, split: str, variant: str, other: str, kind: str = ALL, stratum: str = ALL) -> str:
    """Write by how many per cent the RMSE of a variant lies below another's, with its interval."""
    row = pair_of(summary, split, variant, _named(summary, split, other), kind, stratum)
    return NOT_RUN if row is None else f"{with_interval(row['gain_percent'], 1, signed=True)} %"


def verdict(
    summary: Summary, split: str, variant: str, other: str, kind: str = ALL, stratum: str = ALL
) -> str:
    """Return the verdict by the interval of the gain: better than, worse than, or not distinguishable."""
    row = pair_of(summary, split, variant, _named(summary, split, other), kind, stratum)
    if row is None:
        return "not compared"
    _, low, high = row["gain_percent"]
    if low is None or high is None or low <= 0 <= high:
        return "not distinguishable"
    return "better than" if low > 0 else "worse than"


def best(summary: Summary, split: str, kind: str = "variant") -> str:
    """Return the variant, network or baseline of the lowest RMSE on a split, of those that ran all its folds."""
    whole = folds_of(summary, split)
    rows = [row for row in summary["scores"] if row["split"] == split and row["kind"] == ALL]
    rows = [row for row in rows if folds_of(summary, split, row["variant"]) == whole]
    if kind != "variant":
        rows = [row for row in rows if (row["variant"] in BASELINES) == (kind == "baseline")]
    return min(rows, key=lambda row: row["rmse"][0])["variant"] if rows else NOT_RUN


def ratio(summary: Summary, split: str, variant: str, other: str, name: str) -> str:
    """Write the ratio of two variants' errors over the same folds."""
    names = [_named(summary, split, one) for one in (variant, other)]
    mine, theirs = (row_of(summary, split, one) for one in names)
    if mine is None or theirs is None or not same_folds(summary, split, *names):
        return NOT_RUN
    return f"{mine[name][0] / theirs[name][0]:.3f}"


def bar(summary: Summary, split: str, variant: str, other: str, name: str, most: str) -> str:
    """Return "met" where the ratio of two variants' errors is at most the bar, else "missed"."""
    value = ratio(summary, split, variant, other, name)
    if value == NOT_RUN:
        return NOT_RUN
    return "met" if float(value) <= float(most) else "missed"


def survives(summary: Summary, split: str) -> str:
    """Return our gain in R2 in per cent of the published one."""
    published = {ours: theirs[1] - theirs[0] for _, ours, *theirs in GAINS}[split]
    plain, encoded = row_of(summary, split, "none"), row_of(summary, split, "geoclip-hadamard")
    if plain is None or encoded is None or not same_folds(summary, split, "none", "geoclip-hadamard"):
        return NOT_RUN
    return f"{100 * (encoded['r2'][0] - plain['r2'][0]) / published:.0f} %"


def count(summary: Summary, what: str) -> str:
    """Write a count of the record: runs, stations, hours."""
    return str(summary["record"][what])


def _named(summary: Summary, split: str, name: str) -> str:
    """Return a variant's name, or the one that "best-baseline" or "best-network" stands for on a split."""
    return best(summary, split, name.removeprefix("best-")) if name.startswith("best-") else name


def _digits(name: str) -> int:
    return 3 if name.startswith("r2") else 2
