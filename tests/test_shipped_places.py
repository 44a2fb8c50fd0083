"""The shipped encoder places-open: small, smooth, as its card says, and with CONUS told apart."""

import numpy as np

from pm25map.base.shipped import shipped_folder
from pm25map.places.card import read_card
from pm25map.places.catalogue import encoder

FOLDER = shipped_folder("models") / "places-open"


def test_it_is_small_and_its_card_says_where_it_comes_from() -> None:
    card = read_card(FOLDER)
    assert card.dimension <= 256
    assert (FOLDER / card.file).stat().st_size <= 5e6
    assert all(len(row["sha256"]) == 64 for row in card.provenance)
    assert card.training["retrieval_top1"] >= 50 / card.training["held_out_pairs"]
    assert set(card.seen) == {"elevation", "landcover"}
    assert max(card.parity.values()) < 1e-5


def test_less_than_one_percent_of_its_energy_is_below_100_km() -> None:
    profile = read_card(FOLDER).profile
    assert sum(profile.share[: profile.cutoffs_km.index(100.0) + 1]) < 0.01


def test_it_tells_places_apart_and_neighbours_not() -> None:
    made = encoder("places-open")
    lat = np.array([45.52, 45.53, 33.45, 40.78])
    lon = np.array([-122.68, -122.68, -112.07, -73.97])
    vectors = made.encode(lat, lon)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = unit @ unit.T
    assert alike[0, 1] > 0.999
    assert alike[0, 2] < 0.9
