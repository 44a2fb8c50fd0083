"""Plants artifacts in real predictions and asks the diagnostics for them: python tests/plantings.py [DAYS ...]

Five kinds a map, far from each other, at random places of random days; a planting is found when findings of its
own kind cover it with an intersection over union of one half. The same maps untouched give the false alarms.
"""

import datetime as dt
import sys
from dataclasses import replace

import click
import numpy as np

from pm25map.diagnostics.diagnose import INTERPOLATION, comparison_bands, find_faults
from pm25map.diagnostics.ripples import find_ripples
from pm25map.diagnostics.seams import tiles_of_blocks
from pm25map.raster.bands import NEUTRAL
from pm25map.raster.inputs import open_inputs
from pm25map.raster.predict import DayMap, predict_day

KINDS = ("ripple", "seam", "stripe", "flat patch", "hole")
WAVES_KM = (30, 60, 120)
SEAM_UGM3, STRIPE_UGM3, RIPPLE_UGM3 = 0.5, 1.0, 1.0
RIPPLE_KM, STRIPE_CELLS, PATCH_CELLS, HOLE_CELLS = 300, 60, 12, 5


def predictions(days):
    """The maps of some days of the shipped sample with what diagnostics need, and their grid."""
    inputs = open_inputs("conus-open")
    wanted = replace(inputs, bands=comparison_bands(inputs))
    return {day: predict_day(wanted, day) for day in days}, inputs.grid


def plant(kind, rng, pm25, grid, taken):
    """Plant one artifact on land that is not taken: the map with it, its cells, and how wide it is (km)."""
    land, (rows, cols) = grid.land, grid.shape
    y, x = np.indices(grid.shape)
    for _ in range(1000):
        wave = float(rng.choice(WAVES_KM))
        out, sign = pm25.copy(), rng.choice((-1, 1))
        row, col = int(rng.integers(1, rows - 1)), int(rng.integers(1, cols - 1))
        if kind == "ripple":
            cells = np.hypot(y - row, x - col) * 10 <= RIPPLE_KM / 2
            turn, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
            swing = np.cos(2 * np.pi * 10 / wave * (np.cos(turn) * y + np.sin(turn) * x) + phase)
            out = np.where(cells, out + RIPPLE_UGM3 * swing, out)
            enough = 0.8
        elif kind == "seam":
            tiles = tiles_of_blocks(grid.shape, grid.block_size)
            inside = tiles == tiles[row, col]
            out = np.where(inside, out + sign * SEAM_UGM3, out)
            cells = rim(inside)
            enough = 0.45
        elif kind == "stripe":
            along = rng.random() < 0.5
            cells = (
                (y == row) & (abs(x - col) <= STRIPE_CELLS // 2)
                if along
                else (x == col) & (abs(y - row) <= STRIPE_CELLS // 2)
            )
            out = np.where(cells, out + sign * STRIPE_UGM3, out)
            enough = 0.9
        else:
            half = (PATCH_CELLS if kind == "flat patch" else HOLE_CELLS) // 2
            cells = (abs(y - row) <= half) & (abs(x - col) <= half)
            fill = np.nanmedian(out[cells & land]) if land[cells].all() else np.nan
            out = np.where(cells, np.nan if kind == "hole" else fill, out)
            enough = 1.0
        if land[cells].mean() >= enough and not (cells & taken).any():
            out = np.where(land, np.maximum(out, 0.05), np.nan).astype(np.float32)
            return out, cells & land, wave
    raise AssertionError(f"no room for a {kind}")


def rim(inside):
    """Cells on both sides of the edge of a rectangle that lies within the grid."""
    edge = np.zeros_like(inside)
    for axis in (0, 1):
        differ = np.diff(inside.astype(np.int8), axis=axis) != 0
        one = [slice(None)] * 2
        other = [slice(None)] * 2
        one[axis], other[axis] = slice(None, -1), slice(1, None)
        edge[tuple(one)] |= differ
        edge[tuple(other)] |= differ
    return edge


def find_all(made, grid):
    """All findings of faults and ripples in a map."""
    ratio = np.log1p(made.pm25) - np.log1p(made.more[NEUTRAL])
    ripples = find_ripples(ratio, made.pm25 + 1, grid.land, grid.step[0] / 1000)
    return find_faults(made, grid, grid.land, grid.block_size) + ripples


def overlap(kind, found, cells):
    """Intersection over union of a planting with all findings of its kind that touch it."""
    masks = [f.mask for f in found if f.kind == kind and (f.mask & cells).any()]
    union = np.any(masks, axis=0) if masks else np.zeros_like(cells)
    return float((union & cells).sum() / (union | cells).sum())


def sow(maps, grid, count, seed=0, both=False):
    """Plant `count` artifacts, one of each kind a map: rows of kind, wave, level and overlap.

    With `both` the artifact is in what predictors justify as well, as a fault of the inputs would be.
    """
    rng, rows, days = np.random.default_rng(seed), [], list(maps)
    while len(rows) < count:
        made = maps[days[rng.integers(len(days))]]
        pm25, taken, planted = made.pm25, np.zeros(grid.shape, dtype=bool), []
        for kind in KINDS:
            if both and kind in ("ripple", "flat patch"):
                continue
            after, cells, wave = plant(kind, rng, pm25, grid, taken)
            planted.append((kind, wave, float(np.nanmedian(pm25[cells])), cells))
            pm25 = after
            taken |= cells if kind != "seam" else rim(cells) | cells
        more = dict(made.more)
        if both:
            more[NEUTRAL] = np.maximum(more[NEUTRAL] + np.nan_to_num(pm25 - made.pm25), 0.05)
        found = find_all(replace(made, pm25=pm25, more=more), grid)
        rows += [(kind, wave, level, overlap(kind, found, cells)) for kind, wave, level, cells in planted]
    return rows[:count]


def table(rows):
    """Recall by kind, and where the level is below 30 ug/m3."""
    lines = [f"{'kind':<16}{'planted':>8}{'found':>8}{'median overlap':>16}{'found below 30 ug/m3':>22}"]
    names = [*(("ripple", w) for w in WAVES_KM), *((k, None) for k in KINDS[1:]), ("all", None)]
    for kind, wave in names:
        mine = [r for r in rows if kind == "all" or (r[0] == kind and wave in (None, r[1]))]
        if not mine:
            continue
        hit = np.array([r[3] >= 0.5 for r in mine])
        low = np.array([r[2] < 30 for r in mine])
        name = f"{kind} {wave} km" if wave else kind
        below = hit[low].mean() if low.any() else np.nan
        lines.append(
            f"{name:<16}{len(mine):>8}{hit.mean():>8.1%}{np.median([r[3] for r in mine]):>16.2f}{below:>22.1%}"
        )
    return "\n".join(lines)


def smooth_field(rng, shape, scale):
    """A smooth random field (y, x) of unit variance; its waves are `scale` cells and longer."""
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    weight = np.exp(-0.5 * ((ky**2 + kx**2) * scale**2))
    noise = np.fft.rfft2(rng.normal(size=shape)) * weight
    field = np.fft.irfft2(noise, s=shape)
    return ((field - field.mean()) / field.std()).astype(np.float32)


def clean_map(rng, grid, view):
    """A map without a fault: a smooth level, smooth effects of the place, and texture or none."""
    level = np.exp(2.2 + 0.6 * smooth_field(rng, grid.shape, rng.uniform(20, 80)))
    effect = 0.06 * smooth_field(rng, grid.shape, rng.uniform(25, 60))
    texture = rng.choice([0, 0.02, 0.05]) * rng.normal(size=grid.shape)
    pm25 = np.where(grid.land, level * np.exp(effect + texture), np.nan).astype(np.float32)
    neutral = np.where(grid.land, level, np.nan).astype(np.float32)
    drift = np.exp(0.03 * smooth_field(rng, grid.shape, 30))
    more = {NEUTRAL: neutral, INTERPOLATION: (neutral * drift).astype(np.float32)}
    return DayMap(pm25, view, int(grid.land.sum()), "onnxruntime", "CPU", more)


def main():
    days = [dt.date(2020, 9, 5) + dt.timedelta(days=i) for i in range(16)]
    named = [dt.date.fromisoformat(text) for text in sys.argv[1:]]
    maps, grid = predictions(named or days)
    for day, made in maps.items():
        found = find_all(made, grid)
        share = np.any([f.mask for f in found], axis=0)[grid.land].mean() if found else 0.0
        click.echo(f"{day} untouched: {[f.words for f in found]} {share:.1%} of the land")
    click.echo(table(sow(maps, grid, 600)))
    click.echo("in what predictors justify as well:")
    click.echo(table(sow(maps, grid, 150, both=True)))
    rng = np.random.default_rng(5)
    view = next(iter(maps.values())).view
    alarms = [bool(find_all(clean_map(rng, grid, view), grid)) for _ in range(200)]
    click.echo(f"false alarms on 200 clean smooth fields: {np.mean(alarms):.1%}")


if __name__ == "__main__":
    main()
