"""One day's map: the same whatever the blocks and workers, and nothing where inputs do not fit together."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from map_world import build_world  # noqa: E402
from predictor_world import DAYS  # noqa: E402

from pm25map.base.errors import BadGrid, BadModel, BadPredictors, BadRegion, DayOutsideStore  # noqa: E402
from pm25map.grid import Block, Grid, save_grid  # noqa: E402
from pm25map.model.runtime import open_session  # noqa: E402
from pm25map.places.catalogue import encoder  # noqa: E402
from pm25map.places.store import embed_grid, open_store  # noqa: E402
from pm25map.raster.estimator import Options  # noqa: E402
from pm25map.raster.inputs import open_grid_of  # noqa: E402
from pm25map.raster.part import Part  # noqa: E402
from pm25map.raster.predict import predict_day  # noqa: E402
from pm25map.windows.window import block_window  # noqa: E402

DAY = DAYS[-1]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store, a place store and an untrained model on the small grid."""
    return build_world(tmp_path_factory.mktemp("world")).inputs


def draw(world, part=None, **how):
    return predict_day(world, DAY, part, Options(device="cpu", **how))


def test_every_land_cell_has_a_value_and_no_other(world):
    made = draw(world)
    land = world.grid.land
    assert np.isfinite(made.pm25[land]).all()
    assert np.isnan(made.pm25[~land]).all()
    assert made.cells == land.sum()
    assert made.pm25[land].std() > 0


@pytest.mark.parametrize("block_size", [1, 3, 4, 13, 50])
@pytest.mark.parametrize("workers", [1, 3])
def test_blocks_and_workers_do_not_change_a_value(world, block_size, workers):
    whole = draw(world, workers=1).pm25
    np.testing.assert_array_equal(draw(world, block_size=block_size, workers=workers).pm25, whole)


def test_each_cell_gets_its_own_place_and_window(world):
    """Against a way without blocks: one cell after another."""
    model, store, places = world.model, world.predictors, world.places
    made = draw(world).pm25
    session = open_session(model, "cpu")
    index = world.grid.land_index()
    for row, col in [(0, 0), (5, 3), (10, 12), (2, 11)]:
        one = Block(row, col, 1, 1)
        window = block_window(store, model.card.scaler, DAY, one, np.ones((1, 1), dtype=bool), 21)
        place = places.read(np.array([index[row, col]]))
        assert session.run(window, place)[0] == pytest.approx(made[row, col], rel=1e-5)


def test_a_part_is_cut_from_the_whole(world):
    whole = draw(world).pm25
    view = Block(2, 3, 6, 7)
    np.testing.assert_allclose(draw(world, Part(view=view)).pm25, whole[view.slices], rtol=1e-6)
    region = np.zeros(world.grid.shape, dtype=bool)
    region[4:8, 2:12] = True
    made = draw(world, Part(region=region))
    expected = np.where(region, whole, np.nan)
    np.testing.assert_allclose(made.pm25, expected, rtol=1e-6)
    assert made.cells == (region & world.grid.land).sum()


def test_progress_ends_at_all_cells(world):
    heard = []
    made = draw(world, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (made.cells, made.cells)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


def test_what_does_not_fit_together_is_refused(world, tmp_path):
    grid = world.grid
    with pytest.raises(DayOutsideStore, match="2020-08-30"):
        predict_day(world, DAYS[10])
    with pytest.raises(BadModel, match="pm25map grid embed"):
        draw(replace(world, places=None))
    other = open_store(embed_grid(grid, encoder("latlon"), tmp_path / "latlon.zarr"))
    with pytest.raises(BadModel, match="trained with encoder sincos"):
        draw(replace(world, places=other))
    land = grid.land.copy()
    land[0, 0] = False
    moved = Grid("moved", grid.crs, grid.transform, grid.shape, grid.block_size, land)
    with pytest.raises(BadGrid, match="another grid than moved"):
        draw(replace(world, grid=moved))
    with pytest.raises(BadPredictors, match="not on moved"):
        places = open_store(embed_grid(moved, encoder("sincos"), tmp_path / "p"))
        draw(replace(world, grid=moved, places=places))
    with pytest.raises(BadRegion, match="no land cell"):
        draw(world, Part(region=np.zeros(grid.shape, dtype=bool)))


def test_a_grid_that_only_shares_the_models_name_is_refused(world, tmp_path):
    model, grid = world.model, world.grid
    land = grid.land.copy()
    land[0, 0] = False
    folder = tmp_path / "small"
    save_grid(Grid("small", grid.crs, grid.transform, grid.shape, grid.block_size, land), folder)
    with pytest.raises(BadGrid, match="was trained on"):
        open_grid_of(model, str(folder))
    save_grid(grid, folder, overwrite=True)
    assert open_grid_of(model, str(folder)) == grid


def test_a_skipped_day_does_not_change_the_next(world):
    """No state is carried from day to day: any order gives the same maps."""
    days = [DAY, DAY - dt.timedelta(days=2), DAY - dt.timedelta(days=1), DAY]
    maps = [predict_day(world, day).pm25 for day in days]
    np.testing.assert_array_equal(maps[0], maps[3])
    assert not np.array_equal(maps[0], maps[2], equal_nan=True)


def test_a_damaged_network_is_refused_by_the_session(world, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(world.model.network.read_bytes()[:-500])
    with pytest.raises(BadModel, match=r"no readable network|another card"):
        open_session(replace(world.model, network=path), "cpu")


def test_a_session_leaves_the_processor_as_it_was(world):
    """ONNX Runtime's flush of denormals stays on in the thread that opened a session, and changes all after it."""
    draw(world, workers=1)
    encoder("geoclip").encode([40.0], [-100.0])
    assert np.float64(5e-324) * np.float64(1.0) > 0
