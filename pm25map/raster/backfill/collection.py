"""The STAC collection of a folder of maps: what a catalogue needs to find all of its days."""

import json
from collections.abc import Iterable
from typing import Any, Final

import pystac

from pm25map.base.storage import WORKING, Folder
from pm25map.grid.outline import around
from pm25map.raster.backfill.day import read_item
from pm25map.raster.provenance import MAP_LICENCE, PRODUCT
from pm25map.raster.stac import COLLECTION_FILE, EXTENSIONS, PUBLICATIONS, collection_id
from pm25map.raster.style import qgis_style

STYLE_FILE = "aqi.qml"
"""Name of the style for QGIS in a folder of maps: one for all days."""

_OF_ITEMS: Final = ("/file/", "/processing/")
"""Extensions whose fields differ from day to day: the collection has none of them."""


def write_collection(folder: Folder) -> tuple[int, list[str]]:
    """Write collection.json for all maps of a folder, and the style that draws any of them in QGIS.

    Returns:
        How many it names, and the damaged items that it leaves out: one of a day that nobody asked for now must
        not cost the others their collection.

    Raises:
        BadOutput: the folder cannot be written.
    """
    read = {name: read_item(folder.read(name) or b"") for name in folder.names("") if _is_item(name)}
    items = {name: item for name, item in read.items() if item is not None}
    damaged = [name for name in read if name not in items]
    if not items:
        return 0, damaged
    folder.write(STYLE_FILE, qgis_style().encode())
    box = around([item["bbox"] for item in items.values()])
    starts = [pystac.utils.str_to_datetime(item["properties"]["start_datetime"]) for item in items.values()]
    ends = [pystac.utils.str_to_datetime(item["properties"]["end_datetime"]) for item in items.values()]
    grids = sorted({item["properties"]["pm25map:grid"]["name"] for item in items.values()})
    models = sorted({item["properties"]["pm25map:model"]["name"] for item in items.values()})
    codes = {item["properties"].get("proj:code") for item in items.values()} - {None}
    # Items of older versions may differ; the latest day's hint holds.
    renders = next(
        (found for item in reversed(items.values()) if (found := item["properties"].get("renders"))), None
    )
    collection = pystac.Collection(
        id=collection_id(grids, models),
        title=f"{PRODUCT}, {', '.join(grids)}",
        description=f"{PRODUCT} (ug m-3) by model {', '.join(models)}: one file a day. "
        "Estimates, not measurements.",
        extent=pystac.Extent(pystac.SpatialExtent([box]), pystac.TemporalExtent([[min(starts), max(ends)]])),
        license=MAP_LICENCE,
        keywords=["PM2.5", "air quality", "COG"],
        providers=[
            pystac.Provider("pm25map", "Software that made the maps", [pystac.ProviderRole.PROCESSOR])
        ],
        summaries=pystac.Summaries(
            {"pm25map:grid": grids, "pm25map:model": models} | ({"proj:code": sorted(codes)} if codes else {})
        ),
        stac_extensions=[
            name
            for name in EXTENSIONS
            if not any(part in name for part in _OF_ITEMS) and (renders or "/render/" not in name)
        ],
        extra_fields={
            "item_assets": _item_assets(items.values()),
            "sci:publications": list(PUBLICATIONS),
            **({"renders": renders} if renders else {}),
        },
    )
    for name, item in items.items():
        link = pystac.Link("item", f"./{name}", media_type="application/geo+json", title=item["id"])
        collection.add_link(link)
    content = collection.to_dict(include_self_link=False, transform_hrefs=False)
    folder.write(COLLECTION_FILE, (json.dumps(content, indent=1) + "\n").encode())
    return len(items), damaged


def _item_assets(items: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Describe the assets that items have, by key: what holds on every day, and every band that one of them has."""
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        for key, asset in item["assets"].items():
            stated = {name: asset[name] for name in ("title", "type", "roles") if name in asset}
            known = found.setdefault(key, dict(stated))
            for name in [name for name in ("title", "type", "roles") if known.get(name) != stated.get(name)]:
                known.pop(name, None)
            for name in [name for name in ("bands", "eo:bands") if name in asset]:
                # Statistics are of a day.
                bands = [{k: v for k, v in band.items() if k != "statistics"} for band in asset[name]]
                have = {band["name"] for band in known.setdefault(name, [])}
                known[name] += [band for band in bands if band["name"] not in have]
    return found


def _is_item(name: str) -> bool:
    return name.endswith(".json") and "/pm25_" in name and not name.startswith(WORKING)
