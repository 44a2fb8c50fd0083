"""An ONNX graph, node by node. Needs onnx."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[str | int, ...]


class OnnxGraph:
    """Collects the nodes and constants of a graph; each method gives the name of its result.

    Attributes:
        dtype: of the input, and of the constants where none is given.
    """

    def __init__(self, dtype: type[np.float32] | type[np.float64]) -> None:
        self.dtype = dtype
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node."""
        output = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def array(self, values: npt.ArrayLike, dtype: type[np.generic] | None = None) -> str:
        """Add a constant of the shape of the values."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype or self.dtype), name))
        return name

    def times(self, value: str, factor: float) -> str:
        """Multiply by a number."""
        return self.op("Mul", value, self.array(factor))

    def columns(self, value: str, start: int, stop: int) -> str:
        """Take the columns from start to before stop."""
        bounds = (self.array([number], np.int64) for number in (start, stop, 1))
        return self.op("Slice", value, *bounds)

    def polynomial(self, variable: str, coefficients: list[float]) -> str:
        """Add a polynomial by Horner's scheme, the highest power first."""
        result = self.array(coefficients[0])
        for coefficient in coefficients[1:]:
            result = self.op("Add", self.op("Mul", result, variable), self.array(coefficient))
        return result

    def network(
        self,
        name: str,
        network_input: tuple[str, Shape],
        network_output: tuple[str, Shape],
        producer: str,
        notes: dict[str, str],
    ) -> bytes:
        """Write the network.

        Args:
            name: of the graph.
            network_input, network_output: name and shape of the input and of the output, which is float32.
            producer: that the file names.
            notes: metadata that the file keeps.
        """
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        network = helper.make_model(
            helper.make_graph(
                self._nodes,
                name,
                [helper.make_tensor_value_info(network_input[0], kind, network_input[1])],
                [helper.make_tensor_value_info(network_output[0], TensorProto.FLOAT, network_output[1])],
                self._constants,
            ),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
            producer_name=producer,
        )
        helper.set_model_props(network, notes)
        onnx.checker.check_model(network, full_check=True)
        content: bytes = network.SerializeToString(deterministic=True)
        return content
