"""The card of a location encoder in a folder of its own: what it is, whence, and how it varies over the ground."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pm25map.base.errors import BadModel

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


class EncoderCard(BaseModel):
    """What `pm25map places export` and `convert` write beside an encoder.

    Attributes:
        kind: tells the card from a model's.
        name: of the encoder.
        description: in a sentence.
        dimension: numbers a place.
        file, sha256: the ONNX network: latlon float64 (place, 2), degrees, latitude first.
        weights, weights_sha256: the same numbers as safetensors.
        licence, citation, source: of the weights.
        training_domain: where and on what it was trained.
        seen: probe targets that it saw in training; they do not count as transfer.
        parity: relative RMS of the network to float64, over the world and over CONUS.
        profile: how it varies over the ground.
        training: figures and settings of the run; absent for an encoder trained elsewhere.
        provenance: a line for each file it learned from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["location-encoder"] = KIND  # type: ignore[assignment]  # a constant is no literal to mypy
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str
    dimension: int = Field(ge=1)
    file: str
    sha256: str
    weights: str
    weights_sha256: str
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


def is_encoder(folder: Path) -> bool:
    """Tell whether a folder holds the card of an encoder of this form."""
    try:
        card = json.loads((folder / CARD).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(card, dict) and card.get("kind") == KIND


def read_card(folder: Path) -> EncoderCard:
    """Read the card of an encoder.

    Raises:
        BadModel: it is absent or damaged.
    """
    try:
        return EncoderCard.model_validate_json((folder / CARD).read_bytes())
    except OSError as error:
        raise BadModel(
            f"there is no encoder in {folder}: {error.strerror}. Give a folder that export wrote"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadModel(
            f"the card {folder / CARD} is damaged: {where}: {first['msg']}. Export the encoder again"
        ) from error
