"""A finding: one suspicious place of a map, and the reason."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["seam", "stripe", "flat patch", "hole", "ripple", "texture", "prior"]

Mask = npt.NDArray[np.bool_]
Field = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Finding:
    """One suspicious place.

    Attributes:
        kind: what it is.
        mask: bool (y, x), its cells.
        size_ugm3: how far it moves the estimate: a jump, an amplitude, a root mean square; NaN for a hole.
        strength: how sure the detector is, in units of its own threshold: 1 is just enough.
        words: the reason, for people.
    """

    kind: Kind
    mask: Mask
    size_ugm3: float
    strength: float
    words: str
