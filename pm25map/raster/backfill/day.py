"""One day of a backfill: its files, whether they are done, and how they are made of what is staged."""

import datetime as dt
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pm25map.base.errors import BadOutput
from pm25map.base.files import sha256_of_bytes
from pm25map.base.json_text import read_json
from pm25map.base.storage import Folder, Remote
from pm25map.raster.accessor import netcdf_content
from pm25map.raster.backfill.job import SUFFIXES, Format, Job, OpenJob, open_job
from pm25map.raster.backfill.stage import read_header
from pm25map.raster.cog import write_whole
from pm25map.raster.item_checks import MULTIHASH_SHA256, is_as_written, item_text
from pm25map.raster.map_files import BESIDE, MAP, file_of, map_contents
from pm25map.raster.maps import with_layers
from pm25map.raster.provenance import created_time
from pm25map.raster.stac import COLLECTION_FILE, write_stac_item


def map_name(day: dt.date, form: Format = "cog") -> str:
    """Name the map of a day in its folder: 2020/pm25_2020-09-12.tif."""
    return f"{day.year:04d}/pm25_{day.isoformat()}.{SUFFIXES[form]}"


def name_of(day: dt.date, kind: str) -> str:
    """Name a GeoTIFF of a day, of the map or beside it (raster.map_files): 2020/pm25_2020-09-12.bands.tif."""
    return file_of(Path(map_name(day)), kind).as_posix()


def item_name(day: dt.date) -> str:
    """Name the STAC item of a day."""
    return f"{day.year:04d}/pm25_{day.isoformat()}.json"


NETCDF_TYPE = "application/netcdf"
"""Media type of a NetCDF file."""


@dataclass(frozen=True)
class Identity:
    """What decides the values of a map: the same identity, the same map, up to the digits of the engine."""

    card: str
    network: str
    places: str
    grid: str
    predictors: str
    region: str
    intervals: str = ""
    bands: frozenset[str] = frozenset()
    format: Format = "cog"

    def differs(self, other: "Identity") -> str:
        """Name what differs, in words."""
        names = [name for name in vars(self) if getattr(self, name) != getattr(other, name)]
        if len(names) > 1 and "bands" in names:
            names.remove("bands")  # they follow from the model or the intervals
        words = {"card": "model", "network": "model"}
        return ", ".join(dict.fromkeys(words.get(name, name) for name in names))


def identity_of(opened: OpenJob, day: dt.date) -> Identity:
    """Return what the map of a day shall be made of."""
    inputs = opened.inputs
    return Identity(
        card=inputs.model.card.checksum,
        network=inputs.model.card.network_checksum,
        places=inputs.places.checksum if inputs.places else "",
        grid=inputs.grid.checksum,
        predictors=inputs.predictors.window_checksum(inputs.features, inputs.window(day)),
        region=opened.estimator.part.words,
        intervals=inputs.intervals_checksum,
        bands=frozenset(band.name for band in opened.estimator.bands),
        format=opened.job.format,
    )


@dataclass(frozen=True)
class StoredMap:
    """A map that is there.

    Attributes:
        identity: what it was made of, None where its item does not say.
        engine: that made it.
        sha256: that its item states.
        whole: whether it and the files beside it have the checksums that the item states.
        names: of its files in the folder, by kind (raster.map_files).
        constant: its bands that are no layer of a file but one number, by name.
    """

    identity: Identity | None
    engine: str
    sha256: str
    whole: bool
    names: Mapping[str, str] = field(default_factory=dict)
    constant: Mapping[str, float] = field(default_factory=dict)


def find_map(folder: Folder, day: dt.date) -> StoredMap | None:
    """Look at the map of a day: read as a whole and compared with its item; None where there is none."""
    content = folder.read(item_name(day))
    if content is None:
        return None
    item = read_item(content)
    form = format_of(item)
    names = {MAP: map_name(day, form)}
    if folder.read(names[MAP]) is None:
        return None
    if item is None:
        return StoredMap(None, "", "", whole=False)
    try:
        properties = item["properties"]
        files = {
            kind: item["assets"][kind] for kind in (MAP, *BESIDE) if kind == MAP or kind in item["assets"]
        }
        constant = dict(properties.get("pm25map:constant_bands") or {})
        model = properties["pm25map:model"]
        identity = Identity(
            card=model["card_sha256"],
            network=model["network_sha256"],
            places=model["places_sha256"] or "",
            grid=properties["pm25map:grid"]["sha256"],
            predictors=properties["pm25map:predictors"]["sha256"],
            region=properties["pm25map:region"],
            # Maps of before there were intervals say nothing of them.
            intervals=model.get("intervals_sha256") or "",
            bands=frozenset([*constant, *(band["name"] for one in files.values() for band in one["bands"])]),
            format=form,
        )
        stated = {
            kind: str(one["file:checksum"]).removeprefix(MULTIHASH_SHA256) for kind, one in files.items()
        }
        engine = str(model["engine"])
    except (KeyError, TypeError, AttributeError, ValueError):
        return StoredMap(None, "", "", whole=False)
    names |= {kind: name_of(day, kind) for kind in files if kind != MAP}
    contents = {kind: folder.read(name) for kind, name in names.items()}
    whole = all(
        content is not None and sha256_of_bytes(content) == stated[kind] for kind, content in contents.items()
    )
    return StoredMap(identity, engine, stated[MAP], whole, names, constant)


def format_of(item: Any) -> Format:
    """Read from an item in which format its map is; a damaged one says nothing, and counts as one of a GeoTIFF."""
    try:
        return "netcdf" if item["assets"]["map"]["type"] == NETCDF_TYPE else "cog"
    except (KeyError, TypeError):
        return "cog"


def read_item(content: bytes) -> dict[str, Any] | None:
    """Read the item of a map; None where it is damaged, or lacks what a collection says of all of them."""
    try:
        item: dict[str, Any] = read_json(content)
        properties = item["properties"]
        for name in ("start_datetime", "end_datetime"):
            dt.datetime.fromisoformat(properties[name])
        west, south, east, north = map(float, item["bbox"])
        properties["pm25map:grid"]["name"], properties["pm25map:model"]["name"], item["id"]
        [band["name"] for asset in item["assets"].values() for band in asset.get("bands", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    # A box that crosses 180 degrees has west > east.
    return item if west != east and south < north and is_as_written(item) else None


@dataclass(frozen=True)
class DayReport:
    """What came of a day.

    Attributes:
        day: that was made.
        sha256, size: of its map.
        cells: that hold an estimate.
        maximum, mean: ug m-3.
        seconds: that laying out and writing took.
    """

    day: dt.date
    sha256: str
    size: int
    cells: int
    maximum: float
    mean: float
    seconds: float


def assemble_day(job: Job, day: dt.date, names: tuple[str, ...]) -> DayReport:
    """Make the map of a day and its STAC item of what is staged. The item comes last: it says that all is done.

    Args:
        job: what it is for.
        day: to make.
        names: staged files that hold the day, of all blocks.

    Raises:
        BadOutput: a staged row is damaged or absent, or the folder cannot be written.
    """
    opened = open_job(job)
    began = time.monotonic()
    layers = _gather(opened, day, names)
    inputs, estimator, view = opened.inputs, opened.estimator, opened.view
    name = map_name(day)  # of the GeoTIFF, from which the item is written in either format
    contents, statistics = map_contents(
        name,
        layers[0],
        inputs.grid,
        inputs.provenance(day, Path(name).name, estimator.session().engine, estimator.part),
        more={band: layers[i] for i, band in enumerate(estimator.bands) if i},
        block=view,
        asked=estimator.asked[view.slices],
    )
    folder, form = opened.folder, opened.job.format
    item = item_of(opened, day, contents)
    if form == "netcdf":
        content = netcdf_content(with_layers(estimator, day, dict(zip(estimator.bands, layers, strict=True))))
        item = _as_netcdf(item, day, content)
        files = {map_name(day, form): content}
    else:
        content = contents[MAP]
        files = {name_of(day, kind): contents[kind] for kind in reversed(contents)}
    for file, of_file in files.items():
        folder.write(file, of_file)
    folder.write(item_name(day), item)
    # Of one day there is one map: the item no longer speaks of files of another format, or with other bands.
    others = {name_of(day, kind) for kind in BESIDE} | {map_name(day, other) for other in SUFFIXES}
    for other in sorted(others - files.keys()):
        folder.remove(other)
    return DayReport(
        day=day,
        sha256=sha256_of_bytes(content),
        size=sum(map(len, files.values())),
        cells=statistics.cell_count,
        maximum=statistics.maximum,
        mean=statistics.mean,
        seconds=time.monotonic() - began,
    )


def _as_netcdf(item: bytes, day: dt.date, content: bytes) -> bytes:
    """Write the item of a NetCDF file from that of the GeoTIFF with the same estimates."""
    stated = read_json(item)
    asset = stated["assets"][MAP]
    for kind in BESIDE:
        # All bands stand in the one file.
        beside = stated["assets"].pop(kind, {"bands": [], "eo:bands": []})
        asset["bands"] += beside["bands"]
        asset["eo:bands"] += beside["eo:bands"]
    asset |= {
        "href": f"./{Path(map_name(day, 'netcdf')).name}",
        "type": NETCDF_TYPE,
        "file:size": len(content),
        "file:checksum": MULTIHASH_SHA256 + sha256_of_bytes(content),
    }
    # A tile server draws GeoTIFFs.
    stated["properties"].pop("renders", None)
    stated["stac_extensions"] = [name for name in stated["stac_extensions"] if "/render/" not in name]
    return item_text(stated).encode()


def _gather(opened: OpenJob, day: dt.date, names: Iterable[str]) -> Any:
    """Put the staged rows of a day together: float32 (band, y, x) of the view."""
    estimator = opened.estimator
    out = np.full((len(estimator.bands), *opened.inputs.grid.shape), np.nan, dtype=np.float32)
    blocks = {block.id: block for block in estimator.blocks()}
    for name in names:
        header = read_header(opened.folder, name)
        if header is None or day not in header.days:
            raise BadOutput(f"the stage has lost {day} of {name}: run the same command again")
        block = blocks.pop(header.block)
        out[:, *block.slices][:, estimator.asked[block.slices]] = header.read_row(opened.folder, day)
    if blocks:
        raise BadOutput(
            f"the stage lacks {len(blocks)} blocks of {day} (first: {next(iter(blocks))}): run the same command again"
        )
    return out[:, *opened.view.slices]


def item_of(opened: OpenJob, day: dt.date, contents: Mapping[str, bytes]) -> bytes:
    """Write the item of a map as it will read once its files, by kind, stand in their folder."""
    inputs, where = opened.inputs, opened.folder.where
    year = f"{day.year:04d}"
    home = Remote(f"{where.url}/{year}") if isinstance(where, Remote) else where / year
    with tempfile.TemporaryDirectory(prefix="pm25map-") as scratch:
        draft = Path(scratch) / Path(map_name(day)).name
        for kind, content in contents.items():
            write_whole(file_of(draft, kind), content)
        item = write_stac_item(
            draft,
            created=created_time(),
            model_card=inputs.card_path,
            predictors=inputs.derived_from,
            home=home,
            collection=f"../{COLLECTION_FILE}",
        )
        return item.read_bytes()
