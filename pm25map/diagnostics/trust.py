"""The bands of uncertainty and applicability, for the pass that predicts a map."""

from typing import Final

from pm25map.diagnostics import applicability
from pm25map.diagnostics.applicability import ApplicabilityBands
from pm25map.model import intervals
from pm25map.model.card import Model
from pm25map.raster.block_bands import BandSpec
from pm25map.raster.intervals import INTERVALS_AND_EXCEEDANCES

TRUST_BANDS: Final[tuple[BandSpec, ...]] = (INTERVALS_AND_EXCEEDANCES, ApplicabilityBands())
"""Intervals, probabilities of exceedance and applicability, of a calibrated model.

The quality mask is apart (`quality.QualityBand`): a bitmask goes to a file of its own.
"""


def has_calibration(model: Model) -> bool:
    """Return whether a model has a calibration, even a damaged or missing one, which must not be ignored in silence."""
    names = (intervals.CARD_FILE, applicability.CARD_FILE)
    return any((model.network.parent / name).is_file() or name in model.card.files for name in names)
