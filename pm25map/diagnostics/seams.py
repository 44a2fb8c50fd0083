"""Seams: jumps along known borders, of the blocks of a prediction or of the tiles of a source.

A border is known, and real patterns do not care for it: the jump across it is compared with the jumps across
the lines beside it, where there is no border.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pm25map.diagnostics.finding import Field, Finding, Mask
from pm25map.diagnostics.scatter import local_variance

STANDS_OUT = 4.4
"""Jump in units of its own scatter. On the 16 maps of September 2020, all without a fault, the highest of 688
borders of blocks has 3.3."""

TILE_STANDS_OUT = 4.2
"""The same for all borders of a tile together, all of them jumping outward or all inward."""

MINIMUM_UGM3 = 0.2
"""A jump below which no reader of a map would see a seam."""

SIDE = 3
"""Cells on each side of a border whose means are compared: one cell would be lost in texture."""

SHARP = 0.65
"""Share of a jump that must be gone four cells from the border: a slope keeps all of it, a seam nothing."""

SHORTEST = 12
"""Cells along a border below which it is not judged."""

_PARALLELS = tuple(k for k in range(-14, 15) if abs(k) > SIDE)
"""Lines beside a border, in cells away, that show what jumps are usual there."""


def tiles_of_blocks(shape: tuple[int, int], size: int) -> npt.NDArray[np.int32]:
    """Return the number of each cell's block: int32 (y, x)."""
    row, col = np.indices(shape)
    return ((row // size) * (-(-shape[1] // size)) + col // size).astype(np.int32)


def tiles_of_modis(lon: npt.NDArray[np.floating], lat: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    """Return the number of each place's MODIS sinusoidal tile (10 degrees, MODIS Land); off the globe -1."""
    good = np.isfinite(lon) & np.isfinite(lat)
    north, east = np.where(good, lat, 0.0), np.where(good, lon, 0.0)
    across = np.floor((east * np.cos(np.deg2rad(north)) + 180) / 10)
    return np.where(good, np.floor((90 - north) / 10) * 36 + across, -1).astype(np.int32)


def find_seams(
    value: Field,
    level: Field,
    land: Mask,
    tiles: npt.NDArray[np.int32],
    what: str,
    *,
    caution: float = 1.0,
) -> list[Finding]:
    """Find borders between tiles across which a field jumps.

    Args:
        value: (y, x) natural logarithm of what is judged, such as the ratio of the estimate to what its
            predictors justify; NaN where unknown.
        level: (y, x) ug m-3, by which a jump is multiplied to get a concentration.
        land: bool (y, x).
        tiles: int (y, x), the tile of each cell.
        what: whose tiles they are, for the words.
        caution: factor on the thresholds, for fields that have jumps of their own, such as the foot of a mountain.

    Returns:
        One finding a tile all around which the field jumps, and one for every other border that does.
    """
    known = land & np.isfinite(value)
    borders = _borders(value, level, known, tiles)
    if not borders:
        return []
    scatter = np.array([b.scatter * np.sqrt(b.length) for b in borders])
    # A border's own scatter comes from few lines: it is steadied by that of all borders.
    usual = float(np.median(scatter))
    score = np.array([b.jump / np.sqrt((b.scatter**2 + usual**2 / b.length) / 2 + 1e-12) for b in borders])
    findings = []
    reported = np.zeros(len(borders), dtype=np.bool_)
    for mine, strength in _tiles_around(borders, score / caution):
        if reported[mine].any():
            continue
        size = float(np.average(np.abs([borders[i].size_ugm3 for i in mine]), weights=np.abs(score[mine])))
        if size >= MINIMUM_UGM3:
            reported[mine] = True
            words = (
                f"around a tile of {what} the map jumps by {size:.1f} ug/m3, at {len(mine)} of its borders"
            )
            mask = np.any([borders[i].mask for i in mine], axis=0)
            findings.append(Finding("seam", mask, size, strength / STANDS_OUT, words))
    for i, border in enumerate(borders):
        size, strength = abs(border.size_ugm3), float(abs(score[i])) / STANDS_OUT / caution
        if not reported[i] and strength >= 1 and size >= MINIMUM_UGM3:
            words = f"the map jumps by {size:.1f} ug/m3 along a border of {what}"
            findings.append(Finding("seam", border.mask, size, strength, words))
    return findings


def _tiles_around(borders: "list[_Border]", score: npt.NDArray[np.floating]) -> list[tuple[list[int], float]]:
    """List tiles that jump all around: the borders that agree, and their joint score, highest first."""
    tiles = []
    for tile in {b.first for b in borders} | {b.second for b in borders}:
        mine = np.array([i for i, b in enumerate(borders) if tile in (b.first, b.second)])
        outward = score[mine] * [1 if borders[i].first == tile else -1 for i in mine]
        weight = np.sqrt([borders[i].length for i in mine])
        sign = np.sign((outward * weight).sum())
        agree = outward * sign >= 1
        if agree.sum() < 2:
            continue
        joint = float((outward * weight).sum() * sign / np.sqrt((weight**2).sum()))
        # Without its strongest border a tile must still stand out: its neighbour may be the one at fault.
        rest = np.arange(len(mine)) != np.argmax(outward * sign * weight)
        others = float((outward * weight)[rest].sum() * sign / np.sqrt((weight[rest] ** 2).sum()))
        if joint >= TILE_STANDS_OUT and others >= TILE_STANDS_OUT / 2:
            tiles.append(([int(i) for i in mine[agree]], joint))
    return sorted(tiles, key=lambda tile: -tile[1])


@dataclass(frozen=True, eq=False)
class _Border:
    first: int
    second: int
    length: int
    jump: float
    scatter: float
    size_ugm3: float
    mask: Mask


def _borders(value: Field, level: Field, known: Mask, tiles: npt.NDArray[np.int32]) -> list[_Border]:
    """Measure all borders: those that run along rows, then those that run along columns."""
    borders = []
    for turned in (False, True):
        clear = np.where(known, value, np.nan)
        t, lev = (tiles.T, level.T) if turned else (tiles, level)
        jumps = _jumps(clear.T if turned else clear)
        smooth = np.reciprocal(local_variance(jumps, np.isfinite(jumps)))
        line, at = np.nonzero((t[:-1] != t[1:]) & np.isfinite(jumps))
        pairs = np.stack([t[line, at], t[line + 1, at]], axis=1)
        for pair in np.unique(pairs, axis=0) if len(pairs) else ():
            mine = (pairs == pair).all(axis=1)
            if mine.sum() >= SHORTEST:
                borders.append(_measured(jumps, smooth, line[mine], at[mine], pair, lev, turned))
    return borders


def _measured(
    jumps: Field,
    smooth: Field,
    line: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    pair: npt.NDArray[np.int32],
    level: Field,
    turned: bool,
) -> _Border:
    # A cell counts by how smooth the field is around it: the rough part of a border must not hide the rest.
    weight = smooth[line, at]
    here, cells = _mean_jump(jumps, line, at, weight)
    beside = []
    for k in _PARALLELS:
        mean, count = _mean_jump(jumps, line + k, at, weight)
        if count >= max(SHORTEST / 2, cells / 3):
            # A shorter line scatters more: bring it to the length of the border.
            beside.append(mean * np.sqrt(count / cells))
    centre = float(np.median(beside)) if len(beside) >= 6 else 0.0
    own = float(np.std(jumps[line, at] * np.sqrt(weight / weight.mean()))) / np.sqrt(len(line))
    scatter = 1.4826 * float(np.median(np.abs(np.array(beside) - centre))) if len(beside) >= 6 else 2 * own
    mask = np.zeros(level.shape, dtype=np.bool_)
    mask[line, at] = mask[line + 1, at] = True
    # A slope jumps across the lines beside the border as well, a seam across the border alone.
    sides = [_mean_jump(jumps, line + k, at, weight)[0] for k in (-SIDE - 1, SIDE + 1)]
    sharp = here - float(np.mean([side for side in sides if np.isfinite(side)] or [0.0]))
    jump = here - centre
    if sharp * jump < SHARP * jump**2:
        jump = 0.0
    size = jump * float(np.nanmedian(level[mask]))
    whole = mask.T if turned else mask
    return _Border(int(pair[0]), int(pair[1]), len(line), jump, max(scatter, own / 2), size, whole)


def _mean_jump(
    jumps: Field, line: npt.NDArray[np.int64], at: npt.NDArray[np.int64], weight: Field
) -> tuple[float, float]:
    """Average the jumps across a line, and count the cells used; NaN and 0 off the grid and the land."""
    inside = (line >= 0) & (line < len(jumps))
    across, share = jumps[line[inside], at[inside]], weight[inside]
    known = np.isfinite(across)
    if not known.any():
        return float("nan"), 0.0
    share = share[known]
    count = float(share.sum() ** 2 / np.square(share).sum())
    return float(np.average(across[known], weights=share)), count


def _jumps(value: Field) -> Field:
    """Return the mean of SIDE cells behind each line less that of SIDE before it: (row - 1, column)."""
    rows = len(value)
    padded = np.pad(value, ((SIDE - 1, SIDE - 1), (0, 0)), constant_values=np.nan)
    lines = [padded[i : i + rows - 1] for i in range(2 * SIDE)]
    return np.asarray(np.mean(lines[SIDE:], axis=0) - np.mean(lines[:SIDE], axis=0), dtype=np.float32)
