"""The porch door: finds a command, and turns a user's error into one line and exit code 1."""

import importlib
import sys

import click

from pm25map.base.errors import Pm25mapError

COMMANDS = {
    "predict": "Draw the PM2.5 map of one day.",
    "plan": "Say what a backfill would do and cost.",
    "backfill": "Draw the maps of many days, resumable at any moment.",
    "verify": "Check a folder of maps against its checksums and its model.",
    "info": "Say what a map is, and which command makes it again.",
    "view": "Look at maps: one page that opens offline, figures, an animation.",
    "serve": "Serve maps as tiles, time series and statistics, with the same page.",
    "hotspots": "Find wildfire smoke and polluted cities in maps.",
    "grid": "Build grids, and embed their places.",
    "places": "Train, convert and compare location encoders.",
    "data": "Fill and inspect the store of daily predictors.",
    "train": "Train a model on monitors.",
    "export": "Turn a trained network into an ONNX model with its card.",
    "evaluate": "Score a model on stations that it never saw.",
    "compare": "Say what one model gains over another on stations that neither saw.",
    "audit": "Look for leaks of the truth in what training is given.",
    "diagnose": "Say what to doubt in the map of one day.",
    "validate": "Compare estimates with monitors that did not feed them.",
    "calibrate": "Write what a model needs to say where it can be trusted.",
    "doctor": "Check this installation.",
}


class LazyGroup(click.Group):
    """A group that imports a command's file only when that command runs: torch never slows `--help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order of a user's day."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the file of one command."""
        if name not in COMMANDS:
            return None
        command = importlib.import_module(f"pm25map.cli.{name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pm25map")
def cli() -> None:
    """Daily maps of surface PM2.5 (ug/m3) over the contiguous United States.

    \b
    Try: pm25map predict --date 2020-09-12 --out cog.tif
    """  # noqa: D301 - click reads \b


def main() -> None:
    """Run a command: exit 0 done, 1 an error that the user can mend, 2 wrong usage, 3 a check failed."""
    try:
        cli.main(standalone_mode=True)
    except Pm25mapError as error:
        click.echo(f"Error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
