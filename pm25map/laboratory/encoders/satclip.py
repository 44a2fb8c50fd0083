"""Read SatCLIP's location encoder (Klemmer et al. 2025) from the checkpoint that its authors publish. Needs torch.

Nothing of the file is executed: torch reads it with weights_only. The layout is that of the Lightning module in
https://github.com/microsoft/satclip: `hyper_parameters`, and in `state_dict` the layers of a SIREN twice, as
model.nnet and as model.location.nnet. SatCLIP takes (longitude, latitude); everything here latitude first.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pm25map.base.errors import BadModel
from pm25map.base.files import sha256_of_file
from pm25map.laboratory.encoders.siren import Siren
from pm25map.places.card import About
from pm25map.places.harmonics import HIGHEST_DEGREE

SOURCE = "https://github.com/microsoft/satclip"
LICENCE = "MIT, Copyright (c) Microsoft Corporation"
CITATION = (
    "Klemmer, K., Rolf, E., Robinson, C., Mackey, L., Russwurm, M. (2025). SatCLIP: Global, General-Purpose Location "
    "Embeddings with Satellite Imagery. Proceedings of the AAAI Conference on Artificial Intelligence 39(4), "
    "4347-4355."
)
DOMAIN = (
    "S2-100K: 100,000 Sentinel-2 patches (256 x 256 pixels of 10 m) sampled about evenly over land, "
    "2021-01-01 to 2023-05-17"
)

FIRST_FREQUENCY = 30.0
"""Inside the first sine; the others have 1. Neither is in the checkpoint."""

_COPIES = ("model.nnet.", "model.location.nnet.")
_SETTINGS = (
    "le_type",
    "pe_type",
    "legendre_polys",
    "harmonics_calculation",
    "embed_dim",
    "capacity",
    "num_hidden_layers",
)
_CALCULATIONS = ("analytic", "closed-form")


def read_satclip(path: Path) -> Siren:
    """Read the location encoder of a checkpoint.

    Raises:
        BadModel: the file is absent, damaged, or of another layout; the message names the first key that is.
    """
    checkpoint = _load(path)
    settings = _section(checkpoint, "hyper_parameters", path)
    state = _section(checkpoint, "state_dict", path)
    for key in _SETTINGS:
        if key not in settings:
            raise _other_layout(path, f"hyper_parameters has no {key}")
    for key, expected in {"le_type": "sphericalharmonics", "pe_type": "siren"}.items():
        if settings[key] != expected:
            raise _other_layout(path, f"hyper_parameters: {key} is {settings[key]!r}, not {expected!r}")
    if settings["harmonics_calculation"] not in _CALCULATIONS:
        raise _other_layout(path, f"harmonics_calculation is {settings['harmonics_calculation']!r}")
    counts = {}
    for key in ("legendre_polys", "embed_dim", "capacity", "num_hidden_layers"):
        if not isinstance(settings[key], int) or not 1 <= settings[key] <= 10_000:
            raise _other_layout(path, f"hyper_parameters: {key} is {settings[key]!r}")
        counts[key] = int(settings[key])
    polynomials, depth = counts["legendre_polys"], counts["num_hidden_layers"]
    if polynomials > HIGHEST_DEGREE + 1:
        raise BadModel(
            f"{path} has {polynomials} Legendre polynomials; at most {HIGHEST_DEGREE + 1} are read"
        )
    widths = [polynomials**2, *[counts["capacity"]] * depth, counts["embed_dim"]]
    names = [*(f"layers.{i}" for i in range(depth)), "last_layer"]
    _no_other_keys(state, names, path)
    weights, biases = [], []
    for name, inputs, outputs in zip(names, widths, widths[1:], strict=False):
        weights.append(_tensor(state, f"{name}.weight", (outputs, inputs), path))
        biases.append(_tensor(state, f"{name}.bias", (outputs,), path))
    weights[0] = weights[0] * _as_theirs(polynomials - 1, settings["harmonics_calculation"])
    frequencies = (FIRST_FREQUENCY, *[1.0] * (depth - 1))
    return Siren(tuple(weights), tuple(biases), frequencies, np.float64)


def about_satclip(siren: Siren, path: Path) -> About:
    """Return the card's description of a converted checkpoint."""
    polynomials = siren.degree + 1
    return About(
        name=f"satclip-l{polynomials}",
        description=f"SatCLIP's location encoder with {polynomials} Legendre polynomials, converted.",
        licence=LICENCE,
        citation=CITATION,
        source=SOURCE,
        training_domain=DOMAIN,
        seen=("landcover",),
        provenance=({"checkpoint": path.name, "sha256": sha256_of_file(path), "source": SOURCE},),
    )


def _as_theirs(degree: int, calculation: str) -> npt.NDArray[np.float64]:
    """Return the factors from our harmonics to those of SatCLIP: one for each column of `harmonics`.

    Its angles are longitude + 180 and latitude + 90, which is the other side of the Earth: (-1)^degree. Its
    "analytic" formulas, with which the published weights were trained, have sqrt((2 l + 1) / 4 * pi) for the
    order 0 where sqrt((2 l + 1) / (4 * pi)) was meant, so these are pi times larger; its "closed-form" has the
    right factor, and the Condon-Shortley phase.
    """
    ell = np.repeat(np.arange(degree + 1), 2 * np.arange(degree + 1) + 1)
    m = np.concatenate([np.arange(-top, top + 1) for top in range(degree + 1)])
    sign = np.where(ell % 2, -1.0, 1.0)
    if calculation == "analytic":
        return np.where(m == 0, np.pi, 1.0) * sign
    return np.where(m % 2, -1.0, 1.0) * sign


def _load(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise BadModel(f"there is no file {path}. Download satclip-*-l10.ckpt or -l40.ckpt as {SOURCE} says")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        ValueError,
        KeyError,
        TypeError,
        OSError,
    ) as error:
        reason = " ".join(str(error).split())[:120] or "it is empty or cut short"
        raise BadModel(
            f"{path} cannot be read as a checkpoint of plain weights: {reason}. Fetch the file again"
        ) from error
    if not isinstance(content, Mapping):
        raise _other_layout(path, f"it holds a {type(content).__name__}")
    return content


def _section(checkpoint: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    section = checkpoint.get(name)
    if not isinstance(section, Mapping):
        raise _other_layout(path, f"it has no {name}")
    return section


def _no_other_keys(state: Mapping[str, Any], names: list[str], path: Path) -> None:
    expected = {f"{copy}{name}.{kind}" for copy in _COPIES for name in names for kind in ("weight", "bias")}
    others = [key for key in state if key.startswith(_COPIES) and key not in expected]
    if others:
        raise _other_layout(path, f"state_dict has {others[0]}")


def _tensor(
    state: Mapping[str, Any], name: str, shape: tuple[int, ...], path: Path
) -> npt.NDArray[np.float64]:
    """Return one tensor as float64, checked: present, of its shape, and the same in both copies."""
    tensors = []
    for copy in _COPIES:
        value = state.get(copy + name)
        if not isinstance(value, torch.Tensor):
            raise _other_layout(path, f"state_dict has no {copy}{name}")
        if tuple(value.shape) != shape:
            raise _other_layout(path, f"{copy}{name} has the shape {tuple(value.shape)}, not {shape}")
        tensors.append(value.to(torch.float64).numpy())
    if not np.array_equal(tensors[0], tensors[1]):
        raise _other_layout(path, f"{_COPIES[0]}{name} and {_COPIES[1]}{name} differ")
    return tensors[0]


def _other_layout(path: Path, what: str) -> BadModel:
    return BadModel(f"{path} is no published checkpoint of SatCLIP: {what}. Give one from {SOURCE}")
