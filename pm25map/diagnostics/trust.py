"""The layers that say how far to trust a map: all providers of one model, grid and day."""

import datetime as dt

from pm25map.diagnostics.applicability import load_applicability
from pm25map.diagnostics.intervals import intervals_of_day
from pm25map.diagnostics.provider import BandProvider
from pm25map.grid import Grid
from pm25map.model.card import Model


def trust_providers(model: Model, grid: Grid, day: dt.date) -> tuple[BandProvider, ...]:
    """Make the providers of intervals, exceedance and applicability of a day.

    The quality mask is apart (`quality.quality_of_day`): a bitmask goes to a file of its own.

    Raises:
        BadModel: the model's folder lacks its calibration, or it is damaged or of another network.
    """
    return (intervals_of_day(model, grid, day), load_applicability(model))
