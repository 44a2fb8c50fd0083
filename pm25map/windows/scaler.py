"""How predictors are scaled for the network, and what a missing value becomes.

Training, evaluation and prediction all call `Scaler.apply`; the scaler travels in the model's card.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from pm25map.base.errors import BadPredictors

FloatArray = npt.NDArray[np.float32]

LOG_FEATURES = (
    "aod_047",
    "aod_055",
    "aod_047_filled",
    "aod_055_filled",
    "wildfire_smoke",
    "neighbours_distance",
    "knnidw_distance",
)
"""Skewed and not negative; concentrations (ug m-3) join them by their unit."""

CLIP = 8.0
"""Standard deviations beyond which an input is cut: the smoke of 2020 reaches 7, a damaged value far more."""


class FeatureScale(BaseModel):
    """The scale of one predictor: (transform(value) - center) / scale.

    Attributes:
        transform: "linear" keeps the value; "log1p" takes log(1 + max(value, 0)) first.
        center, scale: mean and standard deviation of the transformed training values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    transform: Literal["linear", "log1p"]
    center: FiniteFloat
    scale: float = Field(gt=0, allow_inf_nan=False)

    def transformed(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Apply the transform alone; NaN stays NaN."""
        return np.log1p(np.maximum(values, 0.0)) if self.transform == "log1p" else values


class Scaler(BaseModel):
    """Scales of all features, in the order of the network's inputs, and which of them have an indicator.

    Attributes:
        scales: by feature name, in order.
        indicators: features with a further input that is 1 where they are missing, else 0. The network sees
            the mean in place of the missing value, and the indicator beside it: missing is never a number
            that the predictor could have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scales: dict[str, FeatureScale]
    indicators: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """Return the names of the features, in order."""
        return tuple(self.scales)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the names of the network's inputs: the features, then the indicators."""
        return (*self.features, *(f"{name}_missing" for name in self.indicators))

    def apply(self, values: npt.NDArray[np.floating]) -> FloatArray:
        """Scale predictors and indicate where they are missing.

        Args:
            values: (..., feature) in the table's units, NaN where missing.

        Returns:
            float32 (..., input), all finite.

        Raises:
            ValueError: the last axis is not the features of this scaler.
        """
        if values.shape[-1] != len(self.scales):
            raise ValueError(f"{values.shape[-1]} features came, {len(self.scales)} are scaled")
        out = np.zeros((*values.shape[:-1], len(self.inputs)), dtype=np.float32)
        for i, scale in enumerate(self.scales.values()):
            scaled = (scale.transformed(values[..., i]) - scale.center) / scale.scale
            out[..., i] = np.nan_to_num(np.clip(scaled, -CLIP, CLIP), nan=0.0)
        for i, name in enumerate(self.indicators, start=len(self.scales)):
            out[..., i] = np.isnan(values[..., self.features.index(name)])
        return out


def fit_scaler(
    values: npt.NDArray[np.floating],
    features: tuple[str, ...],
    units: tuple[str, ...],
    indicators: tuple[str, ...],
) -> Scaler:
    """Fit the scales on training values alone.

    Args:
        values: (..., feature) in the table's units, NaN where missing.
        features: names, in order.
        units: of the features.
        indicators: features that shall tell when they are missing.

    Raises:
        BadPredictors: a feature has no value at all.
    """
    scales = {}
    for i, (name, unit) in enumerate(zip(features, units, strict=True)):
        log = name in LOG_FEATURES or unit == "ug m-3"
        raw = FeatureScale(transform="log1p" if log else "linear", center=0.0, scale=1.0)
        known = raw.transformed(values[..., i].astype(np.float64))
        if np.isnan(known).all():
            raise BadPredictors(
                f"{name} has no value at all where the model would learn from: leave it out, or ingest it"
            )
        center, spread = float(np.nanmean(known)), float(np.nanstd(known))
        # A constant feature (one site, one day) stays 0 instead of growing without bound elsewhere.
        scales[name] = raw.model_copy(update={"center": center, "scale": spread if spread > 1e-6 else 1.0})
    return Scaler(scales=scales, indicators=indicators)
