"""Scores of a prediction against observations. NaN in either is left out."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def scores(observed: FloatArray, predicted: FloatArray) -> dict[str, float]:
    """Score predictions against observations.

    Args:
        observed: ug m-3, any shape.
        predicted: ug m-3, the same shape.

    Returns:
        n (count), r2 (against the mean of these observations), rmse, mae and mbe (predicted minus
        observed), ug m-3. All NaN but n where nothing can be compared.

    >>> scores(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))["mbe"]
    0.3333333333333333
    """
    observed = np.asarray(observed, dtype=np.float64).ravel()
    predicted = np.asarray(predicted, dtype=np.float64).ravel()
    both = np.isfinite(observed) & np.isfinite(predicted)
    observed, predicted = observed[both], predicted[both]
    if observed.size == 0:
        return {"n": 0, "r2": np.nan, "rmse": np.nan, "mae": np.nan, "mbe": np.nan}
    error = predicted - observed
    spread = float(np.sum((observed - observed.mean()) ** 2))
    return {
        "n": int(observed.size),
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else np.nan,
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "mbe": float(np.mean(error)),
    }
