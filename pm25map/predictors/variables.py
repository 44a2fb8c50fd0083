"""The variable table: what every predictor is, in which unit and range, and where it comes from.

The rows are in the entries of their sources (pm25map.predictors.catalogue).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pm25map.base.errors import BadInstall, BadPredictors, UnknownName
from pm25map.predictors.catalogue import sources

Kind = Literal["daily", "static", "climatology", "calendar"]
"""How a variable is kept: (time, y, x); (y, x); (month, y, x), evaluated for a day when it is read; or not at
all, because it follows from day and place."""

Resampling = Literal["average", "bilinear", "nearest", "vector", "burn", "computed"]
"""How a source comes to the grid. Average turns to bilinear where the raster is coarser than the grid; vector
averages a direction as a unit vector; burn rasterizes polygons by the share of a cell that they cover. Computed: there
is no raster, the value is worked out at cell centres."""

Filling = Literal["stop", "nearest", "indicator", "computed"]
"""What becomes of a gap on land at ingest. Stop: it is an error. Nearest: it takes the nearest valid cell.
Indicator: it stays NaN, and an indicator marks it for the model. Computed: there can be none."""

MISSING_PACKED = -32768
"""What NaN becomes in a packed variable (int16)."""


@dataclass(frozen=True)
class Variable:
    """One row of the table. Checked when created.

    Attributes:
        name: of the variable in the store, and of the model's feature.
        standard_name: of the CF table, None where it has none.
        long_name: what it is, for people.
        units: as UDUNITS reads them, ASCII.
        source: the source that has it: `pm25map data ingest --source`.
        kind: how it is kept.
        valid_min, valid_max: in units, both included; what lies outside is an error.
        precision: the step of packed values, in units, where a store packs it; None where it is computed.
        resampling: how a raster comes to the grid.
        filling: what becomes of a gap on land.
    """

    name: str
    standard_name: str | None
    long_name: str
    units: str
    source: str
    kind: Kind
    valid_min: float
    valid_max: float
    precision: float | None
    resampling: Resampling
    filling: Filling

    def __post_init__(self) -> None:
        choices = (self.kind, Kind), (self.resampling, Resampling), (self.filling, Filling)
        if any(value not in get_args(allowed) for value, allowed in choices):
            raise BadPredictors(
                f"variable {self.name}: {self.kind}, {self.resampling} or {self.filling} is unknown"
            )
        if not (math.isfinite(self.valid_min) and self.valid_min < self.valid_max < math.inf and self.units):
            raise BadPredictors(f"variable {self.name} needs units and a valid range that grows")
        if self.stored == (self.precision is None):
            raise BadPredictors(
                f"variable {self.name}: what is stored needs a precision, what is computed has none"
            )
        if self.precision is not None:
            packing(self, self.precision)

    @property
    def stored(self) -> bool:
        """Return whether a store holds it; what is not stored is computed when read."""
        return self.kind != "calendar"

    def attributes(self) -> dict[str, str | float]:
        """Return the CF attributes of the variable in a store."""
        names = {"standard_name": self.standard_name} if self.standard_name else {}
        methods = {"daily": "time: mean", "climatology": "month: mean"}
        cell_methods = {"cell_methods": methods[self.kind]} if self.kind in methods else {}
        return {
            **names,
            "long_name": self.long_name,
            "units": self.units,
            "valid_min": self.valid_min,
            "valid_max": self.valid_max,
            **cell_methods,
            "source": self.source,
            "resampling": self.resampling,
            "filling": self.filling,
        }


_FEWEST_STEPS = 20


def packing(variable: Variable, precision: float) -> tuple[float, float]:
    """Return scale_factor and add_offset of int16 that hold a variable's whole valid range at a precision.

    Raises:
        BadPredictors: the range has more than 65,533 steps, or so few that hardly a value would be left.
    """
    steps = (variable.valid_max - variable.valid_min) / precision
    if not (precision > 0 and steps <= 2 * 32767 - 1):
        raise BadPredictors(
            f"variable {variable.name} cannot be packed in steps of {precision:g} {variable.units}: it "
            f"needs {steps:,.0f} of the 65,533 steps of int16. Choose a coarser precision"
        )
    if steps < _FEWEST_STEPS:
        raise BadPredictors(
            f"variable {variable.name} cannot be packed in steps of {precision:g} {variable.units}: of its range "
            f"{variable.valid_min:g} to {variable.valid_max:g} fewer than {_FEWEST_STEPS} values would be left. "
            "Choose a finer precision"
        )
    # A multiple of the step, so that zero and round numbers come back as they were.
    middle = round((variable.valid_min + variable.valid_max) / 2 / precision)
    return precision, middle * precision


_NUMBERS = ("valid_min", "valid_max", "precision")


def _read_table() -> dict[str, Variable]:
    rows: dict[str, Variable] = {}
    for source, entry in sources().items():
        for name, given in entry.variables.items():
            if name in rows:
                raise BadInstall(
                    f"the source {source} gives {name}, which is of {rows[name].source}. Rename it in its package"
                )
            words = {"standard_name": None, "precision": None} | given
            try:
                words |= {key: float(words[key]) for key in _NUMBERS if words.get(key) is not None}
                rows[name] = Variable(name=name, source=source, **words)
            except (TypeError, ValueError, BadPredictors) as error:
                raise BadInstall(
                    f"the variable {name} of the source {source}: {error}. Mend its package"
                ) from error
    return rows


VARIABLES: dict[str, Variable] = _read_table()
"""Every predictor there is, by name."""


def variable(name: str) -> Variable:
    """Look up a variable.

    Raises:
        UnknownName: the table has no such row.
    """
    if name not in VARIABLES:
        raise UnknownName(f"unknown predictor {name!r}: the table has {', '.join(VARIABLES)}")
    return VARIABLES[name]


def variables_of(source: str) -> tuple[str, ...]:
    """List the variables of one source, in the order of the table."""
    return tuple(name for name, row in VARIABLES.items() if row.source == source)


def stored_only(names: Iterable[str]) -> tuple[str, ...]:
    """Keep the variables that a store holds.

    Raises:
        UnknownName: one of them is not in the table.
    """
    return tuple(name for name in names if variable(name).stored)


def check_range(
    row: Variable, values: npt.NDArray[np.floating], where: str, labels: Sequence[object] = ()
) -> None:
    """Refuse values outside of a variable's valid range; NaN is missing and passes.

    Args:
        row: the variable.
        values: in its units, any shape.
        where: the file or store, for the message.
        labels: names of the entries of the first axis, such as days, for the message.

    Raises:
        BadPredictors: names the variable, the value, the day where there are days, and the range.
    """
    # The slack is what float32 and packing may round off at the ends of the range.
    slack = 1e-6 * (row.valid_max - row.valid_min) + 1e-6
    wrong = (values < row.valid_min - slack) | (values > row.valid_max + slack)
    if not wrong.any():
        return
    first = tuple(np.argwhere(wrong)[0])
    label = f" on {labels[first[0]]}" if labels else ""
    raise BadPredictors(
        f"{row.name} is {float(values[first]):g} {row.units}{label} in {where} "
        f"({int(wrong.sum())} such values): its valid range is {row.valid_min:g} to {row.valid_max:g}. "
        f"Check the unit of the source"
    )
