"""Stripes of a scanner, flat patches and holes: faults that show in the values of single cells."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pm25map.diagnostics.finding import Field, Finding, Mask
from pm25map.diagnostics.scatter import local_variance

STANDS_OUT = 4.8
"""Mean of a stripe in units of its scatter. On the 16 maps of September 2020, all without a fault, the highest
of some 160,000 places a map has 4.46 to 4.52."""

MINIMUM_UGM3 = 0.2
"""A stripe lower than this is not visible on a map."""

RUN = 41
"""Cells along a row or column over which a stripe is averaged; a stripe a third as long is still detected."""

SHORTEST = 5
"""Cells below which a line is no stripe."""

_FINE = 9
"""Cells over which the ends of a stripe are located."""

EQUAL = 5e-7
"""Relative difference below which two float32 estimates are the same number (4 units in the last place)."""

SMALLEST_PATCH = 9
"""Cells of the smallest flat patch: three by three."""


def find_stripes(
    value: Field, level: Field, land: Mask, *, caution: float = 1.0, shortest: int = SHORTEST
) -> list[Finding]:
    """Find single rows or columns that stand above or below both of their neighbours for a long way.

    Args:
        value: (y, x) natural logarithm of what is judged; NaN where unknown.
        level: (y, x) ug m-3, by which a difference is multiplied to get a concentration.
        land: bool (y, x).
        caution: factor on STANDS_OUT, for fields that hold lines of their own, such as valleys.
        shortest: cells of the shortest stripe.
    """
    findings = []
    everywhere = land & np.isfinite(value)
    for turned, name in ((False, "row"), (True, "column")):
        v, lev = (value.T, level.T) if turned else (value, level)
        known = everywhere.T if turned else everywhere
        apart, there = _against_neighbours(v, known)
        variance = local_variance(apart, there)
        score, mean = _run_score(apart, there, variance, RUN)
        fine = _run_score(apart, there, variance, _FINE)[1]
        labels, count = ndimage.label(
            np.abs(score) >= caution * STANDS_OUT, structure=[[0, 0, 0], [1, 1, 1], [0, 0, 0]]
        )
        # The mean along a run spills a stripe over half a run; a bright row makes its neighbours look dark.
        order = sorted(range(1, count + 1), key=lambda n: -float(np.abs(score[labels == n]).max()))
        taken = np.zeros_like(known)
        for number in order:
            row, cols = np.nonzero(labels == number)
            if taken[row[0], cols].mean() > 0.5:
                continue
            span = slice(max(0, cols.min() - RUN // 2), cols.max() + RUN // 2 + 1)
            height = float(np.median(mean[row, cols]))
            if not _stands_alone(v, known, int(row[0]), cols, height):
                continue
            size = abs(height) * float(np.nanmedian(lev[row, cols]))
            # A stripe may be so many ug m-3 high all along, or so many percent.
            here = fine[row[0], span] * np.sign(height)
            inside = (here >= abs(height) / 2) | (here * np.nan_to_num(lev[row[0], span]) >= size / 2)
            mask = np.zeros_like(known)
            mask[row[0], span] = _longest(there[row[0], span] & inside) & known[row[0], span]
            taken[max(0, row[0] - 1) : row[0] + 2, span] = True
            if size >= MINIMUM_UGM3 and mask.sum() >= shortest:
                strength = float(np.abs(score[row, cols]).max()) / STANDS_OUT
                words = f"one {name} stands out by {size:.1f} ug/m3 over {int(mask.sum())} cells"
                findings.append(Finding("stripe", mask.T if turned else mask, size, strength, words))
    return findings


def find_flat_patches(pm25: Field, land: Mask) -> list[Finding]:
    """Find patches in which every estimate is the same number: a stuck, clipped or filled value.

    Args:
        pm25: (y, x), ug m-3, NaN where there is none.
        land: bool (y, x).
    """
    known = land & np.isfinite(pm25)
    same = np.zeros(land.shape, dtype=np.bool_)
    for axis in (0, 1):
        head, tail = [slice(None)] * 2, [slice(None)] * 2
        head[axis], tail[axis] = slice(None, -1), slice(1, None)
        one, other = pm25[tuple(head)], pm25[tuple(tail)]
        with np.errstate(invalid="ignore"):
            equal = np.abs(one - other) <= EQUAL * np.abs(one)
        same[tuple(head)] |= equal
        same[tuple(tail)] |= equal
    labels, count = ndimage.label(same & known)
    findings = []
    for number, where in enumerate(ndimage.find_objects(labels, count), start=1):
        inside = labels[where] == number
        cells = int(inside.sum())
        if cells < SMALLEST_PATCH:
            continue
        mask = np.zeros_like(known)
        mask[where] = inside
        value = float(np.median(pm25[mask]))
        words = f"{cells} cells together have the same estimate, {value:.1f} ug/m3"
        findings.append(Finding("flat patch", mask, value, cells / SMALLEST_PATCH, words))
    return findings


def find_holes(pm25: Field, requested: Mask) -> list[Finding]:
    """Find land cells that were requested and have no estimate.

    Args:
        pm25: (y, x), ug m-3, NaN where there is none.
        requested: bool (y, x), the cells that were to be estimated.
    """
    labels, count = ndimage.label(requested & ~np.isfinite(pm25), structure=np.ones((3, 3)))
    findings = []
    for number in range(1, count + 1):
        mask = labels == number
        cells = int(mask.sum())
        words = f"{cells} land cell{'s' if cells > 1 else ''} without an estimate"
        findings.append(Finding("hole", mask, float("nan"), float(cells), words))
    return findings


def _against_neighbours(value: Field, known: Mask) -> tuple[Field, Mask]:
    """Return each cell less the mean of those above and below it, where all three are known."""
    apart = np.zeros(value.shape, dtype=np.float32)
    there = np.zeros(value.shape, dtype=np.bool_)
    there[1:-1] = known[1:-1] & known[:-2] & known[2:]
    filled = np.where(known, value, 0)
    apart[1:-1] = filled[1:-1] - (filled[:-2] + filled[2:]) / 2
    return np.where(there, apart, 0).astype(np.float32), there


def _run_score(apart: Field, there: Mask, variance: Field, run: int) -> tuple[Field, Field]:
    """Average along the rows over some cells: in units of its scatter, and as it is. Zero where little is known.

    Cells count by how smooth the field is around them, which finds a stripe of one height best.
    """
    count = run * ndimage.uniform_filter1d(there.astype(np.float32), run, axis=1, mode="constant")
    enough = count >= max(3, run / 3)
    plain = run * ndimage.uniform_filter1d(apart, run, axis=1, mode="constant")
    mean = np.where(enough, plain / np.maximum(count, 1), 0)
    weight = (there / variance).astype(np.float64)
    total = run * ndimage.uniform_filter1d(weight * apart, run, axis=1, mode="constant")
    # The scatter of a sum that is weighted by the inverse variance is the root of its weights.
    scatter = np.sqrt(run * ndimage.uniform_filter1d(weight, run, axis=1, mode="constant"))
    score = np.where(enough, total / np.maximum(scatter, 1e-6), 0)
    return score.astype(np.float32), mean.astype(np.float32)


def _stands_alone(value: Field, known: Mask, row: int, cols: npt.NDArray[np.int64], height: float) -> bool:
    """Return whether a line is a stripe, which differs from both sides, and not a front, which differs from one."""
    both = known[row, cols] & known[row - 1, cols] & known[row + 1, cols]
    if not both.any():
        return False
    apart = [np.median((value[row] - value[row + side])[cols[both]]) for side in (-1, 1)]
    return bool(min(part * np.sign(height) for part in apart) >= abs(height) / 2)


def _longest(inside: Mask) -> Mask:
    """Keep the longest run of True (cell,), bridging single gaps."""
    labels, count = ndimage.label(ndimage.binary_closing(inside, iterations=1) | inside)
    if not count:
        return inside
    longest: Mask = labels == np.bincount(labels)[1:].argmax() + 1
    return longest
