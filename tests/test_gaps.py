"""Gaps: a window with missing days is read through the next day that is present, or refused."""

import datetime as dt

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from predictor_world import DAYS, address, address_store, small_grid

from pm25map.base.errors import DayOutsideStore, MissingDays
from pm25map.grid import Block
from pm25map.predictors import layout
from pm25map.predictors.ingest import ingest_daily
from pm25map.predictors.pack import pack_sample
from pm25map.predictors.reader import open_predictors
from pm25map.predictors.sources import DayInputs
from pm25map.predictors.store import create_store, extend_store, write_days

FEATURES = ("neighbours_idw9", "elevation", "day_of_year_sin")
WINDOW = DAYS[-21:]
BLOCK = Block(0, 0, 4, 4)


def without(path, *slots):
    """Mark days of a store as missing."""
    marker = zarr.open_group(path, mode="r+")[layout.FINGERPRINT]
    for slot in slots:
        marker[slot, :] = 0
    return path


def test_a_missing_day_in_the_middle_has_the_fields_of_the_next_day_and_its_own_calendar(tmp_path):
    path = without(address_store(tmp_path / "s.zarr"), 10, 11)
    store = open_predictors(path).filling_gaps(FEATURES)
    store.check(small_grid(), FEATURES, WINDOW)
    read = store.read(FEATURES, WINDOW, BLOCK)
    slots = np.arange(3, 24)
    slots[[7, 8]] = 12
    np.testing.assert_array_equal(read[:, 0], address("neighbours_idw9", slots)[:, :4, :4])
    whole = open_predictors(address_store(tmp_path / "whole.zarr")).read(FEATURES, WINDOW, BLOCK)
    np.testing.assert_array_equal(read[:, 1:], whole[:, 1:])
    assert store.days_present(WINDOW) == 19


def test_a_window_that_begins_before_the_store_has_the_first_day_again_and_again(tmp_path):
    store = open_predictors(address_store(tmp_path / "s.zarr")).filling_gaps(FEATURES)
    window = [DAYS[2] - dt.timedelta(days=i) for i in range(20, -1, -1)]
    store.check(small_grid(), FEATURES, window)
    read = store.read(FEATURES, window, BLOCK)[:, 0]
    slots = np.maximum(np.arange(-18, 3), 0)
    np.testing.assert_array_equal(read, address("neighbours_idw9", slots)[:, :4, :4])
    assert store.days_present(window) == 3


def test_a_store_refuses_gaps_unless_it_is_asked_to_fill_them(tmp_path):
    store = open_predictors(without(address_store(tmp_path / "s.zarr"), 10))
    with pytest.raises(MissingDays, match=str(DAYS[10])):
        store.check(small_grid(), FEATURES, WINDOW)
    with pytest.raises(MissingDays, match=str(DAYS[10])):
        store.read(FEATURES, WINDOW, BLOCK)


@pytest.mark.parametrize(("slot", "error"), [(23, DayOutsideStore), (20, MissingDays)])
def test_the_estimated_day_itself_is_never_filled(tmp_path, slot, error):
    store = open_predictors(without(address_store(tmp_path / "s.zarr"), slot)).filling_gaps(FEATURES)
    window = [DAYS[slot] - dt.timedelta(days=i) for i in range(20, -1, -1)]
    with pytest.raises(error, match=str(DAYS[slot])):
        store.check(small_grid(), FEATURES, window)


def test_the_checksum_of_a_window_tells_which_days_are_missing(tmp_path):
    whole = open_predictors(address_store(tmp_path / "whole.zarr"))
    short = open_predictors(without(address_store(tmp_path / "short.zarr"), 10)).filling_gaps(FEATURES)
    filled = whole.filling_gaps(FEATURES)
    assert filled.window_checksum(FEATURES, WINDOW) == whole.window_checksum(FEATURES, WINDOW)
    assert short.window_checksum(FEATURES, WINDOW) != whole.window_checksum(FEATURES, WINDOW)
    early = [DAYS[2] - dt.timedelta(days=i) for i in range(20, -1, -1)]
    longer = address_store(tmp_path / "longer.zarr")
    extend_store(longer, early[0], DAYS[-1])
    again = open_predictors(longer).filling_gaps(FEATURES)
    assert again.window_checksum(FEATURES, early) == filled.window_checksum(FEATURES, early)


@pytest.fixture(scope="module")
def gap_store(tmp_path_factory):
    return address_store(tmp_path_factory.mktemp("gaps") / "s.zarr")


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 22)))
def test_days_read_together_or_alone_and_grouped_by_chunks_are_the_same(gap_store, gone):
    store = open_predictors(gap_store)
    store = store.filling_gaps(FEATURES)
    store.present = [day for slot, day in enumerate(DAYS) if slot not in gone]
    together = store.read(("neighbours_idw9",), DAYS, BLOCK)
    groups = store.chunks_of(DAYS)
    assert [day for group in groups.values() for day in group] == DAYS
    parts = [store.read(("neighbours_idw9",), group, BLOCK) for group in groups.values()]
    np.testing.assert_array_equal(np.concatenate(parts), together)
    for slot, day in enumerate(DAYS):
        alone = store.read(("neighbours_idw9",), [day], BLOCK)[0]
        np.testing.assert_array_equal(alone, together[slot])
        if slot not in gone:
            np.testing.assert_array_equal(alone[0], address("neighbours_idw9", slot)[:4, :4])


# Days remember what they were computed from


class Revisable:
    """Gives the day of the month times its revision, and says which revision that is."""

    name = "neighbours"
    variables = ("neighbours_idw9",)

    def __init__(self):
        self.revision = dict.fromkeys(DAYS, 1)
        self.computed = []

    def lacking(self, grid, days):
        return {}

    def inputs_of(self, grid, days):
        return {
            day: DayInputs(self.revision[day] * 1000 + day.day, {"monitors": self.revision[day] * 10})
            for day in days
        }

    def fields(self, grid, days):
        self.computed += days
        values = np.array([day.day * self.revision[day] for day in days], dtype=np.float32)
        return {"neighbours_idw9": np.broadcast_to(values[:, None, None], (len(days), *grid.shape)).copy()}


@pytest.fixture
def filled(tmp_path):
    path = create_store(tmp_path / "s.zarr", small_grid(), (), DAYS[0], DAYS[-1])
    source = Revisable()
    ingest_daily(path, source, DAYS)
    return path, source


def test_a_revised_day_is_computed_again_and_no_other(filled):
    path, source = filled
    source.computed.clear()
    source.revision[DAYS[4]] = 3
    result = ingest_daily(path, source, DAYS)
    assert (result.written, result.revised, source.computed) == (1, (DAYS[4],), [DAYS[4]])
    store = open_predictors(path)
    assert store.read(("neighbours_idw9",), [DAYS[4]], BLOCK)[0, 0, 0, 0] == 3 * DAYS[4].day
    assert store.facts_of(DAYS[4]) == {"monitors": 30}
    assert store.facts_of(DAYS[5]) == {"monitors": 10}
    assert ingest_daily(path, source, DAYS).written == 0


def test_a_store_that_does_not_say_what_its_days_are_of_keeps_them(tmp_path):
    path = create_store(tmp_path / "s.zarr", small_grid(), ("neighbours_idw9",), DAYS[0], DAYS[-1])
    write_days(path, DAYS, {"neighbours_idw9": np.ones((len(DAYS), *small_grid().shape), np.float32)})
    assert layout.INPUTS not in zarr.open_group(path, mode="r")
    assert open_predictors(path).facts_of(DAYS[0]) == {}
    result = ingest_daily(path, Revisable(), DAYS)
    assert (result.written, result.revised) == (0, ())


def test_what_days_are_computed_from_survives_growth_and_packing(filled, tmp_path):
    path, source = filled
    before, after = DAYS[0] - dt.timedelta(days=40), DAYS[-1] + dt.timedelta(days=40)
    extend_store(path, before, after)
    packed = pack_sample(open_predictors(path), tmp_path / "p.zarr.zip", DAYS[0], DAYS[-1])
    for store in (open_predictors(path), open_predictors(packed)):
        assert [store.inputs_of("neighbours_idw9", day) for day in DAYS] == [1000 + day.day for day in DAYS]
        assert store.facts_of(DAYS[-1]) == {"monitors": 10}
        assert store.inputs_of("neighbours_idw9", after) == 0
    assert ingest_daily(path, source, DAYS).written == 0
