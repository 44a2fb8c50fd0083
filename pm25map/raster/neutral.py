"""The estimate at a neutral place: the same window, with the place vector averaged over its region."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm25map.base.errors import BadModel
from pm25map.model.card import Model
from pm25map.places.smooth import NEUTRAL_KM, SmoothPlaces
from pm25map.raster.bands import NEUTRAL, Band
from pm25map.raster.block_bands import BlockDay, Floats, NoRaw

if TYPE_CHECKING:
    from pm25map.raster.inputs import Inputs


@dataclass(frozen=True)
class NeutralBand:
    """Names the band NEUTRAL.

    Attributes:
        km: standard deviation of the Gaussian that averages place vectors.
    """

    km: float = NEUTRAL_KM

    @property
    def bands(self) -> tuple[Band, ...]:
        """Return the one band."""
        return (NEUTRAL,)

    @property
    def calibrated(self) -> bool:
        """Return false: it is an estimate like the map's."""
        return False

    def check(self, model: Model) -> None:
        """Refuse a model without a place.

        Raises:
            BadModel: the model takes no place.
        """
        if model.card.place.encoder == "none":
            raise BadModel(
                f"model {model.card.name} takes no place, and so has no estimate at a neutral one. "
                "Name a model with a location encoder"
            )

    def open(self, inputs: "Inputs") -> "NeutralEstimates":
        """Average the place vectors of the grid."""
        self.check(inputs.model)
        assert inputs.places is not None  # noqa: S101 - Inputs of a model with a place have them
        return NeutralEstimates(SmoothPlaces(inputs.places, inputs.grid, self.km))


@dataclass(frozen=True, eq=False)
class NeutralEstimates(NoRaw):
    """Estimates every cell a second time, at its neutral place: a BlockBands.

    Attributes:
        places: averaged vectors.
    """

    places: SmoothPlaces

    @property
    def bands(self) -> tuple[Band, ...]:
        """Name the one band."""
        return (NEUTRAL,)

    def __call__(self, at: BlockDay) -> dict[Band, Floats]:
        """Return the estimate at the neutral place, ug m-3; the mean of a model with members."""
        return {NEUTRAL: at.session.run(at.window, self.places.read(at.numbers))}
