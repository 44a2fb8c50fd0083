"""The card of a location encoder in a folder of its own: what it is, its source, and how it varies over the ground."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pm25map.base.card_file import card_text, parse_card
from pm25map.base.errors import BadModel, first_fault
from pm25map.base.files import sha256_of_bytes
from pm25map.base.shipped import shipped_folder
from pm25map.places.patches import Patches, Rasters

CARD = "card.json"

KIND = "location-encoder"


class WavelengthProfile(BaseModel):
    """How an encoder varies over the land of a grid (grid.spectrum.spectral_profile).

    Attributes:
        grid: name of the grid.
        cutoffs_km: ends of the bands of wavelength.
        share: of the variance in each band; one more than cutoffs_km, the shortest first.
        gradient_per_km: mean length of the vector's change over one km, over the vector's root mean square length
            around its mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: str
    cutoffs_km: tuple[float, ...]
    share: tuple[float, ...]
    gradient_per_km: float


class PatchTower(BaseModel):
    """The other half of an encoder trained on pairs: the network that turns a patch into a vector.

    Attributes:
        file, sha256: the ONNX network: patch float32 (patch, channel, y, x), standardized, row 0 is north; vector
            float32 (patch, dimension), to be compared by cosine with the vectors of places.
        channels: names, in order.
        mean, spread: of each channel over the land learned from; what has no value becomes the mean.
        temperature: cosines divided by it are logits.
        parity: relative RMS of the network to float64.
        rasters, patches: how patches were made, one of the two (places.patches).
        holdout_block_deg, holdout_fraction, seed: which blocks of the Earth were held out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str
    channels: tuple[str, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    temperature: float = Field(gt=0)
    parity: float
    rasters: Rasters | None = None
    patches: Patches | None = None
    holdout_block_deg: float = Field(gt=0)
    holdout_fraction: float = Field(gt=0, lt=1)
    seed: int

    @model_validator(mode="after")
    def _all_of_one_length(self) -> Self:
        if not len(self.channels) == len(self.mean) == len(self.spread):
            raise ValueError("channels, mean and spread are of different lengths")
        if (self.rasters is None) == (self.patches is None):
            raise ValueError("give either rasters or patches, one of the two")
        return self

    @property
    def pixels(self) -> int:
        """A side of a patch."""
        return (self.rasters or self.patches).pixels  # type: ignore[union-attr]  # one of the two is there


@dataclass(frozen=True)
class About:
    """The fields of a card that are not measured; see EncoderCard.

    Attributes:
        parity, profile: where they are known beforehand.
    """

    name: str
    description: str
    licence: str
    citation: str
    source: str
    training_domain: str
    seen: tuple[str, ...] = ()
    training: dict[str, float | int | str] = field(default_factory=dict)
    provenance: tuple[dict[str, str], ...] = ()
    parity: dict[str, float] = field(default_factory=dict)
    profile: WavelengthProfile | None = None


class EncoderCard(BaseModel):
    """What `pm25map lab places export`, `convert` and `card` write beside an encoder.

    Attributes:
        kind: distinguishes the card from a model's.
        name: of the encoder.
        description: in a sentence.
        dimension: numbers a place.
        file, sha256: the ONNX network: latlon float64 (place, 2), degrees, latitude first.
        weights, weights_sha256: the same numbers as safetensors; absent for what was not trained or converted here.
        licence, citation, source: of the weights.
        training_domain: where and on what it was trained.
        seen: probe targets that were used in training; they do not count as transfer.
        parity: relative RMS of the network to float64, over the world and over CONUS.
        profile: how it varies over the ground.
        training: figures and settings of the run; absent for an encoder trained elsewhere.
        provenance: a line for each file it learned from.
        patch: the network for patches, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["location-encoder"] = KIND  # type: ignore[assignment]  # a constant is no literal to mypy
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str
    dimension: int = Field(ge=1)
    file: str
    sha256: str
    weights: str | None = None
    weights_sha256: str | None = None
    licence: str
    citation: str
    source: str
    training_domain: str
    seen: tuple[str, ...] = ()
    order: tuple[Literal["latitude"], Literal["longitude"]] = ("latitude", "longitude")
    units: Literal["degrees"] = "degrees"
    parity: dict[str, float]
    profile: WavelengthProfile
    training: dict[str, float | int | str] = {}
    provenance: tuple[dict[str, str], ...] = ()
    patch: PatchTower | None = None


def is_encoder(folder: Path) -> bool:
    """Return whether a folder holds the card of an encoder of this form."""
    try:
        card = json.loads((folder / CARD).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(card, dict) and card.get("kind") == KIND


def encoder_folder(name: str) -> Path | None:
    """Find the folder of an encoder by its path or its shipped name; None where neither is one.

    A folder whose card has no kind, and that holds no model, counts: its card is damaged.
    """
    folders = (Path(name), shipped_folder("models") / name)
    encoder = next((folder for folder in folders if is_encoder(folder)), None)
    return encoder or next(
        (folder for folder in folders if (folder / CARD).is_file() and _is_damaged(folder)), None
    )


def _is_damaged(folder: Path) -> bool:
    try:
        return "network_checksum" not in parse_card((folder / CARD).read_bytes())
    except (OSError, ValueError):
        return not (folder / "model.onnx").is_file()


def read_network(path: Path, sha256: str) -> bytes:
    """Read a network, or other weights, that a card names.

    Raises:
        BadModel: it is absent, or its checksum is not that of the card.
    """
    try:
        network = path.read_bytes()
    except OSError as error:
        raise BadModel(f"cannot read {path}: {error.strerror}. Export the encoder again") from error
    if sha256_of_bytes(network) != sha256:
        raise BadModel(f"{path} is damaged: its checksum is not that of its card. Export the encoder again")
    return network


def read_card(folder: Path) -> EncoderCard:
    """Read the card of an encoder.

    Raises:
        BadModel: it is absent or damaged.
    """
    try:
        said = parse_card((folder / CARD).read_bytes())
        return EncoderCard.model_validate_json(json.dumps(said))
    except OSError as error:
        raise BadModel(
            f"there is no encoder in {folder}: {error.strerror}. Give a folder that export wrote"
        ) from error
    except ValidationError as error:
        raise BadModel(
            f"the card {folder / CARD} is damaged: {first_fault(error)}. Export the encoder again"
        ) from error
    except ValueError as error:
        raise BadModel(
            f"the card {folder / CARD} is damaged or was changed: {error}. Export the encoder again"
        ) from error


def check_files(folder: Path) -> list[str]:
    """Compare all files of an encoder with their checksums in its card: its network, its weights, its patch network.

    Returns:
        Their names.

    Raises:
        BadModel: the card is absent or damaged, or a file is gone or not the one that the card knows.
    """
    card = read_card(folder)
    stated = {card.file: card.sha256, card.weights: card.weights_sha256}
    if card.patch is not None:
        stated[card.patch.file] = card.patch.sha256
    covered = [(name, checksum) for name, checksum in stated.items() if name and checksum]
    for name, checksum in covered:
        read_network(folder / name, checksum)
    return sorted(name for name, _ in covered)


def write_card(card: EncoderCard, folder: Path, *, without: Collection[str] = ()) -> None:
    """Write the card of an encoder with the checksum of itself.

    Args:
        card: to write.
        folder: of the encoder.
        without: parts that this encoder has none of.
    """
    (folder / CARD).write_text(card_text(card.model_dump(mode="json", exclude=set(without)), indent=2))
