"""What the cards of encoders say that nobody trained here: the formulas, and GeoCLIP."""

import json
from dataclasses import asdict, fields
from typing import Any

from pm25map.base.errors import UnknownName
from pm25map.base.shipped import find_folder
from pm25map.grid import Grid
from pm25map.laboratory.encoders.profile import profile_of
from pm25map.places.card import About
from pm25map.places.encoder import LocationEncoder
from pm25map.places.geoclip import CARD, Geoclip
from pm25map.places.harmonics import Harmonics
from pm25map.places.some_capsules import SomeCapsules
from pm25map.places.trained import Trained


def about(encoder: LocationEncoder) -> About:
    """Say what an encoder is, whence, and where it was trained.

    Raises:
        UnknownName: it is an encoder that this package does not know.
    """
    if isinstance(encoder, Trained):
        return About(**{one.name: getattr(encoder.card, one.name) for one in fields(About)})
    if isinstance(encoder, Geoclip | SomeCapsules):
        card = geoclip_card()
        whole = isinstance(encoder, Geoclip)
        return About(
            name=encoder.name,
            description="GeoCLIP's location encoder" + ("" if whole else ", the sum of some of its capsules"),
            licence=card["licence"],
            citation=card["citation"],
            source=card["source"],
            training_domain=card["training_domain"],
            seen=tuple(card["seen"]),
        )
    if isinstance(encoder, Harmonics):
        return _formula(
            encoder.name,
            f"real orthonormal spherical harmonics up to degree {encoder.degree}",
            "Russwurm et al. 2023 (arXiv 2310.06743); Holmes and Featherstone 2002, J. Geodesy 76, 279-299",
        )
    says = {
        "latlon": "latitude / 90 and longitude / 180",
        "sincos": "sine and cosine of latitude and of longitude",
    }
    if encoder.name not in says:
        raise UnknownName(f"there is no card of the encoder {encoder.name}. Give one that pm25map knows")
    return _formula(encoder.name, says[encoder.name], "none: a formula")


def _formula(name: str, description: str, citation: str) -> About:
    """Say that nothing was learned."""
    return About(
        name=name,
        description=description,
        licence="none needed: a formula",
        citation=citation,
        source="pm25map",
        training_domain="none: nothing was learned; the whole globe",
    )


def geoclip_card() -> dict[str, Any]:
    """Read the card that is shipped beside GeoCLIP's network; the network was opened before, so it is there."""
    card: dict[str, Any] = json.loads((find_folder("models", "geoclip", CARD) / CARD).read_bytes())
    return card


def describe(encoder: LocationEncoder, grid: Grid) -> dict[str, Any]:
    """Give what the card of any encoder says; where it has no profile, it is measured over the land of a grid.

    Raises:
        UnknownName: it is an encoder that this package does not know.
        BadGrid: the grid is not in metres.
    """
    if isinstance(encoder, Trained):
        return encoder.card.model_dump(exclude_none=True, exclude={"patch"})
    found: dict[str, Any] = asdict(about(encoder))
    for empty in ("training", "provenance"):
        del found[empty]
    found["dimension"] = encoder.dimension
    known = geoclip_card()["profile"] if isinstance(encoder, Geoclip) else {}
    found["profile"] = known if known.get("grid") == grid.name else profile_of(encoder, grid).model_dump()
    return found
