"""What a user can get wrong in any option or argument of any command, made of the commands' own lists of options."""

import contextlib
import datetime as dt
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from aqs_rows import text_of
from imputation_world import sky_store
from maps import address_grid, address_map, provenance
from predictor_world import address_store, small_grid

from pm25map.base.shipped import shipped_folder
from pm25map.cli.data_now import HourType
from pm25map.cli.main import cli
from pm25map.cli.options import BandType, DayType, EngineType, LocationType, SourceType
from pm25map.cli.words import UrlType

OUTPUTS = {"--out", "--png", "--pdf", "--gif", "--mp4", "--preview", "--page", "--cache"}
"""Options that name what is written; every other path is read. A new path is taken for an input."""

MADE = {("data", "ingest", "--store"), ("lab", "places", "probe", "--maps"), ("lab", "report", "--out")}
"""Paths by other names that may be made."""

FREE = {("grid", "build", "name"), ("export", "--version")}
"""Names that a user gives."""

LONG = "a" * 300

SECONDS = 60
"""Far more than a refusal takes: a command that goes to work is stopped by it."""


@dataclass(frozen=True)
class Case:
    """One bad value.

    Attributes:
        command: its names, such as ("data", "pack").
        option: as it is typed, or the name of an argument.
        values: what it is given.
    """

    command: tuple[str, ...]
    option: str
    values: tuple[str, ...]

    @property
    def id(self) -> str:
        said = ",".join(self.values)
        return f"{' '.join(self.command)} {self.option} {said if len(said) < 40 else said[:20] + '...'}"


def commands(
    group: click.Command = cli, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give every command with its names."""
    if not isinstance(group, click.Group):
        yield names, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, (*names, name))


def cases() -> list[Case]:
    """Give every bad value of every option of every command."""
    return [
        Case(names, param.opts[0], value)
        for names, command in commands()
        for param in command.params
        if not getattr(param, "is_flag", False)
        for value in bad_values(names, param)
    ]


def bad_values(names: tuple[str, ...], param: click.Parameter) -> list[tuple[str, ...]]:
    """Give what a parameter must refuse, by its type."""
    kind, option = param.type, param.opts[0]
    if param.nargs == 4:
        good = ["-124", "42", "-117", "46"]
        return [(*good[:i], bad, *good[i + 1 :]) for i, bad in enumerate(("nan", "inf", "x", "1e999"))]
    return [(value,) for value in ("", *_texts(names, option, kind))]


def _texts(names: tuple[str, ...], option: str, kind: click.ParamType) -> tuple[str, ...]:  # noqa: PLR0911
    if isinstance(kind, DayType):
        never = ("2999-01-01", "1850-01-01") if kind.mapped else ()
        return ("2020-13-01", "2020-02-30", "2020-09-12T00:00+02:00", "nan", *never)
    if isinstance(kind, HourType):
        return ("2024-04-17", "2024-04-17T25", "nan")
    if isinstance(kind, click.FloatRange):
        return ("nan", "inf", "-inf", "1e999", "ten", *(("-1",) if kind.min is not None else ()))
    if isinstance(kind, click.IntRange):
        low = () if kind.min is None or kind.min < -1 else (str(kind.min - 1),)
        return ("nan", "1.5", "1e3", "9" * 30, *low)
    if isinstance(kind, click.Choice | EngineType | BandType | SourceType):
        return ("no-such-choice", "0")
    if isinstance(kind, UrlType):
        return ("no-such-address", "ftp://host/x", "http://")
    if isinstance(kind, LocationType) and option == "--out":
        return ("text/maps", LONG)
    if isinstance(kind, LocationType):
        return ("absent.zarr", "empty.zarr", "text.zarr", "cut.zarr.zip", "folder", LONG)
    if isinstance(kind, click.Path) and (option in OUTPUTS or (*names, option) in MADE):
        return ("text/out.tif", LONG, "/dev/full")
    if isinstance(kind, click.Path):
        return ("absent", "empty", "text", "cut.zip", "folder", LONG)
    return (LONG,) if (*names, option) in FREE else ("no-such-name", LONG)


# A good world


def build(folder: Path) -> None:
    """Write good inputs of every kind, and the bad files that the cases name."""
    from pm25map.grid import save_grid
    from pm25map.raster.map_files import write_map

    grid = address_grid()
    write_map(folder / "map.tif", address_map(grid), grid, provenance(grid))
    address_store(folder / "good.zarr")
    sky_store(folder / "sky.zarr")
    save_grid(small_grid(), folder / "grid")
    # A copy that an accepted bad value may spoil.
    model = shipped_folder("models") / "conus-open"
    shutil.copytree(model, folder / "model", ignore=shutil.ignore_patterns("applicability*"))
    rows = [
        {"Date Local": str(dt.date(2020, 9, 1) + dt.timedelta(days=day)), "Arithmetic Mean": 5 + day % 7}
        for day in range(20)
    ]
    (folder / "good.csv").write_text(text_of(*rows))
    shutil.copy(shipped_folder("models") / "conus-open.yaml", folder / "good.yaml")
    shutil.copy(Path(__file__).parents[1] / "docs" / "study.yaml", folder / "study.yaml")
    for name in ("empty", "empty.zarr"):
        (folder / name).write_bytes(b"")
    for name in ("text", "text.zarr"):
        (folder / name).write_text("what is this\n")
    for name in ("cut.zip", "cut.zarr.zip"):
        (folder / name).write_bytes(b"PK\x03\x04" + b"\0" * 40)
    (folder / "folder").mkdir()
    (folder / "maps").mkdir()


GOOD: dict[tuple[str, ...], dict[str, str]] = {
    ("predict",): {"--date": "2020-09-12", "--out": "new.tif", "--region": "rhode-island"},
    ("plan",): {"--start": "2020-09-12", "--end": "2020-09-12", "--region": "rhode-island", "--calibrate": "0"},
    ("backfill",): {"--start": "2020-09-12", "--end": "2020-09-12", "--out": "new", "--region": "rhode-island"},
    ("verify",): {"out": "absent-maps"},
    ("info",): {"cog": "map.tif"},
    ("view",): {"maps": "map.tif", "--out": "new.html"},
    ("serve",): {"folder": "maps", "--port": "0"},
    ("hotspots",): {"maps": "map.tif"},
    ("extract",): {"maps": "map.tif", "--areas": "state", "--out": "new.csv"},
    ("grid", "build"): {"name": "mine", "--crs": "EPSG:5070", "--step": "50000", "--out": "new"},
    ("grid", "embed"): {"--grid": "grid", "--encoder": "latlon", "--out": "new"},
    ("grid", "info"): {"name": "conus-10km"},
    ("data", "fetch"): {"--source": "hms", "--start": "2020-09-12", "--end": "2020-09-12", "--out": "new"},
    ("data", "impute", "apply"): {
        "--store": "good.zarr", "--model": "absent-model", "--start": "2020-09-12", "--end": "2020-09-12",
    },
    ("data", "impute", "train"): {
        "--store": "sky.zarr", "--variable": "aod_055", "--start": "2020-06-11", "--end": "2020-07-20", "--out": "new",
    },
    ("data", "ingest"): {
        "--source": "neighbours", "--start": "2020-09-12", "--end": "2020-09-12", "--store": "good.zarr",
        "--grid": "grid", "--monitors": "good.csv",
    },
    ("data", "now"): {"--out": "new.csv"},
    ("data", "pack"): {"--store": "good.zarr", "--out": "new.zarr.zip", "--start": "2020-09-12", "--end": "2020-09-12"},
    ("data", "status"): {"--store": "good.zarr"},
    ("data", "verify"): {"--store": "good.zarr"},
    ("train",): {"--config": "good.yaml", "--monitors": "good.csv", "--predictors": "good.zarr", "--out": "new"},
    ("export",): {"--run": "absent-run", "--out": "new"},
    ("evaluate",): {"--monitors": "good.csv", "--predictors": "good.zarr"},
    ("compare",): {"--model": "conus-open", "--monitors": "good.csv", "--predictors": "good.zarr"},
    ("diagnose",): {"--date": "2020-09-12", "--out": "new", "--region": "rhode-island"},
    ("validate",): {"--date": "2020-09-12", "--monitors": "good.csv", "--out": "new"},
    ("calibrate",): {
        "--model": "model", "--only": "applicability", "--monitors": "good.csv", "--predictors": "good.zarr",
    },
    ("lab", "study"): {"--config": "study.yaml", "--monitors": "good.csv", "--predictors": "good.zarr", "--out": "new"},
    ("lab", "report"): {"--out": "absent-study", "--page": "new.html"},
    ("lab", "audit"): {"--monitors": "good.csv", "--predictors": "good.zarr"},
    ("lab", "smoothing"): {"--monitors": "good.csv", "--predictors": "good.zarr", "--cache": "new", "--out": "new2"},
    ("lab", "places", "card"): {"name": "places-open"},
    ("lab", "places", "convert"): {"checkpoint": "absent-checkpoint", "--out": "new"},
    ("lab", "places", "export"): {"--run": "absent-run", "--out": "new"},
    ("lab", "places", "locate"): {"patch_path": "absent.tif", "--rasters": "absent-rasters"},
    ("lab", "places", "patch"): {"--rasters": "absent-rasters", "--lat": "45", "--lon": "-120", "--out": "new.tif"},
    ("lab", "places", "pretrain"): {"--config": "absent.yaml", "--data": "absent-data", "--out": "new"},
    ("lab", "places", "probe"): {"--rasters": "absent-rasters"},
    ("lab", "places", "similarity"): {"--out": "new.png", "--to": "45,-120", "--grid": "grid", "--encoder": "latlon"},
}  # fmt: skip
"""Options that would do, but for the bad one. Of what begins with "absent" an error may speak first."""


def words_of(case: Case) -> list[str]:
    """Give the words of a command line with one bad value."""
    good = dict(GOOD[case.command])
    good.pop(case.option, None)
    rest = [
        word for option, value in good.items() if option.startswith("-") for word in (option, value) if word
    ]
    before = [value for option, value in good.items() if not option.startswith("-")]
    if case.option.startswith("-"):
        return [*case.command, *before, *rest, case.option, *case.values]
    return [*case.command, *case.values, *rest]


class StillAtWork(BaseException):
    """A command went to work where it should have refused. No Exception: a command may catch those."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Stop what takes longer: a bad value is refused before the work."""

    def stop(*_: object) -> None:
        raise StillAtWork(f"after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Give every file and folder below a folder, with size and time of last change."""
    return {
        str(path.relative_to(folder)): (0, 0)
        if path.is_dir()
        else (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def refused(
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scratch: Path,
    words: list[str],
) -> str:
    """Run the program in a world; check that it refuses as it must, and give the line that it said.

    Args:
        world: folder of `build`; nothing in it may change.
        monkeypatch, capsys: of the test.
        scratch: folder for the cache.
        words: of the command line.
    """
    from pm25map.cli.main import main

    monkeypatch.chdir(world)
    monkeypatch.setenv("PM25MAP_CACHE", str(scratch / "cache"))
    monkeypatch.setenv("PM25MAP_FETCH_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("sys.argv", ["pm25map", *words])
    before = contents(world)
    try:
        with at_most(SECONDS), pytest.raises(SystemExit) as stop:
            main()
        out, said = capsys.readouterr()
        after = contents(world)
    finally:
        # What was written against the rule must not stand in the way of the next case.
        for name in sorted(set(contents(world)) - set(before), reverse=True):
            path = world / name
            path.rmdir() if path.is_dir() else path.unlink()
    assert stop.value.code in (1, 2), (out, said)
    lines = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, said
    assert said.splitlines()[-1] == lines[0], said
    assert "Traceback" not in said + out
    assert after == before, set(after) ^ set(before)
    return lines[0]
