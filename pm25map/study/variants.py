"""What is compared: ways to tell a network its place, and the baselines that a user would pick instead."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pm25map.model.card import Geolocation
from pm25map.model.places import place_vectors

Vectors = npt.NDArray[np.float32]
Degrees = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NetworkVariant:
    """A way to tell a network its place.

    Attributes:
        geolocation: as in a training configuration.
        fusion: how the place joins.
        without_capsule: the number of GeoCLIP's capsule that is left out of the sum; None: the whole vector.
    """

    geolocation: Geolocation
    fusion: Literal["hadamard", "concatenation"] = "hadamard"
    without_capsule: int | None = None


@dataclass(frozen=True)
class Variant:
    """One of what is compared.

    Attributes:
        name: of the variant.
        network: of a network; None for a baseline.
        not_run: why it cannot be run; empty where it can.
    """

    name: str
    network: NetworkVariant | None = None
    not_run: str = ""


NO_SATCLIP = "no published SatCLIP checkpoint was given"

VARIANTS: dict[str, Variant] = {
    one.name: one
    for one in (
        Variant("none", NetworkVariant("none")),
        Variant("latlon", NetworkVariant("latlon")),
        Variant("sincos", NetworkVariant("sincos")),
        Variant("geoclip-hadamard", NetworkVariant("geoclip")),
        Variant("geoclip-concat", NetworkVariant("geoclip", "concatenation")),
        Variant("geoclip-without-capsule-2", NetworkVariant("geoclip", without_capsule=2)),
        Variant("satclip-hadamard", not_run=NO_SATCLIP),
        Variant("satclip-concat", not_run=NO_SATCLIP),
        Variant("idw"),
        Variant("neighbours-kriging"),
        Variant("kriging"),
        Variant("gradient-boosting"),
    )
}
"""Every variant by its name."""


def vectors_of(variant: NetworkVariant, lat: Degrees, lon: Degrees) -> Vectors | None:
    """Encode stations: float32 (station, d) as a place store holds them; None where the place is not told.

    Raises:
        BadModel, BadInstall: the encoder's file is absent or damaged, or its package is.
    """
    if variant.without_capsule is None:
        return place_vectors(variant.geolocation, lat, lon)[0]
    from pm25map.places.capsules import Capsules  # noqa: PLC0415 - only this variant needs it

    parts = Capsules().encode(lat, lon)
    kept = np.delete(parts, variant.without_capsule, axis=0).sum(axis=0)
    # As a place store keeps it.
    rounded: Vectors = kept.astype(np.float16).astype(np.float32)
    return rounded
