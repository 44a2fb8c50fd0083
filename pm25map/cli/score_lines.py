"""Scores as `validate`, `evaluate` and `compare` print them: every estimate beside interpolation and kriging."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pm25map.scores.table import Errors, Interval, StratumErrors

_KINDS = {
    "distance": "by distance to the nearest monitor that feeds the estimate",
    "level": "by level, the class of the observation (no R2: it would compare with the mean of the class)",
    "season": "by season",
    "region": "by region (NOAA's climate regions)",
    "above": "above and up to a value",
    "applicability": "by applicability",
    "training": "by what training saw",
}


def score_lines(
    rows: "Sequence[StratumErrors]",
    notes: Sequence[str] = (),
    differences: "tuple[str, Sequence[Errors]] | None" = None,
) -> list[str]:
    """Lay scores out as a table, a line an estimate, under the name of each stratum.

    Args:
        rows: the strata, those of a kind side by side.
        notes: what is said beside the name of each stratum.
        differences: what the first estimate less the second is called, and its scores in each stratum.
    """
    head = f"{'ug/m3; (95 % over stations)':<28}" + "".join(
        f"{name:>28}" for name in ("RMSE", "MAE", "bias", "R2")
    )
    lines, kind = [head], ""
    for number, row in enumerate(rows):
        if row.kind != kind:
            kind = row.kind
            lines += [f"-- {_KINDS[kind]}"] if kind in _KINDS else []
        more = f"; {notes[number]}" if notes and notes[number] else ""
        lines.append(f"{row.stratum}: {row.n:,} match-ups of {row.stations:,} stations{more}")
        errors = row.errors | ({} if differences is None else {differences[0]: differences[1][number]})
        lines += [f"  {name:<26}{_cells(found)}".rstrip() for name, found in errors.items()]
    if any(found is None for row in rows for found in row.errors.values()):
        lines.append(
            "absent: not known of all these match-ups. Interpolation and kriging of the monitors need the elevation of "
            "the stations (a static layer of the store), and monitors that measured"
        )
    return lines


def _cells(found: "Errors | None") -> str:
    if found is None:
        return f"{'absent':>28}"
    return "".join(
        f"{_with_interval(value, digits, signed=signed):>28}"
        for value, digits, signed in (
            (found.rmse, 2, False),
            (found.mae, 2, False),
            (found.mbe, 2, True),
            (found.r2, 3, False),
        )
    )


def _with_interval(found: "Interval | None", digits: int, *, signed: bool) -> str:
    """Write a value with its interval; blank where there is none."""
    if found is None or found.value is None:
        return ""
    form = f"{'+' if signed else ''}.{digits}f"
    between = (
        "" if found.low is None or found.high is None else f" ({found.low:{form}} to {found.high:{form}})"
    )
    return f"{found.value:{form}}{between}"
