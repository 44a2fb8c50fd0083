"""Write an encoder as a folder: network, weights and card, all or nothing. Needs onnx and safetensors."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from pm25map.base.errors import BadOutput, ParityFailed
from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.grid import Grid
from pm25map.laboratory.encoders.profile import profile_of
from pm25map.laboratory.encoders.siren import Siren
from pm25map.laboratory.encoders.siren_export import build_network
from pm25map.laboratory.encoders.vision import Vision
from pm25map.places.card import About, EncoderCard, PatchTower, is_encoder, write_card
from pm25map.places.trained import TrainedEncoder

Degrees = npt.NDArray[np.float64]

NETWORK, WEIGHTS = "encoder.onnx", "weights.safetensors"

TOLERANCE = 1e-4
"""Relative RMS to float64 above which nothing is written."""

_PLACES = 2048


@dataclass(frozen=True)
class PatchNetwork:
    """A network for patches, and its reference vectors.

    Attributes:
        network: ONNX.
        card: all but its parity.
        patches: float32 (patch, channel, y, x), standardized.
        exact: their vectors in float64 (patch, d).
    """

    network: bytes
    card: PatchTower
    patches: npt.NDArray[np.float32]
    exact: npt.NDArray[np.float64]


def write_encoder(
    siren: Siren, about: About, folder: Path, grid: Grid, patch: PatchNetwork | None = None
) -> EncoderCard:
    """Write an encoder, compare its network with float64, and measure how it varies over a grid.

    Args:
        siren: the weights.
        about: for the card.
        folder: to write; an encoder that is there is replaced, anything else is not.
        grid: of the wavelength profile, in metres.
        patch: the network for patches, where there is one.

    Raises:
        ParityFailed: a network differs from the equations; nothing was written.
        BadOutput: the folder cannot be written.
    """
    check_folder(folder)
    network = build_network(siren, {"name": about.name, "licence": about.licence, "source": about.source})
    tensors = {}
    for i, (weight, bias) in enumerate(zip(siren.weights, siren.biases, strict=True)):
        tensors[f"layers.{i}.weight"] = np.ascontiguousarray(weight, siren.precision)
        tensors[f"layers.{i}.bias"] = np.ascontiguousarray(bias, siren.precision)
    metadata = {"name": about.name, "frequencies": " ".join(f"{w:g}" for w in siren.frequencies)}
    weights = save(tensors, metadata)
    with replacing(folder) as part:
        part.mkdir()
        (part / NETWORK).write_bytes(network)
        (part / WEIGHTS).write_bytes(weights)
        card = EncoderCard(
            **asdict(about)
            | {
                "dimension": siren.dimension,
                "file": NETWORK,
                "sha256": sha256_of_bytes(network),
                "weights": WEIGHTS,
                "weights_sha256": sha256_of_bytes(weights),
                "parity": {"world": 0.0, "conus": 0.0},
                "profile": {"grid": grid.name, "cutoffs_km": (), "share": (), "gradient_per_km": 0.0},
            }
        )
        write_card(card, part)
        encoder = TrainedEncoder(part)
        parity = measure_parity(siren.encode_exactly, encoder)
        if not all(value <= TOLERANCE for value in parity.values()):  # not by max, which passes over NaN
            raise ParityFailed(
                f"the network of {about.name} differs from float64 by {parity}, above {TOLERANCE}"
            )
        measured = {"parity": parity, "profile": profile_of(encoder, grid)}
        card = card.model_copy(
            update=measured | ({} if patch is None else {"patch": _write_patch(patch, part)})
        )
        without = {"patch"} if card.patch is None else set()
        write_card(card, part, without=without)
    return card


def check_folder(folder: Path) -> None:
    """Refuse a folder that an encoder cannot be written to.

    Raises:
        BadOutput: it holds something else, or the one above it is absent.
    """
    if folder.exists() and not (is_encoder(folder) or (folder.is_dir() and not any(folder.iterdir()))):
        raise BadOutput(f"{folder} exists and is no encoder. Choose another name")
    if not folder.absolute().parent.is_dir():
        parent = folder.absolute().parent
        raise BadOutput(f"cannot write {folder}: {parent} does not exist. Make it first: mkdir -p {parent}")


def _write_patch(patch: PatchNetwork, folder: Path) -> PatchTower:
    """Write the network for patches, and compare it with float64."""
    (folder / patch.card.file).write_bytes(patch.network)
    estimated = Vision(folder.name, patch.card, patch.network).see_standardized(patch.patches)
    exact = patch.exact / np.linalg.norm(patch.exact, axis=1, keepdims=True)
    parity = float(f"{np.sqrt(((estimated - exact) ** 2).mean() / (exact**2).mean()):.1e}")
    if not parity <= TOLERANCE:
        raise ParityFailed(
            f"the network for patches differs from float64 by {parity}, above {TOLERANCE}. Nothing was written"
        )
    return patch.card.model_copy(update={"parity": parity})


def measure_parity(exact: Callable[[Degrees, Degrees], Degrees], encoder: TrainedEncoder) -> dict[str, float]:
    """Return the relative RMS error of a network against exact vectors, at random places of the world and of CONUS."""
    rng, out = np.random.default_rng(0), {}
    for name, (south, north, west, east) in {
        "world": (-90, 90, -180, 180),
        "conus": (24, 50, -125, -66),
    }.items():
        lat, lon = rng.uniform(south, north, _PLACES), rng.uniform(west, east, _PLACES)
        wanted = exact(lat, lon)
        error = encoder.encode(lat, lon) - wanted
        out[name] = float(f"{np.sqrt((error**2).mean() / (wanted**2).mean()):.1e}")
    return out
