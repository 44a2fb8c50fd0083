"""Gaps of optical depth: what is filled follows the law of an invented sky, and says that it was filled."""

import dataclasses
import datetime as dt
import errno
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("onnx")

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from imputation_world import ABSENT, BLIND, CORNER, DAYS, SHAPE, WEATHER, sky, sky_grid, sky_store
from scipy import ndimage

from pm25map.base.card_file import card_text
from pm25map.base.errors import BadConfig, BadModel, BadOutput, BadPredictors, DiskFull, MissingDays
from pm25map.base.files import sha256_of_file
from pm25map.cli.main import cli
from pm25map.diagnostics.quality import QUALITY, QualityMask
from pm25map.grid import Block
from pm25map.predictors.imputation.buffers import day_buffers, has_neighbours, radii_in_cells
from pm25map.predictors.imputation.imputer import Imputer, count_fates
from pm25map.predictors.imputation.inputs import check_target, choose_predictors, read_day
from pm25map.predictors.imputation.recipe import PARTS, load_imputation
from pm25map.predictors.imputation.samples import ImputationTask, choose_split, gather, hide
from pm25map.predictors.imputation.train import ImputationOptions, _learn_part, _zeros, train_imputation
from pm25map.predictors.imputation.trees import Trees, learn, parity, to_onnx
from pm25map.predictors.ingest import ingest_daily
from pm25map.predictors.quality import Quality
from pm25map.predictors.store import create_store, forget, open_predictors, write_days
from pm25map.raster.block_bands import BlockDay
from pm25map.windows.window import block_predictors

OPTIONS = ImputationOptions(radii_km=(20.0, 60.0, 120.0), trees=60, samples=20_000)
LAND = sky_grid().land


def slot(day: dt.date) -> int:
    return DAYS.index(day)


def r2(filled: np.ndarray, truth: np.ndarray) -> float:
    return float(1 - np.mean((filled - truth) ** 2) / np.var(truth))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store, and a model that was learned from it."""
    folder = tmp_path_factory.mktemp("sky")
    store = sky_store(folder / "sky.zarr")
    train_imputation(open_predictors(store), "aod_055", DAYS[0], DAYS[-1], folder / "model", OPTIONS)
    return store, folder / "model"


@pytest.fixture(scope="module")
def filled(world, tmp_path_factory):
    """A copy of the store with all its days filled."""
    store, model = world
    copy = tmp_path_factory.mktemp("filled") / "sky.zarr"
    shutil.copytree(store, copy)
    ingest_daily(copy, Imputer(open_predictors(copy), load_imputation(model)), DAYS)
    return copy


def read(store, name, day):
    return read_day(open_predictors(store), name, day)


# What is filled


def test_gaps_follow_the_law_better_than_the_mean_and_the_nearest_value(filled):
    """On days with clouds; the law's noise is 0.01, its spread 0.11."""
    truth, guess, nearest, mean = [], [], [], []
    for day in DAYS[::2]:
        seen = sky()["aod_055"][slot(day)]
        known = np.isfinite(seen) & LAND
        if day in (ABSENT, CORNER, *BLIND):
            continue
        gaps = ~known & LAND
        truth.append(sky()["truth"][slot(day)][gaps])
        guess.append(read(filled, "aod_055_filled", day)[gaps])
        where = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
        nearest.append(seen[tuple(where)][gaps])
        mean.append(np.full(int(gaps.sum()), seen[known].mean()))
    errors = [
        float(np.sqrt(np.mean((np.concatenate(x) - np.concatenate(truth)) ** 2)))
        for x in (guess, nearest, mean)
    ]
    assert errors[0] < 0.05
    assert errors[0] < 0.75 * errors[1] and errors[0] < 0.5 * errors[2]
    assert r2(np.concatenate(guess), np.concatenate(truth)) > 0.8


def test_what_was_observed_is_neither_changed_nor_lost(world, filled):
    for day in (DAYS[0], DAYS[20], CORNER):
        seen = np.where(LAND, sky()["aod_055"][slot(day)], np.nan)
        for store in (world[0], filled):
            np.testing.assert_array_equal(read(store, "aod_055", day), seen.astype(np.float32))
        known = np.isfinite(seen)
        np.testing.assert_array_equal(
            read(filled, "aod_055_filled", day)[known], seen[known].astype(np.float32)
        )


def test_what_is_imputed_stays_in_the_range_of_what_was_learned(world, filled):
    recipe = load_imputation(world[1]).recipe
    for day in DAYS[::4]:
        imputed = read(filled, "aod_055_filled_flag", day) == Quality.IMPUTED
        values = read(filled, "aod_055_filled", day)[imputed]
        assert values.size == 0 or (values.min() >= np.float32(recipe.lowest))
        assert values.size == 0 or (values.max() <= np.float32(recipe.highest))


def test_a_range_that_is_narrow_cuts_and_is_never_left(world):
    model = load_imputation(world[1])
    narrow = model.recipe.model_copy(update={"lowest": 0.39, "highest": 0.41})
    tight = dataclasses.replace(model, recipe=narrow)
    values, flags = Imputer(open_predictors(world[0]), tight).fill(DAYS[3])
    cut = values[flags == Quality.IMPUTED]
    assert cut.min() == np.float32(0.39) and cut.max() == np.float32(0.41)


def test_both_models_are_used_each_where_it_must(world, monkeypatch):
    """In the corner's day the largest radius, 12 cells, reaches row and column 17."""
    model = load_imputation(world[1])
    asked = dict.fromkeys(PARTS, 0)

    def counting(part):
        def run(inputs):
            asked[part] += len(inputs)
            return model.trees[part](inputs)

        return run

    spied = dataclasses.replace(model, trees={part: counting(part) for part in PARTS})
    Imputer(open_predictors(world[0]), spied).fill(CORNER)
    near = np.zeros(SHAPE, dtype=bool)
    near[:18, :18] = True
    seen = np.zeros(SHAPE, dtype=bool)
    seen[:6, :6] = True
    assert asked == {
        "with_neighbours": int((near & LAND & ~seen).sum()),
        "without_neighbours": int((~near & LAND).sum()),
    }


# Flags


def test_flags_say_how_each_value_came_to_be(filled):
    for day in (DAYS[0], CORNER):
        flags = read(filled, "aod_055_filled_flag", day)
        known = np.isfinite(sky()["aod_055"][slot(day)])
        np.testing.assert_array_equal(flags[known & LAND], Quality.OBSERVED)
        np.testing.assert_array_equal(flags[~known & LAND], Quality.IMPUTED)
        assert np.isnan(flags[~LAND]).all()


def test_a_blind_day_is_carried_for_three_days_and_then_climatology(filled):
    before = DAYS[slot(BLIND[0]) - 1]
    values, flags = read(filled, "aod_055_filled", before), read(filled, "aod_055_filled_flag", before)
    for day in BLIND[:3]:
        np.testing.assert_array_equal(read(filled, "aod_055_filled", day), values)
        told = read(filled, "aod_055_filled_flag", day)[LAND].astype(int)
        wanted = np.where(
            flags == Quality.IMPUTED, Quality.CARRIED_FORWARD | Quality.IMPUTED, Quality.CARRIED_FORWARD
        )
        np.testing.assert_array_equal(told, wanted[LAND])
    for day in BLIND[3:]:
        told = read(filled, "aod_055_filled_flag", day)[LAND]
        values = read(filled, "aod_055_filled", day)[LAND]
        of_month = [i for i, d in enumerate(DAYS) if d.month == day.month and d != ABSENT]
        seen = sky()["aod_055"][of_month]
        often = np.isfinite(seen).sum(axis=0)[LAND] >= 3
        with np.errstate(invalid="ignore"):
            mean = (np.nansum(seen, axis=0) / np.isfinite(seen).sum(axis=0))[LAND]
        np.testing.assert_allclose(values[often], mean[often], rtol=1e-5)
        np.testing.assert_array_equal(told, np.where(often, Quality.CLIMATOLOGY, Quality.MISSING))
        assert np.isnan(values[~often]).all()


def test_a_day_whose_file_is_absent_is_carried_like_a_blind_one(filled):
    before = DAYS[slot(ABSENT) - 1]
    np.testing.assert_array_equal(
        read(filled, "aod_055_filled", ABSENT), read(filled, "aod_055_filled", before)
    )
    told = read(filled, "aod_055_filled_flag", ABSENT)[LAND].astype(int)
    assert (told & Quality.CARRIED_FORWARD).all() and not (told & Quality.OBSERVED).any()


def test_the_counts_are_those_of_the_flags(filled):
    counts = count_fates(open_predictors(filled), "aod_055", DAYS)
    observed = np.isfinite(sky()["aod_055"])[:, LAND]
    observed[slot(ABSENT)] = False
    assert counts["observed"] == int(observed.sum())
    assert counts["carried_forward"] == 4 * int(LAND.sum())
    assert sum(counts.values()) == len(DAYS) * int(LAND.sum())


def test_a_map_of_a_filled_store_tells_of_it_in_its_quality_mask(filled):
    """The whole path: flags in a real store, windows as a map reads them, bits of every cell."""
    store = open_predictors(filled)
    features = ("aod_055_filled", "aod_055_filled_flag", "elevation")
    block = Block(0, 0, *SHAPE)
    days = 5

    def bits(day):
        raw = block_predictors(store, features, day, block, LAND, days)
        at = BlockDay(day, block, LAND, None, None, None, None, None, features, raw)
        return QualityMask(features, store, days)(at)[QUALITY].astype(int)

    def union(day):
        last = slot(day)
        told = [
            read(filled, "aod_055_filled_flag", d)[LAND].astype(int) for d in DAYS[last - days + 1 : last + 1]
        ]
        return np.bitwise_or.reduce(told), told[-1]

    for day in (DAYS[8], BLIND[2], BLIND[4]):
        wanted, today = union(day)
        wanted = wanted | np.where(today == Quality.MISSING, int(Quality.MISSING_TODAY), 0)
        np.testing.assert_array_equal(bits(day), wanted)
    assert (bits(BLIND[4]) & (Quality.CARRIED_FORWARD | Quality.CLIMATOLOGY | Quality.MISSING)).all()
    assert not (bits(DAYS[8]) & Quality.CARRIED_FORWARD).any()


# Two ways that must agree


def test_the_size_of_a_block_changes_no_value(world):
    store, model = open_predictors(world[0]), load_imputation(world[1])
    for day in (DAYS[0], CORNER):
        whole = Imputer(store, model, block_size=100).fill(day)
        for size in (7, 16):
            values, flags = Imputer(store, model, block_size=size).fill(day)
            np.testing.assert_array_equal(values, whole[0])
            np.testing.assert_array_equal(flags, whole[1])


def test_the_order_of_days_changes_no_value(world, filled, tmp_path):
    """Filled backwards, and with a stop between: the same store."""
    copy = tmp_path / "sky.zarr"
    shutil.copytree(world[0], copy)
    model = load_imputation(world[1])
    for days in (DAYS[24:30], DAYS[20:22], DAYS[20:30]):
        ingest_daily(copy, Imputer(open_predictors(copy), model), list(days))
    names = ("aod_055_filled", "aod_055_filled_flag")
    one, other = open_predictors(copy), open_predictors(filled)
    assert one.window_checksum(names, DAYS[20:30]) == other.window_checksum(names, DAYS[20:30])


def test_a_stop_halfway_keeps_whole_days_and_goes_on(world, tmp_path, monkeypatch):
    copy = tmp_path / "sky.zarr"
    shutil.copytree(world[0], copy)
    model = load_imputation(world[1])
    stopped = Imputer(open_predictors(copy), model)
    fill = stopped.fill

    def fails(day):
        if day == DAYS[10]:
            raise BadPredictors("the disk of the world is damaged")
        return fill(day)

    monkeypatch.setattr(stopped, "fill", fails)
    with pytest.raises(BadPredictors):
        ingest_daily(copy, stopped, DAYS)
    assert open_predictors(copy).days_of(stopped.variables) == DAYS[:10]
    result = ingest_daily(copy, Imputer(open_predictors(copy), model), DAYS)
    assert result.written == len(DAYS) - 10 and not result.lacking


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 14), st.integers(1, 14))
def test_a_buffer_is_the_mean_of_what_was_observed_in_its_square(seed, radius, height, width):
    rng = np.random.default_rng(seed)
    field = np.where(rng.random((height, width)) < 0.5, rng.uniform(-0.1, 8, (height, width)), np.nan)
    field = field.astype(np.float32)
    land = np.isfinite(field) | (rng.random((height, width)) < 0.5)
    row, col = np.nonzero(land)
    found = day_buffers(field, land, (radius,)).at(row, col)
    for i, (r, c) in enumerate(zip(row, col, strict=True)):
        box = np.s_[max(0, r - radius) : r + radius + 1, max(0, c - radius) : c + radius + 1]
        inside = field[box][np.isfinite(field[box])].astype(np.float64)
        assert found[i, 1] == pytest.approx(inside.size / land[box].sum())
        assert has_neighbours(found[i : i + 1])[0] == (inside.size > 0)
        if inside.size:
            assert found[i, 0] == pytest.approx(inside.mean(), abs=2e-6)


@pytest.mark.parametrize("algorithm", ["boosting", "forest"])
def test_trees_on_disk_are_those_that_were_learned(algorithm):
    """Values that stand on thresholds, and missing ones, take the branch they take in scikit-learn."""
    rng = np.random.default_rng(0)
    inputs = np.round(rng.normal(size=(3000, 5)) * 4).astype(np.float32) / 4
    inputs[rng.random(inputs.shape) < 0.15] = np.nan
    target = (np.nan_to_num(inputs[:, 0]) + np.isnan(inputs[:, 1])).astype(np.float32)
    estimator = learn(inputs, target, algorithm, 3, 12)
    trees = Trees(to_onnx(estimator, 5), "x.onnx")
    assert parity(estimator, trees, inputs) < 1e-6
    np.testing.assert_array_equal(trees(inputs[:100]), trees(inputs)[:100])


def test_a_forest_learns_the_law_as_well(world, tmp_path):
    options = ImputationOptions(radii_km=(20.0, 60.0, 120.0), trees=20, samples=8_000, algorithm="forest")
    recipe = train_imputation(
        open_predictors(world[0]), "aod_055", DAYS[0], DAYS[-1], tmp_path / "forest", options
    )
    assert recipe.scores["with_neighbours"]["days"].r2 > 0.7
    assert load_imputation(tmp_path / "forest").recipe == recipe


def test_the_same_seed_gives_the_same_model(world, tmp_path):
    options = ImputationOptions(radii_km=(20.0, 60.0), trees=5, samples=4_000, seed=4)
    made = [
        train_imputation(open_predictors(world[0]), "aod_055", DAYS[0], DAYS[-1], tmp_path / name, options)
        for name in ("a", "b")
    ]
    assert made[0] == made[1]


# Scores


def test_scores_are_of_what_was_held_out_and_neighbours_help(world):
    recipe = load_imputation(world[1]).recipe
    assert 0.1 * len(DAYS) < len(recipe.held_out_days) < 0.3 * len(DAYS)
    assert len(recipe.held_out_blocks) >= 4
    for held in ("days", "blocks"):
        near, far = recipe.scores["with_neighbours"][held], recipe.scores["without_neighbours"][held]
        assert near.n > 500 and near.r2 > 0.75
        # Within the days that were learned from, the calendar alone tells the level of a day.
        assert near.rmse < far.rmse or held == "blocks"
    assert max(recipe.parity.values()) < 1e-6
    assert 0 <= recipe.lowest < recipe.highest <= 3


def test_a_hidden_cell_is_hidden_by_another_days_clouds():
    rng = np.random.default_rng(0)
    seen = np.ones((20, 20), bool)
    clouds = np.ones((20, 20), bool)
    clouds[:, :8] = False
    np.testing.assert_array_equal(hide(seen, clouds, rng), ~clouds)
    for donor in (None, seen, ~seen):
        assert 0.1 < hide(seen, donor, rng).mean() < 0.95


def test_neighbours_pm25_and_the_targets_own_source_are_no_predictors(tmp_path):
    names = ("aod_047", "aod_055", "gridmet_vs", "knnidw_pm25_val", "neighbours_idw9", "merra2_aod")
    store = open_predictors(create_store(tmp_path / "p.zarr", sky_grid(), names, DAYS[0], DAYS[1]))
    chosen = choose_predictors(store, "aod_055")
    assert chosen[:2] == ("gridmet_vs", "merra2_aod") and not {*names} - {*names[:2], *names[3:5]} - {*chosen}
    assert not {"aod_047", "aod_055", "knnidw_pm25_val", "neighbours_idw9"} & {*chosen}
    with pytest.raises(BadPredictors, match="cannot impute aod_055 from aod_047, which is missing where"):
        choose_predictors(store, "aod_055", ("aod_047", "gridmet_vs"))


# Bad input


@pytest.mark.parametrize(
    ("name", "why"), [("elevation", "is not daily"), ("gridmet_vs", "has no row gridmet_vs_filled")]
)
def test_a_variable_that_cannot_be_imputed_is_refused(name, why):
    with pytest.raises(BadPredictors, match=f"{why}.*aod_047, aod_055, ndvi$"):
        check_target(name)


def test_a_store_without_predictors_says_which_to_ingest(tmp_path):
    store = open_predictors(create_store(tmp_path / "p.zarr", sky_grid(), ("aod_055",), DAYS[0], DAYS[-1]))
    with pytest.raises(
        BadPredictors, match=r"holds no daily predictor to impute aod_055 from\. Ingest one of daymet"
    ):
        train_imputation(store, "aod_055", DAYS[0], DAYS[-1], tmp_path / "m", OPTIONS)


def test_too_few_observed_values_are_refused_and_nothing_is_left(tmp_path):
    path = create_store(tmp_path / "p.zarr", sky_grid(), ("aod_055", *WEATHER), DAYS[0], DAYS[-1])
    few = np.full((len(DAYS), *SHAPE), np.nan, np.float32)
    few[:, :2, :2] = 0.2
    write_days(path, DAYS, {"aod_055": few, **{name: sky()[name] for name in WEATHER}})
    with pytest.raises(
        BadPredictors, match=r"too few observed values to learn from: \d+ cell-days on 40 days"
    ):
        train_imputation(open_predictors(path), "aod_055", DAYS[0], DAYS[-1], tmp_path / "m", OPTIONS)
    assert {file.name for file in tmp_path.iterdir()} <= {"p.zarr", ".p.zarr.lock"}


def test_days_that_no_predictor_has_are_not_learned_from(world, tmp_path):
    store = open_predictors(world[0])
    with pytest.raises(BadPredictors, match=r"has 3 days from 2020-06-11 to 2020-06-13.*learning takes 5"):
        train_imputation(store, "aod_055", DAYS[0], DAYS[2], tmp_path / "m", OPTIONS)


@pytest.mark.parametrize("radii", [(), (60.0, 20.0), (0.0, 20.0), (20.0, 21.0)])
def test_radii_that_are_none_are_refused(radii):
    with pytest.raises(BadConfig, match="radii"):
        radii_in_cells(sky_grid(), radii)


def test_a_model_is_not_replaced_unasked(world):
    with pytest.raises(BadOutput, match="exists already"):
        train_imputation(open_predictors(world[0]), "aod_055", DAYS[0], DAYS[-1], world[1], OPTIONS)


def test_a_model_of_another_grid_is_refused(world, tmp_path):
    other = sky_store(tmp_path / "other.zarr", sky_grid(np.ones(SHAPE, dtype=bool)))
    with pytest.raises(BadModel, match=r"was learned on grid sky.*impute train --store"):
        Imputer(open_predictors(other), load_imputation(world[1]))


def test_a_model_of_other_predictors_is_refused(world, tmp_path):
    poor = create_store(tmp_path / "p.zarr", sky_grid(), ("aod_055", "gridmet_tmmx"), DAYS[0], DAYS[1])
    with pytest.raises(BadPredictors, match="lacks gridmet_th, elevation"):
        Imputer(open_predictors(poor), load_imputation(world[1]))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda m: (m / "imputation.json").unlink(), "no readable imputation.json"),
        (lambda m: (m / "imputation.json").write_text("{}"), "imputation.json: .*: Field required"),
        (
            lambda m: (m / "with_neighbours.onnx").write_bytes(b"x"),
            "with_neighbours.onnx is missing, or is not",
        ),
        (lambda m: (m / "climatology.npy").unlink(), "climatology.npy is missing"),
        (lambda m: swap_predictors(m), "takes .* inputs, and imputation.json names"),
    ],
)
def test_a_damaged_model_is_refused(world, tmp_path, damage, why):
    copy = tmp_path / "model"
    shutil.copytree(world[1], copy)
    damage(copy)
    with pytest.raises(BadModel, match=why):
        load_imputation(copy)


def swap_predictors(model):
    told = json.loads((model / "imputation.json").read_text())
    told["predictors"] = told["predictors"][:-1]
    (model / "imputation.json").write_text(card_text(told))


def test_a_day_that_lacks_weather_or_optical_depth_is_left_out_with_the_reason(world, tmp_path):
    copy = tmp_path / "sky.zarr"
    shutil.copytree(world[0], copy)
    forget(copy, "gridmet_th", [DAYS[2], DAYS[slot(BLIND[0]) - 1]])
    forget(copy, "aod_055", [DAYS[38], DAYS[39]])
    days = [DAYS[0] - dt.timedelta(days=1), *DAYS, DAYS[-1] + dt.timedelta(days=2)]
    lacking = Imputer(open_predictors(copy), load_imputation(world[1])).lacking(sky_grid(), days)
    assert sorted(lacking) == [days[0], DAYS[2], DAYS[slot(BLIND[0]) - 1], *BLIND[:3], days[-1]]
    assert "gridmet_th of 2020-06-13 is not there: ingest source gridmet" in lacking[DAYS[2]]
    assert "aod_055 is there from 2020-06-11 to 2020-07-18 only: ingest source maiac" in lacking[days[-1]]


def test_a_missing_day_of_what_is_filled_names_the_command_that_fills_it(filled, tmp_path):
    copy = tmp_path / "sky.zarr"
    shutil.copytree(filled, copy)
    forget(copy, "aod_055_filled", [DAYS[5]])
    with pytest.raises(MissingDays, match="pm25map data impute apply --model MODEL --start 2020-06-16"):
        open_predictors(copy).check(sky_grid(), ("aod_055_filled",), DAYS[:8])


# Commands


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_the_commands_learn_and_fill_and_fill_again(world, tmp_path):
    copy, model = tmp_path / "sky.zarr", tmp_path / "model"
    shutil.copytree(world[0], copy)
    common = ("--store", copy, "--start", DAYS[0], "--end", DAYS[-1])
    learn_it = ("data", "impute", "train", *common, "--variable", "aod_055", "--out", model, "--trees", 20)
    learn_it = (*learn_it, "--samples", 5000, "--radius", 20, "--radius", 60)
    first = run(*learn_it)
    assert first.exit_code == 0, first.output
    assert "held-out days" in first.stdout and "RMSE 0.0" in first.stdout
    assert json.loads((model / "imputation.json").read_text())["scores"]["with_neighbours"]["blocks"]["n"] > 0

    days = DAYS[20:31]
    fill = (
        "data",
        "impute",
        "apply",
        "--store",
        copy,
        "--start",
        days[0],
        "--end",
        days[-1],
        "--model",
        model,
    )
    done = run(*fill)
    assert done.exit_code == 0, done.output
    assert f"{len(days)} days of aod_055_filled, aod_055_filled_flag written" in done.stdout
    assert "imputed " in done.stdout and "climatology " in done.stdout
    assert json.loads(run(*fill, "--json").stdout)["days"] == 0
    assert json.loads(run(*fill, "--json", "--refill", "--carry-days", 0).stdout)["days"] == len(days)
    assert count_fates(open_predictors(copy), "aod_055", DAYS)["carried_forward"] == 0
    window = ("--start", days[0], "--end", days[-1])
    status = run("data", "status", "--store", copy, "--source", "imputation", *window)
    assert status.exit_code == 0 and "aod_055_filled_flag" in status.stdout
    assert run("data", "verify", "--store", copy).exit_code == 0

    late = run(
        "data",
        "impute",
        "apply",
        "--store",
        copy,
        "--model",
        model,
        "--start",
        "2020-08-01",
        "--end",
        "2020-08-01",
    )
    assert late.exit_code == 3 and "left out    2020-08-01: aod_055 is there from" in late.stdout


def test_filling_loads_neither_the_learner_nor_the_writer_of_graphs(world):
    code = (
        "import sys, datetime as dt; from pathlib import Path\n"
        "from pm25map.predictors.imputation.imputer import Imputer\n"
        "from pm25map.predictors.imputation.recipe import load_imputation\n"
        "from pm25map.predictors.store import open_predictors\n"
        f"Imputer(open_predictors(Path({str(world[0])!r})), load_imputation(Path({str(world[1])!r})))"
        ".fill(dt.date(2020, 6, 11))\n"
        "assert not {'sklearn', 'onnx', 'torch', 'pickle5'} & set(sys.modules), set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# What breaks, and what must not be lost


def test_a_day_that_is_observed_everywhere_is_itself(world, tmp_path):
    copy = tmp_path / "sky.zarr"
    shutil.copytree(world[0], copy)
    truth = np.where(LAND, sky()["truth"][5], np.nan).astype(np.float32)
    write_days(copy, [DAYS[5]], {"aod_055": truth[np.newaxis]})
    values, flags = Imputer(open_predictors(copy), load_imputation(world[1])).fill(DAYS[5])
    np.testing.assert_array_equal(values, truth)
    assert (flags[LAND] == Quality.OBSERVED).all()


def test_appending_days_rewrites_no_other_day(world, filled, tmp_path):
    """A day is ingested after the others were filled; the values of all others keep their fingerprints."""
    copy = tmp_path / "sky.zarr"
    shutil.copytree(filled, copy)
    names = ("aod_055_filled", "aod_055_filled_flag")
    before = [open_predictors(copy).window_checksum(names, [day]) for day in DAYS[:-1]]
    forget(copy, names[0], [DAYS[-1]])
    model = load_imputation(world[1])
    assert ingest_daily(copy, Imputer(open_predictors(copy), model), DAYS).written == 1
    after = open_predictors(copy)
    assert [after.window_checksum(names, [day]) for day in DAYS[:-1]] == before
    assert after.window_checksum(names, DAYS) == open_predictors(filled).window_checksum(names, DAYS)


def test_filling_again_loses_no_day_that_it_cannot_fill(world, filled, tmp_path):
    """Weather of a day is gone, and a later one fails: all days filled so far stay."""
    copy = tmp_path / "sky.zarr"
    shutil.copytree(filled, copy)
    forget(copy, "gridmet_th", [DAYS[2]])
    words = ("--store", copy, "--model", world[1], "--start", DAYS[1], "--end", DAYS[3])
    done = run("data", "impute", "apply", *words, "--refill")
    assert done.exit_code == 3 and "left out    2020-06-13: gridmet_th" in done.stdout
    flags = ("aod_055_filled", "aod_055_filled_flag")
    assert open_predictors(copy).days_of(flags) == DAYS


def test_a_day_that_was_ingested_late_is_told_until_it_is_filled_again(world, filled, tmp_path):
    copy = tmp_path / "sky.zarr"
    shutil.copytree(filled, copy)
    write_days(copy, [ABSENT], {"aod_055": sky()["aod_055"][slot(ABSENT)][np.newaxis]})
    words = ("data", "impute", "apply", "--store", copy, "--model", world[1], "--start", DAYS[11])
    words = (*words, "--end", DAYS[13])
    told = run(*words)
    assert told.exit_code == 0 and f"late        {ABSENT}: aod_055 was ingested after" in told.stdout
    assert json.loads(run(*words, "--refill", "--json").stdout)["late"] == []
    assert (read(copy, "aod_055_filled_flag", ABSENT) == Quality.OBSERVED).any()


def test_monitors_never_fill_a_gap(tmp_path):
    names = ("aod_055", "gridmet_vs", "knnidw_pm25_val")
    store = open_predictors(create_store(tmp_path / "p.zarr", sky_grid(), names, DAYS[0], DAYS[1]))
    with pytest.raises(BadPredictors, match="cannot impute aod_055 from knnidw_pm25_val"):
        choose_predictors(store, "aod_055", ("gridmet_vs", "knnidw_pm25_val"))


def test_a_folder_that_is_no_imputation_is_never_replaced(world, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadOutput, match="Choose another name: it is no imputation"):
        train_imputation(
            open_predictors(world[0]),
            "aod_055",
            DAYS[0],
            DAYS[-1],
            tmp_path / "mine",
            OPTIONS,
            overwrite=True,
        )
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.array([{"a": 1}], dtype=object), "holds no array"),
        (np.zeros((12, 4), np.float32), "must be float32"),
        (np.zeros((12, *SHAPE)), "must be float32"),
        (np.zeros((12, 3, 3), np.float32), "climatology of .* has the shape"),
    ],
)
def test_a_climatology_that_was_put_in_place_is_refused_unopened(world, tmp_path, array, why):
    """With its checksum, too: nothing is unpickled, and no traceback shows."""
    copy = tmp_path / "model"
    shutil.copytree(world[1], copy)
    np.save(copy / "climatology.npy", array, allow_pickle=True)
    told = json.loads((copy / "imputation.json").read_text())
    told["files"]["climatology.npy"] = sha256_of_file(copy / "climatology.npy")
    (copy / "imputation.json").write_text(card_text(told))
    with pytest.raises(BadModel, match=why):
        Imputer(open_predictors(world[0]), load_imputation(copy))


def test_the_climatology_has_its_room_before_it_is_mapped(tmp_path):
    """A write to a mapped file on a full disk would kill the process without a word."""
    zeros = _zeros(tmp_path / "z.npy", np.float32, (12, 300, 300))
    assert not zeros.any() and (tmp_path / "z.npy").stat().st_blocks * 512 >= zeros.nbytes


def test_a_full_disk_is_one_line_and_leaves_nothing(world, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pm25map.predictors.imputation.train._zeros", full)
    with pytest.raises(DiskFull, match="the disk is full"):
        train_imputation(open_predictors(world[0]), "aod_055", DAYS[0], DAYS[-1], tmp_path / "m", OPTIONS)
    assert not list(tmp_path.iterdir())


def test_no_score_rests_on_a_cell_that_was_learned_from(world, tmp_path):
    """A law that holds in held-out blocks alone cannot be known: skill there shows a leak.

    The blocks' values are replaced by noise; scores of the blocks must fall to nothing or below.
    """
    store = open_predictors(world[0])
    rng = np.random.default_rng(OPTIONS.seed)
    split = choose_split(store.grid, DAYS, rng)
    names, radii = choose_predictors(store, "aod_055"), radii_in_cells(store.grid, OPTIONS.radii_km)
    days = [day for day in DAYS if day != ABSENT]
    samples = gather(
        store,
        ImputationTask("aod_055", names, radii, days),
        split,
        8000,
        np.random.default_rng(1),
        lambda *_: None,
    )
    held = samples.held_out_day | samples.held_out_block
    noise = np.where(held, rng.permutation(samples.target), samples.target)
    made = dataclasses.replace(samples, target=noise)
    for part in PARTS:
        for score in _learn_part(part, made, 2 * len(radii), OPTIONS, tmp_path).scores.values():
            assert score.r2 is not None and score.r2 < 0.05
