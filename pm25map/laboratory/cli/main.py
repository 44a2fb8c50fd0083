"""`pm25map lab`: the commands of the laboratory."""

import click

from pm25map.cli.lazy import LazyGroup

COMMANDS = {
    "study": "Train and score every variant of a study on every fold of its splits.",
    "report": "Write the page of a study.",
    "audit": "Look for leaks of the truth in what training is given.",
    "smoothing": "Measure what smoothing the vectors of places costs and takes away.",
    "places": "Train, convert and compare location encoders.",
}


@click.group(
    cls=LazyGroup, lines=COMMANDS, files={name: f"pm25map.laboratory.cli.{name}" for name in COMMANDS}
)
def command() -> None:
    """Study the models, and make and study location encoders. Nothing here is needed to make maps.

    Needs: pip install 'pm25map[laboratory]'.

    \b
    Try: pm25map lab places card geoclip
    """  # noqa: D301 - click reads \b
