"""From a pretraining run to an encoder with its card."""

from pathlib import Path

from pm25map.places.pretrain.config import PretrainConfig
from pm25map.places.pretrain.run import CHECKPOINT, Validation, read_checkpoint
from pm25map.places.pretrain.towers import Towers
from pm25map.places.siren import Siren
from pm25map.places.write import About

CITATION = (
    "Method: Radford et al. 2021 (CLIP, arXiv 2103.00020); Klemmer et al. 2023 (SatCLIP, arXiv 2311.17179); "
    "Russwurm et al. 2023 (arXiv 2310.06743)."
)
SOURCE = "pm25map places pretrain"
LICENCE = "MIT"


def finished(run: Path) -> tuple[Siren, About]:
    """Read a run: the weights of its location encoder, and what the card shall say.

    Raises:
        BadModel: there is no checkpoint, or it is damaged.
    """
    state = read_checkpoint(run / CHECKPOINT)
    config = PretrainConfig.model_validate_json(state["config"])
    towers = Towers(config, len(state["channels"]))
    towers.load_state_dict(state["towers"])
    last = Validation(*state["validations"][-1])
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
    about = About(
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
    return towers.location.siren(), about


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
