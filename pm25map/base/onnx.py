"""ONNX Runtime: imported with an explanation when its installation is wrong, and networks opened in it."""

import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pm25map.base.errors import BadInstall, BadModel

_WHEELS = ("onnxruntime", "onnxruntime-gpu")

CPU = ("CPUExecutionProvider",)

_DAMAGE = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
"""Errors of ONNX Runtime by which a network cannot be run."""


def installed_wheels() -> list[str]:
    """Name the onnxruntime wheels of this environment; exactly one is right."""
    wheels = []
    for wheel in _WHEELS:
        try:
            importlib.metadata.distribution(wheel)
        except importlib.metadata.PackageNotFoundError:
            continue
        wheels.append(wheel)
    return wheels


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime.

    Raises:
        BadInstall: no wheel of it is installed, or both, which overwrite each other.
    """
    wheels = installed_wheels()
    if len(wheels) > 1:
        raise BadInstall(
            "both onnxruntime and onnxruntime-gpu are installed and overwrite each other. Run: "
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'pm25map[cpu]' or 'pm25map[gpu]'"
        )
    if not wheels:
        raise BadInstall("ONNX Runtime is not installed. Run: pip install 'pm25map[cpu]', or 'pm25map[gpu]'")
    return importlib.import_module("onnxruntime")


def open_network(
    network: Path | bytes,
    threads: int,
    refuse: Callable[[str], BadModel],
    *,
    providers: Sequence[Any] = CPU,
    spinning: bool = False,
) -> Any:
    """Open a network in ONNX Runtime.

    Args:
        network: a file, or what it holds.
        threads: of an operator; operators run one after another.
        refuse: makes the error of a network that cannot be run from the reason, which is one line.
        providers: of ONNX Runtime, the first choice first.
        spinning: idle threads spin for a while: quicker alone, but they take the cores of sessions beside.

    Raises:
        BadModel: as `refuse` makes it: the network is absent, damaged, or not one for this ONNX Runtime.
        BadInstall: ONNX Runtime is absent or doubled.
    """
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    errors = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    source = network if isinstance(network, bytes) else str(network)
    try:
        return runtime.InferenceSession(source, options, providers=list(providers))
    except tuple(getattr(errors, name) for name in _DAMAGE) as error:
        raise refuse(str(error).splitlines()[0][:160]) from error
