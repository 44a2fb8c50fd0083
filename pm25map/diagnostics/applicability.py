"""Area of applicability: how dissimilar a cell is on a day to the training data (Meyer and Pebesma 2021).

The reference data travel with the model: applicability.npz, and applicability.json with its meaning and checksum.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from pm25map.base.errors import BadModel
from pm25map.base.files import replacing, sha256_of_bytes, sha256_of_file
from pm25map.diagnostics.descriptors import Descriptors
from pm25map.diagnostics.dissimilarity import TrainingPoints
from pm25map.model.card import Model, cover_files, read_beside
from pm25map.raster.bands import Band
from pm25map.raster.block_bands import BlockDay, NoRaw
from pm25map.raster.inputs import Inputs

CARD_FILE, DATA_FILE = "applicability.json", "applicability.npz"

Floats = npt.NDArray[np.float32]

DISSIMILARITY = Band(
    "dissimilarity", "Dissimilarity index to the training data (Meyer and Pebesma 2021)", "1"
)
APPLICABLE = Band("applicable", "1 inside the area of applicability, 0 outside", "1", whole=True)
DENSITY = Band(
    "training_density", "Training points of the reference sample within the threshold", "1", whole=True
)


class ApplicabilityCard(BaseModel):
    """The contents of applicability.json.

    Attributes:
        network_checksum: of the model that the data belong to.
        data_checksum: SHA-256 of applicability.npz.
        points, stations: of the reference sample.
        folds: in which whole places were left out for the threshold.
        threshold: largest index inside.
        mean_distance: over all pairs of points, in weighted standard deviations.
        outside_percent: of the sample itself, that lies outside.
        weights: of each descriptor: mean absolute change of the root of the estimate, (ug m-3)^0.5.
        command: that makes it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network_checksum: str
    data_checksum: str
    points: int
    stations: int
    folds: int
    threshold: float
    mean_distance: float
    outside_percent: float
    weights: dict[str, float]
    command: str
    method: str = "Meyer & Pebesma 2021, doi:10.1111/2041-210X.13650, as CAST 1.0 computes it"


@dataclass(frozen=True)
class ApplicabilityBands:
    """Names the dissimilarity index, the area of applicability and the density of training points."""

    def check(self, model: Model) -> None:
        """Refuse a model without reference data.

        Raises:
            BadModel: as `load_applicability`.
        """
        load_applicability(model)

    def open(self, inputs: Inputs) -> "Applicability":
        """Read the reference data of the model."""
        return load_applicability(inputs.model)


@dataclass(frozen=True, eq=False)
class Applicability(NoRaw):
    """Computes the dissimilarity index, the area of applicability and the density of training points: a BlockBands."""

    descriptors: Descriptors
    training: TrainingPoints

    @property
    def bands(self) -> tuple[Band, ...]:
        """Return the three bands."""
        return (DISSIMILARITY, APPLICABLE, DENSITY)

    def __call__(self, at: BlockDay) -> dict[Band, Floats]:
        """Return the layers of some cells."""
        return self.of(at.window, at.place)

    def of(self, window: Floats, place: Floats | None) -> dict[Band, Floats]:
        """Return the layers of any cells or stations: window (cell, day, input), place (cell, d) or None."""
        values = self.descriptors.describe(window, place)
        index = self.training.index_of(values)
        layers = {
            DISSIMILARITY: index,
            APPLICABLE: np.where(np.isnan(index), np.nan, index <= self.training.threshold),
            DENSITY: self.training.density_of(values),
        }
        return {band: layer.astype(np.float32) for band, layer in layers.items()}


def save_applicability(
    folder: Path, applicability: Applicability, network_checksum: str, stations: int, folds: int, command: str
) -> ApplicabilityCard:
    """Write the reference data of a model into its folder, and their checksums into the model's card."""
    chosen, training = applicability.descriptors, applicability.training
    with replacing(folder / DATA_FILE) as part, part.open("wb") as handle:
        np.savez_compressed(
            handle,
            today=np.array(chosen.today, dtype=np.int32),
            before=np.array(chosen.before, dtype=np.int32),
            inputs=np.array(chosen.names),
            place_mean=chosen.place_mean,
            components=chosen.components,
            center=training.center,
            scale=training.scale,
            weight=training.weight,
            points=training.points.astype(np.float32),
            index=training.index.astype(np.float32),
            density=training.density.astype(np.int32),
        )
    card = ApplicabilityCard(
        network_checksum=network_checksum,
        data_checksum=sha256_of_file(folder / DATA_FILE),
        points=len(training.points),
        stations=stations,
        folds=folds,
        threshold=training.threshold,
        mean_distance=training.mean_distance,
        outside_percent=round(100 * float((training.index > training.threshold).mean()), 3),
        weights=dict(zip(chosen.labels, (round(float(w), 5) for w in training.weight), strict=True)),
        command=command,
    )
    with replacing(folder / CARD_FILE) as part:
        part.write_text(card.model_dump_json(indent=1) + "\n")
    cover_files(folder)
    return card


def load_applicability(model: Model) -> Applicability:
    """Read the reference data of a model.

    Raises:
        BadModel: the model has none, or they are damaged or of another network.
    """
    folder = model.network.parent
    again = f"make it with pm25map calibrate --model {model.card.name}"
    about, data = read_beside(model, CARD_FILE, again), read_beside(model, DATA_FILE, again)
    if about is None or data is None:
        raise BadModel(f"model {model.card.name} has no {CARD_FILE} with {DATA_FILE}: {again}")
    try:
        card = ApplicabilityCard.model_validate_json(about)
    except ValidationError as error:
        raise BadModel(f"{folder / CARD_FILE} is damaged: {error.errors()[0]['msg']}; {again}") from error
    if card.network_checksum != model.card.network_checksum:
        raise BadModel(f"{folder / CARD_FILE} belongs to another network than {model.card.name}: {again}")
    if sha256_of_bytes(data) != card.data_checksum:
        raise BadModel(f"{folder / DATA_FILE} is damaged or belongs to another {CARD_FILE}: {again}")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        names = tuple(str(name) for name in arrays["inputs"])
        if names != model.card.scaler.inputs:
            raise BadModel(f"{folder / DATA_FILE} has other inputs than model {model.card.name}: {again}")
        descriptors = Descriptors(
            tuple(int(i) for i in arrays["today"]),
            tuple(int(i) for i in arrays["before"]),
            names,
            arrays["place_mean"],
            arrays["components"],
        )
        training = TrainingPoints(
            arrays["center"],
            arrays["scale"],
            arrays["weight"],
            arrays["points"].astype(np.float64),
            card.mean_distance,
            card.threshold,
            arrays["index"].astype(np.float64),
            arrays["density"].astype(np.int64),
        )
    return Applicability(descriptors, training)
