"""The predictor store: written, read, packed, and refused."""

import datetime as dt
import json
import threading

import numpy as np
import pytest
import zarr
from predictor_world import CLIMATOLOGY, DAILY, DAYS, START, STATIC, address, address_store, small_grid

from pm25map.base.errors import BadOutput, BadPredictors, DayOutsideStore, MissingDays, UnknownName
from pm25map.base.zarr_metadata import seal
from pm25map.grid import Block
from pm25map.predictors import layout
from pm25map.predictors.pack import pack_sample
from pm25map.predictors.sources.calendar import calendar_value
from pm25map.predictors.store import (
    add_variables,
    create_store,
    open_predictors,
    write_day,
    write_days,
    write_layer,
)

FEATURES = ("elevation", "neighbours_distance", "day_length", "neighbours_idw9", "t2m_climatology", "year")
WINDOW = DAYS[-21:]


@pytest.fixture(scope="module")
def store_path(tmp_path_factory):
    return address_store(tmp_path_factory.mktemp("address") / "p.zarr")


@pytest.fixture
def own_path(tmp_path):
    return address_store(tmp_path / "p.zarr")


def whole():
    return Block(0, 0, *small_grid().shape)


def test_every_value_is_where_its_address_says(store_path):
    store = open_predictors(store_path)
    land = small_grid().land
    read = store.read(FEATURES, WINDOW, whole())
    assert read.shape == (21, 6, 11, 13)
    assert read.dtype == np.float32
    for i in range(21):
        for name in ("neighbours_distance", "neighbours_idw9"):
            np.testing.assert_array_equal(
                read[i, FEATURES.index(name)][land], address(name, i + 3)[land], err_msg=f"{name} {i}"
            )
        np.testing.assert_array_equal(read[i, 0][land], address("elevation")[land])
        assert (read[i, 5][land] == calendar_value("year", WINDOW[i])).all()
    assert np.isnan(read[:, :, ~land]).all()
    assert np.isfinite(read[:, :, land]).all()


def test_days_out_of_order_come_in_the_order_asked(store_path):
    store = open_predictors(store_path)
    days = [DAYS[17], DAYS[2], DAYS[9]]
    read = store.read(("neighbours_idw9",), days, Block(0, 0, 2, 2))
    np.testing.assert_array_equal(read[:, 0], address("neighbours_idw9", np.array([17, 2, 9]))[:, :2, :2])


@pytest.mark.parametrize("size", [3, 4, 5, 20])
def test_blocks_of_any_size_agree_with_the_whole(store_path, size):
    features = (*FEATURES, "clear_sky_radiation")
    at_once = open_predictors(store_path).read(features, WINDOW, whole())
    store = open_predictors(store_path)
    for block in small_grid().blocks(size):
        np.testing.assert_array_equal(store.read(features, WINDOW, block), at_once[:, :, *block.slices])


def test_points_agree_with_blocks(store_path):
    store = open_predictors(store_path)
    features = (*FEATURES, "clear_sky_radiation")
    rows, cols = np.array([10, 0, 4, 0, 7]), np.array([12, 0, 3, 0, 1])
    at = store.at(features, WINDOW, rows, cols)
    assert at.shape == (5, 21, 7)
    np.testing.assert_array_equal(
        at, store.read(features, WINDOW, whole())[:, :, rows, cols].transpose(2, 0, 1)
    )


def test_a_point_off_land_is_missing(store_path):
    assert np.isnan(open_predictors(store_path).at(FEATURES, WINDOW, [4], [10])).all()


def test_a_point_outside_of_the_grid_is_refused(store_path):
    with pytest.raises(BadPredictors, match="1 points lie outside of grid small"):
        open_predictors(store_path).at(FEATURES, WINDOW, [0, -1], [0, -1])


def test_a_climatology_at_mid_month_is_its_layer_and_half_way_their_mean(own_path):
    days = [dt.date(2020, 9, 16), dt.date(2020, 9, 1)]
    read = open_predictors(own_path).read(("t2m_climatology",), days, Block(0, 0, 3, 3))[:, 0]
    np.testing.assert_allclose(read[0], address("t2m_climatology", 8)[:3, :3])
    share = 16 / 31
    between = (1 - share) * address("t2m_climatology", 7) + share * address("t2m_climatology", 8)
    np.testing.assert_allclose(read[1], between[:3, :3], rtol=1e-6)


def test_threads_read_the_same(store_path):
    store = open_predictors(store_path, cache_bytes=20_000)
    expected = store.read(FEATURES, WINDOW, whole())
    wrong = []

    def work(block):
        for _ in range(3):
            if not np.array_equal(
                store.read(FEATURES, WINDOW, block), expected[:, :, *block.slices], equal_nan=True
            ):
                wrong.append(block)

    threads = [threading.Thread(target=work, args=(block,)) for block in small_grid().blocks()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_xarray_and_rioxarray_read_it(store_path):
    import rioxarray  # noqa: F401

    data = open_predictors(store_path).dataset
    assert data["neighbours_idw9"].dims == ("time", "y", "x")
    assert data["neighbours_idw9"].attrs["units"] == "ug m-3"
    assert str(data["time"].values[0])[:10] == str(START)
    assert data["neighbours_idw9"].rio.crs.to_epsg() == 5070
    assert data["neighbours_idw9"].rio.transform()[:6] == small_grid().transform
    picked = data["neighbours_idw9"].sel(time="2020-09-02")
    np.testing.assert_array_equal(picked.values[:2], address("neighbours_idw9", 3)[:2])


def test_the_daily_arrays_are_chunked_and_sharded(store_path):
    array = zarr.open_group(store_path, mode="r")["neighbours_idw9"]
    assert array.chunks == (8, 4, 4)
    assert array.shards == (32, 12, 16)


def test_a_store_grows_at_both_ends(own_path):
    extra = {name: address(name, 3) for name in DAILY}
    before, after = START - dt.timedelta(days=5), DAYS[-1] + dt.timedelta(days=2)
    write_day(own_path, after, extra)
    write_day(own_path, before, extra)
    store = open_predictors(own_path)
    assert store.span == (before, after)
    assert store.days == [before, *DAYS, after]
    read = store.read(("neighbours_idw9",), [before, DAYS[4], after], Block(0, 0, 2, 2))[:, 0]
    np.testing.assert_array_equal(read, address("neighbours_idw9", np.array([3, 4, 3]))[:, :2, :2])


def test_a_day_counts_only_when_it_is_whole(own_path, monkeypatch):
    day = DAYS[-1] + dt.timedelta(days=1)
    calls = []
    encode = layout.encode

    def full_disk(values, attributes):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return encode(values, attributes)

    monkeypatch.setattr(layout, "encode", full_disk)
    with pytest.raises(BadOutput, match="the disk is full"):
        write_day(own_path, day, {name: address(name, 1) for name in DAILY})
    monkeypatch.undo()
    assert open_predictors(own_path).days == DAYS
    write_day(own_path, day, {name: address(name, 1) for name in DAILY})
    assert open_predictors(own_path).days == [*DAYS, day]


def test_a_day_written_again_does_not_count_while_it_is_half_written(own_path, monkeypatch):
    def broken(values, attributes):
        raise KeyboardInterrupt

    monkeypatch.setattr(layout, "encode", broken)
    with pytest.raises(KeyboardInterrupt):
        write_day(own_path, DAYS[3], {name: address(name, 1) for name in DAILY})
    monkeypatch.undo()
    assert DAYS[3] not in open_predictors(own_path).days


def test_the_checksum_follows_the_values(own_path):
    first = open_predictors(own_path).checksum
    write_day(own_path, DAYS[0], {name: address(name, 0) for name in DAILY})
    assert open_predictors(own_path).checksum == first
    write_day(own_path, DAYS[0], {name: address(name, 9) for name in DAILY})
    assert open_predictors(own_path).checksum != first


def test_a_variable_added_later_has_days_of_its_own(own_path):
    add_variables(own_path, ["neighbours_sd"])
    store = open_predictors(own_path)
    assert store.days == []
    assert store.days_of(DAILY) == DAYS
    write_days(own_path, DAYS[:1], {"neighbours_sd": np.ones((1, 11, 13), np.float32)})
    assert open_predictors(own_path).days == DAYS[:1]


def test_packing_keeps_the_stated_precision_and_the_missing(store_path, tmp_path):
    store = open_predictors(store_path)
    steps = {"neighbours_idw9": 0.5}
    out = pack_sample(store, tmp_path / "s.zarr.zip", DAYS[2], DAYS[-1], precision=steps)
    packed = open_predictors(out)
    assert packed.days == DAYS[2:]
    assert packed.grid == store.grid
    names = (*DAILY, *STATIC, *CLIMATOLOGY)
    a, b = (s.read(names, DAYS[2:], whole()) for s in (store, packed))
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    for i, name in enumerate(names):
        assert np.nanmax(np.abs(a[:, i] - b[:, i])) <= packed.precision(name) / 2 + 1e-4
    assert packed.precision("neighbours_idw9") == 0.5
    through_xarray = packed.dataset["neighbours_idw9"].values
    np.testing.assert_allclose(through_xarray, b[:, 0], atol=1e-3)


def test_packing_twice_gives_the_same_bytes(store_path, tmp_path):
    store = open_predictors(store_path)
    a, b = (pack_sample(store, tmp_path / f"{n}.zarr.zip", DAYS[0], DAYS[9]).read_bytes() for n in "ab")
    assert a == b


def test_a_packed_store_grows_and_stays_packed(tmp_path):
    path = address_store(tmp_path / "p.zarr", precision={"neighbours_idw9": 0.125})
    before = START - dt.timedelta(days=1)
    write_day(path, before, {name: address(name, 1) for name in DAILY})
    store = open_predictors(path)
    assert store.precision("neighbours_idw9") == 0.125
    assert store.precision("neighbours_distance") is None
    assert store.days == [before, *DAYS]


def test_a_zip_is_read_only(store_path, tmp_path):
    out = pack_sample(open_predictors(store_path), tmp_path / "s.zarr.zip", DAYS[0], DAYS[1])
    with pytest.raises(BadOutput, match="read only"):
        write_layer(out, "elevation", address("elevation"))


# What is refused


def test_a_day_outside_says_which_days_there_are(store_path):
    store = open_predictors(store_path)
    day = dt.date(2022, 1, 1)
    with pytest.raises(DayOutsideStore, match=r"has the days 2020-08-30 to 2020-09-22"):
        store.check(small_grid(), FEATURES, [day - dt.timedelta(days=i) for i in range(20, -1, -1)])


def test_a_window_that_begins_too_early_says_the_first_day_that_works(store_path):
    window = [DAYS[3] - dt.timedelta(days=i) for i in range(20, -1, -1)]
    with pytest.raises(DayOutsideStore, match="Choose a day from 2020-09-19 to 2020-09-22"):
        open_predictors(store_path).check(small_grid(), FEATURES, window)


def test_a_missing_day_says_which_and_how_to_get_it(own_path):
    marker = zarr.open_group(own_path, mode="r+")[layout.FINGERPRINT]
    marker[10, 0] = 0
    command = (
        f"pm25map data ingest --source neighbours --start {DAYS[10]} --end {DAYS[10]} --store {own_path}"
    )
    with pytest.raises(MissingDays, match=command):
        open_predictors(own_path).check(small_grid(), FEATURES, WINDOW)


def test_features_without_days_need_none(store_path):
    open_predictors(store_path).check(small_grid(), ("elevation", "year"), [dt.date(1999, 1, 1)])


def test_another_grid_is_refused(store_path):
    grid = small_grid()
    land = grid.land.copy()
    land[0, 0] = False
    other = type(grid)("small", grid.crs, grid.transform, grid.shape, grid.block_size, land)
    with pytest.raises(BadPredictors, match="lies on grid small"):
        open_predictors(store_path).check(other, FEATURES, WINDOW)


def test_a_missing_variable_says_how_to_get_it(store_path):
    with pytest.raises(
        BadPredictors, match=r"lacks landcover_urban\. Run: pm25map data ingest --source static"
    ):
        open_predictors(store_path).check(small_grid(), ("landcover_urban",), WINDOW)
    with pytest.raises(UnknownName, match="nonsense"):
        open_predictors(store_path).read(("nonsense",), WINDOW, whole())


def test_a_wrong_unit_is_refused(own_path):
    array = zarr.open_group(own_path, mode="r+")["neighbours_idw9"]
    seal(array, {**array.attrs, "units": "kg m-3"})
    with pytest.raises(BadPredictors, match="neighbours_idw9 is in 'kg m-3', and must be in 'ug m-3'"):
        open_predictors(own_path)


def test_a_wrong_shape_is_refused(own_path):
    zarr.open_group(own_path, mode="r+")["neighbours_idw9"].resize((24, 11, 12))
    with pytest.raises(BadPredictors, match=r"neighbours_idw9 has the shape \(time 24, y 11, x 12\)"):
        open_predictors(own_path)


def test_a_wrong_crs_is_refused(own_path):
    from pyproj import CRS

    array = zarr.open_group(own_path, mode="r+")["spatial_ref"]
    seal(array, {**array.attrs, "crs_wkt": CRS.from_epsg(4326).to_wkt()})
    with pytest.raises(BadPredictors, match="has the CRS 'WGS 84', and its grid small is on EPSG:5070"):
        open_predictors(own_path)


def test_a_wrong_checksum_is_refused(own_path):
    group = zarr.open_group(own_path, mode="r+")
    seal(group, {**group.attrs, "grid_checksum": "0" * 64})
    with pytest.raises(BadPredictors, match="does not have the checksum it states"):
        open_predictors(own_path)


def test_a_wrong_definition_is_refused(own_path):
    group = zarr.open_group(own_path, mode="r+")
    told = json.loads(group.attrs["grid_definition"])
    seal(group, {**group.attrs, "grid_definition": json.dumps({**told, "shape": [11, 14]})})
    with pytest.raises(BadPredictors, match="does not say its grid, land or spatial_ref as it must"):
        open_predictors(own_path)


def test_a_value_out_of_range_is_refused_when_read(own_path):
    zarr.open_group(own_path, mode="r+")["neighbours_idw9"][5, 1, 2] = 1e6
    with pytest.raises(BadPredictors, match=r"neighbours_idw9 is 1e\+06 ug m-3 on 2020-09-04 in"):
        open_predictors(own_path).read(FEATURES, WINDOW, whole())


@pytest.mark.parametrize("what", ["nothing", "text", "empty folder", "another zarr", "cut zip"])
def test_what_is_no_store_is_refused(tmp_path, store_path, what):
    path = tmp_path / "x.zarr"
    if what == "text":
        path.write_text("hello")
    elif what == "empty folder":
        path.mkdir()
    elif what == "another zarr":
        zarr.open_group(path, mode="w").create_array("a", shape=(2,), dtype="f4")
    elif what == "cut zip":
        path = pack_sample(open_predictors(store_path), tmp_path / "s.zarr.zip", DAYS[0], DAYS[1])
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadPredictors, match="pm25map data ingest"):
        open_predictors(path)


def test_a_damaged_chunk_is_refused_when_read(own_path):
    file = next(p for p in (own_path / "neighbours_idw9" / "c").rglob("*") if p.is_file())
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BadPredictors, match="damaged"):
        open_predictors(own_path).read(("neighbours_idw9",), WINDOW, whole())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a[:, :5], "has shape"),
        (lambda a: np.where(a == a[0, 0], np.nan, a), "missing at 1 land cells on 2020-09-22"),
        (lambda a: a * 1e4, "valid range"),
        (lambda a: np.where(a == a[0, 0], np.inf, a), "infinite"),
    ],
)
def test_what_must_not_enter_is_refused_and_nothing_is_written(own_path, spoil, message):
    before = open_predictors(own_path).checksum
    fields = {DAILY[0]: address(DAILY[0], 4), DAILY[1]: spoil(address(DAILY[1], 4)).astype(np.float32)}
    with pytest.raises(BadPredictors, match=message):
        write_day(own_path, DAYS[-1], fields)
    assert open_predictors(own_path).checksum == before


def test_a_block_that_leaves_the_grid_is_refused(store_path):
    with pytest.raises(BadPredictors, match="leaves grid small"):
        open_predictors(store_path).read(FEATURES, WINDOW, Block(8, 8, 4, 8))


def test_a_store_is_not_replaced_unasked(store_path):
    with pytest.raises(BadOutput, match="exists already"):
        create_store(store_path, small_grid(), DAILY, START, START)
