"""The configuration of a training run, as a YAML file."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pm25map.base.yaml_file import read_yaml
from pm25map.model.card import Geolocation, NetworkShape

Loss = Literal["sqrt", "sqrt-huber", "huber"]

BASES = ("neighbours_kriging", "neighbours_calm", "neighbours_kriging_raw", "neighbours_idw9")
"""The neighbours' estimates that a residual head weighs against each other; the first says how smoky a day is."""


def check_features(features: Sequence[str], shape: NetworkShape) -> None:
    """Refuse features that a network of this shape cannot learn from.

    Raises:
        ValueError: one is named twice, or none is an estimate that a residual head could start from.
    """
    twice = sorted(name for name in set(features) if features.count(name) > 1)
    if twice:
        raise ValueError(f"features: {twice[0]} is named twice")
    if shape.head == "residual" and not set(features) & set(BASES):
        raise ValueError(
            f"head: residual needs one of the features {', '.join(BASES)}; else write head: plain"
        )


class ShortWindows(BaseModel):
    """Share of training windows with missing days, as they occur where a store holds fewer days than a window.

    The missing days are filled as they are on a map (windows.gaps). Which are missing is drawn anew every epoch.

    Attributes:
        share: of the windows that are short: their first days are missing. How many days are left, from one to one
            less than the window's length, is drawn with a probability in proportion to its reciprocal: a window of
            one day is the commonest, because that is where most is missing.
        gaps: probability that a further day of a short window is missing; never the estimated one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(gt=0, le=1)
    gaps: float = Field(0.0, ge=0, lt=1)


class TrainConfig(BaseModel):
    """Everything that decides a trained network: the same data, machine and threads give the same network.

    Attributes:
        name, description: of the model.
        features: names from the variable table, in the order of the inputs.
        indicators: features with a further input that tells where they are missing.
        geolocation: the network's input of the place: none, or a location encoder (docs/places.md).
        network: widths and choices.
        window_days: length of the window, the estimated day last.
        short_windows: share of training windows with missing days; None trains with whole windows alone.
        start, end: days of the targets.
        holdout_fraction, holdout_seed: whole stations, used neither to train nor to stop.
        validation_fraction: of the other stations, to stop early by; drawn with `seed`.
        folds: of a model with members: the other stations are dealt to so many folds of whole places, with
            `holdout_seed`, and each member stops by a fold that it does not learn from; 0 for one network.
        fold: of this member, from 0.
        batch: targets a step.
        epochs: at most; one epoch is a pass over `targets_an_epoch`.
        targets_an_epoch: drawn anew every epoch; None takes all.
        patience: epochs without improvement on the validation stations before training stops.
        learning_rate: at its highest; it warms up over a twentieth of the steps, then falls as a cosine.
        weight_decay: of AdamW.
        loss: "sqrt" is the squared error of square roots: a day of smoke must not outweigh a year, and still
            counts; "sqrt-huber" grows linearly beyond 0.3 of such a root, which serves the mean absolute error;
            "huber" is the reference's, in ug m-3.
        huber_ugm3: errors above this count linearly in the Huber loss.
        clip_gradient: largest norm of a step's gradient.
        seed: of weights, order and draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    features: tuple[str, ...] = Field(min_length=1)
    indicators: tuple[str, ...] = ()
    geolocation: Geolocation = "geoclip"
    network: NetworkShape = NetworkShape()
    window_days: int = Field(21, ge=1)
    short_windows: ShortWindows | None = None
    start: dt.date
    end: dt.date
    holdout_fraction: float = Field(0.1, ge=0, lt=1)
    holdout_seed: int = Field(ge=0)
    validation_fraction: float = Field(0.05, gt=0, lt=1)
    folds: int = Field(0, ge=0)
    fold: int = Field(0, ge=0)
    batch: int = Field(256, ge=1)
    epochs: int = Field(100, ge=1)
    targets_an_epoch: int | None = Field(None, ge=1)
    patience: int = Field(40, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    loss: Loss = "sqrt"
    huber_ugm3: float = Field(5.0, gt=0)
    clip_gradient: float = Field(1.0, gt=0)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_features(self.features, self.network)
        if self.folds == 1:
            raise ValueError("folds: one fold would leave nothing to learn from; give two or more, or none")
        if self.fold >= max(self.folds, 1):
            raise ValueError(f"fold {self.fold} is none of {self.folds}, counted from 0")
        if self.short_windows and self.window_days == 1:
            raise ValueError("short_windows: a window of one day cannot be shorter; leave short_windows out")
        return self

    def member(self, fold: int) -> Self:
        """Return the configuration of one member: its fold, and a seed of its own."""
        return self.model_copy(update={"fold": fold, "seed": self.seed + fold})


def read_config(path: Path) -> TrainConfig:
    """Read a training configuration.

    Raises:
        BadConfig: it is absent, is not YAML, or has an unknown key or a value out of range.
    """
    return read_yaml(path, TrainConfig)
