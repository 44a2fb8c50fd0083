"""Many days under faults: killed runs, killed workers, an object store. The maps are those of a quiet run."""

import contextlib
import datetime as dt
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

import map_world
from map_world import build_world, first_day

DAYS = [first_day() + dt.timedelta(days=i) for i in range(10)]
KILLS = 50


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world"), map_world.WINDOW + 9)


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PM25MAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        yield


def words(world, out, *more):
    named = ["backfill", "--start", DAYS[0], "--end", DAYS[-1], "--out", out, *world.words()]
    return [str(word) for word in (*named, "--calibrate", 0, "--run-days", 4, *more)]


def call(line):
    """Run the program here; give its exit code."""
    from click.testing import CliRunner

    from pm25map.cli.main import cli

    done = CliRunner().invoke(cli, line)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def call_alone(line, folder, environment):
    """What a process of its own does."""
    os.environ.update(environment)
    os.chdir(folder)
    from pm25map.cli.main import cli

    with (
        Path("said.txt").open("w") as said,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        cli.main(line)


def products(folder):
    """Maps and items, by name."""
    found = [path for path in sorted(folder.rglob("pm25_*")) if ".pm25map" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def quiet(world, tmp_path_factory):
    """The folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("quiet") / "maps"
    call(words(world, folder))
    assert len(products(folder)) == 20
    return folder


@pytest.mark.slow
def test_fifty_kills_leave_the_maps_of_a_quiet_run(world, quiet, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["pm25map.cli.backfill", "pm25map.raster.backfill.prepare", "pm25map.raster.backfill.collection"]
    )
    environment = {name: os.environ[name] for name in ("PM25MAP_CACHE", "SOURCE_DATE_EPOCH")}
    expected, draw = products(quiet), random.Random(3)
    out = tmp_path / "maps"

    def start():
        process = context.Process(target=call_alone, args=(words(world, out), tmp_path, environment))
        process.start()
        return process

    began = time.monotonic()
    first = start()
    first.join()
    assert first.exitcode == 0
    whole = time.monotonic() - began
    shutil.rmtree(out)
    killed, rounds, hit_half_way = 0, 0, 0
    done: dict[str, int] = {}
    while killed < KILLS:
        process = start()
        process.join(draw.uniform(0, 1.1 * whole))
        if process.exitcode is None:
            process.kill()
            process.join()
            killed += 1
            now = products(out) if out.is_dir() else {}
            hit_half_way += 0 < len(now) < len(expected)
            # Whatever a reader can see is whole, and what is done is never touched again.
            assert all(expected[name] == content for name, content in now.items())
            for name in now:
                if name.endswith(".json"):
                    stamp = (out / name).stat().st_mtime_ns
                    assert done.setdefault(name, stamp) == stamp
            continue
        assert process.exitcode == 0, (tmp_path / "said.txt").read_text()
        assert_finished(out, expected)
        rounds += 1
        shutil.rmtree(out)
        done.clear()
    call(words(world, out))
    assert_finished(out, expected)


def assert_finished(out, expected):
    assert products(out) == expected
    lines = [json.loads(line) for line in (out / "backfill.jsonl").read_text().splitlines()]
    assert sorted(line["day"] for line in lines if line["state"] == "done") == [str(day) for day in DAYS]
    assert list((out / ".pm25map").rglob("*.rows")) == []


@pytest.mark.slow
def test_killed_workers_lose_no_day_and_double_none(world, quiet, tmp_path):
    distributed = pytest.importorskip("distributed")
    stop, killed, out = threading.Event(), [], tmp_path / "maps"

    def murder(client, draw):
        """Kill a worker whenever the work has moved on since the last kill."""
        seen = 0
        while not stop.wait(0.05) and len(killed) < 5:
            progress = len(list(out.rglob("*.rows"))) + 100 * len(list(out.rglob("*.tif")))
            if progress > seen:
                seen = progress
                pids = list(client.run(os.getpid, on_error="ignore").values())
                os.kill(draw.choice(pids), 9)
                killed.append(1)

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        murderer = threading.Thread(target=murder, args=(client, random.Random(5)))
        murderer.start()
        try:
            call(words(world, out, "--scheduler", cluster.scheduler_address))
        finally:
            stop.set()
            murderer.join()
    assert killed
    assert products(out) == products(quiet)


@pytest.mark.slow
def test_a_block_that_kills_every_worker_ends_and_every_other_day_is_made(
    world, quiet, tmp_path, monkeypatch
):
    """The process ends as it does where memory runs out: no exception, no word."""
    distributed = pytest.importorskip("distributed")
    from click.testing import CliRunner
    from deadly import BLOCK, deadly_block

    from pm25map.cli.main import cli
    from pm25map.raster.backfill import run as loop

    monkeypatch.setattr(loop, "compute_block", deadly_block)
    monkeypatch.setattr(loop, "_LOOK_SECONDS", 0.2)
    block = world.grid.blocks()[0].id
    monkeypatch.setenv(BLOCK, f"{block} {DAYS[0]}")
    out, said = tmp_path / "maps", []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        line = words(world, out, "--scheduler", cluster.scheduler_address)
        work = threading.Thread(target=lambda: said.append(CliRunner().invoke(cli, line)), daemon=True)
        work.start()
        work.join(600)
        assert not work.is_alive()
    (done,) = said
    assert done.exit_code == 1, (done.output, done.exception)
    assert f"{DAYS[0]} has no map: 3 workers died while they worked on block {block} of" in done.output
    expected = products(quiet)
    late = [name for name in expected if name[len("2020/pm25_") :][:10] > str(DAYS[3])]
    assert products(out) == {name: expected[name] for name in late}
    deaths = json.loads((out / "report.json").read_text())["happened"]["worker_deaths"]
    assert deaths == {f"block {block} of {DAYS[0]} to {DAYS[3]}": 3}


ALONE = ["unshare", "--user", "--map-root-user", "--mount"]
"""Mounts of such a process are seen by itself alone, and end with it."""

ON_A_SMALL_DISK = """
mount -t tmpfs -o size=$SIZE tmpfs "$DISK" || exit 99
"$@" 2> "$SAID"
echo $? > "$CODE"
cp -r "$DISK/maps" "$STOPPED"
mount -o remount,size=64m "$DISK" || exit 99
"$@" && cp -r "$DISK/maps" "$ENDED"
"""


@pytest.mark.slow
def test_a_disk_that_is_truly_full_stops_the_work_and_keeps_what_is_done(
    world, quiet, tmp_path, tmp_path_factory
):
    """A tmpfs with room for three quarters of the maps; made larger, the same command ends the work."""
    disk = tmp_path_factory.mktemp("disk")  # as deep as the quiet folder: items tell relative addresses
    tried = shutil.which("unshare") and subprocess.run(
        [*ALONE, "mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if not tried or tried.returncode:
        pytest.skip(f"no small disk may be mounted here: {tried.stderr.strip() if tried else 'no unshare'}")
    expected = products(quiet)
    pages = sum(-(-len(content) // 4096) for content in expected.values())
    paths = {name: tmp_path / name.lower() for name in ("SAID", "CODE", "STOPPED", "ENDED")}
    values = {"DISK": disk, "SIZE": pages * 4096 * 3 // 4, **paths}
    line = [sys.executable, "-m", "pm25map", *words(world, disk / "maps")]
    ended = subprocess.run(
        [*ALONE, "sh", "-c", ON_A_SMALL_DISK, "sh", *line],
        env=os.environ | {name: str(value) for name, value in values.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert paths["CODE"].read_text() == "1\n"
    assert "the disk is full" in paths["SAID"].read_text()
    stopped = products(paths["STOPPED"])
    assert len(stopped) < len(expected)
    assert all(expected[name] == content for name, content in stopped.items())
    assert_finished(paths["ENDED"], expected)


def test_a_scheduler_that_does_not_answer_is_one_line(world, tmp_path, monkeypatch):
    from pm25map.base.errors import DeviceUnavailable
    from pm25map.raster.backfill import workers

    monkeypatch.setattr(workers, "_CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(DeviceUnavailable, match="dask worker"),
        workers.open_workers("tcp://127.0.0.1:9", 1),
    ):
        pass


def test_workers_that_come_late_are_counted():
    distributed = pytest.importorskip("distributed")
    from pm25map.raster.backfill.workers import open_workers

    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
        open_workers(cluster.scheduler_address, 1) as workers,
    ):
        workers.look()
        assert workers.count() == 1
        cluster.scale(2)
        client.wait_for_workers(2, timeout=30)
        workers.look()
        assert workers.count() == 2


def test_of_two_that_take_over_a_lock_one_has_it(bucket, monkeypatch):
    """Both watched it beat no more; the second removes what the first has just made."""
    from pm25map.base.errors import BadOutput
    from pm25map.base.storage import location, open_folder
    from pm25map.raster.backfill import lock

    folder = open_folder(location(f"{bucket}/maps"))
    folder.write(lock._LOCK, b"left behind")
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 2:  # the first has made its lock, and waits whether it stays
            folder.write(lock._LOCK, b"the second's")

    monkeypatch.setattr(lock.time, "sleep", nap)
    with pytest.raises(BadOutput, match="just begun"), lock.only_one(folder):
        pass
    assert folder.read(lock._LOCK) == b"the second's"


@pytest.fixture
def bucket(monkeypatch):
    """A real object store on this machine."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    secrets = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "mine", "AWS_REGION": "us-east-1"}
    for name, value in {**secrets, "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(name, value)
    import boto3

    boto3.client("s3", endpoint_url=address, region_name="us-east-1").create_bucket(Bucket="bucket")
    yield "s3://bucket"
    server.stop()


def upload(folder, url):
    from pm25map.base.storage import location, open_folder

    there = open_folder(location(url))
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            there.write(path.relative_to(folder).as_posix(), path.read_bytes())


def test_store_and_maps_may_live_in_an_object_store(world, quiet, bucket):
    from pm25map.base.storage import location, open_folder

    upload(Path(world.store.path), f"{bucket}/world.zarr")
    line = words(world, f"{bucket}/maps")
    line[line.index("--predictors") + 1] = f"{bucket}/world.zarr"
    call(line)
    folder = open_folder(location(f"{bucket}/maps"))
    expected = products(quiet)
    for name in (name for name in expected if name.endswith(".tif")):
        assert folder.read(name) == expected[name]
    assert len([name for name in folder.names("2020") if name.endswith(".json")]) == 10
    assert "0 to do, 10 done" in call(line)
    assert list(folder.names(".pm25map")) == [".pm25map/engine.json"]  # neither stage nor lock is left
    line = ["verify", f"{bucket}/maps", *line[line.index("--model") : line.index("--calibrate")]]
    assert "10 of 10" in call(line)


def test_a_lock_in_an_object_store_is_kept_while_it_beats_and_taken_when_it_is_left(bucket, monkeypatch):
    from pm25map.base.errors import BadOutput
    from pm25map.base.storage import location, open_folder
    from pm25map.raster.backfill import lock

    folder = open_folder(location(f"{bucket}/maps"))
    monkeypatch.setattr(lock, "_BEAT_SECONDS", 0.05)
    with (
        lock.only_one(folder),
        pytest.raises(BadOutput, match="another backfill"),
        lock.only_one(folder, 0.5),
    ):
        pass
    folder.write(".pm25map/lock", b"left behind")
    with lock.only_one(folder, 0.1):
        assert b"beat" in folder.read(".pm25map/lock")
    assert folder.read(".pm25map/lock") is None


@pytest.fixture
def cluster_script():
    import importlib.util

    path = Path(__file__).resolve().parents[1] / "docs" / "cluster" / "run.py"
    spec = importlib.util.spec_from_file_location("cluster_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_documented_script_runs_a_backfill_on_a_cluster_of_its_own(
    world, quiet, tmp_path, cluster_script
):
    assert cluster_script.main(["local", "--workers", "1", "--", *words(world, tmp_path / "maps")[1:]]) == 0
    assert products(tmp_path / "maps") == products(quiet)


@pytest.mark.parametrize(("where", "sign"), [("slurm", "#SBATCH -p normal"), ("pbs", "#PBS -q normal")])
def test_the_script_asks_a_batch_system_for_workers_of_one_thread(cluster_script, where, sign):
    pytest.importorskip("dask_jobqueue")
    asked, rest = cluster_script.parse([where, "--queue", "normal", "--gpu", "--", "--start", "2020-01-01"])
    assert rest == ["--start", "2020-01-01"]
    with cluster_script.make_cluster(asked) as cluster:
        script = cluster.job_script()
    assert sign in script
    assert "--nthreads 1" in script
    assert "gpu" in script


def test_the_script_describes_pods_of_one_thread_for_kubernetes(cluster_script):
    pytest.importorskip("dask_kubernetes")
    asked, _ = cluster_script.parse(["kubernetes", "--image", "maps:1", "--gpu"])
    spec = cluster_script.kubernetes_spec(asked)
    (worker,) = spec["spec"]["worker"]["spec"]["containers"]
    assert spec["kind"] == "DaskCluster"
    assert worker["image"] == "maps:1"
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "--nthreads 1" in " ".join(worker["args"])
