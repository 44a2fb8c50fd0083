"""The STAC collection of a folder of maps: what a catalogue needs to find all of its days."""

import json
from typing import Any

import pystac

from pm25map.base.errors import BadMap
from pm25map.base.storage import WORKING, Folder
from pm25map.raster.provenance import MAP_LICENCE, PRODUCT

COLLECTION_FILE = "collection.json"


def write_collection(folder: Folder) -> int:
    """Write collection.json for all maps of a folder; give their number.

    Raises:
        BadMap: an item is damaged.
        BadOutput: the folder cannot be written.
    """
    items = {name: _item(folder, name) for name in folder.names("") if _is_item(name)}
    if not items:
        return 0
    boxes = [item["bbox"] for item in items.values()]
    box = [
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    ]
    starts = [pystac.utils.str_to_datetime(item["properties"]["start_datetime"]) for item in items.values()]
    ends = [pystac.utils.str_to_datetime(item["properties"]["end_datetime"]) for item in items.values()]
    grids = sorted({item["properties"]["pm25map:grid"]["name"] for item in items.values()})
    models = sorted({item["properties"]["pm25map:model"]["name"] for item in items.values()})
    collection = pystac.Collection(
        id=f"pm25-{'-'.join(grids)}-{'-'.join(models)}",
        title=f"{PRODUCT}, {', '.join(grids)}",
        description=f"{PRODUCT} (ug m-3) by model {', '.join(models)}: one Cloud-Optimized GeoTIFF a day. "
        "Estimates, not measurements.",
        extent=pystac.Extent(pystac.SpatialExtent([box]), pystac.TemporalExtent([[min(starts), max(ends)]])),
        license=MAP_LICENCE,
        keywords=["PM2.5", "air quality", "COG"],
        summaries=pystac.Summaries({"pm25map:grid": grids, "pm25map:model": models}),
    )
    for name, item in items.items():
        link = pystac.Link("item", f"./{name}", media_type="application/geo+json", title=item["id"])
        collection.add_link(link)
    told = collection.to_dict(include_self_link=False, transform_hrefs=False)
    folder.write(COLLECTION_FILE, (json.dumps(told, indent=1) + "\n").encode())
    return len(items)


def _is_item(name: str) -> bool:
    return name.endswith(".json") and "/pm25_" in name and not name.startswith(WORKING)


def _item(folder: Folder, name: str) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(folder.read(name) or b"")
        told["bbox"], told["properties"]["start_datetime"], told["properties"]["pm25map:grid"]["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadMap(
            f"{name} of {folder.where} is no STAC item of a map: run the same backfill again"
        ) from error
    return told
