"""Write a SIREN on spherical harmonics as an ONNX network. Needs onnx.

The harmonics are part of the graph, in float64 whatever the precision of the layers: a recurrence over 40
degrees is no place to save bits, and it costs a tenth of the layers.
"""

import numpy as np
from onnx import TensorProto

from pm25map.laboratory.encoders.siren import Siren
from pm25map.places.harmonics import add_harmonics
from pm25map.places.location_encoder import INPUT, OUTPUT
from pm25map.places.onnx_graph import OnnxGraph


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
    input_, output = (INPUT, ("place", 2)), (OUTPUT, ("place", siren.dimension))
    return graph.network("siren_on_spherical_harmonics", input_, output, "pm25map.places", notes)
