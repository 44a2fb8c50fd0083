"""The variants that are compared: inputs of the place, and the baselines that a user would choose instead."""

from dataclasses import dataclass
from typing import Literal

from pm25map.base.errors import BadStudy
from pm25map.model.card import Geolocation


@dataclass(frozen=True)
class NetworkVariant:
    """A way to tell a network its place.

    Attributes:
        geolocation: as in a training configuration; SATCLIP stands for the encoder that a protocol names.
        fusion: how the place joins.
    """

    geolocation: Geolocation
    fusion: Literal["hadamard", "concatenation"] = "hadamard"


@dataclass(frozen=True)
class Variant:
    """One of what is compared.

    Attributes:
        name: of the variant.
        network: of a network; None for a baseline.
        field: of a baseline that is a field of the neighbours source, computed from the fold's training stations.
    """

    name: str
    network: NetworkVariant | None = None
    field: str | None = None


SATCLIP = "satclip"
NO_SATCLIP = "no published SatCLIP checkpoint was given"

VARIANTS: dict[str, Variant] = {
    one.name: one
    for one in (
        Variant("none", NetworkVariant("none")),
        Variant("latlon", NetworkVariant("latlon")),
        Variant("sincos", NetworkVariant("sincos")),
        Variant("geoclip-hadamard", NetworkVariant("geoclip")),
        Variant("geoclip-concat", NetworkVariant("geoclip", "concatenation")),
        # Capsules are counted from 1 in names of encoders: this one is without the third, sigma 256.
        Variant("geoclip-without-capsule-2", NetworkVariant("geoclip-capsules-1-2")),
        Variant("places-open-hadamard", NetworkVariant("places-open")),
        Variant("satclip-hadamard", NetworkVariant(SATCLIP)),
        Variant("satclip-concat", NetworkVariant(SATCLIP, "concatenation")),
        Variant("idw", field="neighbours_idw9"),
        Variant("neighbours-kriging", field="neighbours_kriging"),
        Variant("kriging"),
        Variant("gradient-boosting"),
    )
}
"""Every variant by its name."""


def variant_of(geolocation: Geolocation) -> str:
    """Return the variant whose network has the same input of the place as a model.

    Raises:
        BadStudy: there is none.
    """
    for one in VARIANTS.values():
        if one.network is not None and one.network.geolocation == geolocation:
            return one.name
    raise BadStudy(f"no variant of the study has the geolocation {geolocation}: name another --model")
