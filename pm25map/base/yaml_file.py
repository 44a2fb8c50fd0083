"""YAML files that a user writes: read, and checked against their schema."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pm25map.base.errors import BadConfig, first_fault

Kind = TypeVar("Kind", bound=BaseModel)


class _Strict(yaml.SafeLoader):
    """A loader that refuses a key that occurs twice in one mapping; PyYAML takes the second in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Read a mapping whose keys are all different."""
        keys: set[str] = set()
        for key, _ in node.value:
            # What "<<" brings in may be replaced: that is its purpose.
            if key.value in keys and isinstance(key.value, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands there twice", key.start_mark
                )
            if isinstance(key.value, str) and key.value != "<<":
                keys.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> Any:
    """Read what a YAML file holds, whatever it is.

    Raises:
        BadConfig: it is absent, is not YAML, names a key twice, or is nested too deeply.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Strict)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise BadConfig(f"cannot read {path}: {error.strerror}") from error
    except RecursionError as error:
        raise BadConfig(f"{path} is no configuration: its brackets are nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: no UTF-8, or a day such as 2021-02-30
        reason = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise BadConfig(f"{path} is not YAML: {reason}") from error


def read_yaml(path: Path, kind: type[Kind]) -> Kind:
    """Read a YAML file as what it must be.

    Raises:
        BadConfig: it is absent, is not YAML, or has an unknown key or a value out of range.
    """
    try:
        return kind.model_validate(load_yaml(path))
    except ValidationError as error:
        raise BadConfig(f"{path}: {first_fault(error)}") from error
