"""Trees learned by scikit-learn, kept as ONNX: nothing is unpickled, and filling needs only ONNX Runtime.

The graph is one TreeEnsembleRegressor of ai.onnx.ml 3 in double precision. Converters that keep thresholds in
float32 may send a value that lies next to a threshold down the other branch; here every value takes the branch that it
takes in scikit-learn, and only the sum of the leaves is rounded to float32.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadInstall, BadModel, ParityFailed, UnknownName
from pm25map.base.onnx import open_network

Algorithm = Literal["boosting", "forest"]
"""HistGradientBoostingRegressor or RandomForestRegressor of scikit-learn; both take missing values."""

PARITY = 1e-5
"""Largest accepted difference from scikit-learn, relative to 1 or the largest value: that of float32."""

_ROWS = 100_000
"""Rows of one call: its memory stays below 100 MB."""

_INPUT, _OUTPUT = "predictors", "value"


@dataclass(frozen=True)
class Nodes:
    """One tree. A node is a leaf where left is -1; node 0 is the root.

    Attributes:
        feature: int (node,); column of the split.
        threshold: float64 (node,); value <= threshold goes left.
        missing_left: bool (node,); where NaN goes.
        left, right: int (node,).
        value: float64 (node,); what a leaf adds.
    """

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    missing_left: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


def learn(
    inputs: npt.NDArray[np.float32],
    target: npt.NDArray[np.float32],
    algorithm: Algorithm,
    seed: int,
    size: int,
) -> Any:
    """Train trees; return the estimator of scikit-learn.

    Args:
        inputs: (row, input), NaN where missing.
        target: (row,).
        algorithm: which trees.
        seed: of all that is random.
        size: number of trees.

    Raises:
        BadInstall: scikit-learn is not installed.
        UnknownName: there is no such algorithm.
    """
    if algorithm not in get_args(Algorithm):
        raise UnknownName(f"unknown algorithm {algorithm!r}: choose one of {', '.join(get_args(Algorithm))}")
    ensemble = _import("sklearn.ensemble", "scikit-learn")
    if algorithm == "boosting":
        estimator = ensemble.HistGradientBoostingRegressor(
            max_iter=size, learning_rate=0.1, max_leaf_nodes=31, min_samples_leaf=20, early_stopping=False,
            random_state=seed,
        )  # fmt: skip
    else:
        estimator = ensemble.RandomForestRegressor(
            n_estimators=size, min_samples_leaf=5, max_leaf_nodes=4096, max_features=1 / 3, random_state=seed
        )
    return estimator.fit(inputs, target)


def to_onnx(estimator: Any, width: int) -> bytes:
    """Write a learned estimator as ONNX: double (row, width) to float32 (row, 1).

    Raises:
        BadInstall: onnx is not installed.
    """
    onnx = _import("onnx", "onnx")
    helper = onnx.helper
    trees, base = list(_nodes_of(estimator)), _base_of(estimator)
    sizes = [len(tree.left) for tree in trees]
    tree_of = np.repeat(np.arange(len(trees)), sizes)
    node_of = np.concatenate([np.arange(size) for size in sizes])
    left, right = (np.concatenate([getattr(t, side) for t in trees]) for side in ("left", "right"))
    leaf = left < 0
    value = np.concatenate([tree.value for tree in trees])[leaf]
    threshold = np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees]))

    def doubles(name: str, values: npt.NDArray[np.float64]) -> Any:
        return helper.make_tensor(name, onnx.TensorProto.DOUBLE, [len(values)], values.tolist())

    node = helper.make_node(
        "TreeEnsembleRegressor",
        [_INPUT],
        [_OUTPUT],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        base_values_as_tensor=doubles("base", np.array([base])),
        nodes_treeids=tree_of.tolist(),
        nodes_nodeids=node_of.tolist(),
        nodes_featureids=np.where(leaf, 0, np.concatenate([t.feature for t in trees])).tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_values_as_tensor=doubles("thresholds", threshold),
        nodes_truenodeids=np.where(leaf, 0, left).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, right).tolist(),
        nodes_missing_value_tracks_true=(
            ~leaf & np.concatenate([t.missing_left for t in trees])
        ).astype(int).tolist(),
        target_treeids=tree_of[leaf].tolist(),
        target_nodeids=node_of[leaf].tolist(),
        target_ids=[0] * int(leaf.sum()),
        target_weights_as_tensor=doubles("leaves", value),
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "imputation",
        [helper.make_tensor_value_info(_INPUT, onnx.TensorProto.DOUBLE, [None, width])],
        [helper.make_tensor_value_info(_OUTPUT, onnx.TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)]
    written: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return written


class Trees:
    """An open graph of trees.

    Attributes:
        width: number of inputs.
    """

    def __init__(self, content: bytes, where: Path | str, threads: int = 1) -> None:
        """Open a graph.

        Raises:
            BadModel: it is none, or none of `to_onnx`.
            BadInstall: ONNX Runtime is not installed.
        """

        def refuse(_: object) -> BadModel:
            return BadModel(f"{where} holds no trees of pm25map: run pm25map data impute train again")

        self._session = open_network(content, threads, refuse, spinning=True)
        try:
            (declared,) = self._session.get_inputs()
            self.width = int(declared.shape[1])
        except (ValueError, TypeError, IndexError) as error:
            raise refuse(error) from error

    def __call__(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Estimate: (row, input), NaN where missing, to (row,)."""
        out = np.empty(len(inputs), dtype=np.float32)
        for first in range(0, len(inputs), _ROWS):
            rows = slice(first, first + _ROWS)
            (value,) = self._session.run([_OUTPUT], {_INPUT: inputs[rows].astype(np.float64)})
            out[rows] = value[:, 0]
        return out


def parity(estimator: Any, trees: Trees, inputs: npt.NDArray[np.float32]) -> float:
    """Return the largest difference between scikit-learn and ONNX on some rows.

    Raises:
        ParityFailed: it is more than float32 explains.
    """
    wanted = estimator.predict(inputs)
    worst = float(np.abs(trees(inputs) - wanted).max())
    allowed = PARITY * max(1.0, float(np.abs(wanted).max()))
    if not worst <= allowed:
        raise ParityFailed(
            f"the trees as ONNX differ from scikit-learn's by {worst:g}, and may by {allowed:g}: nothing was "
            f"written. Install the versions of scikit-learn, onnx and onnxruntime that pyproject.toml names"
        )
    return worst


def _nodes_of(estimator: Any) -> Iterator[Nodes]:
    """Return the trees of an estimator. Boosting has no public access to them: `parity` guards this one."""
    if hasattr(estimator, "estimators_"):
        for grown in estimator.estimators_:
            tree = grown.tree_
            yield Nodes(
                feature=tree.feature,
                threshold=tree.threshold,
                missing_left=tree.missing_go_to_left.astype(bool),
                left=tree.children_left,
                right=tree.children_right,
                value=tree.value[:, 0, 0] / len(estimator.estimators_),
            )
        return
    for (predictor,) in estimator._predictors:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        yield Nodes(
            feature=nodes["feature_idx"].astype(np.int64),
            threshold=nodes["num_threshold"].astype(np.float64),
            missing_left=nodes["missing_go_to_left"].astype(bool),
            left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
            right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
            value=nodes["value"].astype(np.float64),
        )


def _base_of(estimator: Any) -> float:
    """Return the value that all trees add to: the mean of the target in boosting."""
    return 0.0 if hasattr(estimator, "estimators_") else float(np.ravel(estimator._baseline_prediction)[0])


def _import(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInstall(
            f"learning to impute needs the package {package}. Run: pip install 'pm25map[data]'"
        ) from error
