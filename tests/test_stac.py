"""The STAC item: valid, true to the file, and free of this machine's folders."""

import hashlib
import json
import re

import numpy as np
import pystac
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import ValidationError
from maps import CREATED, address_grid, address_map, provenance
from pyproj import Transformer
from rasterio.io import MemoryFile
from stac_checks import check_stac
from titiler.core.factory import TilerFactory

from pm25map.base.aqi import category_of
from pm25map.base.errors import BadOutput
from pm25map.base.storage import LocalFolder
from pm25map.grid import Grid
from pm25map.raster.backfill.collection import write_collection
from pm25map.raster.bands import PM25_MEMBERS, UPPER
from pm25map.raster.item_checks import item_text
from pm25map.raster.map_files import write_map
from pm25map.raster.stac import write_stac_item

VALIDATED = {"eo-v1.1.0", "file-v2.1.0", "projection-v2.0.0", "render-v2.0.0", "scientific-v1.0.0"}
"""Extensions of an item by whose schemas it is validated."""


@pytest.fixture
def folder(tmp_path):
    grid = address_grid()
    write_map(tmp_path / "cog.tif", address_map(grid), grid, provenance(grid))
    (tmp_path / "cog.png").write_bytes(b"a picture")
    card = tmp_path / "models" / "conus-open" / "card.json"
    card.parent.mkdir(parents=True)
    card.write_text("{}")
    return tmp_path


def item_of(folder, **options):
    path = write_stac_item(
        folder / "cog.tif",
        created=CREATED,
        model_card=folder / "models" / "conus-open" / "card.json",
        predictors=folder.parent / "sample.zarr.zip",
        preview=folder / "cog.png",
        **options,
    )
    assert path == folder / "cog.json"
    return json.loads(path.read_text())


def test_the_item_is_valid_stac(folder):
    item = item_of(folder)
    assert check_stac(item) == VALIDATED
    assert item["stac_version"] == "1.1.0"
    assert pystac.Item.from_file(str(folder / "cog.json")).assets["map"].media_type == pystac.MediaType.COG


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("assets", "map", "file:size"), "large"),
        (("assets", "map", "eo:bands"), []),
        (("properties", "proj:shape"), [40.5, 60]),
        (("properties", "renders", "aqi", "assets"), "map"),
        (("properties", "sci:publications"), [{"doi": 7}]),
        (("stac_version",), "0.9.0"),
    ],
)
def test_the_schemas_find_a_field_of_each_extension_that_is_wrong(folder, path, value):
    item = item_of(folder)
    place = item
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        check_stac(item)


def test_every_extension_that_is_used_is_named(folder):
    item = item_of(folder)
    named = " ".join(item["stac_extensions"])
    for extension in (
        "eo/v1.1",
        "file/v2.1",
        "processing/v1.2",
        "projection/v2.0",
        "raster/v2.0",
        "render/v2.0",
        "scientific/v1.0",
    ):
        assert extension in named


def test_checksum_and_size_are_those_of_the_file(folder):
    asset = item_of(folder)["assets"]["map"]
    content = (folder / "cog.tif").read_bytes()
    assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    assert asset["file:size"] == len(content)


def test_the_band_says_what_the_file_says(folder):
    band = item_of(folder)["assets"]["map"]["bands"][0]
    assert (band["nodata"], band["data_type"], band["unit"]) == ("nan", "float32", "ug m-3")
    assert band["statistics"]["maximum"] == pytest.approx(39.059)
    assert set(band["statistics"]) == {"minimum", "maximum", "mean", "stddev", "valid_percent"}
    assert (band["raster:spatial_resolution"], band["raster:sampling"]) == (10_000.0, "area")


def test_the_projection_is_that_of_the_grid(folder):
    properties, grid = item_of(folder)["properties"], address_grid()
    assert properties["proj:code"] == "EPSG:5070"
    assert properties["proj:shape"] == list(grid.shape)
    assert tuple(properties["proj:transform"]) == grid.transform
    assert tuple(properties["proj:bbox"]) == grid.bounds


def test_the_footprint_holds_every_cell(folder):
    item = item_of(folder)
    lon, lat = address_grid().lonlat()
    west, south, east, north = item["bbox"]
    assert west < lon.min() < lon.max() < east
    assert south < lat.min() < lat.max() < north
    ring = item["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]


def test_the_item_of_a_part_is_where_that_part_is(folder):
    """Of a region the file covers the whole grid: a search for what lies outside must not find it."""
    grid = address_grid()
    values = address_map(grid)
    row, col = (int(axis.mean()) for axis in np.nonzero(np.isfinite(values)))
    part = np.full_like(values, np.nan)
    part[row : row + 2, col : col + 3] = values[row : row + 2, col : col + 3]
    write_map(folder / "cog.tif", part, grid, provenance(grid), overwrite=True)
    known = np.isfinite(part)
    rows, cols = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    a, _, c, _, e, f = grid.transform
    bounds = (c + a * cols[0], f + e * (rows[-1] + 1), c + a * (cols[-1] + 1), f + e * rows[0])
    item = item_of(folder)
    wanted = Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True).transform_bounds(
        *bounds, densify_pts=999
    )
    np.testing.assert_allclose(item["bbox"], wanted, atol=1e-5)
    assert tuple(item["properties"]["proj:bbox"]) == grid.bounds
    assert check_stac(item) == VALIDATED


def test_the_day_is_local_standard_time(folder):
    properties = item_of(folder)["properties"]
    assert properties["start_datetime"] == "2020-09-12T05:00:00Z"
    assert properties["end_datetime"] == "2020-09-13T08:00:00Z"
    assert properties["datetime"] == "2020-09-12T18:30:00Z"
    assert properties["created"] == "2026-01-02T03:04:05Z"


def test_the_item_says_how_the_map_was_made(folder):
    properties = item_of(folder)["properties"]
    assert properties["processing:expression"]["expression"].startswith("pm25map predict --date 2020-09-12")
    assert "pm25map" in properties["processing:software"]
    assert properties["sci:publications"][0]["doi"] == "10.1080/15481603.2025.2594797"
    assert properties["pm25map:model"]["card_sha256"] == "ca" * 32


def test_links_are_relative(folder):
    item = item_of(folder)
    derived = [link["href"] for link in item["links"] if link["rel"] == "derived_from"]
    assert item["links"][0]["file:checksum"] == "1220" + hashlib.sha256(b"{}").hexdigest()
    assert derived == ["./models/conus-open/card.json"], "the store lies outside of the folder"
    assert item["properties"]["pm25map:predictors"]["sha256"] == "dd" * 32
    assert [item["assets"][name]["href"] for name in ("map", "preview")] == ["./cog.tif", "./cog.png"]
    assert str(folder) not in (folder / "cog.json").read_text()


def test_the_item_of_a_backfill_leads_to_its_collection(folder):
    links = item_of(folder, collection="../collection.json")["links"]
    hrefs = {link["rel"]: link["href"] for link in links}
    assert {hrefs.pop(relation) for relation in ("root", "parent", "collection")} == {"../collection.json"}
    assert set(hrefs) == {"derived_from"}, "an address of its own would have to be absolute"


def test_what_stands_beside_the_map_is_an_asset_of_the_item(folder):
    grid = address_grid()
    more = {UPPER: address_map(grid) * 2, PM25_MEMBERS: address_map(grid) * 0 + 5}
    write_map(folder / "cog.tif", address_map(grid), grid, provenance(grid), more=more, overwrite=True)
    item = item_of(folder)
    assets = item["assets"]
    assert list(assets) == ["map", "bands", "style", "preview"]
    assert [assets[name]["href"] for name in ("bands", "style")] == ["./cog.bands.tif", "./cog.qml"]
    for name in ("map", "bands"):
        names = [band["name"] for band in assets[name]["bands"]]
        assert names == [band["name"] for band in assets[name]["eo:bands"]]
        content = (folder / assets[name]["href"]).read_bytes()
        assert assets[name]["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    assert [band["name"] for band in assets["bands"]["bands"]] == ["pm25_upper"]
    assert item["properties"]["pm25map:constant_bands"] == {"pm25_members": 5.0}
    assert check_stac(item) == VALIDATED


EDGES = [0.0, 8.94, 9.0, 9.06, 9.1, 9.4, 35.4, 35.46, 35.5, 55.4, 55.5, 125.4, 125.5, 225.4, 225.5, 900.0]


def test_the_hint_draws_every_value_in_the_colour_of_its_class(tmp_path):
    """titiler's own answer to the hint, at both sides of every end of a class."""
    values = np.array([*EDGES, *np.nextafter(np.float32(EDGES), np.float32(0))], dtype=np.float32)
    grid = address_grid(16, 16)
    pm25 = np.where(grid.land, np.float32(1), np.float32(np.nan))
    pm25[8, :], pm25[9, :] = values[:16], values[16:]
    write_map(tmp_path / "cog.tif", pm25, grid, provenance(grid))
    (tmp_path / "cog.png").write_bytes(b"a picture")
    hint = item_of(tmp_path)["properties"]["renders"]["aqi"]
    app = FastAPI()
    app.include_router(TilerFactory().router)
    asked = {
        "url": str(tmp_path / "cog.tif"),
        "expression": hint["expression"],
        "nodata": hint["nodata"],
        "resampling": hint["resampling"],
        "colormap": json.dumps(hint["colormap"]),
        "max_size": 16,
    }
    answer = TestClient(app).get("/preview.png", params=asked)
    assert answer.status_code == 200, answer.text
    with MemoryFile(answer.content) as memory, memory.open() as picture:
        seen = picture.read()
    for row in (8, 9):
        for column in range(16):
            drawn = "#" + "".join(f"{shade:02X}" for shade in seen[:3, row, column])
            assert drawn == category_of(float(pm25[row, column])).colour, pm25[row, column]
    assert seen[3, 0, 0] == 0 and seen[3, 8, 0] == 255


def test_qgis_gets_the_same_classes(folder):
    items = re.findall(r'<item value="(\S+)" label=".+?" color="(\S+)"', (folder / "cog.qml").read_text())
    ends, colours = [float(end) for end, _ in items], [colour.upper() for _, colour in items]
    for pm25 in np.float32(EDGES):
        # QGIS draws a value in the colour of the first end that it does not exceed.
        drawn = colours[next(i for i, end in enumerate(ends) if pm25 <= end)]
        assert drawn == category_of(float(pm25)).colour, pm25


def test_a_grid_without_an_authority_is_told_by_its_wkt(tmp_path):
    plain = address_grid()
    grid = Grid(
        "modis", "+proj=sinu +R=6371007.181 +units=m", plain.transform, plain.shape, 16, plain.land.copy()
    )
    write_map(tmp_path / "cog.tif", address_map(grid), grid, provenance(grid))
    (tmp_path / "cog.png").write_bytes(b"a picture")
    properties = item_of(tmp_path)["properties"]
    assert properties["proj:code"] is None
    assert "Sinusoidal" in properties["proj:wkt2"]


def test_the_same_map_gives_the_same_item(folder):
    assert item_of(folder) == item_of(folder, overwrite=True)


def test_an_item_that_is_there_is_kept(folder):
    item_of(folder)
    with pytest.raises(BadOutput, match="--overwrite"):
        item_of(folder)


def a_folder_of(folder, *items):
    """A folder of maps that holds items alone, one a day."""
    opened = LocalFolder(folder / "maps")
    for day, item in enumerate(items, start=1):
        opened.write(f"2020/pm25_2020-09-{day:02d}.json", item_text(item).encode())
    number, damaged = write_collection(opened)
    return json.loads(opened.read("collection.json")), number, damaged


def as_netcdf(item):
    changed = json.loads(json.dumps(item))
    asset = changed["assets"]["map"]
    asset["type"] = "application/netcdf"
    for name in ("bands", "eo:bands"):
        asset[name].append({**asset[name][0], "name": "pm25_spread"})
    changed["properties"].pop("renders")
    changed["stac_extensions"] = [name for name in changed["stac_extensions"] if "/render/" not in name]
    return changed


def test_a_collection_of_netcdf_files_has_no_hint_for_drawing(folder):
    found, _, _ = a_folder_of(folder, as_netcdf(item_of(folder)))
    assert "renders" not in found
    assert check_stac(found) == VALIDATED - {"file-v2.1.0", "render-v2.0.0"}
    assert found["item_assets"]["map"]["type"] == "application/netcdf"


def test_a_collection_says_of_its_assets_what_holds_on_every_day(folder):
    item = item_of(folder)
    found, number, _ = a_folder_of(folder, item, as_netcdf(item))
    assert number == 2
    check_stac(found)
    asset = found["item_assets"]["map"]
    assert "type" not in asset, "it differs"
    assert asset["roles"] == ["data"]
    assert [band["name"] for band in asset["bands"]] == ["pm25", "pm25_spread"]
    assert not asset.keys() & {"href", "file:size", "file:checksum"}
    assert found["renders"] == item["properties"]["renders"]
    assert found["summaries"]["proj:code"] == ["EPSG:5070"]


def test_a_grid_without_a_code_gives_no_summary_of_codes(folder):
    item = item_of(folder)
    item["properties"]["proj:code"] = None
    found, _, _ = a_folder_of(folder, item)
    check_stac(found)
    assert "proj:code" not in found["summaries"]


def test_an_item_without_assets_is_left_out_of_the_collection(folder):
    item = item_of(folder)
    found, number, damaged = a_folder_of(folder, item, {**item, "assets": None})
    assert (number, damaged) == (1, ["2020/pm25_2020-09-02.json"])
    check_stac(found)
