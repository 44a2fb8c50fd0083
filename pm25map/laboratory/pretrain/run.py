"""A pretraining run: steps, validation by retrieval, checkpoints; it goes on where it stopped."""

import math
import pickle
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pm25map.base.errors import BadConfig, BadModel
from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.laboratory.pretrain.config import PretrainConfig
from pm25map.laboratory.pretrain.pairs import PairSource
from pm25map.laboratory.pretrain.towers import Towers, augment

CHECKPOINT = "checkpoint.pt"

HELD_OUT_PAIRS = 1000

_WARM = 0.05


@dataclass(frozen=True)
class Validation:
    """The scores of a run after some steps.

    Attributes:
        step: steps done.
        loss: mean of the training loss since the last validation.
        temperature: learned.
        pairs: held-out pairs, HELD_OUT_PAIRS where the source has as many.
        top1: share of the patches whose place, among all of these, is the most similar.
        top10: share whose place is among the ten most similar.
    """

    step: int
    loss: float
    temperature: float
    pairs: int
    top1: float
    top10: float

    @property
    def times_chance(self) -> float:
        """Top 1 over what guessing reaches."""
        return self.top1 * self.pairs


class PretrainRun:
    """The state of a run, which starts from its checkpoint if there is one."""

    def __init__(self, config: PretrainConfig, source: PairSource, folder: Path, device: str = "cpu") -> None:
        """Build the towers, and load the checkpoint of the folder if it is of the same configuration and data.

        Raises:
            BadModel: the checkpoint is damaged.
            BadConfig: it is of another configuration or other data.
        """
        torch.manual_seed(config.seed)
        torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
        self.config, self.source, self.device = config, source, device
        self.path = folder / CHECKPOINT
        self.identity = identity_of(config, source)
        self.towers = Towers(config, len(source.channels)).to(device)
        self.optimizer = torch.optim.AdamW(
            self.towers.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0
        self.seconds = 0.0
        self.validations: list[Validation] = []
        if self.path.is_file():
            self._resume()

    def advance(
        self,
        until: Callable[[], bool],
        on_step: Callable[[int, int], None],
        on_validation: Callable[[Validation], None],
    ) -> bool:
        """Take steps until all are done, or until `until` holds at a checkpoint; return whether all are done."""
        config = self.config
        while self.step < config.steps:
            losses: list[float] = []
            began = time.monotonic()
            while self.step < config.steps and (not losses or self.step % config.validate_every):
                losses.append(self._take_step())
                on_step(self.step, config.steps)
            self.seconds += time.monotonic() - began
            self.validations.append(self._validate(float(np.mean(losses))))
            self._save()
            on_validation(self.validations[-1])
            if until():
                break
        return self.step >= config.steps

    def _take_step(self) -> float:
        # Every step has its own generator: a run that goes on draws what an unbroken one would.
        config, seed = self.config, [self.config.seed, self.step]
        pairs = self.source.draw(
            np.random.default_rng(seed), config.batch, held_out=False, shift_km=config.augment.shift_km
        )
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        patch = augment(torch.from_numpy(pairs.patch), config.augment, generator).to(self.device)
        basis = self.towers.basis(pairs.lat, pairs.lon).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(self.step / config.steps)
        loss = self.towers.train().loss(basis, patch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.towers.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.item())

    def _validate(self, loss: float) -> Validation:
        rng = np.random.default_rng([self.config.seed, 0x7A11D])
        pairs = self.source.draw(rng, HELD_OUT_PAIRS, held_out=True)
        with torch.no_grad():
            basis = self.towers.basis(pairs.lat, pairs.lon).to(self.device)
            logits, _ = self.towers.eval().logits(basis, torch.from_numpy(pairs.patch).to(self.device))
            own = logits.diagonal()
            # Ties count against the encoder: a constant one finds nothing.
            rank = (logits >= own).sum(dim=0) - 1
        top1, top10 = (float((rank < k).float().mean()) for k in (1, 10))
        return Validation(self.step, loss, self.towers.temperature, len(own), top1, top10)

    def _save(self) -> None:
        with replacing(self.path) as part:
            torch.save(
                {
                    "identity": self.identity,
                    "config": self.config.model_dump_json(),
                    "channels": list(self.source.channels),
                    "provenance": list(self.source.provenance),
                    "standardization": list(map(list, astuple(self.source.standardization))),
                    "towers": self.towers.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "step": self.step,
                    "seconds": self.seconds,
                    "validations": [list(astuple(v)) for v in self.validations],
                },
                part,
            )

    def _resume(self) -> None:
        state = read_checkpoint(self.path)
        if state["identity"] != self.identity:
            raise BadConfig(
                f"{self.path} is of another configuration or other data. Choose another folder, or remove it"
            )
        self.towers.load_state_dict(state["towers"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.validations = [Validation(*values) for values in state["validations"]]


def identity_of(config: PretrainConfig, source: PairSource) -> str:
    """Return the SHA-256 of everything that decides a run: its configuration, and the data by their checksums."""
    return sha256_of_bytes(config.model_dump_json().encode(), repr(source.provenance).encode())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run.

    Raises:
        BadModel: it is absent or damaged.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        return dict(state) | {"step": int(state["step"]), "identity": str(state["identity"])}
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split())[:120]
        raise BadModel(
            f"{path} is no checkpoint of a pretraining run: {reason}. Run pm25map lab places pretrain"
        ) from error


def _schedule(progress: float) -> float:
    """Return the share of the highest learning rate: a warm-up, then half a cosine."""
    if progress < _WARM:
        return (progress + 1e-4) / _WARM
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM) / (1 - _WARM)))
