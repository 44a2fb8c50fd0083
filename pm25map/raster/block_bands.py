"""Further bands of a block: the one place where something is added to what maps hold.

A new band is one class, a BlockBands, with a NamedBands that opens it, and a line in `pm25map.raster.inputs.BANDS`,
which gives it a name for users.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from pm25map.grid import Block
from pm25map.model.card import Model
from pm25map.model.runtime import Session
from pm25map.raster.bands import Band

if TYPE_CHECKING:
    from pm25map.raster.inputs import Inputs

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BlockDay:
    """One day of a block while it is estimated: what further bands are worked out from.

    Attributes:
        day: that is estimated.
        block: of the grid.
        cells: bool (y, x) of the block: the cells of the arrays below, row by row.
        numbers: int32 (cell,), as Grid.land_index counts land cells.
        window: float32 (cell, day, input), scaled, oldest day first.
        place: float32 (cell, d); None for a model without a place.
        estimates: float32 (band, cell) in the order of the session's bands; the first is PM2.5, ug m-3.
        session: of this thread.
        raw_features: names of the features of `raw`.
        raw: float32 (cell, day, feature) in the table's units, NaN where missing: the last days of the window before
            scaling, as many days and features as the BlockBands of the map read.
    """

    day: dt.date
    block: Block
    cells: npt.NDArray[np.bool_]
    numbers: npt.NDArray[np.int32]
    window: Floats
    place: Floats | None
    estimates: Floats
    session: Session
    raw_features: tuple[str, ...]
    raw: Floats

    @property
    def pm25(self) -> Floats:
        """Return the estimate, float32 (cell,), ug m-3."""
        pm25: Floats = self.estimates[0]
        return pm25

    def unscaled(self, features: tuple[str, ...], days: int) -> Floats:
        """Return some features on the last days of the window: float32 (cell, day, feature), in the table's units."""
        raw = self.raw[:, -days:]
        if features == self.raw_features:
            return raw
        return raw[:, :, [self.raw_features.index(name) for name in features]]


class BlockBands(Protocol):
    """Works out further bands of a block. Several threads may call it at the same time.

    Attributes:
        bands: that it gives.
        raw_features: whose values before scaling it reads.
        raw_days: on how many last days of the window it reads them.
        checksum: of what decides its values beside the model and its inputs; empty where nothing does.
    """

    @property
    def bands(self) -> tuple[Band, ...]: ...  # noqa: D102 - see the class

    @property
    def raw_features(self) -> tuple[str, ...]: ...  # noqa: D102 - see the class

    @property
    def raw_days(self) -> int: ...  # noqa: D102 - see the class

    @property
    def checksum(self) -> str: ...  # noqa: D102 - see the class

    def __call__(self, at: BlockDay) -> Mapping[Band, Floats]:
        """Return float32 (cell,) for every band of `bands`, NaN where a cell has no value."""
        ...


class BandSpec(Protocol):
    """Names further bands in few plain values, which may travel to other processes, where `open` makes them work."""

    def check(self, model: Model) -> None:
        """Refuse a model that lacks what the bands need, before anything is opened.

        Raises:
            BadModel: it does.
        """
        ...

    def open(self, inputs: "Inputs") -> BlockBands:
        """Make what works out the bands of maps of some inputs, whose model passed `check`."""
        ...


class NamedBands(BandSpec, Protocol):
    """Further bands that a user may ask for by a name: they are known before anything is opened.

    Attributes:
        bands: that it opens.
        calibrated: whether they follow from the calibration of intervals, and so hold for plain places only.
    """

    @property
    def bands(self) -> tuple[Band, ...]: ...  # noqa: D102 - see the class

    @property
    def calibrated(self) -> bool: ...  # noqa: D102 - see the class


@dataclass(frozen=True)
class NoRaw:
    """What most BlockBands share: they read no values before scaling, and the model alone decides theirs."""

    @property
    def raw_features(self) -> tuple[str, ...]:
        """Return no feature."""
        return ()

    @property
    def raw_days(self) -> int:
        """Return no day."""
        return 0

    @property
    def checksum(self) -> str:
        """Return nothing."""
        return ""
