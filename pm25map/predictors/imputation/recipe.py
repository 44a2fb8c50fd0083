"""A learned imputation on disk: imputation.json, two graphs of trees as ONNX, and climatology.npy.

All of it opens without this package, and nothing of it is unpickled.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

import pm25map
from pm25map.base.card_file import card_text, parse_card
from pm25map.base.errors import BadModel, first_fault
from pm25map.base.files import sha256_of_file
from pm25map.predictors.imputation.inputs import input_names
from pm25map.predictors.imputation.trees import Algorithm, Trees

RECIPE_FILE = "imputation.json"
CLIMATOLOGY_FILE = "climatology.npy"

Part = Literal["with_neighbours", "without_neighbours"]
"""The two models: where anything was observed within the largest radius on the day, and where not."""

PARTS: tuple[Part, ...] = ("with_neighbours", "without_neighbours")

Held = Literal["days", "blocks", "days_and_blocks"]
"""What was held out for a score: days, on training blocks; blocks, on training days; both."""

HELD: tuple[Held, ...] = ("days", "blocks", "days_and_blocks")


class Score(BaseModel):
    """How values that were hidden compare with what is filled in their place.

    Attributes:
        n: cell-days.
        r2: against the mean of these values; None where there are none, or all are the same.
        rmse, mae, mbe: in units of the variable, mbe as filled minus observed; None where there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    r2: float | None
    rmse: float | None
    mae: float | None
    mbe: float | None


class Recipe(BaseModel):
    """The contents of imputation.json.

    Attributes:
        format: of the folder.
        version: of this package.
        variable: that is imputed, and its units.
        predictors: that a store must hold, in order.
        inputs: of the trees with neighbours, in order; those without end before the buffers.
        radii_km, radii: of the buffers, in km and in cells.
        grid, grid_checksum: that it was learned on, and holds for.
        store_checksum: of what was read of the store.
        start, end, days: of learning: first and last day, and days with an observation.
        held_out_days, held_out_blocks: that nothing was learned from.
        algorithm, trees, seed, samples: how it was learned.
        lowest, highest: of the values that were learned from; what is filled stays between them.
        scores: of each part, by what was held out.
        parity: largest difference of each part from scikit-learn, in units of the variable.
        files: SHA-256 by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    version: str = pm25map.__version__
    variable: str
    units: str
    predictors: tuple[str, ...]
    inputs: tuple[str, ...]
    radii_km: tuple[float, ...]
    radii: tuple[int, ...]
    grid: str
    grid_checksum: str
    store_checksum: str
    start: dt.date
    end: dt.date
    days: int
    held_out_days: tuple[dt.date, ...]
    held_out_blocks: tuple[str, ...]
    algorithm: Algorithm
    trees: int
    seed: int
    samples: dict[Part, int]
    lowest: float
    highest: float
    scores: dict[Part, dict[Held, Score]]
    parity: dict[Part, float]
    files: dict[str, str]


@dataclass(frozen=True)
class Imputation:
    """An opened folder.

    Attributes:
        path: of the folder.
        recipe: its contents.
        trees: the two models.
        climatology: float32 (month, y, x), mapped from the disk; NaN where a cell was observed too seldom.
    """

    path: Path
    recipe: Recipe
    trees: Mapping[Part, Trees]
    climatology: npt.NDArray[np.float32]


def graph_file(part: Part) -> str:
    """Name the file of a model."""
    return f"{part}.onnx"


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write imputation.json, with a checksum of itself."""
    (folder / RECIPE_FILE).write_text(card_text(recipe.model_dump(mode="json"), indent=2), encoding="utf-8")


def load_imputation(path: Path, threads: int = 1) -> Imputation:
    """Open a folder and check it against its checksums.

    Args:
        path: of the folder.
        threads: of the trees.

    Raises:
        BadModel: there is none, a file of it is missing or changed, or its parts do not fit each other.
        BadInstall: ONNX Runtime is not installed.
    """
    again = "Run: pm25map data impute train"
    try:
        content = parse_card((path / RECIPE_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise BadModel(
            f"there is no imputation in {path}: it has no readable {RECIPE_FILE} ({error}). {again}"
        ) from error
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise BadModel(f"{path / RECIPE_FILE}: {first_fault(error)}. {again}") from error
    for name in (*map(graph_file, PARTS), CLIMATOLOGY_FILE):
        file = path / name
        if not file.is_file() or sha256_of_file(file) != recipe.files.get(name):
            raise BadModel(
                f"{file} is missing, or is not the file that {RECIPE_FILE} was written for. {again}"
            )
    trees = {
        part: Trees((path / graph_file(part)).read_bytes(), path / graph_file(part), threads)
        for part in PARTS
    }
    short = input_names(recipe.predictors, ())
    widths = {"with_neighbours": recipe.inputs, "without_neighbours": short}
    fits = recipe.inputs == input_names(recipe.predictors, recipe.radii)
    for part in PARTS:
        if not fits or trees[part].width != len(widths[part]):
            raise BadModel(
                f"{path / graph_file(part)} takes {trees[part].width} inputs, and {RECIPE_FILE} names "
                f"{len(widths[part])} of other predictors. {again}"
            )
    return Imputation(path, recipe, trees, _read_climatology(path / CLIMATOLOGY_FILE))


def _read_climatology(file: Path) -> npt.NDArray[np.float32]:
    """Map the climatology from the disk: whoever changed it may have changed its checksum as well."""
    try:
        climatology: npt.NDArray[np.float32] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadModel(f"{file} holds no array ({error}). Run: pm25map data impute train") from error
    if climatology.dtype != np.float32 or climatology.ndim != 3 or len(climatology) != 12:
        raise BadModel(
            f"{file} is {climatology.dtype} {climatology.shape}, and must be float32 (12, y, x). "
            f"Run: pm25map data impute train"
        )
    return climatology
