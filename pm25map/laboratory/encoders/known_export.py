"""ONNX networks of the encoders that nobody trained here, each in its folder with its card. Needs onnx."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from pm25map.base.errors import ParityFailed, UnknownName
from pm25map.base.files import replacing, sha256_of_bytes
from pm25map.base.shipped import find_folder
from pm25map.grid import Grid
from pm25map.laboratory.encoders.known import about, describe, geoclip_card
from pm25map.laboratory.encoders.onnx_graph import INPUT, OUTPUT, OnnxGraph
from pm25map.laboratory.encoders.siren_export import add_harmonics
from pm25map.laboratory.encoders.write import NETWORK, TOLERANCE, check_folder, measure_parity
from pm25map.places.card import CARD, EncoderCard
from pm25map.places.encoder import Latlon, LocationEncoder, Sincos
from pm25map.places.geoclip import CARD as GEOCLIP_CARD
from pm25map.places.geoclip import Geoclip
from pm25map.places.harmonics import Harmonics
from pm25map.places.some_capsules import SomeCapsules
from pm25map.places.trained import Trained


def write_known(encoder: LocationEncoder, folder: Path, grid: Grid) -> EncoderCard:
    """Write an encoder as a folder that `places.encoder.encoder` opens: its network, and its card.

    Args:
        encoder: raw, of sines, of harmonics, GeoCLIP or some of its capsules.
        folder: to write; an encoder that is there is replaced, anything else is not.
        grid: of the wavelength profile, in metres.

    Raises:
        ParityFailed: the network does not give what the encoder gives; nothing was written.
        UnknownName: the encoder is of another kind.
        BadOutput: the folder cannot be written.
    """
    check_folder(folder)
    network, told = build_known(encoder), about(encoder)
    with replacing(folder) as part:
        part.mkdir()
        (part / NETWORK).write_bytes(network)
        card = EncoderCard(
            **asdict(told),
            dimension=encoder.dimension,
            file=NETWORK,
            sha256=sha256_of_bytes(network),
            parity={},
            profile=describe(encoder, grid)["profile"],
        )
        (part / CARD).write_text(card.model_dump_json())
        card = card.model_copy(update={"parity": _parity(encoder, Trained(part))})
        without = {"patch", "weights", "weights_sha256"}
        (part / CARD).write_text(card.model_dump_json(indent=2, exclude=without) + "\n")
    return card


def build_known(encoder: LocationEncoder) -> bytes:
    """Write the graph: latlon float64 (place, 2) in degrees, latitude first; vector float32 (place, d).

    Raises:
        UnknownName: the encoder is of another kind.
    """
    if isinstance(encoder, Geoclip | SomeCapsules):
        return _geoclip(encoder)
    graph = OnnxGraph(np.float64)
    if isinstance(encoder, Latlon):
        vectors = graph.op("Div", INPUT, graph.array([90.0, 180.0]))
    elif isinstance(encoder, Sincos):
        radians = graph.op("Mul", INPUT, graph.array([np.pi / 180]))
        # As for harmonics: not every ONNX Runtime has a cosine in float64.
        sines = graph.op("Sin", radians)
        cosines = graph.op("Sin", graph.op("Add", radians, graph.array([np.pi / 2])))
        both = graph.op("Concat", sines, cosines, axis=1)
        vectors = graph.op("Gather", both, graph.array([0, 2, 1, 3], np.int64), axis=1)
    elif isinstance(encoder, Harmonics):
        mixed, columns = add_harmonics(graph, encoder.degree)
        vectors = graph.op("Gather", mixed, graph.array(np.argsort(columns), np.int64), axis=1)
    else:
        raise UnknownName(
            f"the encoder {encoder.name} is a folder already, with its network: copy that. Give latlon, sincos, "
            "harmonics-20, geoclip or geoclip-capsules-1-2"
        )
    graph.op("Cast", vectors, to=TensorProto.FLOAT, output=OUTPUT)
    notes = {"name": encoder.name, "order": "latitude, longitude in degrees"}
    given, told = (INPUT, ("place", 2)), (OUTPUT, ("place", encoder.dimension))
    return graph.network("encoder_of_places", given, told, "pm25map.places", notes)


def _geoclip(encoder: Geoclip | SomeCapsules) -> bytes:
    """Give the shipped network with an input of float64 and, where only some are asked for, some of its capsules."""
    card = geoclip_card()
    network = onnx.load(find_folder("models", "geoclip", GEOCLIP_CARD) / card["file"])
    graph = network.graph
    if isinstance(encoder, SomeCapsules):
        chosen = [graph.node[-1].input[row] for row in encoder.rows]
        del graph.node[-1].input[:]
        graph.node[-1].input.extend(chosen)
    narrow = f"{INPUT}_float32"
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == INPUT:
                node.input[i] = narrow
    graph.node.insert(0, helper.make_node("Cast", [INPUT], [narrow], to=TensorProto.FLOAT))
    graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    onnx.checker.check_model(network, full_check=True)
    content: bytes = network.SerializeToString(deterministic=True)
    return content


def _parity(encoder: LocationEncoder, made: Trained) -> dict[str, float]:
    """Compare a network with its encoder at random places; add what is known of GeoCLIP against float64."""
    found = measure_parity(lambda lat, lon: encoder.encode(lat, lon).astype(np.float64), made)
    out = {f"{name}_to_pm25map": value for name, value in found.items()}
    if not all(value <= TOLERANCE for value in out.values()):
        raise ParityFailed(f"the network of {encoder.name} differs from it by {out}. Nothing was written")
    if isinstance(encoder, Geoclip):
        known = geoclip_card()["parity"]
        out |= {name: float(known[f"{name}_relative_rms"]) for name in ("world", "conus")}
    return out
