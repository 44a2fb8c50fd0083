"""Single figures of a study's page: a score, a gain, a verdict; words where a run was not made."""

from pm25map.laboratory.study.published import GAINS
from pm25map.laboratory.study.summary import BASELINES, Summary
from pm25map.scores.strata import ALL

NOT_RUN = "not run"


def row_of(held: Summary, split: str, variant: str, kind: str = ALL, stratum: str = ALL) -> Summary | None:
    """Find the scores of a split, variant and stratum; None where there are none."""
    wanted = (split, variant, kind, stratum)
    found = (
        row for row in held["scores"] if (row["split"], row["variant"], row["kind"], row["stratum"]) == wanted
    )
    return next(found, None)


def pair_of(
    held: Summary, split: str, variant: str, other: str, kind: str = ALL, stratum: str = ALL
) -> Summary | None:
    """Find the comparison of two variants; None where there is none."""
    wanted = (split, variant, other, kind, stratum)
    keys = ("split", "variant", "other", "kind", "stratum")
    return next((row for row in held["paired"] if tuple(row[key] for key in keys) == wanted), None)


def folds_of(held: Summary, split: str, variant: str = "") -> set[int]:
    """Give the folds of a split that a variant ran; that anything ran, where none is named."""
    rows = (row for row in held["folds"] if row["split"] == split and variant in ("", row["variant"]))
    return {fold for row in rows for fold in row["folds"]}


def same_folds(held: Summary, split: str, variant: str, other: str) -> bool:
    """Tell whether two variants ran the same folds of a split, so that their scores are of the same targets."""
    return folds_of(held, split, variant) == folds_of(held, split, other)


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


def score(held: Summary, split: str, variant: str, name: str, kind: str = ALL, stratum: str = ALL) -> str:
    """Write one score with its interval."""
    row = row_of(held, split, variant, kind, stratum)
    return NOT_RUN if row is None else with_interval(row[name], _digits(name))


def gain(held: Summary, split: str, variant: str, other: str, kind: str = ALL, stratum: str = ALL) -> str:
    """Write by how many per cent the RMSE of a variant lies below another's, with its interval."""
    row = pair_of(held, split, variant, _named(held, split, other), kind, stratum)
    return NOT_RUN if row is None else f"{with_interval(row['gain_percent'], 1, signed=True)} %"


def verdict(held: Summary, split: str, variant: str, other: str, kind: str = ALL, stratum: str = ALL) -> str:
    """Say what the interval of the gain says: better than, worse than, or not distinguishable."""
    row = pair_of(held, split, variant, _named(held, split, other), kind, stratum)
    if row is None:
        return "not compared"
    _, low, high = row["gain_percent"]
    if low is None or high is None or low <= 0 <= high:
        return "not distinguishable"
    return "better than" if low > 0 else "worse than"


def best(held: Summary, split: str, kind: str = "variant") -> str:
    """Name the variant, network or baseline of the lowest RMSE on a split, of those that ran all its folds."""
    whole = folds_of(held, split)
    rows = [row for row in held["scores"] if row["split"] == split and row["kind"] == ALL]
    rows = [row for row in rows if folds_of(held, split, row["variant"]) == whole]
    if kind != "variant":
        rows = [row for row in rows if (row["variant"] in BASELINES) == (kind == "baseline")]
    return min(rows, key=lambda row: row["rmse"][0])["variant"] if rows else NOT_RUN


def ratio(held: Summary, split: str, variant: str, other: str, name: str) -> str:
    """Write the ratio of two variants' errors over the same folds."""
    names = [_named(held, split, one) for one in (variant, other)]
    mine, theirs = (row_of(held, split, one) for one in names)
    if mine is None or theirs is None or not same_folds(held, split, *names):
        return NOT_RUN
    return f"{mine[name][0] / theirs[name][0]:.3f}"


def bar(held: Summary, split: str, variant: str, other: str, name: str, most: str) -> str:
    """Say whether the ratio of two variants' errors is at most the bar."""
    found = ratio(held, split, variant, other, name)
    if found == NOT_RUN:
        return NOT_RUN
    return "met" if float(found) <= float(most) else "missed"


def survives(held: Summary, split: str) -> str:
    """Say how much of the published gain in R2 is there in ours: per cent."""
    published = {ours: theirs[1] - theirs[0] for _, ours, *theirs in GAINS}[split]
    plain, encoded = row_of(held, split, "none"), row_of(held, split, "geoclip-hadamard")
    if plain is None or encoded is None or not same_folds(held, split, "none", "geoclip-hadamard"):
        return NOT_RUN
    return f"{100 * (encoded['r2'][0] - plain['r2'][0]) / published:.0f} %"


def count(held: Summary, what: str) -> str:
    """Write a count of the record: runs, stations, hours."""
    return str(held["record"][what])


def _named(held: Summary, split: str, name: str) -> str:
    """Take a variant's name, or find the one that "best-baseline" or "best-network" stands for on a split."""
    return best(held, split, name.removeprefix("best-")) if name.startswith("best-") else name


def _digits(name: str) -> int:
    return 3 if name.startswith("r2") else 2
