"""Write the patch tower of a pretraining run (pretrain.towers.PatchTower) as an ONNX network. Needs onnx."""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from pm25map.places.siren_export import Graph

INPUT, OUTPUT = "patch", "vector"

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
    graph, side, hidden = _Patches(), pixels, INPUT
    channels = weights["means.weight"].shape[1]
    convolutions = [key for key in weights if key.startswith("stages.") and weights[key].ndim == 4]
    for key in convolutions:
        stage = int(key.split(".")[1])
        hidden = graph.op(
            "Conv",
            hidden,
            graph.floats(weights[key]),
            graph.floats(weights[f"stages.{stage}.bias"]),
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
    network = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "patch_tower",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["place", channels, pixels, pixels])],
            [
                helper.make_tensor_value_info(
                    OUTPUT, TensorProto.FLOAT, ["place", weights["out.2.weight"].shape[0]]
                )
            ],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="pm25map.places",
    )
    helper.set_model_props(network, {**metadata, "order": "row 0 is north"})
    onnx.checker.check_model(network, full_check=True)
    content: bytes = network.SerializeToString(deterministic=True)
    return content


class _Patches(Graph):
    """The layers of the tower, as torch has them."""

    def floats(self, values: npt.ArrayLike) -> str:
        return self.array(values, np.float32)

    def linear(self, value: str, weights: Weights, name: str, output: str | None = None) -> str:
        weight, bias = self.floats(weights[f"{name}.weight"]), self.floats(weights[f"{name}.bias"])
        return self.op("Gemm", value, weight, bias, transB=1, output=output)

    def gelu(self, value: str) -> str:
        bell = self.op("Erf", self.op("Mul", value, self.floats(np.sqrt(0.5))))
        half = self.op("Mul", value, self.floats(0.5))
        return self.op("Mul", half, self.op("Add", bell, self.floats(1.0)))

    def group_norm(
        self, value: str, scale: npt.NDArray[np.float32], shift: npt.NDArray[np.float32], side: int
    ) -> str:
        # A group is one instance of one channel; epsilon is torch's.
        grouped = self.op("Reshape", value, self.array([0, _GROUPS, -1], np.int64))
        ones, zeros = self.floats(np.ones(_GROUPS)), self.floats(np.zeros(_GROUPS))
        even = self.op("InstanceNormalization", grouped, ones, zeros, epsilon=1e-5)
        whole = self.op("Reshape", even, self.array([0, len(scale), side, side], np.int64))
        scaled = self.op("Mul", whole, self.floats(scale[:, None, None]))
        return self.op("Add", scaled, self.floats(shift[:, None, None]))

    def average(self, value: str, width: int, side: int) -> str:
        """Average to at most 2 x 2 and flatten: torch's adaptive average as one product with a constant."""
        rest = min(side, 2)
        line = np.zeros((side, rest))
        for i in range(rest):
            first, last = i * side // rest, -(-(i + 1) * side // rest)
            line[first:last, i] = 1 / (last - first)
        flat = self.op("Reshape", value, self.array([0, width, side * side], np.int64))
        small = self.op("MatMul", flat, self.floats(np.kron(line, line)))
        return self.op("Reshape", small, self.array([0, width * rest * rest], np.int64))
