"""The STAC item: valid, true to the file, and free of this machine's folders."""

import hashlib
import json

import jsonschema
import pystac
import pytest
from maps import CREATED, address_grid, address_map, provenance
from pystac.validation.local_validator import get_local_schema_cache
from referencing import Registry, Resource

from pm25map.base.errors import BadOutput
from pm25map.grid import Grid
from pm25map.raster.cog import write_cog
from pm25map.raster.stac import write_stac_item


@pytest.fixture
def folder(tmp_path):
    grid = address_grid()
    write_cog(tmp_path / "cog.tif", address_map(grid), grid, provenance(grid))
    (tmp_path / "cog.png").write_bytes(b"a picture")
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
    schemas = get_local_schema_cache()
    registry = Registry().with_resources([(k, Resource.from_contents(v)) for k, v in schemas.items()])
    schema = next(v for k, v in schemas.items() if k.endswith("/item-spec/json-schema/item.json"))
    jsonschema.Draft7Validator(schema, registry=registry).validate(item)
    assert item["stac_version"] == "1.1.0"
    assert pystac.Item.from_file(str(folder / "cog.json")).assets["map"].media_type == pystac.MediaType.COG


def test_every_extension_that_is_used_is_named(folder):
    item = item_of(folder)
    named = " ".join(item["stac_extensions"])
    for extension in (
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
    assert derived == ["./models/conus-open/card.json", "../sample.zarr.zip"]
    assert [item["assets"][name]["href"] for name in ("map", "preview")] == ["./cog.tif", "./cog.png"]
    assert str(folder) not in (folder / "cog.json").read_text()


def test_the_colours_are_those_of_the_index(folder):
    render = item_of(folder)["properties"]["renders"]["aqi"]
    low, high = render["rescale"][0]

    def colour(pm25):
        return render["colormap"][str(min(int((pm25 - low) / (high - low) * 255), 255))]

    assert [colour(v) for v in (8.4, 9.6, 35.4, 35.6, 55.4, 55.6)] == [
        "#00E400", "#FFFF00", "#FFFF00", "#FF7E00", "#FF7E00", "#FF0000",
    ]  # fmt: skip
    assert [colour(v) for v in (125.4, 125.6, 225.4, 225.6)] == ["#FF0000", "#8F3F97", "#8F3F97", "#7E0023"]


def test_a_grid_without_an_authority_is_told_by_its_wkt(tmp_path):
    plain = address_grid()
    grid = Grid(
        "modis", "+proj=sinu +R=6371007.181 +units=m", plain.transform, plain.shape, 16, plain.land.copy()
    )
    write_cog(tmp_path / "cog.tif", address_map(grid), grid, provenance(grid))
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
