"""The STAC item of a model, with the MLM extension: what a catalogue needs to find it and to run it."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pystac

from pm25map.base.files import check_output, replacing, sha256_of_file
from pm25map.grid import Grid
from pm25map.model.card import CARD_FILE, NETWORK_FILE, Model, ModelCard
from pm25map.raster.bands import PM25
from pm25map.raster.item_checks import MULTIHASH_SHA256
from pm25map.raster.provenance import REFERENCE_CITATION, REFERENCE_DOI

ITEM_FILE = "item.json"

EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("file/v2.1.0", "mlm/v1.4.0", "scientific/v1.0.0")
)


def write_model_item(model: Model, grid: Grid, *, created: dt.datetime, overwrite: bool = False) -> Path:
    """Write item.json beside the card and the network of a model.

    Args:
        model: the model.
        grid: the grid of its card, for where the model holds.
        created: when the item is made (see provenance.created_time).
        overwrite: replace an item that is there.

    Raises:
        BadOutput: the item cannot be written.
    """
    folder = model.network.parent
    target = folder / ITEM_FILE
    check_output(target, overwrite=overwrite)
    item = model_item(model.card, grid, created)
    for key, name, title, media_type, roles, extra in (
        ("network", NETWORK_FILE, "Network", "application/onnx", ["mlm:model", "mlm:weights", "data"], _ONNX),
        ("card", CARD_FILE, "Card", pystac.MediaType.JSON, ["metadata"], {}),
    ):
        checked = {
            "file:size": (folder / name).stat().st_size,
            "file:checksum": MULTIHASH_SHA256 + sha256_of_file(folder / name),
        }
        fields = checked | extra
        item.add_asset(key, pystac.Asset(f"./{name}", title, None, media_type, roles, fields))
    found = item.to_dict(include_self_link=False, transform_hrefs=False)
    with replacing(target) as part:
        part.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


_ONNX = {"mlm:artifact_type": "onnx", "mlm:entrypoint": "pm25map.model.runtime:open_session"}


def model_item(card: ModelCard, grid: Grid, created: dt.datetime) -> pystac.Item:
    """Describe a model as a STAC item, without its files.

    Args:
        card: of the model.
        grid: where it holds.
        created: UTC.
    """
    lon, lat = grid.lonlat()
    west, south, east, north = (round(float(v), 5) for v in (lon.min(), lat.min(), lon.max(), lat.max()))
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    midnight = dt.time(tzinfo=dt.UTC)
    return pystac.Item(
        id=f"{card.name}-{card.version}",
        geometry={"type": "Polygon", "coordinates": [ring]},
        bbox=[west, south, east, north],
        datetime=None,
        start_datetime=dt.datetime.combine(card.training.start, midnight),
        end_datetime=dt.datetime.combine(card.training.end + dt.timedelta(days=1), midnight),
        stac_extensions=list(EXTENSIONS),
        properties={
            "title": f"Model {card.name} {card.version}",
            "description": card.description,
            "created": created.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "license": card.licence,
            "sci:publications": [{"doi": REFERENCE_DOI, "citation": REFERENCE_CITATION}],
            **_mlm(card),
        },
    )


def _mlm(card: ModelCard) -> dict[str, Any]:
    window = {
        "name": "window",
        "description": f"{card.window_days} days, oldest first; inputs as in mlm:hyperparameters.inputs",
        "bands": [],
        "input": _structure(["batch", "time", "channel"], [-1, card.window_days, len(card.scaler.inputs)]),
        "pre_processing_function": {"format": "python", "expression": "pm25map.windows.scaler:Scaler.apply"},
    }
    place = {
        "name": "place",
        "description": f"Vector of the location encoder {card.place.encoder}",
        "bands": [],
        "input": _structure(["batch", "embedding"], [-1, card.place.dimension]),
    }
    return {
        "mlm:name": card.name,
        "mlm:architecture": "Bi-LSTM with Luong attention",
        "mlm:tasks": ["regression"],
        "mlm:framework": "ONNX",
        "mlm:pretrained": True,
        "mlm:input": [window, place] if card.place.dimension else [window],
        "mlm:output": [
            {
                "name": "pm25",
                "description": f"{PM25.long_name}, {PM25.units}",
                "tasks": ["regression"],
                "result": _structure(["batch"], [-1]),
            }
        ],
        "mlm:hyperparameters": {
            "inputs": list(card.scaler.inputs),
            "units": dict(card.units),
            "network": card.network.model_dump(mode="json"),
            "opset": card.opset,
            "grid": card.grid,
            "network_sha256": card.network_checksum,
        },
    }


def _structure(order: list[str], shape: list[int]) -> dict[str, Any]:
    return {"shape": shape, "dim_order": order, "data_type": "float32"}
