"""The porch door: finds a command, and turns a user's error into one line and exit code 1."""

import contextlib
import errno
import io
import os
import sys
from typing import NoReturn

import click

from pm25map.base.days import building_time
from pm25map.base.errors import Pm25mapError
from pm25map.cli.lazy import LazyGroup

COMMANDS = {
    "predict": "Draw the PM2.5 map of one day.",
    "plan": "Show what a backfill would do and cost.",
    "backfill": "Draw the maps of many days, resumable at any moment.",
    "verify": "Check a folder of maps against its checksums and its model.",
    "info": "Show what a map is, and which command makes it again.",
    "view": "Look at maps: one page that opens offline, figures, an animation.",
    "serve": "Serve maps as tiles, time series and statistics, with the same page.",
    "hotspots": "Find wildfire smoke and polluted cities in maps.",
    "extract": "Read maps into a table: at the addresses of people, or over counties.",
    "grid": "Build grids, and embed their places.",
    "data": "Fill and inspect the store of daily predictors.",
    "train": "Train a model on monitors.",
    "export": "Turn a trained network into an ONNX model with its card.",
    "evaluate": "Score a model at held-out stations.",
    "compare": "Compare two models at stations that both held out.",
    "diagnose": "Show what to doubt in the map of one day.",
    "validate": "Compare estimates with monitors that did not feed them.",
    "calibrate": "Write what a model needs to say where it can be trusted.",
    "doctor": "Check this installation.",
    "lab": "Study the models, and make and study location encoders.",
}

_NO_MEMORY = (
    "there is not enough memory for this. Ask for a part (--region, --bbox) or for fewer --workers, close other "
    "programs, or raise the limit (ulimit -v)"
)

_NO_ROOM_FOR_A_LIBRARY = ("failed to map segment", "annot allocate memory")
"""What the loader says where a library does not fit into memory."""

# By name alone: the product does not import the laboratory.
FILES = {name: f"pm25map.cli.{name}" for name in COMMANDS} | {"lab": "pm25map.laboratory.cli.main"}


@click.group(
    cls=LazyGroup, lines=COMMANDS, files=FILES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="pm25map")
def cli() -> None:
    """Daily maps of surface PM2.5 (ug/m3) over the contiguous United States.

    \b
    Try: pm25map predict --date 2020-09-12 --out cog.tif
    """  # noqa: D301 - click reads \b


def main() -> None:
    """Run a command: exit 0 done, 1 an error that the user can mend, 2 wrong usage, 3 a check failed."""
    for stream in (sys.stdout, sys.stderr):
        # A locale may lack a letter of what is said, such as one of a city's name: that stops no command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        # Before any command: NumPy fails at its import where this is no time.
        building_time()
        cli.main(standalone_mode=True)
    except Pm25mapError as error:
        _end(str(error))
    except MemoryError:
        _end(_NO_MEMORY)
    except ImportError as error:
        if not any(words in str(error) for words in _NO_ROOM_FOR_A_LIBRARY):
            raise
        _end(_NO_MEMORY)
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _drop_output()
            _end(
                "the output cannot be written: no space is left where it goes. Free some, or send it elsewhere"
            )
        where = f"{error.filename}: " if error.filename is not None else ""
        _end(
            f"{where}{error.strerror or error}. Look at the path, at its rights and at the disk, and try again"
        )


def _end(reason: str) -> NoReturn:
    """Print why in one line, and exit."""
    click.echo(f"Error: {' '.join(reason.split())}", err=True)
    sys.exit(1)


def _drop_output() -> None:
    """Let what waits for a full output go nowhere: Python would try again at its end, and say so in many lines."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
