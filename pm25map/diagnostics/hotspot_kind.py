"""Wildfire or city: the rules that classify hot spots."""

from typing import Literal

from pm25map.base.aqi import CATEGORIES

Kind = Literal["wildfire", "urban", "unclear"]

URBAN_KM2, URBAN_UGM3 = 20_000.0, CATEGORIES[3].high
"""Cities make neither larger regions nor higher daily means; what exceeds either is smoke."""

PLUME_UGM3, WILDFIRE_UGM3 = CATEGORIES[1].high, CATEGORIES[2].high
"""ug m-3: a large region is a plume only when it reaches beyond Moderate; any region beyond the next class."""

URBAN_PEOPLE, CITY_PEOPLE = 50_000, 100_000
"""People of the largest place inside: with and without a record of smoke."""

SMOKE_SHARE = 0.5


def kind_of(area_km2: float, maximum: float, people: int, smoke_percent: float | None) -> tuple[Kind, str]:
    """Classify a hot spot as wildfire or city, by rules that a reader can check.

    Args:
        area_km2: of the region.
        maximum: ug m-3, its highest value.
        people: of the largest place inside; 0 without one.
        smoke_percent: share under smoke of NOAA HMS; None where it was not recorded.

    Returns:
        the kind, and the rule in words.
    """
    inside = f"a place of {people:,} people inside"
    if smoke_percent is not None:
        said = f"NOAA HMS drew smoke over {smoke_percent:.0f} % of it"
        if smoke_percent >= 100 * SMOKE_SHARE:
            return "wildfire", said
        return ("urban", f"{inside}; {said}") if people >= URBAN_PEOPLE else ("unclear", said)
    large = area_km2 > URBAN_KM2
    rules: tuple[tuple[bool, Kind, str], ...] = (
        (large and maximum > PLUME_UGM3, "wildfire", f"larger than a city's air: over {URBAN_KM2:,.0f} km2"),
        (maximum > URBAN_UGM3, "wildfire", f"worse than a city's air: over {URBAN_UGM3:g} ug/m3"),
        (people >= CITY_PEOPLE and not large, "urban", inside),
        (maximum > WILDFIRE_UGM3, "wildfire", f"over {WILDFIRE_UGM3:g} ug/m3, and no city inside"),
        (True, "unclear", "neither large, nor high, nor over a city"),
    )
    kind, reason = next((kind, reason) for holds, kind, reason in rules if holds)
    return kind, f"{reason} (no record of smoke at hand)"
