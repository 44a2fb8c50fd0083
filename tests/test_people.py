"""Who lives where: nobody is lost, whatever the grid, and maps say whom they concern."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from test_preview import conus

from pm25map.base.errors import BadInstall
from pm25map.grid import Grid, people, region, state_of_cells, states
from pm25map.grid.build import build_grid
from pm25map.grid.people import STATE_OF_GEOID, block_groups, in_words, people_of_cells
from pm25map.view.headline import headline

CENSUS = 329_260_619
"""Of the 48 states and the District of Columbia on 1 April 2020."""

COLORADO = 5_773_714


def test_the_census_is_whole():
    known = block_groups()
    assert known.people.sum() == CENSUS
    assert known.people[known.geoid // STATE_OF_GEOID == 8].sum() == COLORADO
    assert len(np.unique(known.geoid)) == len(known.geoid) == 236_883
    assert known.people.min() > 0
    assert not known.lon.flags.writeable


def test_everybody_lives_on_land_of_the_shipped_grid():
    grid = conus()
    people = people_of_cells(grid)
    assert np.nansum(people[grid.land]) == pytest.approx(CENSUS, rel=1e-4)
    assert np.nansum(people) == pytest.approx(CENSUS, rel=1e-9)


def test_everybody_lives_on_land_of_a_fine_grid_by_the_sea():
    grid = build_grid("keys", "EPSG:5070", 1000.0, region("florida"))
    known = block_groups()
    lon, lat = known.lon, known.lat
    row, col = grid.cells_at(lon, lat)
    florida = known.geoid // STATE_OF_GEOID == 12
    on = grid.land[row, col] & (row >= 0)
    assert known.people[florida & on].sum() == pytest.approx(known.people[florida].sum(), rel=1e-4)


def test_where_no_american_lives_nothing_is_known():
    transform = (10_000.0, 0.0, -2_000_000.0, 0.0, -10_000.0, 100_000.0)
    mexico = Grid("mexico", "EPSG:5070", transform, (20, 20), 20, np.ones((20, 20), bool))
    assert np.isnan(people_of_cells(mexico)).all()
    assert headline(np.full((20, 20), 99, np.float32), mexico).people_text == ""


def test_a_damaged_table_is_refused(tmp_path, monkeypatch):
    content = people.TABLE.read_bytes()
    for path, words in ((tmp_path / "nothing", "cannot read"), (tmp_path / "damaged", "damaged")):
        if words == "damaged":
            path.write_bytes(content[:-1] + b"x")
        monkeypatch.setattr(people, "TABLE", path)
        with pytest.raises(BadInstall, match=words):
            block_groups.__wrapped__()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (47_612_345, "47.6 million"),
        (999_600, "1.0 million"),
        (312_400, "312 thousand"),
        (840, "840"),
        (0, "0"),
    ],
)
def test_a_number_of_people_reads_well(number, words):
    assert in_words(number) == words


def test_a_headline_counts_those_above_moderate():
    grid = conus()
    pm25 = np.where(grid.land, 35.44, np.nan).astype(np.float32)
    assert headline(pm25, grid).people_above == 0
    colorado = list(states()["postal"]).index("CO")

    pm25[state_of_cells(grid) == colorado] = 35.5
    found = headline(pm25, grid)
    assert found.people_above == pytest.approx(COLORADO, rel=1e-3)
    assert found.people_text == "5.8 million people above 35.4 ug/m3"


def test_cells_without_an_estimate_count_nobody():
    grid = conus()
    pm25 = np.where(grid.land, 99.0, np.nan).astype(np.float32)
    pm25[people_of_cells(grid) > 100_000] = np.nan
    assert headline(pm25, grid).people_above < 0.7 * CENSUS


@pytest.mark.shared
def test_the_table_is_what_its_script_makes_of_the_census(shared_data):
    from pyarrow import parquet

    table_of = runpy.run_path(str(Path(__file__).parents[1] / "grids" / "make_population.py"))["table_of"]

    made, _ = table_of(shared_data / "population" / "block_group2020.parquet")
    shipped = parquet.read_table(people.TABLE)
    assert made.equals(shipped)
    assert shipped.schema.metadata[b"source_sha256"] == made.schema.metadata[b"source_sha256"]
