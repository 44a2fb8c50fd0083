"""Checks of an installation: what a map needs, one finding each, with the way out."""

import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pm25map.base.cache import cache_folder
from pm25map.base.cores import usable_cores
from pm25map.base.errors import Pm25mapError
from pm25map.base.onnx import import_onnxruntime
from pm25map.base.shipped import DEFAULT_MODEL
from pm25map.grid import grid_names, load_grid
from pm25map.model.card import load_model
from pm25map.model.runtime import ENGINES, count_cuda_devices, open_session, precision_of, why_not
from pm25map.places.catalogue import encoder
from pm25map.predictors.reader import open_predictors
from pm25map.raster.day_source import sample_of

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class InstallFinding:
    """What one check found.

    Attributes:
        name: of the check.
        state: ok, warning (something optional is absent) or problem (maps cannot be made).
        text: what was found, and the way out where it is not ok.
    """

    name: str
    state: State
    text: str


def examine() -> list[InstallFinding]:
    """Run every check; a check that fails is a finding and stops no other."""
    checks: dict[str, Callable[[], tuple[State, str]]] = {
        "python": _python,
        "onnxruntime": _onnxruntime,
        "cuda": _cuda,
        "engines": _engines,
        "grid": _grid,
        "model": _model,
        "places": _places,
        "sample": _sample,
        "cache": _cache,
        "train extra": lambda: _optional("torch", "pm25map[train]", "train and export"),
        "laboratory extra": lambda: _optional("geoclip", "pm25map[laboratory]", "study models and encoders"),
    }
    findings = []
    for name, check in checks.items():
        try:
            findings.append(InstallFinding(name, *check()))
        except Pm25mapError as error:
            findings.append(InstallFinding(name, "problem", " ".join(str(error).split())))
    return findings


def _python() -> tuple[State, str]:
    return "ok", f"Python {platform.python_version()} on {platform.machine()}, {usable_cores()} cores"


def _onnxruntime() -> tuple[State, str]:
    return "ok", f"ONNX Runtime {import_onnxruntime().__version__}"


def _cuda() -> tuple[State, str]:
    count = count_cuda_devices()
    listed = "CUDAExecutionProvider" in import_onnxruntime().get_available_providers()
    if count and not listed:
        return "warning", f"{count} CUDA devices, and this ONNX Runtime is for the CPU: install pm25map[gpu]"
    return "ok", f"{count} CUDA devices usable" if count else "no CUDA device: maps are made on the CPU"


def _engines() -> tuple[State, str]:
    found = {name: why_not(name) for name in ENGINES}
    there = [f"{name} ({precision_of(name)})" for name, reason in found.items() if reason is None]
    absent = [f"{name}: {reason}" for name, reason in found.items() if reason is not None]
    said = "; ".join([", ".join(there), *absent])
    # Processors have a mode for it, which a library or another session may set for the whole process.
    if np.float32(1e-40) * np.ones(1, np.float32) == 0:
        return (
            "warning",
            f"{said}; this process takes numbers below 1e-38 for 0, a library that it loaded set that",
        )
    return "ok", said


def _grid() -> tuple[State, str]:
    grids = [load_grid(name) for name in grid_names()]
    if not grids:
        return "problem", "no grid is shipped: install pm25map again"
    return "ok", ", ".join(f"{grid.name} ({grid.cell_count:,} land cells)" for grid in grids)


def _model() -> tuple[State, str]:
    model = load_model(DEFAULT_MODEL)
    session = open_session(model)
    return "ok", f"{DEFAULT_MODEL} {model.card.version}, opens on {session.provider}"


def _places() -> tuple[State, str]:
    made = encoder("geoclip")
    return "ok", f"GeoCLIP, {made.dimension} numbers a place, checksum {made.checksum[:12]}"


def _sample() -> tuple[State, str]:
    path = sample_of(load_grid("conus-10km"))
    if path is None:
        return "problem", "the sample of predictors is not there: install pm25map again"
    days = open_predictors(path).days
    return "ok", f"predictors of {days[0]} to {days[-1]}"


def _cache() -> tuple[State, str]:
    folder = cache_folder()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(nearest, os.W_OK):
        return "problem", f"no permission to write in {nearest}: name another folder in PM25MAP_CACHE"
    return "ok", f"place vectors are kept in {folder}"


def _optional(module: str, extra: str, use: str) -> tuple[State, str]:
    if importlib.util.find_spec(module) is None:
        return "warning", f"{module} is not installed: only needed to {use} (pip install '{extra}')"
    return "ok", f"{module} is there"
