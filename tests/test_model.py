"""The network, its training, and its way to ONNX and back."""

import json

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")

import model_world  # noqa: E402

from pm25map.base.card_file import card_text  # noqa: E402
from pm25map.base.errors import BadConfig, BadModel, BadMonitors, BadPredictors, ParityFailed  # noqa: E402
from pm25map.model import export as export_module  # noqa: E402
from pm25map.model import network as network_module  # noqa: E402
from pm25map.model import train as train_module  # noqa: E402
from pm25map.model.card import CARD_FILE, NetworkShape, load_model  # noqa: E402
from pm25map.model.config import read_config  # noqa: E402
from pm25map.model.export import export_model  # noqa: E402
from pm25map.model.fit import real_windows  # noqa: E402
from pm25map.model.network import Base, Network  # noqa: E402
from pm25map.model.places import place_vectors  # noqa: E402
from pm25map.model.run_folder import load_run, save_run  # noqa: E402
from pm25map.model.runtime import open_session  # noqa: E402
from pm25map.model.splits import hold_out_stations  # noqa: E402
from pm25map.model.train import train, training_set  # noqa: E402
from pm25map.predictors.variables import variable  # noqa: E402
from pm25map.scores.evaluate import score_table  # noqa: E402

WIDTHS = {"none": 0, "latlon": 2, "sincos": 4, "geoclip": 512}
BASES = (Base(0, 2.0, 0.6), Base(1, 2.0, 0.6))


@pytest.mark.parametrize("geolocation", list(WIDTHS))
@pytest.mark.parametrize("fusion", ["hadamard", "concatenation"])
@pytest.mark.parametrize("head", ["plain", "residual"])
def test_every_network_estimates_and_never_below_zero(geolocation, fusion, head):
    shape = model_world.TINY.model_copy(update={"fusion": fusion, "head": head})
    width = WIDTHS[geolocation]
    network = Network(
        shape, 3, width, as_predictors=geolocation in ("latlon", "sincos"), bases=BASES, target_scale=9.0
    ).eval()
    rng = torch.Generator().manual_seed(0)
    window = 5 * torch.randn(50, 5, 3, generator=rng)
    place = torch.randn(50, width, generator=rng) if width else None
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
        out = network(window, place)
    assert out.shape == (50,)
    assert torch.isfinite(out).all()
    assert (out >= 0).all()
    assert out.std() > 0


def test_every_estimate_that_the_head_weighs_is_a_variable():
    # One of them was once renamed in the table alone, and left out of every network without a word.
    assert {variable(name).source for name in network_module.BASES} == {"neighbours"}


def test_the_estimate_for_calm_days_counts_when_it_is_calm_and_not_in_smoke():
    bases = (Base(0, 2.0, 0.6), Base(1, 2.0, 0.6, is_calm=True))
    head = network_module.ResidualHead(8, bases)

    def weight_of_calm(ugm3):
        # Kriged alike, but for the calm estimate 1 % higher: what comes out tells its weight.
        logs = torch.log1p(torch.tensor([ugm3, 1.01 * ugm3]))
        window = ((logs - 2.0) / 0.6).expand(1, 5, 2)
        with torch.no_grad():
            out = head(torch.zeros(1, 8), window)
        return (float(out) / ugm3 - 1) / 0.01

    assert weight_of_calm(10.0) == pytest.approx(0.5, abs=0.01)
    assert weight_of_calm(60.0) < 0.02


def test_the_reference_architecture_is_a_configuration():
    network = Network(NetworkShape(), 23, 512, as_predictors=False, bases=BASES, target_scale=9.0)
    lstm = sum(p.numel() for r in network.recurrent for p in r.parameters())

    def layer(inputs, units):
        return 2 * 4 * units * (inputs + units + 2)

    assert lstm == layer(23, 256) + layer(512, 128) + layer(256, 128)
    assert network.place[1].weight.shape == (256, 512)
    assert network.attention.join.weight.shape == (256, 512)


def test_an_untrained_residual_head_gives_the_mean_of_the_estimates():
    network = Network(model_world.TINY, 3, 0, as_predictors=False, bases=BASES, target_scale=9.0).eval()
    window = torch.zeros(4, 5, 3)
    with torch.no_grad():
        out = network(window)
    assert out.numpy() == pytest.approx(np.expm1(2.0), rel=1e-3)


def run(folder, config=None, **changes):
    config = config or model_world.config(**changes)
    world = model_world.samples()
    folder.mkdir(exist_ok=True)
    place, about = place_vectors(config.geolocation, world.lat, world.lon)
    held = hold_out_stations(world.lat, world.lon, config.holdout_fraction, config.holdout_seed)
    trained = train(training_set(world, place, config, held), config, folder)
    return trained, world, place, about, held


def weights(trained):
    return {name: value.numpy().copy() for name, value in trained.network.state_dict().items()}


def test_training_learns(tmp_path):
    trained, *_ = run(tmp_path, epochs=8)
    assert trained.epochs[-1].validation_loss < 0.7 * trained.epochs[0].validation_loss


def test_the_same_seed_gives_the_same_network(tmp_path):
    first, second = weights(run(tmp_path / "a")[0]), weights(run(tmp_path / "b")[0])
    assert all(np.array_equal(first[name], second[name]) for name in first)
    other = weights(run(tmp_path / "c", seed=4)[0])
    assert not all(np.array_equal(first[name], other[name]) for name in first)


def test_a_run_with_vectors_of_another_encoder_begins_anew(tmp_path):
    config, world = model_world.config(geolocation="geoclip", epochs=1), model_world.samples()
    held = hold_out_stations(world.lat, world.lon, config.holdout_fraction, config.holdout_seed)
    rng = np.random.default_rng(0)
    place, other = rng.normal(size=(2, len(world.lat), 6)).astype(np.float32)
    first = weights(train(training_set(world, place, config, held), config, tmp_path))
    again = weights(train(training_set(world, place, config, held), config, tmp_path))
    anew = weights(train(training_set(world, other, config, held), config, tmp_path))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not all(np.array_equal(first[name], anew[name]) for name in first)


def test_a_run_that_was_stopped_goes_on_to_the_same_network(tmp_path, monkeypatch):
    whole = weights(run(tmp_path / "whole")[0])
    save = train_module._Run.save
    saved = []

    def stop_after_two(self, epochs):
        save(self, epochs)
        saved.append(len(epochs))
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(train_module._Run, "save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped")
    monkeypatch.setattr(train_module._Run, "save", save)
    resumed, *_ = run(tmp_path / "stopped")
    assert len(resumed.epochs) == 3
    found = weights(resumed)
    assert all(np.array_equal(whole[name], found[name]) for name in whole)


def test_training_stops_when_it_gets_no_better(tmp_path):
    trained, *_ = run(tmp_path, epochs=30, patience=1, learning_rate=0.3)
    assert len(trained.epochs) < 30


def test_nothing_to_learn_from_is_said(tmp_path):
    with pytest.raises(BadMonitors, match="Widen the period"):
        run(tmp_path, window_days=41)


def test_a_held_out_station_is_not_learned_from(tmp_path):
    world = model_world.samples()
    config = model_world.config()
    place, _ = place_vectors("latlon", world.lat, world.lon)
    held = hold_out_stations(world.lat, world.lon, 0.2, 7)
    assert 0 < held.sum() < 30
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = train(training_set(world, place, config, held), config, tmp_path / "a")
    world.values[held] *= 9
    world.truth[held] *= 9
    after = train(training_set(world, place, config, held), config, tmp_path / "b")
    assert before.scaler == after.scaler
    a, b = weights(before), weights(after)
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A trained and exported model, with real windows of it."""
    folder = tmp_path_factory.mktemp("run")
    trained, world, place, about, _ = run(folder)
    config = model_world.config()
    windows, spots = real_windows(world, place, trained.scaler, config)
    save_run(folder, model_world.run_metadata(trained, config, about), trained.network, windows, spots)
    metadata, network, windows, spots = load_run(folder)
    model = export_model(network, metadata.draft_card("1"), windows, spots, folder / "tiny")
    return model, network, windows, spots, metadata


def test_export_records_its_parity_and_the_card_stands_in_the_file(exported):
    model, network, windows, spots, _ = exported
    loaded = load_model(str(model.network.parent))
    assert loaded.card == model.card
    assert loaded.card.parity.windows == len(windows)
    assert 0 <= loaded.card.parity.worst_scaled < 1e-4
    session = open_session(loaded, "cpu")
    assert session.provider == "CPUExecutionProvider"
    with torch.no_grad():
        theirs = network(torch.from_numpy(windows), torch.from_numpy(spots)).numpy()
    np.testing.assert_allclose(session.run(windows, spots), theirs, rtol=1e-4, atol=1e-4)


def test_a_cell_does_not_depend_on_its_batch_mates(exported):
    model, _, windows, spots, _ = exported
    session = open_session(model, "cpu")
    whole = session.run(windows[:300], spots[:300])
    order = np.random.default_rng(0).permutation(300)
    mixed = session.run(windows[order], spots[order])
    alone = np.concatenate([session.run(windows[i : i + 1], spots[i : i + 1]) for i in range(300)])
    np.testing.assert_allclose(mixed, whole[order], rtol=1e-5)
    np.testing.assert_allclose(alone, whole, rtol=1e-5)


def test_no_file_is_written_when_parity_fails(exported, tmp_path, monkeypatch):
    _, network, windows, spots, metadata = exported
    monkeypatch.setattr(export_module, "PARITY_SCALED", -1.0)
    with pytest.raises(ParityFailed, match="not written"):
        export_model(network, metadata.draft_card("1"), windows, spots, tmp_path / "bad")
    assert list(tmp_path.iterdir()) == []


def test_a_session_refuses_what_the_card_does_not_name(exported):
    model, _, windows, spots, _ = exported
    session = open_session(model, "cpu")
    with pytest.raises(BadModel, match="days and inputs"):
        session.run(windows[:, 1:], spots)
    with pytest.raises(BadModel, match="numbers a place"):
        session.run(windows, None)
    with pytest.raises(BadPredictors, match="cell 0 holds nan"):
        session.run(np.full_like(windows[:2], np.nan), spots[:2])


def test_a_card_says_which_part_is_wrong(exported, tmp_path):
    card = json.loads((exported[0].network.parent / CARD_FILE).read_text())
    card["network"]["lstm"] = "wide"
    (tmp_path / CARD_FILE).write_text(card_text(card))
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(BadModel, match=r"network\.lstm"):
        load_model(str(tmp_path))


def test_a_config_with_an_unknown_key_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("name: a\nlearning_rat: 3\n")
    with pytest.raises(BadConfig, match=r"c\.yaml"):
        read_config(path)
    for content in (b"name: [", b"name: caf\xe9", b"start: 2021-02-30"):
        path.write_bytes(content)
        with pytest.raises(BadConfig, match="not YAML"):
            read_config(path)
    with pytest.raises(BadConfig, match="cannot read"):
        read_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": ["elevation"]}, "head: residual needs one of the features neighbours_kriging"),
        ({"features": ["neighbours_idw9", "neighbours_idw9"]}, "neighbours_idw9 is named twice"),
        ({"network": {"lstm": [4, 0, 4]}}, "network.lstm.1: Input should be greater than 0"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
    ],
)
def test_a_config_that_could_not_train_is_refused_in_one_line(changes, said, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(model_world.config().model_dump(mode="json") | changes))
    with pytest.raises(BadConfig, match=said) as error:
        read_config(path)
    assert "\n" not in str(error.value)


def test_the_shipped_configuration_can_be_read():
    from pm25map.base.shipped import shipped_folder

    config = read_config(shipped_folder("models") / "conus-open.yaml")
    assert config.holdout_fraction == 0.1
    assert config.window_days == 21


def test_monitors_at_one_place_are_held_out_together():
    lat, lon = np.array([40.0, 40.0003, 41.0, 42.0]), np.full(4, -100.0)
    for seed in range(20):
        held = hold_out_stations(lat, lon, 0.34, seed)
        assert held[0] == held[1]
        assert held.sum() in (1, 2)


def test_the_score_table_has_every_class():
    from pm25map.scores.evaluate import Matches

    rng = np.random.default_rng(0)
    truth = rng.gamma(2, 10, 400).astype(np.float32)
    model = truth + rng.normal(0, 1, 400).astype(np.float32)
    idw = truth + rng.normal(0, 2, 400).astype(np.float32)
    distance = rng.uniform(0, 90, 400).astype(np.float32)
    number = np.zeros(400, dtype=np.int64)
    matches = Matches(number, number, truth, distance, {"interpolation": idw, "kriging": None})
    rows = {row.stratum: row for row in score_table(matches, model)}
    assert rows["all"].n == 400
    assert rows["all"].rmse_ratio == pytest.approx(0.5, abs=0.1)
    assert rows["nearest station over 100 km"].n == 0
    assert rows["above 35 ug/m3"].n == int((truth > 35).sum())
    assert sum(rows[name].n for name in rows if name.startswith("nearest")) == 400
