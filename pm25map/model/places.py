"""Place vectors of stations, as a place store would hold them."""

import numpy as np
import numpy.typing as npt

from pm25map.model.card import Geolocation, PlaceInput
from pm25map.places.catalogue import encoder
from pm25map.places.location_encoder import stored_vectors


def check_encoder(geolocation: Geolocation) -> None:
    """Open the encoder once, before hours of work that need it.

    Raises:
        UnknownName: no encoder has that name.
        BadModel, BadInstall: its file is absent or damaged, or its package is.
    """
    if geolocation != "none":
        encoder(geolocation)


def place_vectors(
    geolocation: Geolocation, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32] | None, PlaceInput]:
    """Encode stations: vectors (station, d) as a place store holds them, and their description for the card.

    Raises:
        UnknownName: no encoder has that name.
        BadModel, BadInstall: its file is absent or damaged, or its package is; or a vector holds no number.
    """
    if geolocation == "none":
        return None, PlaceInput(encoder="none", dimension=0, checksum=None)
    location_encoder = encoder(geolocation)
    vectors = stored_vectors(location_encoder, lat, lon).astype(np.float32)
    return vectors, PlaceInput(
        encoder=geolocation, dimension=location_encoder.dimension, checksum=location_encoder.checksum
    )
