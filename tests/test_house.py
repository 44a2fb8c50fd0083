"""The house keeps its own rules: those that ruff, mypy and import-linter cannot tell of."""

import ast
import doctest
import importlib
from collections import defaultdict
from pathlib import Path

import pytest

import pm25map

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(pm25map.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
EXAMPLES = [path for path in FILES if ">>> " in path.read_text()]


def module_of(path):
    """The dotted name of a file of the package."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module_of(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


DECORATORS = ["@click.*", "@command.*", "@model_validator", "@field_validator", "@app.*", "@*.get", "@*.post"]
"""What they decorate is called by click, pydantic or FastAPI."""

CALLED_BY_LIBRARIES = [
    *(
        "__getattr__",
        "elem_type",
        "external_attr",
        "format_commands",
        "forward",
        "get_metavar",
        "*_op_num_threads",
    ),
    *("log_severity_level", "max_redirects", "model_config", "register_routes"),
]

WRITTEN_TO_FILES = [
    *("airnow", "aqs", "box_of_sample", "class_percent", "idw_mae", "layers_missing", "mae_ratio"),
    *("place_smoothing_km", "start_seconds", "store_checksum", "weights_sha256"),
]
"""Fields of what is kept as JSON."""

NAMED_AS_TEXT = ["check_raster", "LayerSource"]

FOR_IMPORTERS = ["aqi", "COUNTY_OF_GEOID"]


def test_nothing_in_the_package_is_unused():
    vulture = pytest.importorskip("vulture", reason="needs the dev extra")
    names = [*CALLED_BY_LIBRARIES, *WRITTEN_TO_FILES, *NAMED_AS_TEXT, *FOR_IMPORTERS]
    seen = vulture.Vulture(ignore_names=names, ignore_decorators=DECORATORS)
    seen.scavenge([str(ROOT / name) for name in ("pm25map", "tests", "grids", "models", "docs")])
    unused = [one for one in seen.get_unused_code() if PACKAGE in Path(one.filename).parents]
    assert [f"{module_of(Path(one.filename))}: {one.message}" for one in unused] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=module_of)
def test_the_examples_of_a_docstring_give_what_they_say(path):
    found = doctest.testmod(importlib.import_module(module_of(path)))
    assert found.attempted > 0 and found.failed == 0
