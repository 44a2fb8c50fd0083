"""ONNX networks of published encoders, each in its folder with its card. Needs onnx."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from pm25map.base.errors import ParityFailed, UnknownName
from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.grid import Grid
from pm25map.laboratory.encoders.known import describe
from pm25map.laboratory.encoders.write import NETWORK, TOLERANCE, check_folder, measure_parity
from pm25map.places.card import EncoderCard, write_card
from pm25map.places.location_encoder import HasNetwork, LocationEncoder
from pm25map.places.trained import TrainedEncoder


def write_known(encoder: LocationEncoder, folder: Path, grid: Grid) -> EncoderCard:
    """Write an encoder as a folder that `places.catalogue.encoder` opens: its network, and its card.

    Args:
        encoder: any that is no folder yet.
        folder: to write; an encoder that is there is replaced, anything else is not.
        grid: of the wavelength profile, in metres.

    Raises:
        ParityFailed: the network does not give what the encoder gives; nothing was written.
        UnknownName: the encoder has no network to write.
        BadOutput: the folder cannot be written.
    """
    check_folder(folder)
    if not isinstance(encoder, HasNetwork):
        raise UnknownName(
            f"the encoder {encoder.name} is a folder already, with its network: copy that. Give latlon, sincos, "
            "harmonics-20, geoclip or geoclip-capsules-1-2"
        )
    network, about = encoder.network(), encoder.about()
    with replacing(folder) as part:
        part.mkdir()
        (part / NETWORK).write_bytes(network)
        card = EncoderCard(
            **asdict(about)
            | {
                "dimension": encoder.dimension,
                "file": NETWORK,
                "sha256": sha256_of_bytes(network),
                "parity": {},
                "profile": describe(encoder, grid)["profile"],
            }
        )
        write_card(card, part)
        card = card.model_copy(update={"parity": _parity(encoder, TrainedEncoder(part))})
        without = {"patch", "weights", "weights_sha256"}
        write_card(card, part, without=without)
    return card


def _parity(encoder: LocationEncoder, exported: TrainedEncoder) -> dict[str, float]:
    """Compare a network with its encoder at random places; add what is known of it against float64."""
    differences = measure_parity(lambda lat, lon: encoder.encode(lat, lon).astype(np.float64), exported)
    out = {f"{name}_to_pm25map": value for name, value in differences.items()}
    if not all(value <= TOLERANCE for value in out.values()):
        raise ParityFailed(f"the network of {encoder.name} differs from it by {out}. Nothing was written")
    return out | encoder.about().parity
