"""The card of a model: everything that the network's file does not hold, and the checks that they match."""

import datetime as dt
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from pm25map.base.card_file import card_text, parse_card
from pm25map.base.errors import BadModel, first_fault
from pm25map.base.files import replacing, sha256_of_bytes, sha256_of_file
from pm25map.base.shipped import find_folder
from pm25map.windows.scaler import Scaler

CARD_FILE = "card.json"
NETWORK_FILE = "model.onnx"
UNROLLED_FILE = "unrolled.onnx"

_log = logging.getLogger(__name__)

Geolocation = str
"""The network's input of the place: "none", or a location encoder by its name (pm25map.places.catalogue)."""


class _CardModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlaceInput(_CardModel):
    """The network's input of the place.

    Attributes:
        encoder: location encoder, or none.
        dimension: numbers a place; 0 for none.
        checksum: SHA-256 of the encoder's weights; None where it has none.
    """

    encoder: Geolocation
    dimension: int
    checksum: str | None


class NetworkShape(_CardModel):
    """Widths and choices of the network (reference-study: 256/128/128, attention 256, dense 256).

    Attributes:
        lstm: units of each direction of the three recurrent layers.
        attention, dense: units of the attention's output and of the dense layer.
        dropout: share dropped between layers while training.
        place_dropout: share of the place vector dropped while training: a thousand stations are few, and a
            network that can tell them apart memorizes their offsets.
        fusion: how the place joins: Hadamard product or concatenation.
        head: "plain" estimates from the network's last layer alone; "residual" weighs the neighbours'
            estimates against each other and corrects them.
    """

    lstm: tuple[PositiveInt, PositiveInt, PositiveInt] = (256, 128, 128)
    attention: PositiveInt = 256
    dense: PositiveInt = 256
    dropout: float = Field(0.2, ge=0, lt=1)
    place_dropout: float = Field(0.0, ge=0, lt=1)
    fusion: Literal["hadamard", "concatenation"] = "hadamard"
    head: Literal["plain", "residual"] = "residual"


class TrainingRecord(_CardModel):
    """The data and settings of the training.

    Attributes:
        start, end: days of the targets.
        stations, targets: how many.
        monitors_checksum, predictors_checksum: of the data.
        holdout_fraction, holdout_seed: the stations held out: see hold_out_stations.
        config: the training configuration in full.
        epochs: that were run, the best of them kept.
        command: that makes the model again.
        provenance: where the data come from.
    """

    start: dt.date
    end: dt.date
    stations: int
    targets: int
    monitors_checksum: str
    predictors_checksum: str
    holdout_fraction: float
    holdout_seed: int
    config: dict[str, object]
    epochs: int
    command: str
    provenance: str


class Parity(_CardModel):
    """Differences of the exported network from the trained one.

    Attributes:
        windows: how many real windows were compared, some with values missing, one alone in its batch.
        worst_scaled: largest difference, in units of the target's standard deviation.
        worst_ugm3: the same, ug m-3.
    """

    windows: int
    worst_scaled: float
    worst_ugm3: float


class GraphRecord(_CardModel):
    """Another graph of the same network, in the form that some engine runs best.

    Attributes:
        file: beside the card.
        checksum: SHA-256 of the file.
        parity: its difference from model.onnx, both run by ONNX Runtime.
    """

    file: str
    checksum: str
    parity: Parity


class ScoreRow(_CardModel):
    """One line of the score table: the model and plain interpolation on the same targets."""

    stratum: str
    n: int
    r2: float | None
    rmse: float | None
    mae: float | None
    mbe: float | None
    idw_rmse: float | None
    idw_mae: float | None
    rmse_ratio: float | None
    mae_ratio: float | None


class Scores(_CardModel):
    """Scores on stations held out, and the command that computes them again."""

    start: dt.date
    end: dt.date
    stations: int
    command: str
    rows: tuple[ScoreRow, ...]


class ModelCard(_CardModel):
    """The card, as written in card.json and inside the network's file.

    Attributes:
        training: the training of the network; of a model with members, that of the first.
        members: the training of every member, in the order of the network's output; empty for one network.
        graphs: further forms of the network, by name ("unrolled").
        files: SHA-256 of the other files beside the card, by name: its calibration, for example.
    """

    name: str
    version: str
    description: str
    window_days: int
    scaler: Scaler
    units: dict[str, str]
    place: PlaceInput
    network: NetworkShape
    target_scale: float
    grid: str
    grid_checksum: str
    opset: int
    network_checksum: str
    training: TrainingRecord
    parity: Parity
    members: tuple[TrainingRecord, ...] = ()
    graphs: dict[str, GraphRecord] = {}
    files: dict[str, str] = {}
    scores: Scores | None = None
    licence: str = "MIT"
    citation: str = "Karimzadeh, Wang & Crooks 2025, doi:10.1080/15481603.2025.2594797 (architecture)"

    @model_validator(mode="after")
    def _units_of_every_feature(self) -> "ModelCard":
        if tuple(self.units) != self.scaler.features:
            raise ValueError("units and scaler name different features")
        return self

    def identity(self) -> str:
        """Serialize the part that the network's file repeats: all but checksums of files, and the scores."""
        # A model without members has the identity that it had before there were any.
        missing = set() if self.members else {"members"}
        return self.model_dump_json(exclude={"network_checksum", "scores", "graphs", "files"} | missing)

    @property
    def checksum(self) -> str:
        """SHA-256 of what decides a prediction: the identity and the network.

        Other graphs of the network are the same function, up to their parity, and do not join in: a map says
        which engine computed it beside this checksum.
        """
        return sha256_of_bytes(self.identity().encode(), self.network_checksum.encode())


@dataclass(frozen=True)
class Model:
    """A model on disk: its card, and the path of its network, both checked."""

    card: ModelCard
    network: Path

    def graph(self, name: str) -> Path:
        """Return the path of another graph of the network, its checksum compared with the card.

        Raises:
            BadModel: the model has no such graph, or its file is damaged.
        """
        record = self.card.graphs.get(name)
        again = f"Run: pm25map export --unroll {self.network.parent}"
        if record is None:
            raise BadModel(f"model {self.card.name} has no {name} graph. {again}")
        path = self.network.parent / record.file
        if not path.is_file() or sha256_of_file(path) != record.checksum:
            raise BadModel(f"{path} is absent or damaged: its SHA-256 is not the card's. {again}")
        return path


def read_card(path: Path) -> ModelCard:
    """Read a card.

    Raises:
        BadModel: it is not JSON, was changed after it was written, or a field is missing or unknown.
    """
    try:
        fields = parse_card(path.read_bytes())
        return ModelCard.model_validate_json(json.dumps(fields))
    except ValidationError as error:
        raise BadModel(f"{path} is no model card: {first_fault(error)}. Export the model again") from error
    except ValueError as error:
        raise BadModel(
            f"{path} is damaged or was changed: {error}. Export or fetch the model again"
        ) from error


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card with the checksum of itself, one value a line, easy to read."""
    path.write_text(card_text(card.model_dump(mode="json")))


def cover_files(folder: Path) -> ModelCard | None:
    """Write the checksums of all files beside the card of a model into it; None where the folder has no card yet.

    Raises:
        BadModel: the card is damaged.
    """
    if not (folder / CARD_FILE).is_file():
        return None
    card = read_card(folder / CARD_FILE)
    known = {CARD_FILE, NETWORK_FILE, *(graph.file for graph in card.graphs.values())}
    beside = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    files = {path.name: sha256_of_file(path) for path in beside if path.name not in known}
    card = card.model_copy(update={"files": files})
    with replacing(folder / CARD_FILE) as part:
        write_card(card, part)
    return card


def read_beside(model: Model, name: str, again: str) -> bytes | None:
    """Read a file beside a model's card, its checksum compared with the card.

    Args:
        model: of the card.
        name: of the file.
        again: how to write it again, for the error.

    Returns:
        None where the model has no such file. A card of an older version covers no file: this is logged, and the file
        is used as it is.

    Raises:
        BadModel: the file is missing, or its checksum is not that of the card.
    """
    path, stated = model.network.parent / name, model.card.files.get(name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = None
    except OSError as error:
        raise BadModel(f"cannot read {path}: {error.strerror}; {again}") from error
    if content is None and stated is None:
        return None
    if content is None or (stated is not None and sha256_of_bytes(content) != stated):
        raise BadModel(
            f"{path} is gone, damaged or was changed: its SHA-256 is not that of the card; {again}"
        )
    if stated is None:
        _log.warning(
            "the card of model %s does not cover %s. Run once: pm25map export --checksums %s",
            model.card.name,
            name,
            model.network.parent,
        )
    return content


def load_model(name: str) -> Model:
    """Find a model by its shipped name or its folder, and check its network against its card.

    Raises:
        UnknownName: there is no such model; says which exist.
        BadModel: the card is absent or damaged, or the network is not the card's.
    """
    folder = find_folder("models", name, NETWORK_FILE)
    if not (folder / CARD_FILE).is_file():
        raise BadModel(f"{folder} has a network and no {CARD_FILE}: export or fetch the model again")
    card = read_card(folder / CARD_FILE)
    network = folder / NETWORK_FILE
    checksum = sha256_of_file(network)
    if checksum != card.network_checksum:
        raise BadModel(
            f"{network} is damaged or belongs to another card: its SHA-256 begins with {checksum[:12]}, "
            f"the card says {card.network_checksum[:12]}. Export or fetch the model again"
        )
    return Model(card, network)
