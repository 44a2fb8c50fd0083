"""A block: a rectangle of cells that is read, predicted or written at once."""

from dataclasses import dataclass

from pm25map.base.errors import BadGrid


@dataclass(frozen=True, order=True)
class Block:
    """A rectangle of a grid, in cells.

    Attributes:
        row, col: its north-western cell; row 0 is the grid's northernmost.
        height, width: cells; at least 1.
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.row, self.col) < 0 or min(self.height, self.width) < 1:
            raise BadGrid(f"{self} is not a rectangle of cells: rows and columns count from 0, sizes from 1")

    @property
    def slices(self) -> tuple[slice, slice]:
        """Return its rows and columns, to index an array (y, x) of the grid."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    @property
    def id(self) -> str:
        """Name the block by its first cell, for example r0000c0128."""
        return f"r{self.row:04d}c{self.col:04d}"
