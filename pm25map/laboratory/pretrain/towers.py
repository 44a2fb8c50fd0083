"""The two towers of pretraining, as torch modules: a SIREN on harmonics for places, convolutions for patches."""

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pm25map.laboratory.encoders.siren import Siren
from pm25map.laboratory.pretrain.config import Augment, EncoderShape, PretrainConfig
from pm25map.places.harmonics import harmonics

_LOWEST_TEMPERATURE = 0.01
"""Of CLIP: below it, training becomes unstable (Radford et al. 2021, section 2.5)."""


class LocationTower(nn.Module):
    """Encodes harmonics (place, (degree + 1)^2) as vectors (place, d)."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        widths = [(shape.degree + 1) ** 2, *shape.hidden, shape.dimension]
        self.frequencies = (shape.first_frequency, *[1.0] * (len(shape.hidden) - 1))
        layers = [nn.Linear(before, after) for before, after in pairwise(widths)]
        for layer, frequency in zip(layers, (*self.frequencies, 1.0), strict=True):
            # Sitzmann et al. 2020, section 3.2; the harmonics are of variance 1, so the first layer is as any.
            bound = math.sqrt(6 / layer.in_features) / frequency
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.uniform_(layer.bias, -bound, bound)
        self.layers = nn.ModuleList(layers)
        degrees = np.repeat(np.arange(shape.degree + 1), 2 * np.arange(shape.degree + 1) + 1)
        # Of variance 1 over the sphere, then less and less with the degree.
        damping = math.sqrt(4 * math.pi) / (1 + (degrees / shape.damping_degree) ** 2)
        self.damping: Tensor
        self.register_buffer("damping", torch.from_numpy(damping.astype(np.float32)))

    def forward(self, basis: Tensor) -> Tensor:
        """Return the vectors; see the class."""
        hidden = basis * self.damping
        for layer, frequency in zip(self.layers, self.frequencies, strict=False):
            hidden = torch.sin(frequency * layer(hidden))
        out: Tensor = self.layers[-1](hidden)
        return out

    def siren(self) -> Siren:
        """Return the weights as float32 arrays; the damping is merged into the first layer."""
        state = {name: value.detach().cpu().numpy().copy() for name, value in self.state_dict().items()}
        count = len(self.layers)
        weights = [state[f"layers.{i}.weight"] for i in range(count)]
        weights[0] = weights[0] * state["damping"]
        return Siren(tuple(weights), tuple(state[f"layers.{i}.bias"] for i in range(count)), self.frequencies)


class PatchEncoder(nn.Module):
    """Encodes patches (place, channel, y, x) as vectors (place, d); every convolution halves the side."""

    def __init__(self, channels: int, side: int, widths: tuple[int, ...], dimension: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths, strict=False):
            stages += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.GELU()]
            side = (side + 1) // 2
        # What is in the middle and what is at the edge differ: a small rest is kept whole.
        rest = min(side, 2)
        self.stages = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(rest), nn.Flatten())
        self.means = nn.Linear(channels, widths[-1])
        self.out = nn.Sequential(
            nn.Linear(widths[-1] * (rest * rest + 1), 2 * dimension),
            nn.GELU(),
            nn.Linear(2 * dimension, dimension),
        )

    def forward(self, patch: Tensor) -> Tensor:
        """Return the vectors; see the class."""
        means = nn.functional.gelu(self.means(patch.mean(dim=(2, 3))))
        out: Tensor = self.out(torch.cat([self.stages(patch), means], dim=1))
        return out


class Towers(nn.Module):
    """Both towers, the temperature, and the layer that reads a place's position from its vector."""

    def __init__(self, config: PretrainConfig, channels: int) -> None:
        super().__init__()
        side = (config.rasters or config.patches).pixels  # type: ignore[union-attr]
        self.location = LocationTower(config.encoder)
        self.patch = PatchEncoder(channels, side, config.tower, config.encoder.dimension)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / config.temperature)))
        self.degree, self.position_degree = config.encoder.degree, config.position_degree
        self.position_weight = config.position_weight
        self.position = nn.Linear(config.encoder.dimension, (config.position_degree + 1) ** 2)

    @property
    def temperature(self) -> float:
        """The number by which similarities are divided."""
        return float(1 / self._scale().detach())

    def _scale(self) -> Tensor:
        return self.log_scale.clamp(max=math.log(1 / _LOWEST_TEMPERATURE)).exp()

    def basis(self, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> Tensor:
        """Return the harmonics of places, computed in float64: float32 (place, (degree + 1)^2)."""
        return torch.from_numpy(harmonics(lat, lon, self.degree).astype(np.float32))

    def logits(self, basis: Tensor, patch: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scaled similarities (place, patch), and the vectors of the places (place, d)."""
        vectors = self.location(basis)
        places = nn.functional.normalize(vectors, dim=1)
        patches = nn.functional.normalize(self.patch(patch), dim=1)
        return self._scale() * places @ patches.T, vectors

    def loss(self, basis: Tensor, patch: Tensor) -> Tensor:
        """Return the symmetric CLIP loss, with the error of the position read from the vectors."""
        logits, vectors = self.logits(basis, patch)
        truth = torch.arange(len(logits), device=logits.device)
        loss = nn.functional.cross_entropy(logits, truth) + nn.functional.cross_entropy(logits.T, truth)
        loss = 0.5 * loss
        if self.position_degree:
            # Mean square of an orthonormal harmonic over the sphere: 1 / (4 pi).
            wanted = basis[:, : self.position.out_features] * math.sqrt(4 * math.pi)
            loss = loss + self.position_weight * nn.functional.mse_loss(self.position(vectors), wanted)
        return loss


def augment(patch: Tensor, how: Augment, generator: torch.Generator) -> Tensor:
    """Change patches as in training; north stays up."""
    count, channels = patch.shape[:2]
    if how.mirror:
        turned = torch.rand(count, 1, 1, 1, generator=generator) < how.mirror
        patch = torch.where(turned, patch.flip(3), patch)
    if how.brighten:
        patch = patch + how.brighten * torch.randn(count, channels, 1, 1, generator=generator)
    if how.noise:
        patch = patch + how.noise * torch.randn(patch.shape, generator=generator)
    if how.drop:
        patch = patch * (torch.rand(count, channels, 1, 1, generator=generator) >= how.drop)
    return patch
