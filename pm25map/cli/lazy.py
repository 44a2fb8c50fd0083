"""Groups whose commands are imported only when they run: torch never slows `--help`."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from pm25map.cli.words import check_words, nearest


class LazyGroup(click.Group):
    """A group that imports a command's file only when that command runs."""

    def __init__(self, *args: Any, lines: Mapping[str, str], files: Mapping[str, str], **kwargs: Any) -> None:
        """Take the commands.

        Args:
            *args, **kwargs: of click.Group.
            lines: what each command is for, by name, in the order of the help.
            files: the module that holds each, as `command`.
        """
        super().__init__(*args, **kwargs)
        self.lines, self.files = lines, files

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse words that no command can take, before one is imported."""
        check_words(args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one is near."""
        if args[0] not in self.lines and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{nearest(args[0], list(self.lines))}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order of the help."""
        return list(self.lines)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the file of one command."""
        if name not in self.lines:
            return None
        command = importlib.import_module(self.files[name]).command
        if not isinstance(command, click.Command):
            return None
        # Its function is called `command` in every file; readers of the tree go by this name.
        command.name = name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lines.items()))
