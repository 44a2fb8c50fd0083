"""What the page is told: maps, layers, colours, states and cities, in values that JSON holds."""

import functools
import json
from typing import Any

import numpy as np
import shapely
from matplotlib.colors import to_hex

from pm25map.base.aqi import CATEGORIES, CATEGORIES_BEFORE_2024, Category, concentration_text
from pm25map.diagnostics.hotspots import HotSpot
from pm25map.grid import states
from pm25map.grid.areas import cell_areas
from pm25map.grid.cities import cities
from pm25map.view.colours import Palette, colours, ramp, range_of, shades_of
from pm25map.view.headline import beware
from pm25map.view.layers import Layer, LookedAt
from pm25map.view.pack import net_of, pack

_BORDER_DEGREES = 0.004
"""How far a state line may be off: 400 m, less than a cell of any grid that a page holds."""

_AREA_KNOTS, _SAME_AREA = 65, 1e-6

_CITIES = 45
_APART_DEGREES, _FIRST_APART_DEGREES = 1.6, 5.0
_NAMED_ZOOM = 4.6
"""Before it only cities far from each other are named, so that no two names meet."""

EDITIONS = {"2024": CATEGORIES, "earlier": CATEGORIES_BEFORE_2024}
_PALETTES: tuple[Palette, ...] = ("epa", "safe")

ESTIMATES = (
    "Estimates of a model, not measurements; values are 24-hour means, cut to 0.1 µg/m³ as the index asks."
)


def page_data(
    maps: list[LookedAt],
    left_out: list[str],
    spots: list[list[HotSpot]],
    links: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Gather everything that the page shows.

    Args:
        maps: in the order of the day slider.
        left_out: sentences on files that are not shown.
        spots: the hot spots of each map.
        links: for each map the address of each of its layers, by key, where a server gives the values; the
            page holds them itself where None.
    """
    places = list(dict.fromkeys(one.place for one in maps))
    firsts = [next(one for one in maps if one.place == place) for place in places]
    nets = [net_of(one) for one in firsts]
    said = [
        _map(one, places.index(one.place), found, None if links is None else links[number])
        for number, (one, found) in enumerate(zip(maps, spots, strict=True))
    ]
    notes = [ESTIMATES] if any(one.found for one in maps) else []
    if len(places) > 1:
        notes.append(f"The maps lie on {len(places)} grids; each is drawn on its own cells.")
    west, north = min(net.box[0] for net in nets), min(net.box[1] for net in nets)
    east, south = max(net.box[2] for net in nets), max(net.box[3] for net in nets)
    return {
        "grids": [
            {
                "box": net.box,
                "knots": net.knots,
                "places": net.places,
                "shape": one.shape,
                "areas": _areas(one),
            }
            for net, one in zip(nets, firsts, strict=True)
        ],
        "maps": said,
        "layers": _layers(maps),
        "schemes": {
            f"{edition} {palette}": _scheme(categories, palette)
            for edition, categories in EDITIONS.items()
            for palette in _PALETTES
        },
        "ramps": {"plain": ramp(signed=False), "signed": ramp(signed=True)},
        "states": json.loads(_state_lines()),
        "cities": _cities(),
        "view": [_degrees(west, south), _degrees(east, north)],
        "first": 0,
        "facts": notes + left_out,
    }


def _areas(one: LookedAt) -> list[list[float]]:
    """Return the areas of some cells, km2: (row, column), evenly from the first to the last; between them it is linear.

    One row, or one column, stands for all where they are the same.
    """
    areas = cell_areas(one.grid())
    for axis in (0, 1):
        count = areas.shape[axis]
        if np.ptp(areas, axis=axis).max() <= _SAME_AREA * areas.max():
            areas = np.take(areas, [0], axis=axis)
        elif count > _AREA_KNOTS:
            at = np.linspace(0, count - 1, _AREA_KNOTS)
            low = np.minimum(at.astype(int), count - 2)
            below, above = np.take(areas, low, axis=axis), np.take(areas, low + 1, axis=axis)
            part = (at - low)[:, None] if axis == 0 else at - low
            areas = below + (above - below) * part
    return [[float(f"{area:.7g}") for area in line] for line in areas]


def title_of(maps: list[LookedAt]) -> str:
    """Name the page."""
    days = [one.day for one in maps if one.day]
    what = "PM2.5" if any(one.found for one in maps) else maps[0].path.name
    if not days:
        return what
    first, last = (f"{day.day} {day:%B %Y}" for day in (days[0], days[-1]))
    return f"{what}, {first}" if first == last else f"{what}, {first} to {last}"


def _map(one: LookedAt, grid: int, spots: list[HotSpot], links: dict[str, str] | None) -> dict[str, Any]:
    facts = [f"File {one.path.name}."]
    subtitle = "Surface PM2.5, 24-hour mean, µg/m³" if one.found else "A map that does not say what made it"
    if one.found:
        p, s = one.found.provenance, one.found.statistics
        subtitle += f". Mean {s.mean:.1f}, maximum {concentration_text(s.maximum)}"
        if p.warnings:
            subtitle += f". {beware(p.warnings)}"
        facts += [
            f"Model {p.model_name} {p.model_version}, card {p.card_checksum[:8]}; grid {p.grid_name}; day: "
            f"{p.day_definition}. Made by pm25map {p.software_version}: {p.command}",
            f"Classes: {p.aqi_edition}. Licence {p.licence}.",
        ]
    else:
        facts.append(
            "It does not say all that a map of pm25map says: what it lacks, such as the model, is not shown."
        )
    if one.coarser > 1:
        facts.append(f"Each cell shown is the mean of {one.coarser} x {one.coarser} cells of the file.")
    layers = {}
    for layer in one.layers:
        packed = pack(layer)
        where = {"data": packed.data} if links is None else {"href": links[layer.key]}
        layers[layer.key] = {"step": packed.step, "offset": packed.offset, **where}
    return {
        "name": f"{one.day.isoformat()}" if one.day else one.path.name,
        "day": one.day.isoformat() if one.day else None,
        "subtitle": subtitle,
        "grid": grid,
        "layers": layers,
        "facts": facts,
        "spots": [spot_data(spot) for spot in spots],
    }


def spot_data(spot: HotSpot) -> dict[str, Any]:
    """Return what the page shows of a hot spot."""
    west, south, east, north = spot.outline.bounds
    return {
        "name": spot.title,
        "words": spot.summary,
        "outline": json.loads(shapely.to_geojson(shapely.set_precision(spot.outline, 1e-3))),
        "peak": [round(spot.peak_lon, 4), round(spot.peak_lat, 4)],
        "box": [[west, south], [east, north]],
    }


def _layers(maps: list[LookedAt]) -> list[dict[str, Any]]:
    """List the layers of all maps, the estimate first; a layer has one range of colours on all days."""
    found: dict[str, list[Layer]] = {}
    for one in maps:
        for layer in one.layers:
            found.setdefault(layer.key, []).append(layer)
    return [
        {
            "key": key,
            "label": same[0].label,
            "unit": same[0].unit,
            "kind": same[0].kind,
            "flags": same[0].flags,
            "range": _range(same),
        }
        for key, same in sorted(found.items(), key=lambda item: item[0] != "pm25")
    ]


def _range(layers: list[Layer]) -> list[float]:
    if layers[0].kind == "flags":
        return [0, max(1, len(layers[0].flags))]
    return list(range_of(np.concatenate([layer.values.ravel() for layer in layers])))


def _scheme(categories: tuple[Category, ...], palette: Palette) -> dict[str, Any]:
    colormap, norm = colours(categories, palette)
    return {
        "edges": [round(float(edge), 6) for edge in norm.boundaries],
        "shades": [to_hex(colour) for colour in colormap(range(colormap.N))],
        "classes": [
            {
                "name": category.name,
                "low": category.low,
                "high": None if category is categories[-1] else category.high,
                "shades": [to_hex(tuple(shade)) for shade in shades_of(category, palette)[::4]],
            }
            for category in categories
        ],
    }


@functools.cache
def _state_lines() -> str:
    """Return the states as GeoJSON text; borders between two states stay common to both."""
    frame = states()
    shapes = shapely.coverage_simplify(frame.geometry.to_numpy(), _BORDER_DEGREES)
    features = [
        {
            "type": "Feature",
            "properties": {"name": str(name)},
            "geometry": json.loads(shapely.to_geojson(shapely.set_precision(shape, 1e-4, mode="pointwise"))),
        }
        for name, shape in zip(frame["name"], shapes, strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


@functools.cache
def _cities() -> list[tuple[str, float, float, float]]:
    """Choose cities that help to find one's way, largest first and none close to a larger one.

    Returns:
        name, longitude, latitude, and the zoom of the map from which on it is named.
    """
    chosen: list[tuple[str, float, float, float]] = []
    for city in cities():
        away = [(max(abs(city.lon - lon), abs(city.lat - lat)), zoom) for _, lon, lat, zoom in chosen]
        if len(chosen) == _CITIES:
            break
        if all(distance > _APART_DEGREES for distance, _ in away):
            first = all(distance > _FIRST_APART_DEGREES for distance, zoom in away if zoom == 0)
            chosen.append((city.name, round(city.lon, 3), round(city.lat, 3), 0.0 if first else _NAMED_ZOOM))
    return chosen


def _degrees(mx: float, my: float) -> list[float]:
    """Turn a place on the Mercator square into longitude and latitude."""
    lat = np.degrees(2 * np.arctan(np.exp(np.pi * (1 - 2 * my))) - np.pi / 2)
    return [round(360 * mx - 180, 5), round(float(lat), 5)]
