"""Writes GeoCLIP's location encoder as an ONNX network with its card: python models/geoclip/make.py [--out FOLDER].

The graph is written by hand from the equations of
GeoCLIP: Equal Earth projection, three random Fourier encodings, one perceptron each, and their sum.
"""

import math
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto

from pm25map.base.card_file import card_text
from pm25map.base.errors import BadModel, ParityFailed
from pm25map.base.files import check_output, replacing, sha256_of_bytes, sha256_of_file
from pm25map.grid import load_grid
from pm25map.laboratory.encoders.profile import profile_of
from pm25map.laboratory.locate.geoclip_package import packaged
from pm25map.places.geoclip import CARD, Geoclip
from pm25map.places.location_encoder import INPUT, OUTPUT
from pm25map.places.onnx_graph import OnnxGraph

WEIGHTS = "location_encoder_weights.pth"
WEIGHTS_SHA256 = "94b80ae3af89fca78539e129dd2929d321247f5ceeeb0a31bc2c31041a253394"
FILE = "geoclip-location.onnx"
DIMENSION = 512
TOLERANCE = 2e-3
"""Relative RMS to float64 above which nothing is written; rounding the weights to float16 costs 7e-4."""

SOURCE = "https://github.com/VicenteVivan/geo-clip"
LICENCE = "MIT, Copyright (c) 2024 Vicente Vivanco"
CITATION = (
    "Vivanco Cepeda, V., Nayak, G. K., Shah, M. (2023). GeoCLIP: Clip-Inspired Alignment between Locations "
    "and Images for Effective Worldwide Geo-localization. "
    "Advances in Neural Information Processing Systems 36."
)

# Equal Earth projection (Savric, Patterson, Jenny 2018), and GeoCLIP's scale to about [-1, 1].
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796
SCALE = 66.50336 / 180

CAPSULES = 3
LAYERS = ("capsule.1", "capsule.3", "capsule.5", "head.0")

Weights = dict[str, npt.NDArray[np.float32]]


def read_weights() -> Weights:
    """Read the weights that the geoclip package brings, without importing it (it would load a vision model).

    Raises:
        BadInstall: the package is absent, or brings no weights.
        BadModel: its weights are not those that this file was written for.
    """
    path = packaged(WEIGHTS)
    if sha256_of_file(path) != WEIGHTS_SHA256:
        raise BadModel(f"the geoclip package brings other weights than expected: {path}. Use geoclip 1.3")
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def encode_exactly(weights: Weights, lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Encode places in float64 straight from the equations: what the network is compared to."""
    phi, lam = np.deg2rad(np.asarray(lat, np.float64)), np.deg2rad(np.asarray(lon, np.float64))
    theta = np.arcsin(math.sqrt(3) / 2 * np.sin(phi))
    slope = 3 * (9 * A4 * theta**8 + 7 * A3 * theta**6 + 3 * A2 * theta**2 + A1)
    x = 2 * math.sqrt(3) * lam * np.cos(theta) / slope
    y = A4 * theta**9 + A3 * theta**7 + A2 * theta**3 + A1 * theta
    xy = np.stack([x, y], axis=1) * SCALE
    total = np.zeros((xy.shape[0], DIMENSION))
    for index in range(CAPSULES):
        phase = 2 * np.pi * xy @ weights[f"LocEnc{index}.capsule.0.b"].astype(np.float64).T
        hidden = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        for layer in LAYERS:
            name = f"LocEnc{index}.{layer}"
            hidden = hidden @ weights[f"{name}.weight"].astype(np.float64).T + weights[f"{name}.bias"]
            if layer != LAYERS[-1]:
                hidden = np.maximum(hidden, 0)
        total += hidden
    return total


def build_network(weights: Weights) -> bytes:
    """Write the graph: input latlon float32 (place, 2) in degrees, output vector float32 (place, 512)."""
    graph = OnnxGraph(np.float32)
    lat = graph.op("Gather", INPUT, graph.array([0], np.int64), axis=1)
    lon = graph.op("Gather", INPUT, graph.array([1], np.int64), axis=1)
    theta = graph.op("Asin", graph.times(graph.op("Sin", graph.times(lat, math.pi / 180)), math.sqrt(3) / 2))
    square = graph.op("Mul", theta, theta)
    slope = graph.polynomial(square, [27 * A4, 21 * A3, 0, 9 * A2, 3 * A1])
    x = graph.op("Mul", graph.times(lon, 2 * math.sqrt(3) * math.pi / 180), graph.op("Cos", theta))
    y = graph.op("Mul", theta, graph.polynomial(square, [A4, A3, 0, A2, A1]))
    xy = graph.times(graph.op("Concat", graph.op("Div", x, slope), y, axis=1), 2 * math.pi * SCALE)
    heads = []
    for index in range(CAPSULES):
        frequencies = flush(weights[f"LocEnc{index}.capsule.0.b"])
        phase = graph.op("MatMul", xy, graph.array(frequencies.T))
        hidden = graph.op("Concat", graph.op("Cos", phase), graph.op("Sin", phase), axis=1)
        for layer in LAYERS:
            name = f"LocEnc{index}.{layer}"
            # float16 halves the file; ONNX Runtime widens the weights once, when it opens the network.
            narrow = graph.array(flush(weights[f"{name}.weight"]), np.float16)
            wide = graph.op("Cast", narrow, to=TensorProto.FLOAT)
            hidden = graph.op("Gemm", hidden, wide, graph.array(flush(weights[f"{name}.bias"])), transB=1)
            if layer != LAYERS[-1]:
                hidden = graph.op("Relu", hidden)
        heads.append(hidden)
    graph.op("Sum", *heads, output=OUTPUT)
    notes = {
        "source": SOURCE,
        "weights_sha256": WEIGHTS_SHA256,
        "licence": LICENCE,
        "attribution": CITATION,
        "order": "latitude, longitude in degrees",
    }
    given, told = (INPUT, ("place", 2)), (OUTPUT, ("place", DIMENSION))
    return graph.network("geoclip_location_encoder", given, told, "pm25map.places.geoclip_export", notes)


def flush(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Set denormal numbers to zero: GeoCLIP has 97 thousand, and they slow some processors."""
    return np.where(np.abs(values) < np.finfo(np.float32).tiny, np.float32(0), values)


def measure_parity(weights: Weights, folder: Path) -> dict[str, float]:
    """Compare the network with float64 at random places of the contiguous United States and of the world."""
    network, rng = Geoclip(folder), np.random.default_rng(0)
    parity = {}
    for name, (south, north, west, east) in {
        "conus": (24, 50, -125, -66),
        "world": (-90, 90, -180, 180),
    }.items():
        lat, lon = rng.uniform(south, north, 2048), rng.uniform(west, east, 2048)
        # Both get the same places: float32 holds a longitude to within half a metre.
        lat, lon = lat.astype(np.float32), lon.astype(np.float32)
        exact = encode_exactly(weights, lat, lon)
        error = network.encode(lat, lon) - exact
        parity[f"{name}_relative_rms"] = float(f"{np.sqrt((error**2).mean() / (exact**2).mean()):.1e}")
    return parity


PHOTOS = (
    "MediaEval Placing Task 2016 (MP-16): 4.72 million photos of Flickr with their coordinates; most are of cities "
    "and parks, of North America and Europe"
)


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path(__file__).parent,
    help="Folder to write to; made if absent. Default: the one of this file.",
)
def main(out: Path) -> None:
    """Export GeoCLIP's location encoder from the geoclip package, and check it against float64."""
    weights = read_weights()
    out.mkdir(parents=True, exist_ok=True)
    check_output(out / FILE, overwrite=True)
    network = build_network(weights)
    card: dict[str, Any] = {
        "name": "geoclip",
        "dimension": DIMENSION,
        "file": FILE,
        "sha256": sha256_of_bytes(network),
        "source": SOURCE,
        "weights_sha256": WEIGHTS_SHA256,
        "licence": LICENCE,
        "citation": CITATION,
        "order": ["latitude", "longitude"],
        "units": "degrees",
    }
    with replacing(out / FILE) as part:
        part.write_bytes(network)
        (part.parent / CARD).write_text(card_text(card))
        card["parity"] = measure_parity(weights, part.parent)
        if not all(value <= TOLERANCE for value in card["parity"].values()):
            raise ParityFailed(f"the network differs from float64 by {card['parity']}, more than {TOLERANCE}")
        card |= {"training_domain": PHOTOS, "seen": ["photos"]}
        card["profile"] = profile_of(Geoclip(part.parent), load_grid("conus-10km")).model_dump()
    with replacing(out / CARD) as part:
        part.write_text(card_text(card, indent=2))
    click.echo(f"{out / FILE}: {len(network) / 1e6:.1f} MB, relative RMS to float64 {card['parity']}")


if __name__ == "__main__":
    main()
