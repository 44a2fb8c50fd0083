"""Write the patch tower of a pretraining run (pretrain.towers.PatchTowerModule) as an ONNX network. Needs onnx."""

import numpy as np
import numpy.typing as npt

from pm25map.places.location_encoder import OUTPUT
from pm25map.places.onnx_graph import OnnxGraph

INPUT = "patch"

_GROUPS = 8
"""Of every group norm of the tower."""

Weights = dict[str, npt.NDArray[np.float32]]


def build_patch_network(weights: Weights, pixels: int, metadata: dict[str, str]) -> bytes:
    """Write the graph: patch float32 (patch, channel, y, x), standardized; vector float32 (patch, d).

    Args:
        weights: of the tower, by torch's names.
        pixels: a side of a patch.
        metadata: to keep in the file.
    """
    graph, side, hidden = _Patches(np.float32), pixels, INPUT
    channels = weights["means.weight"].shape[1]
    convolutions = [key for key in weights if key.startswith("stages.") and weights[key].ndim == 4]
    for key in convolutions:
        stage = int(key.split(".")[1])
        hidden = graph.op(
            "Conv",
            hidden,
            graph.array(weights[key]),
            graph.array(weights[f"stages.{stage}.bias"]),
            kernel_shape=[3, 3],
            strides=[2, 2],
            pads=[1, 1, 1, 1],
        )
        side = (side + 1) // 2
        scale, shift = (weights[f"stages.{stage + 1}.{kind}"] for kind in ("weight", "bias"))
        hidden = graph.gelu(graph.group_norm(hidden, scale, shift, side))
    width = weights[convolutions[-1]].shape[0]
    rest = graph.average(hidden, width, side)
    means = graph.op("ReduceMean", INPUT, axes=[2, 3], keepdims=0)
    hidden = graph.op("Concat", rest, graph.gelu(graph.linear(means, weights, "means")), axis=1)
    hidden = graph.gelu(graph.linear(hidden, weights, "out.0"))
    graph.linear(hidden, weights, "out.2", output=OUTPUT)
    input_ = INPUT, ("place", channels, pixels, pixels)
    output = OUTPUT, ("place", weights["out.2.weight"].shape[0])
    return graph.network(
        "patch_tower", input_, output, "pm25map.places", {**metadata, "order": "row 0 is north"}
    )


class _Patches(OnnxGraph):
    """The layers of the tower, as torch has them."""

    def linear(self, value: str, weights: Weights, name: str, output: str | None = None) -> str:
        weight, bias = self.array(weights[f"{name}.weight"]), self.array(weights[f"{name}.bias"])
        return self.op("Gemm", value, weight, bias, transB=1, output=output)

    def gelu(self, value: str) -> str:
        bell = self.op("Erf", self.op("Mul", value, self.array([np.sqrt(0.5)])))
        half = self.op("Mul", value, self.array([0.5]))
        return self.op("Mul", half, self.op("Add", bell, self.array([1.0])))

    def group_norm(
        self, value: str, scale: npt.NDArray[np.float32], shift: npt.NDArray[np.float32], side: int
    ) -> str:
        # A group is one instance of one channel; epsilon is torch's.
        grouped = self.op("Reshape", value, self.array([0, _GROUPS, -1], np.int64))
        ones, zeros = self.array(np.ones(_GROUPS)), self.array(np.zeros(_GROUPS))
        even = self.op("InstanceNormalization", grouped, ones, zeros, epsilon=1e-5)
        whole = self.op("Reshape", even, self.array([0, len(scale), side, side], np.int64))
        scaled = self.op("Mul", whole, self.array(scale[:, None, None]))
        return self.op("Add", scaled, self.array(shift[:, None, None]))

    def average(self, value: str, width: int, side: int) -> str:
        """Average to at most 2 x 2 and flatten: torch's adaptive average as one product with a constant."""
        rest = min(side, 2)
        line = np.zeros((side, rest))
        for i in range(rest):
            first, last = i * side // rest, -(-(i + 1) * side // rest)
            line[first:last, i] = 1 / (last - first)
        flat = self.op("Reshape", value, self.array([0, width, side * side], np.int64))
        small = self.op("MatMul", flat, self.array(np.kron(line, line)))
        return self.op("Reshape", small, self.array([0, width * rest * rest], np.int64))
