"""The protocol of a study, as a YAML file: which days, splits, folds and variants, and how networks are trained."""

import datetime as dt
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from pm25map.base.files import sha256_of_bytes
from pm25map.base.yaml_file import read_yaml
from pm25map.laboratory.study.splits import SPLITS
from pm25map.laboratory.study.variants import SATCLIP, VARIANTS, NetworkVariant, Variant
from pm25map.model.card import Geolocation, NetworkShape
from pm25map.model.config import Loss, TrainConfig, check_features

Numbers = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]


class _StudyPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StudyBlock(_StudyPart):
    """Consecutive target days, both ends included; the days of their windows come before and are no targets."""

    start: dt.date
    end: dt.date

    @model_validator(mode="after")
    def _forward(self) -> "StudyBlock":
        if self.end < self.start:
            raise ValueError(f"a block ends on {self.end}, before its start {self.start}")
        return self


class Training(_StudyPart):
    """Training of every network of a study: keys of a training configuration (pm25map train)."""

    validation_fraction: float = Field(0.05, gt=0, lt=1)
    batch: int = Field(256, ge=1)
    epochs: int = Field(100, ge=1)
    targets_an_epoch: int | None = Field(None, ge=1)
    patience: int = Field(40, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    loss: Loss = "sqrt-huber"


class Explained(_StudyPart):
    """Runs of which the attention over the days and the importance of predictors are kept."""

    split: str
    fold: int = Field(0, ge=0)
    variants: tuple[str, ...]


class StudyConfig(_StudyPart):
    """A protocol.

    Attributes:
        name, description: of the protocol; the report repeats them.
        features: names from the variable table, in the order of the network's inputs.
        window_days: length of the window, the estimated day last.
        blocks: of target days, oldest first, their windows apart from each other.
        splits: which folds of which split are run, by name, in this order; the first fold of all splits first.
        variants: names of VARIANTS, in this order.
        seeds: of the networks; baselines draw nothing that matters and run with the first.
        more_seeds: further seeds of some variants, by name, once all others are run: what a difference between
            two of them owes to the weights that they began with.
        split_seed: of every split.
        network: widths; the variant decides the fusion.
        training: of the networks.
        explained: runs that are looked into.
        satclip: folder of an encoder that pm25map lab places convert wrote of a published checkpoint of SatCLIP; none:
            its variants are not run.
    """

    name: str
    description: str
    features: tuple[str, ...] = Field(min_length=1)
    window_days: int = Field(21, ge=1)
    blocks: tuple[StudyBlock, ...] = Field(min_length=1)
    splits: dict[str, Numbers] = Field(min_length=1)
    variants: tuple[str, ...] = Field(min_length=1)
    seeds: Numbers
    more_seeds: dict[str, Numbers] = {}
    split_seed: NonNegativeInt
    network: NetworkShape
    training: Training
    explained: tuple[Explained, ...] = ()
    satclip: Path | None = None

    @model_validator(mode="after")
    def _known(self) -> "StudyConfig":
        for kind, names, known in (
            ("split", self.splits, SPLITS),
            ("variant", self.variants, VARIANTS),
            ("split", [one.split for one in self.explained], SPLITS),
            ("variant", self.more_seeds, self.variants),
            ("variant", [name for one in self.explained for name in one.variants], VARIANTS),
        ):
            odd = sorted(set(names) - set(known))
            if odd:
                raise ValueError(f"unknown {kind} {odd[0]!r}: there are {', '.join(known)}")
        check_features(self.features, self.network)
        for name in self.variants:
            field = VARIANTS[name].field
            if field is not None and field not in self.features:
                raise ValueError(f"variant {name} is the feature {field}: name it among the features")
        self._check_no_run_twice()
        before = dt.timedelta(days=self.window_days - 1)
        for one, other in zip(self.blocks, self.blocks[1:], strict=False):
            if other.start - before <= one.end:
                raise ValueError(
                    f"the windows of the block from {other.start} reach into the block before it"
                )
        return self

    def _check_no_run_twice(self) -> None:
        """Refuse what would make one run twice: two workers could meet at its files."""
        lists = {"variants": self.variants, "seeds": self.seeds}
        lists |= {f"splits.{name}": folds for name, folds in self.splits.items()}
        for name, seeds in self.more_seeds.items():
            if VARIANTS[name].network is None:
                raise ValueError(f"more_seeds: {name} is a baseline, which draws nothing that matters")
            lists[f"more_seeds.{name}, after seeds"] = (*self.seeds, *seeds)
        for what, values in lists.items():
            if len(set(values)) < len(values):
                raise ValueError(f"{what}: {', '.join(map(str, values))} names one of them twice")

    @property
    def start(self) -> dt.date:
        """The first target day."""
        return self.blocks[0].start

    @property
    def end(self) -> dt.date:
        """The last target day."""
        return self.blocks[-1].end

    def identity(self) -> str:
        """Checksum of what decides a run; which runs there are may change from one start to the next."""
        free = {"name", "description", "splits", "variants", "seeds", "more_seeds", "explained", "satclip"}
        return sha256_of_bytes(self.model_dump_json(exclude=free).encode())

    def geolocation_of(self, network: NetworkVariant) -> Geolocation | None:
        """Return the encoder of a variant's network; None where the protocol names no encoder for it."""
        if network.geolocation != SATCLIP:
            return network.geolocation
        return None if self.satclip is None else str(self.satclip)

    def train_config(self, variant: Variant, seed: int) -> TrainConfig:
        """Return the training configuration of one network."""
        geolocation = None if variant.network is None else self.geolocation_of(variant.network)
        if variant.network is None or geolocation is None:
            raise ValueError(f"{variant.name} is no network, or one without an encoder")
        return TrainConfig(
            name=variant.name,
            description=self.name,
            features=self.features,
            geolocation=geolocation,
            network=self.network.model_copy(update={"fusion": variant.network.fusion}),
            window_days=self.window_days,
            start=self.start,
            end=self.end,
            holdout_fraction=0.0,
            holdout_seed=self.split_seed,
            seed=seed,
            **self.training.model_dump(),
        )


def read_study(path: Path) -> StudyConfig:
    """Read a protocol.

    Raises:
        BadConfig: it is absent, is not YAML, or has an unknown key or a value out of range.
    """
    return read_yaml(path, StudyConfig)
