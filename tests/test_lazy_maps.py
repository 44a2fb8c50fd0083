"""Maps as a lazy array: the same bytes for any chunking and scheduler, and names alone travel to workers."""

import dataclasses

import cloudpickle
import numpy as np
import pytest

pytest.importorskip("torch")

from map_world import build_world, first_day

from pm25map.base.errors import BadModel, BadOutput, BadPredictors, UnknownName
from pm25map.places.smooth import NEUTRAL_KM, SmoothPlaces
from pm25map.predictors.reader import Predictors
from pm25map.raster import stream
from pm25map.raster.bands import NEUTRAL, PM25
from pm25map.raster.estimator import Estimator, Options
from pm25map.raster.inputs import BANDS, open_inputs, specs_of
from pm25map.raster.neutral import NeutralBand
from pm25map.raster.part import Part, part_of
from pm25map.raster.predict import predict_day, predict_days

LENGTH = 28


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world"), LENGTH, calibrated=True)


@pytest.fixture(scope="module")
def days(world):
    return [day for day in world.store.days if day >= first_day()][:6]


@pytest.fixture
def named(world, monkeypatch, tmp_path_factory):
    """The inputs of the world as a command opens them: by name."""
    monkeypatch.setenv("PM25MAP_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    folder = world.folder
    return open_inputs(
        str(folder / "model"),
        str(folder / "grid"),
        folder / "world.zarr",
        bands=specs_of(["intervals", "neutral_place"]),
    )


def stacked(maps):
    """All bands of a dataset: (band, day, y, x)."""
    return np.stack([maps[name].values for name in maps])


@pytest.fixture(scope="module")
def one_by_one(world, days):
    """The estimates of the days, each a map of its own."""
    return np.stack([predict_day(world.inputs, day).pm25 for day in days])


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize(("block_size", "chunk_days"), [(None, 1), (3, 2), (5, 4), (50, 100)])
def test_neither_chunks_nor_schedulers_change_a_bit(
    world, days, one_by_one, scheduler, block_size, chunk_days
):
    maps = predict_days(world.inputs, days, None, Options(block_size=block_size, chunk_days=chunk_days))
    assert maps.pm25.dims == ("day", "y", "x")
    assert maps.pm25.data.chunksize[0] == min(chunk_days, len(days))
    np.testing.assert_array_equal(maps.pm25.compute(scheduler=scheduler).values, one_by_one)


def test_nothing_is_read_before_it_is_computed(world, days, monkeypatch):
    asked = []
    honest = Predictors.read
    monkeypatch.setattr(Predictors, "read", lambda *words: (asked.append(words[2]), honest(*words))[1])
    maps = predict_days(world.inputs, days, None, Options(block_size=4, chunk_days=3))
    assert asked == []
    maps.pm25.isel(day=0, y=slice(0, 2), x=slice(0, 2)).compute()
    # The block of the corner alone, with the windows of its three days.
    assert sorted({day for group in asked for day in group}) == sorted(
        {day for wanted in days[:3] for day in world.inputs.window(wanted)}
    )
    assert len({day for group in asked for day in group}) == sum(len(group) for group in asked)


def test_a_box_and_a_region_are_chunks_of_the_grids_own_blocks(world, days):
    whole = predict_days(world.inputs, days[:2]).compute()
    lon, lat = world.grid.lonlat()
    box = (float(lon.min()), float(lat.min()), float(np.median(lon)), float(np.median(lat)))
    part = part_of(world.grid, box)
    cut = predict_days(world.inputs, days[:2], part, Options(block_size=4)).compute()
    assert 0 < cut.x.size < whole.x.size
    np.testing.assert_array_equal(cut.pm25, whole.pm25.sel(x=cut.x, y=cut.y))


def test_the_neutral_band_is_a_second_plain_call_of_the_session(world, days):
    inputs = dataclasses.replace(world.inputs, bands=(NeutralBand(),))
    made = predict_day(inputs, days[0])
    # The same estimates the long way round: a model whose every place is the neutral one.
    there = dataclasses.replace(world.inputs, smoothing_km=NEUTRAL_KM)
    np.testing.assert_array_equal(made.more[NEUTRAL], predict_day(there, days[0]).pm25)
    np.testing.assert_array_equal(made.pm25, predict_day(world.inputs, days[0]).pm25)
    assert isinstance(there.vectors, SmoothPlaces)


def test_every_named_band_may_be_asked_for_alone_and_together(world, days):
    together = predict_day(dataclasses.replace(world.inputs, bands=tuple(BANDS.values())), days[0])
    assert len(together.more) == 2 + 5 + 1
    for spec in BANDS.values():
        alone = predict_day(dataclasses.replace(world.inputs, bands=(spec,)), days[0])
        for band, layer in alone.more.items():
            np.testing.assert_array_equal(layer, together.more[band])
    with pytest.raises(UnknownName, match="there are intervals, exceedance, neutral_place"):
        specs_of(["interval"])


def test_names_travel_and_another_process_opens_the_same(named, days):
    maps = predict_days(named, days, None, Options(block_size=4, chunk_days=3, progress=print))
    sent = cloudpickle.dumps(maps)
    # The weights alone are more than this.
    assert len(sent) < 60_000 < named.model.network.stat().st_size + 60_000
    far = cloudpickle.loads(sent)
    np.testing.assert_array_equal(
        stacked(far.compute(scheduler="synchronous")), stacked(maps.compute(scheduler="threads"))
    )


def test_a_worker_opens_inputs_once_for_all_its_blocks(named, days, monkeypatch):
    from pm25map.raster import estimator

    estimator._open.cache_clear()
    opened = []
    honest = estimator.open_named
    monkeypatch.setattr(estimator, "open_named", lambda *words: (opened.append(words), honest(*words))[1])
    sent = cloudpickle.dumps(predict_days(named, days[:2], None, Options(block_size=4, chunk_days=1)))
    for maps in (cloudpickle.loads(sent), cloudpickle.loads(sent)):
        maps.compute(scheduler="threads")
    assert len(opened) == 1


def test_a_worker_that_sees_other_inputs_refuses_to_go_on(named):
    sent = Estimator(named).names
    with pytest.raises(BadPredictors, match="same files"):
        dataclasses.replace(sent, checksum="0" * 64).open()


def test_inputs_put_together_by_hand_do_not_travel(world, days):
    with pytest.raises(BadOutput, match="open them by name"):
        cloudpickle.dumps(predict_days(world.inputs, days))
    with pytest.raises(BadOutput, match="open them by name"):
        _ = Estimator(world.inputs, Part(region=world.grid.land, words="somewhere")).names


def test_a_day_that_cannot_be_read_is_an_error_and_no_gap(world, days, monkeypatch):
    def broken(self, *_):
        raise BadPredictors("a chunk is damaged")

    maps = predict_days(world.inputs, days)
    monkeypatch.setattr(Predictors, "read", broken)
    with pytest.raises(BadPredictors, match="damaged"):
        maps.compute()


def test_a_model_without_a_place_has_no_neutral_one(world):
    place = world.model.card.place.model_copy(update={"encoder": "none"})
    card = world.model.card.model_copy(update={"place": place})
    with pytest.raises(BadModel, match="takes no place"):
        NeutralBand().check(dataclasses.replace(world.model, card=card))


def test_what_no_later_window_reads_is_let_go(world, days, monkeypatch):
    """A block of many days holds a window and a chunk of days, not all of them."""
    most = []
    honest = stream._Days.drop_before

    def watched(self, scaled, raw):
        honest(self, scaled, raw)
        most.append((len(self.scaled), len(self.raw)))

    monkeypatch.setattr(stream._Days, "drop_before", watched)
    inputs = dataclasses.replace(world.inputs, bands=specs_of(["intervals"]))
    estimator = Estimator(inputs)
    (block, *_) = estimator.blocks()
    assert len(list(stream.estimate_days(estimator, block, days))) == len(days)
    assert most and all(scaled <= 21 + 8 and raw <= 9 for scaled, raw in most)


@pytest.mark.slow
def test_a_cluster_of_processes_gives_the_same_bits(named, days):
    distributed = pytest.importorskip("distributed")
    here = stacked(predict_days(named, days, None, Options(block_size=4)).compute(scheduler="threads"))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        there = predict_days(named, days, None, Options(block_size=4, chunk_days=2)).compute()
    np.testing.assert_array_equal(stacked(there), here)
    assert PM25.name in there
