"""The matrix of a study in a small invented world: whole, resumable, the same again, and refusing what is wrong."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip("torch")

from predictor_world import address_store, small_grid
from siren_world import write_a_siren

from pm25map.base.errors import BadConfig, BadModel, BadOutput, BadSplit, BadStudy
from pm25map.base.metrics import scores
from pm25map.cli.main import cli
from pm25map.laboratory.study import fitting, matrix, results, variants
from pm25map.laboratory.study.config import StudyConfig, read_study
from pm25map.laboratory.study.data import Stations, prepare_fields, read_fold, read_study_data
from pm25map.laboratory.study.splits import SPLITS, Fold, make_split
from pm25map.monitors import Monitors
from pm25map.predictors.kriging import MEMORY_DAYS
from pm25map.predictors.lock import only_writer
from pm25map.predictors.neighbours import FIELDS, fields_left_out
from pm25map.predictors.reader import open_predictors

STATIONS = 30
PROTOCOL = {
    "name": "tiny",
    "description": "An invented world.",
    "features": [*FIELDS, "elevation", "day_length"],
    "window_days": 4,
    "blocks": [
        {"start": "2020-09-04", "end": "2020-09-11"},
        {"start": "2021-09-04", "end": "2021-09-09"},
    ],
    "splits": {"stations-10": [0, 1], "random-10": [0], "leave-year-out": [1]},
    "variants": ["none", "latlon", "idw", "neighbours-kriging", "kriging", "gradient-boosting", "satclip-hadamard"],
    "seeds": [1],
    "split_seed": 3,
    "network": {"lstm": [4, 4, 4], "attention": 4, "dense": 4},
    "training": {"epochs": 2, "batch": 64, "validation_fraction": 0.2, "patience": 2},
    "explained": [{"split": "stations-10", "fold": 0, "variants": ["latlon"]}],
}  # fmt: skip


def protocol(**changes) -> StudyConfig:
    return StudyConfig.model_validate(PROTOCOL | changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_predictors(address_store(tmp_path_factory.mktemp("store") / "static.zarr"))


@pytest.fixture(scope="module")
def monitors():
    """Thirty stations that follow one field of the day, and one that measured nothing."""
    rng = np.random.default_rng(0)
    grid = small_grid()
    lon, lat = grid.lonlat()
    cells = rng.choice(len(lon), STATIONS + 1, replace=False)
    ids = [f"s{i:02}" for i in range(STATIONS)] + ["silent"]
    days = [dt.date(year, 8, 20) + dt.timedelta(days=i) for year in (2020, 2021) for i in range(25)]
    level = rng.gamma(3, 4, len(days))
    rows = [
        (ids[i], day, level[d] * (1 + 0.02 * i) + rng.normal(0, 0.5), 88101 if i % 3 else 88502)
        for i in range(STATIONS)
        for d, day in enumerate(days)
        if rng.random() < 0.85
    ]
    columns = ["site_id", "date", "pm25_ugm3", "parameter_code"]
    sites = pd.DataFrame({"site_id": ids, "latitude": lat[cells], "longitude": lon[cells]})
    return Monitors(sites, pd.DataFrame(rows, columns=columns))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, monitors, store):
    """The folder of a whole matrix."""
    folder = tmp_path_factory.mktemp("study") / "a"
    said = []
    listeners = matrix.MatrixListeners(say=said.append, run=said.append)
    assert matrix.run_matrix(protocol(), monitors, store, folder, listeners=listeners) == 28
    assert said[0] == "30 stations, 14 target days"
    assert said[1] == "1 stations measured nothing then and are left out"
    assert said[-1].done == said[-1].total == 28
    assert said[-1].seconds_left == 0
    return folder


def table(folder):
    columns = ["split", "fold", "variant", "seed", "n", "r2", "rmse", "mae", "mbe", "rmse_within"]
    return pq.read_table(folder / results.ROWS).to_pandas()[columns]


def test_every_run_has_a_row_with_where_it_comes_from(finished):
    rows = pq.read_table(finished / results.ROWS, schema=results.SCHEMA).to_pandas()
    assert len(rows) == 28
    done = rows[rows["status"] == "done"]
    assert set(rows["variant"]) - set(done["variant"]) == {"satclip-hadamard"}
    assert (rows["reason"][rows["status"] == "not run"] == variants.NO_SATCLIP).all()
    assert np.isfinite(done[["r2", "rmse", "mae", "mbe", "rmse_within", "rmse_between"]]).all(axis=None)
    np.testing.assert_allclose(done["rmse"] ** 2, done["rmse_within"] ** 2 + done["rmse_between"] ** 2)
    assert (done["epochs"][done["variant"] == "none"] == 2).all()
    assert (done["device"] == "cpu").all() and (done["threads"] == 1).all()
    assert json.loads(done["versions"].iloc[0])["torch"] != "absent"
    assert rows["data_checksum"].nunique() == 1 and rows["data_checksum"].str.len().eq(64).all()


def test_a_row_is_the_score_of_its_predictions(finished):
    for row in pq.read_table(finished / results.ROWS).to_pylist():
        path = finished / "predictions" / "{split}-{fold}-{variant}-{seed}.parquet".format(**row)
        if row["status"] != "done":
            assert not path.exists()
            continue
        said = pq.read_table(path).to_pandas()
        found = scores(said["truth"].to_numpy(), said["prediction"].to_numpy())
        assert found["n"] == row["n"] and found["rmse"] == pytest.approx(row["rmse"])
        error = (said["prediction"] - said["truth"]).astype("float64")
        mean = error.groupby(said["site_id"]).transform("mean")
        assert row["rmse_between"] == pytest.approx(np.sqrt((mean**2).mean()))
        assert said["site_id"].nunique() == row["stations"]
        assert set(said["parameter_code"]) <= {88101, 88502}
        assert (said["distance_km"] > 0).all() and np.isfinite(said["prediction"]).all()


def test_all_variants_of_a_fold_are_judged_on_the_same_targets(finished):
    for split, fold in (("stations-10", 0), ("random-10", 0), ("leave-year-out", 1)):
        said = [
            pq.read_table(path, columns=["site_id", "date", "truth"])
            for path in sorted((finished / "predictions").glob(f"{split}-{fold}-*.parquet"))
        ]
        assert len(said) == 6
        assert all(one.equals(said[0]) for one in said)


def test_a_fold_of_a_year_is_judged_in_that_year(finished):
    said = pq.read_table(finished / "predictions" / "leave-year-out-1-none-1.parquet").to_pandas()
    assert {day.year for day in said["date"]} == {2021}


def test_attention_sums_to_one_and_importance_names_every_feature(finished):
    attention = pq.read_table(finished / "attention" / "stations-10-0-latlon-1.parquet").to_pandas()
    assert attention["day_before"].tolist() == [0, 1, 2, 3]
    assert attention["weight"].sum() == pytest.approx(1, abs=1e-5)
    importance = pq.read_table(finished / "importance" / "stations-10-0-latlon-1.parquet").to_pandas()
    assert set(importance["feature"]) == {*PROTOCOL["features"], "place"}
    assert len(list((finished / "attention").iterdir())) == 1


def test_stations_are_told_with_state_and_region(finished):
    stations = pq.read_table(finished / "stations.parquet").to_pandas()
    assert len(stations) == STATIONS and stations["state"].str.len().eq(2).all()
    assert set(stations["region"]) <= {"Northeast", "Midwest", "South", "West"}
    assert stations["urban"].dtype == bool and stations["held_out"].dtype == bool


def test_the_same_seed_gives_the_same_scores_and_two_workers_the_same_as_one(
    finished, tmp_path, monitors, store
):
    few = protocol(splits={"stations-10": [0]}, variants=["none", "gradient-boosting", "kriging"])
    matrix.run_matrix(few, monitors, store, tmp_path / "b", workers=2)
    again = table(tmp_path / "b")
    before = table(finished).merge(again[["split", "fold", "variant", "seed"]])
    pd.testing.assert_frame_equal(before, again, check_dtype=False)


def test_another_seed_gives_other_scores(finished, tmp_path, monitors, store):
    few = protocol(splits={"stations-10": [0]}, variants=["none"], seeds=[1, 2])
    matrix.run_matrix(few, monitors, store, tmp_path / "b")
    rmse = table(tmp_path / "b")["rmse"]
    assert rmse[0] != rmse[1]


def test_a_finished_matrix_is_left_alone_and_a_larger_one_grows_from_it(finished, tmp_path, monitors, store):
    few = protocol(splits={"stations-10": [0]}, variants=["idw", "satclip-hadamard"])
    assert matrix.run_matrix(few, monitors, store, tmp_path / "b") == 2
    row = results.row_path(
        tmp_path / "b", results.StudyRun(split="stations-10", fold=0, variant="idw", seed=1)
    )
    written = row.stat().st_mtime_ns
    # What could not be run is tried again; what was run is not.
    assert matrix.run_matrix(few, monitors, store, tmp_path / "b") == 1
    more = protocol(splits={"stations-10": [0, 1]}, variants=["idw"])
    assert matrix.run_matrix(more, monitors, store, tmp_path / "b") == 1
    assert row.stat().st_mtime_ns == written
    assert len(table(tmp_path / "b")) == 3


KILLED = """
import pickle, sys
from pathlib import Path
from pm25map.laboratory.study import matrix, networks
from pm25map.predictors.reader import open_predictors
with Path(sys.argv[1]).open("rb") as handle:
    config, monitors = pickle.load(handle)

def step(done, of):
    print(done, of, flush=True)

made = matrix.make_run
matrix.make_run = lambda context, run: made(context, run, step)
matrix.run_matrix(config, monitors, open_predictors(Path(sys.argv[2])), Path(sys.argv[3]))
"""


def test_a_matrix_killed_in_the_middle_of_a_run_goes_on_with_the_same_numbers(
    finished, tmp_path, monitors, store
):
    import pickle

    few = protocol(splits={"stations-10": [0, 1]}, variants=["none"], training=PROTOCOL["training"])
    (tmp_path / "given").write_bytes(pickle.dumps((few, monitors)))
    words = [sys.executable, "-c", KILLED, str(tmp_path / "given"), str(store.path), str(tmp_path / "b")]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as run:
        steps, finished_one = 0, tmp_path / "b" / "runs" / "stations-10-0-none-1.parquet"
        for line in run.stdout:
            done, of = map(int, line.split())
            steps += finished_one.is_file()
            # In the second epoch of the second run: one row is there, and one checkpoint.
            if finished_one.is_file() and done > of / 2:
                run.send_signal(signal.SIGKILL)
                break
    assert finished_one.is_file() and steps
    assert (tmp_path / "b" / "checkpoints" / "stations-10-1-none-1" / "checkpoint.pt").is_file()
    assert not (tmp_path / "b" / results.ROWS).exists()
    time.sleep(0.1)
    assert matrix.run_matrix(few, monitors, store, tmp_path / "b") == 1
    before = table(finished)
    wanted = before[(before["split"] == "stations-10") & (before["variant"] == "none")]
    pd.testing.assert_frame_equal(table(tmp_path / "b"), wanted.reset_index(drop=True), check_dtype=False)
    assert not list((tmp_path / "b" / "checkpoints").iterdir())


def test_rows_of_a_matrix_that_was_stopped_can_be_read(tmp_path, monitors, store):
    few = protocol(splits={"stations-10": [0]}, variants=["idw", "neighbours-kriging"])

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        matrix.run_matrix(few, monitors, store, tmp_path / "b", listeners=matrix.MatrixListeners(run=stop))
    assert table(tmp_path / "b")["variant"].tolist() == ["idw"]


def test_two_matrices_never_write_one_folder(tmp_path, monitors, store):
    (tmp_path / "b").mkdir()
    words = [
        sys.executable, "-c",
        "import sys; from pathlib import Path; from pm25map.predictors.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()",
        str(tmp_path / "b" / "runs"),
    ]  # fmt: skip
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BadOutput, match="another process is writing it"):
            matrix.run_matrix(protocol(), monitors, store, tmp_path / "b")
        other.stdin.close()
    with only_writer(tmp_path / "b" / "runs", 0.0):
        pass


def test_a_folder_keeps_to_one_protocol_and_one_table_of_monitors(finished, monitors, store):
    other = protocol(training=PROTOCOL["training"] | {"epochs": 3})
    with pytest.raises(BadStudy, match="runs of another protocol"):
        matrix.run_matrix(other, monitors, store, finished)
    fewer = monitors.select(monitors.sites["site_id"][:20])
    with pytest.raises(BadStudy, match="runs of another data"):
        matrix.run_matrix(protocol(), fewer, store, finished)


def test_an_empty_folder_has_no_rows(tmp_path):
    with pytest.raises(BadStudy, match="holds no run"):
        results.read_rows(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"training": {"speed": 9}}, "training.speed: Extra inputs"),
        ({"splits": {"by-moon": [0]}}, "unknown split 'by-moon'"),
        ({"variants": ["nonne"]}, "unknown variant 'nonne'"),
        ({"explained": [{"split": "random-10", "variants": ["x"]}]}, "unknown variant 'x'"),
        ({"satclip_checkpoint": "satclip.ckpt"}, "satclip_checkpoint: Extra inputs"),
        ({"training": {"loss": "absolute"}}, "training.loss: Input should be 'sqrt'"),
        ({"network": {"lstm": [0, 4, 4]}}, "network.lstm.0: Input should be greater than 0"),
        (
            {"splits": {"stations-10": [-1]}},
            "splits.stations-10.0: Input should be greater than or equal to 0",
        ),
        ({"splits": {"stations-10": []}}, "splits.stations-10: Tuple should have at least 1 item"),
        ({"splits": {"stations-10": [0, 0]}}, "splits.stations-10: 0, 0 names one of them twice"),
        ({"variants": ["none", "none"]}, "variants: none, none names one of them twice"),
        ({"seeds": [1, 1]}, "seeds: 1, 1 names one of them twice"),
        ({"seeds": [-1]}, "seeds.0: Input should be greater than or equal to 0"),
        ({"more_seeds": {"none": [1]}}, "more_seeds.none, after seeds: 1, 1 names one of them twice"),
        ({"more_seeds": {"kriging": [2]}}, "kriging is a baseline"),
        ({"more_seeds": {"sincos": [2]}}, "unknown variant 'sincos'"),
        (
            {"features": ["elevation", "day_length"]},
            "head: residual needs one of the features neighbours_krig",
        ),
        ({"features": [*FIELDS, FIELDS[0]]}, f"{FIELDS[0]} is named twice"),
        ({"features": ["neighbours_kriging"]}, "variant idw is the feature neighbours_idw9"),
        ({"blocks": [{"start": "2020-09-04", "end": "2020-09-01"}]}, "before its start"),
        (
            {"blocks": [*PROTOCOL["blocks"], {"start": "2021-09-11", "end": "2021-09-12"}]},
            "reach into the block",
        ),
    ],
)
def test_a_protocol_that_is_wrong_is_refused_in_one_line(changes, said, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(PROTOCOL | changes))
    with pytest.raises(BadConfig, match=said) as error:
        read_study(path)
    assert "\n" not in str(error.value) and "study.yaml" in str(error.value)


def test_further_seeds_of_some_variants_are_run_once_all_others_are(finished, tmp_path, monitors, store):
    few = {"splits": {"stations-10": [0, 1]}, "variants": ["none", "latlon", "idw"]}
    plain, more = protocol(**few), protocol(**few, more_seeds={"none": [2]})
    before, after = matrix.plan_runs(plain), matrix.plan_runs(more)
    assert after[: len(before)] == before
    assert [run.id for run in after[len(before) :]] == ["stations-10-0-none-2", "stations-10-1-none-2"]
    # Seeds may join later: the folder stays the same study's.
    assert more.identity() == plain.identity()


def test_predictors_of_all_monitors_have_no_place_in_a_study(monitors, store, tmp_path):
    leaky = protocol(features=[*FIELDS, "knnidw_pm25_val"])
    with pytest.raises(BadStudy, match="knnidw_pm25_val is computed from all monitors"):
        matrix.run_matrix(leaky, monitors, store, tmp_path / "b")


WORKER = """
import multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
from pm25map.laboratory.study import matrix
context = multiprocessing.get_context("spawn")
pool = ProcessPoolExecutor(1, mp_context=context, initializer=matrix._open_context, initargs=(None,))
pool.submit(print, "at work", flush=True).result()
time.sleep(600)
"""


def test_workers_end_when_the_matrix_is_killed():
    # One that lived on would write the same run as the matrix that goes on.
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "at work\n"
        run.send_signal(signal.SIGKILL)
        # The worker holds the other end of this pipe: it closes with the last of them.
        assert run.communicate(timeout=60)[0] == ""


@pytest.mark.parametrize("name", ["study.yaml", "study-full.yaml"])
def test_the_protocols_of_the_documents_can_be_read(name):
    config = read_study(Path(__file__).parents[1] / "docs" / name)
    assert set(config.splits) == set(SPLITS) and set(config.variants) == set(variants.VARIANTS)
    runs = matrix.plan_runs(config)
    assert len({run.id for run in runs}) == len(runs)


def test_further_seeds_of_some_variants_come_after_all_that_can_be_compared():
    config = protocol(variants=["none", "latlon", "idw"], seeds=[1], more_seeds={"none": [2, 3]})
    runs = matrix.plan_runs(config)
    folds = sum(len(folds) for folds in config.splits.values())
    assert [run.seed for run in runs] == [1] * (3 * folds) + [2, 3] * folds
    assert {run.variant for run in runs[3 * folds :]} == {"none"}
    assert config.identity() == protocol(variants=["none", "latlon", "idw"], seeds=[1]).identity()
    with pytest.raises(ValueError, match="unknown variant 'sincos'"):
        protocol(variants=["none"], more_seeds={"sincos": [2]})


def test_a_fold_that_a_split_does_not_have_is_refused(monitors, store, tmp_path):
    with pytest.raises(BadConfig, match="leave-year-out has no fold 2: here it has 2"):
        matrix.run_matrix(protocol(splits={"leave-year-out": [2]}), monitors, store, tmp_path / "b")


def test_a_split_with_an_empty_part_stops_before_anything_is_run(monitors, store, tmp_path):
    with pytest.raises(BadSplit, match="west-to-east"):
        matrix.run_matrix(protocol(splits={"west-to-east": [0]}), monitors, store, tmp_path / "b")
    assert not list((tmp_path / "b").glob("runs/*.parquet"))


def test_a_variant_without_its_encoder_is_not_run_and_says_why(monitors, store, tmp_path, monkeypatch):
    def broken(*_):
        raise BadModel("models/geoclip is not there. Install pm25map again")

    monkeypatch.setattr(fitting, "place_vectors", broken)
    few = protocol(splits={"stations-10": [0]}, variants=["geoclip-hadamard", "idw"])
    matrix.run_matrix(few, monitors, store, tmp_path / "b")
    rows = pq.read_table(tmp_path / "b" / results.ROWS).to_pandas().set_index("variant")
    assert rows["status"].to_dict() == {"geoclip-hadamard": "not run", "idw": "done"}
    assert rows["reason"]["geoclip-hadamard"] == "models/geoclip is not there. Install pm25map again"


def test_satclip_is_run_with_the_encoder_that_the_protocol_names(monitors, store, tmp_path):
    write_a_siren(tmp_path / "satclip")
    named = protocol(
        splits={"stations-10": [0]}, variants=["satclip-concat"], satclip=str(tmp_path / "satclip")
    )
    matrix.run_matrix(named, monitors, store, tmp_path / "a")
    lost = protocol(splits={"stations-10": [0]}, variants=["satclip-concat"], satclip=str(tmp_path / "moved"))
    matrix.run_matrix(lost, monitors, store, tmp_path / "b")
    run, not_run = (pq.read_table(tmp_path / f / results.ROWS).to_pandas().iloc[0] for f in "ab")
    assert (run["status"], not_run["status"]) == ("done", "not run")
    assert run["rmse"] > 0
    assert "moved" in not_run["reason"]
    # An encoder may be found later, and moved; another one is another study.
    found = lost.model_copy(update={"satclip": named.satclip})
    assert matrix.run_matrix(found, monitors, store, tmp_path / "b") == 1
    assert matrix.run_matrix(lost, monitors, store, tmp_path / "b") == 0
    write_a_siren(tmp_path / "other", seed=9)
    other = lost.model_copy(update={"satclip": tmp_path / "other"})
    with pytest.raises(BadStudy, match="runs of another satclip"):
        matrix.run_matrix(other, monitors, store, tmp_path / "b")


def test_the_scaler_of_a_fold_has_seen_only_what_it_learns_from(monitors, store, tmp_path):
    from pm25map.laboratory.study.networks import train_fold

    config = protocol()
    data = read_study_data(config, monitors, store)
    fold = make_split("stations-10", data.world, 3).folds[0]
    prepare_fields(tmp_path, data, [fold])
    one = read_fold(tmp_path, data, config, fold, seed=1)
    tiny = config.train_config(variants.VARIANTS["none"], 1)
    (tmp_path / "a").mkdir()
    before = train_fold(one, None, tiny, tmp_path / "a", "cpu").scaler
    one.samples.values[fold.test] *= 100
    (tmp_path / "b").mkdir()
    assert train_fold(one, None, tiny, tmp_path / "b", "cpu").scaler == before


def test_a_folds_fields_are_those_of_its_training_stations_alone(monitors, store, tmp_path):
    config = protocol()
    data = read_study_data(config, monitors, store)
    fold = make_split("stations-10", data.world, 3).folds[1]
    prepare_fields(tmp_path, data, [fold])
    found = read_fold(tmp_path, data, config, fold, seed=1)
    one, block = data.samples, data.blocks[0]
    stations = Stations(one.lat, one.lon, data.elevation)
    known = np.where(fold.train[:, None], one.truth, np.nan).T[block]
    wanted = fields_left_out(known, data.codes[block], stations)
    for i, name in enumerate(FIELDS):
        ours = found.samples.values[:, block, i].T[MEMORY_DAYS:]
        np.testing.assert_allclose(ours, wanted[name], rtol=0.02, atol=0.02, err_msg=name)
    assert not fold.train[found.judged[:, 0]].any()
    assert fold.train[found.learned[:, 0]].all() and fold.train[found.validated[:, 0]].all()
    assert not set(found.learned[:, 0]) & set(found.validated[:, 0])


def test_windows_of_another_year_never_reach_into_the_year_that_is_judged(monitors, store, tmp_path):
    config = protocol(blocks=[{"start": "2020-09-04", "end": "2020-09-11"}])
    data = read_study_data(config, monitors, store)
    judged = np.zeros(data.samples.truth.shape, dtype=bool)
    judged[:, 10] = True
    everyone = np.ones(len(judged), dtype=bool)
    fold = Fold(everyone, everyone, judged, hides=False)
    prepare_fields(tmp_path, data, [fold])
    found = read_fold(tmp_path, data, config, fold, seed=1)
    reach = config.window_days + MEMORY_DAYS
    assert set(found.learned[:, 1]) <= {day for day in range(len(judged[0])) if not 10 <= day < 10 + reach}


def test_the_command_runs_a_protocol_and_says_what_comes_next(monitors, store, tmp_path):
    files = tmp_path / "aqs.csv"
    seen = monitors.observations.merge(monitors.sites)
    seen.rename(columns={"pm25_ugm3": "pm25"}).to_csv(files, index=False)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(PROTOCOL | {"colour": 1}))
    words = [
        "lab",
        "study",
        "--config",
        tmp_path / "study.yaml",
        "--predictors",
        store.path,
        "--out",
        tmp_path / "b",
    ]
    missing = CliRunner().invoke(cli, [str(word) for word in words])
    assert missing.exit_code == 2 and "Missing option '--monitors'" in missing.output
    refused = CliRunner().invoke(cli, [str(word) for word in [*words, "--monitors", files]])
    assert isinstance(refused.exception, BadConfig)
