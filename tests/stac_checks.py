"""Validation of STAC items and collections by the schemas of STAC and of its extensions, without a network."""

import json
from pathlib import Path

import jsonschema
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource

SCHEMAS = Path(__file__).parent / "stac_schemas"

WITHOUT_SCHEMA = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json" for name in ("processing/v1.2.0", "raster/v2.0.0")
)
"""Extensions whose schemas are not at hand."""


def check_stac(found: dict) -> set[str]:
    """Validate an item or a collection; the extensions by whose schemas it was validated, such as "file-v2.1.0"."""
    core = get_local_schema_cache()
    vendored = {path.stem: json.loads(path.read_bytes()) for path in SCHEMAS.glob("*.json")}
    addresses = {schema["$id"].removesuffix("#"): name for name, schema in vendored.items()}
    registry = Registry().with_resources([(k, Resource.from_contents(v)) for k, v in core.items()])
    kind = {"Feature": "/item-spec/json-schema/item.json"}.get(
        found["type"], "/collection-spec/json-schema/collection.json"
    )
    names = [addresses[address] for address in found["stac_extensions"] if address not in WITHOUT_SCHEMA]
    schemas = [next(v for k, v in core.items() if k.endswith(kind)), *(vendored[name] for name in names)]
    for schema in schemas:
        jsonschema.Draft7Validator(schema, registry=registry).validate(found)
    return set(names)
