"""Fitting of the widths that intervals scale with: pinball losses of two smooth functions, on training residuals."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from pm25map.model.widths import Widths

Doubles = npt.NDArray[np.float64]

TAIL = 0.05
"""Share of the training residuals beyond each function."""

_RIDGE = 1e-4
_SMOOTH = 0.01


def fit_widths(terms: Doubles, residual: Doubles) -> Widths:
    """Fit both functions on residuals of training, sqrt(truth) - sqrt(estimate).

    They minimize the pinball loss of the quantiles TAIL and 1 - TAIL, smoothed and with a small ridge.
    """
    center, scale = terms.mean(axis=0), np.maximum(terms.std(axis=0), 1e-9)
    standard = np.clip((terms - center) / scale, -4, 4)
    design = np.column_stack([standard, np.ones(len(terms))])
    coefficients = [tuple(float(c) for c in _quantile(design, sign * residual)) for sign in (-1.0, 1.0)]
    return Widths(
        center=tuple(center.tolist()),
        scale=tuple(scale.tolist()),
        below=coefficients[0],
        above=coefficients[1],
    )


def _quantile(design: Doubles, target: Doubles) -> Doubles:
    """Fit exp(design . c) to the upper quantile of a target."""

    def loss(c: Doubles) -> tuple[float, Doubles]:
        width = np.exp(np.clip(design @ c, -8, 4))
        short = target - width
        # Softplus in place of the corner of the pinball: a slope everywhere.
        scaled = np.clip(short / _SMOOTH, -500, 500)
        soft = _SMOOTH * np.logaddexp(0, scaled)
        value = float(np.mean(soft - TAIL * short) + _RIDGE * np.sum(c[:-1] ** 2))
        slope = (1 / (1 + np.exp(-scaled)) - TAIL) * -width
        gradient = design.T @ slope / len(target)
        gradient[:-1] += 2 * _RIDGE * c[:-1]
        return value, gradient

    start = np.zeros(design.shape[1])
    start[-1] = np.log(max(float(np.quantile(target, 1 - TAIL)), 1e-3))
    coefficients: Doubles = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return coefficients
