"""The network: three bidirectional LSTMs, Luong attention, a place branch, and a head that cannot go below zero.

After Karimzadeh, Wang & Crooks 2025, section 3: Bi-LSTM 256, 128, 128, each with LayerNorm and dropout; the
last step queries the attention; the place vector joins by Hadamard product. Ours is the residual head.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pm25map.model.card import NetworkShape
from pm25map.model.config import BASES
from pm25map.windows.scaler import Scaler

CALM = "neighbours_calm"

CALM_UGM3 = 15.0
"""Above this the estimate for calm days loses weight; it is the best one below (docs/model.md)."""

FADING = 4.0
"""How fast it does so at the start of training: at four times CALM_UGM3 its weight is down by exp(-4 ln 4)."""

CORRECTION = 0.7
"""Largest correction of the neighbours' estimate, as a natural logarithm: a factor of 0.5 to 2. Without a bound
a few stations inside of smoke decide what is learned for all others."""


@dataclass(frozen=True)
class Base:
    """A neighbours' estimate: its position among the inputs, its scale, and whether it is for calm days alone."""

    input: int
    center: float
    scale: float
    is_calm: bool = False


def bases_of(scaler: Scaler) -> tuple[Base, ...]:
    """Find the neighbours' estimates among the inputs of a network."""
    features = scaler.features
    read = [(name, features.index(name), scaler.scales[name]) for name in BASES if name in features]
    return tuple(Base(index, scale.center, scale.scale, name == CALM) for name, index, scale in read)


class Attention(nn.Module):
    """Luong attention: the last step is the query; context and query become one vector."""

    def __init__(self, units: int, out: int) -> None:
        super().__init__()
        self.score = nn.Linear(units, units, bias=False)
        self.join = nn.Linear(2 * units, out, bias=False)

    def weights(self, steps: Tensor) -> Tensor:
        """Return the weight of each day: (cell, day, unit) to (cell, day), 1 in sum."""
        return torch.softmax((self.score(steps) * steps[:, -1][:, None]).sum(-1), dim=1)

    def forward(self, steps: Tensor) -> Tensor:
        """Attend (cell, day, unit) to (cell, out)."""
        context = (self.weights(steps)[..., None] * steps).sum(1)
        return torch.tanh(self.join(torch.cat([context, steps[:, -1]], dim=1)))


class PlainHead(nn.Module):
    """Estimate from the dense layer alone, ug m-3; softplus keeps it above zero."""

    def __init__(self, units: int, target_scale: float) -> None:
        super().__init__()
        self.out = nn.Linear(units, 1)
        self.target_scale = target_scale

    def forward(self, dense: Tensor, _window: Tensor) -> Tensor:
        """Turn (cell, unit) into (cell,)."""
        return nn.functional.softplus(self.out(dense)[:, 0]) * self.target_scale


class ResidualHead(nn.Module):
    """Weigh the neighbours' estimates of the day, then correct them by a bounded factor and a small term."""

    centers: Tensor
    scales: Tensor
    calm: Tensor

    def __init__(self, units: int, bases: tuple[Base, ...]) -> None:
        super().__init__()
        self.inputs = [base.input for base in bases]
        self.register_buffer("centers", torch.tensor([base.center for base in bases]))
        self.register_buffer("scales", torch.tensor([base.scale for base in bases]))
        self.register_buffer("calm", torch.tensor([float(base.is_calm) for base in bases]))
        # Days of smoke are too few to teach this from nothing.
        self.fading = nn.Parameter(torch.tensor(FADING))
        self.weigh = nn.Linear(units, len(bases))
        self.correct = nn.Linear(units, 2)
        # Begin as the plain mean of the estimates of such a day: training can then only improve on them.
        for layer in (self.weigh, self.correct):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, dense: Tensor, window: Tensor) -> Tensor:
        """Turn (cell, unit) and (cell, day, input) into (cell,), ug m-3."""
        today = torch.stack([window[:, -1, i] for i in self.inputs], dim=1)
        logs = today * self.scales + self.centers
        estimates = torch.relu(torch.expm1(logs))
        smoke = torch.relu(logs[:, :1] - math.log1p(CALM_UGM3))
        weights = torch.softmax(self.weigh(dense) - self.fading * smoke * self.calm, dim=1)
        base = (weights * estimates).sum(1)
        correction = self.correct(dense)
        factor = torch.exp(CORRECTION * torch.tanh(correction[:, 0]))
        return nn.functional.softplus(base * factor + correction[:, 1], beta=2.0)


class Network(nn.Module):
    """The whole network.

    Args:
        shape: widths and choices.
        inputs: numbers a day.
        place: numbers a place; 0 for none.
        as_predictors: the place joins the inputs of every day (raw and sin/cos coordinates, as in the
            reference) instead of a branch of its own.
        bases: of a residual head.
        target_scale: standard deviation of the truth, ug m-3.
    """

    def __init__(
        self,
        shape: NetworkShape,
        inputs: int,
        place: int,
        *,
        as_predictors: bool,
        bases: tuple[Base, ...],
        target_scale: float,
    ) -> None:
        super().__init__()
        self.as_predictors = as_predictors and place > 0
        self.has_branch = place > 0 and not self.as_predictors
        width = inputs + (place if self.as_predictors else 0)
        self.recurrent = nn.ModuleList()
        self.norms = nn.ModuleList()
        for units in shape.lstm:
            self.recurrent.append(nn.LSTM(width, units, batch_first=True, bidirectional=True))
            width = 2 * units
            self.norms.append(nn.LayerNorm(width))
        self.dropout = nn.Dropout(shape.dropout)
        self.attention = Attention(width, shape.attention)
        self.fusion = shape.fusion
        joined = shape.attention
        if self.has_branch:
            units = shape.attention if shape.fusion == "hadamard" else shape.dense
            self.place = nn.Sequential(nn.Dropout(shape.place_dropout), nn.Linear(place, units), nn.ReLU())
            joined = shape.attention if shape.fusion == "hadamard" else shape.attention + units
        self.dense = nn.Sequential(nn.Linear(joined, shape.dense), nn.ReLU())
        self.head: nn.Module = (
            ResidualHead(shape.dense, bases)
            if shape.head == "residual"
            else PlainHead(shape.dense, target_scale)
        )

    def forward(self, window: Tensor, place: Tensor | None = None) -> Tensor:
        """Estimate PM2.5.

        Args:
            window: float32 (cell, day, input), scaled, oldest day first.
            place: float32 (cell, d); None when the network takes no place.

        Returns:
            float32 (cell,), ug m-3, never below zero.
        """
        steps = window
        if self.as_predictors and place is not None:
            steps = torch.cat([window, place[:, None].expand(-1, window.shape[1], -1)], dim=2)
        for recurrent, norm in zip(self.recurrent, self.norms, strict=True):
            steps = self.dropout(norm(recurrent(steps)[0]))
        joined = self.dropout(self.attention(steps))
        if self.has_branch and place is not None:
            branch = self.place(place)
            joined = joined * branch if self.fusion == "hadamard" else torch.cat([joined, branch], dim=1)
        out: Tensor = self.head(self.dense(joined), window)
        return out
