"""Checks of a predictor store for a model, each with the command that mends what is missing."""

import datetime as dt
from collections.abc import Collection, Mapping
from pathlib import Path

from pm25map.base.errors import BadPredictors, DayOutsideStore, MissingDays
from pm25map.base.storage import Location
from pm25map.predictors.computed import NEEDS
from pm25map.predictors.variables import variable, variables_of


def check_features(path: Location, available: Collection[str], features: Collection[str]) -> None:
    """Refuse features that a store does not have.

    Raises:
        UnknownName: the table has no such variable.
        BadPredictors: the store has neither it nor the variables that it is computed from.
    """
    if lacking := _lacking(available, features):
        source = variable(lacking[0]).source
        raise BadPredictors(f"{path} lacks {', '.join(lacking)}. Run: {_command(source)} --store {path}")


def check_from_monitors(features: Collection[str]) -> None:
    """Refuse features that come neither from monitors nor from the layers of the package.

    Raises:
        UnknownName: the table has no such variable.
        BadPredictors: a model reads variables of other sources.
    """
    if lacking := _lacking((*variables_of("neighbours"), *variables_of("static")), features):
        sources = ", ".join(dict.fromkeys(variable(name).source for name in lacking))
        raise BadPredictors(
            f"the model reads {', '.join(lacking)}, which monitors do not give: fill a store from {sources} "
            "(docs/providers.md) and name it with --predictors, or choose another model"
        )


def _lacking(available: Collection[str], features: Collection[str]) -> list[str]:
    """List the stored variables that some features need, themselves or to be computed, and that are absent."""
    needed = [need for name in features for need in (NEEDS.get(name, ()) if name in NEEDS else (name,))]
    return [name for name in dict.fromkeys(needed) if variable(name).stored and name not in available]


def check_days(path: Location, whole: Mapping[str, Collection[dt.date]], days: list[dt.date]) -> None:
    """Refuse a window whose days are not all in a store.

    Args:
        path: of the store.
        whole: for every daily feature, the days on which it is whole.
        days: of the window, the estimated day last.

    Raises:
        DayOutsideStore: the last day, or the start of its window, lies outside; names the days in the store.
        MissingDays: days inside are missing; the message names them and the command that adds them.
    """
    absent = {name: [day for day in days if day not in present] for name, present in whole.items()}
    absent = {name: lacking for name, lacking in absent.items() if lacking}
    if not absent:
        return
    lacking = sorted(set().union(*absent.values()))
    sources = list(dict.fromkeys(variable(name).source for name in absent))
    run = "; ".join(
        f"{_command(source)} --start {lacking[0]} --end {lacking[-1]} --store {store_to_write(path)}"
        for source in sources
    )
    incomplete = [present for name, present in whole.items() if name in absent]
    if not all(incomplete):
        raise DayOutsideStore(
            f"cannot use {days[-1]}: {path} holds no day of {', '.join(absent)} yet. Run: {run}"
        )
    first, last = max(map(min, incomplete)), min(map(max, incomplete))
    if not first <= days[-1] <= last:
        raise DayOutsideStore(
            f"cannot use {days[-1]}: {path} has the days {first} to {last}. Choose one of them, or run: {run}"
        )
    if min(days) < first:
        earliest = first + (days[-1] - min(days))
        choose = (
            f"Choose a day from {earliest} to {last}" if earliest <= last else "No day has a whole window"
        )
        raise DayOutsideStore(
            f"cannot use {days[-1]}: its window begins on {min(days)}, and {path} has the days {first} to "
            f"{last}. {choose}, or run: {run}"
        )
    count = "1 day of its window is" if len(lacking) == 1 else f"{len(lacking)} days of its window are"
    raise MissingDays(f"cannot use {days[-1]}: {count} missing from {path} (first: {lacking[0]}). Run: {run}")


def check_monitored(label: str, whole: Mapping[str, Collection[dt.date]], days: list[dt.date]) -> None:
    """Refuse a day that the monitors of a map do not have, in words of days and monitors.

    Args:
        label: names the monitors.
        whole: for every daily feature, the days on which it is whole.
        days: that are needed, the estimated day last.

    Raises:
        DayOutsideStore: nothing measured on the estimated day.
        MissingDays: nothing measured on another of the days.
    """
    measured = frozenset.intersection(*map(frozenset, whole.values())) if whole else frozenset(days)
    lacking = [day for day in days if day not in measured]
    if not lacking:
        return
    if days[-1] in lacking:
        raise DayOutsideStore(
            f"no monitor measured on {days[-1]} ({label}): choose another day, or name other monitors with --monitors"
        )
    raise MissingDays(
        f"cannot use {days[-1]}: no monitor measured on {len(lacking)} days of its window ({lacking[0]} to "
        f"{lacking[-1]}; {label}). Name monitors of these days too, or leave out --strict-window"
    )


def store_to_write(path: Location) -> Location:
    """Return a store that a hint may propose to write: a packed one, such as the shipped sample, is read only.

    >>> str(store_to_write(Path("sample.zarr.zip")))
    'predictors.zarr'
    """
    return Path("predictors.zarr") if str(path).endswith(".zip") else path


def _command(source: str) -> str:
    """Return the command that fills the variables of a source: gaps are imputed by a model, all else is ingested."""
    return (
        f"pm25map data ingest --source {source}"
        if source != "imputation"
        else "pm25map data impute apply --model MODEL"
    )
