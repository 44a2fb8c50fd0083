"""The run with smoke and temperature: the comparison of two models, the shipped model, a slice of the ingest."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
import smoke_figures
from click.testing import CliRunner
from model_world import FEATURES, config, run_metadata, samples

pytest.importorskip("torch")
from pm25map.base.errors import BadModel, BadMonitors
from pm25map.base.metrics import scores
from pm25map.base.shipped import shipped_folder
from pm25map.cli.main import cli
from pm25map.model.card import load_model
from pm25map.model.config import read_config
from pm25map.model.export import export_model
from pm25map.model.fit import provenance_of
from pm25map.model.places import place_vectors
from pm25map.model.runtime import open_session
from pm25map.model.splits import hold_out_stations
from pm25map.model.train import train, training_set
from pm25map.predictors.reader import open_predictors
from pm25map.scores import held_out
from pm25map.scores.compare import compare, gains

ADDED = ("wildfire_smoke", "ncep_t2m")


def world(stations=40, days=50, seed=1):
    rng = np.random.default_rng(seed)
    station = np.repeat(np.arange(stations), days)
    truth = rng.gamma(2, 5, stations * days)
    return rng, station, truth


def test_both_sides_score_as_the_scores_of_the_house():
    rng, station, truth = world()
    first, second = truth + rng.normal(0, 1, truth.shape), truth + rng.normal(0.5, 2, truth.shape)
    found = gains("all", truth, first[None], second[None], station)
    for side, estimate in (("first", first), ("second", second)):
        expected = scores(truth, estimate)
        for name in ("rmse", "mae", "mbe", "r2"):
            assert getattr(getattr(found, name), side) == pytest.approx(expected[name], abs=1e-4)
    assert (found.n, found.stations) == (2000, 40)
    assert found.rmse.high < 0 < found.r2.low


def test_a_side_that_gains_nothing_has_zero_in_its_interval():
    rng, station, truth = world()
    noise = rng.normal(0, 2, (2, len(truth)))
    found = gains("all", truth, truth + noise[:1], truth + noise[1:], station)
    assert found.rmse.low < 0 < found.rmse.high
    same = gains("all", truth, truth + noise[:1], truth + noise[:1], station)
    assert (same.rmse.difference, same.rmse.low, same.rmse.high) == (0, 0, 0)


def test_stations_are_drawn_whole():
    """One station holds all of the gain: nobody may be sure of it, however many days it has."""
    rng, station, truth = world(stations=10, days=400)
    second = truth + rng.normal(0, 1, truth.shape)
    first = np.where(station == 3, truth, second)
    found = gains("all", truth, first[None], second[None], station)
    assert found.rmse.difference < 0
    assert found.rmse.high == 0  # draws without that station see no gain at all


def test_errors_of_several_seeds_are_averaged_and_not_their_estimates():
    truth = np.zeros(4)
    first = np.array([[3.0] * 4, [-3.0] * 4])
    found = gains("all", truth, first, first[:1], np.arange(4))
    assert found.rmse.first == pytest.approx(3.0)
    assert found.mbe.first == pytest.approx(0.0)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A model of all features and one of two of them."""
    made, stack = [], samples()
    for features in (FEATURES, FEATURES[:2]):
        used = config(features=features, epochs=1)
        read = [FEATURES.index(name) for name in features]
        own = type(stack)(
            **(vars(stack) | {"features": features, "values": np.ascontiguousarray(stack.values[..., read])})
        )
        place, about = place_vectors("latlon", stack.lat, stack.lon)
        folder = tmp_path_factory.mktemp("run")
        trained = train(training_set(own, place, used, np.arange(30) < 6), used, folder)
        draft = run_metadata(trained, used, about).draft_card("1")
        windows = np.zeros((3, 5, len(features)), dtype=np.float32)
        made.append(export_model(trained.network, draft, windows, place[:3], folder / "model"))
    return made


def test_models_with_other_features_are_judged_on_the_same_targets(two, monkeypatch):
    class Store:
        variables = ("elevation",)

        class grid:  # noqa: N801
            checksum = "0" * 64

    class Truth:
        checksum = "0" * 64
        sites = pd.DataFrame(
            {"site_id": samples().site_ids, "latitude": samples().lat, "longitude": samples().lon}
        )

        @classmethod
        def matches(cls, checksum):
            return checksum == cls.checksum

    monkeypatch.setattr(held_out, "gather_samples", lambda *_: samples())
    sessions = [open_session(model, "cpu") for model in two]
    start = dt.date(2020, 1, 10)
    rows = compare(
        sessions[:1],
        sessions[1:],
        Truth,
        Store,
        (start, start + dt.timedelta(days=20)),
        [("elevation", 1000.0)],
    ).rows
    assert [row.stratum for row in rows][:3] == ["all", "elevation above 1000", "elevation up to 1000"]
    assert rows[0].n == rows[1].n + rows[2].n == 6 * 21
    alone = compare(sessions[:1], [], Truth, Store, (start, start + dt.timedelta(days=20))).rows[0]
    held = samples()
    targets = held.targets(
        hold_out_stations(held.lat, held.lon, 0.2, 7), start, start + dt.timedelta(days=20), 5
    )
    idw = held.values[targets[:, 0], targets[:, 1], held.features.index("neighbours_idw9")]
    expected = scores(held.truth[targets[:, 0], targets[:, 1]], idw)
    assert alone.rmse.first == rows[0].rmse.first
    assert alone.rmse.second == pytest.approx(expected["rmse"], abs=1e-4)
    monkeypatch.setattr(Truth, "checksum", "1" * 64)
    with pytest.raises(BadMonitors, match="trained on other monitors"):
        compare(sessions[:1], [], Truth, Store, (start, start))
    other = two[1].card.model_copy(update={"window_days": 7})
    sessions[1].card = other
    with pytest.raises(BadModel, match="window"):
        compare(sessions[:1], sessions[1:], Truth, Store, (start, start))


def test_the_two_configurations_differ_by_smoke_and_temperature_alone():
    ours, without = (
        read_config(shipped_folder("models") / f"{name}.yaml").model_dump()
        for name in ("conus-smoke", "conus-smoke-without")
    )
    assert ours.pop("features") == (*without.pop("features"), *ADDED)
    for one in (ours, without):
        del one["name"], one["description"]
    assert ours == without


def test_the_card_names_the_providers():
    assert "Hazard Mapping" in provenance_of(ADDED)
    assert "Hazard Mapping" not in provenance_of(("elevation",))


def test_the_shipped_model_opens_and_its_parity_holds():
    model = load_model("conus-smoke")
    card = model.card
    assert card.scaler.features[-2:] == ADDED
    assert card.parity.windows >= 9_000
    assert card.parity.worst_scaled <= 1e-4
    assert card.graphs["unrolled"].parity.worst_scaled <= 1e-4
    assert "Hazard Mapping" in card.training.provenance
    assert (card.training.start, card.training.end) == (dt.date(2022, 1, 21), dt.date(2022, 7, 18))
    assert card.scores is not None and card.scores.stations > 100
    files = model.network.parent.iterdir()
    assert sum(path.stat().st_size for path in files) < 1.5e6
    windows = np.zeros((4, card.window_days, len(card.scaler.inputs)), dtype=np.float32)
    found = open_session(model, "cpu").run(windows, np.zeros((4, card.place.dimension), dtype=np.float32))
    assert found.shape == (4,)
    assert np.isfinite(found).all()


def test_two_days_of_the_real_ingest_hold_the_fires(shared_data, tmp_path):
    """Hermits Peak and Calf Canyon burned on 10 May 2022: heavy smoke over the north-east of New Mexico."""
    store = tmp_path / "smoke.zarr"
    days = ["--start", "2022-05-09", "--end", "2022-05-10", "--store", str(store), "--json"]
    for source, folder in (("hms", "hms_2022"), ("ncep", "ncep_2022")):
        words = ["data", "ingest", "--source", source, "--files", str(shared_data / folder), *days]
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert json.loads(done.stdout)["days"] == 2
    held = open_predictors(store)
    row, col = held.grid.cells_at(np.array([-105.2, -124.0]), np.array([36.0, 42.0]))
    smoke, warmth = held.at(ADDED, [dt.date(2022, 5, 10)], row, col)[:, 0].T
    assert smoke[0] > 0
    assert smoke[1] == 0
    assert (np.abs(warmth - 12) < 15).all()


def test_the_document_says_what_was_measured():
    figures = json.loads((smoke_figures.DOCS / "smoke.json").read_text())
    assert smoke_figures.written() == smoke_figures.table(figures)
    everything, smoky, clear, *_ = (figures["together"] or figures["seeds"][0])["rows"]
    assert everything["n"] == smoky["n"] + clear["n"]
