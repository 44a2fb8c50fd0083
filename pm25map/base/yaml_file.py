"""YAML files that a user writes: read, and checked against their schema."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pm25map.base.errors import BadConfig

Kind = TypeVar("Kind", bound=BaseModel)


def load_yaml(path: Path) -> Any:
    """Read what a YAML file holds, whatever it is.

    Raises:
        BadConfig: it is absent, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: no UTF-8, or a day such as 2021-02-30
        raise BadConfig(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def read_yaml(path: Path, kind: type[Kind]) -> Kind:
    """Read a YAML file as what it must be.

    Raises:
        BadConfig: it is absent, is not YAML, or has an unknown key or a value out of range.
    """
    try:
        return kind.model_validate(load_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadConfig(f"{path}: {where}: {first['msg']}") from error
