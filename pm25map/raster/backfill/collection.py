"""The STAC collection of a folder of maps: what a catalogue needs to find all of its days."""

import json

import pystac

from pm25map.base.storage import WORKING, Folder
from pm25map.grid.outline import around
from pm25map.raster.backfill.day import read_item
from pm25map.raster.provenance import MAP_LICENCE, PRODUCT
from pm25map.raster.stac import COLLECTION_FILE, collection_id
from pm25map.raster.style import qgis_style

STYLE_FILE = "aqi.qml"
"""Name of the style for QGIS in a folder of maps: one for all days."""


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
    collection = pystac.Collection(
        id=collection_id(grids, models),
        title=f"{PRODUCT}, {', '.join(grids)}",
        description=f"{PRODUCT} (ug m-3) by model {', '.join(models)}: one file a day. "
        "Estimates, not measurements.",
        extent=pystac.Extent(pystac.SpatialExtent([box]), pystac.TemporalExtent([[min(starts), max(ends)]])),
        license=MAP_LICENCE,
        keywords=["PM2.5", "air quality", "COG"],
        summaries=pystac.Summaries({"pm25map:grid": grids, "pm25map:model": models}),
    )
    for name, item in items.items():
        link = pystac.Link("item", f"./{name}", media_type="application/geo+json", title=item["id"])
        collection.add_link(link)
    content = collection.to_dict(include_self_link=False, transform_hrefs=False)
    folder.write(COLLECTION_FILE, (json.dumps(content, indent=1) + "\n").encode())
    return len(items), damaged


def _is_item(name: str) -> bool:
    return name.endswith(".json") and "/pm25_" in name and not name.startswith(WORKING)
