"""Units of providers, converted to those of the variable table, or refused."""

import functools
import re

import numpy as np
import numpy.typing as npt
import pint

from pm25map.base.errors import BadPredictors
from pm25map.predictors.variables import Variable

SPELLINGS = {
    "degk": "kelvin",
    "k": "kelvin",
    "degrees c": "degC",
    "degree_celsius": "degC",
    "degrees_celsius": "degC",
    "deg_c": "degC",
    "c": "degC",
    "degrees f": "degF",
    "degrees clockwise from north": "degree",
    "degrees": "degree",
    "deg": "degree",
    "%": "percent",
    "none": "dimensionless",
    "": "dimensionless",
    "1": "dimensionless",
}
"""What providers write (gridMET, nClimGrid, NCEP, Daymet), in lower case, and the unit that is meant."""


def convert(
    values: npt.NDArray[np.float32],
    units: str | None,
    row: Variable,
    where: str,
    *,
    daily_total: bool = False,
) -> npt.NDArray[np.float32]:
    """Convert values to the unit of a variable.

    Args:
        values: any shape.
        units: as the file writes them; None where it has none.
        row: the variable that they become.
        where: file and dataset, for the message.
        daily_total: the provider's unit is of the whole day: "mm" means mm in a day, "s" stays as it is.

    Raises:
        BadPredictors: the file has no unit, or one that cannot become the table's.
    """
    if units is None:
        raise BadPredictors(
            f"{where} says no unit, and {row.name} must be in {row.units!r}: get the provider's own file"
        )
    try:
        return np.asarray(_convert(values, units, row.units, daily_total), dtype=np.float32)
    except (pint.PintError, ValueError, AssertionError, TypeError) as error:
        raise BadPredictors(
            f"{where} is in {units!r}, which cannot become {row.units!r} of {row.name}: get the provider's own "
            f"file, or convert it first"
        ) from error


def _convert(
    values: npt.NDArray[np.float32], units: str, target: str, daily_total: bool
) -> npt.NDArray[np.float32]:
    source, wanted = _unit(units), _unit(target)
    if daily_total and source.dimensionality != wanted.dimensionality:
        source = source / _registry().day
    if source == wanted:
        return values
    return np.asarray(_registry().Quantity(values, source).to(wanted).magnitude)


@functools.cache
def _registry() -> pint.UnitRegistry[float]:
    return pint.UnitRegistry()


@functools.cache
def _unit(text: str) -> pint.Unit:
    """Read a unit as UDUNITS writes it: "W m-2" is W * m**-2."""
    plain = SPELLINGS.get(text.strip().lower(), text.strip())
    powers = re.sub(r"(?<=[A-Za-z])\^?(-?\d+)", r"**\1", plain)
    return _registry().Unit(re.sub(r"(?<=[\w)])\s+(?=[A-Za-z])", " * ", powers))
