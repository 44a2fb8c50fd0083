"""Scores by stratum: the same for every estimate and command, against worlds whose errors are known."""

import datetime as dt
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pm25map.base.errors import BadMonitors, BadPredictors
from pm25map.cli import score_lines as printing
from pm25map.monitors import Monitors
from pm25map.monitors.table import Reading
from pm25map.scores import compare as comparing
from pm25map.scores import evaluate, held_out
from pm25map.scores.held_out import HeldOut, check_grid, gather_held_out, with_baselines
from pm25map.scores.resampling import bootstrap
from pm25map.scores.strata import REGIONS, distance_class, parts_of, region_of
from pm25map.scores.table import score_by_stratum
from pm25map.windows.samples import StationSamples

FEATURES = ("neighbours_idw9", "neighbours_kriging", "neighbours_distance")
START = dt.date(2020, 6, 25)
WINDOW = 3
STATIONS, DAYS = 24, 12
FIRST = START + dt.timedelta(days=WINDOW - 1)
LAST = START + dt.timedelta(days=DAYS - 1)
KM = np.array([5.0, 20.0, 70.0, 300.0])


def samples(features=FEATURES, seed=0):
    """Stations in Oregon (even) and Georgia (odd); interpolation is 2 too high, kriging 1 too low."""
    rng = np.random.default_rng(seed)
    truth = rng.gamma(2, 8, (STATIONS, DAYS)).astype(np.float32)
    far = np.repeat(KM[np.arange(STATIONS) % 4, None], DAYS, axis=1)
    known = {"neighbours_idw9": truth + 2, "neighbours_kriging": truth - 1, "neighbours_distance": far}
    east = np.arange(STATIONS) % 2 == 1
    return StationSamples(
        tuple(f"s{i}" for i in range(STATIONS)),
        np.where(east, 33.0, 44.0) + np.arange(STATIONS) / 50,
        np.where(east, -83.5, -120.5),
        [START + dt.timedelta(days=i) for i in range(DAYS)],
        features,
        np.stack([known[name] for name in features], axis=2).astype(np.float32),
        truth,
    )


def session(too_high):
    """A model whose estimate is that of kriging, and so much more."""
    return SimpleNamespace(
        card=SimpleNamespace(
            name="invented",
            window_days=WINDOW,
            grid="small",
            grid_checksum="g",
            scaler=SimpleNamespace(features=FEATURES[1:2], apply=lambda window: window),
            place=SimpleNamespace(encoder="none"),
            training=SimpleNamespace(
                start=START, end=LAST, monitors_checksum="m", holdout_fraction=1.0, holdout_seed=1
            ),
        ),
        run=lambda window, _: window[:, -1, 0] + 1 + too_high,
    )


STORE = SimpleNamespace(path="store.zarr", variables=("elevation",), grid=SimpleNamespace(checksum="g"))


@pytest.fixture
def world(monkeypatch):
    """Every station judges; what is gathered has the features that are asked for."""

    def gather(_monitors, _store, features, *_):
        return samples(features)

    monkeypatch.setattr(held_out, "gather_samples", gather)
    sites = pd.DataFrame(
        {"site_id": samples().site_ids, "latitude": samples().lat, "longitude": samples().lon}
    )
    return SimpleNamespace(
        sites=sites, checksum="m", matches=lambda checksum: checksum == "m", reading=Reading()
    )


def values(errors):
    return {name: (one.rmse.value, one.mae.value, one.mbe.value) for name, one in errors.items()}


def test_evaluate_scores_the_model_interpolation_and_kriging_in_every_part(world):
    found = evaluate.judge(session(0.5), world, STORE, FIRST, LAST)
    assert found.stations == STATIONS
    for row in found.strata:
        expected = {"estimate": (0.5, 0.5, 0.5), "interpolation": (2, 2, 2), "kriging": (1, 1, -1)}
        for name, numbers in values(row.errors).items():
            assert numbers == pytest.approx(expected[name], abs=1e-3), (row.stratum, name)
    count = {row.stratum: (row.n, row.stations) for row in found.strata}
    targets = STATIONS * (DAYS - WINDOW + 1)
    assert count["all"] == (targets, STATIONS)
    assert count["nearest monitor over 100 km"] == (targets // 4, STATIONS // 4)
    assert count["northwest"] == count["southeast"] == (targets // 2, STATIONS // 2)
    assert count["summer"] == count["all"]
    kinds = {
        kind: sum(r.n for r in found.strata if r.kind == kind)
        for kind in ("distance", "level", "season", "region")
    }
    assert set(kinds.values()) == {targets}, "every match-up lies in one part of every kind"


def test_the_card_holds_the_ratio_to_interpolation(world):
    rows = {row.stratum: row for row in evaluate.judge(session(0.5), world, STORE, FIRST, LAST).rows}
    assert rows["all"].idw_rmse == pytest.approx(2, abs=1e-3)
    assert rows["all"].rmse_ratio == pytest.approx(0.25, abs=1e-3)


def test_a_store_without_elevation_has_no_kriging_and_says_so(world):
    bare = SimpleNamespace(**vars(STORE) | {"variables": ()})
    found = evaluate.judge(session(0.5), world, bare, FIRST, LAST)
    assert found.strata[0].errors["interpolation"] is None
    assert found.strata[0].errors["kriging"].rmse.value == pytest.approx(1, abs=1e-3), "the model reads it"
    assert not any(row.kind == "distance" for row in found.strata)
    assert found.rows[0].idw_rmse is None and found.rows[0].rmse == pytest.approx(0.5, abs=1e-3)
    lines = printing.score_lines(found.strata)
    assert any("interpolation" in line and "absent" in line for line in lines)
    assert lines[-1].startswith("absent: not known")


def test_compare_stands_both_models_beside_the_baselines_and_what_one_gains(world):
    found = comparing.compare([session(0.5)], [session(-3.0)], world, STORE, (FIRST, LAST))
    assert [row.stratum for row in found.rows] == [row.stratum for row in found.strata]
    for row, strata in zip(found.rows, found.strata, strict=True):
        assert list(strata.errors) == ["model", "against", "interpolation", "kriging"]
        assert strata.errors["against"].rmse.value == pytest.approx(3, abs=1e-3)
        assert row.rmse.difference == pytest.approx(-2.5, abs=1e-3)
        assert row.mbe.difference == pytest.approx(3.5, abs=1e-3)
    assert {row.kind for row in found.strata} == {"all", "level", "distance", "season", "region"}
    alone = comparing.compare([session(0.5)], [], world, STORE, (FIRST, LAST))
    assert alone.rows[0].rmse.second == pytest.approx(2, abs=1e-3)
    assert list(alone.strata[0].errors) == ["model", "interpolation", "kriging"]


def test_no_r2_is_given_inside_a_class_of_the_observation(world):
    found = comparing.compare([session(0.5)], [], world, STORE, (FIRST, LAST))
    for row, strata in zip(found.rows, found.strata, strict=True):
        level = strata.kind == "level"
        assert (row.r2 is None) == level
        assert all((one.r2 is None) == level for one in strata.errors.values())


def test_few_stations_have_scores_without_an_interval():
    truth, station = np.arange(1.0, 9), np.repeat([3, 7], 4)
    every = {("all", "all"): np.ones(8, dtype=bool)}
    row = score_by_stratum(truth, {"estimate": truth + 1}, station, every)[0]
    assert (row.stations, row.errors["estimate"].rmse.value) == (2, 1)
    assert row.errors["estimate"].rmse.low is None
    gained = comparing.gains("all", truth, truth[None] + 1, truth[None] + 2, station)
    assert (gained.rmse.difference, gained.rmse.low, gained.rmse.high) == (-1, None, None)


def test_an_estimate_that_is_not_known_everywhere_is_absent_only_where_it_lacks():
    truth, station = np.arange(1.0, 21), np.arange(20)
    kriging = np.where(np.arange(20) < 3, np.nan, truth)
    strata = {("all", "all"): np.ones(20, dtype=bool), ("season", "winter"): np.arange(20) >= 3}
    every, winter = score_by_stratum(truth, {"estimate": truth, "kriging": kriging}, station, strata)
    assert every.errors["kriging"] is None
    assert winter.errors["kriging"].rmse.value == 0


def test_errors_of_several_models_are_averaged_and_a_match_up_counts_once():
    truth, station = np.arange(10.0), np.arange(10)
    every = {("all", "all"): np.ones(10, dtype=bool)}
    both = np.stack([truth + 3, truth - 1])
    row = score_by_stratum(truth, {"model": both}, station, every)[0]
    assert row.n == 10
    assert row.errors["model"].rmse.value == pytest.approx(np.sqrt(5), abs=1e-4)
    assert row.errors["model"].mbe.value == pytest.approx(1)


def test_the_interval_holds_the_middle_of_the_draws_of_stations():
    """Means of n stations whose errors are normal lie within 1.96 standard errors in 95 of 100 draws."""
    error = np.random.default_rng(3).normal(0, 2, 400)
    sums = np.stack([np.ones(400), error], axis=1)
    found = bootstrap(sums, lambda s: {"mean": s[..., 1] / s[..., 0]}, draws=4000)["mean"]
    wide = 1.96 * error.std() / 20
    assert found.value == pytest.approx(error.mean())
    assert (found.high - found.low) / 2 == pytest.approx(wide, rel=0.05)


def test_parts_lie_where_the_map_of_regions_and_the_calendar_say():
    lat, lon = np.array([44.0, 33.0, 40.7]), np.array([-120.5, -83.5, -74.0])
    region = region_of(lat, lon)
    assert [REGIONS[i] for i in region] == ["northwest", "southeast", "northeast"]
    parts = parts_of(
        np.array([-1.0, 10.0, 300.0]), np.array([9.9, 10.0, np.nan]), np.array([12, 3, 11]), region
    )
    chosen = {name: mask.nonzero()[0].tolist() for (_, name), mask in parts.items() if mask.any()}
    assert chosen == {
        "all": [0, 1, 2],
        "nearest monitor 0-10 km": [0],
        "nearest monitor 10-50 km": [1],
        "observed Good": [0],
        "observed Moderate": [1],
        "observed Hazardous": [2],
        "winter": [0],
        "spring": [1],
        "autumn": [2],
        "northwest": [0],
        "southeast": [1],
        "northeast": [2],
    }
    assert distance_class(np.array([np.nan]))[0] == -1


def test_one_refusal_of_a_store_on_another_grid():
    other = SimpleNamespace(path="other.zarr", grid=SimpleNamespace(checksum="h"))
    with pytest.raises(BadPredictors, match=r"other\.zarr does not lie on grid small of model invented"):
        check_grid(other, session(0).card)


def test_other_monitors_than_those_of_the_training_are_refused(world):
    world.matches = lambda _: False
    with pytest.raises(
        BadMonitors, match=r"invented was trained on other monitors .* which stations it held out"
    ):
        evaluate.judge(session(0), world, STORE, FIRST, LAST)
    with pytest.raises(BadMonitors, match="other monitors"):
        comparing.compare([session(0)], [], world, STORE, (FIRST, LAST))


def test_what_training_gathered_serves_again_for_days_inside_of_its_own(monkeypatch, tmp_path, world):
    asked = []
    monkeypatch.setattr(held_out, "gather_samples", lambda *given: asked.append(given[3:5]) or samples())
    inside = (START + dt.timedelta(days=4), LAST)
    for cache in (tmp_path, None):
        found = gather_held_out(session(0).card, world, STORE, inside, cache=cache)
        assert isinstance(found, HeldOut) and found.start == inside[0]
    back = dt.timedelta(days=WINDOW - 1)
    assert asked == [(START - back, LAST), (inside[0] - back, LAST)]


def test_a_model_that_reads_all_asks_for_nothing_more():
    assert with_baselines(FEATURES, STORE) == FEATURES
    assert with_baselines(("elevation",), STORE) == ("elevation", *FEATURES)


def test_printed_scores_name_every_kind_and_align(world):
    found = comparing.compare([session(0.5)], [session(-3.0)], world, STORE, (FIRST, LAST))
    text = "\n".join(printing.score_lines(found.strata))
    for words in ("by distance", "by level", "by season", "by region"):
        assert text.count(words) == 1
    assert "all: 240 match-ups of 24 stations" in text
    assert "  model                              0.50 (0.50 to 0.50)" in text
    assert "+0.50 (+0.50 to +0.50)" in text


def test_the_commands_print_baselines_as_text_and_json(say, monkeypatch, world, tmp_path):
    """The world stands in for the files; what is printed is worked out."""
    from pm25map.model import card, runtime
    from pm25map.predictors import reader

    monkeypatch.setattr("pm25map.monitors.read_monitors", lambda _: world)
    monkeypatch.setattr(reader, "open_predictors", lambda _: STORE)
    monkeypatch.setattr(card, "load_model", lambda name: SimpleNamespace(card=session(0).card, name=name))
    monkeypatch.setattr(runtime, "open_session", lambda *_, **__: session(0.5))
    days = ("--start", FIRST, "--end", LAST, "--monitors", "m", "--predictors", "p")
    for words in (("evaluate",), ("compare", "--model", "invented")):
        code, out, err = say(*words, *days)
        assert code == 0, err
        for name in ("interpolation", "kriging", "by region", "northwest: 120 match-ups of 12 stations"):
            assert name in out
        code, out, err = say(*words, *days, "--json")
        found = json.loads(out)
        assert code == 0 and found["strata"][0]["errors"]["kriging"]["mbe"]["value"] == pytest.approx(
            -1, abs=1e-3
        )
    assert "model less interpolation" in say("compare", "--model", "invented", *days)[1]


def test_monitors_at_the_place_of_a_target_feed_nobody():
    def table(rows):
        sites = pd.DataFrame(rows, columns=["site_id", "latitude", "longitude"])
        seen = sites[["site_id"]].assign(date=pd.Timestamp(START), pm25_ugm3=5.0, parameter_code=88101)
        return Monitors(sites, seen)

    both, silent = held_out.join_targets(
        table([("a", 40.0, -100.0), ("b", 41.0, -100.0)]), table([("x", 40.0002, -100.0)])
    )
    assert dict(zip(both.sites["site_id"], silent, strict=True)) == {"a": True, "b": False, "target x": True}
