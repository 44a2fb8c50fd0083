"""What is stated of a day's monitors, as numbers by name: how many of which network, and how many are preliminary."""

from collections.abc import Mapping

PRELIMINARY = "preliminary"
"""Name of the number of preliminary values; absent where it is unknown."""

_COUNT = "monitors "


def count_name(what: str) -> str:
    """Name the number of monitors of a network, or of a network and parameter."""
    return f"{_COUNT}{what}"


def counts_in(facts: Mapping[str, float]) -> dict[str, int]:
    """Return the monitors by network, and by parameter where that is known; empty where nothing is.

    >>> counts_in({"monitors AQS 88101": 812.0, "preliminary": 0.0})
    {'AQS 88101': 812}
    """
    return {name.removeprefix(_COUNT): int(n) for name, n in facts.items() if name.startswith(_COUNT)}


def preliminary_in(facts: Mapping[str, float]) -> int | None:
    """Return how many values are preliminary; None where it is unknown."""
    return int(facts[PRELIMINARY]) if PRELIMINARY in facts else None


def status_text(count: int | None, preliminary: int | None) -> str:
    """Describe the status of some values: final, preliminary, or how many are preliminary; empty where it is unknown.

    >>> status_text(1100, 40)
    '40 preliminary'
    """
    if preliminary is None:
        return ""
    if preliminary == 0:
        return "final"
    return PRELIMINARY if preliminary == count else f"{preliminary:,} {PRELIMINARY}"
