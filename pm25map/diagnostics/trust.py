"""The layers that say how far to trust a map, for the pass that predicts it."""

from pm25map.diagnostics import applicability
from pm25map.diagnostics.applicability import load_applicability
from pm25map.grid import Grid
from pm25map.model import intervals
from pm25map.model.card import Model
from pm25map.raster.intervals import intervals_on
from pm25map.raster.predict import BlockBands


def trust_bands(model: Model, grid: Grid) -> tuple[BlockBands, ...]:
    """Give what works out intervals, probabilities of exceedance and applicability: `extra` of predict_day.

    The quality mask is apart (`quality.QualityMask`): a bitmask goes to a file of its own.

    Raises:
        BadModel: the model's folder lacks its calibration, or it is damaged or of another network.
    """
    return (intervals_on(model, grid), load_applicability(model))


def has_calibration(model: Model) -> bool:
    """Tell whether a model's folder holds a calibration, whole or damaged: what is damaged is not passed over."""
    names = (intervals.CARD_FILE, applicability.CARD_FILE)
    return any((model.network.parent / name).is_file() for name in names)
