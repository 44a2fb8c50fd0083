"""Training of an imputation: cell-days of a store, two models, their scores on held-out days and blocks, one folder."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pm25map.base.days import days_between
from pm25map.base.errors import BadConfig, BadOutput, BadPredictors
from pm25map.base.files import check_output_folder, replacing, sha256_of_file
from pm25map.base.metrics import scores
from pm25map.predictors.checks import check_features
from pm25map.predictors.imputation.buffers import RADII_KM, has_neighbours, radii_in_cells
from pm25map.predictors.imputation.inputs import check_target, choose_predictors, input_names
from pm25map.predictors.imputation.recipe import (
    CLIMATOLOGY_FILE,
    HELD,
    PARTS,
    RECIPE_FILE,
    Held,
    Part,
    Recipe,
    Score,
    graph_file,
    write_recipe,
)
from pm25map.predictors.imputation.samples import ImputationTask, Progress, Samples, choose_split, gather
from pm25map.predictors.imputation.trees import Algorithm, Trees, learn, parity, to_onnx
from pm25map.predictors.reader import Predictors
from pm25map.predictors.variables import variable

LEAST_SAMPLES = 500
"""Cell-days below which nothing is learned: a leaf of the trees takes 20."""
LEAST_DAYS = 5
"""With fewer days none can be held out in a meaningful way."""
CLIMATOLOGY_DAYS = 3
"""Observed days of a month below which a cell has no climatology."""

_PARITY_ROWS = 20_000


@dataclass(frozen=True)
class ImputationOptions:
    """How to train. Checked when created.

    Attributes:
        predictors: names from the table; all of the store that may where empty.
        radii_km: of the buffers.
        algorithm: which trees.
        trees: how many.
        samples: cell-days at most, held-out ones included.
        seed: of all that is random.
    """

    predictors: tuple[str, ...] = ()
    radii_km: tuple[float, ...] = RADII_KM
    algorithm: Algorithm = "boosting"
    trees: int = 200
    samples: int = 500_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trees < 1 or self.samples < LEAST_SAMPLES or self.seed < 0:
            raise BadConfig(
                f"{self.trees} trees of {self.samples} samples with seed {self.seed}: use 1 tree, {LEAST_SAMPLES} "
                f"samples and seed 0, or more"
            )


def train_imputation(
    store: Predictors,
    target: str,
    start: dt.date,
    end: dt.date,
    out: Path,
    options: ImputationOptions,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Recipe:
    """Learn to fill the gaps of a variable, and write a folder that `load_imputation` opens.

    Args:
        store: that holds the variable and its predictors.
        target: the variable.
        start, end: first and last day to learn from; days that lack a predictor are passed over.
        out: folder to write, whole or not at all.
        options: how to learn.
        overwrite: replace a folder that is there.
        progress: called with the number of days.

    Raises:
        BadPredictors: the store lacks predictors, or too little was observed.
        BadOutput: the folder cannot be written.
        BadConfig: the radii are none for this grid.
        BadInstall: a package is missing.
        ParityFailed: the models on disk would not be those that were learned.
    """
    if out.exists() and not (overwrite and (out / RECIPE_FILE).is_file()):
        way = "choose another name: it is no imputation" if overwrite else "Add --overwrite to replace it"
        raise BadOutput(f"{out} exists already. {way[0].upper()}{way[1:]}")
    check_output_folder(out, [store.path] if isinstance(store.path, Path) else [], replaced=True)
    check_target(target)
    check_features(store.path, store.variables, (target,))
    predictors = choose_predictors(store, target, options.predictors)
    check_features(store.path, store.variables, predictors)
    radii = radii_in_cells(store.grid, options.radii_km)
    days = _usable_days(store, target, predictors, start, end)
    rng = np.random.default_rng(options.seed)
    split = choose_split(store.grid, days, rng)
    with replacing(out) as folder:
        folder.mkdir()
        climatology = _Climatology(folder, store.grid.shape)
        samples = gather(
            store,
            ImputationTask(target, predictors, radii, days),
            split,
            options.samples,
            rng,
            climatology.see,
            progress,
        )
        climatology.finish()
        _check_enough(samples, target, store)
        learned = samples.target[~samples.held_out_day & ~samples.held_out_block]
        row = variable(target)
        results = {part: _learn_part(part, samples, 2 * len(radii), options, folder) for part in PARTS}
        files = (*map(graph_file, PARTS), CLIMATOLOGY_FILE)
        recipe = Recipe(
            variable=target,
            units=row.units,
            predictors=predictors,
            inputs=input_names(predictors, radii),
            radii_km=options.radii_km,
            radii=radii,
            grid=store.grid.name,
            grid_checksum=store.grid.checksum,
            store_checksum=store.window_checksum((target, *predictors), days),
            start=days[0],
            end=days[-1],
            days=samples.observed_days,
            held_out_days=tuple(sorted(split.days)),
            held_out_blocks=tuple(f"{block.id} {block.height}x{block.width}" for block in split.blocks),
            algorithm=options.algorithm,
            trees=options.trees,
            seed=options.seed,
            samples={part: result.samples for part, result in results.items()},
            lowest=max(row.valid_min, float(learned.min())),
            highest=min(row.valid_max, float(learned.max())),
            scores={part: result.scores for part, result in results.items()},
            parity={part: result.parity for part, result in results.items()},
            files={name: sha256_of_file(folder / name) for name in files},
        )
        write_recipe(folder, recipe)
    return recipe


@dataclass(frozen=True)
class _Result:
    samples: int
    scores: dict[Held, Score]
    parity: float


def _learn_part(
    part: Part, samples: Samples, buffers: int, options: ImputationOptions, folder: Path
) -> _Result:
    """Train one of the two models, write its graph, and score the estimates of the graph."""
    inputs, fit = samples.inputs, np.ones(len(samples.target), dtype=bool)
    if part == "with_neighbours":
        fit = has_neighbours(inputs)
    else:
        inputs = inputs[:, :-buffers]
    training = fit & ~samples.held_out_day & ~samples.held_out_block
    estimator: Any = learn(
        inputs[training], samples.target[training], options.algorithm, options.seed, options.trees
    )
    content = to_onnx(estimator, inputs.shape[1])
    (folder / graph_file(part)).write_bytes(content)
    trees = Trees(content, graph_file(part))
    held_out: dict[Held, npt.NDArray[np.bool_]] = {
        "days": samples.held_out_day & ~samples.held_out_block,
        "blocks": samples.held_out_block & ~samples.held_out_day,
        "days_and_blocks": samples.held_out_day & samples.held_out_block,
    }
    low, high = samples.target[training].min(), samples.target[training].max()
    part_scores = {
        name: _score(
            samples.target[fit & held_out[name]], np.clip(trees(inputs[fit & held_out[name]]), low, high)
        )
        for name in HELD
    }
    return _Result(int(training.sum()), part_scores, parity(estimator, trees, inputs[fit][:_PARITY_ROWS]))


def _score(observed: npt.NDArray[np.float32], filled: npt.NDArray[np.float32]) -> Score:
    metrics = scores(observed, filled)
    rest = {
        name: float(value) if np.isfinite(value) else None for name, value in metrics.items() if name != "n"
    }
    return Score(n=int(metrics["n"]), r2=rest["r2"], rmse=rest["rmse"], mae=rest["mae"], mbe=rest["mbe"])


def _usable_days(
    store: Predictors, target: str, predictors: tuple[str, ...], start: dt.date, end: dt.date
) -> list[dt.date]:
    wanted = set(days_between(start, end))
    daily = tuple(name for name in (target, *predictors) if variable(name).kind == "daily")
    days = [day for day in store.days_of(daily) if day in wanted]
    if len(days) < LEAST_DAYS:
        rarest = min(daily, key=lambda name: len(wanted & set(store.days_of((name,)))))
        raise BadPredictors(
            f"{store.path} has {len(days)} days from {start} to {end} with {target} and all it is imputed from, and "
            f"learning takes {LEAST_DAYS}; {rarest} has the fewest. Ingest source {variable(rarest).source} for more "
            f"days, or name other predictors"
        )
    return days


def _check_enough(samples: Samples, target: str, store: Predictors) -> None:
    """Refuse to learn from hardly anything."""
    training = ~samples.held_out_day & ~samples.held_out_block
    fewest = min(int(training.sum()), int((training & has_neighbours(samples.inputs)).sum()))
    if fewest < LEAST_SAMPLES or samples.observed_days < LEAST_DAYS:
        raise BadPredictors(
            f"{target} of {store.path} has too few observed values to learn from: {fewest} cell-days on "
            f"{samples.observed_days} days, and it takes {LEAST_SAMPLES} on {LEAST_DAYS}. Ingest more days of source "
            f"{variable(target).source}"
        )


class _Climatology:
    """Sums by month on the disk: twelve fine grids would not fit into memory."""

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self._counts_path = folder / "counts.npy"
        whole = (12, *shape)
        self._sums = _zeros(folder / CLIMATOLOGY_FILE, np.float32, whole)
        self._counts = _zeros(self._counts_path, np.uint16, whole)

    def see(self, day: dt.date, observed: npt.NDArray[np.float32]) -> None:
        """Count a day in."""
        is_observed = np.isfinite(observed)
        self._sums[day.month - 1] += np.where(is_observed, observed, 0)
        self._counts[day.month - 1] += is_observed

    def finish(self) -> None:
        """Turn sums into means."""
        for sums, counts in zip(self._sums, self._counts, strict=True):
            sums[...] = np.where(counts >= CLIMATOLOGY_DAYS, sums / np.maximum(counts, 1), np.nan)
        self._sums.flush()
        del self._sums, self._counts
        self._counts_path.unlink()


def _zeros(path: Path, dtype: type[np.generic], shape: tuple[int, int, int]) -> Any:
    """Map a file of zeros that has its room on the disk: in a sparse one, a full disk would kill the process."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        month = bytes(shape[1] * shape[2] * np.dtype(dtype).itemsize)
        for _ in range(shape[0]):
            file.write(month)
    return np.lib.format.open_memmap(path, "r+")
