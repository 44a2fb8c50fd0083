"""The STAC 1.1 item beside a map: what a catalogue needs to find it, check it and draw it."""

import datetime as dt
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pystac
from pyproj import CRS

from pm25map.base.files import check_output, replacing, sha256_of_file
from pm25map.base.storage import Location, Remote
from pm25map.grid.outline import outline_of
from pm25map.raster.bands import PM25
from pm25map.raster.info import MapDescription, describe, describe_file
from pm25map.raster.item_checks import MULTIHASH_SHA256, item_path, item_text
from pm25map.raster.map_files import MAP, TITLES, files_beside, style_of
from pm25map.raster.provenance import REFERENCE_CITATION, REFERENCE_DOI, time_bounds
from pm25map.raster.style import render_hint

EXTENSIONS: Final = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in (
        "eo/v1.1.0",
        "file/v2.1.0",
        "processing/v1.2.0",
        "projection/v2.0.0",
        "raster/v2.0.0",
        "render/v2.0.0",
        "scientific/v1.0.0",
    )
)

PUBLICATIONS: Final = ({"doi": REFERENCE_DOI, "citation": REFERENCE_CITATION},)

COLLECTION_FILE = "collection.json"
"""Name of the collection in a folder of maps."""

_STATISTICS = ("minimum", "maximum", "mean", "stddev", "valid_percent")


def collection_id(grids: Iterable[str], models: Iterable[str]) -> str:
    """Name the collection of maps of some grids by some models; a folder of one of each has one name for good."""
    return f"pm25-{'-'.join(grids)}-{'-'.join(models)}"


def write_stac_item(
    cog_path: Path,
    *,
    created: dt.datetime,
    model_card: Path,
    predictors: Location | None,
    preview: Path | None = None,
    home: Location | None = None,
    collection: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the item of a finished map beside it. Everything but these arguments is read from the map.

    Args:
        cog_path: the map.
        created: when the map was made (see provenance.created_time).
        model_card: what the map derives from; linked where it lies in the map's folder.
        predictors: the store that the map derives from; linked likewise, or where it is in an object store. None where
            no reader has it.
        preview: the PNG of the map, None where there is none.
        home: the folder where map and item will stand in the end, where that is not the map's own.
        collection: relative address of the collection that the map will be part of, None where it stands alone.
        overwrite: replace an item that is there.

    Returns:
        The path of the item.

    Raises:
        BadMap: the map cannot be read.
        BadOutput: the item cannot be written.
    """
    target = item_path(cog_path)
    check_output(target, overwrite=overwrite)
    found = describe(cog_path)
    item = stac_item(found, sha256_of_file(cog_path), created)
    for kind, file in files_beside(cog_path).items():
        item.add_asset(kind, _map_asset(describe_file(file), sha256_of_file(file), TITLES[kind]))
    if (style := style_of(cog_path)).is_file():
        item.add_asset("style", _style_asset(style))
    folder = home or cog_path.absolute().parent
    if preview is not None:
        item.add_asset("preview", _preview_asset(preview, folder))
    p = found.provenance
    if collection is not None:
        item.collection_id = collection_id([p.grid_name], [p.model_name])
        # No link to the item itself: it would have to be absolute, and folders are moved and copied.
        for relation in ("root", "parent", "collection"):
            item.add_link(pystac.Link(relation, collection, media_type=pystac.MediaType.JSON))
    for path, title in (
        (model_card, f"Card of the model {p.model_name} {p.model_version}"),
        (predictors, f"Predictors {p.predictors_name}"),
    ):
        # Whoever gets the folder alone could not follow a link that leads out of it; the properties hold the checksums.
        if path is None or not (isinstance(path, Remote) or _is_inside(path, folder)):
            continue
        # A store in a folder has no checksum of a file; its own is in the properties.
        extra = {}
        if isinstance(path, Path) and path.is_file():
            extra["file:checksum"] = MULTIHASH_SHA256 + sha256_of_file(path)
        item.add_link(pystac.Link("derived_from", _relative(path, folder), title=title, extra_fields=extra))
    text = item_text(item.to_dict(include_self_link=False, transform_hrefs=False))
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8")
    return target


def stac_item(found: MapDescription, checksum: str, created: dt.datetime) -> pystac.Item:
    """Describe a map as a STAC item.

    Args:
        found: the map.
        checksum: SHA-256 of its file, hexadecimal.
        created: when it was made, UTC.
    """
    p = found.provenance
    begin, end = time_bounds(p.day)
    geometry, bbox = outline_of(found.crs, found.value_bounds)
    item = pystac.Item(
        id=f"pm25-{p.day.isoformat()}-{p.grid_name}-{p.model_name}",
        geometry=geometry,
        bbox=list(bbox),
        # The middle: its UTC date is the day of the map, which tools that group by date rely on.
        datetime=begin + (end - begin) / 2,
        start_datetime=begin,
        end_datetime=end,
        stac_extensions=list(EXTENSIONS),
        properties=_properties(found, created),
    )
    item.add_asset(MAP, _map_asset(found, checksum, TITLES[MAP]))
    return item


def _properties(found: MapDescription, created: dt.datetime) -> dict[str, Any]:
    p = found.provenance
    return {
        "title": found.title,
        "description": f"{found.title}. The day is the {p.day_definition}. Estimates, not measurements.",
        "created": created.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "license": p.licence,
        **_crs(found.crs),
        "proj:bbox": list(found.bounds),
        "proj:shape": list(found.shape),
        "proj:transform": list(found.transform),
        "processing:level": "L4",
        "processing:lineage": f"Model {p.model_name} {p.model_version} on predictors {p.predictors_name}",
        "processing:software": {"pm25map": p.software_version},
        "processing:version": p.product_version,
        "processing:datetime": created.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "processing:expression": {"format": "shell", "expression": p.command},
        "sci:publications": list(PUBLICATIONS),
        "renders": {"aqi": render_hint(p.aqi_edition)},
        "pm25map:day": p.day.isoformat(),
        "pm25map:day_definition": p.day_definition,
        "pm25map:standard_name": PM25.standard_name,
        "pm25map:coverage_percent": found.statistics.coverage_percent,
        "pm25map:predictor_coverage_percent": p.predictor_coverage_percent,
        "pm25map:region": p.region,
        "pm25map:monitors": p.monitors or None,
        "pm25map:monitor_distance_km": float(p.monitor_distance_km) if p.monitor_distance_km else None,
        "pm25map:constant_bands": found.constant_bands,
        "pm25map:window": p.window or None,
        "pm25map:warnings": p.warnings or None,
        "pm25map:model": {
            "name": p.model_name,
            "version": p.model_version,
            "card_sha256": p.card_checksum,
            "network_sha256": p.network_checksum,
            "encoder": p.encoder,
            "encoder_sha256": p.encoder_checksum or None,
            "places_sha256": p.places_checksum or None,
            "intervals_sha256": p.intervals_checksum or None,
            "engine": p.engine,
            "precision": p.precision or None,
        },
        "pm25map:grid": {"name": p.grid_name, "sha256": p.grid_checksum},
        "pm25map:predictors": {"name": p.predictors_name, "sha256": p.predictors_checksum},
        "pm25map:aqi_edition": p.aqi_edition,
    }


def _crs(crs: str) -> dict[str, str | None]:
    authority = CRS.from_user_input(crs).to_authority()
    return {"proj:code": ":".join(authority)} if authority else {"proj:code": None, "proj:wkt2": crs}


def _map_asset(found: MapDescription, checksum: str, title: str) -> pystac.Asset:
    known = CRS.from_user_input(found.crs)
    bands: list[dict[str, Any]] = []
    for described in found.bands:
        band: dict[str, Any] = {
            "name": described.name,
            "description": described.long_name,
            "data_type": found.dtype,
            "nodata": found.nodata,
            "unit": described.unit,
            "raster:sampling": "area",
        }
        numbers = {name: getattr(described, name) for name in _STATISTICS}
        if np.isfinite(list(numbers.values())).all():
            band["statistics"] = numbers
        if known.is_projected:
            band["raster:spatial_resolution"] = found.transform[0] * known.axis_info[0].unit_conversion_factor
        bands.append(band)
    return pystac.Asset(
        f"./{found.path.name}",
        title=title,
        media_type=pystac.MediaType.COG,
        roles=["data"],
        extra_fields={
            "bands": bands,
            # odc-stac 0.5.3 finds bands by name in what was before STAC 1.1.
            "eo:bands": [{"name": band["name"], "description": band["description"]} for band in bands],
            "file:size": found.size_bytes,
            "file:checksum": MULTIHASH_SHA256 + checksum,
        },
    )


def _preview_asset(preview: Path, folder: Location) -> pystac.Asset:
    return pystac.Asset(
        _relative(preview, folder),
        title="Map in the colours of the Air Quality Index",
        media_type=pystac.MediaType.PNG,
        roles=["overview", "thumbnail"],
        extra_fields={
            "file:size": preview.stat().st_size,
            "file:checksum": MULTIHASH_SHA256 + sha256_of_file(preview),
        },
    )


def _style_asset(style: Path) -> pystac.Asset:
    return pystac.Asset(
        f"./{style.name}",
        title="Classes of the Air Quality Index for QGIS",
        media_type=pystac.MediaType.XML,
        roles=["style"],
        extra_fields={
            "file:size": style.stat().st_size,
            "file:checksum": MULTIHASH_SHA256 + sha256_of_file(style),
        },
    )


def _is_inside(path: Path, folder: Location) -> bool:
    return not isinstance(folder, Remote) and path.absolute().is_relative_to(folder.absolute())


def _relative(path: Location, folder: Location) -> str:
    """Return the address of a file as seen from a folder; a full one where the two are not on one disk."""
    if isinstance(path, Remote):
        return path.url
    if isinstance(folder, Remote):
        return path.absolute().as_uri()
    relative = Path(os.path.relpath(path.absolute(), folder)).as_posix()
    return relative if relative.startswith("..") else f"./{relative}"
