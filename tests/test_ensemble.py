"""Several trained networks as one model: each member gives what it gives alone, and a broken one harms none."""

import contextlib
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnx
import pandas as pd
import pytest
import yaml

torch = pytest.importorskip("torch")

import model_world  # noqa: E402
from click.testing import CliRunner  # noqa: E402

from pm25map.base.errors import BadConfig, BadModel, BadOutput, ParityFailed  # noqa: E402
from pm25map.cli.main import cli  # noqa: E402
from pm25map.model import export as export_module  # noqa: E402
from pm25map.model import fit as fit_module  # noqa: E402
from pm25map.model.card import load_model  # noqa: E402
from pm25map.model.engines.session import BatchedSession, summarize_members  # noqa: E402
from pm25map.model.ensemble import common_scaler  # noqa: E402
from pm25map.model.export import export_members, write_network  # noqa: E402
from pm25map.model.places import place_vectors  # noqa: E402
from pm25map.model.run_folder import save_run  # noqa: E402
from pm25map.model.runtime import open_session  # noqa: E402
from pm25map.model.train import build_network, stops_by  # noqa: E402
from pm25map.monitors.table import Reading  # noqa: E402
from pm25map.windows.scaler import FeatureScale, Scaler  # noqa: E402

UNITS = ("ug m-3", "ug m-3", "m")
DAYS, CELLS = 5, 120


def member(seed: int, indicators: tuple[str, ...]):
    """An untrained run: a scaler of its own, a network that answers to all its inputs, and its windows."""
    rng = np.random.default_rng(seed)
    scaler = Scaler(
        scales={
            name: FeatureScale(
                transform="log1p" if unit == "ug m-3" else "linear",
                center=float(rng.uniform(1.5, 2.5)) * (1 if unit == "ug m-3" else 300),
                scale=float(rng.uniform(0.4, 0.8)) * (1 if unit == "ug m-3" else 300),
            )
            for name, unit in zip(model_world.FEATURES, UNITS, strict=True)
        },
        indicators=indicators,
    )
    config = model_world.config(seed=seed)
    torch.manual_seed(seed)
    network = build_network(config.network, scaler, "latlon", 2, 9.0).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    _, about = place_vectors("latlon", np.zeros(1), np.zeros(1))
    held = type(
        "T", (), {"stations": 20 + seed, "targets": 9, "epochs": (), "scaler": scaler, "target_scale": 9.0}
    )
    metadata = model_world.run_metadata(held, config, about)
    return metadata, network, scaler.apply(raw()), places()


def raw():
    """Values in the table's units: ordinary, extreme beyond every cut, and missing."""
    rng = np.random.default_rng(9)
    values = np.stack(
        [rng.gamma(2, 6, (CELLS, DAYS)), rng.gamma(2, 6, (CELLS, DAYS)), rng.uniform(0, 2000, (CELLS, DAYS))],
        axis=2,
    )
    values[::7, 1, 0] = 50_000
    values[::5, 3, 2] = -90_000
    for column in range(3):
        values[column::6, column, column] = np.nan
    return values


def places():
    return np.random.default_rng(8).uniform(-1, 1, (CELLS, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def runs():
    return [member(1, ()), member(2, ("elevation",)), member(3, ())]


@pytest.fixture(scope="module")
def model(runs, tmp_path_factory):
    return export_members(runs, "three", "1", tmp_path_factory.mktemp("m") / "three")


def alone(run):
    metadata, network, _, place = run
    with torch.no_grad():
        window = torch.from_numpy(metadata.scaler.apply(raw()))
        return network(window, torch.from_numpy(place)).numpy()


@pytest.mark.parametrize("engine", ["onnxruntime", "onnxruntime-unrolled"])
def test_every_member_gives_what_it_gives_alone_whatever_its_scaler(runs, model, engine):
    """From values in the table's units: missing, cut and ordinary ones."""
    session = open_session(model, "cpu", engine=engine)
    window = model.card.scaler.apply(raw())
    together = session.estimate_members(window, places())
    assert together.shape == (CELLS, 3)
    for number, run in enumerate(runs):
        np.testing.assert_allclose(together[:, number], alone(run), rtol=2e-5, atol=2e-5)


def test_the_bands_are_mean_spread_and_count(runs, model):
    session = open_session(model, "cpu")
    window = model.card.scaler.apply(raw())
    assert session.bands == ("pm25", "pm25_spread", "pm25_members")
    found = session.estimate(window, places())
    every = np.stack([alone(run) for run in runs])
    np.testing.assert_allclose(found[0], every.mean(axis=0), rtol=2e-5)
    np.testing.assert_allclose(found[1], every.std(axis=0, ddof=1), rtol=1e-3, atol=1e-4)
    assert (found[2] == 3).all()
    np.testing.assert_array_equal(session.run(window, places()), found[0])


def test_members_are_summarized_by_mean_sample_deviation_and_count():
    estimates = np.array([[1, 3], [4, 4]], dtype=np.float32)
    mean, spread, count = summarize_members(estimates)
    np.testing.assert_array_equal(mean, [2, 4])
    np.testing.assert_allclose(spread, [np.sqrt(2), 0])
    np.testing.assert_array_equal(count, [2, 2])
    np.testing.assert_array_equal(summarize_members(estimates[:, :1]), [[1, 4], [0, 0], [1, 1]])


def test_a_member_whose_weights_are_no_numbers_is_not_exported(model, tmp_path):
    """Such a member may give plausible numbers: what an engine makes of NaN differs from engine to engine."""
    graph = onnx.load(model.network)
    for item in graph.graph.initializer:
        if item.name == "m1/dense.0.bias":
            item.CopyFrom(
                onnx.numpy_helper.from_array(np.full(item.dims, np.nan, dtype=np.float32), item.name)
            )
    with pytest.raises(BadModel, match=r"no number in m1/dense\.0\.bias"):
        write_network(graph, model.card, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_parity_that_is_no_number_is_not_taken_for_none(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(
        export_module, "_torch", lambda network, windows, place: np.full(len(windows), np.nan)
    )
    with pytest.raises(ParityFailed, match="a member differs from torch by nan"):
        export_members(runs, "three", "1", tmp_path / "three")
    assert list(tmp_path.iterdir()) == []


class OneMemberGone(BatchedSession):
    """An engine whose second member overflows in one cell."""

    def _infer(self, window, place):
        out = np.ones((len(window), len(self.card.members)), np.float32)
        out[3, 1] = np.inf
        return out


def test_a_member_that_gives_no_number_is_named(model):
    session = OneMemberGone(model.card, "onnxruntime", "fake")
    with pytest.raises(BadModel, match="member 2 of model three gave 1 values that are no numbers"):
        session.estimate(model.card.scaler.apply(raw()), places())


def test_the_card_says_what_every_member_learned_from(model):
    card = load_model(str(model.network.parent)).card
    assert [record.stations for record in card.members] == [21, 22, 23]
    assert card.training == card.members[0]
    assert card.parity.worst_scaled < 1e-4
    assert card.graphs["unrolled"].parity.worst_ugm3 < 1e-3
    assert card.members != ()
    assert '"members"' in card.identity()


def test_members_that_do_not_fit_are_refused(runs, tmp_path):
    with pytest.raises(BadModel, match="two runs or more"):
        export_members(runs[:1], "one", "1", tmp_path / "one")
    metadata, *rest = runs[1]
    moved = metadata.model_copy(update={"grid_checksum": "1" * 64})
    with pytest.raises(BadModel, match=r"member 2 .* differs from the first in its grid"):
        export_members([runs[0], (moved, *rest)], "two", "1", tmp_path / "two")
    assert list(tmp_path.iterdir()) == []
    scaler = runs[0][0].scaler
    fewer = Scaler(scales=dict(list(scaler.scales.items())[:2]), indicators=())
    with pytest.raises(BadModel, match="elevation"):
        common_scaler([scaler, fewer])


def test_scales_that_agree_need_no_indicator(runs):
    scaler = runs[0][0].scaler
    assert common_scaler([scaler, scaler]) == scaler


def test_the_command_makes_a_model_of_members(runs, tmp_path):
    for number, (metadata, network, windows, place) in enumerate(runs[:2]):
        (tmp_path / str(number)).mkdir()
        save_run(tmp_path / str(number), metadata, network, windows, place)
    words = [word for number in range(2) for word in ("--member", str(tmp_path / str(number)))]
    result = CliRunner().invoke(
        cli, ["export", *words, "--out", str(tmp_path / "made")], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert "2 members: bands pm25, pm25_spread, pm25_members" in result.output
    assert len(load_model(str(tmp_path / "made")).card.members) == 2
    assert CliRunner().invoke(cli, ["export", *words, "--run", "x", "--out", "y"]).exit_code == 2


def test_members_stop_by_parts_of_the_stations_that_no_other_stops_by():
    world = model_world.samples()
    members = [model_world.config(folds=3).member(fold) for fold in range(3)]
    parts = np.stack([stops_by(world, one) for one in members])
    assert (parts.sum(axis=0) == 1).all()
    assert all(parts.sum(axis=1) >= 9)
    assert len({one.seed for one in members}) == 3


@contextlib.contextmanager
def another_writer(folder):
    """Hold a folder as another process that writes it does."""
    words = [
        sys.executable, "-c",
        "import sys; from pathlib import Path; from pm25map.predictors.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()",
        str(folder),
    ]  # fmt: skip
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        yield
        other.stdin.close()


def test_a_configuration_with_folds_trains_a_run_for_each_and_export_joins_them(tmp_path, monkeypatch):
    (tmp_path / "c.yaml").write_text(
        yaml.safe_dump(model_world.config(folds=2, epochs=1, name="two").model_dump(mode="json"))
    )
    world = model_world.samples()
    asked = []

    def gather(_monitors, _predictors, _features, _first, _end, _held, cache, _progress):
        asked.append(cache)
        return world

    sites = pd.DataFrame({"site_id": world.site_ids, "latitude": world.lat, "longitude": world.lon})
    grid = SimpleNamespace(name="small", checksum="0" * 64)
    monkeypatch.setattr(fit_module, "gather_samples", gather)
    monkeypatch.setattr(
        "pm25map.monitors.read_monitors",
        lambda _: SimpleNamespace(sites=sites, checksum="1" * 64, reading=Reading()),
    )
    monkeypatch.setattr(
        "pm25map.predictors.reader.open_predictors", lambda _: SimpleNamespace(grid=grid, checksum="2" * 64)
    )
    words = ["train", "--config", tmp_path / "c.yaml", "--monitors", "m", "--predictors", "p"]
    words += ["--out", tmp_path / "runs"]
    done = CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert asked == [tmp_path / "runs"] * 2
    runs = [tmp_path / "runs" / f"fold-{fold}" for fold in range(2)]
    # One of them alone, from the neighbours of another folder: it is there already, and nothing changes.
    card = (runs[1] / "run.json").read_bytes()
    alone = CliRunner().invoke(cli, [*map(str, words), "--fold", "1", "--cache", str(tmp_path / "kept")])
    assert alone.exit_code == 0 and asked[2:] == [tmp_path / "kept"], alone.output
    assert (runs[1] / "run.json").read_bytes() == card
    with another_writer(runs[1]):
        second = CliRunner().invoke(cli, [*map(str, words), "--fold", "1"])
    assert isinstance(second.exception, BadOutput)
    assert f"export --member {runs[0]} --member {runs[1]}" in done.output
    out = tmp_path / "two"
    words = ["export", "--member", runs[0], "--member", runs[1], "--out", out]
    assert CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False).exit_code == 0
    card = load_model(str(out)).card
    assert [member.config["fold"] for member in card.members] == [0, 1]


def test_a_fold_that_is_not_there_is_refused_in_one_line(tmp_path):
    for folds in (0, 2):
        (tmp_path / "c.yaml").write_text(
            yaml.safe_dump(model_world.config(folds=folds).model_dump(mode="json"))
        )
        words = ["train", "--config", tmp_path / "c.yaml", "--monitors", "m", "--predictors", "p"]
        words += ["--out", tmp_path / "runs", "--fold", 2]
        refused = CliRunner().invoke(cli, list(map(str, words)))
        assert isinstance(refused.exception, BadConfig)
        assert f"--fold 2: the configuration tiny has {folds} folds" in str(refused.exception)
    with pytest.raises(ValueError, match="fold 2 is none of 2"):
        model_world.config(folds=2, fold=2)
    with pytest.raises(ValueError, match="one fold would leave nothing"):
        model_world.config(folds=1)
