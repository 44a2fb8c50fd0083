"""Pictures of encoders: similarity with known answers, colours that do not depend on chance, places as text."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner

from pm25map.base.errors import BadGrid, BadOutput, BadRaster, UnknownName
from pm25map.cli.main import cli
from pm25map.grid import Grid
from pm25map.laboratory.probes.targets import land_places
from pm25map.laboratory.similarity.draw import draw_similarity, look_at, write_similarity
from pm25map.laboratory.similarity.similarity import PLACES, as_colours, read_place, similarity_to, world_grid
from pm25map.laboratory.world.countries import COUNTRIES, read_countries
from pm25map.places.catalogue import encoder


def toy_grid() -> Grid:
    land = np.ones((12, 20), bool)
    land[:, :3] = False
    return Grid("toy", "EPSG:5070", (100e3, 0, -1e6, 0, -100e3, 2.4e6), (12, 20), 8, land)


def test_a_place_is_most_like_itself_and_least_like_its_other_side() -> None:
    sphere = encoder("harmonics-1")
    lat, lon = np.array([10.0, -10.0, 60.0]), np.array([20.0, -160.0, 20.0])
    found = similarity_to(sphere, sphere.encode(lat, lon), read_place("10, 20"))
    # One constant and three of the length sqrt(3) times it: (1 + 3 cos angle) / 4.
    np.testing.assert_allclose(found, [1, -0.5, (1 + 3 * np.cos(np.deg2rad(50))) / 4], atol=1e-6)


def test_places_are_read_by_name_or_latitude_first() -> None:
    assert (read_place("phoenix").lat, read_place("phoenix").lon) == PLACES["phoenix"]
    assert read_place("-3.5,100").name == "3.5S-100E"
    with pytest.raises(BadGrid, match="may be swapped"):
        read_place("-112.07,33.45")
    with pytest.raises(UnknownName, match="hong-kong"):
        read_place("atlantis")


def test_colours_follow_the_greatest_differences_and_are_the_same_for_mirrored_vectors() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(500, 5)) * [9, 4, 2, 0.1, 0.1]).astype(np.float32)
    colours = as_colours(vectors)
    assert colours.min() == 1
    for channel in range(3):
        assert np.corrcoef(colours[:, channel], vectors[:, channel])[0, 1] > 0.98
    assert as_colours(vectors[:, :1]).shape == (500, 3)


def test_a_picture_and_two_cogs_are_written_and_not_over_another(tmp_path: Path) -> None:
    grid, places = toy_grid(), [read_place("phoenix"), read_place("manhattan")]
    looks = [look_at(encoder(name), grid, places) for name in ("sincos", "harmonics-2")]
    draw_similarity(looks, grid, places, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    with pytest.raises(BadOutput, match="exists already"):
        draw_similarity(looks, grid, places, tmp_path / "a.png")
    colours, similarity = write_similarity(looks[1], grid, places, tmp_path)
    with rasterio.open(similarity) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.descriptions == ("like_phoenix", "like_manhattan")
        assert source.tags(1)["long_name"] == "cosine similarity to phoenix"
        assert source.tags()["ENCODER"] == "harmonics-2"
        values = source.read()
        np.testing.assert_array_equal(np.isnan(values[0]), ~grid.land)
        assert np.nanmax(values) <= 1.0001
    with rasterio.open(colours) as source:
        assert (source.count, source.dtypes[0], source.nodata) == (3, "uint8", 0)
        assert (source.read(1) == 0).sum() == (~grid.land).sum()
    with pytest.raises(BadOutput, match="exists already"):
        write_similarity(looks[1], grid, places, tmp_path)


def test_the_land_of_the_world_is_cut_into_cells_of_one_area(shared_data: Path, tmp_path: Path) -> None:
    grid = world_grid(shared_data / "global", 5000)
    assert grid.cell_count == pytest.approx(5000, rel=0.05)
    lon, lat = grid.lonlat()
    assert ((np.abs(lat - 64) < 4) & (np.abs(lon - 100) < 20)).any()  # Siberia
    assert not ((np.abs(lat) < 10) & (np.abs(lon + 30) < 3)).any()  # the Atlantic
    with pytest.raises(BadRaster, match="cannot read the countries"):
        world_grid(tmp_path)


def test_the_command_wants_one_area() -> None:
    result = CliRunner().invoke(cli, ["lab", "places", "similarity", "--out", "x"])
    assert result.exit_code == 2
    assert "either --grid, or --rasters" in result.output


def topology_of(*countries: list[list[list[float]]]) -> dict:
    """One polygon a country, its rings as longitude and latitude."""
    arcs, geometries = [], []
    for rings in countries:
        geometries.append(
            {
                "type": "Polygon",
                "arcs": [[len(arcs) + i] for i in range(len(rings))],
                "properties": {"name": str(len(geometries))},
            }
        )
        arcs += [[ring[0], *np.diff(ring, axis=0).tolist()] for ring in rings]
    transform = {"scale": [1, 1], "translate": [0, 0]}
    countries = {"type": "GeometryCollection", "geometries": geometries}
    return {"type": "Topology", "transform": transform, "arcs": arcs, "objects": {"countries": countries}}


def test_land_that_crosses_180_degrees_or_holds_a_pole_is_where_it_is(tmp_path: Path) -> None:
    across = [[170, 60], [-170, 60], [-170, 70], [170, 70], [170, 60]]
    hole = [[175, 64], [-175, 64], [-175, 66], [175, 66], [175, 64]]
    around = [[-180, -70], [-90, -70], [0, -70], [90, -70], [180, -70], [-180, -70]]
    pole = [[-180, -90], [90, -90], [0, -90], [-90, -90], [-180, -90]]
    (tmp_path / COUNTRIES).write_text(json.dumps(topology_of([across, hole], [pole, around])))
    found = read_countries(tmp_path)
    crossing, south = found["0"], found["1"]
    assert crossing.area == pytest.approx(20 * 10 - 10 * 2)
    assert crossing.bounds == (-180, 60, 180, 70)
    assert not crossing.intersects(shapely.box(-160, -90, 160, 90))
    assert not crossing.contains(shapely.Point(179, 65))
    assert south.area == pytest.approx(360 * 20)


def test_the_land_of_all_countries_holds_siberia_and_antarctica_and_no_ocean(shared_data: Path) -> None:
    land = shapely.union_all(list(read_countries(shared_data / "global").values()))
    for lat, lon in ((67.0, 160.0), (66.5, -177.0), (-85.0, 60.0), (52.0, 10.0)):
        assert land.contains(shapely.Point(lon, lat))
    for lat, lon in ((67.0, 0.0), (66.0, -30.0), (74.0, -150.0), (-55.0, 0.0)):
        assert not land.contains(shapely.Point(lon, lat))
    lat, _, _ = land_places(shared_data / "global", 2000, 0)
    assert lat.min() > -60
