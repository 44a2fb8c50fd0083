"""The description of an encoder by its card, with its profile over a grid."""

from dataclasses import asdict
from typing import Any

from pm25map.grid import Grid
from pm25map.laboratory.encoders.profile import profile_of
from pm25map.places.location_encoder import LocationEncoder
from pm25map.places.trained import TrainedEncoder


def describe(encoder: LocationEncoder, grid: Grid) -> dict[str, Any]:
    """Return the fields of any encoder's card; where it has no profile, it is measured over the land of a grid.

    Raises:
        BadGrid: the grid is not in metres.
    """
    if isinstance(encoder, TrainedEncoder):
        return encoder.card.model_dump(exclude_none=True, exclude={"patch"})
    about = encoder.about()
    fields: dict[str, Any] = asdict(about)
    for empty in ("training", "provenance", "parity"):
        del fields[empty]
    fields["dimension"] = encoder.dimension
    known = about.profile
    is_measured = known is not None and known.grid == grid.name
    fields["profile"] = (known if is_measured and known else profile_of(encoder, grid)).model_dump()
    return fields
