"""The outlines of the countries of the world."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pm25map.base.errors import BadRaster
from pm25map.laboratory.world.topojson import outlines_of_topology

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon

COUNTRIES = "countries-50m.json"


def read_countries(folder: Path) -> "dict[str, MultiPolygon]":
    """Read the outlines of the countries, by name.

    Raises:
        BadRaster: they are absent or damaged.
    """
    path = folder / COUNTRIES
    try:
        return outlines_of_topology(json.loads(path.read_bytes()), "countries")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRaster(
            f"cannot read the countries {path}: {error!r:.100}. Give countries-50m.json of world-atlas"
        ) from error
