"""Every source of predictors: its title, licence, reader, addresses and variables, in one file of its own.

Those of this package are `sources/NAME.yaml`. Another package brings one by an entry point of the group
`pm25map.sources`: its name is the source's, its value the Python package that holds NAME.yaml (docs/extend.md).
"""

import datetime as dt
import functools
import importlib
import importlib.resources
from importlib.metadata import entry_points
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pm25map.base.errors import BadInstall, UnknownName, first_fault

GROUP = "pm25map.sources"


class Beside(BaseModel):
    """Files of UTC days beside those of the hours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    name: str
    days: Literal["each", "ends"]


class Provider(BaseModel):
    """Where a source's files are, how they are called, and when they change: `fetch` of its entry.

    No provider here publishes checksums of plain files; NASA's catalogue has them for most granules.

    Attributes:
        title: of the source.
        period: of one file. Of hour, {day} is the beginning of the UTC hour, and the hours are those that the local
            standard days of CONUS need.
        check: what opens a file before it counts, as module:callable; it takes the path.
        most_mb: a file larger than this is refused.
        parallel: requests at once.
        base, path: address of a file: {day} is the first day of its period, {variable} one of `variables`, {tile} of
            gmted.
        search: instead of base and path: NASA's catalogue has the addresses of a collection, of which `name` is
            taken.
        name: what a file must be called, whole: of `search`, a regular expression with the groups year, and yearday
            or month and day, and tile and variable where there are some. The group `keep` is what it is called here.
        variables: that --variable can name. Of ndvi they are products.
        usual: of `variables`, those fetched where none is named.
        beside: of hour: files of UTC days by the variable that names them; path, and what they are called here
            (name), on each of the UTC days or on the first and last local day.
        begins: first day of the provider.
        every, before: composites: only every so many days of a year, and from so many days before the first day on.
        settles: days after the end of its period in which a file may still change: it is requested again, by its ETag.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    period: Literal["hour", "day", "month", "year", "static"]
    check: str
    most_mb: int = Field(gt=0)
    parallel: int = Field(gt=0, le=8)
    base: str = ""
    path: str = ""
    search: dict[str, str] = {}
    name: str = ""
    variables: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    beside: dict[str, Beside] = {}
    begins: dt.date = dt.date.min
    every: int = 1
    before: int = 0
    settles: int = 0

    @model_validator(mode="after")
    def _one_way(self) -> "Provider":
        if bool(self.base and self.path) == bool(self.search and self.name):
            raise ValueError("give base and path, or search and name")
        if not set(self.usual) <= set(self.variables):
            raise ValueError("usual names what is not in variables")
        if not set(self.beside) <= set(self.variables) or (self.beside and self.period != "hour"):
            raise ValueError("beside names what is not in variables, or the period is not hour")
        return self

    @property
    def needs_login(self) -> bool:
        """Return whether the provider is NASA's, which needs an Earthdata login."""
        return bool(self.search)


class Source(BaseModel):
    """The entry of one source.

    Attributes:
        title: provider and name of the data.
        licence: of the data.
        reader: what opens the folder of a provider's files, as module:callable; it takes the folder, and returns a
            DailySource, a LayerSource or both (pm25map.predictors.sources). Empty where no files are read.
        files: what the files are, for people.
        in_daily_tiles: its days come in tiles, of which some may be absent.
        fetch: the provider of the files, where `pm25map data fetch` has one.
        variables: fields of pm25map.predictors.variables.Variable, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    licence: str
    reader: str = ""
    files: str = ""
    in_daily_tiles: bool = False
    fetch: Provider | None = None
    variables: dict[str, dict[str, Any]] = {}

    @model_validator(mode="before")
    @classmethod
    def _provider_has_the_title(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("fetch"), dict):
            return given | {"fetch": given["fetch"] | {"title": given.get("title", "")}}
        return given

    @property
    def has_days(self) -> bool:
        """Return whether it has daily variables."""
        return any(row.get("kind") == "daily" for row in self.variables.values())

    @property
    def has_layers(self) -> bool:
        """Return whether it has variables that do not change from day to day."""
        return any(row.get("kind") in ("static", "climatology") for row in self.variables.values())


@functools.cache
def sources() -> dict[str, Source]:
    """Read the entries of this package, then those of others.

    Raises:
        BadInstall: an entry is absent, or holds an unknown key or a value out of range.
    """
    folder = importlib.resources.files("pm25map.predictors").joinpath("sources")
    files = sorted(one.name for one in folder.iterdir() if one.name.endswith(".yaml"))
    entries = {name.removesuffix(".yaml"): _read(folder.joinpath(name)) for name in files}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in entries:
            raise BadInstall(
                f"the source {point.name} of the entry point {point.value} has the name of another. Rename or "
                "uninstall its package"
            )
        try:
            file = importlib.resources.files(point.value).joinpath(f"{point.name}.yaml")
        except ImportError as error:
            raise BadInstall(
                f"the source {point.name} does not load: {error}. Mend or uninstall its package"
            ) from error
        entries[point.name] = _read(file)
    return entries


def _read(file: Traversable) -> Source:
    try:
        # The C parser is a tenth as slow; wheels of PyYAML have it.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return Source.model_validate(yaml.load(file.read_text(encoding="utf-8"), loader))  # noqa: S506 - a safe loader
    except (OSError, yaml.YAMLError) as error:
        raise BadInstall(
            f"the entry of a source, {file}, cannot be read: {error}. Install its package again"
        ) from error
    except ValidationError as error:
        raise BadInstall(f"the entry of a source, {file}: {first_fault(error)}. Mend its package") from error


def file_sources() -> tuple[str, ...]:
    """List the sources that read a provider's files: those of `pm25map data ingest --files`."""
    return tuple(name for name, entry in sources().items() if entry.reader)


def fetched_sources() -> tuple[str, ...]:
    """Name the sources whose files can be fetched."""
    return tuple(name for name, entry in sources().items() if entry.fetch)


def provider_of(source: str) -> Provider:
    """Return the provider of a source.

    Raises:
        UnknownName: the source has none.
    """
    entry = sources().get(source)
    if entry is None or entry.fetch is None:
        raise UnknownName(f"nothing is fetched for {source!r}: choose one of {', '.join(fetched_sources())}")
    return entry.fetch


def open_source(name: str, folder: Path, *, partial: bool = False) -> Any:
    """Open a source on the folder of its files: a DailySource, a LayerSource or both.

    Args:
        name: of the source.
        folder: of its files.
        partial: a day may lack some of the tiles that a grid needs; only for sources that come in daily tiles.

    Raises:
        UnknownName: there is no such source.
        BadInstall: the package that reads its files is not installed.
    """
    if name not in file_sources():
        raise UnknownName(f"unknown source {name!r}: choose one of {', '.join(file_sources())}")
    try:
        make = load(sources()[name].reader)
    except ModuleNotFoundError as error:
        raise BadInstall(
            f"source {name} needs the package {error.name}. Run: pip install 'pm25map[data]'"
        ) from error
    options = {"partial": True} if partial else {}
    return make(folder, **options)


def load(reference: str) -> Any:
    """Import what a reference such as module:callable names.

    Raises:
        ModuleNotFoundError: the module, or a package that it needs, is absent.
        BadInstall: the module does not hold it.
    """
    module, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError as error:
        raise BadInstall(
            f"the entry of a source names {reference}, which is not there. Mend its package"
        ) from error
