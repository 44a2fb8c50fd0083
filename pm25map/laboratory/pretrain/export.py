"""Export of a pretraining run to an encoder with its card, and to the tower for patches beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from pm25map.base.errors import BadConfig, BadModel
from pm25map.base.files import sha256_of_bytes
from pm25map.laboratory.encoders.patch_export import build_patch_network
from pm25map.laboratory.encoders.siren import Siren
from pm25map.laboratory.encoders.vision import Standardization
from pm25map.laboratory.encoders.write import PatchNetwork
from pm25map.laboratory.pretrain.config import PretrainConfig
from pm25map.laboratory.pretrain.pairs import open_pairs
from pm25map.laboratory.pretrain.run import CHECKPOINT, Validation, identity_of, read_checkpoint
from pm25map.laboratory.pretrain.towers import Towers
from pm25map.places.card import About, PatchTower

CITATION = (
    "Method: Radford et al. 2021 (CLIP, arXiv 2103.00020); Klemmer et al. 2023 (SatCLIP, arXiv 2311.17179); "
    "Russwurm et al. 2023 (arXiv 2310.06743)."
)
SOURCE = "pm25map lab places pretrain"
LICENCE = "MIT"


PATCH_NETWORK = "patch.onnx"

_COMPARED = 256
"""Patches on which the network of the patch tower is compared with float64."""


def finished(run: Path, data: Path | None = None) -> tuple[Siren, About, PatchNetwork]:
    """Read a run: the weights of its location encoder, what the card shall say, and its tower for patches.

    Args:
        run: folder of the run.
        data: the folder that it learned from, for runs whose checkpoint does not hold the spread of the channels.

    Raises:
        BadModel: there is no checkpoint, it is damaged or of another layout.
        BadConfig: the checkpoint needs `data`, and there is none, or other data than the run had.
        BadRaster: a raster of `data` is absent or not of the world.
    """
    path = run / CHECKPOINT
    state = read_checkpoint(path)
    try:
        config = PretrainConfig.model_validate_json(state["config"])
        towers = Towers(config, len(state["channels"]))
        towers.load_state_dict(state["towers"])
        last = Validation(*state["validations"][-1])
        about = _about(config, state, last)
    except (KeyError, IndexError, TypeError, ValueError, ValidationError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise BadModel(
            f"{path} is of another layout than this version's runs: {reason}. Train again: pm25map lab places pretrain"
        ) from error
    standardization = _standardization(path, state, config, data)
    return towers.location.siren(), about, _patch_network(towers, config, state, standardization)


def _about(config: PretrainConfig, state: dict[str, Any], last: Validation) -> About:
    training: dict[str, float | int | str] = {
        "pairs": state["step"] * config.batch,
        "steps": state["step"],
        "steps_planned": config.steps,
        "minutes": round(state["seconds"] / 60, 1),
        "held_out_pairs": last.pairs,
        "held_out_blocks_deg": config.holdout_block_deg,
        "retrieval_top1": round(last.top1, 4),
        "retrieval_top10": round(last.top10, 4),
        "temperature": round(last.temperature, 4),
        "degree": config.encoder.degree,
        "seed": config.seed,
    }
    return About(
        name=config.name,
        description=config.description,
        licence=LICENCE,
        citation=CITATION,
        source=SOURCE,
        training_domain=_domain(config),
        seen=config.seen,
        training=training,
        provenance=tuple(state["provenance"]),
    )


def _standardization(
    path: Path, state: dict[str, Any], config: PretrainConfig, data: Path | None
) -> Standardization:
    """Return the spread of the channels: of the checkpoint, or measured again on the same data."""
    if "standardization" in state:
        mean, spread = state["standardization"]
        return Standardization(tuple(mean), tuple(spread))
    if data is None:
        raise BadConfig(
            f"{path} does not hold the spread of its channels. Name the folder that the run learned from: --data"
        )
    source = open_pairs(config, data)
    if identity_of(config, source) != state["identity"]:
        raise BadConfig(f"{data} is not what {path} learned from: checksums differ. Name that folder")
    return source.standardization


def _patch_network(
    towers: Towers, config: PretrainConfig, state: dict[str, Any], standardization: Standardization
) -> PatchNetwork:
    tower = towers.patch.eval()
    weights = {name: value.numpy() for name, value in tower.state_dict().items()}
    side = (config.rasters or config.patches).pixels  # type: ignore[union-attr]  # one of the two is there
    network = build_patch_network(weights, side, {"name": config.name, "licence": LICENCE, "source": SOURCE})
    shape = (_COMPARED, len(state["channels"]), side, side)
    patches = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with torch.no_grad():
        exact = tower.double()(torch.from_numpy(patches).double()).numpy()
    card = PatchTower(
        file=PATCH_NETWORK,
        sha256=sha256_of_bytes(network),
        channels=tuple(state["channels"]),
        mean=tuple(float(f"{number:.7g}") for number in standardization.mean),
        spread=tuple(float(f"{number:.7g}") for number in standardization.spread),
        temperature=float(f"{towers.temperature:.6g}"),
        parity=0.0,
        rasters=config.rasters,
        patches=config.patches,
        holdout_block_deg=config.holdout_block_deg,
        holdout_fraction=config.holdout_fraction,
        seed=config.seed,
    )
    return PatchNetwork(network, card, patches, exact)


def _domain(config: PretrainConfig) -> str:
    if config.rasters is None:
        return "the places of a folder of patches"
    land = config.rasters.land
    side = config.rasters.pixels * config.rasters.step_km
    return (
        f"places drawn evenly over the land between {land.south:g} and {land.north:g} degrees north, with the "
        f"{side:g} km around them; {100 * config.holdout_fraction:g} % of the blocks of "
        f"{config.holdout_block_deg:g} degrees held out"
    )
