"""The shipped outline: whole, valid, without slivers, and named."""

import hashlib
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import shapely

import pm25map.grid
from pm25map.base.errors import UnknownName
from pm25map.grid import (
    cells_of,
    cells_of_region,
    conus_boundary,
    load_grid,
    region,
    region_names,
    state_of_cells,
    states,
)
from pm25map.grid.regions import GROUPS

read_states = runpy.run_path(str(Path(__file__).parents[1] / "grids" / "make_us_states.py"))["read_states"]

BOUNDARIES = Path(pm25map.grid.__file__).parent / "boundaries"


def test_the_outline_holds_48_states_and_the_district():
    frame = states()
    assert len(frame) == 49
    assert frame["postal"].is_unique
    assert not {"AK", "HI", "PR"} & set(frame["postal"])
    assert frame.geometry.is_valid.all()


def test_neighbours_share_their_border_without_slivers():
    shapes = states().geometry
    union = conus_boundary()
    assert union.area == pytest.approx(sum(s.area for s in shapes), rel=1e-9)
    assert sum(len(part.interiors) for part in shapely.get_parts(union)) == 0
    oregon, california = region("oregon"), region("california")
    assert oregon.intersection(california).area == 0
    assert oregon.intersection(california).length > 3


def test_every_land_cell_has_exactly_one_state():
    grid = load_grid("conus-10km")
    state = state_of_cells(grid)
    assert (state[~grid.land] == 255).all()
    assert (state[grid.land] < 49).all()
    centres = sum(cells_of(grid, outline).astype(int) for outline in states().geometry)
    assert centres.max() == 1
    assert centres.sum() == (cells_of(grid, conus_boundary())).sum()
    postal = states()["postal"].to_numpy()
    row, col = grid.cells_at([-123.0, -105.0, -84.4], [44.0, 39.5, 33.7])
    assert list(postal[state[row, col]]) == ["OR", "CO", "GA"]


def test_the_state_of_a_cell_is_the_one_whose_outline_holds_its_centre():
    grid = load_grid("conus-10km")
    state = state_of_cells(grid)
    for number, outline in enumerate(states().geometry):
        assert (state[cells_of(grid, outline)] == number).all()


def test_oregon_has_its_area():
    # 98,379 square miles with its waters (Census State Area Measurements), less three miles of sea.
    cells = cells_of(load_grid("conus-10km"), region("Oregon")).sum()
    assert cells * 100 == pytest.approx(251_500, rel=0.01)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("OREGON", "oregon"),
        ("or", "oregon"),
        ("new-york", "New York"),
        ("West Coast", "west-coast"),
        ("ID", "idaho"),
    ],
)
def test_a_region_answers_to_its_names(name, same):
    assert region(name).equals(region(same))


def test_groups_join_their_states():
    west = region("west-coast")
    assert west.area == pytest.approx(sum(region(s).area for s in ("oregon", "washington", "california")))
    assert region("conus").equals(conus_boundary())
    assert all(not region(name).is_empty for name in region_names())
    postals = set(states()["postal"])
    assert all(set(members.split()) <= postals for members in GROUPS.values())
    climate = set(GROUPS) - {"west-coast", "midwest"}
    assert sorted(p for name in climate for p in GROUPS[name].split()) == sorted(postals)


def test_an_unknown_region_suggests_the_closest():
    with pytest.raises(UnknownName, match=r"unknown region 'oregn'.*west-coast.*Did you mean oregon"):
        region("oregn")
    with pytest.raises(UnknownName, match=r"Known|known are conus"):
        region("atlantis-on-sea")


def test_the_outlines_are_those_that_their_readme_describes():
    text = (BOUNDARIES / "README.md").read_text()
    files = {}
    for section in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        files[section.splitlines()[0]] = re.findall(r"`([0-9a-f]{64})`", section)
    assert set(files) == {path.name for path in BOUNDARIES.iterdir()} - {"README.md"}
    for name, (_, ours) in files.items():
        assert hashlib.sha256((BOUNDARIES / name).read_bytes()).hexdigest() == ours, name
    states = json.loads((BOUNDARIES / "us-states.geojson").read_bytes())
    assert states["source_sha256"] == files["us-states.geojson"][0]


def test_arcs_become_rings_with_shared_coordinates(tmp_path):
    # Two squares beside each other; the border (arc 0) runs south in one and north in the other.
    topology = {
        "type": "Topology",
        "transform": {"scale": [1.0, 1.0], "translate": [-100.0, 40.0]},
        "arcs": [[[1, 1], [0, -1]], [[1, 0], [-1, 0], [0, 1], [1, 0]], [[1, 0], [1, 0], [0, 1], [-1, 0]]],
        "objects": {
            "states": {
                "type": "GeometryCollection",
                "geometries": [
                    {"type": "Polygon", "id": "41", "arcs": [[0, 1]], "properties": {"name": "Oregon"}},
                    {
                        "type": "MultiPolygon",
                        "id": "16",
                        "arcs": [[[-1, 2][::-1]]],
                        "properties": {"name": "Idaho"},
                    },
                    {"type": "Polygon", "id": "02", "arcs": [[0, 1]], "properties": {"name": "Alaska"}},
                ],
            }
        },
    }
    (tmp_path / "states.json").write_text(json.dumps(topology))
    idaho, oregon = read_states(tmp_path / "states.json")
    assert [idaho["properties"]["postal"], oregon["properties"]["postal"]] == ["ID", "OR"]
    west, east = shapely.geometry.shape(oregon["geometry"]), shapely.geometry.shape(idaho["geometry"])
    assert west.bounds == (-100, 40, -99, 41)
    assert east.bounds == (-99, 40, -98, 41)
    assert west.union(east).area == 2
    assert np.isclose(west.intersection(east).length, 1)


@pytest.mark.shared
def test_the_outline_is_made_from_us_atlas(shared_data):
    source = shared_data / "static" / "states-10m.json"
    shipped = json.loads((BOUNDARIES / "us-states.geojson").read_text())
    made = read_states(source)
    assert json.loads(json.dumps(made)) == shipped["features"]
    assert hashlib.sha256(source.read_bytes()).hexdigest() == shipped["source_sha256"]


def test_a_region_takes_the_coastal_cells_of_its_states():
    grid = load_grid("conus-10km")
    oregon = cells_of_region(grid, "Oregon")
    inside = cells_of(grid, region("oregon"))
    assert (inside & ~oregon).sum() == 0
    assert 0 < (oregon & ~inside).sum() < 100
    parts = [cells_of_region(grid, name) for name in ("CA", "OR", "WA")]
    assert (cells_of_region(grid, "west-coast") == parts[0] | parts[1] | parts[2]).all()
    assert (cells_of_region(grid, "conus") == grid.land).all()
