"""What several commands share: days as text, and a progress bar on stderr."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


class DayType(click.ParamType):  # type: ignore[type-arg]  # newer click only
    """A day written YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Read the day; a text that is none is an error with exit code 1, as any other bad date."""
        from pm25map.base.days import parse_day

        return value if isinstance(value, dt.date) else parse_day(str(value))


DAY = DayType()


@contextmanager
def progress_bar(what: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """Show progress on stderr, gone when done; give a function that takes what is done and what is to do."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)
