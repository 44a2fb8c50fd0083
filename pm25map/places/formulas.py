"""Location encoders that are short formulas of latitude and longitude."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pm25map.base.files import sha256_of_bytes
from pm25map.places.card import About
from pm25map.places.location_encoder import INPUT, OUTPUT, Vectors, checked

if TYPE_CHECKING:
    from pm25map.places.onnx_graph import OnnxGraph


class Latlon:
    """Latitude and longitude themselves, scaled to [-1, 1]."""

    name = "latlon"
    dimension = 2
    checksum = sha256_of_bytes(b"lat/90, lon/180")

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Return (lat/90, lon/180); see LocationEncoder.encode."""
        north, east = checked(lat, lon)
        return np.stack([north / 90, east / 180], axis=1).astype(np.float32)

    def about(self) -> About:
        """See LocationEncoder.about."""
        return about_formula(self.name, "latitude / 90 and longitude / 180")

    def network(self) -> bytes:
        """See HasNetwork.network."""
        return write_formula(
            self.name, self.dimension, lambda graph: graph.op("Div", INPUT, graph.array([90.0, 180.0]))
        )


class Sincos:
    """Sine and cosine of latitude and of longitude, so that 180 W and 180 E are one."""

    name = "sincos"
    dimension = 4
    checksum = sha256_of_bytes(b"sin lat, cos lat, sin lon, cos lon")

    def encode(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Vectors:
        """Return (sin lat, cos lat, sin lon, cos lon); see LocationEncoder.encode."""
        north, east = (np.deg2rad(degrees) for degrees in checked(lat, lon))
        return np.stack([np.sin(north), np.cos(north), np.sin(east), np.cos(east)], axis=1).astype(np.float32)

    def about(self) -> About:
        """See LocationEncoder.about."""
        return about_formula(self.name, "sine and cosine of latitude and of longitude")

    def network(self) -> bytes:
        """See HasNetwork.network."""

        def sines_and_cosines(graph: "OnnxGraph") -> str:
            radians = graph.op("Mul", INPUT, graph.array([np.pi / 180]))
            # As for harmonics: not every ONNX Runtime has a cosine in float64.
            sines = graph.op("Sin", radians)
            cosines = graph.op("Sin", graph.op("Add", radians, graph.array([np.pi / 2])))
            both = graph.op("Concat", sines, cosines, axis=1)
            return graph.op("Gather", both, graph.array([0, 2, 1, 3], np.int64), axis=1)

        return write_formula(self.name, self.dimension, sines_and_cosines)


def about_formula(name: str, description: str, citation: str = "none: a formula") -> About:
    """Return the card's texts of an encoder that is a formula: nothing was learned."""
    return About(
        name=name,
        description=description,
        licence="none needed: a formula",
        citation=citation,
        source="pm25map",
        training_domain="none: nothing was learned; the whole globe",
    )


def write_formula(name: str, dimension: int, vectors: "Callable[[OnnxGraph], str]") -> bytes:
    """Write the network of a formula in float64.

    Args:
        name: of the encoder.
        dimension: of its vectors.
        vectors: adds them to a graph and returns the name of the result, float64 (place, dimension).
    """
    from onnx import TensorProto  # noqa: PLC0415 - only where a network is written

    from pm25map.places.onnx_graph import OnnxGraph  # noqa: PLC0415

    graph = OnnxGraph(np.float64)
    graph.op("Cast", vectors(graph), to=TensorProto.FLOAT, output=OUTPUT)
    notes = {"name": name, "order": "latitude, longitude in degrees"}
    network_input, network_output = (INPUT, ("place", 2)), (OUTPUT, ("place", dimension))
    return graph.network("encoder_of_places", network_input, network_output, "pm25map.places", notes)
