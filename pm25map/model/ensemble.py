"""Several trained networks as one ONNX graph: each member sees its inputs scaled as it was trained.

A map scales its predictors once, by a scaler common to all members. What a member's own scaler would have given
follows from that by an exact affine map, which stands in the graph before the member.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import compose, helper, numpy_helper

from pm25map.base.errors import BadModel
from pm25map.model.run_folder import RunMetadata
from pm25map.windows.scaler import CLIP, FeatureScale, Scaler

Scales = Sequence[FeatureScale]


def check_members(runs: Sequence[RunMetadata]) -> None:
    """Refuse runs that cannot be members of one model.

    Raises:
        BadModel: fewer than two runs, or they differ in window, place, grid or shape of the network.
    """
    if len(runs) < 2:
        raise BadModel("a model with members needs two runs or more: name each with --member")
    compared: dict[str, Sequence[object]] = {
        "window_days": [run.config.window_days for run in runs],
        "place": [run.place for run in runs],
        "grid": [run.grid_checksum for run in runs],
        "network": [run.config.network for run in runs],
    }
    for what, values in compared.items():
        for number, value in enumerate(values[1:], start=2):
            if value != values[0]:
                raise BadModel(
                    f"member {number} ({runs[number - 1].config.name}) differs from the first in its {what}: "
                    "train members from one configuration, with other seeds or stations"
                )


def common_scaler(scalers: Sequence[Scaler]) -> Scaler:
    """Build the scaler of a model with members.

    A feature that all members scale alike keeps its scale. Any other gets one that cuts no value that some
    member would keep, and an indicator: a missing value is 0 to every member, whatever its mean is.

    Raises:
        BadModel: the members have other features, or transform one in two ways.
    """
    first = scalers[0]
    for number, scaler in enumerate(scalers[1:], start=2):
        if set(scaler.features) != set(first.features):
            odd = sorted(set(scaler.features) ^ set(first.features))[0]
            raise BadModel(f"member {number} and the first do not have the same features: see {odd}")
    scales, indicators = {}, []
    for name in first.features:
        known = [scaler.scales[name] for scaler in scalers]
        if len({scale.transform for scale in known}) > 1:
            raise BadModel(f"members transform {name} in two ways: train them with one version of pm25map")
        alike = all(scale == known[0] for scale in known)
        scales[name] = known[0] if alike else _envelope(known)
        if not alike or any(name in scaler.indicators for scaler in scalers):
            indicators.append(name)
    return Scaler(scales=scales, indicators=tuple(indicators))


def _envelope(scales: Scales) -> FeatureScale:
    low = min(scale.center - CLIP * scale.scale for scale in scales)
    high = max(scale.center + CLIP * scale.scale for scale in scales)
    return FeatureScale(
        transform=scales[0].transform, center=(low + high) / 2, scale=(high - low) / (2 * CLIP)
    )


def to_common(window: npt.NDArray[np.float32], own: Scaler, common: Scaler) -> npt.NDArray[np.float32]:
    """Scale a member's window as the common scaler would have; what the member had cut stays cut.

    Args:
        window: float32 (cell, day, input of the member).

    Returns:
        float32 (cell, day, input of the model).
    """
    out = np.zeros((*window.shape[:-1], len(common.inputs)), dtype=np.float32)
    for i, (name, scale) in enumerate(common.scales.items()):
        column = own.features.index(name)
        mine = own.scales[name]
        values = window[..., column].astype(np.float64) * mine.scale + mine.center
        out[..., i] = (values - scale.center) / scale.scale
        if name in own.indicators:
            missing = window[..., len(own.features) + own.indicators.index(name)]
            out[..., i] *= 1 - missing
            out[..., len(common.features) + common.indicators.index(name)] = missing
    return out


def merge_members(
    graphs: Sequence[onnx.ModelProto], scalers: Sequence[Scaler], common: Scaler
) -> onnx.ModelProto:
    """Join members side by side: one graph with the inputs of one, and output `members` (cell, member).

    Args:
        graphs: of the members, each with inputs `window`, `place` (if any) and output `pm25`.
        scalers: of the members.
        common: of the model's windows.
    """
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    inputs = [_input(item, len(common.inputs)) for item in graphs[0].graph.input]
    for number, (graph, scaler) in enumerate(zip(graphs, scalers, strict=True)):
        prefix = f"m{number}/"
        member = compose.add_prefix(graph, prefix).graph
        scaling, member_constants = _scaling(prefix, scaler, common)
        nodes += scaling
        nodes += [
            helper.make_node("Identity", [item.name], [f"{prefix}{item.name}"])
            for item in inputs
            if item.name != "window"
        ]
        nodes += member.node
        nodes.append(helper.make_node("Unsqueeze", [f"{prefix}pm25", f"{prefix}one"], [f"{prefix}column"]))
        constants += [*member_constants, *member.initializer]
    columns = [f"m{number}/column" for number in range(len(graphs))]
    nodes.append(helper.make_node("Concat", columns, ["members"], axis=1))
    output = helper.make_tensor_value_info("members", onnx.TensorProto.FLOAT, ["cells", len(graphs)])
    merged = helper.make_model(
        helper.make_graph(nodes, "members", inputs, [output], constants),
        opset_imports=graphs[0].opset_import,
        ir_version=graphs[0].ir_version,
    )
    onnx.checker.check_model(merged)
    return merged


def _input(item: onnx.ValueInfoProto, width: int) -> onnx.ValueInfoProto:
    shape = [axis.dim_param or axis.dim_value for axis in item.type.tensor_type.shape.dim]
    if item.name == "window":
        shape[2] = width
    return helper.make_tensor_value_info(item.name, onnx.TensorProto.FLOAT, shape)


def _scaling(prefix: str, own: Scaler, common: Scaler) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Write `prefix`window from the model's window: the member's own columns, scales, cuts and indicators."""
    constants: dict[str, npt.NDArray[np.generic]] = {"one": np.array([1], dtype=np.int64)}
    factor, offset, has_indicator, marks = [], [], [], []
    for name, mine in own.scales.items():
        ours = common.scales[name]
        factor.append(ours.scale / mine.scale)
        offset.append((ours.center - mine.center) / mine.scale)
        # A feature without an indicator is scaled alike everywhere: its missing values are 0 already.
        has_indicator.append(float(name in common.indicators))
        marks.append(_mark(common, name) if name in common.indicators else 0)
    constants["features"] = np.array([common.features.index(name) for name in own.features], dtype=np.int64)
    constants["marks"] = np.array(marks, dtype=np.int64)
    constants["indicators"] = np.array([_mark(common, name) for name in own.indicators], dtype=np.int64)
    constants["factor"], constants["offset"], constants["told"] = (
        np.array(values, dtype=np.float32) for values in (factor, offset, has_indicator)
    )
    for name, value in {"low": -CLIP, "high": CLIP, "unit": 1.0}.items():
        constants[name] = np.array(value, dtype=np.float32)
    nodes = list(_scaling_nodes(prefix, bool(own.indicators)))
    return nodes, [numpy_helper.from_array(value, f"{prefix}{name}") for name, value in constants.items()]


def _mark(common: Scaler, name: str) -> int:
    return len(common.features) + common.indicators.index(name)


def _scaling_nodes(prefix: str, has_indicators: bool) -> Iterator[onnx.NodeProto]:
    def node(op: str, given: list[str], out: str) -> onnx.NodeProto:
        return helper.make_node(op, [f"{prefix}{name}" for name in given], [f"{prefix}{out}"])

    def columns(which: str, out: str) -> onnx.NodeProto:
        # "window" bare is the model's; with the prefix it is the member's own.
        return helper.make_node("Gather", ["window", f"{prefix}{which}"], [f"{prefix}{out}"], axis=2)

    yield columns("features", "common")
    yield node("Mul", ["common", "factor"], "stretched")
    yield node("Add", ["stretched", "offset"], "moved")
    yield node("Clip", ["moved", "low", "high"], "cut")
    yield columns("marks", "missing")
    yield node("Mul", ["missing", "told"], "missing_told")
    yield node("Sub", ["unit", "missing_told"], "there")
    yield node("Mul", ["cut", "there"], "own" if has_indicators else "window")
    if has_indicators:
        yield columns("indicators", "flags")
        yield helper.make_node("Concat", [f"{prefix}own", f"{prefix}flags"], [f"{prefix}window"], axis=2)
