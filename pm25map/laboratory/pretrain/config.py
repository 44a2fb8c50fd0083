"""The configuration of a pretraining run, as a YAML file."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from pm25map.base.yaml_file import read_yaml
from pm25map.places.harmonics import HIGHEST_DEGREE
from pm25map.places.patches import Patches, Rasters, Strict


class EncoderShape(Strict):
    """The location encoder: harmonics to a degree, layers with a sine, a linear layer.

    Attributes:
        degree: of the harmonics; waves of degree 40 are 1,000 km long.
        hidden: widths of the layers with a sine.
        dimension: numbers a place.
        first_frequency: factor inside the first sine; the others have 1. SIREN's 30 makes the first layer learn
            thirty times as fast: vectors become sharp, and no linear layer reads the climate from them any more.
        damping_degree: harmonics of degree l enter divided by 1 + (l / damping_degree)^2, so that what is
            learned first, and what a linear layer reads best, is smooth.
    """

    degree: int = Field(30, ge=1, le=HIGHEST_DEGREE)
    hidden: tuple[int, ...] = Field((512, 512), min_length=1)
    dimension: int = Field(256, ge=2, le=256)
    first_frequency: float = Field(1.0, gt=0)
    damping_degree: float = Field(8.0, gt=0)


class Augment(Strict):
    """Augmentation of a patch in training. North stays up: nothing is rotated.

    Attributes:
        shift_km: the patch is cut up to so far from its place, in each direction; rasters only.
        mirror: share of the patches whose east and west are exchanged.
        noise: standard deviation added to every number.
        brighten: standard deviation added to a channel of a patch as a whole.
        drop: share of the channels set to their mean.
    """

    shift_km: float = Field(0.0, ge=0)
    mirror: float = Field(0.0, ge=0, le=1)
    noise: float = Field(0.0, ge=0)
    brighten: float = Field(0.0, ge=0)
    drop: float = Field(0.0, ge=0, lt=1)


class PretrainConfig(Strict):
    """Everything that decides an encoder: the same data, machine and threads give the same encoder.

    Attributes:
        name, description: of the encoder.
        rasters, patches: where pairs come from, one of the two.
        seen: names of probe targets that the patches show; they do not count as transfer.
        encoder: shape of the location encoder.
        tower: widths of the convolutions over a patch, each of which halves its side.
        temperature: at the start; learned, and never below 0.01.
        position_degree: a linear layer on the vector is taught the harmonics to this degree, so that where a
            place is can be read from it; 0 does without.
        position_weight: of that in the loss.
        holdout_block_deg: side of the blocks that are held out whole, degrees of latitude.
        holdout_fraction: share of them.
        batch, steps: pairs a step; steps in all.
        validate_every: steps between two validations and checkpoints.
        learning_rate: at its highest; it warms up over a twentieth of the steps, then falls as a cosine.
        weight_decay: of AdamW.
        seed: of weights, places and blocks.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    description: str
    rasters: Rasters | None = None
    patches: Patches | None = None
    seen: tuple[str, ...] = ()
    encoder: EncoderShape = EncoderShape()
    tower: tuple[int, ...] = Field((48, 96, 128), min_length=1)
    augment: Augment = Augment()
    temperature: float = Field(0.07, gt=0.01, lt=1)
    position_degree: int = Field(8, ge=0, le=HIGHEST_DEGREE)
    position_weight: float = Field(0.5, ge=0)
    holdout_block_deg: float = Field(2.0, gt=0, le=45)
    holdout_fraction: float = Field(0.05, gt=0, lt=0.9)
    batch: int = Field(512, ge=2)
    steps: int = Field(3000, ge=1)
    validate_every: int = Field(250, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    seed: int = 0

    @model_validator(mode="after")
    def _pairs_come_from_one_place(self) -> Self:
        if (self.rasters is None) == (self.patches is None):
            raise ValueError("give either rasters or patches, one of the two")
        side = (self.rasters or self.patches).pixels  # type: ignore[union-attr]
        if side < 2 ** len(self.tower):
            raise ValueError(
                f"patches of {side} pixels cannot be halved {len(self.tower)} times by the tower"
            )
        return self


def read_config(path: Path) -> PretrainConfig:
    """Read a pretraining configuration.

    Raises:
        BadConfig: it is absent, is not YAML, or has an unknown key or a value out of range.
    """
    return read_yaml(path, PretrainConfig)
