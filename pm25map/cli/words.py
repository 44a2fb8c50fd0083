"""The words of a command line, before any command sees them: what no option and no argument can mean."""

import difflib
import math
import os
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pm25map.base.errors import BadWord

LONGEST = 4096
"""Characters of one word: the longest path that Linux takes."""

_LONGEST_NAME = 255
"""Bytes of a name in a path, on every common file system."""

_LARGEST = 2**31 - 1
"""Of a count: libraries take 32 bits, and fail in words of their own above."""

_FEW_CHARACTERS = 40


def check_words(words: Sequence[str]) -> None:
    """Refuse words that are empty, far too long, or not readable in the locale.

    Raises:
        BadWord: there is such a word; says after which option.
    """
    for number, word in enumerate(words):
        option, _, value = word.partition("=") if word.startswith("--") and "=" in word else ("", "", word)
        where = option or next(
            (said for said in reversed(words[:number]) if said.startswith("--")), "the command"
        )
        if not value:
            raise BadWord(f"{where} is given an empty value: give one, or leave it out")
        if len(value) > LONGEST:
            raise BadWord(
                f"{where} is given {len(value):,} characters ({value[:_FEW_CHARACTERS]}...): the most are {LONGEST:,}"
            )
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise BadWord(
                f"{where}: this locale cannot read {value[:_FEW_CHARACTERS]!a}. Set one of "
                "UTF-8 (export LC_ALL=C.UTF-8), or PYTHONUTF8=1"
            )


class Number(click.FloatRange):
    """A finite number, in a range where one is given."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number; inf and nan are texts that Python takes for numbers."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number


class Count(click.IntRange):
    """A whole number that libraries can take, in a range where one is given."""

    name = "whole number"

    def __init__(self, min: int | None = None, max: int = _LARGEST) -> None:
        super().__init__(min=-_LARGEST if min is None else min, max=max)


class UrlType(click.ParamType):  # type: ignore[type-arg]  # newer click only
    """An address of the web."""

    name = "URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no client can ask."""
        parts = urllib.parse.urlsplit(str(value))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            self.fail(f"{str(value)[:_FEW_CHARACTERS]!r} is no address: write https://host/path.", param, ctx)
        return str(value)


def check_names(path: str) -> None:
    """Refuse a path with a name that no file system can hold.

    Raises:
        ValueError: says which.
    """
    longest = max(Path(path).parts, default="", key=len)
    if len(os.fsencode(longest)) > _LONGEST_NAME:
        raise ValueError(f"{longest[:_FEW_CHARACTERS]}... is longer than {_LONGEST_NAME} bytes.")


def nearest(name: str, names: Sequence[str]) -> str:
    """Return which of some names a user may have meant, as the end of a sentence; empty where none is near."""
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""
