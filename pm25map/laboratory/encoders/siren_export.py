"""Write a SIREN on spherical harmonics as an ONNX network. Needs onnx.

The harmonics are part of the graph, in float64 whatever the precision of the layers: a recurrence over 40
degrees is no place to save bits, and it costs a tenth of the layers.
"""

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from pm25map.laboratory.encoders.onnx_graph import INPUT, OUTPUT, OnnxGraph
from pm25map.laboratory.encoders.siren import Siren
from pm25map.places.harmonics import recurrence


def build_network(siren: Siren, metadata: dict[str, str]) -> bytes:
    """Write the graph: latlon float64 (place, 2) in degrees, latitude first; vector float32 (place, d)."""
    graph = OnnxGraph(np.float64)
    hidden, columns = add_harmonics(graph, siren.degree)
    kind = TensorProto.FLOAT if siren.precision is np.float32 else TensorProto.DOUBLE
    hidden = graph.op("Cast", hidden, to=kind)
    last = len(siren.weights) - 1
    for i, (weight, bias) in enumerate(zip(siren.weights, siren.biases, strict=True)):
        ordered = weight[:, columns] if i == 0 else weight
        # The factor inside the sine is one with the layer.
        factor = 1.0 if i == last else siren.frequencies[i]
        product = graph.op("MatMul", hidden, graph.array(ordered.T * factor, siren.precision))
        hidden = graph.op("Add", product, graph.array(bias * factor, siren.precision))
        if i < last:
            hidden = graph.op("Sin", hidden)
    graph.op("Cast", hidden, to=TensorProto.FLOAT, output=OUTPUT)
    notes = {**metadata, "order": "latitude, longitude in degrees"}
    given, told = (INPUT, ("place", 2)), (OUTPUT, ("place", siren.dimension))
    return graph.network("siren_on_spherical_harmonics", given, told, "pm25map.places", notes)


def add_harmonics(graph: OnnxGraph, degree: int) -> tuple[str, npt.NDArray[np.int64]]:
    """Add the harmonics; give their name and, for each of its columns, the column of `harmonics` it is."""
    # Numbers of shape (1,), not scalars: shipped networks are so, and the same weights must give the same bytes.
    radians = graph.op("Mul", INPUT, graph.array([np.pi / 180]))
    north, east = graph.columns(radians, 0, 1), graph.columns(radians, 1, 2)
    quarter = graph.array([np.pi / 2])  # ONNX Runtime has no cosine in float64 everywhere
    level = graph.op("Sin", graph.op("Add", north, quarter))
    z = graph.op("Sin", north)
    x = graph.op("Mul", level, graph.op("Sin", graph.op("Add", east, quarter)))
    y = graph.op("Mul", level, graph.op("Sin", east))
    nothing = graph.op("Mul", z, graph.array([0.0]))
    one = graph.op("Add", nothing, graph.array([1.0]))
    real, imaginary = [one], [nothing]
    for _ in range(degree):
        before = real[-1], imaginary[-1]
        real.append(graph.op("Sub", graph.op("Mul", before[0], x), graph.op("Mul", before[1], y)))
        imaginary.append(graph.op("Add", graph.op("Mul", before[0], y), graph.op("Mul", before[1], x)))
    cosines, sines = graph.op("Concat", *real, axis=1), graph.op("Concat", *imaginary, axis=1)
    constants = recurrence(degree)
    before_last = last = graph.op("Mul", cosines, graph.array([0.0]))
    parts: list[str] = []
    columns: list[int] = []
    for ell in range(degree + 1):
        up = graph.op("Mul", graph.op("Mul", last, z), graph.array(constants.up[ell]))
        back = graph.op("Mul", before_last, graph.array(constants.back[ell]))
        now = graph.op("Add", graph.op("Sub", up, back), graph.array(constants.start[ell]))
        before_last, last = last, now
        middle = ell * ell + ell
        parts.append(graph.columns(graph.op("Mul", now, cosines), 0, ell + 1))
        columns.extend(range(middle, middle + ell + 1))
        if ell:
            parts.append(graph.columns(graph.op("Mul", now, sines), 1, ell + 1))
            columns.extend(range(middle - 1, middle - ell - 1, -1))
    return graph.op("Concat", *parts, axis=1), np.array(columns)
