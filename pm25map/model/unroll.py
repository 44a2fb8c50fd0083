"""Rewrite the LSTM nodes of a network's ONNX graph as one matrix product a step and gate: the same function.

Engines whose LSTM op knows no half precision, or is slow, run matrix products well. The rewrite needs no torch
and no trained weights: it reads model.onnx and writes another graph.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from pm25map.base.errors import BadModel

Array = npt.NDArray[np.generic]

GATES = ("input", "output", "forget", "cell")
"""In the order of ONNX."""

STEPS = "steps"
"""Name of the tensor between the recurrent body and the head; a member's begins with its own prefix."""


def unroll(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite every LSTM node of a graph that `export_model` or `merge_members` wrote.

    Forward and backward run apart; the first step, whose state is zero, has no recurrent product; and the
    attention's matrix meets the query (once) instead of the steps (once each): both save work, exactly.

    Raises:
        BadModel: an LSTM node is not one that this package exports.
    """
    graph = _Graph(model)
    graph.fold_constants()
    for node in [node for node in graph.nodes if node.op_type == "LSTM"]:
        _unroll_node(graph, node)
    graph.drop_unused()
    for norm in _last_norms(graph):
        _fold_attention(graph, norm)
        prefix = norm.output[0].rpartition("/")[0]
        graph.rename(norm.output[0], f"{prefix}/{STEPS}" if prefix else STEPS)
    graph.drop_unused()
    return graph.finish()


class _Graph:
    """A graph that is being rewritten: nodes in order, and constants by name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.nodes: list[onnx.NodeProto] = list(self.model.graph.node)
        self.constants: dict[str, Array] = {
            item.name: numpy_helper.to_array(item) for item in self.model.graph.initializer
        }

    def fold_constants(self) -> None:
        """Compute the nodes that depend on constants alone, such as the gates' new order."""
        kept = []
        for node in self.nodes:
            names = [name for name in node.input if name]
            if names and all(name in self.constants for name in names):
                inputs = {name: self.constants[name] for name in names}
                values: list[Array] = ReferenceEvaluator(node).run(None, inputs)  # type: ignore[assignment]
                self.constants.update(zip(node.output, values, strict=True))
            else:
                kept.append(node)
        self.nodes = kept

    def maker(self, name: str) -> onnx.NodeProto | None:
        """Find the node that gives a tensor."""
        return next((node for node in self.nodes if name in node.output), None)

    def users(self, name: str) -> list[onnx.NodeProto]:
        """Find the nodes that take a tensor."""
        return [node for node in self.nodes if name in node.input]

    def follow(self, name: str, op_type: str) -> onnx.NodeProto:
        """Find the one node that takes a tensor.

        Raises:
            BadModel: there is not one of that type.
        """
        users = [user for user in self.users(name) if user.op_type != "Shape"]
        if len(users) != 1 or users[0].op_type != op_type:
            raise BadModel(
                f"the network cannot be unrolled: {name} does not go to one {op_type} alone. "
                "Export it with this version of pm25map"
            )
        return users[0]

    def replace(self, old: Iterable[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
        """Replace some nodes by new ones, at the position of the last of them."""
        gone = {id(node) for node in old}
        last = max(i for i, node in enumerate(self.nodes) if id(node) in gone)
        before = [node for node in self.nodes[:last] if id(node) not in gone]
        self.nodes = [*before, *new, *self.nodes[last + 1 :]]

    def rename(self, old: str, new: str) -> None:
        """Rename a tensor."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new

    def drop_unused(self) -> None:
        """Leave out nodes and constants that reach no output."""
        needed = {item.name for item in self.model.graph.output}
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
        self.nodes = kept[::-1]
        self.constants = {name: value for name, value in self.constants.items() if name in needed}

    def finish(self) -> onnx.ModelProto:
        """Return the rewritten graph, checked."""
        graph = self.model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(
            numpy_helper.from_array(np.array(value, order="C"), name)
            for name, value in self.constants.items()
        )
        onnx.checker.check_model(self.model)
        return self.model


def _unroll_node(graph: _Graph, node: onnx.NodeProto) -> None:
    """Write the steps of one LSTM in place of it, and of the transposition and reshaping after it."""
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    known = {"hidden_size", "direction", "input_forget", "layout"}
    names = [*node.input, *[""] * (8 - len(node.input))]
    plain = attributes.get("direction") == b"bidirectional" and set(attributes) <= known
    plain &= not attributes.get("layout") and not attributes.get("input_forget")
    plain &= not names[4] and not names[7] and all(_is_zero(graph, name) for name in names[5:7] if name)
    weights = [graph.constants.get(name) for name in names[1:4]]
    turn = graph.maker(names[0])
    if not plain or turn is None or turn.op_type != "Transpose" or len(node.output) != 1:
        raise BadModel(
            f"the network cannot be unrolled: {node.output[0]} is no plain bidirectional LSTM. "
            "Export it with this version of pm25map"
        )
    if any(weight is None for weight in weights):
        raise BadModel(f"the network cannot be unrolled: weights of {node.output[0]} are no constants")
    apart = graph.follow(node.output[0], "Transpose")
    joined = graph.follow(apart.output[0], "Reshape")
    back = graph.follow(joined.output[0], "Transpose")
    days = _days(graph)
    new = list(_steps(graph, back.output[0], turn.input[0], weights, days))  # type: ignore[arg-type]
    graph.replace([node, apart, joined, back], new)


def _days(graph: _Graph) -> int:
    shape = next(item for item in graph.model.graph.input if item.name == "window").type.tensor_type.shape
    return int(shape.dim[1].dim_value)


def _is_zero(graph: _Graph, name: str) -> bool:
    """Return whether a tensor is all zeros, for any number of cells."""
    if name in graph.constants:
        return not graph.constants[name].any()
    node = graph.maker(name)
    return node is not None and node.op_type in ("Expand", "Slice") and _is_zero(graph, node.input[0])


def _steps(
    graph: _Graph, out: str, source: str, weights: tuple[Array, Array, Array], days: int
) -> Iterator[onnx.NodeProto]:
    """Write one bidirectional LSTM from `source` (cell, day, unit) to `out` (cell, day, 2 x unit)."""
    prefix = f"{out}/"
    axis, length = f"{prefix}axis", f"{prefix}length"
    graph.constants[axis] = np.array([1], dtype=np.int64)
    graph.constants[length] = np.ones(days, dtype=np.int64)
    slices = [f"{prefix}x{day}" for day in range(days)]
    yield helper.make_node("Split", [source, length], [f"{name}w" for name in slices], axis=1)
    for name in slices:
        yield helper.make_node("Squeeze", [f"{name}w", axis], [name])
    for direction, order in enumerate((range(days), range(days - 1, -1, -1))):
        side = f"{prefix}{'fb'[direction]}"
        w, r, b = (weight[direction] for weight in weights)
        yield from _direction(graph, side, [slices[day] for day in order], list(order), w, r, b)
    for day in range(days):
        both = [f"{prefix}f/h{day}", f"{prefix}b/h{day}"]
        yield helper.make_node("Concat", both, [f"{prefix}h{day}"], axis=1)
        yield helper.make_node("Unsqueeze", [f"{prefix}h{day}", axis], [f"{prefix}h{day}w"])
    yield helper.make_node("Concat", [f"{prefix}h{day}w" for day in range(days)], [out], axis=1)


def _direction(
    graph: _Graph, side: str, inputs: list[str], days: list[int], w: Array, r: Array, b: Array
) -> Iterator[onnx.NodeProto]:
    """Write one direction: per step and gate one product of [x, h] with [W; R], then the cell's update."""
    units = r.shape[1]
    for i, gate in enumerate(GATES):
        rows = slice(i * units, (i + 1) * units)
        graph.constants[f"{side}/{gate}/w"] = w[rows].T
        graph.constants[f"{side}/{gate}/wr"] = np.concatenate([w[rows], r[rows]], axis=1).T
        graph.constants[f"{side}/{gate}/b"] = b[rows] + b[4 * units :][rows]  # type: ignore[operator]
    state = ""
    for source, day in zip(inputs, days, strict=True):
        name = f"{side}/s{day}"
        read, matrix = source, "w"
        if state:
            read, matrix = f"{name}/xh", "wr"
            yield helper.make_node("Concat", [source, f"{side}/h{state}"], [read], axis=1)
        for gate in GATES:
            given = [read, f"{side}/{gate}/{matrix}", f"{side}/{gate}/b"]
            yield helper.make_node("Gemm", given, [f"{name}/{gate}/p"])
            squash = "Tanh" if gate == "cell" else "Sigmoid"
            yield helper.make_node(squash, [f"{name}/{gate}/p"], [f"{name}/{gate}"])
        fresh = f"{name}/ic" if state else f"{side}/c{day}"
        yield helper.make_node("Mul", [f"{name}/input", f"{name}/cell"], [fresh])
        if state:
            yield helper.make_node("Mul", [f"{name}/forget", f"{side}/c{state}"], [f"{name}/fc"])
            yield helper.make_node("Add", [f"{name}/fc", fresh], [f"{side}/c{day}"])
        yield helper.make_node("Tanh", [f"{side}/c{day}"], [f"{name}/tc"])
        yield helper.make_node("Mul", [f"{name}/output", f"{name}/tc"], [f"{side}/h{day}"])
        state = str(day)


def _last_norms(graph: _Graph) -> list[onnx.NodeProto]:
    """Find the last normalization of every member: the one that no LSTM reads."""
    norms = [node for node in graph.nodes if node.op_type == "LayerNormalization"]
    return [node for node in norms if all(user.op_type != "Split" for user in graph.users(node.output[0]))]


def _fold_attention(graph: _Graph, norm: onnx.NodeProto) -> None:
    """Multiply the attention's matrix with the query instead of with every step: s W q = s (W q)."""
    steps = norm.output[0]
    product = next((user for user in graph.users(steps) if user.op_type == "MatMul"), None)
    if product is None or product.input[1] not in graph.constants:
        return
    weigh = graph.follow(product.output[0], "Mul")
    wide = next(name for name in weigh.input if name != product.output[0])
    widen = graph.maker(wide)
    if widen is None or widen.op_type != "Unsqueeze":
        return
    matrix = f"{product.input[1]}/turned"
    graph.constants[matrix] = graph.constants[product.input[1]].T
    query = f"{wide}/asked"
    new = [
        helper.make_node("MatMul", [widen.input[0], matrix], [query]),
        helper.make_node("Unsqueeze", [query, widen.input[1]], [f"{query}/wide"]),
        helper.make_node("Mul", [steps, f"{query}/wide"], [weigh.output[0]]),
    ]
    graph.replace([product, weigh], new)
