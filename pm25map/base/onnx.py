"""ONNX Runtime, imported with an explanation when its installation is wrong."""

import importlib
import importlib.metadata
from types import ModuleType

from pm25map.base.errors import BadInstall

_WHEELS = ("onnxruntime", "onnxruntime-gpu")


def installed_wheels() -> list[str]:
    """Name the onnxruntime wheels of this environment; exactly one is right."""
    found = []
    for wheel in _WHEELS:
        try:
            importlib.metadata.distribution(wheel)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(wheel)
    return found


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime, or say what is wrong with its installation.

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
